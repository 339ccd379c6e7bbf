//! The two seams on a small cloud of busybox containers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use octo::controller::adapters::Adapters;
use octo::controller::cloud::Cloud;
use octo::controller::port::{ImageBuilder, Observe, Perform};
use octo::error::{Error, ErrorKind};
use octo::model::base::{BaseFacts, choose_base};
use octo::model::catalog::{Attachment, Catalog, Distro, Health};
use octo::model::desired::{
    Access, Desired, DesiredContainer, DesiredNode, DesiredProvider, DesiredService, DesiredVolume,
};
use octo::model::fingerprint;
use octo::model::node::{Role, Topology};
use octo::model::observed::{JobRecord, Observed, ObservedHealth, Reached, RunState};
use octo::model::operation::Operation;
use octo::model::secret::Secrets;
use octo::model::settings::{Base, Settings, Uplink};
use octo::model::state_copy::StateCopy;
use octo::view::rendered::{RenderedFile, RenderedFiles, RenderedImage, files_digest};

use super::mysql::Server;
use super::scene::Scene;

/// For clouds whose images exist.
struct NoBuilder;

#[async_trait]
impl ImageBuilder for NoBuilder {
    async fn build(&self, _: &RenderedImage, _: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error> {
        Err(Error::new(ErrorKind::Internal, "nothing is built here"))
    }

    async fn prepare_base(&self, _: &str, _: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error> {
        Err(Error::new(ErrorKind::Internal, "nothing is built here"))
    }
}

impl Scene {
    pub(super) fn cloud(&self) -> Cloud {
        let roles = BTreeSet::from([Role::Control, Role::Compute]);
        let node = DesiredNode { number: 0, address: None, roles, network: self.network.clone() };
        let desired = Desired {
            cloud: self.cloud.clone(),
            node: self.node.clone(),
            topology: Topology::Single,
            nodes: BTreeMap::from([(self.node.clone(), node)]),
            distro: Distro::Debian,
            images: BTreeMap::new(),
            network: self.network.clone(),
            uplink: Uplink::default(),
            provider: DesiredProvider { bridge: "br-ex".to_owned(), interface: None, address: None, pool: None },
            volumes: BTreeMap::new(),
            containers: BTreeMap::new(),
            jobs: BTreeMap::new(),
            databases: BTreeMap::new(),
            message_users: BTreeSet::new(),
            identity: BTreeSet::new(),
            secrets: BTreeMap::new(),
            state_copy: StateCopy::default(),
            services: BTreeMap::new(),
            frontends: BTreeMap::new(),
            access: Access::default(),
            log_directory: self.directory.path().join("log").to_string_lossy().into_owned(),
        };
        let mut secrets = Secrets::default();
        secrets.insert("test.secret", "correct-horse-battery".to_owned().into());
        Cloud {
            peers: BTreeMap::new(),
            silent: BTreeMap::new(),
            settings: Settings { cloud: self.cloud.clone(), ..Settings::default() },
            catalog: Catalog::default(),
            desired,
            images: BTreeMap::new(),
            files: RenderedFiles::default(),
            secrets,
            configuration: String::new(),
            state_directory: self.directory.path().join("state"),
            base: choose_base(&Base::default(), None, &BaseFacts::Unknown),
        }
    }

    pub(super) fn adapters(&self, cloud: Cloud) -> Adapters {
        Adapters::new(Arc::new(cloud), self.engine.clone(), Box::new(NoBuilder)).unwrap()
    }

    fn healthy_by(&self, script: &str, last: u8, health: Health) -> DesiredContainer {
        DesiredContainer { health, ..self.container(script, last) }
    }
}

async fn perform(adapters: &Adapters, operations: impl IntoIterator<Item = Operation>) -> Result<(), Error> {
    for operation in operations {
        adapters.perform(&operation, &|_| {}).await?;
    }
    Ok(())
}

async fn observe(adapters: &Adapters) -> Observed {
    adapters.observe().await.unwrap()
}

#[tokio::test]
async fn a_container_from_nothing_to_nothing() {
    let scene = Scene::new().await;
    let (name, volume) = (scene.name("main"), scene.name("data"));
    let files = vec![RenderedFile { path: "/etc/t/t.conf".into(), mode: 0o440, gid: 0, content: "hello".into() }];
    let mut wanted = scene.healthy_by(
        "httpd -f -p 80 -h /etc/t & trap 'echo again' USR1; while true; do sleep 0.1; done",
        30,
        Health::Http { port: 80, path: "/t.conf".into() },
    );
    wanted.process.file_directories.insert("/etc/t".into());
    wanted.process.volumes.insert("/data".into(), volume.clone());
    wanted.reload = Some("USR1".into());
    wanted.process.init = false;
    wanted.files_digest = files_digest(&files);
    let mut cloud = scene.cloud();
    cloud.desired.containers.insert(name.clone(), wanted.clone());
    cloud
        .desired
        .volumes
        .insert(volume.clone(), DesiredVolume { service: "test".parse().unwrap(), node: scene.node.clone() });
    cloud.files.0.insert(name.clone(), files);
    let adapters = scene.adapters(cloud.clone());

    let nothing = observe(&adapters).await;
    let (images, occupied) = (nothing.images.clone(), nothing.occupied.clone());
    assert_eq!(nothing, Observed { images, occupied, ..Observed::default() });

    let container = name.clone();
    let network = scene.network.name.clone();
    let bridge = scene.network.bridge.clone();
    let up = [
        Operation::StoreSecrets { count: 1 },
        Operation::EnsureBridge { bridge: bridge.clone() },
        Operation::CreateNetwork { network: network.clone() },
        Operation::CreateVolume { volume: volume.clone() },
        Operation::WriteFiles { owner: name.clone() },
        Operation::CreateContainer { container: container.clone() },
        Operation::StartContainer { container: container.clone() },
        Operation::AwaitHealth { container: container.clone() },
    ];
    for _ in 0..2 {
        perform(&adapters, up.clone()).await.unwrap();
    }
    let begun = Instant::now();
    let running = observe(&adapters).await;
    assert!(begun.elapsed().as_millis() < 700, "{:?}", begun.elapsed());
    let found = &running.containers[&name];
    assert_eq!((found.state, &found.health), (RunState::Running, &ObservedHealth::Healthy));
    assert_eq!(found.fingerprint, fingerprint::of_container(&wanted));
    assert_eq!(found.files_digest, wanted.files_digest);
    assert_eq!(running.files[&name], wanted.files_digest);
    assert_eq!(running.volumes, [volume.clone()].into());
    assert!(running.networks.contains_key(&network) && running.secrets.contains("test.secret") && running.state);
    assert_eq!(running.database, Reached::Absent);

    // New files, read on a signal: the same container afterwards, and the record says what it read.
    let files = vec![RenderedFile { content: "hello again".into(), ..cloud.files.0[&name][0].clone() }];
    let mut changed = cloud.clone();
    changed.desired.containers.get_mut(&name).unwrap().files_digest = files_digest(&files);
    changed.files.0.insert(name.clone(), files.clone());
    let adapters = scene.adapters(changed);
    let reload = [
        Operation::WriteFiles { owner: name.clone() },
        Operation::ReloadContainer { container: container.clone() },
        Operation::AwaitHealth { container: container.clone() },
    ];
    perform(&adapters, reload).await.unwrap();
    let reloaded = observe(&adapters).await;
    assert_eq!(reloaded.containers[&name].files_digest, files_digest(&files));
    assert_eq!(reloaded.containers[&name].id, found.id);
    let seen = scene.engine.exec(&name, &["cat".into(), "/etc/t/t.conf".into()]).await.unwrap();
    assert_eq!(seen.output, "hello again");

    let down = [
        Operation::StopContainer { container: container.clone() },
        Operation::RemoveContainer { container },
        Operation::RemoveNetwork { network },
        Operation::RemoveBridge { bridge },
        Operation::RemoveFiles { owner: name },
        Operation::RemoveVolume { volume },
        Operation::RemoveState,
    ];
    for _ in 0..2 {
        perform(&adapters, down.clone()).await.unwrap();
    }
    // Other clouds of this machine come and go meanwhile.
    let left = Observed { occupied: nothing.occupied.clone(), ..observe(&adapters).await };
    assert_eq!(left, nothing);
    assert!(!cloud.state_directory.exists());
}

#[tokio::test]
async fn health_is_told_with_the_reason() {
    let scene = Scene::new().await.with_network().await;
    let mut cloud = scene.cloud();
    let mut restarts = scene.container("echo no correct-horse-battery; exit 3", 43);
    restarts.health = Health::Tcp { port: 1 };
    let mut greedy =
        scene.healthy_by("sleep 0.2; x=0123456789abcdef; while true; do x=$x$x; done", 44, Health::Tcp { port: 1 });
    greedy.process.memory = 16 << 20;
    let containers = [
        ("tcp", scene.healthy_by("nc -ll -p 7 -e cat", 40, Health::Tcp { port: 7 })),
        (
            "exec",
            scene.healthy_by("sleep 1; touch /tmp/x; sleep 60", 41, Health::Exec(vec!["cat".into(), "/tmp/x".into()])),
        ),
        ("closed", scene.healthy_by("sleep 60", 42, Health::Tcp { port: 7 })),
        ("restarts", restarts),
        ("greedy", greedy),
    ];
    for (short, mut container) in containers {
        container.process.tmpfs.insert("/tmp".into(), "size=1m".into());
        cloud.desired.containers.insert(scene.name(short), container);
    }
    let adapters = scene.adapters(cloud);
    let wait = async |short: &str| {
        let name = scene.name(short);
        let container = name.clone();
        let start = [
            Operation::CreateContainer { container: container.clone() },
            Operation::StartContainer { container: container.clone() },
        ];
        perform(&adapters, start).await.unwrap();
        let limit = std::time::Duration::from_secs(if short == "closed" { 1 } else { 20 });
        adapters.probes.await_health(&name, &adapters.cloud.desired.containers[&name], limit, &|_| {}).await
    };
    wait("tcp").await.unwrap();
    wait("exec").await.unwrap();
    let closed = wait("closed").await.unwrap_err();
    assert!(closed.to_string().contains("within 1 s") && closed.to_string().contains("refused"), "{closed}");
    let restarts = wait("restarts").await.unwrap_err();
    assert!(restarts.to_string().contains("keeps restarting"), "{restarts}");
    let detail = restarts.detail.unwrap();
    assert!(detail.contains("no ***") && !detail.contains("horse"), "{detail}");
    let greedy = wait("greedy").await.unwrap_err();
    assert!(greedy.hints.iter().any(|hint| hint.contains("memory")), "{greedy:?}");
}

#[tokio::test]
async fn ports_that_others_hold_are_seen() {
    let scene = Scene::new().await;
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let mut wanted = scene.container("sleep 60", 50);
    wanted.address = None;
    wanted.host_ports = [(Ipv4Addr::LOCALHOST, port)].into();
    let mut cloud = scene.cloud();
    cloud.desired.containers.insert(scene.name("main"), wanted);
    let observed = observe(&scene.adapters(cloud)).await;
    let holder = &observed.taken_ports[&(Ipv4Addr::LOCALHOST, port)];
    assert!(holder.contains(&std::process::id().to_string()), "{holder}");
}

#[tokio::test]
async fn jobs_are_recorded_awaited_and_explained() {
    let server = Server::start().await;
    let scene = Scene::new().await.with_network().await;
    let mut cloud = scene.cloud();
    cloud.desired.access.database = Some(("test".parse().unwrap(), vec![server.address.clone()]));
    cloud.secrets.insert("test.root", super::mysql::ROOT.to_owned().into());
    let (good, bad, slow) = (scene.name("good"), scene.name("bad"), scene.name("slow"));
    let mut logged = scene.job("echo done; sleep 0.5");
    // With a log collector too, the engine keeps the output.
    logged.process.log_address = Some("127.0.0.1:15514".into());
    cloud.desired.jobs.insert(good.clone(), logged);
    cloud.desired.jobs.insert(bad.clone(), scene.job("echo password correct-horse-battery; exit 9"));
    let mut lazy = scene.job("sleep 60");
    lazy.timeout = 1;
    cloud.desired.jobs.insert(slow.clone(), lazy);
    let adapters = scene.adapters(cloud);
    let run = async |job: &String| adapters.perform(&Operation::RunJob { job: job.clone() }, &|_| {}).await;
    let record = async |job: &String| {
        let database = octo::controller::mysql::Database::new(
            std::slice::from_ref(&server.address),
            super::mysql::ROOT,
            octo::controller::mask::Mask::default(),
        );
        database.unwrap().observe(&BTreeMap::new()).await.unwrap().jobs.get(job).cloned()
    };
    let fingerprint = |job: &String| fingerprint::of_job(&adapters.cloud.desired.jobs[job]);

    // Two at once, as after a kill: the second one waits for the container of the first.
    let first = run(&good);
    let second = async {
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        adapters.engine.wait_container(&good).await
    };
    let (first, second) = futures_util::future::join(first, second).await;
    first.unwrap();
    assert_eq!(second.unwrap(), 0);
    assert_eq!(record(&good).await, Some(JobRecord { started: None, finished: Some(fingerprint(&good)) }));
    assert_eq!(std::fs::read_to_string(adapters.state.job_log(&good)).unwrap(), "done");
    assert!(adapters.engine.container(&good).await.unwrap().is_none());

    let error = run(&bad).await.unwrap_err();
    assert!(error.to_string().contains("exit code 9"), "{error}");
    assert_eq!(error.detail.as_deref(), Some("password ***"));
    assert_eq!(record(&bad).await, Some(JobRecord { started: Some(fingerprint(&bad)), finished: None }));
    let error = run(&slow).await.unwrap_err();
    assert!(error.to_string().contains("did not end within 1 s"), "{error}");
    assert!(adapters.engine.container(&slow).await.unwrap().is_none());
}

#[tokio::test]
async fn jobs_of_the_removal_need_nothing_of_the_cloud() {
    let scene = Scene::new().await;
    let mut cloud = scene.cloud();
    // Both are gone by then: nobody listens, and what the service needs has no container.
    cloud.desired.access.database = Some(("test".parse().unwrap(), vec!["127.0.0.1:1".to_owned()]));
    cloud.secrets.insert("test.root", super::mysql::ROOT.to_owned().into());
    let mut needed = scene.container("sleep 60", 50);
    needed.process.service = "needed".parse().unwrap();
    cloud.desired.containers.insert(scene.name("needed"), needed);
    let (image, needs) = ("busybox".parse().unwrap(), ["needed".parse().unwrap()].into());
    let service = DesiredService { image, needs, provides: None, held: false };
    cloud.desired.services.insert("test".parse().unwrap(), service);
    let (good, bad) = (scene.name("good"), scene.name("bad"));
    // Longer than any other job would go on without what its service needs.
    for (name, script) in [(&good, "sleep 6; echo swept"), (&bad, "echo cannot sweep; exit 3")] {
        let mut job = scene.job(script);
        (job.at_removal, job.network) = (true, Attachment::Host);
        cloud.desired.jobs.insert(name.clone(), job);
    }
    let adapters = scene.adapters(cloud);
    let run = async |job: &String| adapters.perform(&Operation::RunJob { job: job.clone() }, &|_| {}).await;
    run(&good).await.unwrap();
    assert_eq!(std::fs::read_to_string(adapters.state.job_log(&good)).unwrap(), "swept");
    let error = run(&bad).await.unwrap_err();
    assert!(error.to_string().contains("exit code 3"), "{error}");
    assert_eq!(error.detail.as_deref(), Some("cannot sweep"));
    assert!(scene.engine.inventory(&scene.cloud).await.unwrap().containers.is_empty());
}
