//! Rendered files on a node whose disk only its engine reaches. They are at the same paths as they
//! would be on this machine.
//!
//! What is there is read whole, in one archive. What differs is replaced in place, since running
//! containers have the directories mounted. A set that was written in part has another digest than
//! the whole one, so that a rerun completes it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::archive::{self, Folder, Snapshot};
use super::carrier::{Carrier, Errand, Place, Removal};
use crate::controller::docker::Engine;
use crate::controller::state::files::{self, DIRECTORY_MODE, SHARED_DIRECTORY_MODE};
use crate::controller::state::{copy, log};
use crate::error::{Error, ErrorKind};
use crate::model::name::Name;
use crate::view::rendered::{RenderedFile, files_digest};

/// The most that is read of a node's files: far more than there can be.
const LIMIT: usize = 256 << 20;
/// Enough of an archive to hold the first header, with what may stand before it.
const HEAD: usize = 8 << 10;

/// Removes files and directories, and then the one that is named first if it is empty.
const REMOVE: &str = r#"top=$1; shift; rm -rf -- "$@" && { rmdir -- "$top" 2>/dev/null || true; }"#;
/// Removes the logs of those who are named, and then their directory, named first, if it is empty.
const REMOVE_LOGS: &str = r#"top=$1; shift
for name do rm -f -- "$top/$name".log "$top/$name".log.* "$top/$name".log-* || exit; done
rmdir -- "$top" 2>/dev/null || true"#;

/// One cloud's files on one node.
#[derive(Debug)]
pub struct RemoteFiles {
    carrier: Carrier,
    directory: PathBuf,
    /// What the node has, as far as that is known. Whoever holds it is the only one at work.
    seen: Mutex<Option<Snapshot>>,
    /// What is to be removed: what comes while the node is busy goes together.
    doomed: std::sync::Mutex<BTreeSet<String>>,
}

impl RemoteFiles {
    /// The files of a cloud below a state directory of a node. `image` is one that the node should
    /// have; without it any of octo's images serves.
    pub fn new(
        engine: Engine,
        cloud: Name,
        node: Name,
        directory: impl Into<PathBuf>,
        image: impl Into<String>,
    ) -> Self {
        Self {
            carrier: Carrier { engine, cloud, node, image: image.into() },
            directory: directory.into(),
            seen: Mutex::default(),
            doomed: std::sync::Mutex::default(),
        }
    }

    /// The state directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes an owner's files what they should be.
    pub async fn write_files(&self, owner: &str, wanted: &[RenderedFile]) -> Result<(), Error> {
        let top = self.inside(&[files::DIRECTORY, owner]);
        let mut placed = BTreeMap::new();
        for file in wanted {
            placed.insert(files::place(&top, &file.path)?, file);
        }
        let mut seen = self.seen.lock().await;
        // Not known any more if this fails in the middle.
        let mut snapshot = match seen.take() {
            Some(snapshot) => snapshot,
            None => self.read().await?,
        };
        let present = snapshot.get(owner).cloned().unwrap_or_default();
        let stale = present.keys().filter(|path| wanted.iter().all(|file| file.path != **path));
        let stale = stale.map(|path| text(&top.join(path.trim_start_matches('/')))).collect();
        // Those that others still wait for are none of this set.
        self.doomed().retain(|path| !Path::new(path).starts_with(&top));

        let folders = self.folders(&top, &placed);
        let changed: Vec<_> = placed.into_iter().filter(|(_, file)| present.get(&file.path) != Some(file)).collect();
        self.put(&self.directory, "files", &folders, &changed).await?;
        self.sweep(stale).await?;
        snapshot.insert(owner.to_owned(), wanted.iter().map(|file| (file.path.clone(), file.clone())).collect());
        *seen = Some(snapshot);
        Ok(())
    }

    /// Digests of the files that are on the node, by owner.
    pub async fn file_digests(&self) -> Result<BTreeMap<String, String>, Error> {
        let mut seen = self.seen.lock().await;
        *seen = None;
        let snapshot = self.read().await?;
        let digest =
            |files: &BTreeMap<String, RenderedFile>| files_digest(&files.values().cloned().collect::<Vec<_>>());
        let containers = snapshot.iter().filter(|(owner, _)| *owner != copy::OWNER);
        let digests = containers.map(|(owner, files)| (owner.clone(), digest(files))).collect();
        *seen = Some(snapshot);
        Ok(digests)
    }

    /// An owner's files as they were when they were seen last.
    pub async fn files_of(&self, owner: &str) -> Result<Vec<RenderedFile>, Error> {
        let mut seen = self.seen.lock().await;
        let snapshot = match seen.take() {
            Some(snapshot) => snapshot,
            None => self.read().await?,
        };
        let files = snapshot.get(owner).map(|files| files.values().cloned().collect()).unwrap_or_default();
        *seen = Some(snapshot);
        Ok(files)
    }

    /// Removes an owner's files, and the directory of all files with the last of them.
    pub async fn remove_files(&self, owner: &str) -> Result<(), Error> {
        let path = text(&self.inside(&[files::DIRECTORY, owner]));
        self.doomed().insert(path.clone());
        let mut seen = self.seen.lock().await;
        if !self.doomed().contains(&path) {
            // Whoever was at work has taken it along.
            return Ok(());
        }
        *seen = None;
        let all = self.doomed().clone();
        let removed = self.sweep(all).await;
        self.doomed().remove(&path);
        removed
    }

    /// Makes the log directory for the user of the log collectors, as
    /// [`log::make_log_directory`] does.
    pub async fn make_log_directory(&self, path: &Path, uid: u32) -> Result<(), Error> {
        let (place, name) = split(path, "logs")?;
        if let Some(found) = self.carrier.copy(place, &Errand::Get(text(&name), HEAD)).await? {
            let found = archive::head(&found).map_err(|error| self.unreadable(path, &error))?;
            return log::check(path, found.directory, found.uid, found.mode, uid)
                .map_err(|error| error.because_text(format!("on node {}", self.carrier.node)));
        }
        let folder = Folder { path: name, mode: log::MODE, uid, gid: uid };
        self.put(path, "logs", &[folder], &[]).await
    }

    /// Removes log files by the names of containers and jobs, as [`log::remove_log_files`] does.
    pub async fn remove_log_files(&self, directory: &Path, names: &BTreeSet<String>) -> Result<(), Error> {
        let (place, name) = split(directory, "logs")?;
        let arguments = std::iter::once(text(&name)).chain(names.iter().cloned()).collect();
        // The directory is the log collector's and not root's.
        let removal = Removal { script: REMOVE_LOGS, arguments, capabilities: &["DAC_OVERRIDE"] };
        self.carrier.remove(place, removal).await
    }

    /// Removes the state directory with everything in it.
    pub async fn remove(&self) -> Result<(), Error> {
        let mut seen = self.seen.lock().await;
        *seen = None;
        let (place, name) = split(&self.directory, "files")?;
        if self.carrier.copy(place, &Errand::Get(text(&name), HEAD)).await?.is_none() {
            return Ok(());
        }
        let arguments = vec![text(&name), text(&name)];
        self.carrier.remove(place, Removal { script: REMOVE, arguments, capabilities: &[] }).await
    }

    /// Reads what the node has.
    async fn read(&self) -> Result<Snapshot, Error> {
        let (place, _) = split(&self.directory, "files")?;
        let path = text(&self.inside(&[files::DIRECTORY]));
        match self.carrier.copy(place, &Errand::Get(path, LIMIT)).await? {
            Some(found) => archive::unpack(&found).map_err(|error| self.unreadable(&self.directory, &error)),
            None => Ok(Snapshot::new()),
        }
    }

    async fn put(
        &self,
        path: &Path,
        purpose: &'static str,
        folders: &[Folder],
        files: &[(PathBuf, &RenderedFile)],
    ) -> Result<(), Error> {
        let (place, _) = split(path, purpose)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let packed = archive::pack(folders, files, now.as_secs()).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("cannot pack files for {}", path.display())).because(&error)
        })?;
        self.carrier.copy(place, &Errand::Put(Bytes::from(packed))).await.map(drop)
    }

    async fn sweep(&self, paths: BTreeSet<String>) -> Result<(), Error> {
        if paths.is_empty() {
            return Ok(());
        }
        let (place, _) = split(&self.directory, "files")?;
        let top = text(&self.inside(&[files::DIRECTORY]));
        let arguments = std::iter::once(top).chain(paths.iter().cloned()).collect();
        self.carrier.remove(place, Removal { script: REMOVE, arguments, capabilities: &[] }).await?;
        self.doomed().retain(|path| !paths.contains(path));
        Ok(())
    }

    /// The directories of a set of files, upper ones first.
    fn folders(&self, top: &Path, placed: &BTreeMap<PathBuf, &RenderedFile>) -> Vec<Folder> {
        let folder = |path: PathBuf, mode, gid| Folder { path, mode, uid: 0, gid };
        let above = [
            // First and closed: what follows is never open to others.
            folder(self.inside(&[]), 0o700, 0),
            folder(self.inside(&[files::DIRECTORY]), SHARED_DIRECTORY_MODE, 0),
            folder(top.to_owned(), DIRECTORY_MODE, 0),
        ];
        let below = files::directories(top, placed).into_iter().map(|(path, groups)| match groups.first() {
            Some(gid) if groups.len() == 1 => folder(path, DIRECTORY_MODE, *gid),
            _ => folder(path, SHARED_DIRECTORY_MODE, 0),
        });
        above.into_iter().chain(below).collect()
    }

    /// A path as it is in archives, and below the carriers' directory: from the state directory's
    /// own name on.
    fn inside(&self, parts: &[&str]) -> PathBuf {
        let name = self.directory.file_name().map(Path::new).into_iter();
        name.chain(parts.iter().map(Path::new)).collect()
    }

    fn doomed(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.doomed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreadable(&self, path: &Path, cause: &std::io::Error) -> Error {
        let node = &self.carrier.node;
        Error::new(ErrorKind::Operation, format!("cannot read what node {node} has in {}", path.display()))
            .because(cause)
    }
}

/// The directory above a path, which is what containers get, and the path's own name.
fn split<'a>(path: &'a Path, purpose: &'static str) -> Result<(Place<'a>, PathBuf), Error> {
    match (path.parent(), path.file_name()) {
        (Some(directory), Some(name)) if path.is_absolute() => Ok((Place { purpose, directory }, name.into())),
        _ => Err(Error::new(ErrorKind::Config, format!("{} is no directory that a node can have", path.display()))
            .hint("set an absolute path")),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
