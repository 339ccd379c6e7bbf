//! Where an engine is, and how it is reached: by a socket of this machine, by TCP, with TLS or
//! without, or through SSH.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::tunnel::Tunnel;
use crate::error::{Error, ErrorKind};

/// How long a node may take to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// When a node that says nothing is asked whether it is still there, how often, and for how long.
const SILENCE: Duration = Duration::from_secs(5);
const SILENCES: u32 = 3;
/// How long a request may take until its answer begins, in seconds.
const REQUEST_TIME: u64 = 120;

/// Where an engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `unix:///path`, `tcp://host:port` or `ssh://user@host:port`.
    pub url: String,
    /// With what TCP is secured.
    pub tls: Option<TlsFiles>,
}

/// Files in PEM format that secure a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who signs the engine's certificate. Nobody else is trusted.
    pub ca: PathBuf,
    /// octo's own certificate.
    pub certificate: PathBuf,
    /// The key of that.
    pub key: PathBuf,
}

/// A connection, and what must stay for as long as it is used.
pub(super) struct Connection {
    pub docker: Docker,
    pub tunnel: Option<Arc<Tunnel>>,
}

impl From<&str> for Endpoint {
    fn from(url: &str) -> Self {
        Self { url: url.to_owned(), tls: None }
    }
}

impl From<&String> for Endpoint {
    fn from(url: &String) -> Self {
        Self::from(url.as_str())
    }
}

impl From<String> for Endpoint {
    fn from(url: String) -> Self {
        Self { url, tls: None }
    }
}

impl Endpoint {
    /// What a URL means in these surroundings: as for Docker's own client, `DOCKER_TLS_VERIFY` secures
    /// TCP with the files in `DOCKER_CERT_PATH`.
    #[expect(clippy::disallowed_methods, reason = "an engine's surroundings are read where it is reached")]
    pub fn in_surroundings(url: String) -> Self {
        let verify = std::env::var_os("DOCKER_TLS_VERIFY").is_some_and(|value| !value.is_empty());
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".docker"));
        let directory = std::env::var_os("DOCKER_CERT_PATH").map(PathBuf::from).or_else(home).unwrap_or_default();
        let [ca, certificate, key] = ["ca.pem", "cert.pem", "key.pem"].map(|name| directory.join(name));
        let tls = (verify && url.starts_with("tcp://")).then_some(TlsFiles { ca, certificate, key });
        Self { url, tls }
    }

    /// Prepares a connection. Only a tunnel is opened at once.
    pub(super) async fn connect(&self) -> Result<Connection, Error> {
        let (scheme, rest) = self.url.split_once("://").unwrap_or_default();
        let (docker, tunnel) = match scheme {
            "unix" => (Docker::connect_with_unix(&self.url, REQUEST_TIME, API_DEFAULT_VERSION), None),
            "tcp" | "http" => (self.over_tcp(rest)?, None),
            "ssh" => {
                let tunnel = Tunnel::open(&self.url).await?;
                let docker = Docker::connect_with_unix(&tunnel.url(), REQUEST_TIME, API_DEFAULT_VERSION);
                (docker, Some(Arc::new(tunnel)))
            }
            _ => {
                let message = format!("`{}` is no endpoint of a Docker Engine", self.url);
                return Err(Error::new(ErrorKind::Config, message)
                    .hint("write unix:///path/of/the/socket, tcp://host:port or ssh://user@host"));
            }
        };
        let docker = docker.map_err(|error| self.unreachable().because(&error))?;
        Ok(Connection { docker, tunnel })
    }

    fn over_tcp(&self, address: &str) -> Result<Result<Docker, bollard::errors::Error>, Error> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIME));
        // A node that is switched off says no goodbye: whoever waits for it must be told.
        connector.set_keepalive(Some(SILENCE));
        connector.set_keepalive_interval(Some(SILENCE));
        connector.set_keepalive_retries(Some(SILENCES));
        connector.set_tcp_user_timeout(Some(SILENCE * (SILENCES + 1)));
        let mut client = Client::builder(TokioExecutor::new());
        // A kept connection may be closed just as it is used.
        client.pool_max_idle_per_host(0);
        let client = client.build(HttpsConnector::from((connector, self.tls_configuration()?)));
        let transport = move |request: BollardRequest| {
            let client = client.clone();
            async move { client.request(request).await.map_err(bollard::errors::Error::from) }
        };
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = Some(format!("{scheme}://{}", address.trim_end_matches('/')));
        Ok(Docker::connect_with_custom_transport(transport, url, REQUEST_TIME, API_DEFAULT_VERSION))
    }

    /// Trusts one authority alone: not those that the machine trusts for the web.
    fn tls_configuration(&self) -> Result<ClientConfig, Error> {
        let mut roots = RootCertStore::empty();
        let versions = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions();
        let builder = versions.map_err(|error| self.failed().because(&error))?;
        let Some(files) = &self.tls else {
            return Ok(builder.with_root_certificates(roots).with_no_client_auth());
        };
        for certificate in self.certificates(&files.ca)? {
            roots.add(certificate).map_err(|error| self.bad(&files.ca).because(&error))?;
        }
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| self.bad(&files.key).because(&error))?;
        builder
            .with_root_certificates(roots)
            .with_client_auth_cert(self.certificates(&files.certificate)?, key)
            .map_err(|error| self.bad(&files.certificate).because(&error))
    }

    fn certificates(&self, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let found = read.map_err(|error| self.bad(path).because(&error))?;
        if found.is_empty() { Err(self.bad(path).because_text("it holds no certificate")) } else { Ok(found) }
    }

    fn bad(&self, path: &Path) -> Error {
        Error::new(ErrorKind::Config, format!("cannot use {} for the Docker Engine at {}", path.display(), self.url))
            .hint("set files in PEM format in the node's `tls: {ca, certificate, key}` in configuration.yaml")
    }

    fn failed(&self) -> Error {
        Error::new(ErrorKind::Environment, format!("cannot reach the Docker Engine at {}", self.url))
    }

    /// The error for an engine that nobody reaches, with the way to repair it.
    pub(super) fn unreachable(&self) -> Error {
        let error = self.failed();
        match self.url.split_once("://") {
            Some(("unix", _)) => error
                .hint("start it: systemctl start docker (or: service docker start)")
                .hint("install it: scripts/lab does that"),
            Some(("ssh", _)) => error.hint("start it there: systemctl start docker (or: service docker start)"),
            _ => error.hint(
                "check that the node is on, that its engine listens there (dockerd --host tcp://…), and DOCKER_HOST",
            ),
        }
    }

    /// The same with a cause, which may tell another repair.
    pub(super) fn unreachable_because(&self, cause: &bollard::errors::Error) -> Error {
        let words = self.failed().because(cause).causes.join(" ").to_lowercase();
        if words.contains("permission denied") {
            return self.failed().because(cause).hint("run octo as root, or as a member of the group `docker`");
        }
        if let Some(files) = &self.tls
            && ["certificate", "handshake", "alert", "tls"].iter().any(|word| words.contains(word))
        {
            return self
                .failed()
                .because(cause)
                .hint(format!(
                    "the engine's certificate must name this host and be signed by {}, and octo's ({}) by the one \
                     that the engine was given",
                    files.ca.display(),
                    files.certificate.display()
                ))
                .hint(format!("see what it shows: openssl s_client -connect {}", self.url.replace("tcp://", "")));
        }
        self.unreachable().because(cause)
    }
}
