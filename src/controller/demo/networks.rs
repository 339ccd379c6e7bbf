//! The demo's networks, and the router between them.

use ipnet::Ipv4Net;

use super::{Ensured, in_the_way};
use crate::controller::openstack::network::{
    self, Network, NewNetwork, NewSubnet, Router, Rule, SecurityGroup, Subnet,
};
use crate::controller::openstack::{Session, service};
use crate::error::{Error, ErrorKind};
use crate::model::demo::{
    DEMO, MARK, Outcome, PHYSICAL_NETWORK, PRIVATE, PROVIDER, ProviderSubnet, private_subnet, provider_subnet,
};
use crate::model::desired::{Desired, DesiredProvider};

/// The subnets that the nodes themselves use, and what there is for instances.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The management network's.
    pub management: Ipv4Net,
    /// The provider network.
    pub provider: DesiredProvider,
}

impl Addresses {
    /// Those of a cloud.
    pub fn of(desired: &Desired) -> Self {
        Self { management: desired.network.subnet, provider: desired.provider.clone() }
    }

    /// All subnets of the nodes' own.
    pub fn taken(&self) -> Vec<Ipv4Net> {
        let pool = self.provider.pool.map(|pool| pool.gateway);
        [Some(self.management), self.provider.address, pool].into_iter().flatten().collect()
    }
}

/// The network on the provider bridge, whatever its name: there is room for one. It is made only if it can be
/// given its subnet.
pub(super) async fn ensure_provider(session: &Session, addresses: &Addresses) -> Result<Ensured<Network>, Error> {
    if let Some(known) = on_provider_bridge(session).await? {
        if !known.external {
            let message = format!("physical network {PHYSICAL_NETWORK} is taken by network {}", known.name);
            return Err(in_the_way(message)
                .because_text("that network is not external")
                .hint(format!("openstack network set --external {}", known.id)));
        }
        let said = (known.name != PROVIDER).then(|| format!("it is called {}", known.name));
        return Ok(Ensured { value: known, outcome: Outcome::Present, detail: said });
    }
    planned_provider_subnet(addresses)?;
    let wanted =
        NewNetwork { name: PROVIDER, description: MARK, project: session.project(), physical: Some(PHYSICAL_NETWORK) };
    let made = network::create_network(session, &wanted).await?;
    Ok(Ensured::new(made, Outcome::Made).with(format!("external, flat on {PHYSICAL_NETWORK}")))
}

/// The network that is flat on the provider bridge, if there is one.
pub async fn on_provider_bridge(session: &Session) -> Result<Option<Network>, Error> {
    let filter = format!("provider:physical_network={PHYSICAL_NETWORK}&provider:network_type=flat");
    Ok(network::networks(session, &filter).await?.into_iter().next())
}

/// The subnet that the settings give to the provider network.
pub fn planned_provider_subnet(addresses: &Addresses) -> Result<ProviderSubnet, Error> {
    provider_subnet(&addresses.provider).ok_or_else(|| {
        Error::new(ErrorKind::Config, "cannot tell which addresses of the provider network are free")
            .because_text("configuration.yaml names an interface for it, or several nodes, and no addresses")
            .hint(
                "set `network.provider.pool`: the network's gateway, and the first and last address that octo may use",
            )
    })
}

pub(super) async fn ensure_provider_subnet(
    session: &Session,
    addresses: &Addresses,
    external: &Network,
) -> Result<Ensured<()>, Error> {
    let known = network::subnets(session, &external.id).await?;
    if external.description != MARK {
        let said = known.iter().map(|subnet| subnet.cidr.as_str()).collect::<Vec<_>>().join(", ");
        return Ok(Ensured::new((), Outcome::Present).with(said));
    }
    let planned = planned_provider_subnet(addresses)?;
    let cidr = planned.cidr.to_string();
    if known.iter().any(|subnet| subnet.cidr == cidr) {
        return Ok(Ensured::new((), Outcome::Present).with(cidr));
    }
    if let Some(other) = known.iter().find(|subnet| subnet.description == MARK) {
        let message = format!("subnet {} has the addresses {}, and not {cidr}", other.name, other.cidr);
        return Err(in_the_way(message)
            .because_text("`network.provider` in configuration.yaml was another one when it was made")
            .hint("octo demo --remove; octo demo"));
    }
    create_provider_subnet(session, &planned, external, MARK).await?;
    Ok(Ensured::new((), Outcome::Made).with(cidr))
}

/// Makes the subnet of a network on the provider bridge. Nobody there asks for DHCP: the driver
/// configures instances, and others on that network have their own way.
pub async fn create_provider_subnet(
    session: &Session,
    planned: &ProviderSubnet,
    external: &Network,
    description: &str,
) -> Result<Subnet, Error> {
    let wanted = NewSubnet {
        network: external,
        name: &external.name,
        description,
        cidr: planned.cidr,
        gateway: Some(planned.gateway),
        pools: &planned.pools,
        dhcp: false,
    };
    network::create_subnet(session, &wanted).await
}

pub(super) async fn ensure_private(session: &Session) -> Result<Ensured<Network>, Error> {
    let filter = format!("name={PRIVATE}&project_id={}", session.project());
    if let Some(known) = network::networks(session, &filter).await?.into_iter().next() {
        return Ok(Ensured::new(known, Outcome::Present));
    }
    let wanted = NewNetwork { name: PRIVATE, description: MARK, project: session.project(), physical: None };
    Ok(Ensured::new(network::create_network(session, &wanted).await?, Outcome::Made))
}

pub(super) async fn ensure_private_subnet(
    session: &Session,
    addresses: &Addresses,
    private: &Network,
) -> Result<Ensured<Subnet>, Error> {
    if let Some(known) = network::subnets(session, &private.id).await?.into_iter().next() {
        let cidr = known.cidr.clone();
        return Ok(Ensured::new(known, Outcome::Present).with(cidr));
    }
    let cidr = private_subnet(&addresses.taken());
    let wanted =
        NewSubnet { network: private, name: PRIVATE, description: MARK, cidr, gateway: None, pools: &[], dhcp: true };
    let made = network::create_subnet(session, &wanted).await?;
    Ok(Ensured::new(made, Outcome::Made).with(cidr.to_string()))
}

pub(super) async fn ensure_router(
    session: &Session,
    external: &Network,
    subnet: &Subnet,
) -> Result<Ensured<Router>, Error> {
    let filter = format!("name={DEMO}&project_id={}", session.project());
    let (router, mut outcome) = match network::routers(session, &filter).await?.into_iter().next() {
        None => (network::create_router(session, DEMO, MARK, external).await?, Outcome::Made),
        Some(router) => {
            let leads_out = router.gateway.as_ref().is_some_and(|gateway| gateway.network_id == external.id);
            if !leads_out {
                network::set_gateway(session, &router, external).await?;
            }
            (router, if leads_out { Outcome::Present } else { Outcome::Replaced })
        }
    };
    let inside = network::interfaces(session, &router).await?;
    let mut addresses = inside.iter().flat_map(|port| &port.fixed_ips);
    if !addresses.any(|address| address.subnet_id == subnet.id) {
        network::add_interface(session, &router, subnet).await?;
        if outcome == Outcome::Present {
            outcome = Outcome::Replaced;
        }
    }
    Ok(Ensured::new(router, outcome).with(format!("from {} to {}", subnet.name, external.name)))
}

/// The security group that instances have if they name none.
pub(super) async fn default_group(session: &Session) -> Result<SecurityGroup, Error> {
    let filter = format!("name=default&project_id={}", session.project());
    let found = network::security_groups(session, &filter).await?.into_iter().next();
    found.ok_or_else(|| {
        session.failed("cannot add rules", service::NETWORK, "the project has no security group called default")
    })
}

/// Whether a rule lets a protocol in from everywhere.
pub(super) fn allows(rule: &Rule, protocol: &str, port: Option<u16>) -> bool {
    rule.direction == "ingress"
        && rule.ethertype == "IPv4"
        && rule.protocol.as_deref() == Some(protocol)
        && (rule.port_range_min, rule.port_range_max) == (port, port)
        && rule.remote_group_id.is_none()
        && rule.remote_ip_prefix.as_deref().is_none_or(|prefix| prefix == "0.0.0.0/0")
}
