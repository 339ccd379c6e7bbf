//! The real OpenStack client, in a virtual environment of the tests.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use serde_json::{Value, json};

use super::lab::{Finished, Lab};

/// Runs the client's commands in forks of itself: most of what one costs is the loading of its modules.
const LOADED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/client.py");
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

/// The client, loaded. Each command is a process of its own, with the arguments and variables of that one.
pub struct Client {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Client {
    /// Loads it by a command of these words, wherever that is run.
    pub fn start(command: impl FnOnce(&[&str]) -> Command) -> Self {
        let python = environment().join("bin/python");
        let mut command = command(&[python.to_str().unwrap(), "-I", LOADED]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, input, output }
    }

    /// Runs one of the client's commands as somebody who has these variables, and no others.
    pub fn run(&mut self, arguments: &[&str], variables: &BTreeMap<String, String>) -> Finished {
        let mut environment = json!(variables);
        environment["PATH"] = json!("/usr/bin:/bin");
        // Where it would look for a configuration of its own.
        environment["HOME"] = json!(env!("CARGO_TARGET_TMPDIR"));
        writeln!(self.input, "{}", json!({"arguments": arguments, "environment": environment})).unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).expect("the client has answered");
        let text = |key: &str| answer[key].as_str().unwrap().to_owned();
        let code = answer["code"].as_i64().and_then(|code| i32::try_from(code).ok());
        Finished { what: format!("openstack {}", arguments.join(" ")), code, out: text("out"), err: text("err") }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Lab {
    /// Runs the client as a user of this cloud would: with what `openrc` exports, and no more.
    pub fn openstack(&self, arguments: &[&str]) -> Finished {
        static CLIENT: OnceLock<Mutex<Client>> = OnceLock::new();
        let here = |words: &[&str]| {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]);
            command
        };
        CLIENT.get_or_init(|| Mutex::new(Client::start(here))).lock().unwrap().run(arguments, &self.openrc())
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
