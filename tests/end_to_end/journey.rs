//! What an operator and a user do on an ordinary day.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::lab::{Lab, docker_lines, eventually};

#[test]
fn a_client_uses_what_up_brings_up() {
    let lab = Lab::shared();
    lab.up();
    lab.openstack(&["token", "issue"]).succeeds();

    let project = lab.openstack_json(&["project", "create", "--or-show", "laboratory"]);
    let user = lab.openstack_json(&["user", "create", "--or-show", "--project", "laboratory", "ada"]);
    assert_eq!(user["default_project_id"], project["id"]);

    let picture = lab.directory.join("picture");
    std::fs::write(
        &picture,
        (0..3_000_000_u32).map(|number| ((number.wrapping_mul(2_654_435_761)) >> 13) as u8).collect::<Vec<u8>>(),
    )
    .unwrap();
    let path = picture.to_str().unwrap();
    let arguments =
        ["image", "create", "--disk-format", "raw", "--container-format", "bare", "--file", path, "picture"];
    let image = lab.openstack_json(&arguments);
    let copy = lab.directory.join("copy");
    lab.openstack(&["image", "save", "--file", copy.to_str().unwrap(), image["id"].as_str().unwrap()]).succeeds();
    assert!(std::fs::read(&picture).unwrap() == std::fs::read(&copy).unwrap(), "the image came back changed");
    lab.openstack(&["image", "delete", image["id"].as_str().unwrap()]).succeeds();

    let classes = lab.openstack_json(&["resource", "class", "list"]);
    assert!(classes.to_string().contains("\"VCPU\""), "{classes}");
}

#[test]
fn up_again_does_nothing() {
    let lab = Lab::shared();
    lab.up();
    let before = lab.containers();
    assert!(before.len() >= 8, "{before:?}");
    lab.run(&["up"]).succeeds().says("nothing to do");
    lab.run(&["plan", "--check"]).succeeds();
    assert_eq!(lab.containers(), before);
}

/// New databases come from the images. The services' own commands, which complete them in every
/// later release, find nothing left to do in them.
#[test]
fn schemas_of_the_images_are_those_of_the_services() {
    let lab = Lab::shared();
    lab.up();
    for service in ["keystone", "glance", "placement"] {
        lab.filled_from_its_image(service, "schema", &[service]);
    }
    let dump = ["mariadb-dump", "--socket=/run/mysqld/mysqld.sock", "--skip-comments", "--no-data", "--databases"];
    let schemas =
        || docker_lines(&[&["exec", "e2e-mariadb-server"], &dump[..], &["keystone", "glance", "placement"]].concat());
    let before = schemas();
    let tables = before.iter().filter(|line| line.starts_with("CREATE TABLE")).count();
    assert!(tables > 70, "{tables} tables");
    for command in [
        &["keystone", "--", "keystone-manage", "db_sync", "--check"][..],
        &["keystone", "--", "keystone-manage", "db_sync"],
        &["glance", "--", "glance-manage", "db_sync"],
        &["placement", "--", "placement-manage", "db", "sync"],
    ] {
        lab.run(&[&["exec"], command].concat()).succeeds();
    }
    assert_eq!(schemas(), before);
}

/// A row that another has changed since a transaction has read it is changed by that too: services know nothing else,
/// and do not repeat what is refused.
#[test]
fn a_row_changes_that_another_transaction_has_changed() {
    let lab = Lab::shared();
    lab.up();
    let client = ["exec", "--interactive", "e2e-mariadb-server", "mariadb", "--socket=/run/mysqld/mysqld.sock"];
    let plain = ["--unbuffered", "--skip-column-names"];
    let other = |statements: &str| docker_lines(&[&client[..], &plain, &["--execute", statements]].concat());
    other("CREATE DATABASE race; CREATE TABLE race.numbers (number INT) AS SELECT 1 AS number;");

    let mut command = Command::new("docker");
    let piped = command.args([&client[..], &plain].concat()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut transaction = piped.spawn().unwrap();
    let mut statements = transaction.stdin.take().unwrap();
    let mut answers = BufReader::new(transaction.stdout.take().unwrap()).lines().map(Result::unwrap);
    writeln!(statements, "BEGIN; SELECT number FROM race.numbers;").unwrap();
    assert_eq!(answers.next().unwrap(), "1");
    other("UPDATE race.numbers SET number = 2;");
    writeln!(statements, "UPDATE race.numbers SET number = number + 1; COMMIT; SELECT number FROM race.numbers;")
        .unwrap();
    drop(statements);
    let last = answers.next();
    assert!(transaction.wait().unwrap().success(), "the second is refused");
    assert_eq!(last.as_deref(), Some("3"));
    other("DROP DATABASE race;");
}

#[test]
fn stop_start_and_removal_keep_images_and_users() {
    let lab = Lab::shared();
    lab.up();
    lab.openstack(&["user", "create", "--or-show", "grace"]).succeeds();
    let file = lab.directory.join("configuration.yaml");
    let keep = ["image", "create", "--disk-format", "raw", "--container-format", "bare", "--file"];
    if !lab.names(&["image", "list"]).contains(&"kept".to_owned()) {
        lab.openstack(&[&keep[..], &[file.to_str().unwrap(), "kept"]].concat()).succeeds();
    }
    let is_there = || {
        assert!(lab.names(&["image", "list"]).contains(&"kept".to_owned()));
        assert!(lab.names(&["user", "list"]).contains(&"grace".to_owned()));
    };

    lab.run(&["stop"]).succeeds();
    let running = docker_lines(&["ps", "--quiet", "--filter", &lab.label()]);
    assert!(running.is_empty(), "{running:?}");
    lab.run(&["stop"]).succeeds();
    lab.run(&["start"]).succeeds();
    is_there();
    lab.run(&["plan", "--check"]).succeeds();

    lab.run(&["rm"]).succeeds();
    assert!(lab.containers().is_empty());
    lab.up();
    is_there();
}

#[test]
fn a_changed_option_replaces_exactly_its_container() {
    let lab = Lab::shared();
    lab.up();
    let before = lab.containers();
    let changed = Lab::new(
        "e2e",
        "10.213.1.0/24",
        "127.0.13.1",
        "overrides: {keystone: {keystone.conf: {token: {expiration: 7200}}}}\n",
    );
    let plan = changed.run(&["plan", "run"]).succeeds().out;
    assert!(plan.contains("e2e-keystone-api") && plan.contains("/etc/keystone"), "{plan}");
    for other in before.keys().filter(|name| *name != "e2e-keystone-api") {
        assert!(!plan.contains(other.as_str()), "{other}:\n{plan}");
    }
    changed.run(&["plan", "--check", "run"]).exits_with(5);
    changed.run(&["run"]).succeeds();
    let after = changed.containers();
    let different: Vec<_> = before.keys().filter(|name| before.get(*name) != after.get(*name)).collect();
    assert_eq!(different, ["e2e-keystone-api"]);
    let token = changed.openstack_json(&["token", "issue"]);
    let lifetime = docker_lines(&["exec", "e2e-keystone-api", "grep", "^expiration", "/etc/keystone/keystone.conf"]);
    assert_eq!(lifetime, ["expiration = 7200"], "{token}");
    Lab::shared().up();
}

#[test]
fn everybody_s_log_is_in_a_file_and_in_octo_logs() {
    let lab = Lab::shared();
    lab.up();
    lab.openstack(&["token", "issue"]).succeeds();
    let file = lab.logs().join("e2e-keystone-api.log");
    assert!(
        eventually(20, || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("POST /v3/auth/tokens"))),
        "{} does not tell of the request",
        file.display()
    );
    lab.run(&["logs", "keystone", "--tail", "1000"]).succeeds().says("POST /v3/auth/tokens");
    for name in lab.containers().keys() {
        let file = lab.logs().join(format!("{name}.log"));
        // Containers that say nothing have no file; nobody else's file may be missing.
        let says = !lab
            .run(&["logs", "--tail", "5", name.trim_start_matches("e2e-").split('-').next().unwrap()])
            .succeeds()
            .out
            .is_empty();
        assert!(!says || file.exists() || name.contains("rsyslog"), "{}", file.display());
    }
}

#[test]
fn status_and_doctor_speak_json() {
    let lab = Lab::shared();
    lab.up();
    let status: serde_json::Value =
        serde_json::from_str(&lab.run(&["--format", "json", "status"]).succeeds().out).unwrap();
    assert_eq!(status["version"], 1);
    assert!(status.to_string().contains("e2e-keystone-api"));
    let doctor: serde_json::Value =
        serde_json::from_str(&lab.run(&["--format", "json", "doctor"]).succeeds().out).unwrap();
    assert_eq!(doctor["version"], 1);
}
