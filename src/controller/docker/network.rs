//! Docker networks.
//!
//! What Docker (20.10.24) does with a bridge that exists when the network is created on it: it
//! keeps every address of the bridge as long as the gateway is among them, sets no MTU on it, and
//! leaves the bridge alone when the network is removed, as well as when the engine restarts. Its
//! iptables rules for the network go with the network. After a reboot, Docker makes the missing
//! bridge itself, with the gateway alone: the internal VIP and the MTU are missing until octo has
//! seen to the bridge. Such a bridge, too, outlives the removal of the network.

use std::collections::HashMap;

use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};
use bollard::query_parameters::InspectNetworkOptions;
use ipnet::Ipv4Net;

use super::Engine;
use super::failure::{explain, foreign, is_missing, removed};
use crate::error::{Error, ErrorKind};
use crate::model::desired::DesiredNetwork;
use crate::model::label;
use crate::model::name::Name;
use crate::model::observed::ObservedNetwork;

/// The bridge driver's option for the bridge's name.
pub const BRIDGE_OPTION: &str = "com.docker.network.bridge.name";
const MTU_OPTION: &str = "com.docker.network.driver.mtu";

/// The prefix of the range that addresses without a plan (those of jobs) come from.
const DYNAMIC_PREFIX: u8 = 28;

/// The last 16 addresses of a subnet: the engine hands them out to jobs. Planned addresses must
/// stay below, or a job could take the address of a container that does not run.
pub fn dynamic_range(subnet: Ipv4Net) -> Ipv4Net {
    let prefix = DYNAMIC_PREFIX.max(subnet.prefix_len());
    Ipv4Net::new(subnet.broadcast(), prefix).map_or(subnet, |range| range.trunc())
}

impl Engine {
    /// Creates the management network on its bridge. It exists already: that is success if it
    /// is this cloud's and stands on the same bridge and subnet.
    pub async fn create_network(
        &self,
        cloud: &Name,
        node: &Name,
        network: &DesiredNetwork,
        mtu: u32,
    ) -> Result<(), Error> {
        let name = &network.name;
        // The engine allows several networks with one name, so it has to be asked before.
        if let Some((owner, existing)) = self.network(name).await? {
            if owner.as_deref() != Some(cloud.as_str()) {
                return Err(foreign("network", name));
            }
            if existing.bridge == network.bridge && existing.subnet == network.subnet.to_string() {
                return Ok(());
            }
            return Err(Error::new(
                ErrorKind::Operation,
                format!("network {name} exists on {} with {}", existing.bridge, existing.subnet),
            )
            .hint("run `octo plan` again"));
        }
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".to_owned()),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(network.subnet.to_string()),
                    gateway: Some(network.gateway.to_string()),
                    ip_range: Some(dynamic_range(network.range).to_string()),
                    ..IpamConfig::default()
                }]),
                ..Ipam::default()
            }),
            options: Some(HashMap::from([
                (BRIDGE_OPTION.to_owned(), network.bridge.clone()),
                (MTU_OPTION.to_owned(), mtu.to_string()),
            ])),
            labels: Some(HashMap::from([
                (label::CLOUD.to_owned(), cloud.to_string()),
                (label::NODE.to_owned(), node.to_string()),
            ])),
            ..NetworkCreateRequest::default()
        };
        self.client()
            .create_network(request)
            .await
            .map(drop)
            .map_err(|error| explain(&format!("cannot create network {name}"), &error))
    }

    /// Removes a network; one that is not there is success.
    pub async fn remove_network(&self, name: &str) -> Result<(), Error> {
        removed(self.client().remove_network(name).await, &format!("network {name}"))
    }

    /// A network by name, and the cloud in its label.
    pub async fn network(&self, name: &str) -> Result<Option<(Option<String>, ObservedNetwork)>, Error> {
        let found = match self.client().inspect_network(name, None::<InspectNetworkOptions>).await {
            Ok(found) => found,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(explain(&format!("cannot look at network {name}"), &error)),
        };
        let owner = found.labels.and_then(|mut labels| labels.remove(label::CLOUD));
        let subnets = found.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let containers = found.containers.unwrap_or_default();
        let observed = ObservedNetwork {
            bridge: found.options.and_then(|mut options| options.remove(BRIDGE_OPTION)).unwrap_or_default(),
            subnet: subnets.into_iter().find_map(|config| config.subnet).unwrap_or_default(),
            containers: containers.into_values().filter_map(|endpoint| endpoint.name).collect(),
        };
        Ok(Some((owner, observed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_out_the_last_addresses() {
        let range = |text: &str| dynamic_range(text.parse().unwrap()).to_string();
        assert_eq!(range("10.203.0.0/24"), "10.203.0.240/28");
        assert_eq!(range("10.203.0.0/16"), "10.203.255.240/28");
    }
}
