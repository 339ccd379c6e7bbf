//! octo is killed, the database is killed: the next run ends well.

use std::process::Stdio;
use std::time::Duration;

use super::lab::{Lab, docker_lines, eventually};

/// Moments, spread over what `run` and `init` take on a quiet machine: each run of the tests has others.
const KILLS: u32 = 4;
/// Milliseconds between two of the same verb.
const STEP: u64 = 4_000;

#[test]
fn octo_is_killed_and_each_rerun_ends_well() {
    let lab = Lab::fresh("e2e-kill", "10.213.3.0/24", "127.0.13.3", "");
    lab.run(&["build"]).succeeds();
    lab.remove();
    for kill in 0..KILLS {
        let shift: u64 = rand::random_range(0..STEP);
        let verb = if kill % 2 == 0 { "run" } else { "init" };
        if verb == "init" {
            lab.run(&["run"]).succeeds();
        }
        // Every third time the data stays, so that repeated interruptions pile up.
        let moment = Duration::from_millis(u64::from(kill / 2) * STEP + shift);
        let mut octo = lab.octo(&[verb]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(moment);
        octo.kill().unwrap();
        octo.wait().unwrap();

        lab.run(&["up"]).succeeds();
        lab.run(&["plan", "--check"]).succeeds();
        if verb == "init" {
            no_duplicates(&lab);
        }
        if kill % 3 != 2 {
            lab.remove();
        }
    }
    lab.remove();
}

/// One user, service, endpoint and database of each kind, asked of Keystone and MariaDB.
fn no_duplicates(lab: &Lab) {
    let mut users = lab.names(&["user", "list"]);
    users.sort();
    assert_eq!(users, ["admin", "glance", "placement"]);
    let endpoints = lab.openstack_json(&["endpoint", "list"]);
    let mut keys: Vec<String> = endpoints
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| format!("{} {}", endpoint["Service Type"], endpoint["Interface"]))
        .collect();
    keys.sort();
    let count = keys.len();
    keys.dedup();
    assert_eq!((keys.len(), count), (9, 9), "{keys:?}");
    let catalog = lab.openstack_json(&["service", "list"]);
    assert_eq!(catalog.as_array().unwrap().len(), 3, "{catalog}");
}

#[test]
fn a_database_killed_during_init_is_repaired_by_a_rerun() {
    let lab = Lab::fresh("e2e-db", "10.213.4.0/24", "127.0.13.4", "");
    lab.run(&["build"]).succeeds();
    lab.run(&["run"]).succeeds();
    let mut init = lab.octo(&["init"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // While schemas are being made.
    let tables = "ls /var/lib/mysql/keystone 2>/dev/null || true";
    let listed = || docker_lines(&["exec", "e2e-db-mariadb-server", "sh", "-c", tables]);
    assert!(eventually(60, || listed().iter().any(|file| file.ends_with(".ibd"))), "no table was seen");
    docker_lines(&["kill", "--signal", "KILL", "e2e-db-mariadb-server"]);
    // The engine does not restart what somebody killed by hand: it stays down, as after a crash loop.
    init.wait().unwrap();
    lab.run(&["up"]).succeeds();
    lab.openstack(&["token", "issue"]).succeeds();
    lab.run(&["plan", "--check"]).succeeds();
    lab.remove();
}

#[test]
fn a_killed_container_comes_back_by_itself_or_with_run() {
    let lab = Lab::shared();
    lab.up();
    docker_lines(&["rm", "--force", "e2e-memcached-server"]);
    lab.run(&["plan", "--check", "run"]).exits_with(5).says("e2e-memcached-server");
    lab.run(&["run"]).succeeds();
    lab.run(&["plan", "--check"]).succeeds();
}
