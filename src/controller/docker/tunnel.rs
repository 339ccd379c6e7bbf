//! The way to an engine through SSH: the system's client forwards a socket of this machine to the
//! engine's one. It reads the user's own configuration, keys and known hosts.

#![expect(clippy::disallowed_methods, reason = "the SSH client is a program")]

use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::DEFAULT_SOCKET;
use crate::error::{Error, ErrorKind};

/// How long it may take to log in.
const LOGIN_TIME: Duration = Duration::from_secs(15);
/// What the other side says when it is there.
const READY: &str = "octo-is-there";
/// What it runs: it ends with octo, however that ends, since its input does.
const COMMAND: &str = "echo octo-is-there && exec cat >/dev/null";
/// The socket, in a directory that others cannot enter.
const SOCKET: &str = "engine.sock";

/// A forwarded socket. Closed when it is dropped.
#[derive(Debug)]
pub struct Tunnel {
    directory: TempDir,
    _client: Child,
    _input: Option<ChildStdin>,
}

/// What an `ssh://` URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    /// The engine's socket there.
    socket: String,
}

impl Target {
    fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("ssh://")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, authority),
        };
        let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            Some(port) => Some(port.parse().ok()?),
            None => None,
        };
        let sound = |text: &str| !text.is_empty() && !text.starts_with('-') && !text.contains(char::is_whitespace);
        // A password would be seen in the list of processes.
        let users = user.iter().all(|user| sound(user) && !user.contains(':'));
        let socket = if path.len() > 1 { path } else { DEFAULT_SOCKET }.to_owned();
        (sound(host) && users && sound(&socket)).then(|| Self { user, host: host.to_owned(), port, socket })
    }

    fn command(&self, local: &str) -> Command {
        let mut command = Command::new("ssh");
        let options = [
            // Asks nothing: there may be nobody to answer.
            "BatchMode=yes",
            "ConnectTimeout=5",
            "ExitOnForwardFailure=yes",
            "ServerAliveInterval=5",
            "ServerAliveCountMax=3",
            "StreamLocalBindMask=0177",
            // A connection of its own: an other one would be closed by others.
            "ControlMaster=no",
            "ControlPath=none",
            "LogLevel=ERROR",
        ];
        command.arg("-T");
        for option in options {
            command.args(["-o", option]);
        }
        if let Some(user) = &self.user {
            command.args(["-l", user]);
        }
        if let Some(port) = self.port {
            command.args(["-p", &port.to_string()]);
        }
        command.args(["-L", &format!("{local}:{}", self.socket), "--", &self.host, COMMAND]);
        // Out of reach of the terminal: who interrupts octo lets it end what it is at.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

impl Tunnel {
    /// Logs in at an `ssh://` URL.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let target = Target::parse(url).ok_or_else(|| {
            Error::new(ErrorKind::Config, format!("`{url}` is no endpoint of a Docker Engine"))
                .hint("write ssh://host, ssh://user@host or ssh://user@host:port; keys and not passwords log in")
        })?;
        let failed = || Error::new(ErrorKind::Environment, format!("cannot reach the Docker Engine at {url}"));
        let directory = tempfile::tempdir().map_err(|error| failed().because(&error))?;
        let local = directory.path().join(SOCKET).to_string_lossy().into_owned();
        let mut client = target.command(&local).spawn().map_err(|error| {
            failed().because_text("the program ssh cannot be started").because(&error).hint("install an SSH client")
        })?;
        let input = client.stdin.take();
        let (output, mut errors) = (client.stdout.take(), client.stderr.take());
        let login = async {
            let mut lines = BufReader::new(output?).lines();
            // A login may say other things first.
            while let Ok(Some(line)) = lines.next_line().await {
                if line.trim() == READY {
                    return Some(());
                }
            }
            None
        };
        let by_hand =
            format!("see why: ssh {}{}", target.port.map(|port| format!("-p {port} ")).unwrap_or_default(), {
                let user = target.user.iter().map(|user| format!("{user}@"));
                user.chain([target.host.clone()]).collect::<String>()
            });
        match tokio::time::timeout(LOGIN_TIME, login).await {
            Ok(Some(())) => {
                if let Some(mut errors) = errors {
                    // What it still says is said again by requests that fail; unread, it would end it.
                    tokio::spawn(async move { tokio::io::copy(&mut errors, &mut tokio::io::sink()).await });
                }
                Ok(Self { directory, _client: client, _input: input })
            }
            Ok(None) => {
                let mut said = String::new();
                if let Some(errors) = &mut errors
                    && let Err(error) = errors.read_to_string(&mut said).await
                {
                    return Err(failed().because(&error).hint(by_hand));
                }
                let said: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
                Err(failed().because_text(said.join("; ")).hint(by_hand))
            }
            Err(_) => {
                let cause = format!("no login within {} seconds", LOGIN_TIME.as_secs());
                Err(failed().because_text(cause).hint(by_hand))
            }
        }
    }

    /// The URL of the socket on this machine.
    pub fn url(&self) -> String {
        format!("unix://{}", self.directory.path().join(SOCKET).display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(user: Option<&str>, host: &str, port: Option<u16>, socket: &str) -> Option<Target> {
        Some(Target { user: user.map(str::to_owned), host: host.to_owned(), port, socket: socket.to_owned() })
    }

    #[test]
    fn takes_urls_apart() {
        let usual = "/var/run/docker.sock";
        assert_eq!(Target::parse("ssh://ctl1"), target(None, "ctl1", None, usual));
        assert_eq!(Target::parse("ssh://root@10.0.0.1:2222/"), target(Some("root"), "10.0.0.1", Some(2222), usual));
        assert_eq!(Target::parse("ssh://a@[fd00::1]:22"), target(Some("a"), "fd00::1", Some(22), usual));
        assert_eq!(Target::parse("ssh://[fd00::1]"), target(None, "fd00::1", None, usual));
        assert_eq!(Target::parse("ssh://h/run/x.sock"), target(None, "h", None, "/run/x.sock"));
    }

    #[test]
    fn refuses_what_ssh_could_take_for_an_option_and_passwords() {
        for url in ["ssh://", "ssh://-oProxyCommand=x", "ssh://-x@h", "ssh://u:secret@h", "ssh://h:0x", "ssh://h:99999"]
        {
            assert_eq!(Target::parse(url), None, "{url}");
        }
    }
}
