//! A service of one's own takes YAML, a recipe and templates, and no Rust.

use super::lab::{Lab, docker_lines};

#[test]
fn a_service_from_a_directory_of_its_own_joins_the_cloud() {
    let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/greeting");
    let lab =
        Lab::fresh("e2e-own", "10.213.9.0/24", "127.0.13.9", &format!("include: [{bundle}]\nservices: [greeting]\n"));
    lab.up();
    let catalog = lab.names(&["service", "list"]);
    assert!(catalog.contains(&"greeting".to_owned()), "{catalog:?}");
    let rendered = docker_lines(&["exec", "e2e-own-greeting-server", "cat", "/etc/greeting/index.html"]);
    assert_eq!(rendered, ["good morning from e2e-own"]);
    let answer =
        std::process::Command::new("curl").args(["-sS", "http://127.0.13.9:8099/index.html"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout).trim(), "good morning from e2e-own");
    lab.run(&["plan", "--check"]).succeeds();
    lab.remove();
}
