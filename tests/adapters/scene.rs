//! A cloud of its own for one test: an image made from nothing, names that nobody else has, and
//! the removal of exactly its objects, on panic too.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};

use futures_util::StreamExt;
use octo::controller::docker::{DEFAULT_ENDPOINT, Engine};
use octo::controller::netlink::HostNetwork;
use octo::model::catalog::{Attachment, Health};
use octo::model::desired::{DesiredContainer, DesiredJob, DesiredNetwork, ProcessSpec};
use octo::model::name::Name;

/// The repository of the tests' images: busybox and nothing else. Each scene has a tag of its own.
pub const REPOSITORY: &str = "octo-test/busybox";

static NEXT: AtomicU8 = AtomicU8::new(0);

/// One test's cloud.
pub struct Scene {
    pub engine: Engine,
    pub cloud: Name,
    pub node: Name,
    pub network: DesiredNetwork,
    pub directory: tempfile::TempDir,
}

impl Scene {
    /// Makes names and a directory; the engine gets the test image.
    pub async fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = std::process::id() % 1000;
        let engine = connect().await.expect("the tests need a Docker Engine");
        let cloud: Name = format!("t{id}x{number}").parse().unwrap();
        make_image(&engine, cloud.as_str()).await;
        let third = u8::try_from(id % 100).unwrap() + 100;
        let address = |last| Ipv4Addr::new(10, third, 200 + number, last);
        let network = DesiredNetwork {
            name: format!("{cloud}-management"),
            bridge: format!("octo-{cloud}"),
            subnet: ipnet::Ipv4Net::new(address(0), 24).unwrap(),
            range: ipnet::Ipv4Net::new(address(0), 24).unwrap(),
            gateway: address(1),
            internal_vip: address(2),
            external_vip: Ipv4Addr::LOCALHOST,
            mtu: Some(1380),
        };
        let node = "node".parse().unwrap();
        Self { engine, cloud, node, network, directory: tempfile::tempdir().unwrap() }
    }

    /// The bridge and the network on it.
    pub async fn with_network(self) -> Self {
        HostNetwork::open().unwrap().ensure_bridge(&self.network).await.unwrap();
        self.engine.create_network(&self.cloud, &self.node, &self.network, 1380).await.unwrap();
        self
    }

    /// The image of this scene's containers.
    pub fn image(&self) -> String {
        format!("{REPOSITORY}:{}", self.cloud)
    }

    /// An address of the subnet.
    pub fn address(&self, last: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.network.gateway.octets();
        Ipv4Addr::new(a, b, c, last)
    }

    /// The full name of a container.
    pub fn name(&self, container: &str) -> String {
        format!("{}-test-{container}", self.cloud)
    }

    /// A process that runs a shell script.
    pub fn process(&self, script: &str) -> ProcessSpec {
        ProcessSpec {
            service: "test".parse().unwrap(),
            image: self.image(),
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            user: None,
            environment: BTreeMap::new(),
            volumes: BTreeMap::new(),
            file_directories: BTreeSet::new(),
            tmpfs: BTreeMap::new(),
            read_only: true,
            capabilities: BTreeSet::new(),
            apparmor: None,
            devices: BTreeSet::new(),
            memory: 64 << 20,
            pids: 32,
            cpu_shares: None,
            sysctls: BTreeMap::new(),
            hosts: BTreeMap::new(),
            init: true,
            log_address: None,
            log_directory: None,
            engine_socket: None,
            host_pid: false,
        }
    }

    /// A container that runs a shell script.
    pub fn container(&self, script: &str, last: u8) -> DesiredContainer {
        DesiredContainer {
            process: self.process(script),
            node: self.node.clone(),
            container: "main".parse().unwrap(),
            address: Some(self.address(last)),
            health: Health::Process {},
            stop_signal: None,
            stop_grace: 1,
            reload: None,
            drain: None,
            quorum: None,
            forget: Vec::new(),
            yields_to: BTreeSet::new(),
            once_per_node: false,
            host_ports: BTreeSet::new(),
            files_digest: "digest".to_owned(),
        }
    }

    /// A job that runs a shell script.
    pub fn job(&self, script: &str) -> DesiredJob {
        DesiredJob {
            process: self.process(script),
            node: self.node.clone(),
            network: Attachment::Management,
            job: "sync".parse().unwrap(),
            after: BTreeSet::new(),
            fills: BTreeSet::new(),
            snapshots: BTreeMap::new(),
            statements: BTreeMap::new(),
            when_running: false,
            at_removal: false,
            holds: true,
            timeout: 30,
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let (cloud, image) = (self.cloud.clone(), self.image());
        let (bridge, network) = (self.network.bridge.clone(), self.network.name.clone());
        // A runtime of its own on a thread of its own: the test's one may be the one that panics.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let engine = connect().await.unwrap();
                let inventory = engine.inventory(&cloud).await.unwrap();
                for name in inventory.containers.keys() {
                    engine.remove_container(name).await.ok();
                }
                if inventory.networks.contains_key(&network) {
                    engine.remove_network(&network).await.ok();
                }
                for name in &inventory.volumes {
                    engine.remove_volume(name).await.ok();
                }
                let untag = None::<bollard::query_parameters::RemoveImageOptions>;
                engine.client().remove_image(&image, untag, None).await.ok();
                HostNetwork::open().unwrap().remove_bridge(&bridge).await.ok();
            });
        });
        cleaning.join().ok();
    }
}

/// The engine of this machine.
async fn connect() -> Result<Engine, octo::error::Error> {
    let endpoint = std::env::var("DOCKER_HOST").unwrap_or_else(|_| DEFAULT_ENDPOINT.to_owned());
    Engine::connect(&endpoint).await
}

/// Imports busybox as an image, [`REPOSITORY`] with this tag.
pub async fn make_image(engine: &Engine, tag: &str) {
    let busybox = std::fs::read("/bin/busybox").expect("the tests need the package busybox-static");
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, content).unwrap();
    };
    for directory in ["bin", "etc", "tmp", "data", "proc", "sys", "dev"] {
        add(directory, tar::EntryType::Directory, &[]);
    }
    add("bin/busybox", tar::EntryType::Regular, &busybox);
    let applets = ["sh", "sleep", "cat", "nc", "id", "kill", "touch", "hostname", "ip", "echo", "httpd", "grep"];
    for applet in applets.iter().chain(&["rm", "rmdir", "stat", "timeout"]) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, format!("bin/{applet}"), "busybox").unwrap();
    }
    let content = archive.into_inner().unwrap();
    let options = bollard::query_parameters::CreateImageOptions {
        from_src: Some("-".to_owned()),
        repo: Some(REPOSITORY.to_owned()),
        tag: Some(tag.to_owned()),
        ..Default::default()
    };
    let body = bollard::body_full(bytes::Bytes::from(content));
    let mut progress = engine.client().create_image(Some(options), Some(body), None);
    while let Some(step) = progress.next().await {
        step.expect("import the test image");
    }
}
