//! A pair gets a compute service while it serves. Instances of different nodes reach each other, and what they send
//! each other goes on while the cloud has lost its majority.

use std::process::Stdio;

use serde_json::Value;

use crate::lab::{Finished, eventually};
use crate::pair::{FIRST, HOSTS, Pair};

/// What is lost at once: the other control node and the witness.
const LOST: [&str; 2] = [HOSTS[1], HOSTS[2]];
/// Echo requests, one a second: for longer than it takes to lose two nodes and for all to notice.
const REQUESTS: usize = 15;

/// An instance.
pub struct Instance<'a> {
    pair: &'a Pair,
    host: &'static str,
    id: String,
    address: String,
}

impl<'a> Instance<'a> {
    /// Boots one on a host of the pair.
    pub fn boot(pair: &'a Pair, host: &'static str, name: &str) -> Self {
        let hypervisor = Pair::node(host);
        let what = ["server", "create", "--image", "demo", "--flavor", "c1.tiny", "--network", "private", "--wait"];
        let there = ["--os-compute-api-version", "2.74", "--host", hypervisor, name];
        let shown = json(pair, &[&what[..], &there].concat());
        assert_eq!(shown["status"], "ACTIVE", "{shown}");
        let address = shown["addresses"]["private"][0].as_str().unwrap_or_else(|| panic!("{shown}")).to_owned();
        Self { pair, host, id: shown["id"].as_str().unwrap().to_owned(), address }
    }

    /// The command that sends another instance echo requests.
    fn ping(&self, other: &Self, count: usize) -> Vec<String> {
        let (instance, role) = (format!("label=octo.instance={}", self.id), "label=octo.instance.role=guest");
        let list = ["ps", "--quiet", "--filter", &instance, "--filter", role];
        let container = self.pair.run(self.host, "docker", &list).succeeds().out.trim().to_owned();
        let words = ["docker", "exec", &container, "ping", "-W", "1", "-c", &count.to_string(), &other.address];
        words.map(str::to_owned).to_vec()
    }

    /// Whether another answers within a minute.
    fn reaches(&self, other: &Self) -> bool {
        eventually(60, || {
            let ping = self.ping(other, 1);
            let words: Vec<&str> = ping[1..].iter().map(String::as_str).collect();
            self.pair.run(self.host, &ping[0], &words).code == Some(0)
        })
    }
}

fn json(pair: &Pair, arguments: &[&str]) -> Value {
    let finished = pair.openstack(&[arguments, &["--format", "json"]].concat()).succeeds();
    serde_json::from_str(&finished.out).unwrap()
}

/// The pair is whole before and after, and has the standard profile then. `further` is its configuration beyond
/// that of all pairs.
pub fn instances_outlive_the_majority(pair: &Pair, further: &str) {
    pair.configure_instances(further);
    pair.load_images(|_| true);
    pair.octo(&["up"]).succeeds();
    pair.octo(&["plan", "--check"]).succeeds();
    // The way of a person on the provider network to instances of all nodes.
    pair.run(FIRST, "ip", &["address", "add", "192.0.2.1/24", "dev", "br-ex"]).succeeds();
    pair.run(FIRST, "ip", &["link", "set", "dev", "br-ex", "up"]).succeeds();
    let verified = pair.octo(&["--format", "json", "verify"]).succeeds();
    let verified: Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!(verified["left_out"], Value::Array(Vec::new()), "{verified}");

    pair.octo(&["demo"]).succeeds();
    let [one, neighbour] = ["one", "neighbour"].map(|name| Instance::boot(pair, FIRST, name));
    let far = Instance::boot(pair, LOST[0], "far");
    assert!(one.reaches(&neighbour) && one.reaches(&far) && far.reaches(&one), "an instance is not reached");

    let words = one.ping(&neighbour, REQUESTS);
    let mut command = pair.command(one.host, &words.iter().map(String::as_str).collect::<Vec<_>>());
    let asking = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    LOST.iter().for_each(|host| pair.hosts.power_off(host));
    let asked = Finished::new(words.join(" "), &asking.wait_with_output().unwrap()).succeeds();
    let all = format!("{REQUESTS} packets transmitted, {REQUESTS} packets received");
    assert!(asked.out.contains(&all), "without the majority: {}", asked.all());

    pair.hosts.boot_all(&LOST);
    pair.comes_back("a loss of the majority");
    assert!(one.reaches(&far) && far.reaches(&neighbour), "an instance is not reached after its node's reboot");
}
