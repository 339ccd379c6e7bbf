//! Many at once.

use super::cloud::{IMAGE, NETWORK, shared};
use crate::lab::eventually;

#[test]
fn twenty_at_once_come_and_go() {
    let lab = shared();
    let create = ["server", "create", "--image", IMAGE, "--flavor", "c1.tiny", "--network", NETWORK];
    lab.openstack(&[&create[..], &["--min", "20", "--max", "20", "crowd"]].concat()).succeeds();
    let statuses = || {
        let servers = lab.openstack_json(&["server", "list"]);
        let all = servers.as_array().unwrap().iter();
        all.map(|server| server["Status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let settled = eventually(180, || statuses().iter().all(|status| status != "BUILD"));
    assert!(settled && statuses() == ["ACTIVE"; 20], "{:?}", statuses());
    let memory = lab.openstack_json(&["flavor", "show", "c1.tiny"])["ram"].as_u64().unwrap();
    assert!(lab.usages().contains(&("MEMORY_MB".to_owned(), 20 * memory)), "{:?}", lab.usages());
    let names = lab.names(&["server", "list"]);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    lab.openstack(&[&["server", "delete", "--wait"], &names[..]].concat()).succeeds();
    lab.no_instance_is_left();
}
