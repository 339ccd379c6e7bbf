//! What a user does first, with the real client.

use super::cloud::shared;
use super::outside::Outside;
use crate::lab::eventually;

#[test]
fn new_databases_come_from_the_images() {
    let lab = shared();
    lab.filled_from_its_image("neutron", "schema", &["neutron"]);
    lab.filled_from_its_image("nova", "schemas", &["nova", "nova_api", "nova_cell0"]);
    // Nova's own commands complete them in every later release, and find the cells by their mappings.
    let manage =
        |command: &[&str]| lab.run(&[&["exec", "nova/conductor", "--", "nova-manage"], command].concat()).succeeds();
    manage(&["api_db", "sync"]);
    manage(&["db", "sync"]);
    manage(&["cell_v2", "list_cells"]).says("cell0").says("cell1");
}

#[test]
fn instances_boot_and_are_reached_as_their_security_group_says() {
    let lab = shared();
    let file = lab.image_file();
    let properties = ["--property", "img_hv_type=docker", "--property", "hw_vm_mode=exe"];
    let formats = ["--container-format", "docker", "--disk-format", "raw", "--file", file.to_str().unwrap()];
    lab.openstack(&[&["image", "create"], &formats[..], &properties, &["journey"]].concat()).succeeds();
    lab.openstack(&["network", "create", "journey"]).succeeds();
    let subnet = ["--network", "journey", "--subnet-range", "192.168.90.0/24", "--dns-nameserver", "192.168.90.9"];
    lab.openstack(&[&["subnet", "create"], &subnet[..], &["journey"]].concat()).succeeds();
    lab.openstack(&["router", "create", "--external-gateway", &lab.external_network(), "journey"]).succeeds();
    lab.openstack(&["router", "add", "subnet", "journey", "journey"]).succeeds();
    lab.openstack(&["security", "group", "create", "journey"]).succeeds();

    let one = lab.boot("one", "journey", "journey", &["--security-group", "journey"]);
    let two = lab.boot("two", "journey", "journey", &["--security-group", "journey"]);
    let floating = lab.openstack_json(&["floating", "ip", "create", &lab.external_network()]);
    let floating = floating["floating_ip_address"].as_str().unwrap().to_owned();
    lab.openstack(&["server", "add", "floating", "ip", &one.id, &floating]).succeeds();
    let outside = Outside::new(&lab, "10.213.41.200/24");

    assert!(one.knows_itself() && two.knows_itself(), "no metadata");
    let lease = one.inside(&["udhcpc", "-n", "-q", "-f", "-t", "5", "-i", "eth0", "-s", "/bin/true"]);
    assert!(lease.all().contains(&format!("lease of {} obtained", one.address())), "{}", lease.all());
    assert!(one.inside(&["cat", "/etc/resolv.conf"]).out.contains("192.168.90.9"));
    assert!(one.console().contains(&one.id), "{}", one.console());

    // The group lets nobody in, not even each other.
    assert!(!two.reaches(&one.address(), 3) && !outside.reaches(&floating, 3));
    let allow = |protocol: &[&str]| {
        let rule = [&["security", "group", "rule", "create", "--ingress"], protocol, &["journey"]].concat();
        lab.openstack_json(&rule)["id"].as_str().unwrap().to_owned()
    };
    let icmp = allow(&["--protocol", "icmp"]);
    let http = allow(&["--protocol", "tcp", "--dst-port", "80"]);
    assert!(two.reaches(&one.address(), 20), "two does not reach one");
    assert!(one.reaches(&two.address(), 20), "one does not reach two");
    assert!(outside.reaches(&floating, 20), "the floating IP does not answer");
    let served = || outside.fetch(&format!("http://{floating}/")).is_some_and(|page| page.contains("one"));
    assert!(eventually(20, served), "nothing is served at the floating IP");
    for rule in [icmp, http] {
        lab.openstack(&["security", "group", "rule", "delete", &rule]).succeeds();
    }
    assert!(eventually(20, || !outside.reaches(&floating, 1)), "the rule was deleted and still lets in");
    assert!(outside.fetch(&format!("http://{floating}/")).is_none());

    lab.openstack(&["floating", "ip", "delete", &floating]).succeeds();
    one.delete();
    two.delete();
    lab.openstack(&["router", "remove", "subnet", "journey", "journey"]).succeeds();
    for what in [&["router"][..], &["network"], &["security", "group"], &["image"]] {
        lab.openstack(&[what, &["delete", "journey"]].concat()).succeeds();
    }
    lab.no_instance_is_left();
}
