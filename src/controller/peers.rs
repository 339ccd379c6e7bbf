//! The other nodes of a cloud: which of them octo runs on, and the engines of those that answer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures_util::future::join_all;

use super::docker::Engine;
use super::docker::endpoint::{Endpoint, TlsFiles};
use super::netlink::HostNetwork;
use crate::error::{Error, ErrorKind};
use crate::model::name::Name;
use crate::model::node::Site;
use crate::model::observed::{Occupied, OccupiedKind};
use crate::model::settings::{NodeSettings, Settings};

/// Where octo is, and whom it reaches from there.
#[derive(Clone, Debug)]
pub struct Peers {
    /// The node that octo runs on, and those that do not answer.
    pub site: Site,
    /// The engines of the other nodes that answer.
    pub engines: BTreeMap<Name, Engine>,
}

impl Peers {
    /// Without asking anybody: for what concerns the engine here alone, whatever machine this is.
    pub fn unasked(settings: &Settings) -> Self {
        let local = settings.nodes.first().map_or_else(|| Site::single().local, |node| node.name.clone());
        Self { site: Site { local, ..Site::single() }, engines: BTreeMap::new() }
    }

    /// Connects to the engines of all other nodes at once. octo knows its own node by this machine's
    /// addresses. A node that does not answer is no error.
    pub async fn connect(settings: &Settings) -> Result<Self, Error> {
        if settings.nodes.is_empty() {
            return Ok(Self::unasked(settings));
        }
        let local = here(settings).await?;
        let answers = ask(settings, Some(&local)).await;
        Ok(Self::of(local, &answers))
    }

    /// Those that were asked, as they are seen from a node.
    pub fn of(local: Name, answers: &BTreeMap<Name, Result<Engine, Error>>) -> Self {
        let mut peers = Self { site: Site { local, silent: BTreeMap::new() }, engines: BTreeMap::new() };
        for (node, answer) in answers {
            match answer {
                Ok(engine) => drop(peers.engines.insert(node.clone(), engine.clone())),
                Err(error) => drop(peers.site.silent.insert(node.clone(), error.to_string())),
            }
        }
        peers
    }
}

/// The node that this machine is.
pub async fn here(settings: &Settings) -> Result<Name, Error> {
    let own = HostNetwork::open()?.occupied().await?;
    local(settings, &own).cloned()
}

/// Connects to the engines of all nodes but one at once.
pub async fn ask(settings: &Settings, but: Option<&Name>) -> BTreeMap<Name, Result<Engine, Error>> {
    let others = settings.nodes.iter().filter(|node| Some(&node.name) != but);
    let answers = join_all(others.map(async |node| (node.name.clone(), Engine::connect(endpoint(node)).await)));
    answers.await.into_iter().collect()
}

/// Where a node's engine is.
fn endpoint(node: &NodeSettings) -> Endpoint {
    let tls = node.tls.as_ref().map(|tls| TlsFiles {
        ca: PathBuf::from(&tls.ca),
        certificate: PathBuf::from(&tls.certificate),
        key: PathBuf::from(&tls.key),
    });
    Endpoint { url: node.engine.clone(), tls }
}

/// The node whose address this machine has.
fn local<'a>(settings: &'a Settings, own: &[Occupied]) -> Result<&'a Name, Error> {
    let here = |node: &&NodeSettings| {
        own.iter().any(|own| own.kind == OccupiedKind::Address && own.network.addr() == node.address)
    };
    settings.nodes.iter().find(here).map(|node| &node.name).ok_or_else(|| {
        let known: Vec<String> =
            settings.nodes.iter().map(|node| format!("{} is {}", node.name, node.address)).collect();
        Error::new(ErrorKind::Environment, "octo runs on none of the cloud's nodes")
            .because_text(format!("this machine has no address of theirs: {}", known.join(", ")))
            .hint("run octo on one of them, or correct `nodes` in configuration.yaml")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::Role;

    #[test]
    fn the_node_is_known_by_its_address() {
        let node = |name, last: u8| NodeSettings {
            name: Name::fixed(name),
            address: [192, 0, 2, last].into(),
            engine: "unix:///run/docker.sock".to_owned(),
            roles: vec![Role::Control],
            number: None,
            tls: None,
        };
        let settings = Settings { nodes: vec![node("ctl1", 11), node("ctl2", 12)], ..Settings::default() };
        let own = |network: &str, kind| Occupied { interface: "eth0".into(), network: network.parse().unwrap(), kind };
        let here = [own("192.0.2.12/24", OccupiedKind::Address), own("192.0.2.11/32", OccupiedKind::Gateway)];
        assert_eq!(local(&settings, &here).unwrap().as_str(), "ctl2");
        let error = local(&settings, &here[1..]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Environment);
        assert!(error.causes[0].contains("ctl1 is 192.0.2.11"), "{error:?}");
    }
}
