//! The real OpenStack client, in a virtual environment of the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::lab::{Finished, Lab};

const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/requirements.txt");

/// The Python environment of the tests; installed at the first call of a machine.
pub fn environment() -> &'static PathBuf {
    static ENVIRONMENT: OnceLock<PathBuf> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("client");
        let done = venv.join("requirements.txt");
        let wanted = std::fs::read(REQUIREMENTS).unwrap();
        if std::fs::read(&done).ok() != Some(wanted) {
            step(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&venv));
            step(Command::new(venv.join("bin/pip")).args(["install", "--quiet", "--requirement", REQUIREMENTS]));
            std::fs::copy(REQUIREMENTS, done).unwrap();
        }
        venv
    })
}

fn step(command: &mut Command) {
    let output = command.output().unwrap();
    Finished::new(format!("{command:?}"), &output).succeeds();
}

impl Lab {
    /// Runs the client as a user of this cloud would: with what `openrc` exports, and no more.
    pub fn openstack(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(environment().join("bin/openstack"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &self.directory)
            .envs(self.openrc());
        Finished::new(format!("openstack {}", arguments.join(" ")), &command.output().unwrap())
    }

    /// The same, for a command that prints JSON.
    #[track_caller]
    pub fn openstack_json(&self, arguments: &[&str]) -> Value {
        let finished = self.openstack(&[arguments, &["--format", "json"]].concat()).succeeds();
        serde_json::from_str(&finished.out).unwrap()
    }

    /// The names in a list.
    #[track_caller]
    pub fn names(&self, arguments: &[&str]) -> Vec<String> {
        let list = self.openstack_json(arguments);
        list.as_array().unwrap().iter().map(|entry| entry["Name"].as_str().unwrap().to_owned()).collect()
    }
}
