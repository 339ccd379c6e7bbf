//! Horizon in a real browser.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cloud::{IMAGE, NETWORK, shared};
use crate::client::environment;
use crate::lab::Finished;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/standard/browser.py");

/// Where the pictures of the last run are.
fn screenshots() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots")
}

#[test]
fn a_person_logs_in_launches_an_instance_and_sees_it_active() {
    let lab = shared();
    let login = lab.openrc();
    let wishes = serde_json::json!({
        "url": format!("http://{}:8080/", lab.vip),
        "user": login["OS_USERNAME"],
        "password": login["OS_PASSWORD"],
        "instance": "seen",
        "image": IMAGE,
        "flavor": "c1.tiny",
        "network": NETWORK,
        "screenshots": screenshots(),
    });
    let mut browser = Command::new(environment().join("bin/python"))
        .arg(SCRIPT)
        .env("HOME", &lab.directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    browser.stdin.take().unwrap().write_all(wishes.to_string().as_bytes()).unwrap();
    let output = browser.wait_with_output().unwrap();
    Finished::new(format!("the browser (pictures in {})", screenshots().display()), &output).succeeds();
    assert!(screenshots().join("4-active.png").exists());
    lab.openstack(&["server", "delete", "--wait", "seen"]).succeeds();
    lab.no_instance_is_left();
}
