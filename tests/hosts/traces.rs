//! That nothing is left of hosts that were removed: also of those that a killed test left.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::simulated::Hosts;

/// Everything on this machine that has one of these words in its name.
fn traces(words: &[&str]) -> Vec<String> {
    let named = |text: &str| words.iter().any(|word| text.contains(word));
    let mut found = Vec::new();
    for program in [
        &["ip", "-oneline", "link", "show"][..],
        &["ip", "netns", "list"],
        &["ip", "route", "show", "table", "all"],
        &["find", "/sys/fs/cgroup", "-type", "d"],
        &["findmnt", "--noheadings", "--list", "--output", "TARGET,SOURCE"],
    ] {
        let output = Command::new(program[0]).args(&program[1..]).output().unwrap();
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        found.extend(lines.lines().filter(|line| named(line)).map(|line| format!("{}: {line}", program.join(" "))));
    }
    for process in fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()) {
        // The machine's first process may not have noticed yet that one has ended.
        if fs::read_to_string(process.join("status")).unwrap_or_default().contains("State:\tZ") {
            continue;
        }
        for file in ["cgroup", "cmdline", "mountinfo"] {
            let text = fs::read(process.join(file)).unwrap_or_default();
            if named(&String::from_utf8_lossy(&text)) {
                found.push(process.join(file).display().to_string());
            }
        }
    }
    found
}

#[test]
fn nothing_is_left_of_hosts() {
    let hosts = Hosts::up(2);
    let (prefix, directory) = (format!("{}-", hosts.prefix()), hosts.directory());
    let subnet = hosts.address("host1").to_string().rsplit_once('.').unwrap().0.to_owned() + ".0/24";
    let group = format!("/{}/", hosts.prefix());
    let directory_text = format!("{}/", directory.display());
    let words = [prefix.as_str(), &group, &directory_text, &subnet];
    // Else what is looked for would not be found where it is left either.
    let living = traces(&words).join("\n");
    for source in ["netns list: ", "route show", "find ", "findmnt ", "/cgroup", "/cmdline", "/mountinfo"] {
        assert!(living.contains(source), "{source} does not show a host: {living}");
    }
    hosts.power_off("host2");
    hosts.freeze("host1");
    for _ in 0..2 {
        hosts.down();
    }
    assert_eq!(traces(&words), Vec::<String>::new());
    assert!(!directory.exists());
}

/// With systemd, what is mounted in /run/netns is also below it: the first namespace makes a mount of that place.
#[test]
fn hosts_come_up_where_mounts_are_shared() {
    let hosts = Hosts::up(1);
    hosts.down();
    let output = hosts.apart(
        "if mountpoint --quiet /run/netns; then umount --lazy /run/netns; fi
         mount --make-rshared /
         hosts up 2
         findmnt --noheadings --list --output TARGET | sort | uniq --repeated
         echo on the host:
         hosts exec host2 -- findmnt --noheadings --list --output TARGET
         hosts down",
    );
    assert!(output.status.success(), "{output:?}");
    let mounts = String::from_utf8(output.stdout).unwrap();
    let (twice, on_the_host) = mounts.split_once("on the host:").unwrap();
    assert!(twice.contains("/run/netns/"), "{twice}");
    assert!(!on_the_host.contains("/run/netns/"), "{on_the_host}");
}

#[test]
fn a_test_that_panics_leaves_nothing() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let test = std::thread::spawn(move || {
        let hosts = Hosts::up(1);
        sender.send(hosts.directory()).unwrap();
        std::panic::resume_unwind(Box::new("as a failed assertion does"));
    });
    assert!(test.join().is_err());
    let directory = receiver.recv().unwrap();
    assert!(!directory.exists());
}

#[test]
fn the_next_test_removes_what_a_killed_one_left() {
    // As a test's child that is killed: nobody owns the slot that these hosts are in.
    let directory = Path::new("/var/lib/octo-test-hosts/31");
    let left = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/hosts"))
        .args(["up", "1"])
        .env("OCTO_HOSTS_DIR", directory)
        .env("OCTO_HOSTS_PREFIX", "octo-test-31")
        .env("OCTO_HOSTS_SUBNET", "10.214.31.0/24")
        .output()
        .unwrap();
    // Another test may be so quick that it is removed before it is up.
    assert!(left.status.success() || !directory.join("settings").exists(), "{left:?}");
    drop(Hosts::up(1));
    // Another test that came first may still be at it.
    let begun = Instant::now();
    while directory.exists() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!directory.exists());
    assert_eq!(traces(&["octo-test-31-", "/octo-test-31/", "octo-test-hosts/31/"]), Vec::<String>::new());
}
