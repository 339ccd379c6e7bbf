//! The doctor's judgement: facts about machines in, findings out. Every fact is optional, since
//! any of them may be out of reach; what is not known is not judged.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Serialize;

use super::name::Name;
use super::observed::Occupied;

mod host;
mod network;
mod nodes;

pub use network::{ExternalVip, WantedNetwork};
pub use nodes::{NodeFacts, NodesFacts, clock_ahead, examine_nodes, preflight_nodes};

/// The oldest version of the engine's API that octo speaks.
pub const OLDEST_API: (u16, u16) = (1, 41);
/// Free space below which a machine soon runs full.
pub const DISK_WARNING: u64 = 10 * GIB;
/// Free space below which building fails.
pub const DISK_FAILURE: u64 = 3 * GIB;
/// Free space below which nothing should be started.
pub const DISK_MINIMUM: u64 = GIB;
/// What a container of a small cloud uses on average, measured: eight of them stay below 1.5 GiB.
pub const MEMORY_PER_CONTAINER: u64 = 192 * MIB;
/// Processors for a lab that is pleasant to use.
pub const PROCESSORS: usize = 2;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What is known of a machine and of the cloud that it is for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The engine; `Err` says why it does not answer.
    pub engine: Option<Result<Engine, Trouble>>,
    /// The endpoint at which it was asked.
    pub endpoint: String,
    /// Whether octo runs as root.
    pub root: Option<bool>,
    /// Processors.
    pub processors: Option<usize>,
    /// Whether it has a vote in the cloud and nothing else, for which one processor is enough.
    pub small: bool,
    /// Bytes of memory that new processes can have.
    pub memory_available: Option<u64>,
    /// Bytes of memory in all: what is judged where nobody can tell how much new processes can have.
    pub memory_total: Option<u64>,
    /// Capabilities that containers need and that this machine cannot give.
    pub missing_capabilities: Option<Vec<String>>,
    /// Containers of the cloud that do not run yet.
    pub containers_to_start: Option<usize>,
    /// Those, and the ones that run.
    pub containers: Option<usize>,
    /// The places that octo fills.
    pub disks: Vec<Disk>,
    /// Directories that octo writes.
    pub directories: Vec<Directory>,
    /// What the kernel can do, by name; `false` where it is known to be missing.
    pub kernel: BTreeMap<KernelFeature, bool>,
    /// Devices that containers of the cloud need, and whether the machine has them; `None` where
    /// nobody can tell.
    pub devices: BTreeMap<String, Option<bool>>,
    /// Whether the host forwards IPv4.
    pub ip_forward: Option<bool>,
    /// Ports of the cloud that others listen on -> who.
    pub taken_ports: Option<BTreeMap<(Ipv4Addr, u16), String>>,
    /// The cloud's network.
    pub network: Option<WantedNetwork>,
    /// Addresses and routes of the host; none at all means that they are not known.
    pub occupied: Vec<Occupied>,
    /// The MTU of the default route's interface.
    pub default_mtu: Option<u32>,
    /// Whether something keeps the clock right.
    pub clock_synchronised: Option<bool>,
    /// The host's name, and whether it resolves.
    pub host_name: Option<(String, bool)>,
    /// Whether a Debian base must be bootstrapped here, and whether the tool for it is present.
    pub bootstrap: Option<Bootstrap>,
    /// Registries and mirrors that were asked, and why they did not answer.
    pub reached: BTreeMap<String, Result<(), String>>,
}

/// Why something is not as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What is wrong.
    pub reason: String,
    /// The command or edit that repairs it, if it is another than the usual one.
    pub repair: Option<String>,
}

/// What the engine says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Engine {
    /// Its identity, which no other engine has.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The newest API that it speaks, as `1.41`.
    pub api: String,
    /// Where its layers are.
    pub storage_driver: String,
    /// `1` or `2`.
    pub cgroup_version: String,
    /// Its data directory.
    pub root_directory: String,
    /// What it cannot limit (`memory`, `pids`), as it says itself.
    pub missing_limits: Vec<String>,
    /// What its machine's processors are: `x86_64`.
    pub architecture: String,
    /// The version of its machine's kernel.
    pub kernel: String,
}

/// A file system that octo fills.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    /// What is there, in words.
    pub purpose: String,
    /// The path.
    pub path: String,
    /// Free bytes.
    pub free: u64,
    /// Free and all inodes; both 0 where the file system does not count them.
    pub inodes: (u64, u64),
}

/// A directory that octo writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Directory {
    /// What is there, in words.
    pub purpose: String,
    /// The path.
    pub path: String,
    /// Why it cannot be written, if so.
    pub refused: Option<String>,
    /// Permission bits, if it exists.
    pub mode: Option<u32>,
    /// Whether others must not read it.
    pub private: bool,
}

/// What the kernel has to be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KernelFeature {
    /// Bridges.
    Bridge,
    /// Pairs of virtual interfaces.
    Veth,
    /// nftables or iptables.
    Firewall,
    /// Open vSwitch's own datapath. Without it, it moves packets in a process.
    OpenVswitch,
    /// Bridged packets pass the firewall. Not needed; it is good to know.
    BridgeFirewall,
}

/// Whether a Debian base can be bootstrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Whether one has to be.
    pub needed: bool,
    /// Whether mmdebstrap is present.
    pub tool: bool,
}

/// How serious a finding is. The order is that of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// octo cannot work like this.
    Failure,
    /// octo works, but.
    Warning,
    /// It should be looked at, and nobody can.
    Unknown,
    /// As it should be.
    Ok,
}

/// What the doctor found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The node, in a cloud of several; nothing if it is about all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Name>,
    /// How serious it is.
    pub level: Level,
    /// What was looked at, as one word or two.
    pub subject: &'static str,
    /// What was found.
    pub message: String,
    /// The command or edit that repairs it.
    pub repair: Option<String>,
}

impl Finding {
    fn ok(subject: &'static str, message: impl Into<String>) -> Self {
        Self { node: None, level: Level::Ok, subject, message: message.into(), repair: None }
    }

    fn unknown(subject: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Unknown, ..Self::ok(subject, message) }
    }

    fn warning(subject: &'static str, message: impl Into<String>, repair: impl Into<String>) -> Self {
        Self { level: Level::Warning, repair: Some(repair.into()), ..Self::ok(subject, message) }
    }

    fn failure(subject: &'static str, message: impl Into<String>, repair: impl Into<String>) -> Self {
        Self { level: Level::Failure, repair: Some(repair.into()), ..Self::ok(subject, message) }
    }
}

/// Judges everything that is known of a machine, in the order of reading.
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = host::engine(facts);
    findings.extend(host::machine(facts));
    findings.extend(host::disks(facts, DISK_FAILURE));
    findings.extend(host::directories(facts));
    findings.extend(host::devices(facts));
    findings.extend(network::kernel(facts));
    findings.extend(network::addresses(facts));
    findings.extend(network::reach(facts));
    findings
}

/// What has to be right before a plan is carried out. `builds`: whether images will be built.
pub fn preflight(facts: &Facts, builds: bool) -> Vec<Finding> {
    let mut findings = host::engine(facts);
    findings.extend(host::memory(facts));
    findings.extend(host::disks(facts, if builds { DISK_FAILURE } else { DISK_MINIMUM }));
    findings.extend(host::directories(facts));
    findings.extend(host::devices(facts));
    findings.extend(network::ports(facts));
    findings.retain(|finding| finding.level == Level::Failure);
    findings
}

/// Bytes for people: `1.5 GiB`, `512 MiB`.
fn bytes(number: u64) -> String {
    if number >= GIB {
        // Only for reading; the tenth is exact enough.
        format!("{}.{} GiB", number / GIB, number % GIB * 10 / GIB)
    } else {
        format!("{} MiB", number / MIB)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_judged() {
        assert_eq!(examine(&Facts::default()), []);
        assert_eq!(preflight(&Facts::default(), true), []);
    }

    #[test]
    fn bytes_are_short() {
        assert_eq!(bytes(3 * GIB / 2), "1.5 GiB");
        assert_eq!(bytes(200 * MIB), "200 MiB");
    }
}
