//! What can be done to a host, and what it and its neighbours see then.

use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, HostConfig, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{CreateContainerOptionsBuilder, InspectContainerOptions, StartContainerOptions};

use super::simulated::{Hosts, Restart};
use crate::images::engine::Engine;

impl Hosts {
    fn engine(&self, host: &str) -> Docker {
        self.engine_for(host, 60)
    }

    /// An engine whose requests are given up after some seconds.
    fn engine_for(&self, host: &str, seconds: u64) -> Docker {
        let socket = self.socket(host).display().to_string();
        Docker::connect_with_unix(&socket, seconds, bollard::API_DEFAULT_VERSION).unwrap()
    }

    fn reaches(&self, from: &str, to: &str) -> bool {
        self.exec(from, &["busybox", "ping", "-c", "1", "-W", "1", &self.address(to).to_string()]).status.success()
    }

    /// Reaches it again: a neighbour that has just not been found is asked for once a second.
    fn reaches_again(&self, from: &str, to: &str) -> bool {
        (0..5).any(|_| self.reaches(from, to))
    }

    fn carrier(&self, host: &str) -> String {
        self.told(host, &["cat", "/sys/class/net/eth0/carrier"])
    }

    async fn inspect(&self, host: &str, container: &str) -> ContainerInspectResponse {
        let engine = self.engine(host).negotiate_version().await.unwrap();
        engine.inspect_container(container, None::<InspectContainerOptions>).await.unwrap()
    }

    /// The process of a container that runs, by its number on the host.
    async fn process(&self, host: &str, container: &str) -> Option<i64> {
        let state = self.inspect(host, container).await.state.unwrap();
        state.running.unwrap().then(|| state.pid.unwrap())
    }

    async fn start(&self, host: &str, container: &str, image: &str, policy: RestartPolicyNameEnum) {
        let engine = self.engine(host).negotiate_version().await.unwrap();
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: Some(["sleep", "3600"].map(str::to_owned).to_vec()),
            host_config: Some(HostConfig {
                // A first process that ends when it is told to.
                init: Some(true),
                restart_policy: Some(RestartPolicy { name: Some(policy), maximum_retry_count: None }),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(container).build();
        engine.create_container(Some(options), body).await.unwrap();
        engine.start_container(container, None::<StartContainerOptions>).await.unwrap();
    }
}

/// Waits until a condition holds: what an engine does after it answers takes a moment.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "still not so: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn hosts_are_machines_of_their_own() {
    let machine = Engine::new("hosts").await;
    let hosts = Hosts::up(2);
    assert!(hosts.reaches("host1", "host2") && hosts.reaches("switch", "host1"));
    assert!(hosts.exec("host1", &["busybox", "ping", "-c", "1", "host2"]).status.success(), "by name");
    assert_eq!(hosts.told("host2", &["hostname"]), "host2");

    let mut identities = vec![machine.docker.info().await.unwrap().id.unwrap()];
    for host in ["host1", "host2"] {
        for _ in 0..2 {
            hosts.load(host, &[&machine.base]);
        }
        let id = hosts.engine(host).inspect_image(&machine.base).await.unwrap().id;
        assert_eq!(id, machine.id(&machine.base).await);
        hosts.start(host, "main", &machine.base, RestartPolicyNameEnum::NO).await;
        assert!(hosts.process(host, "main").await.is_some());
        identities.push(hosts.engine(host).info().await.unwrap().id.unwrap());
    }
    identities.sort();
    identities.dedup();
    assert_eq!(identities.len(), 3, "{identities:?}");

    // Neither from a host to the world, nor from the machine to a host.
    assert_eq!(hosts.told("host1", &["ip", "route", "show", "default"]), "");
    let address = hosts.address("host1").to_string();
    let route = std::process::Command::new("ip").args(["route", "get", &address]).output().unwrap();
    assert!(!route.status.success(), "{route:?}");
}

#[tokio::test]
async fn a_host_that_was_off_comes_back_as_it_was() {
    let machine = Engine::new("hosts-boot").await;
    let hosts = Hosts::up(2);
    hosts.load("host1", &[&machine.base]);
    hosts.start("host1", "main", &machine.base, RestartPolicyNameEnum::UNLESS_STOPPED).await;
    hosts.start("host1", "once", &machine.base, RestartPolicyNameEnum::NO).await;
    let hardware_address = hosts.told("host1", &["cat", "/sys/class/net/eth0/address"]);
    assert!(hosts.reaches("host2", "host1"));

    for _ in 0..2 {
        hosts.power_off("host1");
    }
    assert!(!hosts.reaches("host2", "host1"));
    assert!(!hosts.socket("host1").exists());
    assert!(!hosts.exec("host1", &["true"]).status.success(), "nothing runs on a host that is off");
    assert!(hosts.list().contains("off"), "{}", hosts.list());

    for _ in 0..2 {
        hosts.boot("host1");
    }
    assert_eq!(hosts.told("host1", &["cat", "/sys/class/net/eth0/address"]), hardware_address);
    assert!(hosts.reaches_again("host2", "host1"));
    until("the container runs again", async || hosts.process("host1", "main").await.is_some()).await;
    assert_eq!(hosts.process("host1", "once").await, None);
}

#[test]
fn a_partition_is_silent_and_a_cut_is_not() {
    let hosts = Hosts::up(2);
    hosts.partition("host1");
    assert!(!hosts.reaches("host1", "host2") && !hosts.reaches("host2", "host1"));
    assert!(hosts.reaches("host2", "switch"), "the others see each other");
    assert_eq!(hosts.carrier("host1"), "1");
    assert!(hosts.list().contains("partitioned"), "{}", hosts.list());
    hosts.heal("host1");
    assert!(hosts.reaches_again("host1", "host2"));

    hosts.cut_link("host1");
    assert!(!hosts.reaches("host2", "host1"));
    assert_eq!(hosts.carrier("host1"), "0");
    hosts.heal("host1");
    assert!(hosts.reaches_again("host2", "host1"));
}

#[test]
fn a_full_disk_takes_nothing_until_it_is_freed() {
    let hosts = Hosts::with_disks(2, "256M");
    let directory = format!("{}/", hosts.directory().display());
    let writes = |host: &str, name: &str| {
        let file = format!("of=/var/lib/octo/{name}");
        hosts.exec(host, &["dd", "if=/dev/zero", &file, "bs=1M", "count=4", "conv=fsync"]).status.success()
    };
    assert!(writes("host1", "before"));
    for _ in 0..2 {
        hosts.fill_disk("host1");
        assert!(!writes("host1", "meanwhile"), "the disk is full");
    }
    assert!(writes("host2", "meanwhile"), "the other's is another one");
    for _ in 0..2 {
        hosts.free_disk("host1");
    }
    assert!(writes("host1", "after"));

    hosts.power_off("host1");
    hosts.boot_all(&["host1"]);
    let size = hosts.told("host1", &["stat", "--format", "%s", "/var/lib/octo/before"]);
    assert_eq!(size, (4 << 20).to_string());

    let is_left = || {
        [["losetup", "--output", "BACK-FILE"], ["findmnt", "--output", "TARGET"]].iter().any(|program| {
            let output = std::process::Command::new(program[0]).arg("--list").args(&program[1..]).output().unwrap();
            String::from_utf8_lossy(&output.stdout).contains(&directory)
        })
    };
    assert!(is_left(), "else what is looked for would not be found where it is left either");
    hosts.down();
    // A host of another test that is just being made may still have a copy of the mount.
    let begun = Instant::now();
    while is_left() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the disks are left");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_disk_that_hosts_share_is_never_filled() {
    let hosts = Hosts::up(1);
    let mut command = std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/hosts"));
    let output = command.args(["disk-fill", "host1"]).env("OCTO_HOSTS_DIR", hosts.directory()).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("OCTO_HOSTS_DISK"), "{said}");
}

#[tokio::test]
async fn a_frozen_host_goes_on_where_it_was() {
    let machine = Engine::new("hosts-freeze").await;
    let hosts = Hosts::up(1);
    hosts.load("host1", &[&machine.base]);
    hosts.start("host1", "main", &machine.base, RestartPolicyNameEnum::NO).await;
    let process = hosts.process("host1", "main").await;
    for _ in 0..2 {
        hosts.freeze("host1");
    }
    hosts.engine_for("host1", 1).ping().await.unwrap_err();
    assert!(!hosts.exec("host1", &["true"]).status.success(), "nothing can be started on a frozen host");
    for _ in 0..2 {
        hosts.thaw("host1");
    }
    assert_eq!(hosts.process("host1", "main").await, process);
    // Frozen again: such a host can be switched off too.
    hosts.freeze("host1");
    hosts.power_off("host1");
    hosts.boot("host1");
    assert_eq!(hosts.process("host1", "main").await, None);
}

#[tokio::test]
async fn an_engine_that_restarts_finds_its_containers() {
    let machine = Engine::new("hosts-engine").await;
    let hosts = Hosts::up(1);
    hosts.load("host1", &[&machine.base]);
    hosts.start("host1", "main", &machine.base, RestartPolicyNameEnum::ALWAYS).await;
    let first = hosts.process("host1", "main").await;
    assert!(first.is_some());

    hosts.restart_engine("host1", Restart::LiveRestore);
    assert_eq!(hosts.process("host1", "main").await, first);

    for how in [Restart::Killed, Restart::Orderly] {
        let before = hosts.process("host1", "main").await;
        hosts.restart_engine("host1", how);
        let again = async || hosts.process("host1", "main").await.is_some_and(|process| Some(process) != before);
        until("the container runs anew", again).await;
    }
}
