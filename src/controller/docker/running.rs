//! The containers that run on an engine, whoever they belong to, as one list tells of them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum, PortSummaryTypeEnum};
use bollard::query_parameters::ListContainersOptions;

use super::Engine;
use super::failure::explain;
use crate::error::Error;
use crate::model::label;
use crate::model::name::Name;

/// A container that runs, or is paused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Its name.
    pub name: String,
    /// The cloud that it says it belongs to.
    pub cloud: Option<String>,
    /// Whether it is one of a service's lasting containers, and a command can be run in it.
    pub serves: bool,
    /// Whether it shares the host's network.
    pub on_host_network: bool,
    /// The addresses and TCP ports of the host that the engine passes on to it.
    pub published: BTreeSet<(Ipv4Addr, u16)>,
}

impl Running {
    /// Whether it is a cloud's.
    pub fn is_of(&self, cloud: &Name) -> bool {
        self.cloud.as_deref() == Some(cloud.as_str())
    }

    /// Whether the engine passes on to it what comes to a port of an address.
    pub fn publishes(&self, address: Ipv4Addr, port: u16) -> bool {
        let same = |own: Ipv4Addr| own == address || own.is_unspecified() || address.is_unspecified();
        self.published.iter().any(|(own, number)| *number == port && same(*own))
    }
}

impl Engine {
    /// All containers that run.
    pub async fn running(&self) -> Result<Vec<Running>, Error> {
        let found = self.brief().list_containers(None::<ListContainersOptions>).await;
        let found = found.map_err(|error| explain("cannot list containers", &error))?;
        Ok(found.into_iter().filter_map(running).collect())
    }
}

fn running(found: ContainerSummary) -> Option<Running> {
    let name = found.names?.into_iter().next()?.trim_start_matches('/').to_owned();
    let mut labels = found.labels.unwrap_or_default();
    let ports = found.ports.unwrap_or_default().into_iter();
    let published = ports.filter(|port| port.typ == Some(PortSummaryTypeEnum::TCP)).filter_map(|port| {
        // An address of IPv6 is none that a cloud could want.
        let address = port.ip.as_deref().filter(|ip| !ip.is_empty()).map_or(Ok(Ipv4Addr::UNSPECIFIED), str::parse);
        Some((address.ok()?, port.public_port?))
    });
    Some(Running {
        name,
        published: published.collect(),
        serves: labels.contains_key(label::CONTAINER) && found.state == Some(ContainerSummaryStateEnum::RUNNING),
        on_host_network: found.host_config.and_then(|host| host.network_mode).as_deref() == Some("host"),
        cloud: labels.remove(label::CLOUD),
    })
}

#[cfg(test)]
mod tests {
    use bollard::models::{ContainerSummaryHostConfig, PortSummary};

    use super::*;

    #[test]
    fn knows_whose_a_container_is_and_what_it_takes() {
        let port = |ip: &str, public_port, typ| PortSummary {
            ip: Some(ip.to_owned()),
            public_port,
            private_port: 80,
            typ: Some(typ),
        };
        let summary = ContainerSummary {
            names: Some(vec!["/web".to_owned()]),
            ports: Some(vec![
                port("127.0.0.1", Some(8404), PortSummaryTypeEnum::TCP),
                port("0.0.0.0", Some(53), PortSummaryTypeEnum::UDP),
                port("::", Some(81), PortSummaryTypeEnum::TCP),
                port("0.0.0.0", None, PortSummaryTypeEnum::TCP),
            ]),
            ..ContainerSummary::default()
        };
        let web = running(summary.clone()).unwrap();
        assert_eq!((web.name.as_str(), web.serves, web.on_host_network), ("web", false, false));
        assert_eq!(web.published, BTreeSet::from([(Ipv4Addr::LOCALHOST, 8404)]));
        assert!(web.publishes(Ipv4Addr::LOCALHOST, 8404) && web.publishes(Ipv4Addr::UNSPECIFIED, 8404));
        assert!(!web.publishes(Ipv4Addr::new(10, 203, 1, 1), 8404) && !web.publishes(Ipv4Addr::LOCALHOST, 81));

        let labels = [(label::CLOUD, "lab"), (label::CONTAINER, "keeper")];
        let keeper = ContainerSummary {
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            state: Some(ContainerSummaryStateEnum::RUNNING),
            host_config: Some(ContainerSummaryHostConfig {
                network_mode: Some("host".to_owned()),
                ..ContainerSummaryHostConfig::default()
            }),
            ..summary
        };
        let keeper = running(keeper).unwrap();
        assert!(keeper.is_of(&Name::fixed("lab")) && !keeper.is_of(&Name::fixed("other")));
        assert!(keeper.serves && keeper.on_host_network);
    }
}
