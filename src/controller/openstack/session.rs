//! A session: a token with its catalog, renewed when it is refused, and requests to the services
//! that the catalog names.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::catalog::{Endpoint, Token};
use crate::controller::keystone::login::{Login, Scope};
use crate::controller::mask::Mask;
use crate::controller::rest::{self, Answer};
use crate::error::{Error, ErrorKind};

/// How long a single answer may take. To list servers is slow while many are made.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// How long the transfer of an image may take.
const TRANSFER_TIME: Duration = Duration::from_secs(15 * 60);
/// How long a request is tried again while nobody can take it.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(250);
const TOKEN: &str = "X-Auth-Token";

/// Who logs in, where and for what.
#[derive(Clone)]
pub struct Account {
    /// The URL of the identity service, with version.
    pub url: String,
    /// The region whose services are used.
    pub region: String,
    /// The user.
    pub user: String,
    /// The user's password.
    pub password: SecretString,
    /// The project.
    pub scope: Scope,
}

/// A session. Cheap to clone; clones share the token.
#[derive(Clone)]
pub struct Session {
    account: Arc<Account>,
    http: reqwest::Client,
    mask: Mask,
    ticket: Arc<Mutex<Ticket>>,
    token: Arc<Token>,
}

/// The token in use; the number grows with each renewal.
struct Ticket {
    number: u32,
    secret: String,
}

/// A service's API at a version.
#[derive(Clone, Copy, Debug)]
pub struct Versioned {
    /// The type of the service.
    pub service: &'static str,
    /// The version in the path, where the catalog does not have it.
    pub path: &'static str,
    /// The header that asks for a microversion.
    pub microversion: Option<(&'static str, &'static str)>,
}

/// A request to a service.
#[derive(Clone, Debug)]
pub struct Call {
    api: Versioned,
    method: Method,
    path: String,
    body: Option<Value>,
}

impl Call {
    /// A request without a body.
    pub fn new(api: Versioned, method: Method, path: impl Into<String>) -> Self {
        Self { api, method, path: path.into(), body: None }
    }

    /// A question.
    pub fn get(api: Versioned, path: impl Into<String>) -> Self {
        Self::new(api, Method::GET, path)
    }

    /// A removal.
    pub fn delete(api: Versioned, path: impl Into<String>) -> Self {
        Self::new(api, Method::DELETE, path)
    }

    /// Something new, or an action.
    pub fn post(api: Versioned, path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(api, Method::POST, path) }
    }

    /// A change.
    pub fn put(api: Versioned, path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(api, Method::PUT, path) }
    }
}

/// What became of a wish to remove something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is removed, or will be soon.
    Removed,
    /// It was not there.
    Absent,
    /// Something needs it: in the service's own words.
    InUse(String),
}

impl Session {
    /// Logs in.
    pub async fn open(account: Account, mask: Mask) -> Result<Self, Error> {
        // As for all that is on this machine: no proxy, and a new connection for each request.
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| Error::new(ErrorKind::Internal, "cannot make an HTTP client").because(&error))?;
        Self::log_in(account, mask, http).await
    }

    /// A session of the same user for another project.
    pub async fn for_project(&self, project: &str) -> Result<Self, Error> {
        let account = Account { scope: Scope::ProjectId(project.to_owned()), ..(*self.account).clone() };
        Self::log_in(account, self.mask.clone(), self.http.clone()).await
    }

    async fn log_in(account: Account, mask: Mask, http: reqwest::Client) -> Result<Self, Error> {
        let deadline = Instant::now() + PATIENCE;
        let (secret, token) = issue(&account, &http, &mask, deadline).await?;
        let ticket = Arc::new(Mutex::new(Ticket { number: 0, secret }));
        Ok(Self { account: Arc::new(account), http, mask, ticket, token: Arc::new(token) })
    }

    /// The id of the project that it is for.
    pub fn project(&self) -> &str {
        &self.token.project
    }

    /// The id of the user.
    pub fn user(&self) -> &str {
        &self.token.user
    }

    /// Whether the cloud has a service of a type.
    pub fn has(&self, service: &str) -> bool {
        self.token.services.contains_key(service)
    }

    /// Sends a request; the answer with any status.
    pub async fn send(&self, action: &str, call: &Call) -> Result<Answer, Error> {
        let endpoint = self.endpoint(action, call.api)?;
        let url = format!("{}/{}", endpoint.with_version(call.api.path), call.path);
        let deadline = Instant::now() + PATIENCE;
        let mut renewed = false;
        loop {
            let (number, secret) = self.current().await;
            let mut request = self.http.request(call.method.clone(), &url).header(TOKEN, &secret);
            if let Some((header, version)) = call.api.microversion {
                request = request.header(header, version);
            }
            if let Some(body) = &call.body {
                request = request.json(body);
            }
            let answer = rest::send(request, ANSWER_TIME).await;
            if let Ok(answer) = &answer
                && answer.status == StatusCode::UNAUTHORIZED
                && !renewed
            {
                renewed = true;
                self.renew(number, deadline).await?;
                continue;
            }
            if !rest::may_repeat(&call.method, &answer, true) || Instant::now() >= deadline {
                return answer.map_err(|cause| self.explain(action, endpoint, cause));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends a request that has to succeed.
    pub async fn done(&self, action: &str, call: &Call) -> Result<Value, Error> {
        let answer = self.send(action, call).await?;
        if answer.status.is_success() { Ok(answer.body) } else { Err(self.refused(action, call.api, &answer)) }
    }

    /// Sends a request that has to succeed; its answer as a type.
    pub async fn ask<T: DeserializeOwned>(&self, action: &str, call: &Call) -> Result<T, Error> {
        let body = self.done(action, call).await?;
        self.read(action, call.api, body)
    }

    /// The same for what may not exist.
    pub async fn find<T: DeserializeOwned>(&self, action: &str, call: &Call) -> Result<Option<T>, Error> {
        let answer = self.send(action, call).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => self.read(action, call.api, answer.body).map(Some),
            _ => Err(self.refused(action, call.api, &answer)),
        }
    }

    /// Sends a removal.
    pub async fn remove(&self, action: &str, call: &Call) -> Result<Removal, Error> {
        let answer = self.send(action, call).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(Removal::Absent),
            StatusCode::CONFLICT => Ok(Removal::InUse(self.mask.hide(&rest::fault(&answer.body)))),
            status if status.is_success() => Ok(Removal::Removed),
            _ => Err(self.refused(action, call.api, &answer)),
        }
    }

    /// Uploads a file as the body of a request.
    pub async fn upload(&self, action: &str, api: Versioned, path: &str, file: tokio::fs::File) -> Result<(), Error> {
        let endpoint = self.endpoint(action, api)?;
        let length = file.metadata().await.map(|metadata| metadata.len());
        let length = length.map_err(|error| Error::new(ErrorKind::Environment, action).because(&error))?;
        let (_, secret) = self.current().await;
        // Sent once: the file is read as it is sent, and whoever calls makes the image anew.
        let request = self
            .http
            .put(format!("{}/{path}", endpoint.with_version(api.path)))
            .header(TOKEN, secret)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, length)
            .body(reqwest::Body::from(file));
        let answer = rest::send(request, TRANSFER_TIME).await.map_err(|cause| self.explain(action, endpoint, cause))?;
        if answer.status.is_success() { Ok(()) } else { Err(self.refused(action, api, &answer)) }
    }

    /// Downloads the answer's body in pieces.
    pub async fn download(
        &self,
        action: &str,
        api: Versioned,
        path: &str,
        mut take: impl FnMut(&[u8]) + Send,
    ) -> Result<(), Error> {
        let endpoint = self.endpoint(action, api)?;
        let (_, secret) = self.current().await;
        let failed = |error: &reqwest::Error| self.explain(action, endpoint, rest::chain(error));
        let request = self.http.get(format!("{}/{path}", endpoint.with_version(api.path))).header(TOKEN, secret);
        let mut answer = request.timeout(TRANSFER_TIME).send().await.map_err(|error| failed(&error))?;
        if !answer.status().is_success() {
            let status = answer.status();
            let body = Value::String(answer.text().await.unwrap_or_default());
            return Err(self.refused(action, api, &Answer { status, body }));
        }
        while let Some(piece) = answer.chunk().await.map_err(|error| failed(&error))? {
            take(&piece);
        }
        Ok(())
    }

    /// An error without secrets, about a service, with where to look further.
    pub fn explain(&self, action: &str, endpoint: &Endpoint, cause: impl Into<String>) -> Error {
        let error = Error::new(ErrorKind::Operation, action).because_text(cause);
        self.mask.error(error.hint(format!("octo logs --tail 50 {}", endpoint.name)))
    }

    /// The same about the service of an API.
    pub fn failed(&self, action: &str, service: &str, cause: impl Into<String>) -> Error {
        match self.token.services.get(service) {
            Some(endpoint) => self.explain(action, endpoint, cause),
            None => Error::new(ErrorKind::Operation, action).because_text(cause),
        }
    }

    fn refused(&self, action: &str, api: Versioned, answer: &Answer) -> Error {
        self.failed(action, api.service, format!("{}: {}", answer.status, rest::fault(&answer.body)))
    }

    fn read<T: DeserializeOwned>(&self, action: &str, api: Versioned, body: Value) -> Result<T, Error> {
        serde_json::from_value(body)
            .map_err(|error| self.failed(action, api.service, format!("the answer is not what it should be: {error}")))
    }

    fn endpoint(&self, action: &str, api: Versioned) -> Result<&Endpoint, Error> {
        self.token.services.get(api.service).ok_or_else(|| {
            Error::new(ErrorKind::Environment, action)
                .because_text(format!("the catalog has no service of type {}", api.service))
                .hint("octo up")
        })
    }

    async fn current(&self) -> (u32, String) {
        let ticket = self.ticket.lock().await;
        (ticket.number, ticket.secret.clone())
    }

    /// Gets a new token in the place of one that was refused, unless somebody else has done so.
    async fn renew(&self, refused: u32, deadline: Instant) -> Result<(), Error> {
        let mut ticket = self.ticket.lock().await;
        if ticket.number == refused {
            let (secret, _) = issue(&self.account, &self.http, &self.mask, deadline).await?;
            *ticket = Ticket { number: refused + 1, secret };
        }
        Ok(())
    }
}

/// Asks for a token until a deadline.
async fn issue(
    account: &Account,
    http: &reqwest::Client,
    mask: &Mask,
    deadline: Instant,
) -> Result<(String, Token), Error> {
    let action = format!("cannot log in to the identity service at {}", account.url);
    let failed = |cause: String| {
        let error = Error::new(ErrorKind::Operation, action.clone()).because_text(cause);
        mask.error(error.hint("octo status").hint("octo logs --tail 50"))
    };
    let password = account.password.expose_secret();
    let login = Login { url: &account.url, user: &account.user, password, scope: &account.scope, catalog: true };
    loop {
        match login.send(http, ANSWER_TIME).await {
            Ok(Some(issued)) => {
                let token = Token::parse(issued.body, &account.region)
                    .map_err(|error| failed(format!("the answer is not what it should be: {error}")))?;
                return Ok((issued.token, token));
            }
            Ok(None) => return Err(failed("the administrator's stored password is not accepted".to_owned())),
            Err(cause) if Instant::now() >= deadline => return Err(failed(cause)),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
