//! Facts about this machine, for the doctor. Looks and never judges; what cannot be found out is
//! left open.

#![expect(clippy::disallowed_methods, reason = "facts are read where the kernel shows them")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access, geteuid};

use super::docker::{Engine, EngineInfo};
use super::netlink::HostNetwork;
use crate::error::Error;
use crate::model::doctor::{self, Directory, Disk, Facts, KernelFeature, Trouble};

mod outlook;
pub mod remote;

/// How long the name service may take to know the host's own name.
const NAME_TIME: Duration = Duration::from_secs(2);
/// How long a registry or mirror may take to accept a connection.
const REACH_TIME: Duration = Duration::from_secs(4);

/// Capabilities by their number in the kernel.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The directories that octo writes.
pub struct Places<'a> {
    /// The state directory.
    pub state: &'a Path,
    /// The directory for log files.
    pub logs: &'a Path,
}

/// The engine's own account; `Err` says why there is none.
pub async fn engine(engine: &Result<Engine, Error>) -> Result<doctor::Engine, Trouble> {
    let silent = |error: &Error| Trouble { reason: because(error), repair: None };
    let engine = engine.as_ref().map_err(silent)?;
    engine.info().await.map(account).map_err(|error| silent(&error))
}

fn account(info: EngineInfo) -> doctor::Engine {
    let limits = [("memory", info.memory_limit), ("processes", info.pids_limit)];
    doctor::Engine {
        id: info.id,
        version: info.version,
        api: info.api_version,
        storage_driver: info.storage_driver,
        cgroup_version: info.cgroup_version,
        root_directory: info.root_directory,
        missing_limits: limits.iter().filter(|(_, present)| !present).map(|(name, _)| (*name).to_owned()).collect(),
        architecture: info.architecture,
        kernel: info.kernel,
    }
}

/// The innermost cause, which names what is wrong.
fn because(error: &Error) -> String {
    error.causes.last().cloned().unwrap_or_else(|| error.message.clone())
}

/// What is cheap to know and makes a plan fail: memory, disks, directories.
pub fn essential(facts: &mut Facts, places: &Places<'_>) {
    facts.memory_available = memory_available();
    let root = match &facts.engine {
        Some(Ok(engine)) => Some(PathBuf::from(&engine.root_directory)),
        _ => None,
    };
    let wanted = root.iter().map(|root| ("images and volumes", root.as_path())).chain([("state", places.state)]);
    facts.disks = wanted.filter_map(|(purpose, path)| disk(purpose, path)).collect();
    // One file system is one finding.
    facts.disks.dedup_by_key(|disk| (disk.free, disk.inodes));
    facts.directories = vec![directory("state", places.state, true), directory("logs", places.logs, false)];
}

/// Everything else that can be known without a network.
pub async fn machine(facts: &mut Facts, capabilities: impl Iterator<Item = String>) {
    facts.root = Some(geteuid().is_root());
    facts.processors = std::thread::available_parallelism().ok().map(usize::from);
    facts.missing_capabilities = bounding_set().map(|set| capabilities.filter(|name| !set.contains(name)).collect());
    facts.kernel = kernel();
    facts.ip_forward = read("/proc/sys/net/ipv4/ip_forward").map(|text| text.trim() == "1");
    if let Ok(network) = HostNetwork::open()
        && let Ok(occupied) = network.occupied().await
    {
        facts.occupied = occupied;
    }
    facts.default_mtu = default_interface()
        .and_then(|interface| read(format!("/sys/class/net/{interface}/mtu")))
        .and_then(|text| text.trim().parse().ok());
    facts.clock_synchronised = clock().await;
    facts.host_name = host_name().await;
}

/// Which of some devices the machine has.
pub fn devices<'a>(wanted: impl Iterator<Item = &'a String>) -> BTreeMap<String, Option<bool>> {
    wanted.map(|path| (path.clone(), Some(Path::new(path).exists()))).collect()
}

/// Whether something accepts connections at `host:port`.
pub async fn reach(address: &str) -> Result<(), String> {
    match tokio::time::timeout(REACH_TIME, tokio::net::TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} seconds", REACH_TIME.as_secs())),
    }
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn memory_available() -> Option<u64> {
    available_in(read("/proc/meminfo")?.lines())
}

/// The memory that new processes can have, from the lines in which a kernel shows its memory.
fn available_in<'a>(mut lines: impl Iterator<Item = &'a str>) -> Option<u64> {
    let line = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The path itself, or the closest directory above it that exists.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"))
}

fn disk(purpose: &str, path: &Path) -> Option<Disk> {
    let found = statvfs(existing(path)).ok()?;
    Some(Disk {
        purpose: purpose.to_owned(),
        path: path.display().to_string(),
        free: found.blocks_available() * found.fragment_size(),
        inodes: (found.files_available(), found.files()),
    })
}

fn directory(purpose: &str, path: &Path, private: bool) -> Directory {
    let refused = access(existing(path), AccessFlags::W_OK | AccessFlags::X_OK).err();
    let mode = fs::metadata(path).ok().map(|metadata| metadata.permissions().mode());
    Directory {
        purpose: purpose.to_owned(),
        path: path.display().to_string(),
        refused: refused.map(|error| error.desc().to_owned()),
        mode,
        private,
    }
}

/// The capabilities that processes of this machine can have at all.
fn bounding_set() -> Option<Vec<String>> {
    let text = read("/proc/self/status")?;
    let mask = text.lines().find_map(|line| line.strip_prefix("CapBnd:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    let held = |number: &usize| mask >> number & 1 == 1;
    Some((0..CAPABILITIES.len()).filter(held).map(|number| CAPABILITIES[number].to_owned()).collect())
}

/// Features that the kernel shows to have. Those that it only might load count as present; where
/// it keeps no list of modules, nothing is known to be missing.
fn kernel() -> BTreeMap<KernelFeature, bool> {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let modules = Path::new("/lib/modules").join(release.trim());
    let lists: Vec<String> =
        ["modules.builtin", "modules.dep"].iter().filter_map(|list| read(modules.join(list))).collect();
    let known = |names: &[&str]| {
        let loaded = names.iter().any(|name| Path::new("/sys/module").join(name).exists());
        let listed = names.iter().any(|name| lists.iter().any(|list| list.contains(&format!("/{name}.ko"))));
        match (loaded || listed, lists.is_empty()) {
            (true, _) => Some(true),
            (false, true) => None,
            (false, false) => Some(false),
        }
    };
    let any_bridge = fs::read_dir("/sys/class/net")
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.path().join("bridge").exists()));
    let firewall = Path::new("/proc/net/ip_tables_names").exists() || Path::new("/proc/net/nf_conntrack").exists();
    let found = [
        (KernelFeature::Bridge, if any_bridge { Some(true) } else { known(&["bridge"]) }),
        (KernelFeature::Veth, known(&["veth"])),
        (KernelFeature::OpenVswitch, known(&["openvswitch"])),
        (KernelFeature::Firewall, if firewall { Some(true) } else { known(&["nf_tables", "ip_tables"]) }),
        (
            KernelFeature::BridgeFirewall,
            Some(read("/proc/sys/net/bridge/bridge-nf-call-iptables").is_some_and(|text| text.trim() == "1")),
        ),
    ];
    found.into_iter().filter_map(|(feature, present)| Some((feature, present?))).collect()
}

/// The interface of the IPv4 default route.
fn default_interface() -> Option<String> {
    let text = read("/proc/net/route")?;
    let mut routes = text.lines().skip(1).map(|line| line.split_whitespace());
    routes.find_map(|mut fields| {
        let interface = fields.next()?;
        (fields.next()? == "00000000").then(|| interface.to_owned())
    })
}

/// Whether something keeps the clock right: what the usual programs leave behind, else what
/// systemd knows. Without an answer from either nothing is known.
async fn clock() -> Option<bool> {
    let traces = ["/run/systemd/timesync/synchronized", "/run/chrony/chronyd.sock", "/run/ntpd.pid"];
    if traces.iter().any(|trace| Path::new(trace).exists()) {
        return Some(true);
    }
    let mut command = tokio::process::Command::new("timedatectl");
    command.args(["show", "--property=NTPSynchronized", "--value"]).kill_on_drop(true);
    let output = tokio::time::timeout(NAME_TIME, command.output()).await.ok()?.ok()?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

async fn host_name() -> Option<(String, bool)> {
    let name = read("/proc/sys/kernel/hostname")?.trim().to_owned();
    let looked_up = tokio::time::timeout(NAME_TIME, tokio::net::lookup_host((name.as_str(), 0))).await;
    let resolves = looked_up.is_ok_and(|answer| answer.is_ok_and(|mut found| found.next().is_some()));
    Some((name, resolves))
}
