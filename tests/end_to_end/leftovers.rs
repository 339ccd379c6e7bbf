//! Two clouds on one machine, and what removal leaves behind: nothing of one, all of the other.

use std::process::Command;

use super::lab::{Lab, docker_lines};

#[test]
fn removal_leaves_nothing_and_touches_no_other_cloud() {
    let other = Lab::shared();
    other.up();
    let untouched = other.containers();
    let lab = Lab::fresh("e2e-two", "10.213.2.0/24", "127.0.13.2", "");
    lab.up();
    lab.openstack(&["token", "issue"]).succeeds();
    assert!(!rules_of("octo-e2e-two", "10.213.2.").is_empty(), "the engine made no rule for the second cloud");
    let volumes = docker_lines(&["volume", "ls", "--quiet", "--filter", &lab.label()]);
    assert!(!volumes.is_empty());

    // Data is not lost by mistake: without a terminal nobody can agree.
    lab.run(&["rm", "--volumes"]).exits_with(2).says("--yes");
    assert_eq!(docker_lines(&["volume", "ls", "--quiet", "--filter", &lab.label()]), volumes);

    lab.remove();
    for listing in [&["ps", "--all", "--quiet"][..], &["network", "ls", "--quiet"], &["volume", "ls", "--quiet"]] {
        let left = docker_lines(&[listing, &["--filter", &lab.label()]].concat());
        assert!(left.is_empty(), "{listing:?}: {left:?}");
    }
    let links = Command::new("ip").args(["-brief", "link"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&links.stdout).contains("octo-e2e-two"));
    assert_eq!(rules_of("octo-e2e-two", "10.213.2."), Vec::<String>::new());
    let state = std::fs::read_dir(lab.state()).map(|entries| entries.count()).unwrap_or(0);
    assert_eq!(state, 0, "the state directory is not empty");
    let logs = std::fs::read_dir(lab.logs()).map(|entries| entries.count()).unwrap_or(0);
    assert_eq!(logs, 0, "log files are left");
    lab.remove();

    assert_eq!(other.containers(), untouched);
}

/// The firewall rules that name a bridge or an address.
fn rules_of(bridge: &str, addresses: &str) -> Vec<String> {
    let rules = Command::new("iptables-save").output().unwrap();
    let text = String::from_utf8_lossy(&rules.stdout).into_owned();
    text.lines().filter(|line| line.contains(bridge) || line.contains(addresses)).map(str::to_owned).collect()
}
