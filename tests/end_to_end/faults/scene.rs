//! What a fault has to know of the pair: who has which part at the moment.

use super::balancer::busiest;
use crate::lab::{Finished, eventually};
use crate::pair::{HOSTS, Pair};

/// The hosts of the control nodes.
pub const CONTROL: [&str; 2] = [HOSTS[0], HOSTS[1]];
/// The host of the witness.
pub const WITNESS: &str = HOSTS[2];

/// Seconds in which the cloud has to be well again.
pub const PATIENCE: u64 = 300;

/// The other one of the hosts of control nodes.
pub fn other(host: &str) -> &'static str {
    CONTROL.into_iter().find(|control| *control != host).expect("there are two")
}

impl Pair {
    fn docker(&self, host: &str, arguments: &[&str]) -> Finished {
        self.run(host, "docker", arguments)
    }

    /// The first process of a container, by its number on the host; none while it does not run.
    pub fn process(&self, host: &str, container: &str) -> Option<String> {
        let told = self.docker(host, &["inspect", "--format", "{{.State.Pid}}", container]);
        let number = told.out.trim();
        (told.code == Some(0) && number != "0").then(|| number.to_owned())
    }

    /// Kills a process of a host.
    pub fn kill(&self, host: &str, process: &str) {
        // Not through the engine, which would take it for a person's wish.
        self.run(host, "bash", &["-c", "kill -s KILL \"$0\"", process]).succeeds();
    }

    /// The host that has the VIPs.
    pub fn vip_host(&self) -> Result<&'static str, String> {
        self.holder().ok_or_else(|| "no host has the VIP".to_owned())
    }

    /// The host of the member of the database that writes: where the services' connections go.
    pub fn writer(&self) -> Result<&'static str, String> {
        let connected = || {
            let host = self.holder()?;
            let command = "echo 'show stat' | socat - UNIX-CONNECT:/run/haproxy/admin.sock";
            let statistics =
                self.docker(host, &["exec", &Self::container("haproxy-proxy", host), "sh", "-c", command]).out;
            let server = busiest(&statistics, "mariadb-server")?;
            CONTROL.into_iter().find(|host| Self::container("mariadb-server", host) == server)
        };
        let mut writer = None;
        eventually(PATIENCE, || {
            writer = connected();
            if writer.is_none() {
                // Services connect when somebody asks them.
                self.openstack(&["project", "show", "admin"]);
            }
            writer.is_some()
        });
        writer.ok_or_else(|| "HAProxy tells no writer".to_owned())
    }

    /// Waits until the cloud is well, or tells how it is.
    pub fn becomes_well(&self) -> Result<(), String> {
        if eventually(PATIENCE, || self.is_well()) { Ok(()) } else { Err(format!("it is not well: {}", self.told())) }
    }

    /// Makes the member of the database that is on the VIP node, or the one that is not, the writer.
    pub fn place_writer(&self, at_vip: bool) -> Result<(), String> {
        let is_placed = || Ok::<_, String>((self.writer()? == self.vip_host()?) == at_vip);
        if is_placed()? {
            return Ok(());
        }
        let writer = self.writer()?;
        // The other one takes over, and this one does not take that back.
        self.docker(writer, &["restart", "--time", "60", &Self::container("mariadb-server", writer)]).succeeds();
        self.becomes_well()?;
        if is_placed()? { Ok(()) } else { Err("the writer cannot be placed".to_owned()) }
    }

    /// On how many control nodes the database takes itself to be in the primary component.
    pub fn primaries(&self) -> usize {
        let told = |host: &&str| {
            let database = Self::container("mariadb-server", host);
            self.docker(host, &["exec", &database, "octo-mariadb", "status"]).out.starts_with("primary")
        };
        CONTROL.into_iter().filter(told).count()
    }
}
