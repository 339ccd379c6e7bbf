//! New databases are filled from the image of a job, which is read through a container beside it.

use std::collections::BTreeMap;

use bytes::Bytes;
use octo::controller::adapters::Adapters;
use octo::controller::port::{Observe, Perform};
use octo::model::fingerprint;
use octo::model::name::Name;
use octo::model::observed::RunState;
use octo::model::operation::Operation;
use octo::view::rendered::RenderedFile;

use super::mysql::{ROOT, Server};
use super::scene::Scene;

/// Where the image has its snapshot.
const SNAPSHOT: &str = "/data/schema.sql";

/// A cloud of two databases, a job that fills them, and a container of the same image.
struct Stage {
    server: Server,
    scene: Scene,
    adapters: Adapters,
    databases: [Name; 2],
    container: String,
    job: String,
}

impl Stage {
    async fn new() -> Self {
        let server = Server::start().await;
        let scene = Scene::new().await.with_network().await;
        let databases: [Name; 2] = ["one", "two"].map(|name| name.parse().unwrap());
        let (container, name) = (scene.name("main"), scene.name("fill"));
        let mut cloud = scene.cloud();
        cloud.desired.access.database = Some(("test".parse().unwrap(), vec![server.address.clone()]));
        cloud.secrets.insert("test.root", ROOT.to_owned().into());
        cloud.secrets.insert("test.database", "password-of-the-service".to_owned().into());
        for database in &databases {
            cloud.desired.databases.insert(database.clone(), "test".parse().unwrap());
        }
        let mut beside = scene.container("sleep 60", 60);
        // So that the test can put a snapshot into it.
        beside.process.read_only = false;
        cloud.desired.containers.insert(container.clone(), beside);
        let mut job = scene.job("echo the command itself");
        job.fills = databases.clone().into();
        job.snapshots = databases.clone().map(|database| (database, SNAPSHOT.to_owned())).into();
        job.statements = [(databases[1].clone(), "/etc/fill/more.sql".to_owned())].into();
        cloud.desired.jobs.insert(name.clone(), job);
        let content = "CREATE TABLE IF NOT EXISTS more (a INT)".into();
        let more = RenderedFile { path: "/etc/fill/more.sql".into(), mode: 0o440, gid: 0, content };
        cloud.files.0.insert(name.clone(), vec![more]);
        let adapters = scene.adapters(cloud);
        Self { server, scene, adapters, databases, container, job: name }
    }

    async fn perform(&self, operation: Operation) {
        self.adapters.perform(&operation, &|_| {}).await.unwrap();
    }

    /// Makes the databases anew.
    async fn empty(&self) {
        for database in &self.databases {
            self.perform(Operation::DropDatabase { database: database.clone() }).await;
            self.perform(Operation::CreateDatabase { database: database.clone() }).await;
        }
        self.perform(Operation::EnsureDatabaseUser { user: "test".parse().unwrap() }).await;
    }

    /// Puts a snapshot into the container, for databases of a collation.
    async fn put(&self, collation: &str) {
        let text = format!("-- {collation}\nCREATE TABLE t (a INT);\nINSERT INTO t VALUES (7);\n");
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        archive.append_data(&mut header, SNAPSHOT.trim_start_matches('/'), text.as_bytes()).unwrap();
        let archive = Bytes::from(archive.into_inner().unwrap());
        self.scene.engine.upload(&self.container, "/", archive).await.unwrap();
    }

    /// Runs the job, which is recorded whatever it has come to, and returns what it said.
    async fn run(&self) -> String {
        self.perform(Operation::RunJob { job: self.job.clone() }).await;
        let left = self.adapters.observe().await.unwrap().job_containers;
        assert!(left.is_empty(), "{left:?}");
        let finished = self.server.ask("octo", "SELECT finished FROM jobs WHERE started IS NULL").await;
        assert_eq!(finished, [fingerprint::of_job(&self.adapters.cloud.desired.jobs[&self.job])]);
        std::fs::read_to_string(self.adapters.state.job_log(&self.job)).unwrap()
    }

    /// The tables of the databases.
    async fn tables(&self) -> BTreeMap<&str, Vec<String>> {
        let mut tables = BTreeMap::new();
        for database in &self.databases {
            tables.insert(database.as_str(), self.server.ask(database.as_str(), "SHOW TABLES").await);
        }
        tables
    }
}

#[tokio::test]
async fn new_databases_are_filled_in_place_of_their_job() {
    let stage = Stage::new().await;
    let tables = |one: &[&str], two: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        BTreeMap::from([("one", owned(one)), ("two", owned(two))])
    };
    stage.empty().await;
    let collation = stage.server.ask("one", "SELECT @@collation_database").await.concat();

    // There is no container yet that the image could be read through.
    assert_eq!(stage.run().await, "the command itself");
    assert_eq!(stage.tables().await, tables(&[], &["more"]));

    // There is one, which has no snapshot; then one for other databases.
    stage.perform(Operation::CreateContainer { container: stage.container.clone() }).await;
    stage.empty().await;
    assert_eq!(stage.run().await, "the command itself");
    stage.put("latin1_bin").await;
    stage.empty().await;
    assert_eq!(stage.run().await, "the command itself");
    assert_eq!(stage.tables().await, tables(&[], &["more"]));

    stage.put(&collation).await;
    // One of the two is not new.
    assert_eq!(stage.run().await, "the command itself");
    assert_eq!(stage.tables().await, tables(&[], &["more"]));
    stage.empty().await;
    let image = stage.scene.image();
    let expected = ["one", "two"].map(|database| format!("{database}: filled with {SNAPSHOT} of {image}")).join("\n");
    assert_eq!(stage.run().await, expected);
    assert_eq!(stage.tables().await, tables(&["t"], &["more", "t"]));
    assert_eq!(stage.server.ask("two", "SELECT a FROM t").await, ["7"]);
    let beside = stage.scene.engine.container(&stage.container).await.unwrap().unwrap();
    assert_eq!(beside.state, RunState::Created);
}
