//! The files of a node: rendered ones for its containers, and its log directory. Where the node is
//! this machine they are in the state directory; elsewhere the node's engine brings them to the same
//! paths.

mod archive;
mod carrier;
mod remote;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::state::State;
use super::state::{copy, log};
use crate::error::Error;
use crate::view::rendered::RenderedFile;

pub use carrier::ANY_IMAGE;
pub use remote::RemoteFiles;

/// One cloud's files on one node.
#[derive(Debug)]
pub enum NodeFiles {
    /// On this machine.
    Local(State),
    /// On a machine whose disk only its engine reaches.
    Remote(Box<RemoteFiles>),
}

impl NodeFiles {
    /// The directory with the files of a container or job: what its containers mount.
    pub fn files_of(&self, owner: &str) -> PathBuf {
        match self {
            Self::Local(state) => state.files_of(owner),
            Self::Remote(remote) => State::new(remote.directory()).files_of(owner),
        }
    }

    /// Makes an owner's files what they should be: writes those that differ, removes others.
    pub async fn write_files(&self, owner: &str, files: &[RenderedFile]) -> Result<(), Error> {
        match self {
            Self::Local(state) => state.write_files(owner, files),
            Self::Remote(remote) => remote.write_files(owner, files).await,
        }
    }

    /// Digests of the files that the node has, by owner. A node without an image of octo cannot be
    /// asked, and counts as having none.
    pub async fn file_digests(&self) -> Result<BTreeMap<String, String>, Error> {
        match self {
            Self::Local(state) => state.file_digests(),
            Self::Remote(remote) => remote.file_digests().await,
        }
    }

    /// The files of the node's copy of octo's state.
    pub async fn state_copy(&self) -> Result<Vec<RenderedFile>, Error> {
        match self {
            Self::Local(state) => state.copy_here(),
            Self::Remote(remote) => remote.files_of(copy::OWNER).await,
        }
    }

    /// Gives the node a copy of octo's state.
    pub async fn write_state_copy(&self, files: &[RenderedFile]) -> Result<(), Error> {
        self.write_files(copy::OWNER, files).await
    }

    /// Removes an owner's files, and the directory of all files with the last of them.
    pub async fn remove_files(&self, owner: &str) -> Result<(), Error> {
        match self {
            Self::Local(state) => state.remove_files(owner),
            Self::Remote(remote) => remote.remove_files(owner).await,
        }
    }

    /// Makes the log directory for the user of the log collectors. A directory that somebody else
    /// has made is left as it is, and has to be writable for that user.
    pub async fn make_log_directory(&self, path: &Path, uid: u32) -> Result<(), Error> {
        match self {
            Self::Local(_) => log::make_log_directory(path, uid),
            Self::Remote(remote) => remote.make_log_directory(path, uid).await,
        }
    }

    /// Removes log files by the names of containers and jobs. An empty directory goes too.
    pub async fn remove_log_files(&self, directory: &Path, names: &BTreeSet<String>) -> Result<(), Error> {
        match self {
            Self::Local(_) => log::remove_log_files(directory, names),
            Self::Remote(remote) => remote.remove_log_files(directory, names).await,
        }
    }

    /// Removes the state directory with everything in it: on this machine also what octo keeps
    /// there for itself.
    pub async fn remove(&self) -> Result<(), Error> {
        match self {
            Self::Local(state) => state.remove(),
            Self::Remote(remote) => remote.remove().await,
        }
    }
}
