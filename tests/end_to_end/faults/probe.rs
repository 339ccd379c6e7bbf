//! The load clients as processes: they send requests on their own, and are told marks.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::samples::Log;
use crate::lab::eventually;
use crate::pair::Pair;

/// The Python of the machine, which is that of the hosts too.
const PYTHON: &str = "/usr/bin/python3";
const CLIENT: &str = concat!(include_str!("schedule.py"), "\n\n", include_str!("client.py"));
const CALLS: &str = concat!(include_str!("schedule.py"), "\n\n", include_str!("rpc.py"));

/// How long a client may take to report a mark.
const ATTENTION: Duration = Duration::from_secs(10);
/// Seconds after which its last requests have ended.
const END: u64 = 60;

/// A load client that runs.
pub struct Probe {
    child: Child,
    input: Option<ChildStdin>,
    lines: Arc<Mutex<Vec<String>>>,
    marks: Receiver<()>,
    reader: Option<JoinHandle<()>>,
}

impl Probe {
    /// Reads and writes through the VIP, from outside of all hosts. What it makes is named after the prefix. It has the
    /// processors before the hosts have them: what it waited for those would be taken for an outage.
    pub fn load(pair: &Pair, every: Duration, prefix: &str) -> Self {
        let seconds = every.as_secs_f64().to_string();
        Self::start(
            &mut pair.command("switch", &["nice", "--adjustment=-5", PYTHON, "-c", CLIENT, "load", &seconds, prefix]),
        )
    }

    /// Calls over the message bus, from a container of this host.
    pub fn calls(pair: &Pair, host: &str) -> Self {
        let keystone = Pair::container("keystone-api", host);
        Self::start(&mut pair.command(host, &["docker", "exec", "--interactive", &keystone, "python3", "-c", CALLS]))
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (sender, marks) = channel();
        let kept = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let is_mark = line.starts_with("{\"mark\"");
                kept.lock().unwrap().push(line);
                if is_mark {
                    // Nobody waits for the last one.
                    sender.send(()).ok();
                }
            }
        });
        Self { child, input, lines, marks, reader: Some(reader) }
    }

    /// Sets a mark, and returns when it is set.
    pub fn mark(&mut self, name: &str) {
        writeln!(self.input.as_mut().unwrap(), "{name}").unwrap();
        self.marks.recv_timeout(ATTENTION).expect("the client reports a mark");
    }

    /// What it has reported so far.
    pub fn log(&self) -> Log {
        Log::parse(self.lines.lock().unwrap().iter().map(String::as_str)).unwrap()
    }

    /// Ends it when the requests that are under way have ended. Returns its lines too, to be kept.
    pub fn finish(mut self) -> (Log, String) {
        drop(self.input.take());
        let ended = eventually(END, || self.child.try_wait().unwrap().is_some());
        assert!(ended, "the client does not end");
        self.reader.take().unwrap().join().unwrap();
        let text = self.lines.lock().unwrap().join("\n");
        (self.log(), text)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // Without its input it ends by itself too; this one may be on its way to another process.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Which of these projects Keystone does not know. Fails if it does not tell.
pub fn unknown(pair: &Pair, projects: &[String]) -> Result<Vec<String>, String> {
    let mut command = pair.command("switch", &[PYTHON, "-c", CLIENT, "verify"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // It reads all before it asks and writes. If it cannot log in it has ended, and reads nothing.
    child.stdin.take().unwrap().write_all(projects.join("\n").as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        return Err(format!("Keystone does not tell which of {} projects it knows", projects.len()));
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.pop().unwrap_or_default();
    assert_eq!(last["verified"], projects.len(), "not all projects were looked for: {last}");
    Ok(lines.iter().map(|line| line["lost"].as_str().unwrap().to_owned()).collect())
}
