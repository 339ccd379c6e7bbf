//! Somebody on the provider network: a network namespace with a port on the provider bridge.

use std::process::Command;

use crate::lab::{Finished, Lab, eventually};

/// A host outside the cloud, until it is dropped.
pub struct Outside<'a> {
    lab: &'a Lab,
    name: String,
}

impl<'a> Outside<'a> {
    /// Puts a host with this address and prefix length on the provider network.
    pub fn new(lab: &'a Lab, address: &str) -> Self {
        let outside = Self { lab, name: format!("{}-outside", lab.name) };
        outside.remove();
        let name = outside.name.as_str();
        let port =
            ["ovs-vsctl", "--may-exist", "add-port", "br-ex", name, "--", "set", "Interface", name, "type=internal"];
        lab.vswitch(&port);
        assert!(eventually(10, || ip(&["link", "show", name]).code == Some(0)), "the port has no device");
        for step in [
            &["netns", "add", name][..],
            &["link", "set", name, "netns", name],
            &["-n", name, "address", "add", address, "dev", name],
            &["-n", name, "link", "set", name, "up"],
        ] {
            ip(step).succeeds();
        }
        outside
    }

    /// Whether an address answers to a ping within some seconds.
    pub fn reaches(&self, address: &str, seconds: u64) -> bool {
        eventually(seconds, || self.run(&["ping", "-c", "1", "-W", "1", address]).code == Some(0))
    }

    /// What is served at a URL, if anything is.
    pub fn fetch(&self, url: &str) -> Option<String> {
        let finished = self.run(&["curl", "--silent", "--fail", "--max-time", "3", url]);
        (finished.code == Some(0)).then_some(finished.out)
    }

    fn run(&self, command: &[&str]) -> Finished {
        ip(&[&["netns", "exec", &self.name], command].concat())
    }

    fn remove(&self) {
        self.lab.vswitch(&["ovs-vsctl", "--if-exists", "del-port", "br-ex", &self.name]);
        if ip(&["netns", "list"]).out.lines().any(|line| line.split(' ').next() == Some(&self.name)) {
            ip(&["netns", "delete", &self.name]).succeeds();
        }
    }
}

impl Drop for Outside<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.remove();
        }
    }
}

fn ip(arguments: &[&str]) -> Finished {
    let output = Command::new("ip").args(arguments).output().unwrap();
    Finished::new(format!("ip {}", arguments.join(" ")), &output)
}
