//! The shared cloud of these tests, with a network that instances can be on.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::lab::{Finished, Lab, docker_lines, eventually};

/// The demo's image, and its network.
pub const IMAGE: &str = "demo";
pub const NETWORK: &str = "private";

/// The cloud, up, with what `octo demo` makes in it, and without what a failed test has left.
pub fn shared() -> Lab {
    static READY: OnceLock<()> = OnceLock::new();
    let lab = Lab::standard("std", "10.213.40.0/24", "127.0.13.40", "10.213.41.1/24");
    READY.get_or_init(|| {
        lab.remove();
        lab.up();
        drop(lab.run(&["demo"]).succeeds());
    });
    lab.up();
    lab.sweep();
    lab
}

impl Lab {
    /// Deletes the instances that a failed test has left, so that its failure stays its own.
    fn sweep(&self) {
        let servers = self.openstack_json(&["server", "list"]);
        let left: Vec<&str> = servers.as_array().unwrap().iter().map(|server| server["ID"].as_str().unwrap()).collect();
        if !left.is_empty() {
            self.openstack(&[&["server", "delete", "--wait"], &left[..]].concat()).succeeds();
        }
    }

    /// The external network that the demo has made.
    pub fn external_network(&self) -> String {
        let found = self.names(&["network", "list", "--external"]);
        found.into_iter().next().expect("there is no external network")
    }

    /// An image as a file, saved from the engine as a person would: a container's root, with a
    /// command.
    pub fn image_file(&self) -> PathBuf {
        let path = self.directory.join("instance.tar");
        let (root, tag) = (self.directory.join("root.tar"), format!("{}-journey:1", self.name));
        let ours = ["images", "--filter", "label=octo.image=instance", "--format", "{{.Repository}}:{{.Tag}}"];
        let image = docker_lines(&ours).into_iter().next().expect("the demo builds the image");
        let container = docker_lines(&["create", &image]).concat();
        docker_lines(&["export", "--output", root.to_str().unwrap(), &container]);
        docker_lines(&["rm", &container]);
        let change = r#"CMD ["octo-instance"]"#;
        docker_lines(&["import", "--change", change, "--change", "ENV PATH=/bin", root.to_str().unwrap(), &tag]);
        docker_lines(&["save", "--output", path.to_str().unwrap(), &tag]);
        docker_lines(&["rmi", &tag]);
        path
    }

    /// Runs a command of Open vSwitch on the node.
    pub fn vswitch(&self, arguments: &[&str]) -> Vec<String> {
        let container = format!("{}-openvswitch-switch", self.name);
        docker_lines(&[&["exec", &container], arguments].concat())
    }

    /// The ports of instances on the integration bridge.
    pub fn instance_ports(&self) -> Vec<String> {
        let ports = self.vswitch(&["ovs-vsctl", "list-ports", "br-int"]);
        // Networks' metadata ports have such names too: what belongs to an instance says so.
        ports.into_iter().filter(|port| port.starts_with("tap") && self.is_of_instance(port)).collect()
    }

    fn is_of_instance(&self, port: &str) -> bool {
        let ids = self.vswitch(&["ovs-vsctl", "get", "Interface", port, "external_ids"]).concat();
        ids.contains("vm-uuid")
    }

    /// Names of all containers and volumes of instances.
    pub fn instance_objects(&self) -> Vec<String> {
        let filter = format!("label=octo.instance.cloud={}", self.name);
        let mut found = docker_lines(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
        found.extend(docker_lines(&["volume", "ls", "--filter", &filter, "--format", "{{.Name}}"]));
        found
    }

    /// What Placement has given away on all hosts, by resource class; zeros are left out.
    pub fn usages(&self) -> Vec<(String, u64)> {
        let providers = self.openstack_json(&["resource", "provider", "list"]);
        let mut used = Vec::new();
        for provider in providers.as_array().unwrap() {
            let usage =
                self.openstack_json(&["resource", "provider", "usage", "show", provider["uuid"].as_str().unwrap()]);
            let classes = usage.as_array().unwrap().iter();
            used.extend(classes.filter_map(|class| {
                let amount = class["usage"].as_u64().unwrap();
                (amount > 0).then(|| (class["resource_class"].as_str().unwrap().to_owned(), amount))
            }));
        }
        used
    }

    /// Nothing of any instance is left in the engine, the switch, Placement or Neutron.
    #[track_caller]
    pub fn no_instance_is_left(&self) {
        let gone = || self.instance_objects().is_empty() && self.instance_ports().is_empty();
        assert!(eventually(30, gone), "{:?} {:?}", self.instance_objects(), self.instance_ports());
        assert_eq!(self.usages(), []);
        let ports = self.openstack_json(&["port", "list", "--device-owner", "compute:nova"]);
        assert_eq!(ports, serde_json::json!([]));
        assert_eq!(self.names(&["server", "list"]), Vec::<String>::new());
        let devices = Command::new("ip").args(["-brief", "link", "show", "type", "veth"]).output().unwrap();
        let devices = Finished::new("ip link".to_owned(), &devices).succeeds().out;
        let taps: Vec<_> = devices.lines().filter(|line| line.starts_with("tap") && self.is_ours(line)).collect();
        assert!(taps.is_empty(), "{taps:?}");
    }

    /// Whether a link's device is a port of this cloud's switch, or of none.
    fn is_ours(&self, line: &str) -> bool {
        let name = line.split(['@', ' ']).next().unwrap();
        !self.vswitch(&["ovs-vsctl", "list-ports", "br-int"]).iter().any(|port| port == name)
    }
}
