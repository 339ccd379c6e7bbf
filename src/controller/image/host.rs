//! What builds take over from the host: environment and files, read only.

#![expect(clippy::disallowed_methods, reason = "builds take over the surroundings of the host")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The host's environment variables and file system.
#[derive(Clone, Debug)]
pub struct Host {
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
    /// Where the file system begins; another directory than `/` in tests.
    pub root: PathBuf,
}

impl Host {
    /// The host that octo runs on.
    pub fn real() -> Self {
        // A variable that is not UTF-8 names no address or path that a build could use.
        let variables =
            std::env::vars_os().filter_map(|(key, value)| key.into_string().ok().zip(value.into_string().ok()));
        Self { variables: variables.collect(), root: PathBuf::from("/") }
    }

    /// A variable that is set to something.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// A file's content, if it can be read.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        std::fs::read(self.at(path)).ok()
    }

    /// A file's text, if it can be read and is text.
    pub fn text(&self, path: &str) -> Option<String> {
        String::from_utf8(self.read(path)?).ok()
    }

    /// The files of a directory with an extension, in the order of their names.
    pub fn files(&self, directory: &str, extension: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.at(directory)) else { return Vec::new() };
        let mut paths: Vec<String> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .filter_map(|path| Some(format!("{directory}/{}", path.file_name()?.to_str()?)))
            .collect();
        paths.sort();
        paths
    }

    /// Whether a program is in the search path.
    pub fn has_program(&self, name: &str) -> bool {
        let path = self.variable("PATH").unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        path.split(':').any(|directory| self.at(&format!("{directory}/{name}")).is_file())
    }

    /// A field of the description of the host's distribution (`ID`, `VERSION_CODENAME`).
    pub fn os_release(&self, field: &str) -> Option<String> {
        let text = self.text("/etc/os-release").or_else(|| self.text("/usr/lib/os-release"))?;
        os_release_field(&text, field)
    }

    /// The command that installs packages on this host, for hints.
    pub fn install_command(&self, apt: &str, dnf: &str) -> String {
        if self.has_program("dnf") && !self.has_program("apt-get") {
            format!("dnf install {dnf}")
        } else {
            format!("apt-get install {apt}")
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(Path::new(path).strip_prefix("/").unwrap_or(Path::new(path)))
    }
}

/// A field of an os-release file.
pub fn os_release_field(text: &str, field: &str) -> Option<String> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| key.trim() == field)
        .map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A host with these variables and files.
    pub fn host(variables: &[(&str, &str)], files: &[(&str, &str)]) -> (Host, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = directory.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let variables = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        (Host { variables, root: directory.path().to_owned() }, directory)
    }

    #[test]
    fn the_install_command_is_that_of_the_host() {
        let (debian, _guard) = host(&[], &[("/usr/bin/apt-get", "")]);
        assert_eq!(debian.install_command("a", "d"), "apt-get install a");
        let (centos, _guard) = host(&[("PATH", "/bin:/usr/bin")], &[("/usr/bin/dnf", "")]);
        assert_eq!(centos.install_command("a", "d"), "dnf install d");
    }

    #[test]
    fn files_are_listed_by_extension() {
        let (host, _guard) = host(&[("EMPTY", " ")], &[("/a/2.list", "x"), ("/a/1.list", "y"), ("/a/3.save", "z")]);
        assert_eq!(host.files("/a", "list"), ["/a/1.list", "/a/2.list"]);
        assert_eq!(host.text("/a/1.list").as_deref(), Some("y"));
        assert_eq!((host.variable("EMPTY"), host.read("/none")), (None, None));
    }
}
