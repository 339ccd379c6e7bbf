//! Servers, flavors, key pairs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::session::Removal;
use super::wait::{Look, until};
use super::{Call, Session, Versioned, service};
use crate::error::Error;

/// 2.55: flavors have a description. 2.92: key pairs are imported, never made by the service.
const API: Versioned = Versioned {
    service: service::COMPUTE,
    path: "v2.1",
    microversion: Some(("OpenStack-API-Version", "compute 2.92")),
};

/// Where a server's way from one service to the next is told.
const LOGS: &str = "octo logs --since 10m --grep 'WARNING|ERROR' nova neutron";

/// A flavor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Flavor {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// Mebibytes of memory.
    pub ram: u32,
    /// Processors.
    pub vcpus: u32,
    /// Gibibytes of the root disk.
    pub disk: u32,
    /// Who has made it, and why.
    #[serde(default)]
    pub description: Option<String>,
}

/// A flavor to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewFlavor<'a> {
    /// The name.
    pub name: &'a str,
    /// Mebibytes of memory.
    pub ram: u32,
    /// Processors.
    pub vcpus: u32,
    /// Gibibytes of the root disk.
    pub disk: u32,
    /// Who makes it.
    pub description: &'a str,
    /// Whether every project may use it.
    pub public: bool,
}

/// A server.
#[derive(Clone, Debug, Deserialize)]
pub struct Server {
    /// The id.
    pub id: String,
    /// The name.
    #[serde(default)]
    pub name: String,
    /// The project that it belongs to.
    #[serde(rename = "tenant_id", default)]
    pub project: String,
    /// `BUILD`, `ACTIVE`, `ERROR`…
    #[serde(default)]
    pub status: String,
    /// What was wrong.
    #[serde(default)]
    pub fault: Option<Fault>,
    #[serde(rename = "OS-EXT-STS:task_state", default)]
    task: Option<String>,
}

impl Server {
    /// The status with what is being done to it: `BUILD (scheduling)`.
    pub fn state(&self) -> String {
        format!("{} ({})", self.status, self.task.as_deref().unwrap_or("no task"))
    }
}

/// Why a server is in error.
#[derive(Clone, Debug, Deserialize)]
pub struct Fault {
    /// In words.
    #[serde(default)]
    pub message: String,
}

/// A server to be made.
pub struct NewServer<'a> {
    /// The name, which is also its host name.
    pub name: &'a str,
    /// The image's id.
    pub image: &'a str,
    /// The flavor's id.
    pub flavor: &'a str,
    /// The network's id.
    pub network: &'a str,
    /// The name of the only security group.
    pub security_group: &'a str,
    /// What it runs when it has started.
    pub user_data: Option<&'a str>,
}

#[derive(Deserialize)]
struct Flavors {
    flavors: Vec<Flavor>,
}

#[derive(Deserialize)]
struct MadeFlavor {
    flavor: Flavor,
}

#[derive(Deserialize)]
struct Servers {
    servers: Vec<Server>,
}

#[derive(Deserialize)]
struct OneServer {
    server: Server,
}

#[derive(Deserialize)]
struct Console {
    output: String,
}

#[derive(Deserialize)]
struct KeyPairs {
    keypairs: Vec<KeyPairEntry>,
}

#[derive(Deserialize)]
struct KeyPairEntry {
    keypair: KeyPair,
}

/// A key pair's public half.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KeyPair {
    /// The name.
    pub name: String,
    /// As `authorized_keys` has it.
    pub public_key: String,
}

/// All flavors, also those that are not public.
pub async fn flavors(session: &Session) -> Result<Vec<Flavor>, Error> {
    let answer: Flavors = session.ask("cannot list flavors", &Call::get(API, "flavors/detail?is_public=None")).await?;
    Ok(answer.flavors)
}

/// Makes a flavor.
pub async fn create_flavor(session: &Session, flavor: &NewFlavor<'_>) -> Result<Flavor, Error> {
    let body = json!({ "flavor": {
        "name": flavor.name,
        "ram": flavor.ram,
        "vcpus": flavor.vcpus,
        "disk": flavor.disk,
        "description": flavor.description,
        "os-flavor-access:is_public": flavor.public,
    } });
    let action = format!("cannot make flavor {}", flavor.name);
    let made: MadeFlavor = session.ask(&action, &Call::post(API, "flavors", body)).await?;
    Ok(made.flavor)
}

/// Lets a project use a flavor that is not public.
pub async fn share_flavor(session: &Session, flavor: &Flavor, project: &str) -> Result<(), Error> {
    let body = json!({ "addTenantAccess": { "tenant": project } });
    let action = format!("cannot share flavor {}", flavor.name);
    session.done(&action, &Call::post(API, format!("flavors/{}/action", flavor.id), body)).await.map(drop)
}

/// Removes a flavor. Servers keep what they have of it.
pub async fn remove_flavor(session: &Session, flavor: &Flavor) -> Result<Removal, Error> {
    let action = format!("cannot remove flavor {}", flavor.name);
    session.remove(&action, &Call::delete(API, format!("flavors/{}", flavor.id))).await
}

/// The user's key pairs.
pub async fn key_pairs(session: &Session) -> Result<Vec<KeyPair>, Error> {
    let answer: KeyPairs = session.ask("cannot list key pairs", &Call::get(API, "os-keypairs")).await?;
    Ok(answer.keypairs.into_iter().map(|entry| entry.keypair).collect())
}

/// Imports a public key.
pub async fn import_key(session: &Session, name: &str, public_key: &str) -> Result<(), Error> {
    let body = json!({ "keypair": { "name": name, "type": "ssh", "public_key": public_key } });
    session.done(&format!("cannot import key pair {name}"), &Call::post(API, "os-keypairs", body)).await.map(drop)
}

/// Removes a key pair.
pub async fn remove_key(session: &Session, name: &str) -> Result<Removal, Error> {
    session.remove(&format!("cannot remove key pair {name}"), &Call::delete(API, format!("os-keypairs/{name}"))).await
}

/// Has a server made; it is not there yet.
pub async fn create_server(session: &Session, server: &NewServer<'_>) -> Result<String, Error> {
    let mut body = json!({
        "name": server.name,
        "imageRef": server.image,
        "flavorRef": server.flavor,
        "networks": [{ "uuid": server.network }],
        "security_groups": [{ "name": server.security_group }],
    });
    if let Some(script) = server.user_data {
        body["user_data"] = json!(STANDARD.encode(script));
    }
    let action = format!("cannot make server {}", server.name);
    let made: OneServer = session.ask(&action, &Call::post(API, "servers", json!({ "server": body }))).await?;
    Ok(made.server.id)
}

/// Looks at a server; `None` if there is none.
pub async fn show_server(session: &Session, id: &str) -> Result<Option<Server>, Error> {
    let call = Call::get(API, format!("servers/{id}"));
    let found: Option<OneServer> = session.find(&format!("cannot look at server {id}"), &call).await?;
    Ok(found.map(|found| found.server))
}

/// Waits until a server is active. A server in error is told with its fault.
pub async fn await_active(session: &Session, id: &str, patience: Duration) -> Result<Server, Error> {
    let action = format!("server {id} does not become active");
    until(&action, patience, async || {
        let server = show_sound(session, &action, id).await?;
        Ok(if server.status == "ACTIVE" { Look::Found(server) } else { Look::NotYet(server.state()) })
    })
    .await
    .map_err(with_logs)
}

/// Looks at a server that something is expected of. Fails if it is in error, with its fault, or is not there any more.
pub async fn show_sound(session: &Session, action: &str, id: &str) -> Result<Server, Error> {
    match show_server(session, id).await? {
        None => Err(session.failed(action, service::COMPUTE, "it has vanished")),
        Some(server) if server.status == "ERROR" => {
            let fault = server.fault.map(|fault| fault.message).unwrap_or_default();
            Err(session.failed(action, service::COMPUTE, format!("it is in error: {fault}")))
        }
        Some(server) => Ok(server),
    }
}

/// The error about a server that is not what it should be, with where to look unless it is known.
pub fn with_logs(error: Error) -> Error {
    if error.hints.is_empty() { error.hint(LOGS) } else { error }
}

/// Waits until none of some servers is there.
pub async fn await_gone(session: &Session, ids: &[String], patience: Duration) -> Result<(), Error> {
    until("servers are not removed", patience, async || {
        for id in ids {
            if let Some(server) = show_server(session, id).await? {
                return Ok(Look::NotYet(format!("server {} is {}", server.name, server.state())));
            }
        }
        Ok(Look::Found(()))
    })
    .await
}

/// The servers of a project, for an administrator.
pub async fn servers_of(session: &Session, project: &str) -> Result<Vec<Server>, Error> {
    let call = Call::get(API, format!("servers/detail?all_tenants=1&project_id={project}"));
    let answer: Servers = session.ask("cannot list servers", &call).await?;
    Ok(answer.servers)
}

/// The servers of all projects with a name that contains a text, for an administrator.
pub async fn servers_named(session: &Session, text: &str) -> Result<Vec<Server>, Error> {
    let call = Call::get(API, format!("servers/detail?all_tenants=1&name={text}"));
    let answer: Servers = session.ask("cannot list servers", &call).await?;
    Ok(answer.servers)
}

/// Has a server removed; it is gone a little later.
pub async fn remove_server(session: &Session, id: &str) -> Result<Removal, Error> {
    session.remove(&format!("cannot remove server {id}"), &Call::delete(API, format!("servers/{id}"))).await
}

/// The last lines of a server's console.
pub async fn console(session: &Session, id: &str) -> Result<String, Error> {
    let body: Value = json!({ "os-getConsoleOutput": { "length": 500 } });
    let action = format!("cannot read the console of server {id}");
    let answer: Console = session.ask(&action, &Call::post(API, format!("servers/{id}/action"), body)).await?;
    Ok(answer.output)
}
