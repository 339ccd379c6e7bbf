//! What rendering yields. The values are handed to the controller, which writes or sends them.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::fingerprint;
use crate::model::name::Name;

/// A file for a container. `Debug` hides the content, which may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Absolute path inside the container.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// The group that may read it: that of the image's user. The owner is root.
    pub gid: u32,
    /// The content.
    pub content: Vec<u8>,
}

impl fmt::Debug for RenderedFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:o} :{} ({} bytes)", self.path, self.mode, self.gid, self.content.len())
    }
}

/// All files of all containers and jobs, by the owner's full name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RenderedFiles(pub BTreeMap<String, Vec<RenderedFile>>);

impl RenderedFiles {
    /// The files of a container or job.
    pub fn of(&self, owner: &str) -> &[RenderedFile] {
        self.0.get(owner).map_or(&[], Vec::as_slice)
    }

    /// The digest of an owner's files: paths, modes, groups and contents.
    pub fn digest(&self, owner: &str) -> String {
        files_digest(self.of(owner))
    }
}

/// The digest of a set of files: paths, modes, groups and contents, in the order of paths.
pub fn files_digest(files: &[RenderedFile]) -> String {
    let mut sorted: Vec<_> = files.iter().collect();
    sorted.sort_by(|left, right| left.path.cmp(&right.path));
    let mut bytes = Vec::new();
    for file in sorted {
        bytes.extend(format!("{}\0{:o}\0{}\0{}\0", file.path, file.mode, file.gid, file.content.len()).into_bytes());
        bytes.extend(&file.content);
    }
    fingerprint::short(&bytes)
}

/// An image's recipe, ready to be sent to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedImage {
    /// Its catalog name.
    pub name: Name,
    /// `octo/<name>:<digest>`.
    pub tag: String,
    /// The rendered Dockerfile.
    pub dockerfile: String,
    /// The rest of the build context, without what only carries packages to the build.
    pub context: BTreeMap<String, Vec<u8>>,
    /// Catalog names of the images that must exist before.
    pub after: Vec<Name>,
}
