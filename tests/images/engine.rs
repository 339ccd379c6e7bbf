//! What the tests of images share: an engine, a tiny base, and tidying up that also happens when a
//! test panics.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder, StartContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt;
use octo::controller::image::{Builder, Host};
use octo::model::settings::Build;
use octo::view::rendered::RenderedImage;

/// An engine with a tiny base, and the images of one test on it.
pub struct Engine {
    pub docker: Docker,
    pub state: tempfile::TempDir,
    /// The reference of the base.
    pub base: String,
    /// What every image of this test is called.
    pub prefix: String,
    made: Mutex<Vec<String>>,
}

impl Engine {
    pub async fn new(test: &str) -> Self {
        let engine = Self::bare(test).await;
        let archive = busybox(&engine.prefix);
        let options = CreateImageOptionsBuilder::default().from_src("-").repo(&engine.prefix).tag("base").build();
        let body = bollard::body_full(archive.into());
        let answers: Vec<_> = engine.docker.create_image(Some(options), Some(body), None).collect().await;
        answers.into_iter().for_each(|answer| drop(answer.unwrap()));
        engine.will_make(&engine.base);
        engine
    }

    /// The same without a base.
    pub async fn bare(test: &str) -> Self {
        let docker = Docker::connect_with_defaults().unwrap().negotiate_version().await.unwrap();
        let prefix = format!("octo-test-{test}-{:08x}", rand::random::<u32>());
        let state = tempfile::tempdir().unwrap();
        Self { docker, state, base: format!("{prefix}:base"), prefix, made: Mutex::default() }
    }

    /// Has a reference removed in the end.
    pub fn will_make(&self, reference: &str) {
        self.made.lock().unwrap().push(reference.to_owned());
    }

    pub fn builder(&self, build: Build) -> Builder {
        Builder::new(self.docker.clone(), build, Host::real(), self.state.path())
    }

    /// An image of some lines on the base, with a context of some files.
    pub fn image(&self, name: &str, lines: &[&str], context: &[(&str, &str)]) -> RenderedImage {
        let tag = format!("{}:{name}", self.prefix);
        self.will_make(&tag);
        RenderedImage {
            name: name.parse().unwrap(),
            tag,
            dockerfile: format!("FROM {}\n{}\n", self.base, lines.join("\n")),
            context: context
                .iter()
                .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
                .collect::<BTreeMap<_, _>>(),
            after: Vec::new(),
        }
    }

    /// An image's id, if there is one.
    pub async fn id(&self, reference: &str) -> Option<String> {
        self.docker.inspect_image(reference).await.ok()?.id
    }

    /// Runs a shell script in a container of an image as its user, who can write to its home and
    /// to /tmp alone, and has no privilege; the result is its exit code and what it said.
    pub async fn run(&self, reference: &str, user: (u32, &str), script: &str) -> (i64, String) {
        let (uid, home) = user;
        // Over a directory that is there, the mode alone would not be honoured.
        let writable = [home, "/tmp"].map(|path| (path.to_owned(), format!("uid={uid},gid={uid},mode=0750")));
        let body = ContainerCreateBody {
            image: Some(reference.to_owned()),
            cmd: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
            network_disabled: Some(true),
            host_config: Some(HostConfig {
                readonly_rootfs: Some(true),
                cap_drop: Some(vec!["ALL".to_owned()]),
                security_opt: Some(vec!["no-new-privileges".to_owned()]),
                tmpfs: Some(writable.into()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let name = format!("{}-{:08x}", self.prefix, rand::random::<u32>());
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        self.docker.create_container(Some(options), body).await.unwrap();
        self.docker.start_container(&name, None::<StartContainerOptions>).await.unwrap();
        let code = match self.docker.wait_container(&name, None::<WaitContainerOptions>).next().await {
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => code,
            Some(Ok(end)) => end.status_code,
            other => panic!("{reference}: {other:?}"),
        };
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).build();
        let pieces: Vec<_> = self.docker.logs(&name, Some(options)).collect().await;
        let said = pieces.into_iter().map(|piece| String::from_utf8_lossy(&piece.unwrap().into_bytes()).into_owned());
        let said = said.collect();
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        self.docker.remove_container(&name, Some(options)).await.unwrap();
        (code, said)
    }

    /// All that the engine tells about an image: description, history, and the names of its files.
    pub async fn everything_about(&self, reference: &str) -> String {
        let description = self.docker.inspect_image(reference).await.unwrap();
        let history = self.docker.image_history(reference);
        let history = history.await.unwrap();
        let mut exported = Vec::new();
        let mut pieces = Box::pin(self.docker.export_image(reference));
        while let Some(piece) = pieces.next().await {
            exported.extend_from_slice(&piece.unwrap());
        }
        format!("{description:?}\n{history:?}\n{}", String::from_utf8_lossy(&exported))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let docker = self.docker.clone();
        let mut made = std::mem::take(&mut *self.made.lock().unwrap());
        // What stands on others goes first.
        made.reverse();
        // A test's own runtime cannot be waited for inside it.
        let tidy = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for reference in made {
                    let options = RemoveImageOptionsBuilder::default().force(true).build();
                    drop(docker.remove_image(&reference, Some(options), None).await);
                }
            });
        });
        drop(tidy.join());
    }
}

/// A root file system with a shell. A mark makes it unlike all others, or BuildKit would take the
/// steps on it for those of an earlier run and skip them.
fn busybox(mark: &str) -> Vec<u8> {
    let program = ["/bin/busybox", "/usr/bin/busybox"]
        .iter()
        .find_map(|path| std::fs::read(path).ok())
        .expect("busybox is missing: install the packages in tests/packages.txt");
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(program.len() as u64);
    header.set_mode(0o755);
    archive.append_data(&mut header, "bin/busybox", program.as_slice()).unwrap();
    for name in ["sh", "cat", "echo", "sleep", "false", "cp", "ls", "grep", "date"] {
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        archive.append_link(&mut link, format!("bin/{name}"), "busybox").unwrap();
    }
    let mut header = tar::Header::new_gnu();
    header.set_size(mark.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "mark", mark.as_bytes()).unwrap();
    archive.into_inner().unwrap()
}
