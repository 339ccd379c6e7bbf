//! The settings: `configuration.yaml` as types, with defaults that make an empty file a lab.
//!
//! Every doc comment here is also the text of the JSON Schema and of editors' completion.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalog::Distro;
use super::name::Name;
use super::node::Role;

/// `configuration.yaml`: what this cloud wants.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The cloud's name: part of the name of all that octo makes for it. At most 10 characters.
    pub cloud: Name,
    /// The OpenStack region.
    pub region: String,
    /// The OpenStack release: `2026.1`.
    pub release: String,
    /// Further bundles (directories with a services.yaml), relative to this file.
    pub include: Vec<String>,
    /// The set of services, from `profiles` in services.yaml.
    pub profile: Name,
    /// Services beyond the profile's. What they need comes with them.
    pub services: Vec<Name>,
    /// What the images stand on.
    pub base: Base,
    /// How images are built.
    pub build: Build,
    /// The cloud's machines. Without any: the one that octo runs on.
    pub nodes: Vec<NodeSettings>,
    /// Networks and addresses.
    pub network: Network,
    /// The operator's last word: service -> file name -> section -> option -> value. For files
    /// without sections the options stand directly under the file.
    pub overrides: BTreeMap<Name, BTreeMap<String, BTreeMap<String, serde_json::Value>>>,
    /// Values for the services' templates, merged over `config` in services.yaml.
    pub config: BTreeMap<Name, BTreeMap<String, serde_json::Value>>,
    /// Log files.
    pub logging: Logging,
    /// Limits of containers, and processes per service.
    pub limits: Limits,
}

impl Settings {
    /// The name of the management bridge on the host.
    pub fn bridge(&self) -> String {
        self.network.management.bridge.clone().unwrap_or_else(|| format!("octo-{}", self.cloud))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cloud: Name::fixed("lab"),
            region: "RegionOne".to_owned(),
            release: "2026.1".to_owned(),
            include: Vec::new(),
            profile: Name::fixed("standard"),
            services: Vec::new(),
            base: Base::default(),
            build: Build::default(),
            nodes: Vec::new(),
            network: Network::default(),
            overrides: BTreeMap::new(),
            config: BTreeMap::new(),
            logging: Logging::default(),
            limits: Limits::default(),
        }
    }
}

/// What the images stand on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Base {
    /// The distribution inside the images.
    pub distro: DistroChoice,
    /// The base image. Without it: CentOS Stream's image from its registry, or a Debian base
    /// bootstrapped from the distribution's packages.
    pub image: Option<String>,
}

/// Which distribution the images stand on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DistroChoice {
    /// CentOS Stream 10 where all that the recipes need can be had, else Debian 13.
    #[default]
    Auto,
    /// CentOS Stream 10.
    Centos,
    /// Debian 13.
    Debian,
}

impl DistroChoice {
    /// The distribution, if the operator has chosen one.
    pub fn fixed(self) -> Option<Distro> {
        match self {
            Self::Auto => None,
            Self::Centos => Some(Distro::Centos),
            Self::Debian => Some(Distro::Debian),
        }
    }
}

/// How images are built.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Build {
    /// Certificates of the authorities that builds trust: a PEM file, relative to this one.
    /// Without it: the host's bundle.
    pub ca_bundle: Option<String>,
    /// Proxy for `http:`. Without it: `HTTP_PROXY` or `http_proxy` of octo's environment.
    pub http_proxy: Option<String>,
    /// Proxy for `https:`. Without it: `HTTPS_PROXY` or `https_proxy` of octo's environment.
    pub https_proxy: Option<String>,
    /// Hosts that are reached without a proxy. Without it: `NO_PROXY` or `no_proxy`.
    pub no_proxy: Option<String>,
    /// Python package index. Without it: the tool's own default.
    pub pip_index: Option<String>,
    /// Debian mirror: the directory that holds `dists/`. Without it: the host's for a base that octo
    /// makes, what `base.image` names for one of your own.
    pub apt_mirror: Option<String>,
    /// Mirror of Debian's security updates, beside `apt_mirror`. Without it, what `apt_mirror` has
    /// is all that there is.
    pub apt_security_mirror: Option<String>,
    /// CentOS mirror: the directory that holds `10-stream/`. Without it: what the base image names.
    pub dnf_mirror: Option<String>,
    /// How many images are built at once. Without it: one more than there are processors, since a
    /// build often waits for the network or the disk.
    #[schemars(range(min = 1, max = 64))]
    pub parallelism: Option<u16>,
}

/// A machine of the cloud, with a Docker Engine of its own.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeSettings {
    /// Its name: part of the names of all that octo makes on it. At most 10 characters.
    pub name: Name,
    /// The address where the other nodes reach it.
    pub address: Ipv4Addr,
    /// Its Docker Engine: `unix://…`, `tcp://…` or `ssh://…`. Without it: the socket of the machine
    /// that octo runs on.
    #[serde(default = "NodeSettings::default_engine")]
    pub engine: String,
    /// What it is for.
    pub roles: Vec<Role>,
    /// The number of its range in the management subnet. Without it: its place in the list.
    #[serde(default)]
    #[schemars(range(min = 1, max = 250))]
    pub number: Option<u8>,
    /// Certificates for an engine that is reached by `tcp://`.
    #[serde(default)]
    pub tls: Option<EngineTls>,
}

impl NodeSettings {
    fn default_engine() -> String {
        "unix:///var/run/docker.sock".to_owned()
    }
}

/// How octo and an engine prove to each other who they are. Paths are relative to this file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineTls {
    /// The authority that has signed the engine's certificate: a PEM file.
    pub ca: String,
    /// octo's own certificate: a PEM file.
    pub certificate: String,
    /// The key of that: a PEM file.
    pub key: String,
}

/// How the management bridges of several nodes are one network.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Uplink {
    /// Over the nodes' addresses, in unicast VXLAN packets.
    Vxlan(Vxlan),
    /// Over a network interface (or VLAN) that each node has under this name and uses for nothing else.
    Interface(String),
}

impl Default for Uplink {
    fn default() -> Self {
        Self::Vxlan(Vxlan::default())
    }
}

/// A VXLAN between the nodes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Vxlan {
    /// Its identifier, which no other VXLAN between these machines has.
    #[schemars(range(min = 1, max = 16_777_215))]
    pub id: u32,
    /// The UDP port.
    #[schemars(range(min = 1))]
    pub port: u16,
}

impl Default for Vxlan {
    fn default() -> Self {
        // IANA's port for VXLAN.
        Self { id: 203, port: 4789 }
    }
}

/// Networks and addresses.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// The management network, between this cloud's containers.
    pub management: Management,
    /// The provider network, between instances and the world.
    pub provider: Provider,
    /// The address on the management network where services find each other. Without it: the
    /// second address of the subnet.
    pub internal_vip: Option<Ipv4Addr>,
    /// The address for users. Loopback: nothing is open to other machines.
    pub external_vip: Ipv4Addr,
    /// The network interface of the control nodes that the external VIP is set on, where there are
    /// several. Without it: the one whose subnet the VIP is in.
    pub external_interface: Option<String>,
    /// The name for users, if the external VIP has one in DNS.
    pub external_name: Option<String>,
    /// The port of the load balancer's statistics and metrics, on the internal VIP.
    #[schemars(range(min = 1))]
    pub stats_port: u16,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            management: Management::default(),
            provider: Provider::default(),
            internal_vip: None,
            external_vip: Ipv4Addr::LOCALHOST,
            external_interface: None,
            external_name: None,
            stats_port: 8404,
        }
    }
}

/// The management network.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Management {
    /// Its subnet, between /16 and /24. It must overlap nothing that the host can reach. With several
    /// nodes each has a /24 of it.
    #[schemars(with = "String", extend("format" = "ipv4-net"))]
    pub subnet: Ipv4Net,
    /// The bridge's name on the host, at most 15 characters. Without it: `octo-<cloud>`.
    pub bridge: Option<String>,
    /// The MTU of the bridge and the containers. Without it: that of the host's default route.
    #[schemars(range(min = 1280, max = 9216))]
    pub mtu: Option<u16>,
    /// How the bridges of several nodes are one network.
    pub uplink: Uplink,
}

impl Default for Management {
    fn default() -> Self {
        let subnet = Ipv4Net::new_assert(Ipv4Addr::new(10, 203, 0, 0), 24);
        Self { subnet, bridge: None, mtu: None, uplink: Uplink::default() }
    }
}

/// The provider network: where routers and floating IPs meet the world outside the cloud.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// The name of the Open vSwitch bridge on the host, at most 15 characters.
    pub bridge: String,
    /// The network interface of the host that becomes a port of the bridge. It must have no address.
    pub interface: Option<String>,
    /// The host's own address on the bridge, with the subnet's prefix length: instances reach the
    /// host by it, and the host their floating IPs. Without it: 10.204.0.1/24 where no interface is
    /// given, else none.
    #[schemars(with = "Option<String>", extend("format" = "ipv4-net"))]
    pub address: Option<Ipv4Net>,
    /// What of the network `octo demo` and `octo verify` may give to routers and floating IPs, where not
    /// this host is its gateway. Without it: all but `address`, which is the gateway then.
    pub pool: Option<ProviderPool>,
}

/// A range of the provider network's addresses that nobody else has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderPool {
    /// The address of the network's own router, with the subnet's prefix length.
    #[schemars(with = "String", extend("format" = "ipv4-net"))]
    pub gateway: Ipv4Net,
    /// The first address of the range.
    pub first: Ipv4Addr,
    /// The last one.
    pub last: Ipv4Addr,
}

impl Provider {
    /// The host's own address on the bridge, as given or as a lab has it.
    pub fn host_address(&self) -> Option<Ipv4Net> {
        let lab = Ipv4Net::new_assert(Ipv4Addr::new(10, 204, 0, 1), 24);
        self.address.or_else(|| self.interface.is_none().then_some(lab))
    }
}

impl Default for Provider {
    fn default() -> Self {
        Self { bridge: "br-ex".to_owned(), interface: None, address: None, pool: None }
    }
}

/// Log files.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Logging {
    /// The directory on the host with one file for each container.
    pub directory: String,
    /// Whether services log what only their developers need.
    pub debug: bool,
}

impl Default for Logging {
    fn default() -> Self {
        Self { directory: "/var/log/octopenstack".to_owned(), debug: false }
    }
}

/// Limits of containers, and processes per service.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory of a container: a number with `K`, `M` or `G`.
    pub memory: String,
    /// Processes and threads of a container.
    #[schemars(range(min = 16))]
    pub pids: u32,
    /// Processes of each API. Without it: sized to the machine (one per two processors, 1 to 8).
    #[schemars(range(min = 1, max = 64))]
    pub workers: Option<u16>,
    /// Threads of each API process: requests that it can have under way. While the database waits for a member
    /// that was lost, each write occupies one.
    #[schemars(range(min = 1, max = 64))]
    pub threads: u16,
    /// Limits of single containers, by `<service>-<container>`: `keystone-api: {memory: 2G}`.
    pub containers: BTreeMap<String, ContainerLimits>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: "1G".to_owned(), pids: 512, workers: None, threads: 8, containers: BTreeMap::new() }
    }
}

/// Limits of one container.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContainerLimits {
    /// Memory: a number with `K`, `M` or `G`.
    pub memory: Option<String>,
    /// Processes and threads.
    #[schemars(range(min = 16))]
    pub pids: Option<u32>,
}
