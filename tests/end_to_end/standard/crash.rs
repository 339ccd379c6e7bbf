//! nova-compute and Open vSwitch die at bad moments: Nova and the engine agree afterwards.

use std::time::Duration;

use super::cloud::{IMAGE, NETWORK, shared};
use crate::lab::{Lab, docker_lines, eventually};

impl Lab {
    /// Kills a container's process as a crash does; the engine starts it again by itself.
    fn crash(&self, container: &str) {
        let name = format!("{}-{container}", self.name);
        let field = |what: &str| docker_lines(&["inspect", "--format", what, &name]).concat();
        let (pid, restarts) = (field("{{.State.Pid}}"), field("{{.RestartCount}}"));
        let kill = ["-KILL", pid.as_str()];
        assert!(std::process::Command::new("kill").args(kill).status().unwrap().success());
        assert!(eventually(60, || field("{{.RestartCount}}") != restarts), "{name} was not started again");
    }

    /// Whether the compute service works again.
    fn compute_is_up(&self) -> bool {
        self.run(&["status", "--format", "json"]).out.contains("\"pending\":0")
            || self.run(&["plan", "--check"]).code == Some(0)
    }
}

#[test]
fn killed_during_spawns_and_deletes_nova_and_the_engine_agree() {
    let lab = shared();
    let names: Vec<String> = (0..4).map(|number| format!("crash-{number}")).collect();
    for (delay, deleting) in [(600, false), (1500, false), (300, true), (900, true)] {
        let create = ["server", "create", "--image", IMAGE, "--flavor", "c1.tiny", "--network", NETWORK];
        let many = ["--min", "4", "--max", "4", "crash"];
        if deleting {
            lab.openstack(&[&create[..], &many, &["--wait"]].concat()).succeeds();
            let ids: Vec<String> = names.clone();
            let existing = lab.names(&["server", "list"]);
            let doomed: Vec<&str> = existing.iter().map(String::as_str).collect();
            assert_eq!(doomed.len(), ids.len(), "{doomed:?}");
            lab.openstack(&[&["server", "delete"], &doomed[..]].concat()).succeeds();
        } else {
            lab.openstack(&[&create[..], &many].concat()).succeeds();
        }
        // The moment is what the test varies; whatever it hits, the end must be the same.
        std::thread::sleep(Duration::from_millis(delay));
        lab.crash("nova-compute");
        assert!(eventually(120, || lab.compute_is_up()), "nova-compute does not come back");
        let settled = || {
            let servers = lab.openstack_json(&["server", "list", "--long"]);
            servers
                .as_array()
                .unwrap()
                .iter()
                .all(|server| server["Task State"].is_null() || server["Task State"] == "None")
        };
        assert!(eventually(150, settled), "{}", lab.openstack_json(&["server", "list", "--long"]));
        let servers = lab.openstack_json(&["server", "list"]);
        for server in servers.as_array().unwrap() {
            let (id, status) = (server["ID"].as_str().unwrap(), server["Status"].as_str().unwrap());
            let filter = format!("label=octo.instance={id}");
            let guests =
                docker_lines(&["ps", "--quiet", "--filter", &filter, "--filter", "label=octo.instance.role=guest"]);
            assert!(["ACTIVE", "ERROR"].contains(&status), "{servers}");
            assert_eq!(guests.len() == 1, status == "ACTIVE", "{id} is {status} and has {guests:?}");
        }
        let left: Vec<&str> = servers.as_array().unwrap().iter().map(|server| server["ID"].as_str().unwrap()).collect();
        if !left.is_empty() {
            lab.openstack(&[&["server", "delete", "--wait"], &left[..]].concat()).succeeds();
        }
        lab.no_instance_is_left();
    }
}

#[test]
fn what_nova_deletes_while_it_takes_the_compute_service_for_dead_goes_with_its_next_report() {
    let lab = shared();
    let server = lab.boot("unheard", IMAGE, NETWORK, &[]);
    let taken_for = |state| {
        let command = ["--os-compute-api-version", "2.53", "compute", "service", "set", state, "local", "nova-compute"];
        lab.openstack(&command).succeeds();
    };
    taken_for("--down");
    let deleted = lab.openstack(&["server", "delete", "--wait", &server.id]);
    taken_for("--up");
    deleted.succeeds();
    let gone = || lab.instance_objects().is_empty() && lab.instance_ports().is_empty();
    assert!(eventually(120, gone), "{:?} {:?}", lab.instance_objects(), lab.instance_ports());
    lab.no_instance_is_left();
}

#[test]
fn traffic_goes_on_after_open_vswitch_and_its_controller_were_killed() {
    let lab = shared();
    let one = lab.boot("switch-one", IMAGE, NETWORK, &[]);
    let two = lab.boot("switch-two", IMAGE, NETWORK, &[]);
    assert!(one.reaches(&two.address(), 20));
    for container in ["openvswitch-switch", "openvswitch-database", "ovn-controller", "neutron-agent"] {
        lab.crash(container);
        assert!(one.reaches(&two.address(), 60), "after {container} was killed there is no traffic");
        assert!(one.knows_itself(), "after {container} was killed there is no metadata");
    }
    one.delete();
    two.delete();
    lab.no_instance_is_left();
}
