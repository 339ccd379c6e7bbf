//! Logging in with a password: what the adapter of the identity service and the client of the other
//! APIs share.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::DOMAIN;
use crate::controller::rest::chain;

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For nothing but the proof of the password.
    Unscoped,
    /// The project of this name.
    ProjectName(String),
    /// The project with this id.
    ProjectId(String),
}

/// Who logs in, and where.
pub struct Login<'a> {
    /// The URL of the identity service, with version.
    pub url: &'a str,
    /// The user's name.
    pub user: &'a str,
    /// The user's password.
    pub password: &'a str,
    /// What for.
    pub scope: &'a Scope,
    /// Whether the answer holds the catalog; without it, it is made faster.
    pub catalog: bool,
}

/// A token, and what the service says of it.
pub struct Issued {
    /// The token.
    pub token: String,
    /// The answer's body.
    pub body: Value,
}

impl Login<'_> {
    /// Asks for a token; `None` if the password is wrong. The error is in words.
    pub async fn send(&self, http: &reqwest::Client, time: Duration) -> Result<Option<Issued>, String> {
        let domain = json!({ "id": DOMAIN });
        let mut auth = json!({ "identity": {
            "methods": ["password"],
            "password": { "user": { "name": self.user, "domain": domain, "password": self.password } },
        } });
        match self.scope {
            Scope::Unscoped => {}
            Scope::ProjectName(name) => auth["scope"] = json!({ "project": { "name": name, "domain": domain } }),
            Scope::ProjectId(id) => auth["scope"] = json!({ "project": { "id": id } }),
        }
        let query = if self.catalog { "" } else { "?nocatalog" };
        let request = http.post(format!("{}/auth/tokens{query}", self.url)).json(&json!({ "auth": auth }));
        let answer = request.timeout(time).send().await.map_err(|error| chain(&error))?;
        let status = answer.status();
        if status == StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        let token = answer.headers().get("X-Subject-Token").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let text = answer.text().await.unwrap_or_default();
        match token {
            Some(token) if status.is_success() => {
                let body = serde_json::from_str(&text).map_err(|error| format!("{status}: no JSON: {error}"))?;
                Ok(Some(Issued { token, body }))
            }
            _ => Err(format!("{status}: {}", text.trim())),
        }
    }
}
