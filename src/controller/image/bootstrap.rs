//! Makes a Debian base from the distribution's packages, without a registry: mmdebstrap's archive
//! flows straight into the engine, and gets its tag only when it is whole.

#![expect(clippy::disallowed_methods, reason = "mmdebstrap is started, in a directory of its own")]

use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::{CreateImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio_util::io::ReaderStream;

use super::apt_sources;
use super::builder::{create_log, write_log};
use super::failure;
use super::host::Host;
use super::transport::Transport;
use crate::controller::docker::failure::engine_text;
use crate::error::{Error, ErrorKind};
use crate::model::base::{BOOTSTRAP, BOOTSTRAP_NAME, Bootstrap};
use crate::model::label;
use crate::model::settings::Build;

/// The program that does it.
const PROGRAM: &str = "mmdebstrap";
/// Debian's keys, where its package puts them on the host and in the base alike.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// How many of its last lines an error shows.
const SHOWN: usize = 25;
/// How large the pieces are in which the archive is sent.
const PIECE: usize = 256 * 1024;

/// One bootstrap.
pub struct Bootstrapper<'a> {
    /// The engine that the base is for.
    pub docker: &'a Docker,
    /// Mirror, proxies and authorities.
    pub build: &'a Build,
    /// Whose mirrors are taken where the settings name none.
    pub host: &'a Host,
    /// Where it may work.
    pub state_directory: &'a Path,
    /// Where its log goes.
    pub log_path: PathBuf,
}

impl Bootstrapper<'_> {
    /// Makes the base and gives it the tag.
    pub async fn run(&self, tag: &str, progress: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error> {
        if !self.host.has_program(PROGRAM) {
            return Err(Error::new(ErrorKind::Environment, format!("a Debian base needs {PROGRAM} on this host"))
                .hint(self.host.install_command("mmdebstrap debian-archive-keyring", "mmdebstrap debian-keyring"))
                .hint("or set base.image in configuration.yaml to an image of Debian 13"));
        }
        let transport = Transport::gather(self.build, self.host)?;
        let lock = self.lock(progress).await?;
        let workplace = self.workplace()?;
        let mut child = self.start(&transport, &workplace, lock)?;
        let result = self.follow(&mut child, &transport, tag, progress).await;
        // Whatever it was, its directory is of no more use; if this fails, the next run removes it.
        drop(std::fs::remove_dir_all(&workplace));
        result
    }

    /// Keeps others away from the workplace. The program inherits the lock, so it also holds while
    /// one lives on whose octo was killed.
    async fn lock(&self, progress: &(dyn Fn(String) + Send + Sync)) -> Result<File, Error> {
        let path = self.state_directory.join("bootstrap.lock");
        let failed = |error: &io::Error| {
            Error::new(ErrorKind::Environment, format!("cannot lock {}", path.display())).because(error)
        };
        DirBuilder::new().recursive(true).mode(0o700).create(self.state_directory).map_err(|error| failed(&error))?;
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
        let file = file.map_err(|error| failed(&error))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {
                    progress("waiting for another bootstrap to end".to_owned());
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Err(TryLockError::Error(error)) => return Err(failed(&error)),
            }
        }
    }

    /// An empty directory for the program, without what an interrupted run has left.
    fn workplace(&self) -> Result<PathBuf, Error> {
        let path = self.state_directory.join("bootstrap");
        // Removing must never reach into a file system that something has mounted there.
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        if let Some(point) = mounts_below(&mounts, &path).first() {
            return Err(Error::new(ErrorKind::Environment, format!("something is mounted on {point}"))
                .hint(format!("umount --recursive {point}")));
        }
        let cleared = match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => DirBuilder::new().mode(0o700).create(&path),
        };
        cleared.map_err(|error| {
            Error::new(ErrorKind::Environment, format!("cannot prepare {}", path.display())).because(&error)
        })?;
        Ok(path)
    }

    fn start(&self, transport: &Transport, workplace: &Path, lock: File) -> Result<Child, Error> {
        let sources = self.sources(workplace)?;
        let mut words = enclosure(nix::unistd::geteuid().is_root()).iter().chain(&[PROGRAM]);
        Command::new(words.next().unwrap_or(&PROGRAM))
            .args(words)
            .args(arguments(&BOOTSTRAP, sources.as_deref(), self.build.ca_bundle.as_deref()))
            .env("TMPDIR", workplace)
            .env("LC_ALL", "C.UTF-8")
            .envs(transport.proxies.iter().map(|(name, value)| (name, value)))
            .stdin(lock)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::new(ErrorKind::Environment, format!("cannot start {PROGRAM}")).because(&error))
    }

    /// A file with the package sources; none leaves it to the program's own default. Arguments can
    /// be seen by everybody on the machine, and an address may hold a password.
    fn sources(&self, workplace: &Path) -> Result<Option<PathBuf>, Error> {
        let sources = apt_sources::for_builds(self.build, self.host);
        if sources.is_empty() {
            return Ok(None);
        }
        let keyring = self.host.read(KEYRING).map(|_| KEYRING);
        let path = workplace.join("mirror.list");
        let mut options = OpenOptions::new();
        let file = options.create(true).write(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(apt_sources::list(&sources, keyring).as_bytes())).map_err(|error| {
            Error::new(ErrorKind::Environment, format!("cannot write {}", path.display())).because(&error)
        })?;
        Ok(Some(path))
    }

    async fn follow(
        &self,
        child: &mut Child,
        transport: &Transport,
        tag: &str,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), Error> {
        let (Some(output), Some(messages)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Error::new(ErrorKind::Internal, format!("{PROGRAM} has no output")));
        };
        let (said, imported) = tokio::join!(self.listen(messages, transport, progress), self.import(output));
        let said = said?;
        let status = child
            .wait()
            .await
            .map_err(|error| Error::new(ErrorKind::Operation, format!("cannot wait for {PROGRAM}")).because(&error))?;
        match imported {
            Ok(Some(id)) if status.success() => self.name(&id, tag).await,
            // An archive that ends too early may look whole to the engine.
            Ok(id) => {
                if let Some(id) = id {
                    drop(self.docker.remove_image(&id, None::<RemoveImageOptions>, None).await);
                }
                Err(self.failed(format!("{PROGRAM}: {status}"), &said))
            }
            Err(error) if status.success() => {
                let text = engine_text(&error);
                Err(self.failed(format!("the engine did not take it: {text}"), &[text].into()))
            }
            Err(_) => Err(self.failed(format!("{PROGRAM}: {status}"), &said)),
        }
    }

    /// Passes its messages on; the last ones are the result.
    async fn listen(
        &self,
        messages: ChildStderr,
        transport: &Transport,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<VecDeque<String>, Error> {
        let mut log = create_log(&self.log_path)?;
        let mut lines = BufReader::new(messages).split(b'\n');
        let mut last = VecDeque::new();
        // By bytes: a line that is no text must not end the listening, and with it the program.
        while let Ok(Some(line)) = lines.next_segment().await {
            let line = String::from_utf8_lossy(&line);
            let line = transport.mask.hide(line.trim_end());
            // Whole scripts are no news for people.
            if let Some(short) = line.strip_prefix("I: ").filter(|text| !text.contains("-hook in shell")) {
                progress(short.trim().to_owned());
            }
            if last.len() == SHOWN {
                last.pop_front();
            }
            last.push_back(line.clone());
            write_log(&mut log, &self.log_path, &[line])?;
        }
        Ok(last)
    }

    /// Sends the archive to the engine; the result is the id of the image, which has no name yet.
    async fn import(&self, output: ChildStdout) -> Result<Option<String>, bollard::errors::Error> {
        let Some(archive) = begun(output).await else { return Ok(None) };
        let labels = format!("LABEL {}={BOOTSTRAP_NAME}", label::IMAGE);
        let options = CreateImageOptionsBuilder::default().from_src("-").changes(vec![labels]).build();
        let mut answers = self.docker.create_image(Some(options), Some(bollard::body_try_stream(archive)), None);
        let mut id = None;
        while let Some(answer) = answers.next().await {
            id = answer?.status.filter(|status| status.starts_with("sha256:")).or(id);
        }
        Ok(id)
    }

    async fn name(&self, id: &str, tag: &str) -> Result<(), Error> {
        let (repository, version) = tag.rsplit_once(':').unwrap_or((tag, "latest"));
        let options = TagImageOptionsBuilder::default().repo(repository).tag(version).build();
        self.docker.tag_image(id, Some(options)).await.map_err(|error| {
            Error::new(ErrorKind::Operation, format!("cannot tag the base {tag}")).because_text(engine_text(&error))
        })
    }

    fn failed(&self, why: String, said: &VecDeque<String>) -> Error {
        let detail: Vec<&str> = said.iter().map(String::as_str).collect();
        let detail = detail.join("\n");
        let failed = Error::new(ErrorKind::Operation, "cannot make the Debian base").because_text(why);
        let failed = match failure::repair(&detail) {
            Some(hint) => failed.hint(hint),
            None => failed,
        };
        failed.hint(format!("the whole log is in {}", self.log_path.display())).detail(detail)
    }
}

/// What runs the program so that it, all that it has started and all that it has mounted end with
/// octo, however octo ends. As an ordinary user it makes such namespaces itself.
fn enclosure(root: bool) -> &'static [&'static str] {
    if root {
        &["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    } else {
        &[]
    }
}

/// Mount points below a directory, from the kernel's list of mounts.
fn mounts_below<'a>(mounts: &'a str, directory: &Path) -> Vec<&'a str> {
    mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|point| Path::new(point).starts_with(directory))
        .collect()
}

/// The program's arguments: the archive goes to its standard output.
fn arguments(bootstrap: &Bootstrap, sources: Option<&Path>, ca_bundle: Option<&str>) -> Vec<String> {
    let mut arguments =
        vec![format!("--variant={}", bootstrap.variant), format!("--include={}", bootstrap.include.join(","))];
    arguments.extend(bootstrap.apt_options.iter().map(|option| format!("--aptopt={option}")));
    // Options are kept in the base, where this file does not exist: the last script removes it.
    arguments.extend(ca_bundle.map(|path| format!("--aptopt=Acquire::https::CAInfo \"{path}\"")));
    arguments.extend(bootstrap.dpkg_options.iter().map(|option| format!("--dpkgopt={option}")));
    arguments.push(format!("--extract-hook={}", bootstrap.unpacked));
    arguments.push(format!("--customize-hook={}", bootstrap.finished));
    arguments.extend([bootstrap.suite.to_owned(), "-".to_owned()]);
    arguments.extend(sources.map(|path| path.display().to_string()));
    arguments
}

/// A program's output, once it has begun: a request to the engine must not wait for minutes until
/// all packages are there.
async fn begun(output: ChildStdout) -> Option<impl Stream<Item = io::Result<Bytes>> + Send + 'static> {
    let mut pieces = ReaderStream::with_capacity(output, PIECE);
    let first = pieces.next().await?;
    Some(stream::once(async { first }).chain(pieces))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_by_whole_parts_of_the_path() {
        let mounts = "22 1 0:20 / /proc rw - proc proc rw\n30 1 0:9 / /s/bootstrap/m/dev rw - tmpfs none rw\n\
                      31 1 0:9 / /s/bootstrapper rw - tmpfs none rw\n";
        assert_eq!(mounts_below(mounts, Path::new("/s/bootstrap")), ["/s/bootstrap/m/dev"]);
    }

    #[test]
    fn the_arguments_name_suite_options_and_sources() {
        let arguments = arguments(&BOOTSTRAP, Some(Path::new("/s/mirror.list")), Some("/ca.pem"));
        let scripts = |argument: &&String| argument.contains("-hook=");
        assert_eq!(arguments.iter().filter(scripts).count(), 2);
        let others: Vec<&str> = arguments.iter().filter(|one| !scripts(one)).map(String::as_str).collect();
        insta::assert_snapshot!(others.join("\n"), @r#"
        --variant=minbase
        --include=ca-certificates,passwd
        --aptopt=Acquire::Languages "none"
        --aptopt=APT::Install-Recommends "false"
        --aptopt=Acquire::Retries "6"
        --aptopt=Acquire::https::CAInfo "/ca.pem"
        --dpkgopt=force-unsafe-io
        trixie
        -
        /s/mirror.list
        "#);
    }
}
