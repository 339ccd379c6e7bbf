//! The whole cloud stops and starts, and its instances with it.

use super::cloud::{IMAGE, NETWORK, shared};
use crate::lab::{docker_lines, eventually};

#[test]
fn instances_come_back_with_the_cloud_and_with_their_network() {
    let lab = shared();
    let one = lab.boot("power-one", IMAGE, NETWORK, &[]);
    let two = lab.boot("power-two", IMAGE, NETWORK, &[]);
    let off = lab.boot("power-off", IMAGE, NETWORK, &[]);
    off.act(&["stop"]);
    off.becomes("SHUTOFF");
    assert!(one.reaches(&two.address(), 20));

    lab.run(&["stop"]).succeeds();
    let filter = "label=octo.instance.cloud=std";
    assert_eq!(docker_lines(&["ps", "--quiet", "--filter", filter]), Vec::<String>::new(), "an instance still runs");
    lab.run(&["start"]).succeeds();
    assert!(eventually(60, || one.status() == "ACTIVE" && two.status() == "ACTIVE"), "{}", one.status());
    assert!(one.reaches(&two.address(), 60), "the network did not come back");
    assert!(one.knows_itself(), "the metadata service did not come back");
    assert_eq!(off.status(), "SHUTOFF", "what was off stays off");

    // Without its data the cloud is rebuilt around the instances that were kept.
    lab.run(&["rm"]).succeeds().says("instances");
    lab.up();
    assert!(eventually(60, || one.status() == "ACTIVE"), "{}", one.status());
    assert!(one.reaches(&two.address(), 60), "the network did not come back with a new control plane");
    for server in [one, two, off] {
        server.delete();
    }
    lab.no_instance_is_left();
}
