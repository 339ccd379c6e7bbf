//! The database adapter against a MariaDB server of the test's own.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use octo::controller::mask::Mask;
use octo::controller::mysql::Database;
use octo::controller::mysql::script::for_collation;
use octo::model::name::Name;
use octo::model::observed::JobRecord;
use octo::model::secret::Secrets;

use crate::config::rendered::{ONE, file, rendered};

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
            .output()
            .expect("the tests need the packages mariadb-server-core and mariadb-client-core");
        let said = [made.stdout, made.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(made.status.success(), "{said}");
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

    /// What the server answers to a question of one column.
    pub async fn ask(&self, database: &str, question: &str) -> Vec<String> {
        let (host, port) = self.address.rsplit_once(':').unwrap();
        let options = mysql_async::OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(port.parse().unwrap())
            .user(Some("octo"))
            .pass(Some(ROOT))
            .db_name(Some(database))
            .prefer_socket(false);
        let mut connection = mysql_async::Conn::new(options).await.unwrap();
        let answer = connection.query(question).await.unwrap();
        connection.disconnect().await.unwrap();
        answer
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

#[tokio::test]
async fn scripts_are_executed_in_a_database() {
    let server = Server::start().await;
    let database = server.database(ROOT);
    let (one, two) = (name("one"), name("two_b"));
    let both = BTreeSet::from([one.clone(), two.clone()]);
    for wanted in &both {
        database.create_database(wanted).await.unwrap();
    }
    let empty = database.empty(&both).await.unwrap();
    assert_eq!(empty.keys().collect::<Vec<_>>(), [&one, &two]);
    assert!(empty[&one].starts_with("utf8mb4_"), "{empty:?}");

    let snapshot = format!(
        "-- {}\n/*M!999999\\- sandbox */ /*!40101 SET NAMES utf8mb4 */;\nCREATE TABLE `a;b` (c TEXT COMMENT 'd;');\n\
         INSERT INTO `a;b` VALUES ('é;\\''); -- the end;\n",
        empty[&one]
    );
    let script = for_collation(&snapshot, &empty[&one]).unwrap();
    let service = name("service");
    database.ensure_user(&service, "its password", &[one.clone()].into()).await.unwrap();
    let own = database.login_as(&service, "its password");
    own.execute("cannot fill one", &one, script).await.unwrap();
    assert_eq!(server.ask("one", "SELECT c FROM `a;b`").await, ["é;'"]);
    assert_eq!(database.empty(&both).await.unwrap().into_keys().collect::<Vec<_>>(), [two]);
    let error = own.execute("cannot fill one", &one, script).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot fill one: statement 2: ") && error.contains("already exists"), "{error}");
    let error = own.execute("cannot fill two", &name("two_b"), "SELECT 1").await.unwrap_err().to_string();
    assert!(error.starts_with("cannot fill two: Access denied"), "{error}");
}

/// As Nova has it, as far as the statements are about it.
const CELL_MAPPINGS: &str = "
CREATE TABLE cell_mappings (
  created_at DATETIME, updated_at DATETIME, id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  uuid VARCHAR(36) NOT NULL UNIQUE, name VARCHAR(255), transport_url TEXT NOT NULL, database_connection TEXT NOT NULL,
  disabled TINYINT(1)
) CHARACTER SET utf8mb3;
INSERT INTO cell_mappings (uuid, name, transport_url, database_connection) VALUES ('known', 'cell1', 'old', 'old');
";

#[tokio::test]
async fn nova_is_told_of_its_cells_as_often_as_one_likes() {
    let server = Server::start().await;
    let database = server.database(ROOT);
    let nova = name("nova_api");
    database.create_database(&nova).await.unwrap();
    database.execute("cannot prepare", &nova, CELL_MAPPINGS).await.unwrap();
    let cells = file(&rendered(ONE, "local"), "lab-nova-schemas", "/etc/nova/cells.sql");
    let question = "SELECT CONCAT_WS(' ', name, uuid, database_connection, transport_url, updated_at IS NULL) \
                    FROM cell_mappings ORDER BY name";
    let options = "{scheme}://{username}:{password}@{hostname}:{port}";
    let expected = [
        format!("cell0 00000000-0000-0000-0000-000000000000 {options}/nova_cell0?{{query}} none:/// 1"),
        // Its identifier stays, by which instances know it.
        format!("cell1 known {options}/nova?{{query}} {options}/{{path}} 0"),
    ];
    for _ in 0..2 {
        database.execute("cannot tell", &nova, &cells).await.unwrap();
        assert_eq!(server.ask("nova_api", question).await, expected);
    }
    // What is as it should be is left alone.
    database.execute("cannot prepare", &nova, "UPDATE cell_mappings SET updated_at = NULL").await.unwrap();
    database.execute("cannot tell", &nova, &cells).await.unwrap();
    assert_eq!(server.ask("nova_api", "SELECT name FROM cell_mappings WHERE updated_at IS NULL").await.len(), 2);
}
