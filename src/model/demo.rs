//! What `octo demo` makes in a cloud, and what became of it: values and rules, no API.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use serde::Serialize;

use super::desired::DesiredProvider;
use super::settings::ProviderPool;

/// The catalog name of the image that is booted as an instance; no service runs in it.
pub const IMAGE: &str = "instance";
/// The description of all that the demo makes: what carries another is somebody else's, and stays.
pub const MARK: &str = "made by octo demo";
/// The physical network that the provider bridge is known by.
pub const PHYSICAL_NETWORK: &str = "provider";
/// The name of the external network and of its subnet.
pub const PROVIDER: &str = "provider";
/// The name of the instances' network and of its subnet.
pub const PRIVATE: &str = "private";
/// The name of the router between both, of the image and of the key pair.
pub const DEMO: &str = "demo";
/// Where the private key is written unless somebody says otherwise.
pub const KEY_FILE: &str = "octo-demo-key";
/// The property of an uploaded image that holds the tag's digest: what it was made from.
pub const DIGEST_PROPERTY: &str = "octo_digest";
/// The properties by which a scheduler finds a node for containers.
pub const CONTAINER_PROPERTIES: [(&str, &str); 2] = [("img_hv_type", "docker"), ("hw_vm_mode", "exe")];

/// The demo's flavors: name, mebibytes of memory, processors, gibibytes of disk.
pub const FLAVORS: [(&str, u32, u32, u32); 3] =
    [("c1.tiny", 128, 1, 1), ("c1.small", 512, 1, 2), ("c1.medium", 1024, 2, 4)];

/// What the demo lets into instances: protocol and port.
pub const RULES: [(&str, Option<u16>); 3] = [("icmp", None), ("tcp", Some(22)), ("tcp", Some(80))];

/// Subnets for the private network, by preference.
const PRIVATE_CHOICES: [(u8, u8); 4] = [(10, 205), (172, 29), (10, 206), (192, 168)];

/// The subnet of a provider network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSubnet {
    /// Its addresses.
    pub cidr: Ipv4Net,
    /// By which instances leave: the network's own router, else the host.
    pub gateway: Ipv4Addr,
    /// First and last of the addresses that are given away.
    pub pools: Vec<(Ipv4Addr, Ipv4Addr)>,
}

/// The subnet of a provider network with a pool of addresses, or that a host's address is in; `None` if
/// neither is known.
pub fn provider_subnet(provider: &DesiredProvider) -> Option<ProviderSubnet> {
    if let Some(ProviderPool { gateway, first, last }) = provider.pool {
        return Some(ProviderSubnet { cidr: gateway.trunc(), gateway: gateway.addr(), pools: vec![(first, last)] });
    }
    let host = provider.address?;
    let (cidr, gateway) = (host.trunc(), host.addr());
    let (network, broadcast) = (u32::from(cidr.network()), u32::from(cidr.broadcast()));
    let own = u32::from(gateway);
    let pools = [(network + 1, own - 1), (own + 1, broadcast - 1)]
        .into_iter()
        .filter(|(first, last)| first <= last)
        .map(|(first, last)| (Ipv4Addr::from(first), Ipv4Addr::from(last)))
        .collect();
    Some(ProviderSubnet { cidr, gateway, pools })
}

/// A subnet for instances that overlaps none of those that the node uses itself.
pub fn private_subnet(taken: &[Ipv4Net]) -> Ipv4Net {
    let choices = PRIVATE_CHOICES.map(|(first, second)| Ipv4Net::new_assert(Ipv4Addr::new(first, second, 0, 0), 24));
    let free = |choice: &&Ipv4Net| !taken.iter().any(|other| other.contains(*choice) || choice.contains(other));
    choices.iter().find(free).copied().unwrap_or(choices[0])
}

/// The digest in an image's tag.
pub fn digest_of(tag: &str) -> &str {
    tag.rsplit(':').next().unwrap_or(tag)
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was missing and is there now.
    Made,
    /// It was there with other content.
    Replaced,
    /// It was there.
    Present,
    /// It was there and is gone now.
    Removed,
    /// It was not there.
    Absent,
    /// It is not the demo's, and stays.
    Kept,
    /// Something needs it, so that it stays.
    InUse,
}

impl Outcome {
    /// Whether the cloud is another one afterwards.
    pub fn is_change(self) -> bool {
        matches!(self, Self::Made | Self::Replaced | Self::Removed)
    }

    /// What people read.
    pub fn words(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Replaced => "replaced",
            Self::Present => "is there",
            Self::Removed => "removed",
            Self::Absent => "is not there",
            Self::Kept => "kept",
            Self::InUse => "in use",
        }
    }
}

/// One object of the demo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// `network`, `flavor`…
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What there is to say about it.
    pub detail: Option<String>,
}

impl fmt::Display for Item {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind, self.name)
    }
}

/// What a run of the demo has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Whether it was about removing.
    pub removal: bool,
    /// The objects, in the order of their turn.
    pub items: Vec<Item>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Report {
    /// The objects that became others.
    pub fn changes(&self) -> usize {
        self.items.iter().filter(|item| item.outcome.is_change()).count()
    }

    /// The objects that something still needs.
    pub fn in_use(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.outcome == Outcome::InUse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(host: &str) -> Option<(String, Vec<String>)> {
        let (interface, address) = (None, Some(host.parse().unwrap()));
        let found = provider_subnet(&DesiredProvider { bridge: "br-ex".to_owned(), interface, address, pool: None })?;
        let pools = found.pools.iter().map(|(first, last)| format!("{first}-{last}")).collect();
        Some((format!("{} via {}", found.cidr, found.gateway), pools))
    }

    #[test]
    fn the_pool_leaves_out_the_host() {
        let said = |cidr: &str, pools: &[&str]| {
            Some((cidr.to_owned(), pools.iter().map(|&pool| pool.to_owned()).collect::<Vec<_>>()))
        };
        assert_eq!(subnet("10.204.0.1/24"), said("10.204.0.0/24 via 10.204.0.1", &["10.204.0.2-10.204.0.254"]));
        assert_eq!(subnet("10.204.0.254/24"), said("10.204.0.0/24 via 10.204.0.254", &["10.204.0.1-10.204.0.253"]));
        assert_eq!(
            subnet("192.0.2.100/25"),
            said("192.0.2.0/25 via 192.0.2.100", &["192.0.2.1-192.0.2.99", "192.0.2.101-192.0.2.126"])
        );
        assert_eq!(subnet("192.0.2.2/30"), said("192.0.2.0/30 via 192.0.2.2", &["192.0.2.1-192.0.2.1"]));
    }

    #[test]
    fn a_pool_is_all_there_is() {
        let address = |text: &str| text.parse().unwrap();
        let gateway = "192.0.2.1/24".parse().unwrap();
        let pool = ProviderPool { gateway, first: address("192.0.2.100"), last: address("192.0.2.199") };
        let interface = Some("eth1".to_owned());
        let mut provider = DesiredProvider { bridge: "br-ex".to_owned(), interface, address: None, pool: Some(pool) };
        let found = provider_subnet(&provider).unwrap();
        assert_eq!((found.cidr.to_string().as_str(), found.gateway), ("192.0.2.0/24", address("192.0.2.1")));
        assert_eq!(found.pools, [(pool.first, pool.last)]);
        provider.pool = None;
        assert_eq!(provider_subnet(&provider), None);
    }

    #[test]
    fn the_private_subnet_is_nobody_elses() {
        let taken = |nets: &[&str]| private_subnet(&nets.iter().map(|net| net.parse().unwrap()).collect::<Vec<_>>());
        assert_eq!(taken(&["10.203.0.0/24", "10.204.0.0/24"]).to_string(), "10.205.0.0/24");
        assert_eq!(taken(&["10.205.0.0/16"]).to_string(), "172.29.0.0/24");
        assert_eq!(taken(&["10.205.0.128/25", "172.16.0.0/12"]).to_string(), "10.206.0.0/24");
    }

    #[test]
    fn a_tag_holds_its_digest() {
        assert_eq!(digest_of("octo/instance:0123456789abcdef"), "0123456789abcdef");
    }
}
