//! Rendered files on disk: one directory for each container or job, laid out as inside it, so
//! that `files/<owner>/etc/keystone` is what the container sees as `/etc/keystone`.
//!
//! A mounted directory keeps its inode when its files change, or a running container would go on
//! seeing the old ones: files are replaced inside the directories, never the directories.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use super::{State, copy, failed, make_directory, write_atomically};
use crate::error::{Error, ErrorKind};
use crate::view::rendered::{RenderedFile, files_digest};

/// Its name in the state directory.
pub(in crate::controller) const DIRECTORY: &str = "files";

/// Mode of the directories: the group is the one that the files have.
pub(in crate::controller) const DIRECTORY_MODE: u32 = 0o750;
/// Mode of directories with files of several groups. The state directory above is closed anyway.
pub(in crate::controller) const SHARED_DIRECTORY_MODE: u32 = 0o755;

impl State {
    /// The directory with the files of a container or job.
    pub fn files_of(&self, owner: &str) -> PathBuf {
        self.directory().join(DIRECTORY).join(owner)
    }

    /// Makes an owner's files what they should be: writes those that differ, removes others.
    pub fn write_files(&self, owner: &str, files: &[RenderedFile]) -> Result<(), Error> {
        self.ensure()?;
        let top = self.files_of(owner);
        make_directory(&top, DIRECTORY_MODE, None)?;
        let mut wanted = BTreeMap::new();
        for file in files {
            wanted.insert(place(&top, &file.path)?, file);
        }
        for (directory, groups) in directories(&top, &wanted) {
            match groups.iter().next() {
                Some(gid) if groups.len() == 1 => make_directory(&directory, DIRECTORY_MODE, Some(*gid))?,
                _ => make_directory(&directory, SHARED_DIRECTORY_MODE, None)?,
            }
        }
        let present = walk(&top)?;
        for (path, file) in &wanted {
            if present.get(path) != Some(*file) {
                write_atomically(path, &file.content, file.mode, Some(file.gid))?;
            }
        }
        for path in present.keys().filter(|path| !wanted.contains_key(*path)) {
            fs::remove_file(path).map_err(|error| failed("remove", path, &error))?;
        }
        Ok(())
    }

    /// Digests of the files that are on disk, by owner.
    pub fn file_digests(&self) -> Result<BTreeMap<String, String>, Error> {
        let top = self.directory().join(DIRECTORY);
        let owners = match fs::read_dir(&top) {
            Ok(owners) => owners,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(failed("list", &top, &error)),
        };
        let mut digests = BTreeMap::new();
        for owner in owners.flatten().filter(|owner| owner.file_name() != copy::OWNER) {
            let files = of_owner(&owner.path())?;
            digests.insert(owner.file_name().to_string_lossy().into_owned(), files_digest(&files));
        }
        Ok(digests)
    }

    /// Removes an owner's files, and the directory of all files with the last of them.
    pub fn remove_files(&self, owner: &str) -> Result<(), Error> {
        let path = self.files_of(owner);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &path, &error)),
            _ => {}
        }
        // Fails as long as others have files there, which is what is wanted.
        fs::remove_dir(self.directory().join(DIRECTORY)).ok();
        Ok(())
    }
}

/// Where a file of the container is on the host.
pub(in crate::controller) fn place(top: &Path, path: &str) -> Result<PathBuf, Error> {
    let relative = Path::new(path.trim_start_matches('/'));
    if relative.components().all(|part| matches!(part, Component::Normal(_))) && relative.file_name().is_some() {
        Ok(top.join(relative))
    } else {
        Err(Error::new(ErrorKind::Config, format!("`{path}` is no path of a file")))
    }
}

/// The directories between the top and the files, upper ones first, with the files' groups.
pub(in crate::controller) fn directories(
    top: &Path,
    wanted: &BTreeMap<PathBuf, &RenderedFile>,
) -> BTreeMap<PathBuf, BTreeSet<u32>> {
    let mut found: BTreeMap<PathBuf, BTreeSet<u32>> = BTreeMap::new();
    for (path, file) in wanted {
        for directory in path.ancestors().skip(1).take_while(|directory| *directory != top) {
            found.entry(directory.to_path_buf()).or_default().insert(file.gid);
        }
    }
    found
}

/// The files of an owner as they are on disk, in its directory.
pub(super) fn of_owner(top: &Path) -> Result<Vec<RenderedFile>, Error> {
    Ok(walk(top)?.into_values().collect())
}

/// The files below a directory as they are on disk.
fn walk(top: &Path) -> Result<BTreeMap<PathBuf, RenderedFile>, Error> {
    let mut found = BTreeMap::new();
    let mut open = vec![top.to_path_buf()];
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(&directory).map_err(|error| failed("list", &directory, &error))?;
        for entry in entries {
            let path = entry.map_err(|error| failed("list", &directory, &error))?.path();
            let metadata = fs::symlink_metadata(&path).map_err(|error| failed("look at", &path, &error))?;
            if metadata.is_dir() {
                open.push(path);
                continue;
            }
            // Anything but a plain file is none of ours; without content it differs from every file.
            let content = if metadata.is_file() {
                fs::read(&path).map_err(|error| failed("read", &path, &error))?
            } else {
                Vec::new()
            };
            let inside = path.strip_prefix(top).unwrap_or(&path).to_string_lossy().into_owned();
            let mode = metadata.permissions().mode() & 0o7777;
            let file = RenderedFile { path: format!("/{inside}"), mode, gid: metadata.gid(), content };
            found.insert(path, file);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &str) -> RenderedFile {
        // The group of whoever runs the tests: another one could not be set.
        let gid = nix::unistd::getgid().as_raw();
        RenderedFile { path: path.into(), mode: 0o440, gid, content: content.into() }
    }

    #[test]
    fn what_is_written_has_the_digest_of_what_was_rendered() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::new(directory.path());
        let files = [file("/etc/keystone/keystone.conf", "[token]\n"), file("/etc/keystone/fernet-keys/0", "key")];
        state.write_files("lab-keystone-api", &files).unwrap();
        assert_eq!(state.file_digests().unwrap()["lab-keystone-api"], files_digest(&files));
        assert!(!state.exists(), "files alone are no state");
    }

    #[test]
    fn tampering_shows_and_is_repaired_in_place() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::new(directory.path());
        let files = [file("/etc/x/x.conf", "one")];
        state.write_files("x", &files).unwrap();
        let mounted = state.files_of("x").join("etc/x");
        let inode = fs::metadata(&mounted).unwrap().ino();
        let good = files_digest(&files);

        fs::write(mounted.join("extra"), "").unwrap();
        assert_ne!(state.file_digests().unwrap()["x"], good);
        state.write_files("x", &files).unwrap();
        assert_eq!(state.file_digests().unwrap()["x"], good);

        fs::set_permissions(mounted.join("x.conf"), fs::Permissions::from_mode(0o644)).unwrap();
        assert_ne!(state.file_digests().unwrap()["x"], good);
        state.write_files("x", &files).unwrap();
        assert_eq!(state.file_digests().unwrap()["x"], good);

        fs::remove_file(mounted.join("x.conf")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", mounted.join("x.conf")).unwrap();
        assert_ne!(state.file_digests().unwrap()["x"], good);
        state.write_files("x", &files).unwrap();
        assert_eq!(state.file_digests().unwrap()["x"], good);
        assert_eq!(fs::metadata(&mounted).unwrap().ino(), inode, "a running container sees the new files");

        state.remove_files("x").unwrap();
        state.remove_files("x").unwrap();
        assert!(state.file_digests().unwrap().is_empty());
    }

    #[test]
    fn refuses_paths_that_lead_out() {
        let directory = tempfile::tempdir().unwrap();
        let error = State::new(directory.path()).write_files("x", &[file("/etc/../../y", "")]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Config);
    }
}
