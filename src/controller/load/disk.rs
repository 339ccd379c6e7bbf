//! Reading input from disk. Nothing is ever written here.

#![expect(clippy::disallowed_methods, reason = "input is read from disk")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};
use crate::model::bundle::Bundle;

/// The directories of a bundle whose files belong to it.
const DIRECTORIES: [&str; 3] = ["dockerfiles", "templates", "drivers"];

/// How deep a bundle's directories may be: a link to a parent would never end.
const DEEPEST: usize = 16;

/// A file's content, for a caller who words the failure.
pub fn content(path: &Path) -> std::io::Result<Vec<u8>> {
    fs::read(path)
}

/// The bytes of an input file.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    content(path).map_err(|error| unreadable(path, &error))
}

/// The recipes and templates in a bundle's directory, as far as there are any.
pub fn bundle(directory: &Path) -> Result<Bundle, Error> {
    let mut bundle = Bundle::default();
    for name in DIRECTORIES {
        let path = directory.join(name);
        if path.is_dir() {
            collect(&path, name, 0, &mut bundle)?;
        }
    }
    Ok(bundle)
}

fn collect(directory: &Path, prefix: &str, depth: usize, bundle: &mut Bundle) -> Result<(), Error> {
    if depth > DEEPEST {
        return Err(Error::new(ErrorKind::Config, format!("cannot read {}", directory.display()))
            .because_text(format!("it is more than {DEEPEST} directories deep: does a link lead back?")));
    }
    let entries = fs::read_dir(directory).map_err(|error| unreadable(directory, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(directory, &error))?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        // What tools leave beside the files of people.
        if name == "__pycache__" || name.starts_with('.') {
            continue;
        }
        let below = format!("{prefix}/{name}");
        // Links are followed, so that bundles can share files.
        let kind = fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
        if kind.is_dir() {
            collect(&path, &below, depth + 1, bundle)?;
        } else if kind.is_file() {
            bundle.insert(below, read(&path)?);
        }
    }
    Ok(())
}

/// The directory that a file is in.
pub fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => PathBuf::from("."),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Config, format!("cannot read {}", path.display())).because(error)
}
