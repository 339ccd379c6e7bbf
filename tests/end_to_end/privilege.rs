//! Least privilege, as the engine and the kernel see it.

use super::lab::{Lab, docker_lines};

/// Puts the internal VIP on the bridge: root, with one capability.
const VIP: &str = "e2e-haproxy-vip";

#[test]
fn no_container_may_more_than_it_must() {
    let lab = Lab::shared();
    lab.up();
    for name in lab.containers().keys() {
        let inspected: serde_json::Value = serde_json::from_str(&docker_lines(&["inspect", name]).join("\n")).unwrap();
        let host = &inspected[0]["HostConfig"];
        assert_eq!(host["Privileged"], false, "{name}");
        assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]), "{name}");
        let added = host["CapAdd"].as_array().cloned().unwrap_or_default();
        let wanted = if *name == VIP { &["NET_ADMIN"][..] } else { &[] };
        assert_eq!(added, wanted, "{name}");
        assert_eq!(host["ReadonlyRootfs"], true, "{name}");
        assert!(host["SecurityOpt"].to_string().contains("no-new-privileges"), "{name}");
        assert!(host["Memory"].as_u64().unwrap() > 0 && host["PidsLimit"].as_u64().unwrap() > 0, "{name}");
    }
}

#[test]
fn no_process_of_a_cloud_is_root() {
    let lab = Lab::shared();
    lab.up();
    for name in lab.containers().keys() {
        let users = docker_lines(&["top", name, "-eo", "pid,uid,comm"]);
        for line in users.iter().skip(1).filter(|_| *name != VIP) {
            assert_ne!(line.split_whitespace().nth(1), Some("0"), "{name}: {line}");
        }
    }
}

#[test]
fn nothing_is_open_to_other_machines() {
    let lab = Lab::shared();
    lab.up();
    let text = std::fs::read_to_string("/proc/net/tcp").unwrap();
    for port in [5000_u16, 9292, 8778, 3306, 5672, 15672, 11211, 8404] {
        let anywhere = format!("00000000:{port:04X} 00000000:0000 0A");
        assert!(!text.contains(&anywhere), "port {port} is open on every address");
    }
    assert!(text.contains(&format!("010D007F:{:04X}", 5000)), "nobody listens on the external VIP");
}
