//! The message bus: users and permissions, by RabbitMQ's management API. octo is the user `octo`
//! there, whose password is the secret `<service>.admin`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};

use super::mask::Mask;
use crate::error::{Error, ErrorKind};
use crate::model::name::Name;
use crate::model::observed::ObservedMessageBus;

/// The user that octo is on the bus.
pub const USER: &str = "octo";

const VHOST: &str = "/";
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// How long changes are tried again, and the pause between two tries.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(200);
/// Bytes of salt in front of a password's hash, as RabbitMQ has it.
const SALT: usize = 4;
const SHA512: &str = "rabbit_password_hashing_sha512";
const SHA256: &str = "rabbit_password_hashing_sha256";

/// The management API of a cloud's message bus.
#[derive(Clone)]
pub struct MessageBus {
    http: reqwest::Client,
    urls: Vec<String>,
    password: String,
    mask: Mask,
}

#[derive(Deserialize)]
struct User {
    name: String,
    #[serde(default)]
    password_hash: String,
    #[serde(default)]
    hashing_algorithm: String,
}

#[derive(Deserialize)]
struct Permission {
    user: String,
    vhost: String,
    configure: String,
    write: String,
    read: String,
}

impl MessageBus {
    /// The API at some URLs (`http://10.203.0.20:15672`), one for each member of the cluster: the
    /// first that accepts a connection is asked.
    pub fn new(http: reqwest::Client, urls: &[String], password: &str, mask: Mask) -> Self {
        let urls = urls.iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
        Self { http, urls, password: password.to_owned(), mask }
    }

    /// Which of these users have these passwords and all permissions. The server tells the salted
    /// hashes, so nobody has to log in for it.
    pub async fn observe(&self, passwords: &BTreeMap<Name, String>) -> Result<ObservedMessageBus, Error> {
        let action = "cannot list the users of the message bus";
        let (users, permissions) = futures_util::future::try_join(
            self.call(action, Method::GET, "users", None),
            self.call(action, Method::GET, "permissions", None),
        )
        .await?;
        let users: Vec<User> = self.parse(action, users)?;
        let permissions: Vec<Permission> = self.parse(action, permissions)?;
        let permitted: BTreeSet<String> = permissions
            .into_iter()
            .filter(|permission| {
                permission.vhost == VHOST
                    && [&permission.configure, &permission.write, &permission.read].iter().all(|what| *what == ".*")
            })
            .map(|permission| permission.user)
            .collect();
        let proven = users.into_iter().filter_map(|user| {
            let name: Name = user.name.parse().ok()?;
            let right = permitted.contains(&user.name) && matches_hash(&user, passwords.get(&name)?);
            right.then_some(name)
        });
        Ok(ObservedMessageBus { users: proven.collect() })
    }

    /// Makes a user with all permissions, or corrects one. The password itself never travels.
    pub async fn ensure_user(&self, user: &Name, password: &str) -> Result<(), Error> {
        let action = format!("cannot set up message-bus user {user}");
        let salt: [u8; SALT] = rand::random();
        let account = json!({ "password_hash": hash(&salt, password), "hashing_algorithm": SHA512, "tags": "" });
        let path = format!("users/{user}");
        let deadline = Instant::now() + PATIENCE;
        // The broker accepts clients some moments before its management API does.
        while let Err(error) = self.call(&action, Method::PUT, &path, Some(account.clone())).await {
            if Instant::now() >= deadline {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
        let permissions = json!({ "configure": ".*", "write": ".*", "read": ".*" });
        self.call(&action, Method::PUT, &format!("permissions/%2F/{user}"), Some(permissions)).await?;
        Ok(())
    }

    async fn call(&self, action: &str, method: Method, path: &str, body: Option<Value>) -> Result<Vec<u8>, Error> {
        let failed = |error: reqwest::Error| {
            let error = Error::new(ErrorKind::Operation, action).because(&error);
            self.mask.error(error.hint("look at the message bus's log: octo logs; then repeat the command"))
        };
        let answer = self.first_answer(method, path, body.as_ref()).await.map_err(failed)?;
        let status = answer.status();
        let content = answer.bytes().await.map_err(failed)?;
        if status.is_success() {
            return Ok(content.to_vec());
        }
        let text = String::from_utf8_lossy(&content);
        let error = Error::new(ErrorKind::Operation, action).because_text(format!("{status}: {}", text.trim()));
        let error = if status == reqwest::StatusCode::UNAUTHORIZED {
            error.hint("the stored secrets are not those that the bus was made with: restore the state directory")
        } else {
            error
        };
        Err(self.mask.error(error))
    }

    /// The answer of the first member that accepts a connection, or why the last one did not.
    async fn first_answer(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let mut members = self.urls.iter().peekable();
        loop {
            let url = format!("{}/api/{path}", members.next().map(String::as_str).unwrap_or_default());
            let request = self.http.request(method.clone(), url).basic_auth(USER, Some(&self.password));
            let request = request.timeout(ANSWER_TIME);
            let request = match body {
                Some(body) => request.json(body),
                None => request,
            };
            match request.send().await {
                Err(error) if error.is_connect() && members.peek().is_some() => {}
                answer => return answer,
            }
        }
    }

    fn parse<T: serde::de::DeserializeOwned>(&self, action: &str, content: Vec<u8>) -> Result<T, Error> {
        serde_json::from_slice(&content)
            .map_err(|error| self.mask.error(Error::new(ErrorKind::Operation, action).because(&error)))
    }
}

/// RabbitMQ's hash of a password: salt, and SHA-512 of salt and password, in Base64.
fn hash(salt: &[u8], password: &str) -> String {
    let digest = Sha512::new().chain_update(salt).chain_update(password).finalize();
    STANDARD.encode([salt, digest.as_slice()].concat())
}

fn matches_hash(user: &User, password: &str) -> bool {
    let Ok(stored) = STANDARD.decode(&user.password_hash) else { return false };
    let Some((salt, digest)) = stored.split_at_checked(SALT) else { return false };
    match user.hashing_algorithm.as_str() {
        SHA512 => Sha512::new().chain_update(salt).chain_update(password).finalize().as_slice() == digest,
        SHA256 => Sha256::new().chain_update(salt).chain_update(password).finalize().as_slice() == digest,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_password_by_its_hash() {
        let user = |hash: String| User { name: "glance".into(), password_hash: hash, hashing_algorithm: SHA512.into() };
        assert!(matches_hash(&user(hash(&[1, 2, 3, 4], "secret")), "secret"));
        assert!(!matches_hash(&user(hash(&[1, 2, 3, 4], "secret")), "other"));
        assert!(!matches_hash(&user(String::new()), "") && !matches_hash(&user("?".into()), "x"));
    }
}
