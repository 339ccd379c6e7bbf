//! The database server: databases, users, and the record of jobs. octo connects as the user
//! `octo`, whose password is the secret `<service>.root`.

pub mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::join_all;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

use super::mask::Mask;
use crate::error::{Error, ErrorKind};
use crate::model::name::Name;
use crate::model::observed::{JobRecord, ObservedDatabase};

/// The user that octo is on the server.
pub const USER: &str = "octo";
/// The database of octo's own records.
pub const RECORDS: &str = "octo";

/// The server's own databases.
const SYSTEM: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];

/// How long the server may take to accept a connection, and how long each of several.
const CONNECT_TIME: Duration = Duration::from_secs(5);
const MEMBER_CONNECT_TIME: Duration = Duration::from_secs(1);
/// How long the server may take for one statement: one that waits for somebody's lock must not wait
/// for ever.
const ANSWER_TIME: Duration = Duration::from_secs(120);
/// How long changes are tried again, and the pause between two tries.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

/// Wrong password, or no such user. For a user that does not exist MariaDB pretends one of the
/// ways to log in that others have, and answers as that one would.
const ACCESS_DENIED: [u16; 2] = [1045, 1698];
/// No such database or table.
const UNKNOWN: [u16; 2] = [1049, 1146];

/// What a member of a cluster answers that has lost the others: it would have to guess.
const NOT_READY: u16 = 1047;

/// What a server answers when it has done nothing of a statement and may do all of it in a moment: somebody else
/// has changed the same at the same time, or kept it locked, or the members have yet to agree on who they are.
const NOTHING_DONE: [u16; 3] = [1205, 1213, NOT_READY];

/// The database server of a cloud, or the members of its cluster.
#[derive(Clone)]
pub struct Database {
    /// Address and port, in the order in which the load balancer chooses the writer.
    members: Vec<(String, u16)>,
    user: String,
    password: String,
    mask: Mask,
}

impl Database {
    /// The members at some `address:port`, of which the first that works is asked. Does not connect
    /// yet.
    pub fn new(addresses: &[String], password: &str, mask: Mask) -> Result<Self, Error> {
        let member = |address: &String| {
            address
                .rsplit_once(':')
                .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)))
                .ok_or_else(|| Error::new(ErrorKind::Internal, format!("`{address}` is no address of a database")))
        };
        let members = addresses.iter().map(member).collect::<Result<_, Error>>()?;
        Ok(Self { members, user: USER.to_owned(), password: password.to_owned(), mask })
    }

    /// What the server holds. `users` are those to prove: service -> password.
    pub async fn observe(&self, users: &BTreeMap<Name, String>) -> Result<ObservedDatabase, Error> {
        let proofs = join_all(users.iter().map(|(user, password)| {
            async move {
                let answer = self.log_in(user.as_str(), password).await?;
                Ok::<_, Error>(answer.then(|| user.clone()))
            }
            .boxed()
        }));
        let mut connection = self.connect().await?;
        let databases = self.databases(&mut connection).await?;
        let jobs = self.jobs(&mut connection).await?;
        let mut observed = ObservedDatabase { databases, jobs, ..ObservedDatabase::default() };
        for proof in proofs.await {
            if let Some(user) = proof?
                && let Some(owned) = self.owned(&mut connection, &user).await?
            {
                observed.users.insert(user, owned);
            }
        }
        close(connection).await;
        Ok(observed)
    }

    /// Makes a database, and that of octo's records.
    pub async fn create_database(&self, name: &Name) -> Result<(), Error> {
        let mut connection = self.connect_patiently().await?;
        self.ensure_records(&mut connection).await?;
        let statement = format!("CREATE DATABASE IF NOT EXISTS {} CHARACTER SET utf8mb4", quoted(name.as_str()));
        self.run(&mut connection, &format!("cannot create database {name}"), &statement).await?;
        close(connection).await;
        Ok(())
    }

    /// Drops a database; one that is not there is success.
    pub async fn drop_database(&self, name: &Name) -> Result<(), Error> {
        let mut connection = self.connect_patiently().await?;
        let statement = format!("DROP DATABASE IF EXISTS {}", quoted(name.as_str()));
        self.run(&mut connection, &format!("cannot drop database {name}"), &statement).await?;
        close(connection).await;
        Ok(())
    }

    /// Makes a user with all rights on these databases and no others, or corrects one.
    pub async fn ensure_user(&self, user: &Name, password: &str, databases: &BTreeSet<Name>) -> Result<(), Error> {
        let action = format!("cannot set up database user {user}");
        let mut connection = self.connect_patiently().await?;
        let account = account(user.as_str());
        let secret = literal(password);
        // The second statement gives an account that existed before the right password.
        for statement in [
            format!("CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {secret}"),
            format!("ALTER USER {account} IDENTIFIED BY {secret}"),
        ] {
            self.run(&mut connection, &action, &statement).await?;
        }
        // Rights that it should have are never taken away for a moment: the service may be running.
        if self.owned(&mut connection, user).await?.is_none_or(|owned| !owned.is_subset(databases)) {
            let statement = format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}");
            self.run(&mut connection, &action, &statement).await?;
        }
        for database in databases {
            let statement = format!("GRANT ALL PRIVILEGES ON {}.* TO {account}", quoted(&pattern(database.as_str())));
            self.run(&mut connection, &action, &statement).await?;
        }
        close(connection).await;
        Ok(())
    }

    /// Records that a job begins.
    pub async fn begin_job(&self, job: &str, fingerprint: &str) -> Result<(), Error> {
        let mut connection = self.connect_patiently().await?;
        self.ensure_records(&mut connection).await?;
        let statement = format!(
            "INSERT INTO {RECORDS}.jobs (name, started, started_at) VALUES ({}, {}, UTC_TIMESTAMP()) \
             ON DUPLICATE KEY UPDATE started = VALUES(started), started_at = VALUES(started_at)",
            literal(job),
            literal(fingerprint)
        );
        let action = format!("cannot record that job {job} begins");
        self.run(&mut connection, &action, &statement).await?;
        close(connection).await;
        Ok(())
    }

    /// Records that a job has ended well.
    pub async fn end_job(&self, job: &str, fingerprint: &str) -> Result<(), Error> {
        let mut connection = self.connect_patiently().await?;
        let statement = format!(
            "UPDATE {RECORDS}.jobs SET started = NULL, finished = {}, finished_at = UTC_TIMESTAMP() WHERE name = {}",
            literal(fingerprint),
            literal(job)
        );
        let action = format!("cannot record that job {job} has ended");
        self.run(&mut connection, &action, &statement).await?;
        close(connection).await;
        Ok(())
    }

    async fn ensure_records(&self, connection: &mut Conn) -> Result<(), Error> {
        let action = "cannot make the database of octo's records";
        for statement in [
            format!("CREATE DATABASE IF NOT EXISTS {RECORDS} CHARACTER SET utf8mb4"),
            format!(
                "CREATE TABLE IF NOT EXISTS {RECORDS}.jobs (name VARCHAR(80) NOT NULL PRIMARY KEY, \
                 started VARCHAR(64), started_at DATETIME, finished VARCHAR(64), finished_at DATETIME) ENGINE=InnoDB"
            ),
        ] {
            self.run(connection, action, &statement).await?;
        }
        Ok(())
    }

    async fn databases(&self, connection: &mut Conn) -> Result<BTreeSet<Name>, Error> {
        let question = connection.query("SELECT schema_name FROM information_schema.schemata");
        let answer = within(ANSWER_TIME, question).await;
        let found: Vec<String> = answer.map_err(|error| self.explain("cannot list databases", &error))?;
        // A database whose name is no `Name` cannot be one of ours.
        let services = found.into_iter().filter(|name| name != RECORDS && !SYSTEM.contains(&name.as_str()));
        Ok(services.filter_map(|name| name.parse().ok()).collect())
    }

    async fn jobs(&self, connection: &mut Conn) -> Result<BTreeMap<String, JobRecord>, Error> {
        let question = connection.query(format!("SELECT name, started, finished FROM {RECORDS}.jobs"));
        let answer = within(ANSWER_TIME, question).await;
        let rows: Vec<(String, Option<String>, Option<String>)> = match answer {
            Err(mysql_async::Error::Server(error)) if UNKNOWN.contains(&error.code) => Vec::new(),
            answer => answer.map_err(|error| self.explain("cannot read the record of jobs", &error))?,
        };
        Ok(rows.into_iter().map(|(name, started, finished)| (name, JobRecord { finished, started })).collect())
    }

    /// The databases that a user has all rights on; `None` if it has rights of any other kind, or
    /// does not exist.
    async fn owned(&self, connection: &mut Conn, user: &Name) -> Result<Option<BTreeSet<Name>>, Error> {
        let question = connection.query(format!("SHOW GRANTS FOR {}", account(user.as_str())));
        let grants: Vec<String> = match within(ANSWER_TIME, question).await {
            Err(mysql_async::Error::Server(_)) => return Ok(None),
            answer => answer.map_err(|error| self.explain(&format!("cannot list the rights of {user}"), &error))?,
        };
        Ok(grants.iter().filter(|grant| !grant.starts_with("GRANT USAGE ON *.*")).map(|grant| granted(grant)).collect())
    }

    /// Whether a user can log in with a password.
    async fn log_in(&self, user: &str, password: &str) -> Result<bool, Error> {
        match self.open(user, password).await {
            Ok(connection) => {
                close(connection).await;
                Ok(true)
            }
            Err(mysql_async::Error::Server(error)) if ACCESS_DENIED.contains(&error.code) => Ok(false),
            Err(error) => Err(self.explain(&format!("cannot log in to the database as {user}"), &error)),
        }
    }

    async fn connect(&self) -> Result<Conn, Error> {
        let answer = self.open(&self.user, &self.password).await;
        answer.map_err(|error| self.explain(&self.unreachable(), &error))
    }

    /// The same for changes: tried again for a while, since a server that restarts is soon back.
    async fn connect_patiently(&self) -> Result<Conn, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.open(&self.user, &self.password).await {
                Ok(connection) => return Ok(connection),
                Err(mysql_async::Error::Io(_)) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(self.explain(&self.unreachable(), &error)),
            }
        }
    }

    fn unreachable(&self) -> String {
        let members: Vec<String> = self.members.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        format!("cannot reach the database at {}", members.join(" or "))
    }

    /// A connection to the first member that works.
    async fn open(&self, user: &str, password: &str) -> Result<Conn, mysql_async::Error> {
        if let [(host, port)] = self.members.as_slice() {
            return within(CONNECT_TIME, Conn::new(options(host, *port, user, password))).await;
        }
        let mut last = mysql_async::Error::Io(std::io::Error::from(std::io::ErrorKind::NotConnected).into());
        for (host, port) in &self.members {
            match within(MEMBER_CONNECT_TIME, ready(options(host, *port, user, password))).await {
                Ok(connection) => return Ok(connection),
                Err(mysql_async::Error::Server(error)) if error.code != NOT_READY => {
                    return Err(mysql_async::Error::Server(error));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Executes a statement, until the server does it. Members of a cluster find out only at the end that another
    /// has written at the same time, and call that a deadlock.
    async fn run(&self, connection: &mut Conn, action: &str, statement: &str) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match within(ANSWER_TIME, connection.query_drop(statement)).await {
                Ok(()) => return Ok(()),
                Err(mysql_async::Error::Server(error))
                    if NOTHING_DONE.contains(&error.code) && Instant::now() < deadline =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(self.explain(action, &error)),
            }
        }
    }

    /// The server quotes parts of statements, so its words are masked.
    fn explain(&self, action: &str, error: &mysql_async::Error) -> Error {
        let explained = Error::new(ErrorKind::Operation, action);
        let explained = match error {
            mysql_async::Error::Server(server) => {
                let explained = explained.because_text(server.message.clone());
                if ACCESS_DENIED.contains(&server.code) {
                    explained.hint(
                        "the stored secrets are not those that the database was made with: restore the state directory",
                    )
                } else {
                    explained
                }
            }
            error => explained.because(error).hint("look at the database's log: octo logs; then repeat the command"),
        };
        self.mask.error(explained)
    }
}

/// The server notices a lost connection too; a proper farewell only keeps its log clean.
async fn close(connection: Conn) {
    within(CONNECT_TIME, connection.disconnect()).await.ok();
}

fn options(host: &str, port: u16, user: &str, password: &str) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(port)
        .user(Some(user))
        .pass(Some(password))
        // A further connection through a socket would end on the host's own server, if it has one.
        .prefer_socket(false)
        .into()
}

/// A connection to a member that takes part in its cluster.
async fn ready(options: Opts) -> Result<Conn, mysql_async::Error> {
    let mut connection = Conn::new(options).await?;
    connection.query_drop("SELECT 1 FROM DUAL").await?;
    Ok(connection)
}

/// An answer within a time; none is an error like that of a connection which broke.
async fn within<T>(
    limit: Duration,
    question: impl Future<Output = Result<T, mysql_async::Error>>,
) -> Result<T, mysql_async::Error> {
    match tokio::time::timeout(limit, question).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn account(user: &str) -> String {
    format!("{}@'%'", literal(user))
}

/// A database's name where the server expects a pattern: `_` would stand for any character.
fn pattern(name: &str) -> String {
    name.replace('_', "\\_")
}

/// The database that a line of `SHOW GRANTS` gives all rights on.
fn granted(grant: &str) -> Option<Name> {
    let rest = grant.strip_prefix("GRANT ALL PRIVILEGES ON `")?;
    let (name, rest) = rest.split_once("`.* TO ")?;
    if rest.contains("WITH GRANT OPTION") {
        return None;
    }
    name.replace("\\_", "_").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_whatever_it_is_given() {
        assert_eq!(quoted("a`b"), "`a``b`");
        assert_eq!(literal(r"a'b\"), r"'a''b\\'");
        assert_eq!(pattern("nova_cell0"), r"nova\_cell0");
    }

    #[test]
    fn reads_grants() {
        let name = |text: &str| text.parse::<Name>().ok();
        assert_eq!(granted(r"GRANT ALL PRIVILEGES ON `nova\_cell0`.* TO `nova`@`%`"), name("nova_cell0"));
        for grant in [
            "GRANT SELECT ON `nova`.* TO `nova`@`%`",
            "GRANT ALL PRIVILEGES ON `nova`.* TO `nova`@`%` WITH GRANT OPTION",
            "GRANT ALL PRIVILEGES ON *.* TO `nova`@`%`",
        ] {
            assert_eq!(granted(grant), None, "{grant}");
        }
    }
}
