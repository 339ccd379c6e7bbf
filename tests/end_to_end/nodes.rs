//! A node of a pair is taken out of its work, out of the cloud with its data, and brought back.

use std::process::Stdio;

use serde_json::Value;

use crate::lab::{Finished, eventually};
use crate::pair::{FIRST, HOSTS, NODES, Pair};

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

/// The pair is whole before and after.
pub fn a_node_goes_and_comes(pair: &Pair) {
    let api = Pair::container("keystone-api", HOST);
    unasked(pair, &["node", "drain", NODE]).succeeds();
    let drained = told(pair);
    assert!(drained["out_of_load"].as_array().unwrap().contains(&Value::from(api)), "{drained}");
    assert_eq!(drained["working"], drained["containers"], "a drained node works: {drained}");
    unasked(pair, &["node", "ready", NODE]).succeeds();
    assert_eq!(told(pair)["out_of_load"], Value::Array(Vec::new()));

    // Both control nodes are needed for the votes while the witness is away.
    unasked(pair, &["stop", "--node", WITNESS]).succeeds();
    unasked(pair, &["stop", "--node", NODE]).exits_with(2).says("would have 1 of 3 votes");
    unasked(pair, &["node", "remove", WITNESS]).exits_with(2);
    pair.octo(&["start", "--node", WITNESS]).succeeds();
    pair.octo(&["plan", "--check"]).succeeds();

    pair.octo(&["rm", "--node", NODE, "--volumes"]).succeeds();
    for list in [&["ps", "--all", "--quiet"][..], &["volume", "ls", "--quiet"]] {
        assert_eq!(pair.run(HOST, "docker", list).succeeds().out, "", "{HOST} still has something");
    }
    assert!(eventually(60, || pair.makes_project("while-one-is-removed")), "no write is possible without {NODE}");
    pair.octo(&["node", "add", NODE]).succeeds();
    pair.comes_back("a node that came back without its data");
}
