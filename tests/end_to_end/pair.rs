//! Two control nodes and a witness, on simulated hosts: how they are changed, and what happens with every
//! fault. octo is at rest during faults, and runs again only to look, and to remove everything.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, Once};
use std::{panic, thread};

use crate::client::Client;
use crate::lab::{Finished, built, eventually, exported};
use crate::simulated::Hosts;
use crate::{faults, nodes, rolling, spread};

/// The host that octo runs on.
pub const FIRST: &str = "host1";
/// All hosts: two control nodes, then the witness.
pub const HOSTS: [&str; 3] = [FIRST, "host2", "host3"];
/// What the cloud's nodes on them are called.
pub const NODES: [&str; 3] = ["ctl1", "ctl2", "wit"];
/// The cloud's name, which the names of its containers begin with.
pub const CLOUD: &str = "e2e-pair";
const BRIDGE: &str = "octo-e2e-pair";
/// What a service complains about; not the lines of a traceback, which say it again.
const PLAINT: &str = r"WARNING|CRITICAL|ERROR \S+ \[|\[ERROR\]";
/// How many lines of each container's log a failed test shows.
const LAST_WORDS: usize = 6;
const INTERNAL_VIP: &str = "10.213.0.2";
/// Where users find the cloud, within the hosts' own subnet.
const EXTERNAL_VIP: u8 = 100;

/// What a test failed with.
static REASON: Mutex<String> = Mutex::new(String::new());

/// Has the reason of a failure kept, so that it can be told again after all that explains it.
fn keep_reason() {
    static KEPT: Once = Once::new();
    KEPT.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |failure| {
            *REASON.lock().unwrap() = failure.to_string();
            usual(failure);
        }));
    });
}

/// A cloud of several nodes.
pub struct Pair {
    /// Outside of all hosts. It goes before they do.
    client: Mutex<Client>,
    /// The hosts that it is on, named as in `HOSTS`.
    pub hosts: Hosts,
    /// Where octo is run; its configuration is there.
    pub directory: PathBuf,
    openrc: BTreeMap<String, String>,
}

impl Pair {
    /// A cloud on three hosts that is up.
    pub fn up_on(hosts: Hosts) -> Self {
        keep_reason();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(CLOUD);
        // Hosts are new each time, and state of an earlier one would be about nothing.
        if directory.exists() {
            fs::remove_dir_all(&directory).unwrap();
        }
        fs::create_dir_all(&directory).unwrap();
        let client = Mutex::new(Client::start(|words| hosts.command("switch", words)));
        let mut pair = Self { client, hosts, directory, openrc: BTreeMap::new() };
        pair.configure("");
        // Nothing is booted yet.
        pair.load_images(|image| !image.starts_with("octo/instance:"));
        pair.octo(&["up"]).succeeds();
        pair.openrc = exported(&pair.octo(&["openrc"]).succeeds().out);
        pair
    }

    /// Gives the first host those of the images that the configuration needs. The others get theirs from it,
    /// without a registry.
    pub fn load_images(&self, wanted: impl Fn(&str) -> bool) {
        let images = built(&self.directory, "configuration.yaml");
        let images: Vec<&str> = images.iter().map(String::as_str).filter(|image| wanted(image)).collect();
        self.hosts.load(FIRST, &images);
    }

    /// Writes the configuration, with further lines at its end.
    pub fn configure(&self, further: &str) {
        self.write("minimal", "", further);
    }

    /// The same with compute and networks. The last of the further lines are of `config`.
    pub fn configure_instances(&self, further: &str) {
        // Its own addresses are nobody's on the hosts' second network, which has no others.
        let provider = ", provider: {interface: eth1, \
                        pool: {gateway: 192.0.2.1/24, first: 192.0.2.100, last: 192.0.2.199}}";
        // A host's disk is small.
        self.write("standard", provider, &format!("{further}  nova: {{reserved_disk_mb: 512}}\n"));
    }

    fn write(&self, profile: &str, network: &str, further: &str) {
        let text = self.configuration(profile, network) + further;
        fs::write(self.directory.join("configuration.yaml"), text).unwrap();
    }

    fn configuration(&self, profile: &str, network: &str) -> String {
        let roles = ["control, compute", "control, compute", "witness"];
        let node = |((host, name), roles): ((&str, &str), &str)| {
            let (address, engine) = (self.hosts.address(host), self.hosts.socket(host));
            format!(
                "  - {{name: {name}, address: {address}, engine: \"unix://{}\", roles: [{roles}]}}\n",
                engine.display()
            )
        };
        let nodes: String = HOSTS.into_iter().zip(NODES).zip(roles).map(node).collect();
        let [a, b, c, _] = self.hosts.address(FIRST).octets();
        format!(
            "cloud: {CLOUD}\nprofile: {profile}\nbase: {{distro: debian}}\nnodes:\n{nodes}\
             network: {{management: {{subnet: 10.213.0.0/16}}, external_vip: {a}.{b}.{c}.{EXTERNAL_VIP}{network}}}\n"
        )
    }

    /// Runs a program on a host, or on `switch`, as a person who has read `openrc`.
    pub fn run(&self, host: &str, program: &str, arguments: &[&str]) -> Finished {
        let mut command = self.command(host, &[&[program], arguments].concat());
        command.stdin(Stdio::null());
        Finished::new(format!("{program} {}", arguments.join(" ")), &command.output().unwrap())
    }

    /// The same, to be run by the caller.
    pub fn command(&self, host: &str, words: &[&str]) -> Command {
        let mut command = self.hosts.command(host, words);
        command.current_dir(&self.directory).envs(&self.openrc).env("NO_COLOR", "1");
        command
    }

    /// Runs octo on the first host.
    pub fn octo(&self, arguments: &[&str]) -> Finished {
        let files = ["--config", "configuration.yaml", "--yes"];
        self.run(FIRST, env!("CARGO_BIN_EXE_octo"), &[&files, arguments].concat())
    }

    /// Runs octo on the second host, with the secrets and the configuration that the first one's octo has left there.
    pub fn octo_elsewhere(&self, arguments: &[&str]) -> Finished {
        let configuration = format!("/var/lib/octo/{CLOUD}/files/state/configuration.yaml");
        let files = ["--config", &configuration, "--yes"];
        self.run(HOSTS[1], env!("CARGO_BIN_EXE_octo"), &[&files, arguments].concat())
    }

    /// The real client, outside of all hosts.
    pub fn openstack(&self, arguments: &[&str]) -> Finished {
        self.client.lock().unwrap().run(arguments, &self.openrc)
    }

    /// The node on a host.
    pub fn node(host: &str) -> &'static str {
        NODES[HOSTS.iter().position(|known| *known == host).expect("a host of the pair")]
    }

    /// The full name of a container on a host.
    pub fn container(name: &str, host: &str) -> String {
        format!("{CLOUD}-{name}.{}", Self::node(host))
    }

    /// Makes a project. Whether it was acknowledged is told by the client.
    pub fn makes_project(&self, name: &str) -> bool {
        // One that the client has given up on may exist: the same again is a conflict then.
        self.openstack(&["project", "create", "--or-show", name]).code == Some(0)
    }

    /// The host that has the VIP.
    pub fn holder(&self) -> Option<&'static str> {
        let has = |host: &&str| {
            self.run(host, "ip", &["address", "show", "dev", BRIDGE]).out.contains(&format!("inet {INTERNAL_VIP}/"))
        };
        HOSTS.into_iter().find(has)
    }

    /// Whether everything is as it should be.
    pub fn is_well(&self) -> bool {
        [["plan", "--check"], ["status", "--check"]].iter().all(|verb| self.octo(verb).code == Some(0))
    }

    /// What octo finds to do, and how it says that everything is.
    pub fn told(&self) -> String {
        format!("{}{}", self.octo(&["plan", "up"]).all(), self.octo(&["status"]).all())
    }

    /// Waits until everything is as it should be, with nobody's help.
    pub fn comes_back(&self, after: &str) {
        assert!(eventually(300, || self.is_well()), "not well within 300 s after {after}");
    }
}

/// A failed test takes its hosts away, and with them all that their services have to say about it.
impl Drop for Pair {
    fn drop(&mut self) {
        if thread::panicking() {
            let told = self.octo(&["logs", "--since", "10m", "--timestamps", "--grep", PLAINT]);
            let words = format!("{}{}\n{}", last_words(&told.out), told.err, self.told());
            // The reason once more: of much output the end is what is kept.
            eprintln!("the services' last words:\n{words}\n{}", REASON.lock().unwrap());
        }
    }
}

/// The last lines of each container, of merged logs whose lines begin with its name.
fn last_words(logs: &str) -> String {
    let mut by_container: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in logs.lines() {
        by_container.entry(line.split(' ').next().unwrap_or_default()).or_default().push(line);
    }
    let last = |lines: &Vec<&str>| lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n");
    by_container.values().map(last).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_pair_changes_and_has_every_fault_and_loses_no_write() {
    let pair = Pair::up_on(Hosts::with_disks(3, faults::DISK));
    pair.octo(&["up"]).succeeds();
    pair.octo(&["plan", "--check"]).succeeds();
    assert!(pair.makes_project("before"));
    let changes = rolling::changes_cost_no_request(&pair);
    nodes::a_node_leaves_its_work(&pair);
    faults::each_once(&pair);
    spread::instances_outlive_the_majority(&pair, &changes);
    nodes::a_node_comes_back_without_its_data(&pair);
    for name in ["before", "while-one-is-removed"] {
        pair.openstack(&["project", "show", name]).succeeds();
    }
    nodes::clusters_forget_members(&pair);

    pair.octo(&["rm", "--volumes"]).succeeds();
    for host in HOSTS {
        for list in [&["ps", "--all", "--quiet"][..], &["volume", "ls", "--quiet"]] {
            assert_eq!(pair.run(host, "docker", list).succeeds().out, "", "{host} still has something");
        }
        let links = pair.run(host, "ip", &["-oneline", "link"]).succeeds().out;
        for part in ["octo-", "br-", "tap", "genev", "ovs"] {
            assert!(!links.contains(part), "{host} still has a bridge, a tunnel or a port: {links}");
        }
    }
}
