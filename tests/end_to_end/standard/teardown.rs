//! Last by name: the shared cloud goes, and nothing of it is left on the node.

use std::process::Command;

use super::cloud::{IMAGE, NETWORK, shared};
use crate::lab::docker_lines;

#[test]
fn the_cloud_goes_with_its_instances_and_the_node_is_as_before() {
    let lab = shared();
    lab.boot("last", IMAGE, NETWORK, &[]);
    lab.run(&["rm", "--volumes"]).exits_with(2).says("--yes");
    lab.remove();
    for filter in [lab.label(), "label=octo.instance.cloud=std".to_owned()] {
        for list in [&["ps", "--all", "--quiet"][..], &["volume", "ls", "--quiet"], &["network", "ls", "--quiet"]] {
            assert_eq!(docker_lines(&[list, &["--filter", &filter]].concat()), Vec::<String>::new());
        }
    }
    let images = docker_lines(&["images", "--format", "{{.Repository}}"]);
    assert!(!images.contains(&"octo-instances/std".to_owned()), "{images:?}");
    let links = Command::new("ip").args(["-brief", "link"]).output().unwrap();
    let links = String::from_utf8(links.stdout).unwrap();
    for name in ["br-ex", "br-int", "ovs-netdev", "ovs-system", "octo-std", "tap"] {
        assert!(!links.lines().any(|line| line.starts_with(name)), "{name} is left:\n{links}");
    }
    let namespaces = Command::new("ip").args(["netns", "list"]).output().unwrap();
    assert!(!String::from_utf8(namespaces.stdout).unwrap().contains("ovnmeta"));
    assert!(!lab.state().exists());
}
