//! Hosts of a test: `scripts/hosts` with names that no other test has, and the removal of all that
//! was made, on panic too. What a killed test left is removed by the next one.
//!
//! Other test programs have it as a module by `#[path]`.

#![allow(dead_code, reason = "no test program needs every fault")]

use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where the hosts of all tests have their state and data: on a disk, and for root alone.
const ROOT: &str = "/var/lib/octo-test-hosts";

/// How many tests can have hosts at the same time.
const SLOTS: u8 = 32;

/// How an engine is restarted.
#[derive(Clone, Copy, Debug)]
pub enum Restart {
    /// Killed. The new engine stops the containers that it finds running, and starts again those
    /// whose restart policy is `always`; what is `unless-stopped` counts as stopped by a person.
    Killed,
    /// Killed. The new engine lets the containers that it finds run on.
    LiveRestore,
    /// Asked to end: it stops its containers first.
    Orderly,
}

/// Which hosts a test has: their directory, prefix and subnet follow from the number.
struct Slot {
    number: u8,
    /// Belongs to this process for as long as that lives, however it ends.
    _owner: UnixListener,
}

impl Slot {
    /// Takes a slot that no living process has, and removes what is left in it.
    fn take(number: u8) -> Option<Self> {
        let name = SocketAddr::from_abstract_name(format!("octo-test-hosts-{number}")).unwrap();
        let slot = Self { number, _owner: UnixListener::bind_addr(&name).ok()? };
        if slot.directory().exists() {
            slot.run(&["down"]);
        }
        Some(slot)
    }

    fn directory(&self) -> PathBuf {
        Path::new(ROOT).join(self.number.to_string())
    }

    fn prefix(&self) -> String {
        format!("octo-test-{}", self.number)
    }

    /// An address of the slot's subnet.
    fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 214, self.number, last)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/hosts"));
        command
            .args(arguments)
            .env("OCTO_HOSTS_DIR", self.directory())
            .env("OCTO_HOSTS_PREFIX", self.prefix())
            .env("OCTO_HOSTS_SUBNET", format!("{}/24", self.address(0)));
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("start scripts/hosts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "scripts/hosts {}: {said}", arguments.join(" "));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Hosts on a network of their own, named host1, host2 and so on.
pub struct Hosts {
    slot: Slot,
}

impl Hosts {
    /// Makes hosts whose engines answer.
    pub fn up(count: u8) -> Self {
        Self::with_disks(count, "")
    }

    /// The same, each with a disk of its own of a size such as `6G`, which can be filled.
    pub fn with_disks(count: u8, size: &str) -> Self {
        // All free slots are taken for a moment, so that what killed tests left in them goes.
        let mut free = (0..SLOTS).filter_map(Slot::take);
        let slot = free.next().expect("too many tests have hosts");
        free.for_each(drop);
        // Before anything is made, so that it is removed where that fails.
        let hosts = Self { slot };
        let output = hosts.slot.command(&["up", &count.to_string()]).env("OCTO_HOSTS_DISK", size).output();
        let output = output.expect("start scripts/hosts");
        assert!(output.status.success(), "scripts/hosts up: {}", String::from_utf8_lossy(&output.stderr));
        hosts
    }

    /// The directory with the state and data of all hosts.
    pub fn directory(&self) -> PathBuf {
        self.slot.directory()
    }

    /// What the names of network namespaces and control groups begin with.
    pub fn prefix(&self) -> String {
        self.slot.prefix()
    }

    /// The address of a host, or of `switch`, as others see it.
    pub fn address(&self, host: &str) -> Ipv4Addr {
        if host == "switch" {
            return self.slot.address(1);
        }
        let number = std::fs::read_to_string(self.directory().join(host).join("number")).unwrap();
        self.slot.address(10 + number.trim().parse::<u8>().unwrap())
    }

    /// The socket of a host's engine, which can be reached from outside of the host.
    pub fn socket(&self, host: &str) -> PathBuf {
        self.directory().join(host).join("docker.sock")
    }

    /// A host's files below a directory of which each host has its own, as /var/log is.
    pub fn disk(&self, host: &str, path: &str) -> PathBuf {
        self.directory().join(host).join("disk").join(path.trim_start_matches('/'))
    }

    /// A command to be run on a host, or on `switch`, which is outside of all hosts.
    pub fn command(&self, host: &str, arguments: &[&str]) -> Command {
        self.slot.command(&[&["exec", host, "--"], arguments].concat())
    }

    /// Runs a command on a host, or on `switch`.
    pub fn exec(&self, host: &str, arguments: &[&str]) -> Output {
        self.command(host, arguments).output().expect("start scripts/hosts")
    }

    /// What a command that must succeed writes.
    pub fn told(&self, host: &str, arguments: &[&str]) -> String {
        let output = self.exec(host, arguments);
        assert!(output.status.success(), "{}: {output:?}", arguments.join(" "));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Copies images from the machine's engine, as far as they are not there.
    pub fn load(&self, host: &str, images: &[&str]) {
        self.slot.run(&[&["load", host], images].concat());
    }

    /// Ends everything on a host at once.
    pub fn power_off(&self, host: &str) {
        self.slot.run(&["power-off", host]);
    }

    /// Starts a host that is off, until its engine answers.
    pub fn boot(&self, host: &str) {
        self.slot.run(&["boot", host]);
    }

    /// Starts all of these hosts that are off at the same time, until their engines answer.
    pub fn boot_all(&self, hosts: &[&str]) {
        self.slot.run(&[&["up"], hosts].concat());
    }

    /// Takes the carrier from a host's link.
    pub fn cut_link(&self, host: &str) {
        self.slot.run(&["link-cut", host]);
    }

    /// Loses all packets of a host, which sees a good link.
    pub fn partition(&self, host: &str) {
        self.slot.run(&["partition", host]);
    }

    /// Ends a cut and a partition.
    pub fn heal(&self, host: &str) {
        self.slot.run(&["heal", host]);
    }

    /// Stops all processes of a host where they are.
    pub fn freeze(&self, host: &str) {
        self.slot.run(&["freeze", host]);
    }

    /// Lets a frozen host go on.
    pub fn thaw(&self, host: &str) {
        self.slot.run(&["thaw", host]);
    }

    /// Leaves no room on a host's own disk.
    pub fn fill_disk(&self, host: &str) {
        self.slot.run(&["disk-fill", host]);
    }

    /// Gives back the room that was taken.
    pub fn free_disk(&self, host: &str) {
        self.slot.run(&["disk-free", host]);
    }

    /// Restarts a host's engine, until it answers.
    pub fn restart_engine(&self, host: &str, how: Restart) {
        match how {
            Restart::Killed => self.slot.run(&["engine-restart", host]),
            Restart::LiveRestore => self.slot.run(&["engine-restart", host, "--live-restore"]),
            Restart::Orderly => self.slot.run(&["engine-restart", host, "--orderly"]),
        };
    }

    /// Runs a script of the shell's in which `hosts` is `scripts/hosts`, in a mount namespace of its own.
    pub fn apart(&self, script: &str) -> Output {
        let hosts = self.slot.command(&[]);
        let mut shell = Command::new("unshare");
        shell.args(["--mount", "--", "bash", "-euc", &format!("hosts() {{ \"$0\" \"$@\"; }}\n{script}")]);
        shell.arg(hosts.get_program());
        shell.envs(hosts.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.output().expect("start unshare")
    }

    /// The table of all hosts.
    pub fn list(&self) -> String {
        self.slot.run(&["list"])
    }

    /// Removes all hosts: what dropping does, but it can be looked at what is left.
    pub fn down(&self) {
        self.slot.run(&["down"]);
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let output = self.slot.command(&["down"]).output();
        let removed = output.as_ref().is_ok_and(|output| output.status.success());
        // A second panic would hide the first.
        assert!(removed || std::thread::panicking(), "cannot remove the hosts: {output:?}");
        if !removed {
            eprintln!("cannot remove the hosts: {output:?}");
        }
        // Of the last test that had hosts, nothing is left. Others may still be in it.
        std::fs::remove_dir(ROOT).ok();
    }
}
