//! `octo demo --remove`: takes away exactly what the demo has made. What somebody still needs stays
//! whole, and is told.

use super::{Demo, Ensured, image, networks, rule_name};
use crate::controller::openstack::network::{self, Network, Port, Router};
use crate::controller::openstack::session::Removal;
use crate::controller::openstack::{Session, compute, service};
use crate::error::Error;
use crate::model::demo::{DEMO, FLAVORS, MARK, Outcome, PRIVATE, PROVIDER, RULES};

impl Demo<'_> {
    /// Removes what is there.
    pub async fn remove(&mut self) -> Result<(), Error> {
        let session = self.session;
        if session.has(service::COMPUTE) {
            self.step("key pair", DEMO, async { Ok(told(compute::remove_key(session, DEMO).await?)) }).await?;
            for (name, ..) in FLAVORS {
                self.step("flavor", name, remove_flavor(session, name)).await?;
            }
        }
        if session.has(service::NETWORK) {
            self.remove_networks().await?;
        }
        self.step("image", DEMO, remove_images(session)).await
    }

    async fn remove_networks(&mut self) -> Result<(), Error> {
        let session = self.session;
        let group = networks::default_group(session).await?;
        for (protocol, port) in RULES {
            let name = rule_name(protocol, port);
            self.step("rule", &name, remove_rule(session, &group, protocol, port)).await?;
        }
        let own = format!("project_id={}", session.project());
        let private = network::networks(session, &format!("name={PRIVATE}&{own}")).await?.into_iter().next();
        let router = network::routers(session, &format!("name={DEMO}&{own}")).await?.into_iter().next();
        let provider = network::networks(session, &format!("name={PROVIDER}&{own}")).await?.into_iter().next();
        // As long as servers are there, they keep their way out.
        let users = match &private {
            Some(private) => users(session, private).await?,
            None => None,
        };
        self.step("router", DEMO, remove_router(session, router.as_ref(), users.clone())).await?;
        self.step("network", PRIVATE, remove_network(session, private.as_ref(), users)).await?;
        let users = match &provider {
            Some(provider) => self::users(session, provider).await?,
            None => None,
        };
        self.step("network", PROVIDER, remove_network(session, provider.as_ref(), users)).await
    }
}

fn told(removal: Removal) -> Ensured<()> {
    match removal {
        Removal::Removed => Ensured::new((), Outcome::Removed),
        Removal::Absent => Ensured::new((), Outcome::Absent),
        Removal::InUse(words) => Ensured::new((), Outcome::InUse).with(words),
    }
}

async fn remove_flavor(session: &Session, name: &str) -> Result<Ensured<()>, Error> {
    let known = compute::flavors(session).await?.into_iter().find(|flavor| flavor.name == name);
    match removable(known.as_ref(), |known| known.description.as_deref(), None) {
        Ok(known) => Ok(told(compute::remove_flavor(session, known).await?)),
        Err(kept) => Ok(kept),
    }
}

async fn remove_images(session: &Session) -> Result<Ensured<()>, Error> {
    let mut said = Ensured::new((), Outcome::Absent);
    for known in image::demo_images(session).await? {
        said = told(crate::controller::openstack::image::remove(session, &known).await?);
        if said.outcome == Outcome::InUse {
            break;
        }
    }
    Ok(said)
}

async fn remove_rule(
    session: &Session,
    group: &network::SecurityGroup,
    protocol: &str,
    port: Option<u16>,
) -> Result<Ensured<()>, Error> {
    let mut same = group.rules.iter().filter(|rule| networks::allows(rule, protocol, port));
    match removable(same.next(), |rule| rule.description.as_deref(), None) {
        Ok(rule) => Ok(told(network::remove_rule(session, &rule.id).await?)),
        Err(kept) => Ok(kept),
    }
}

async fn remove_router(
    session: &Session,
    router: Option<&Router>,
    users: Option<String>,
) -> Result<Ensured<()>, Error> {
    let router = match removable(router, |router| Some(&router.description), users) {
        Ok(router) => router,
        Err(kept) => return Ok(kept),
    };
    for port in network::interfaces(session, router).await? {
        if let Removal::InUse(words) = network::remove_interface(session, router, &port).await? {
            return Ok(Ensured::new((), Outcome::InUse).with(words));
        }
    }
    Ok(told(network::remove_router(session, router).await?))
}

async fn remove_network(
    session: &Session,
    network: Option<&Network>,
    users: Option<String>,
) -> Result<Ensured<()>, Error> {
    match removable(network, |network| Some(&network.description), users) {
        Ok(network) => Ok(told(network::remove_network(session, &network.id).await?)),
        Err(kept) => Ok(kept),
    }
}

/// The object if it may be removed, else what there is to tell: it is absent, somebody else's, or
/// has users.
fn removable<T>(
    object: Option<&T>,
    description: impl Fn(&T) -> Option<&str>,
    users: Option<String>,
) -> Result<&T, Ensured<()>> {
    let object = object.ok_or_else(|| Ensured::new((), Outcome::Absent))?;
    if description(object) != Some(MARK) {
        return Err(Ensured::new((), Outcome::Kept).with("octo demo has not made it"));
    }
    match users {
        Some(users) => Err(Ensured::new((), Outcome::InUse).with(users)),
        None => Ok(object),
    }
}

/// What has ports in a network, in words: servers, floating IPs, routers other than the demo's.
async fn users(session: &Session, network: &Network) -> Result<Option<String>, Error> {
    let ports = network::ports(session, &format!("network_id={}", network.id)).await?;
    let users: Vec<String> = ports.iter().filter_map(user).collect();
    Ok((!users.is_empty()).then(|| users.join(", ")))
}

fn user(port: &Port) -> Option<String> {
    let address = port.fixed_ips.first().map_or("no address", |fixed| fixed.ip_address.as_str());
    match port.device_owner.as_str() {
        owner if owner.starts_with("compute:") => Some(format!("server {} ({address})", port.device_id)),
        "network:floatingip" => Some(format!("floating IP {address}")),
        "network:router_gateway" => Some(format!("router {} ({address})", port.device_id)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::openstack::network::FixedIp;

    #[test]
    fn only_what_the_demo_has_made_and_nobody_uses_is_removed() {
        let outcome = |description: Option<&str>, users: Option<&str>| {
            let found = removable(description.as_ref(), |text| Some(text), users.map(str::to_owned));
            found.map(|_| ()).map_err(|kept| kept.outcome)
        };
        assert_eq!(outcome(None, None), Err(Outcome::Absent));
        assert_eq!(outcome(Some("mine"), None), Err(Outcome::Kept));
        assert_eq!(outcome(Some("mine"), Some("server d")), Err(Outcome::Kept), "whose it is comes first");
        assert_eq!(outcome(Some(MARK), Some("server d")), Err(Outcome::InUse));
        assert_eq!(outcome(Some(MARK), None), Ok(()));
    }

    #[test]
    fn users_of_a_network_are_named() {
        let port = |owner: &str| Port {
            id: "p".to_owned(),
            device_id: "d".to_owned(),
            device_owner: owner.to_owned(),
            fixed_ips: vec![FixedIp { subnet_id: "s".to_owned(), ip_address: "10.205.0.7".to_owned() }],
        };
        assert_eq!(user(&port("compute:nova")).unwrap(), "server d (10.205.0.7)");
        assert_eq!(user(&port("network:floatingip")).unwrap(), "floating IP 10.205.0.7");
        assert_eq!(user(&port("network:distributed")), None);
        assert_eq!(user(&port("network:router_interface")), None);
    }
}
