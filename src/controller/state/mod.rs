//! The state directory: secrets, rendered files, records, the deploy lock, the audit log. All else
//! about a cloud is observed where it is.

#![expect(clippy::disallowed_methods, reason = "the state directory is files")]

pub mod copy;
pub mod files;
pub mod lock;
pub mod log;
pub mod record;
pub mod secrets;

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind};

/// Where the state of all clouds is, unless somebody says otherwise.
pub const DEFAULT_ROOT: &str = "/var/lib/octo";

const LOGS: &str = "logs";

/// One cloud's state directory. Cheap to clone; clones share the lock on its records.
#[derive(Clone, Debug)]
pub struct State {
    directory: PathBuf,
    records: Arc<Mutex<()>>,
}

impl State {
    /// The state in a directory, which need not exist yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), records: Arc::default() }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the directory, for its owner alone.
    pub fn ensure(&self) -> Result<(), Error> {
        make_directory(&self.directory, 0o700, None)
    }

    /// Whether anything but the deploy lock and the rendered files is there.
    pub fn exists(&self) -> bool {
        let Ok(entries) = fs::read_dir(&self.directory) else { return false };
        entries.flatten().any(|entry| entry.file_name() != lock::FILE && entry.file_name() != files::DIRECTORY)
    }

    /// Where the output of a job's last run is kept.
    pub fn job_log(&self, job: &str) -> PathBuf {
        self.directory.join(LOGS).join(format!("{job}.log"))
    }

    /// Keeps the output of a job's last run.
    pub fn write_job_log(&self, job: &str, text: &str) -> Result<(), Error> {
        self.ensure()?;
        make_directory(&self.directory.join(LOGS), 0o700, None)?;
        write_atomically(&self.job_log(job), text.as_bytes(), 0o600, None)
    }

    /// Removes the directory with everything in it.
    pub fn remove(&self) -> Result<(), Error> {
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &self.directory, &error)),
            _ => Ok(()),
        }
    }

    fn read_json<T: DeserializeOwned>(&self, name: impl AsRef<Path>) -> Result<Option<T>, Error> {
        let path = self.directory.join(name);
        let content = match fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path, &error)),
        };
        serde_json::from_slice(&content).map(Some).map_err(|error| {
            // Only the place: the parser's message could show what stands there.
            Error::new(ErrorKind::Environment, format!("{} is damaged", path.display())).because_text(format!(
                "no valid JSON at line {}, column {}",
                error.line(),
                error.column()
            ))
        })
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        self.ensure()?;
        let path = self.directory.join(name);
        let text = serde_json::to_vec_pretty(value).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("cannot write {}", path.display())).because(&error)
        })?;
        write_atomically(&path, &text, 0o600, None)
    }
}

/// This moment as records and locks tell it: RFC 3339, to the second.
pub(in crate::controller) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Makes a directory and what is above it; sets mode and group where they differ.
pub fn make_directory(path: &Path, mode: u32, gid: Option<u32>) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|error| failed("make", path, &error))?;
    set_access(path, mode, gid)
}

fn set_access(path: &Path, mode: u32, gid: Option<u32>) -> Result<(), Error> {
    if gid.is_some() {
        chown(path, None, gid).map_err(|error| failed("set the group of", path, &error))?;
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|error| failed("set the mode of", path, &error))
}

/// The text of a file; `None` if there is no such file.
pub fn read_if_there(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, &error)),
    }
}

/// Writes a file so that others see either the old content or the new one, even if the power
/// fails: a temporary file beside it, synchronised, then renamed.
pub fn write_atomically(path: &Path, content: &[u8], mode: u32, gid: Option<u32>) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = parent.unwrap_or(Path::new("."));
        // Made with mode 0600: nobody reads it before it has its own.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(content)?;
        if gid.is_some() {
            chown(file.path(), None, gid)?;
        }
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|error| failed("write", path, &error))
}

/// An error about a path, with the repair where there is one.
pub(crate) fn failed(what: &str, path: &Path, cause: &io::Error) -> Error {
    let error = Error::new(ErrorKind::Environment, format!("cannot {what} {}", path.display())).because(cause);
    match cause.kind() {
        io::ErrorKind::PermissionDenied => error.hint("run octo as root, or choose another --state-dir"),
        io::ErrorKind::ReadOnlyFilesystem => {
            error.hint("choose another --state-dir, on a file system that can be written")
        }
        io::ErrorKind::StorageFull => error.hint(format!("make room on the file system of {}", path.display())),
        _ => error,
    }
}
