//! Files on a node whose disk only its engine reaches: a simulated host.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{CreateContainerOptionsBuilder, ListContainersOptionsBuilder};
use futures_util::future::join_all;
use octo::controller::docker::Engine;
use octo::controller::node_files::{NodeFiles, RemoteFiles};
use octo::error::ErrorKind;
use octo::view::rendered::{RenderedFile, files_digest};

use super::scene::{REPOSITORY, make_image};
use crate::hosts::simulated::Hosts;

const STATE: &str = "/var/lib/octo/pair";
const LOGS: &str = "/var/log/octopenstack";
/// A group that this machine does not have.
const GROUP: u32 = 4711;

struct Node {
    hosts: Hosts,
    engine: Engine,
}

impl Node {
    async fn bare() -> Self {
        let hosts = Hosts::up(1);
        let engine = Engine::connect(&format!("unix://{}", hosts.socket("host1").display())).await.unwrap();
        Self { hosts, engine }
    }

    async fn new() -> Self {
        let node = Self::bare().await;
        make_image(&node.engine, "node").await;
        node
    }

    /// As a run of octo has it, that knows nothing of earlier ones.
    fn files(&self) -> NodeFiles {
        let (cloud, node) = ("pair".parse().unwrap(), "ctl2".parse().unwrap());
        NodeFiles::Remote(Box::new(RemoteFiles::new(self.engine.clone(), cloud, node, STATE, image())))
    }

    /// A path of the node as this machine sees it.
    fn disk(&self, path: &str) -> PathBuf {
        self.hosts.disk("host1", path)
    }

    async fn create(&self, name: &str, body: ContainerCreateBody) {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        self.engine.client().create_container(Some(options), body).await.unwrap();
    }

    async fn containers(&self) -> Vec<String> {
        let options = ListContainersOptionsBuilder::default().all(true).build();
        let found = self.engine.client().list_containers(Some(options)).await.unwrap();
        found.into_iter().flat_map(|container| container.names.unwrap_or_default()).collect()
    }
}

fn image() -> String {
    format!("{REPOSITORY}:node")
}

fn file(path: &str, content: &str) -> RenderedFile {
    RenderedFile { path: path.to_owned(), mode: 0o440, gid: GROUP, content: content.into() }
}

fn access(path: &Path) -> (u32, u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.permissions().mode() & 0o7777, found.uid(), found.gid())
}

#[tokio::test]
async fn containers_of_the_node_read_what_was_written() {
    let node = Node::new().await;
    let files = node.files();
    assert!(files.file_digests().await.unwrap().is_empty());
    assert!(!node.disk(STATE).exists(), "reading makes nothing");

    let first = [file("/etc/x/x.conf", "one"), file("/etc/x/keys/0", "old key"), file("/etc/y.conf", "y")];
    for _ in 0..2 {
        files.write_files("pair-x-api.ctl2", &first).await.unwrap();
    }
    assert_eq!(node.files().file_digests().await.unwrap()["pair-x-api.ctl2"], files_digest(&first));
    assert_eq!(access(&node.disk(STATE)), (0o700, 0, 0));
    let top = node.disk(&files.files_of("pair-x-api.ctl2").to_string_lossy());
    assert_eq!(access(&top), (0o750, 0, 0));
    assert_eq!(access(&top.join("etc/x/keys")), (0o750, 0, GROUP));
    assert_eq!(access(&top.join("etc/x/x.conf")), (0o440, 0, GROUP));

    let mount = Mount {
        target: Some("/etc/x".to_owned()),
        source: Some(files.files_of("pair-x-api.ctl2").join("etc/x").to_string_lossy().into_owned()),
        typ: Some(MountType::BIND),
        read_only: Some(true),
        ..Mount::default()
    };
    let body = ContainerCreateBody {
        image: Some(image()),
        entrypoint: Some(["sleep", "3600"].map(str::to_owned).to_vec()),
        user: Some(format!("{GROUP}:{GROUP}")),
        network_disabled: Some(true),
        host_config: Some(HostConfig { mounts: Some(vec![mount]), init: Some(true), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    };
    node.create("main", body).await;
    node.engine.start_container("main").await.unwrap();
    let says = async |path: &str| {
        let said = node.engine.exec("main", &["cat".to_owned(), path.to_owned()]).await.unwrap();
        (said.code, said.output)
    };
    assert_eq!(says("/etc/x/x.conf").await, (0, "one".to_owned()));

    // The container that runs sees new content, and what is gone.
    let second = [file("/etc/x/x.conf", "two"), file("/etc/x/keys/1", "new key"), file("/etc/y.conf", "y")];
    files.write_files("pair-x-api.ctl2", &second).await.unwrap();
    assert_eq!(says("/etc/x/x.conf").await, (0, "two".to_owned()));
    assert_eq!(says("/etc/x/keys/1").await, (0, "new key".to_owned()));
    assert_ne!(says("/etc/x/keys/0").await.0, 0);
    assert_eq!(node.files().file_digests().await.unwrap()["pair-x-api.ctl2"], files_digest(&second));
    assert_eq!(node.containers().await, ["/main"]);
}

#[tokio::test]
async fn what_is_not_as_it_should_be_is_seen_and_repaired() {
    let node = Node::new().await;
    let wanted = [file("/etc/x/x.conf", "one"), file("/etc/x/y.conf", "y")];
    node.files().write_files("x", &wanted).await.unwrap();
    let inside = node.disk(&format!("{STATE}/files/x/etc/x"));
    let inode = fs::metadata(&inside).unwrap().ino();
    let damages: [&dyn Fn(); 5] = [
        &|| fs::write(inside.join("extra"), "").unwrap(),
        &|| fs::set_permissions(inside.join("x.conf"), fs::Permissions::from_mode(0o644)).unwrap(),
        &|| chown(inside.join("x.conf"), None, Some(1)).unwrap(),
        // As an interrupted octo leaves it.
        &|| fs::remove_file(inside.join("y.conf")).unwrap(),
        &|| {
            fs::remove_file(inside.join("x.conf")).unwrap();
            symlink("/etc/passwd", inside.join("x.conf")).unwrap();
        },
    ];
    for damage in damages {
        damage();
        let files = node.files();
        assert_ne!(files.file_digests().await.unwrap()["x"], files_digest(&wanted));
        files.write_files("x", &wanted).await.unwrap();
        assert_eq!(files.file_digests().await.unwrap()["x"], files_digest(&wanted));
    }
    assert_eq!(fs::metadata(&inside).unwrap().ino(), inode, "a running container sees the new files");
    assert_eq!(fs::read_dir(&inside).unwrap().count(), 2);

    let error = node.files().write_files("x", &[file("/etc/../../y", "")]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config);
}

#[tokio::test]
async fn removal_leaves_nothing() {
    let node = Node::new().await;
    let owners: Vec<String> = (0..6).map(|number| format!("pair-x-{number}.ctl2")).collect();
    let files = node.files();
    for owner in &owners {
        files.write_files(owner, &[file("/etc/x.conf", owner)]).await.unwrap();
    }
    // As octos leave them that were killed: one for the same directory, one for another.
    let left = |directory: &str| ContainerCreateBody {
        image: Some(image()),
        entrypoint: Some(vec!["sleep".to_owned(), "3600".to_owned()]),
        labels: Some(HashMap::from([
            ("octo.cloud".to_owned(), "pair".to_owned()),
            ("octo.carrier".to_owned(), directory.to_owned()),
        ])),
        host_config: Some(HostConfig { binds: Some(vec![format!("{directory}:/octo")]), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    };
    node.create("pair.files-removal.ctl2", left("/elsewhere")).await;
    node.engine.start_container("pair.files-removal.ctl2").await.unwrap();
    for directory in ["/var/lib/octo", "/elsewhere"] {
        node.create("pair.files.ctl2", left(directory)).await;
        let inventory = node.engine.inventory(&"pair".parse().unwrap()).await.unwrap();
        assert!(inventory.containers.is_empty(), "{:?}", inventory.containers);
        assert_eq!(node.files().file_digests().await.unwrap().len(), owners.len());
    }

    for _ in 0..2 {
        join_all(owners[1..].iter().map(|owner| files.remove_files(owner))).await.into_iter().for_each(Result::unwrap);
    }
    let digests = files.file_digests().await.unwrap();
    assert_eq!(digests.keys().collect::<Vec<_>>(), [&owners[0]]);
    files.remove_files(&owners[0]).await.unwrap();
    assert!(files.file_digests().await.unwrap().is_empty());
    assert_eq!(fs::read_dir(node.disk(STATE)).unwrap().count(), 0);
    // What was removed can be written again, and stays.
    files.write_files(&owners[1], &[file("/etc/x.conf", "again")]).await.unwrap();
    files.remove_files(&owners[2]).await.unwrap();
    assert_eq!(files.file_digests().await.unwrap().len(), 1);

    for _ in 0..2 {
        files.remove().await.unwrap();
    }
    assert!(!node.disk(STATE).exists());
    assert_eq!(node.containers().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_log_directory_is_the_collectors() {
    let node = Node::new().await;
    let files = node.files();
    let (logs, names) = (Path::new(LOGS), BTreeSet::from(["pair-x-api.ctl2".to_owned()]));
    files.remove_log_files(logs, &names).await.unwrap();
    for _ in 0..2 {
        files.make_log_directory(logs, 104).await.unwrap();
    }
    assert_eq!(access(&node.disk(LOGS)), (0o755, 104, 104));
    let error = files.make_log_directory(logs, 105).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Environment);
    assert!(error.hints.iter().any(|hint| hint.contains("chown 105:105 /var/log/octopenstack")), "{error:?}");

    for name in ["pair-x-api.ctl2.log", "pair-x-api.ctl2.log.1.gz", "pair-x-api.ctl2-b.log", "pair-x-api.log"] {
        fs::write(node.disk(LOGS).join(name), "").unwrap();
    }
    files.remove_log_files(logs, &names).await.unwrap();
    let left = fs::read_dir(node.disk(LOGS)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.collect::<BTreeSet<_>>(), ["pair-x-api.ctl2-b.log", "pair-x-api.log"].map(str::to_owned).into());
    files.remove_log_files(logs, &["pair-x-api", "pair-x-api.ctl2-b"].map(str::to_owned).into()).await.unwrap();
    assert!(!node.disk(LOGS).exists());
    assert_eq!(node.containers().await, Vec::<String>::new());
}

#[tokio::test]
async fn says_what_a_node_lacks() {
    let node = Node::bare().await;
    let files = node.files();
    assert!(files.file_digests().await.unwrap().is_empty());
    let wanted = [file("/etc/x.conf", "one")];
    let error = files.write_files("x", &wanted).await.unwrap_err();
    assert!(error.to_string().contains("on node ctl2"), "{error}");
    assert!(error.hints.iter().any(|hint| hint.contains("octo build")), "{error:?}");

    // Somebody else's container is left alone.
    make_image(&node.engine, "node").await;
    let body = ContainerCreateBody {
        image: Some(image()),
        entrypoint: Some(vec!["sleep".to_owned()]),
        ..ContainerCreateBody::default()
    };
    node.create("pair.files.ctl2", body).await;
    let error = files.write_files("x", &wanted).await.unwrap_err();
    assert!(error.hints.iter().any(|hint| hint.contains("docker rm -f pair.files.ctl2")), "{error:?}");
    assert_eq!(node.containers().await, ["/pair.files.ctl2"]);
}
