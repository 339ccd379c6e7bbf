//! The log directory: shared by the clouds of a machine, written by their log collectors.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use super::failed;
use crate::error::{Error, ErrorKind};

/// Its mode.
pub(in crate::controller) const MODE: u32 = 0o755;

/// Makes the log directory for the user of the log collectors. A directory that somebody else has
/// made is left as it is, and has to be writable for that user.
pub fn make_log_directory(path: &Path, uid: u32) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(found) => return check(path, found.is_dir(), u64::from(found.uid()), found.mode(), uid),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("look at", path, &error)),
    }
    // Made beside, under a name that nobody can foresee, and renamed: an interruption never leaves
    // one with the wrong owner, and nobody can have put a link in its place.
    let make = || {
        let above = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(above)?;
        let beside = tempfile::tempdir_in(above)?;
        chown(beside.path(), Some(uid), Some(uid))?;
        fs::set_permissions(beside.path(), Permissions::from_mode(MODE))?;
        fs::rename(beside.path(), path)?;
        // It has another name now: nothing is left to remove.
        let _ = beside.keep();
        Ok(())
    };
    match make() {
        Err(_) if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == uid) => Ok(()),
        made => made.map_err(|error| failed("make", path, &error)),
    }
}

/// Whether what is there can be the log directory of a user.
pub(in crate::controller) fn check(path: &Path, directory: bool, owner: u64, mode: u32, uid: u32) -> Result<(), Error> {
    let shown = path.display();
    if !directory {
        return Err(Error::new(ErrorKind::Environment, format!("{shown} is no directory"))
            .hint("set another `logging.directory` in configuration.yaml"));
    }
    if owner == u64::from(uid) || mode & 0o002 != 0 || uid == 0 {
        return Ok(());
    }
    let message = format!("the log directory {shown} is not writable for the log collector (user {uid})");
    Err(Error::new(ErrorKind::Environment, message)
        .hint(format!("let it write there: chown {uid}:{uid} {shown}"))
        .hint("or set another `logging.directory` in configuration.yaml"))
}

/// Removes log files by the names of containers and jobs: `<name>.log`, and rotated ones. An empty
/// directory goes too.
pub fn remove_log_files(directory: &Path, names: &BTreeSet<String>) -> Result<(), Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("list", directory, &error)),
    };
    for entry in entries.flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        if is_log(&file, names)
            && let Err(error) = fs::remove_file(entry.path())
        {
            return Err(failed("remove", &entry.path(), &error));
        }
    }
    // Fails as long as another cloud has its logs there, which is what is wanted.
    fs::remove_dir(directory).ok();
    Ok(())
}

/// Whether a file is the log of one who is named, or a rotated one.
fn is_log(file: &str, names: &BTreeSet<String>) -> bool {
    let rest = |name: &String| file.strip_prefix(name.as_str())?.strip_prefix(".log");
    names.iter().filter_map(rest).any(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_exactly_the_logs_of_a_cloud() {
        let directory = tempfile::tempdir().unwrap();
        let names = [
            "lab-keystone-api.log",
            "lab-keystone-api.log.1.gz",
            "lab-keystone-api.logger.log",
            "lab-two-keystone-api.log",
            "lab-notes.txt",
        ];
        for name in names {
            fs::write(directory.path().join(name), "").unwrap();
        }
        remove_log_files(directory.path(), &["lab-keystone-api".to_owned()].into()).unwrap();
        let mut left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["lab-keystone-api.logger.log", "lab-notes.txt", "lab-two-keystone-api.log"]);
    }

    #[test]
    fn makes_the_directory_and_leaves_it_empty_handed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs");
        let uid = nix::unistd::getuid().as_raw();
        for _ in 0..2 {
            make_log_directory(&path, uid).unwrap();
        }
        remove_log_files(&path, &BTreeSet::new()).unwrap();
        assert!(!path.exists());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left beside it");
        fs::write(&path, "").unwrap();
        assert_eq!(make_log_directory(&path, uid).unwrap_err().kind, ErrorKind::Environment);
    }
}
