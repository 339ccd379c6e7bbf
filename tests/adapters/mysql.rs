//! The database adapter against a MariaDB server of the test's own.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use octo::controller::mask::Mask;
use octo::controller::mysql::Database;
use octo::model::name::Name;
use octo::model::observed::JobRecord;
use octo::model::secret::Secrets;

pub const ROOT: &str = "root-password-of-the-test";

/// A server in a temporary directory, on a port that the kernel chose.
pub struct Server {
    process: Child,
    pub address: String,
    _directory: tempfile::TempDir,
}

impl Server {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", data.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("the tests need the packages mariadb-server-core and mariadb-client-core");
        assert!(made.success());
        let init = directory.path().join("init.sql");
        std::fs::write(
            &init,
            format!("CREATE USER octo@'%' IDENTIFIED BY '{ROOT}';\nGRANT ALL ON *.* TO octo@'%' WITH GRANT OPTION;\n"),
        )
        .unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("mariadbd")
            .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=16M"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", directory.path().join("socket").display()))
            .arg(format!("--pid-file={}", directory.path().join("pid").display()))
            .arg(format!("--init-file={}", init.display()))
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, address: format!("127.0.0.1:{port}"), _directory: directory };
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while let Err(error) = server.database(ROOT).observe(&BTreeMap::new()).await {
            assert!(std::time::Instant::now() < deadline, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        server
    }

    fn database(&self, password: &str) -> Database {
        let mut secrets = Secrets::default();
        secrets.insert("mariadb.root", ROOT.to_owned().into());
        Database::new(std::slice::from_ref(&self.address), password, Mask::for_secrets(&secrets)).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[tokio::test]
async fn databases_users_and_records() {
    let server = Server::start().await;
    let database = server.database(ROOT);
    let nova = name("nova");
    let all: BTreeSet<Name> = [name("nova"), name("nova_cell0")].into();
    let passwords = BTreeMap::from([(nova.clone(), "it's a \\ password".to_owned())]);
    let observe = async || database.observe(&passwords).await.unwrap();

    assert!(observe().await.databases.is_empty());
    for _ in 0..2 {
        for wanted in &all {
            database.create_database(wanted).await.unwrap();
        }
    }
    assert!(observe().await.databases.is_superset(&all));
    assert!(observe().await.users.is_empty());

    for _ in 0..2 {
        database.ensure_user(&nova, &passwords[&nova], &all).await.unwrap();
        assert_eq!(observe().await.users[&nova], all);
    }
    // Fewer databases: the right to the other is gone. Another password: not proven.
    let less = [nova.clone()].into();
    database.ensure_user(&nova, &passwords[&nova], &less).await.unwrap();
    assert_eq!(observe().await.users[&nova], less);
    database.ensure_user(&nova, "another", &less).await.unwrap();
    assert!(observe().await.users.is_empty());

    for _ in 0..2 {
        database.begin_job("lab-nova-sync", "one").await.unwrap();
    }
    let started = JobRecord { started: Some("one".into()), finished: None };
    assert_eq!(observe().await.jobs["lab-nova-sync"], started);
    database.end_job("lab-nova-sync", "one").await.unwrap();
    database.begin_job("lab-nova-sync", "two").await.unwrap();
    let again = JobRecord { started: Some("two".into()), finished: Some("one".into()) };
    assert_eq!(observe().await.jobs["lab-nova-sync"], again);

    for _ in 0..2 {
        database.drop_database(&name("nova_cell0")).await.unwrap();
    }
    assert!(!observe().await.databases.contains(&name("nova_cell0")));

    let error = server.database("wrong").create_database(&nova).await.unwrap_err();
    assert!(error.hints.iter().any(|hint| hint.contains("state directory")), "{error:?}");
    let text = format!("{:?}", server.database(ROOT).ensure_user(&nova, ROOT, &all).await);
    assert!(!text.contains(ROOT), "{text}");
}

#[tokio::test]
async fn a_server_that_is_down_is_told() {
    let nobody = Database::new(&["127.0.0.1:1".to_owned()], "x", Mask::default()).unwrap();
    let error = nobody.observe(&BTreeMap::new()).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot reach the database at 127.0.0.1:1"), "{error}");
}
