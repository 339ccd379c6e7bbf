//! Instances as the tests see them: through the client, and from inside.

use std::process::Command;

use crate::lab::{Finished, Lab, docker_lines, eventually};

/// An instance.
pub struct Server<'a> {
    lab: &'a Lab,
    pub id: String,
    pub name: String,
}

impl Lab {
    /// Boots an instance and waits until it is ACTIVE.
    #[track_caller]
    pub fn boot(&self, name: &str, image: &str, network: &str, further: &[&str]) -> Server<'_> {
        let arguments = ["server", "create", "--image", image, "--flavor", "c1.tiny", "--network", network, "--wait"];
        let shown = self.openstack_json(&[&arguments, further, &[name]].concat());
        assert_eq!(shown["status"], "ACTIVE", "{shown}");
        Server { lab: self, id: shown["id"].as_str().unwrap().to_owned(), name: name.to_owned() }
    }
}

impl Server<'_> {
    /// What Nova says of it.
    pub fn status(&self) -> String {
        self.lab.openstack_json(&["server", "show", &self.id])["status"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until Nova says that it is in a state.
    #[track_caller]
    pub fn becomes(&self, status: &str) {
        let became = eventually(60, || self.status() == status);
        assert!(became, "{} is {} and not {status}", self.name, self.status());
    }

    /// Does something to it: `server <verb>…`.
    #[track_caller]
    pub fn act(&self, verb: &[&str]) {
        self.lab.openstack(&[&["server"], verb, &[&self.id]].concat()).succeeds();
    }

    /// The container that its process is in.
    pub fn container(&self) -> String {
        let (instance, role) = (format!("label=octo.instance={}", self.id), "label=octo.instance.role=guest");
        let found = docker_lines(&["ps", "--all", "--filter", &instance, "--filter", role, "--format", "{{.Names}}"]);
        assert_eq!(found.len(), 1, "{found:?}");
        found.concat()
    }

    /// Runs a command inside.
    pub fn inside(&self, command: &[&str]) -> Finished {
        let output = Command::new("docker").arg("exec").arg(self.container()).args(command).output().unwrap();
        Finished::new(format!("{} in {}", command.join(" "), self.name), &output)
    }

    /// Its first fixed address.
    pub fn address(&self) -> String {
        let ports = self.lab.openstack_json(&["port", "list", "--server", &self.id]);
        let fixed = &ports[0]["Fixed IP Addresses"][0];
        fixed["ip_address"].as_str().unwrap_or_else(|| panic!("{ports}")).to_owned()
    }

    /// Whether it gets an answer from an address within some seconds.
    pub fn reaches(&self, address: &str, seconds: u64) -> bool {
        eventually(seconds, || self.inside(&["ping", "-c", "1", "-W", "1", address]).code == Some(0))
    }

    /// Whether it reaches the metadata service, and is told who it is.
    pub fn knows_itself(&self) -> bool {
        let url = "http://169.254.169.254/openstack/latest/meta_data.json";
        eventually(30, || self.inside(&["wget", "-q", "-T", "3", "-O", "-", url]).out.contains(&self.id))
    }

    /// What its process has printed.
    pub fn console(&self) -> String {
        self.lab.openstack(&["console", "log", "show", &self.id]).succeeds().out
    }

    /// Deletes it and waits until it is gone.
    #[track_caller]
    pub fn delete(self) {
        self.lab.openstack(&["server", "delete", "--wait", &self.id]).succeeds();
    }
}
