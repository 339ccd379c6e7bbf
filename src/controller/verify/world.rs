//! Networks and rules of a verification.

use ipnet::Ipv4Net;

use super::Course;
use crate::controller::demo::networks::{self, Addresses};
use crate::controller::openstack::network::{self, Network, NewNetwork, NewSubnet, SecurityGroup, Subnet};
use crate::controller::openstack::{Session, service};
use crate::error::Error;
use crate::model::demo::{PHYSICAL_NETWORK, private_subnet};

/// Where instances are, and how they are reached.
pub(super) struct World {
    pub network: Network,
    pub group: SecurityGroup,
    /// The external network; without one there are no floating IPs.
    pub external: Option<Network>,
}

impl Course<'_> {
    pub(super) async fn build_world(&mut self, admin: &Session, user: &Session) -> Result<World, Error> {
        let name = self.name.clone();
        let cidr = private_subnet(&Addresses::of(&self.given.cloud.desired).taken());
        let (network, subnet) = self.step("network and subnet", make_network(user, &name, cidr)).await?;
        let external = self.external(admin).await?;
        if let Some(external) = &external {
            self.step("router", async {
                let router = network::create_router(user, &name, "", external).await?;
                network::add_interface(user, &router, &subnet).await?;
                Ok(((), format!("to {}", external.name)))
            })
            .await?;
        }
        let group = network::create_security_group(user, &name, "octo verify");
        let group = self.step("security group", async { Ok((group.await?, "lets nothing in".to_owned())) }).await?;
        Ok(World { network, group, external })
    }

    /// The external network that is there, or one of this run's own on the provider bridge.
    async fn external(&mut self, admin: &Session) -> Result<Option<Network>, Error> {
        let known = network::networks(admin, "router:external=true").await?;
        let on_bridge = known.iter().find(|network| network.physical.as_deref() == Some(PHYSICAL_NETWORK));
        if let Some(found) = on_bridge.or(known.first()) {
            return Ok(Some(found.clone()));
        }
        if let Some(other) = networks::on_provider_bridge(admin).await? {
            let why = format!("network {} is on the provider bridge, and is not external", other.name);
            self.report.left_out.push(format!("router and floating IP: {why}"));
            return Ok(None);
        }
        let planned = match networks::planned_provider_subnet(&Addresses::of(&self.given.cloud.desired)) {
            Ok(planned) => planned,
            Err(error) => {
                self.report.left_out.push(format!("router and floating IP: {error}"));
                return Ok(None);
            }
        };
        let (name, project) = (format!("{}-external", self.name), self.project.clone());
        let project = project.map(|project| project.id).unwrap_or_default();
        self.step("external network", async {
            let wanted =
                NewNetwork { name: &name, description: "", project: &project, physical: Some(PHYSICAL_NETWORK) };
            let made = network::create_network(admin, &wanted).await?;
            networks::create_provider_subnet(admin, &planned, &made, "").await?;
            Ok((Some(made), format!("{}, for this run", planned.cidr)))
        })
        .await
    }
}

async fn make_network(user: &Session, name: &str, cidr: Ipv4Net) -> Result<((Network, Subnet), String), Error> {
    let wanted = NewNetwork { name, description: "", project: user.project(), physical: None };
    let made = network::create_network(user, &wanted).await?;
    let wanted = NewSubnet { network: &made, name, description: "", cidr, gateway: None, pools: &[], dhcp: true };
    let subnet = network::create_subnet(user, &wanted).await?;
    Ok(((made, subnet), cidr.to_string()))
}

/// The error about the network service.
pub(super) fn network_failure(session: &Session, action: &str, cause: impl Into<String>) -> Error {
    session.failed(action, service::NETWORK, cause)
}
