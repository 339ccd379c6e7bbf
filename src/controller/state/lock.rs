//! The deploy lock: one octo at a time changes a cloud. The kernel releases it when its holder
//! ends, however it ends.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{State, failed, now};
use crate::error::{Error, ErrorKind};

pub(super) const FILE: &str = "lock";

/// Who holds the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// What it does: `run`, `init`…
    pub verb: String,
    /// Since when, RFC 3339.
    pub since: String,
}

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct DeployLock {
    file: File,
    path: PathBuf,
}

impl State {
    /// Takes the deploy lock, or says who holds it. What another node's octo has changed meanwhile is octo's own
    /// from then on.
    pub fn lock(&self, verb: &str) -> Result<DeployLock, Error> {
        let path = self.directory().join(FILE);
        loop {
            self.ensure()?;
            let mut file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(|error| failed("open", &path, &error))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(held(&mut file, verb)),
                Err(TryLockError::Error(error)) => return Err(failed("lock", &path, &error)),
            }
            // The last holder may have removed the file between our opening and locking it; then
            // what we hold guards nothing.
            let ours = file.metadata().map_err(|error| failed("look at", &path, &error))?.ino();
            if fs::metadata(&path).is_ok_and(|metadata| metadata.ino() == ours) {
                let lock = DeployLock { file, path };
                lock.sign(verb)?;
                self.adopt_newer()?;
                return Ok(lock);
            }
        }
    }
}

impl DeployLock {
    fn sign(&self, verb: &str) -> Result<(), Error> {
        let holder = Holder { pid: std::process::id(), verb: verb.to_owned(), since: now() };
        // Three plain values always serialise; without them the next octo only knows less.
        let text = serde_json::to_vec(&holder).unwrap_or_default();
        let write = || {
            self.file.set_len(0)?;
            (&self.file).write_all(&text)
        };
        write().map_err(|error| failed("write", &self.path, &error))
    }
}

impl Drop for DeployLock {
    fn drop(&mut self) {
        // A signature that stays does not matter: only the kernel's lock counts.
        self.file.set_len(0).ok();
        // A directory that holds nothing but the lock goes with it: `octo rm` leaves nothing.
        if let Some(directory) = self.path.parent()
            && fs::read_dir(directory).is_ok_and(|entries| entries.count() == 1)
        {
            fs::remove_file(&self.path).ok();
            fs::remove_dir(directory).ok();
        }
    }
}

/// The error of whoever has to wait, without who is at work.
pub(in crate::controller) fn at_work(verb: &str) -> Error {
    Error::new(ErrorKind::Environment, format!("octo {verb} has to wait: another octo is at work on this cloud"))
}

/// The error for a lock that somebody holds.
fn held(file: &mut File, verb: &str) -> Error {
    let mut text = String::new();
    let holder: Option<Holder> =
        file.rewind().and_then(|()| file.read_to_string(&mut text)).ok().and_then(|_| serde_json::from_str(&text).ok());
    let error = at_work(verb);
    match holder {
        Some(Holder { pid, verb, since }) => error
            .because_text(format!("`octo {verb}` (process {pid}) holds the deploy lock since {since}"))
            .hint(format!("wait for it, or stop it: kill {pid}")),
        // It has the lock and has not signed yet.
        None => error.hint("wait for it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_its_holder_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::new(directory.path().join("lab"));
        let lock = state.lock("init").unwrap();
        let error = state.lock("run").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Environment);
        let text = error.to_string();
        assert!(text.contains("octo init") && text.contains(&std::process::id().to_string()), "{text}");
        assert!(!state.exists());
        drop(lock);
        assert!(!state.directory().exists());
        let lock = state.lock("run").unwrap();
        state.remove().unwrap();
        drop(lock);
        drop(state.lock("run").unwrap());
    }

    #[test]
    fn a_damaged_lock_file_does_not_matter() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "{\"pid\": 12").unwrap();
        drop(State::new(directory.path()).lock("run").unwrap());
    }
}
