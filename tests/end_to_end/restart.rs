//! Restarts of the engine and of the node, with no octo at work: what ran runs again by itself, with
//! the users' instances and their network; what was stopped stays stopped.
//!
//! The node is a simulated host, whose engine can be killed without harm to anybody else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::client;
use crate::lab::{Finished, built, eventually, exported};
use crate::simulated::{Hosts, Restart};

const HOST: &str = "host1";

/// The bridge, its VIP, and its hardware address, which follows from the gateway's.
const BRIDGE: &str = "octo-e2e-boot";
const VIP: &str = "10.213.50.2";
const HARDWARE: &str = "02:6f:0a:d5:32:01";

/// The host reaches nothing but itself and the tests, so that no address can be in anybody's way.
const CONFIGURATION: &str = "
cloud: e2e-boot
profile: standard
base: {distro: debian}
network: {management: {subnet: 10.213.50.0/24}, external_vip: 127.0.13.50, provider: {address: 10.213.51.1/24}}
logging: {directory: /var/log/octopenstack}
";

/// Has the image of instances built with the others, by a service that nobody runs.
const PICTURE: &str =
    "services: {picture: {image: instance, containers: {one: {command: [sh], health: {process: {}}}}}}";

/// A host with a cloud.
struct Node {
    hosts: Hosts,
    directory: PathBuf,
    openrc: BTreeMap<String, String>,
}

impl Node {
    /// A host whose engine has all images, and on it a cloud that is up.
    fn with_cloud() -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e-boot");
        // Hosts are new each time, and state of an earlier one would be about nothing.
        if directory.exists() {
            fs::remove_dir_all(&directory).unwrap();
        }
        fs::create_dir_all(directory.join("picture")).unwrap();
        fs::write(directory.join("configuration.yaml"), CONFIGURATION).unwrap();
        fs::write(directory.join("picture/services.yaml"), PICTURE).unwrap();
        let build = format!("{CONFIGURATION}\ninclude: [picture]\nservices: [picture]\n");
        fs::write(directory.join("build.yaml"), build).unwrap();
        let images = built(&directory, "build.yaml");

        let hosts = Hosts::up(1);
        hosts.load(HOST, &images.iter().map(String::as_str).collect::<Vec<_>>());
        let mut node = Self { hosts, directory, openrc: BTreeMap::new() };
        node.octo(&["up"]).succeeds();
        node.openrc = exported(&node.octo(&["openrc"]).succeeds().out);
        node
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Finished {
        let mut command = self.hosts.command(HOST, &[&[program], arguments].concat());
        command.current_dir(&self.directory).envs(&self.openrc).env("NO_COLOR", "1").stdin(Stdio::null());
        Finished::new(format!("{program} {}", arguments.join(" ")), &command.output().unwrap())
    }

    fn octo(&self, arguments: &[&str]) -> Finished {
        let files = ["--config", "configuration.yaml", "--state-dir", "state", "--yes"];
        self.run(env!("CARGO_BIN_EXE_octo"), &[&files, arguments].concat())
    }

    fn docker(&self, arguments: &[&str]) -> Vec<String> {
        self.run("docker", arguments).succeeds().out.lines().map(str::to_owned).collect()
    }

    fn openstack(&self, arguments: &[&str]) -> Value {
        let client = client::environment().join("bin/openstack");
        let finished = self.run(client.to_str().unwrap(), &[arguments, &["--format", "json"]].concat()).succeeds();
        serde_json::from_str(&finished.out).unwrap()
    }

    /// When each running container was started: those of the cloud, and the instances'.
    fn started(&self) -> BTreeMap<String, String> {
        let running = self.docker(&["ps", "--quiet", "--no-trunc"]);
        let ids: Vec<&str> = running.iter().map(String::as_str).collect();
        if ids.is_empty() {
            return BTreeMap::new();
        }
        let lines = self.docker(&[&["inspect", "--format", "{{.Name}} {{.State.StartedAt}}"], &ids[..]].concat());
        let pair = |line: &String| line.split_once(' ').map(|(name, time)| (name.to_owned(), time.to_owned()));
        lines.iter().filter_map(pair).collect()
    }

    /// Whether the bridge has what is octo's and not the engine's.
    fn bridge_is_complete(&self) -> bool {
        let shown = self.run("ip", &["address", "show", "dev", BRIDGE]).out;
        shown.contains(&format!("inet {VIP}/")) && shown.contains(HARDWARE)
    }

    /// What has to come by itself after a restart.
    fn comes_back(&self, after: &str, before: &BTreeMap<String, String>, instances: &[Instance]) {
        assert!(eventually(60, || self.bridge_is_complete()), "after {after} the VIP is not on the bridge");
        let well = || self.octo(&["plan", "--check"]).code == Some(0);
        assert!(eventually(180, well), "after {after}:\n{}", self.octo(&["status"]).all());
        let names = || self.started().into_keys().collect::<Vec<_>>();
        let wanted: Vec<String> = before.keys().cloned().collect();
        assert!(eventually(60, || names() == wanted), "after {after} there run {:?}, not {wanted:?}", names());
        for (name, time) in self.started() {
            assert_ne!(before[&name], time, "{after} did not restart {name}: this proves nothing");
        }
        self.connected(after, instances);
    }

    /// Instances are active, reach each other, and are told who they are.
    fn connected(&self, after: &str, instances: &[Instance]) {
        for (one, other) in instances.iter().zip(instances.iter().rev()) {
            let status = || self.openstack(&["server", "show", &one.id])["status"].clone();
            assert!(eventually(30, || status() == "ACTIVE"), "after {after} {} is {}", one.id, status());
            let ping = ["ping", "-c", "1", "-W", "1", &other.address];
            assert!(eventually(60, || self.inside(one, &ping).code == Some(0)), "after {after}: no ping");
            let url = "http://169.254.169.254/openstack/latest/meta_data.json";
            let told = || self.inside(one, &["wget", "-q", "-T", "3", "-O", "-", url]).out.contains(&one.id);
            assert!(eventually(60, told), "after {after}: no metadata");
        }
    }

    fn inside(&self, instance: &Instance, command: &[&str]) -> Finished {
        self.run("docker", &[&["exec", &instance.container], command].concat())
    }

    /// Boots as many instances on the demo's network, at once.
    fn boot(&self, count: usize) -> Vec<Instance> {
        self.octo(&["demo"]).succeeds();
        let number = count.to_string();
        let what = ["server", "create", "--image", "demo", "--flavor", "c1.tiny", "--network", "private", "--wait"];
        self.openstack(&[&what[..], &["--min", &number, "--max", &number, "boot"]].concat());
        let instances: Vec<Instance> = self
            .openstack(&["server", "list"])
            .as_array()
            .unwrap()
            .iter()
            .map(|server| {
                let id = server["ID"].as_str().unwrap().to_owned();
                let (instance, role) = (format!("label=octo.instance={id}"), "label=octo.instance.role=guest");
                let container = self.docker(&["ps", "--quiet", "--filter", &instance, "--filter", role]).concat();
                let address = server["Networks"]["private"][0].as_str().unwrap().to_owned();
                Instance { id, container, address }
            })
            .collect();
        assert_eq!(instances.len(), count);
        instances
    }
}

struct Instance {
    id: String,
    container: String,
    address: String,
}

#[test]
fn what_ran_comes_back_and_what_was_stopped_stays_stopped() {
    let node = Node::with_cloud();
    let instances = node.boot(2);
    node.connected("the start", &instances);

    // Somebody takes away what octo has set up on the bridge.
    node.run("ip", &["address", "delete", &format!("{VIP}/32"), "dev", BRIDGE]).succeeds();
    node.run("ip", &["link", "set", "dev", BRIDGE, "address", "02:00:00:00:00:01"]).succeeds();
    assert!(eventually(10, || node.bridge_is_complete()));

    for how in [Restart::Orderly, Restart::Killed] {
        let before = node.started();
        node.hosts.restart_engine(HOST, how);
        node.comes_back(&format!("a restart of the engine ({how:?})"), &before, &instances);
    }
    let before = node.started();
    node.hosts.power_off(HOST);
    node.hosts.boot(HOST);
    node.comes_back("a reboot", &before, &instances);

    node.octo(&["stop"]).succeeds();
    for how in [Restart::Orderly, Restart::Killed] {
        node.hosts.restart_engine(HOST, how);
        assert_eq!(node.started(), BTreeMap::new(), "{how:?}");
    }
    node.hosts.power_off(HOST);
    node.hosts.boot(HOST);
    assert_eq!(node.started(), BTreeMap::new(), "a reboot");

    node.octo(&["rm", "--volumes"]).succeeds();
    assert_ne!(node.run("ip", &["link", "show", "dev", BRIDGE]).code, Some(0), "the bridge is left");
    assert_eq!(node.docker(&["ps", "--all", "--quiet"]), Vec::<String>::new());
}
