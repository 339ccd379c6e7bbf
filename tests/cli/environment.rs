//! A run of octo that depends on nothing of the machine that it runs on.

use std::path::Path;

use assert_cmd::Command;
use tempfile::TempDir;

/// A catalog with nothing in it, so that no change of the real one is felt here.
const CATALOG: &str = "profiles: {standard: []}\n";

/// Temporary directories, and an engine that is not there.
pub struct Environment {
    directory: TempDir,
}

/// What a run has left.
#[must_use]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Environment {
    pub fn new() -> Self {
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("services.yaml"), CATALOG).unwrap();
        Self { directory }
    }

    /// The working directory, which is also the home.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs octo. The directory is called `DIR` in what it wrote.
    pub fn octo(&self, arguments: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_octo"))
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DOCKER_HOST", "unix:///nonexistent")
            .env("OCTO_STATE_DIR", self.path().join("state"))
            .timeout(std::time::Duration::from_secs(30))
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap().replace(self.path().to_str().unwrap(), "DIR");
            // Help pads empty lines.
            text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
        };
        Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}
