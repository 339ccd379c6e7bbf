//! Rendered files as the tar archives in which they travel. No effects.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Builder, EntryType, Header};

use crate::view::rendered::RenderedFile;

/// The files of a node: owner -> path in the container -> file.
pub type Snapshot = BTreeMap<String, BTreeMap<String, RenderedFile>>;

/// A directory's place in an archive, and who may do what in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Who owns the first thing in an archive, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whether it is a directory.
    pub directory: bool,
    /// The owner.
    pub uid: u64,
    /// Permission bits.
    pub mode: u32,
}

/// Packs directories, in this order, and files of root, all last changed at `time`.
pub fn pack(folders: &[Folder], files: &[(PathBuf, &RenderedFile)], time: u64) -> io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for folder in folders {
        let mut header = header(EntryType::Directory, folder.mode, folder.uid, folder.gid, time);
        archive.append_data(&mut header, &folder.path, io::empty())?;
    }
    for (path, file) in files {
        let mut header = header(EntryType::Regular, file.mode, 0, file.gid, time);
        header.set_size(file.content.len() as u64);
        archive.append_data(&mut header, path, file.content.as_slice())?;
    }
    archive.into_inner()
}

fn header(kind: EntryType, mode: u32, uid: u32, gid: u32, time: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(u64::from(uid));
    header.set_gid(u64::from(gid));
    header.set_mtime(time);
    header.set_size(0);
    header
}

/// Unpacks the archive of a directory that has one directory for each owner.
pub fn unpack(archive: &[u8]) -> io::Result<Snapshot> {
    let mut snapshot = Snapshot::new();
    for entry in Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        // Of the directory itself there is only its name.
        let mut parts = path.components().filter(|part| matches!(part, Component::Normal(_))).skip(1);
        let Some(owner) = parts.next() else { continue };
        let inside: PathBuf = parts.collect();
        let owner = owner.as_os_str().to_string_lossy().into_owned();
        let kind = entry.header().entry_type();
        if inside.as_os_str().is_empty() {
            if kind.is_dir() {
                snapshot.entry(owner).or_default();
            }
            continue;
        }
        if kind.is_dir() {
            continue;
        }
        // Anything but a plain file is none of ours; without content it differs from every file.
        let mut content = Vec::new();
        if kind.is_file() {
            entry.read_to_end(&mut content)?;
        }
        let path = Path::new("/").join(inside).to_string_lossy().into_owned();
        let header = entry.header();
        let gid = u32::try_from(header.gid()?).unwrap_or(u32::MAX);
        let file = RenderedFile { path: path.clone(), mode: header.mode()? & 0o7777, gid, content };
        snapshot.entry(owner).or_default().insert(path, file);
    }
    Ok(snapshot)
}

/// The first thing in an archive, of which the rest may be missing.
pub fn head(archive: &[u8]) -> io::Result<Head> {
    let mut archive = Archive::new(archive);
    let first = archive.entries()?.next().ok_or_else(|| io::Error::other("the archive is empty"))??;
    let header = first.header();
    Ok(Head { directory: header.entry_type().is_dir(), uid: header.uid()?, mode: header.mode()? & 0o7777 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, gid: u32, content: &str) -> RenderedFile {
        RenderedFile { path: path.to_owned(), mode: 0o440, gid, content: content.into() }
    }

    fn folder(path: &str) -> Folder {
        Folder { path: path.into(), mode: 0o750, uid: 0, gid: 7 }
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let long = format!("/etc/{}/x.conf", "deep/".repeat(40).trim_end_matches('/'));
        let files = [file("/etc/x/x.conf", 3_000_000, "one"), file(&long, 2, "")];
        let placed: Vec<_> =
            files.iter().map(|file| (Path::new("files/a").join(file.path.trim_start_matches('/')), file)).collect();
        let folders = ["files", "files/a", "files/a/etc", "files/empty"].map(folder);
        let snapshot = unpack(&pack(&folders, &placed, 1).unwrap()).unwrap();
        assert_eq!(snapshot.keys().collect::<Vec<_>>(), ["a", "empty"]);
        assert_eq!(snapshot["a"].values().cloned().collect::<Vec<_>>(), [files[1].clone(), files[0].clone()]);
        assert!(snapshot["empty"].is_empty());
    }

    #[test]
    fn a_link_is_no_file() {
        let mut archive = Builder::new(Vec::new());
        let mut link = header(EntryType::Symlink, 0o777, 0, 0, 1);
        archive.append_link(&mut link, "files/a/etc/passwd", "/etc/passwd").unwrap();
        let snapshot = unpack(&archive.into_inner().unwrap()).unwrap();
        assert_eq!(snapshot["a"]["/etc/passwd"].mode, 0o777);
    }

    #[test]
    fn the_head_of_a_cut_archive_is_read() {
        let packed = pack(&[folder("log")], &[("log/x".into(), &file("/x", 0, "long"))], 1).unwrap();
        assert_eq!(head(&packed[..700]).unwrap(), Head { directory: true, uid: 0, mode: 0o750 });
        assert!(head(&[]).is_err());
    }
}
