//! A cloud of a test: its directory, its configuration, and octo with both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The range that test clouds take their subnets from. Packets to it never leave this machine.
const RANGE: &str = "10.213.0.0/16";

/// A cloud of a test.
pub struct Lab {
    pub name: &'static str,
    pub directory: PathBuf,
    /// The external VIP, on loopback.
    pub vip: &'static str,
}

impl Lab {
    /// The cloud that most tests share.
    pub fn shared() -> Self {
        Self::new("e2e", "10.213.1.0/24", "127.0.13.1", "")
    }

    /// A cloud of its own. `further` is appended to its configuration.
    pub fn new(name: &'static str, subnet: &str, vip: &'static str, further: &str) -> Self {
        fence();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let lab = Self { name, directory, vip };
        lab.configure("minimal", subnet, "", further);
        if !lab.state().join("secrets.json").exists() {
            lab.purge();
        }
        lab
    }

    /// Removes what a run from another directory left of a cloud with this name: octo itself would
    /// rightly refuse to, since the secrets to it are not here.
    fn purge(&self) {
        for (list, remove) in [
            (&["ps", "--all", "--quiet"][..], &["rm", "--force"][..]),
            (&["network", "ls", "--quiet"], &["network", "rm"]),
            (&["volume", "ls", "--quiet"], &["volume", "rm"]),
        ] {
            for id in docker_lines(&[list, &["--filter", &self.label()]].concat()) {
                docker_lines(&[remove, &[id.as_str()]].concat());
            }
        }
        let bridge = format!("octo-{}", self.name);
        if std::path::Path::new("/sys/class/net").join(&bridge).exists() {
            assert!(Command::new("ip").args(["link", "delete", &bridge]).status().unwrap().success());
        }
    }

    /// The same without anything that a broken run may have left.
    pub fn fresh(name: &'static str, subnet: &str, vip: &'static str, further: &str) -> Self {
        let lab = Self::new(name, subnet, vip, "");
        lab.remove();
        lab.configure("minimal", subnet, "", further);
        lab
    }

    /// A cloud with the standard profile, and the host's address on its provider network.
    pub fn standard(name: &'static str, subnet: &str, vip: &'static str, provider: &str) -> Self {
        let lab = Self::new(name, subnet, vip, "");
        lab.configure("standard", subnet, &format!(", provider: {{address: {provider}}}"), "");
        lab
    }

    fn configure(&self, profile: &str, subnet: &str, network: &str, further: &str) {
        let text = format!(
            "cloud: {}\nprofile: {profile}\nnetwork: {{management: {{subnet: {subnet}}}, external_vip: {}{network}}}\nlogging: {{directory: {}}}\n{further}",
            self.name,
            self.vip,
            self.logs().display()
        );
        std::fs::write(self.directory.join("configuration.yaml"), text).unwrap();
    }

    /// Where the cloud's log files are.
    pub fn logs(&self) -> PathBuf {
        self.directory.join("logs")
    }

    /// The cloud's state directory.
    pub fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// octo for this cloud.
    pub fn octo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_octo"));
        command
            .current_dir(&self.directory)
            .arg("--config")
            .arg(self.directory.join("configuration.yaml"))
            .arg("--state-dir")
            .arg(self.state())
            .args(arguments)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs octo to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        let output = self.octo(arguments).output().unwrap();
        Finished::new(format!("octo {}", arguments.join(" ")), &output)
    }

    /// A job of this cloud had no need to run: its databases have been filled from the image.
    #[track_caller]
    pub fn filled_from_its_image(&self, service: &str, job: &str, databases: &[&str]) {
        let log = self.state().join(format!("logs/{}-{service}-{job}.log", self.name));
        let log = std::fs::read_to_string(log).unwrap();
        for database in databases {
            assert!(log.contains(&format!("{database}: filled with /usr/share/octo/schema/")), "{log}");
        }
    }

    /// Brings the cloud up.
    pub fn up(&self) {
        self.run(&["up"]).succeeds();
    }

    /// Removes the cloud whole.
    pub fn remove(&self) {
        self.run(&["--yes", "rm", "--volumes"]).succeeds();
    }

    /// What `openrc` exports.
    pub fn openrc(&self) -> BTreeMap<String, String> {
        exported(&self.run(&["openrc"]).succeeds().out)
    }

    /// The cloud's containers: name -> `id started-at restarts`.
    pub fn containers(&self) -> BTreeMap<String, String> {
        let names = docker_lines(&["ps", "--all", "--filter", &self.label(), "--format", "{{.Names}}"]);
        names
            .into_iter()
            .map(|name| {
                let what = "{{.Id}} {{.State.StartedAt}} {{.RestartCount}}";
                let line = docker_lines(&["inspect", "--format", what, &name]).concat();
                (name, line)
            })
            .collect()
    }

    /// The filter for everything of this cloud.
    pub fn label(&self) -> String {
        format!("label=octo.cloud={}", self.name)
    }
}

/// Keeps packets for test clouds on this machine: without a bridge they would take the default route.
fn fence() {
    let known = Command::new("ip").args(["route", "show", "type", "unreachable", RANGE]).output().unwrap();
    if known.stdout.is_empty() {
        let added = Command::new("ip").args(["route", "add", "unreachable", RANGE]).output().unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    }
}

/// What the text that `openrc` prints exports.
pub fn exported(text: &str) -> BTreeMap<String, String> {
    // A shell undoes the quoting, as it does for a person.
    let script = format!("set -a; {text}\nenv | grep ^OS_");
    let output = Command::new("bash").arg("-c").arg(script).env_clear().output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// A command that has ended.
pub struct Finished {
    /// The command, in words.
    pub what: String,
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Finished {
    pub fn new(what: String, output: &Output) -> Self {
        Self {
            what,
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Everything that it printed.
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.exits_with(0)
    }

    #[track_caller]
    pub fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}:\n{}\n{}", self.what, self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}:\n{}", self.what, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.all().contains(text), "{} does not say `{text}`:\n{}\n{}", self.what, self.out, self.err);
        self
    }
}

/// The lines that the docker command prints.
#[track_caller]
pub fn docker_lines(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("docker").args(arguments).output().unwrap();
    let finished = Finished::new(format!("docker {}", arguments.join(" ")), &output).succeeds();
    finished.out.lines().map(str::to_owned).collect()
}

/// Whether something becomes true within a time; asks again until then.
pub fn eventually(seconds: u64, mut holds: impl FnMut() -> bool) -> bool {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    while !holds() {
        if std::time::Instant::now() > end {
            return false;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    true
}

/// Builds all images with the machine's own engine, by the configuration in the file `build`, and
/// returns the tags of those that configuration.yaml needs.
pub fn built(directory: &Path, build: &str) -> Vec<String> {
    let octo = |configuration: &str, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_octo"));
        command.current_dir(directory).args(["--config", configuration, "--state-dir", "build"]).args(arguments);
        Finished::new(format!("octo {}", arguments.join(" ")), &command.output().unwrap()).succeeds()
    };
    octo(build, &["build"]);
    let listed: serde_json::Value =
        serde_json::from_str(&octo("configuration.yaml", &["--format", "json", "build", "--check"]).out).unwrap();
    let tags = listed["images"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned());
    // It is for builds alone.
    tags.filter(|tag| !tag.starts_with("octo/uv:")).collect()
}
