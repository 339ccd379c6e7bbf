//! Everything that can happen to an instance leaves it with its network.

use super::cloud::{IMAGE, NETWORK, shared};
use super::server::Server;
use crate::lab::{docker_lines, eventually};

/// It has its address, reaches its neighbour and the metadata service.
#[track_caller]
fn has_its_network(what: &str, server: &Server<'_>, address: &str, neighbour: &str) {
    let shown = server.inside(&["ip", "-4", "-o", "address", "show", "eth0"]);
    assert!(shown.out.contains(address), "after {what}: {}", shown.all());
    assert!(server.reaches(neighbour, 20), "after {what} it does not reach {neighbour}");
    assert!(server.knows_itself(), "after {what} there is no metadata");
}

#[test]
fn an_instance_keeps_its_network_through_its_life() {
    let lab = shared();
    let neighbour = lab.boot("neighbour", IMAGE, NETWORK, &[]);
    let server = lab.boot("life", IMAGE, NETWORK, &[]);
    let (address, beside) = (server.address(), neighbour.address());
    has_its_network("boot", &server, &address, &beside);
    server.inside(&["sh", "-c", "echo kept > /kept"]).succeeds();

    for verb in [&["reboot", "--wait"][..], &["reboot", "--hard", "--wait"]] {
        server.act(verb);
        has_its_network(&verb.join(" "), &server, &address, &beside);
    }
    server.act(&["stop"]);
    server.becomes("SHUTOFF");
    server.act(&["start"]);
    server.becomes("ACTIVE");
    has_its_network("stop and start", &server, &address, &beside);
    for (verb, state, back) in [("pause", "PAUSED", "unpause"), ("suspend", "SUSPENDED", "resume")] {
        server.act(&[verb]);
        server.becomes(state);
        let frozen = docker_lines(&["inspect", "--format", "{{.State.Paused}}", &server.container()]);
        assert_eq!(frozen, ["true"], "{verb}");
        server.act(&[back]);
        server.becomes("ACTIVE");
        has_its_network(verb, &server, &address, &beside);
    }
    server.act(&["resize", "--flavor", "c1.small", "--wait"]);
    server.becomes("VERIFY_RESIZE");
    has_its_network("resize", &server, &address, &beside);
    lab.openstack(&["server", "resize", "confirm", &server.id]).succeeds();
    server.becomes("ACTIVE");
    let memory = docker_lines(&["inspect", "--format", "{{.HostConfig.Memory}}", &server.container()]);
    let flavor = lab.openstack_json(&["flavor", "show", "c1.small"])["ram"].as_u64().unwrap();
    assert_eq!(memory, [(flavor << 20).to_string()], "the new flavor's memory");
    assert_eq!(server.inside(&["cat", "/kept"]).succeeds().out, "kept\n", "the disk was lost on the way");

    let snapshot = lab.openstack_json(&["server", "image", "create", "--wait", "--name", "life-snapshot", &server.id]);
    assert_eq!(snapshot["container_format"], "docker", "{snapshot}");
    let twin = lab.boot("twin", "life-snapshot", NETWORK, &[]);
    assert_eq!(twin.inside(&["cat", "/kept"]).succeeds().out, "kept\n", "the snapshot lacks what was written");
    has_its_network("booting a snapshot", &twin, &twin.address(), &beside);
    twin.delete();

    lab.openstack(&["server", "rebuild", "--wait", "--image", IMAGE, &server.id]).succeeds();
    server.becomes("ACTIVE");
    has_its_network("rebuild", &server, &address, &beside);
    assert_ne!(server.inside(&["cat", "/kept"]).code, Some(0), "a rebuild begins with a new disk");

    let further = lab.openstack_json(&["port", "create", "--network", NETWORK, "life-second"]);
    let port = further["id"].as_str().unwrap();
    lab.openstack(&["server", "add", "port", &server.id, port]).succeeds();
    let second = further["fixed_ips"][0]["ip_address"].as_str().unwrap().to_owned();
    let attached = || server.inside(&["ip", "-4", "-o", "address"]).out.contains(&second);
    assert!(eventually(20, attached), "the second port is not in the instance");
    lab.openstack(&["server", "remove", "port", &server.id, port]).succeeds();
    assert!(eventually(20, || !attached()), "the second port is still in the instance");
    has_its_network("a port more and less", &server, &address, &beside);

    server.delete();
    neighbour.delete();
    lab.openstack(&["image", "delete", "life-snapshot"]).succeeds();
    let ports = lab.names(&["port", "list"]);
    if ports.iter().any(|name| name == "life-second") {
        lab.openstack(&["port", "delete", "life-second"]).succeeds();
    }
    lab.no_instance_is_left();
}

#[test]
fn an_image_whose_process_ends_at_once_gives_a_clear_fault() {
    let lab = shared();
    let file = lab.image_file();
    let properties = ["--property", "os_command_line=/bin/true", "--property", "img_hv_type=docker"];
    let formats = ["--container-format", "docker", "--disk-format", "raw", "--file", file.to_str().unwrap()];
    lab.openstack(&[&["image", "create"], &formats[..], &properties, &["ends"]].concat()).succeeds();
    let arguments = ["server", "create", "--image", "ends", "--flavor", "c1.tiny", "--network", NETWORK, "ends"];
    lab.openstack(&arguments).succeeds();
    let shown = || lab.openstack_json(&["server", "show", "ends"]);
    assert!(eventually(60, || shown()["status"] == "ERROR"), "{}", shown());
    let fault = shown()["fault"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(fault.contains("ended") || fault.contains("exit"), "{fault}");
    lab.openstack(&["server", "delete", "--wait", "ends"]).succeeds();
    lab.openstack(&["image", "delete", "ends"]).succeeds();
    lab.no_instance_is_left();
}

#[test]
fn user_data_and_a_config_drive_reach_the_instance() {
    let lab = shared();
    let script = lab.directory.join("user-data.sh");
    std::fs::write(&script, "#!/bin/sh\necho said by user data\n").unwrap();
    let further = ["--user-data", script.to_str().unwrap(), "--config-drive", "true"];
    let server = lab.boot("driven", IMAGE, NETWORK, &further);
    assert!(eventually(30, || server.console().contains("said by user data")), "{}", server.console());
    let metadata = server.inside(&["cat", "/config-drive/openstack/latest/meta_data.json"]).succeeds().out;
    assert!(metadata.contains(&server.id), "{metadata}");
    let privileges = docker_lines(&[
        "inspect",
        "--format",
        "{{.HostConfig.Privileged}} {{.HostConfig.SecurityOpt}} {{.HostConfig.PidsLimit}} {{.HostConfig.CapAdd}}",
        &server.container(),
    ])
    .concat();
    assert!(privileges.starts_with("false ") && privileges.contains("no-new-privileges"), "{privileges}");
    assert!(!privileges.contains("SYS_ADMIN") && !privileges.contains("NET_ADMIN"), "{privileges}");
    server.delete();
    lab.no_instance_is_left();
}
