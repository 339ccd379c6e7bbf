//! A node of a pair is taken out of its work, out of the cloud with its data, and brought back.

use std::process::Stdio;

use serde_json::Value;

use crate::lab::{Finished, eventually};
use crate::pair::{CLOUD, FIRST, HOSTS, NODES, Pair};
use crate::spread::Instance;

/// The control node that octo does not run on, and its host.
const NODE: &str = NODES[1];
const HOST: &str = HOSTS[1];
const WITNESS: &str = NODES[2];

/// What octo tells of the node.
fn told(pair: &Pair) -> Value {
    let listed = pair.octo(&["--format", "json", "node", "list"]).succeeds();
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    let mut nodes = listed["nodes"].as_array().unwrap().iter();
    nodes.find(|node| node["node"] == NODE).expect("all nodes are listed").clone()
}

/// octo without anybody's agreement beforehand, and without a terminal.
fn unasked(pair: &Pair, arguments: &[&str]) -> Finished {
    let words = [&[env!("CARGO_BIN_EXE_octo"), "--config", "configuration.yaml"], arguments].concat();
    let output = pair.command(FIRST, &words).stdin(Stdio::null()).output().unwrap();
    Finished::new(format!("octo {}", arguments.join(" ")), &output)
}

/// What the doctor finds of a node, but for what is as it should be: level and message.
fn found(pair: &Pair, node: &str) -> Vec<(String, String)> {
    let examined: Value = serde_json::from_str(&pair.octo(&["--format", "json", "doctor"]).out).unwrap();
    let of_node = |finding: &&Value| finding["node"] == node;
    let all: Vec<&Value> = examined["findings"].as_array().unwrap().iter().filter(of_node).collect();
    assert!(!all.is_empty(), "nothing is told of {node}: {examined}");
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let wrong = all.into_iter().filter(|finding| finding["level"] != "ok");
    wrong.map(|finding| (text(finding, "level"), text(finding, "message"))).collect()
}

/// The pair is whole before and after.
pub fn a_node_leaves_its_work(pair: &Pair) {
    for node in &NODES[1..] {
        let failures: Vec<_> = found(pair, node).into_iter().filter(|(level, _)| level != "warning").collect();
        assert!(failures.is_empty(), "{node}: {failures:?}");
    }
    lost_secrets_come_back(pair);
    let api = Pair::container("keystone-api", HOST);
    unasked(pair, &["node", "drain", NODE]).succeeds();
    let drained = told(pair);
    assert!(drained["out_of_load"].as_array().unwrap().contains(&Value::from(api)), "{drained}");
    assert_eq!(drained["working"], drained["containers"], "a drained node works: {drained}");
    unasked(pair, &["node", "ready", NODE]).succeeds();
    assert_eq!(told(pair)["out_of_load"], Value::Array(Vec::new()));

    // Both control nodes are needed for the votes while the witness is away.
    unasked(pair, &["stop", "--node", WITNESS]).succeeds();
    let unseen = found(pair, WITNESS);
    let honest =
        |(level, message): &(String, String)| level == "unknown" && message.contains("no container of the cloud");
    assert!(unseen.iter().any(honest), "{unseen:?}");
    unasked(pair, &["stop", "--node", NODE]).exits_with(2).says("would have 1 of 3 votes");
    unasked(pair, &["node", "remove", WITNESS]).exits_with(2);
    pair.octo(&["start", "--node", WITNESS]).succeeds();
    pair.octo(&["plan", "--check"]).succeeds();
}

/// A node loses its data and comes back as the one that it was, with an instance on it. The pair is whole before and
/// after, and has instances.
pub fn a_node_comes_back_without_its_data(pair: &Pair) {
    pair.octo(&["rm", "--node", NODE, "--volumes"]).succeeds();
    for list in [&["ps", "--all", "--quiet"][..], &["volume", "ls", "--quiet"]] {
        assert_eq!(pair.run(HOST, "docker", list).succeeds().out, "", "{HOST} still has something");
    }
    let state = format!("/var/lib/octo/{CLOUD}");
    pair.run(HOST, "test", &["!", "-e", &state]).succeeds();
    assert!(eventually(60, || pair.makes_project("while-one-is-removed")), "no write is possible without {NODE}");
    pair.octo(&["node", "add", NODE]).succeeds();
    pair.comes_back("a node that came back without its data");
    Instance::boot(pair, HOST, "on-the-one-that-came-back");
}

/// A node is removed with its data, and each cluster forgets the member that it had there. The pair is not whole after it:
/// octo itself does that only where the votes that are left are an uneven number.
pub fn clusters_forget_members(pair: &Pair) {
    pair.octo(&["rm", "--node", NODE, "--volumes"]).succeeds();
    let desired: Value = serde_json::from_str(&pair.octo(&["--format", "json", "status"]).succeeds().out).unwrap();
    let all = desired["containers"].as_array().unwrap();
    let address = |name: &str| {
        let container = all.iter().find(|container| container["name"] == name).expect("it is among all");
        container["address"].as_str().expect("it has an address").to_owned()
    };
    let members = [
        ("rabbitmq-server", "rabbitmq", "rabbitmqctl --quiet cluster_status --node rabbit@$(hostname)"),
        ("ovn-northbound", "ovsdb", "ovs-appctl -t /run/ovn/northbound.ctl cluster/status OVN_Northbound"),
        ("ovn-southbound", "ovsdb", "ovs-appctl -t /run/ovn/southbound.ctl cluster/status OVN_Southbound"),
    ];
    for (service, directory, listing) in members {
        let [gone, stays] = [HOST, FIRST].map(|host| Pair::container(service, host));
        let inside = |words: &[&str]| pair.run(FIRST, "docker", &[&["exec", &stays], words].concat());
        // What the cluster knows of a member contains one of these.
        let (host_name, address) = (gone.replace('.', "-"), address(&gone));
        let knows = || {
            let listed = inside(&["sh", "-c", listing]).succeeds().out;
            listed.contains(&host_name) || listed.contains(&format!("{address}:"))
        };
        assert!(knows(), "{stays} does not know {gone} any more");
        let script = format!("/etc/{directory}/forget");
        // The second time there is nothing left to forget.
        for _ in 0..2 {
            inside(&["/bin/sh", &script, &host_name, &address]).succeeds();
            assert!(!knows(), "{stays} still knows {gone}");
        }
    }
}

/// The secrets are lost on the node that octo runs on, with the copy there, and taken from the other control node.
fn lost_secrets_come_back(pair: &Pair) {
    let state = format!("/var/lib/octo/{CLOUD}");
    let secrets = || -> Value {
        let text = pair.run(FIRST, "cat", &[&format!("{state}/secrets.json")]).succeeds().out;
        serde_json::from_str(&text).unwrap()
    };
    // What octo has changed on the other node becomes its own.
    pair.octo(&["up"]).succeeds();
    let before = secrets();
    pair.run(FIRST, "rm", &["-r", &format!("{state}/secrets.json"), &format!("{state}/files/state")]).succeeds();
    pair.octo(&["up"]).exits_with(4).says(&format!("octo secrets restore {NODE}"));
    pair.octo(&["secrets", "restore", WITNESS]).exits_with(4).says("has no copy of the secrets");
    pair.octo(&["secrets", "restore", NODE]).succeeds();
    // No assertion of equality, which would show them.
    assert!(secrets() == before, "other secrets came back");
    pair.octo(&["up"]).succeeds();
    pair.octo(&["plan", "--check"]).succeeds();
}
