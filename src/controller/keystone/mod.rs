//! The identity service, by Keystone's API. octo is its administrator: user `admin` of project
//! `admin`, with the secret `<service>.admin_password`.

mod directory;
mod ensure;
pub mod login;

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::mask::Mask;
use super::rest::{self, Answer};
use super::state::State;
use super::state::record::TokenRecord;
use crate::error::{Error, ErrorKind};
use crate::model::identity::ADMINISTRATOR;
use directory::Directory;
use login::{Login, Scope};

/// The domain of everything that octo makes.
const DOMAIN: &str = "default";

/// How long a single answer may take. Keystone is slow while twenty services start beside it.
const ANSWER_TIME: Duration = Duration::from_secs(15);
/// How long changes are tried again while the load balancer has no backend yet: it notices a
/// healthy one only with its next checks.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// The identity service of a cloud.
pub struct Keystone {
    http: reqwest::Client,
    url: String,
    password: String,
    mask: Mask,
    state: State,
    session: Mutex<Option<String>>,
    directory: Mutex<Option<Directory>>,
    regions: Mutex<BTreeSet<String>>,
}

impl Keystone {
    /// The service at a URL with version (`http://10.203.0.2:5000/v3`).
    pub fn new(http: reqwest::Client, url: &str, password: &str, mask: Mask, state: State) -> Self {
        Self {
            http,
            url: url.trim_end_matches('/').to_owned(),
            password: password.to_owned(),
            mask,
            state,
            session: Mutex::default(),
            directory: Mutex::default(),
            regions: Mutex::default(),
        }
    }

    /// Issues a token for the administrator through a URL, as a client of the cloud would.
    pub async fn issue_token(&self, url: &str) -> Result<String, Error> {
        let action = format!("cannot issue a token through {url}");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer =
                self.authenticate(url.trim_end_matches('/'), ADMINISTRATOR, &self.password, administrator()).await;
            match answer {
                Ok(token) => return token.ok_or_else(|| wrong_password(&action)),
                Err(error) if Instant::now() > deadline => return Err(self.explain(&action, error)),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Whether a user can log in with a password.
    async fn log_in(&self, user: &str, password: &str) -> Result<bool, Error> {
        let answer = self.authenticate(&self.url, user, password, Scope::Unscoped).await;
        answer.map(|token| token.is_some()).map_err(|error| self.explain(&format!("cannot log in as {user}"), error))
    }

    /// A token; `None` if the password is wrong. The error is in words.
    async fn authenticate(
        &self,
        url: &str,
        user: &str,
        password: &str,
        scope: Scope,
    ) -> Result<Option<String>, String> {
        // Without the catalog, which nobody here reads, the answer is made faster.
        let login = Login { url, user, password, scope: &scope, catalog: false };
        Ok(login.send(&self.http, ANSWER_TIME).await?.map(|issued| issued.token))
    }

    /// The administrator's token. `refused` is one that the service did not take.
    async fn token(&self, refused: Option<&str>) -> Result<String, Error> {
        let mut session = self.session.lock().await;
        // Checking a password costs Keystone a quarter of a second: the last run's token may do.
        if session.is_none() {
            *session = self.state.token().filter(|record| record.url == self.url).map(|record| record.token);
        }
        if let Some(token) = session.as_deref().filter(|token| Some(*token) != refused) {
            return Ok(token.to_owned());
        }
        let action = format!("cannot log in to the identity service at {}", self.url);
        let answer = self.authenticate(&self.url, ADMINISTRATOR, &self.password, administrator()).await;
        let token = answer.map_err(|error| self.explain(&action, error))?.ok_or_else(|| wrong_password(&action))?;
        // It only saves time: whoever cannot write it goes on without.
        self.state.record_token(&TokenRecord { url: self.url.clone(), token: token.clone() }).ok();
        *session = Some(token.clone());
        Ok(token)
    }

    /// A request as administrator that has to succeed, tried once.
    async fn get(&self, path: &str) -> Result<Value, Error> {
        let action = format!("cannot read {} of the identity service", path.split('?').next().unwrap_or(path));
        let answer = self.call(&action, &Method::GET, path, None, Instant::now()).await?;
        self.succeed(&action, answer).map(|answer| answer.body)
    }

    /// A request as administrator that changes something: tried again while nobody answers.
    async fn change(&self, action: &str, method: Method, path: &str, body: Option<Value>) -> Result<Answer, Error> {
        self.call(action, &method, path, body.as_ref(), Instant::now() + PATIENCE).await
    }

    async fn call(
        &self,
        action: &str,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let mut refused = None;
        loop {
            let mut sent = false;
            let answer = match self.token(refused.as_deref()).await {
                Ok(token) => {
                    sent = true;
                    let answer = self.send(method, path, body, &token).await;
                    // A token of an earlier run may be older than the database: Keystone then misses
                    // its project (404) instead of refusing it. One new token, and no more.
                    if let Ok(answer) = &answer
                        && matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND)
                        && refused.is_none()
                    {
                        refused = Some(token);
                        continue;
                    }
                    answer
                }
                // The last try's error is told as it is.
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(error) => Err(error.to_string()),
            };
            if !rest::may_repeat(method, &answer, sent) || Instant::now() >= deadline {
                return answer.map_err(|error| self.explain(action, error));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn send(&self, method: &Method, path: &str, body: Option<&Value>, token: &str) -> Result<Answer, String> {
        let request = self.http.request(method.clone(), format!("{}/{path}", self.url)).header("X-Auth-Token", token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        rest::send(request, ANSWER_TIME).await
    }

    /// The answer, if it says that all is well.
    fn succeed(&self, action: &str, answer: Answer) -> Result<Answer, Error> {
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(self.explain(action, format!("{}: {}", answer.status, rest::fault(&answer.body))))
    }

    fn explain(&self, action: &str, cause: String) -> Error {
        let error = Error::new(ErrorKind::Operation, action).because_text(cause);
        self.mask.error(error.hint("look at the identity service's log: octo logs; then repeat the command"))
    }
}

fn wrong_password(action: &str) -> Error {
    Error::new(ErrorKind::Operation, action)
        .because_text("the administrator's stored password is not accepted")
        .hint("if it was changed in Keystone, put it back; else restore the state directory")
}

/// The administrator's own project.
fn administrator() -> Scope {
    Scope::ProjectName(ADMINISTRATOR.to_owned())
}
