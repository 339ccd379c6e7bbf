//! Where the parts of a cloud are reached: by the load balancer, and by octo itself.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::Resolver;
use super::network::Addresses;
use crate::model::catalog::{Attachment, Container, Health, Part, Service};
use crate::model::desired::{Access, DesiredBackend, DesiredFrontend, DesiredNetwork};
use crate::model::name::Name;

/// The port of RabbitMQ's management plugin, from its documentation.
const MESSAGE_BUS_MANAGEMENT_PORT: u16 = 15672;

impl Resolver<'_> {
    /// The addresses of a container on all nodes that have it.
    fn places<'b>(
        &'b self,
        service: &'b Name,
        name: &'b Name,
        container: &'b Container,
        addresses: &'b Addresses,
    ) -> impl Iterator<Item = (&'b Name, String, Ipv4Addr)> + 'b {
        self.nodes_with(&container.roles, container.topology).filter_map(move |node| {
            let full = self.full_name(service, name, node);
            let address = *addresses.get(&full)?;
            Some((node, full, address))
        })
    }

    pub(super) fn frontends(&self, addresses: &Addresses) -> BTreeMap<String, DesiredFrontend> {
        let mut frontends = BTreeMap::new();
        for (name, service) in &self.services {
            for (frontend_name, frontend) in &service.frontends {
                if frontend.topology.is_some_and(|topology| topology != self.topology) {
                    continue;
                }
                let Some(container) = service.containers.get(&frontend.container) else { continue };
                let port = frontend.backend_port.unwrap_or(frontend.port);
                let backends = self
                    .places(name, &frontend.container, container, addresses)
                    .map(|(node, full, address)| DesiredBackend { name: full, node: node.clone(), address, port });
                frontends.insert(
                    format!("{name}-{frontend_name}"),
                    DesiredFrontend {
                        service: (*name).clone(),
                        frontend: frontend.clone(),
                        backends: backends.collect(),
                    },
                );
            }
        }
        frontends
    }

    pub(super) fn access(&self, addresses: &Addresses, network: &DesiredNetwork) -> Access {
        // A part's first container is the one that answers.
        let direct = |part| {
            let (name, service) = self.provider(part)?;
            let (container_name, container) = self.main_container(service)?;
            let found: Vec<Ipv4Addr> =
                self.places(name, container_name, container, addresses).map(|(_, _, address)| address).collect();
            (!found.is_empty()).then_some((name, container, found))
        };
        let identity = self.provider(Part::Identity).and_then(|(name, service)| {
            let entry = service.identity.as_ref()?.catalog.as_ref()?;
            Some((name, service.frontends.get(&entry.frontend)?.port, &entry.path))
        });
        Access {
            database: direct(Part::Database).and_then(|(name, container, found)| {
                let port = container.ports.first()?;
                Some((name.clone(), found.iter().map(|address| format!("{address}:{port}")).collect()))
            }),
            message_bus: direct(Part::MessageBus).map(|(name, _, found)| {
                let url = |address: &Ipv4Addr| format!("http://{address}:{MESSAGE_BUS_MANAGEMENT_PORT}");
                (name.clone(), found.iter().map(url).collect())
            }),
            identity: identity
                .map(|(name, port, path)| (name.clone(), format!("http://{}:{port}{path}", network.internal_vip))),
            public_identity: identity
                .map(|(_, port, path)| format!("http://{}:{port}{path}", self.external_host(network))),
        }
    }

    /// The container of a service that others talk to: that of its first frontend, else the first
    /// that listens on the management network.
    fn main_container<'b>(&self, service: &'b Service) -> Option<(&'b Name, &'b Container)> {
        let offered = service.frontends.values().next().map(|frontend| &frontend.container);
        let offered = offered.and_then(|name| service.containers.get_key_value(name));
        offered.or_else(|| {
            let mut containers = service.containers.iter();
            containers.find(|(_, container)| container.network == Attachment::Management && !container.ports.is_empty())
        })
    }

    /// The log collector as a node's containers reach it: their own node's.
    pub(super) fn log_address(&self, addresses: &Addresses, node: &Name) -> Option<String> {
        let (name, service) = self.provider(Part::LogCollector)?;
        let (container_name, container) = self.main_container(service)?;
        let address = addresses.get(&self.full_name(name, container_name, node))?;
        Some(format!("{address}:{}", container.ports.first()?))
    }

    /// The load balancer answers about itself at the port that the operator chose for statistics.
    pub(super) fn health(&self, service: &Service, container: &Container) -> Health {
        match &container.health {
            Health::Http { path, .. } if service.provides == Some(Part::LoadBalancer) => {
                Health::Http { port: self.settings.network.stats_port, path: path.clone() }
            }
            health => health.clone(),
        }
    }
}
