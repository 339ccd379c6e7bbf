//! Engines that are not on a socket of this machine: by TCP, with TLS, through SSH.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use octo::controller::docker::Engine;
use octo::controller::docker::endpoint::{Endpoint, TlsFiles};
use octo::error::ErrorKind;

use super::scene::{REPOSITORY, make_image};
use crate::hosts::simulated::Hosts;

/// A process that ends with the test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn run(program: &str, arguments: &[&str], directory: &Path) {
    let output = Command::new(program).args(arguments).current_dir(directory).output().expect(program);
    assert!(output.status.success(), "{program} {}: {output:?}", arguments.join(" "));
}

/// Makes `<name>.pem` and `<name>.key`, signed by `<ca>.pem`, or by itself.
fn certificate(directory: &Path, name: &str, ca: Option<&str>, subject: &str) {
    let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
    let mut arguments: Vec<String> = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        .into_iter()
        .chain(["-nodes", "-days", "2", "-subj", &format!("/CN={name}"), "-keyout", &key, "-out", &pem])
        .map(str::to_owned)
        .collect();
    let constraints =
        if ca.is_some() { "basicConstraints=critical,CA:FALSE" } else { "basicConstraints=critical,CA:TRUE" };
    arguments.extend(["-addext", constraints].map(str::to_owned));
    if !subject.is_empty() {
        arguments.extend(["-addext".to_owned(), format!("subjectAltName={subject}")]);
    }
    if let Some(ca) = ca {
        arguments.extend(["-CA".to_owned(), format!("{ca}.pem"), "-CAkey".to_owned(), format!("{ca}.key")]);
    }
    run("openssl", &arguments.iter().map(String::as_str).collect::<Vec<_>>(), directory);
}

fn tls(directory: &Path, ca: &str, own: &str) -> Option<TlsFiles> {
    let file = |name: &str, ending: &str| directory.join(format!("{name}.{ending}"));
    Some(TlsFiles { ca: file(ca, "pem"), certificate: file(own, "pem"), key: file(own, "key") })
}

/// Runs something in the network of the hosts' switch, from which the hosts can be reached.
fn on_switch<T: Send + 'static>(hosts: &Hosts, run: impl AsyncFnOnce() -> T + Send + 'static) -> T {
    let namespace = fs::File::open(format!("/run/netns/{}-switch", hosts.prefix())).unwrap();
    let thread = std::thread::spawn(move || {
        nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run())
    });
    thread.join().unwrap()
}

#[test]
fn an_engine_with_tls_is_reached_with_its_certificates_alone() {
    let hosts = Hosts::up(1);
    let files = tempfile::tempdir().unwrap();
    let directory = files.path().to_owned();
    let address = hosts.address("host1").to_string();
    certificate(&directory, "ca", None, "");
    certificate(&directory, "engine", Some("ca"), &format!("IP:{address}"));
    certificate(&directory, "octo", Some("ca"), "");
    certificate(&directory, "otherca", None, "");
    certificate(&directory, "stranger", Some("otherca"), "");

    // A second engine of the host: the first one listens on its sockets.
    let path = |name: &str| directory.join(name).display().to_string();
    let (ca, pem, key) = (path("ca.pem"), path("engine.pem"), path("engine.key"));
    let arguments = ["dockerd", "--tlsverify", "--tlscacert", &ca, "--tlscert", &pem, "--tlskey", &key];
    let listen = ["--host", "tcp://0.0.0.0:2376", "--bridge", "none", "--iptables=false", "--storage-driver", "vfs"];
    let places = ["--data-root", "/var/lib/docker/tls", "--exec-root", "/run/tls", "--pidfile", "/run/tls.pid"];
    let mut command = hosts.command("host1", &[&arguments[..], &listen, &places].concat());
    let _engine = Ending(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());

    let url = format!("tcp://{address}:2376");
    on_switch(&hosts, {
        let (directory, url) = (directory.clone(), url.clone());
        async move || {
            let endpoint = |tls| Endpoint { url: url.clone(), tls };
            let good = endpoint(tls(&directory, "ca", "octo"));
            let deadline = Instant::now() + Duration::from_secs(60);
            let engine = loop {
                match Engine::connect(good.clone()).await {
                    Ok(engine) => break engine,
                    Err(error) => assert!(Instant::now() < deadline, "{error}"),
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            };
            assert!(!engine.info().await.unwrap().version.is_empty());
            assert!(engine.inventory(&"pair".parse().unwrap()).await.unwrap().containers.is_empty());

            for (ca, own) in [("otherca", "octo"), ("ca", "stranger")] {
                let error = Engine::connect(endpoint(tls(&directory, ca, own))).await.unwrap_err();
                assert_eq!(error.kind, ErrorKind::Environment, "{ca} {own}: {error}");
                assert!(error.message.contains(&url), "{error}");
                assert!(error.hints.iter().any(|hint| hint.contains(&format!("{ca}.pem"))), "{ca} {own}: {error:?}");
            }
            Engine::connect(endpoint(None)).await.unwrap_err();
            let error = Engine::connect(endpoint(tls(&directory, "missing", "octo"))).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Config);
            assert!(error.to_string().contains("missing.pem"), "{error}");
        }
    });

    // A node that is off holds nobody up: without a limit this would take minutes.
    hosts.power_off("host1");
    on_switch(&hosts, async move || {
        let error = Engine::connect(Endpoint { tls: tls(&directory, "ca", "octo"), url }).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Environment);
        assert!(error.hints.iter().any(|hint| hint.contains("the node is on")), "{error:?}");
    });
}

#[tokio::test]
async fn an_engine_is_reached_by_tcp() {
    let hosts = Hosts::up(1);
    let socket = hosts.socket("host1");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut engine = tokio::net::UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut engine).await });
        }
    });
    let engine = Engine::connect(&url).await.unwrap();
    make_image(&engine, "tcp").await;
    let body = bollard::models::ContainerCreateBody {
        image: Some(format!("{REPOSITORY}:tcp")),
        entrypoint: Some(["sleep", "3600"].map(str::to_owned).to_vec()),
        network_disabled: Some(true),
        ..Default::default()
    };
    engine.create_container("main", body).await.unwrap();
    engine.start_container("main").await.unwrap();
    let said = engine.exec("main", &["echo", "there"].map(str::to_owned)).await.unwrap();
    assert_eq!((said.code, said.output.as_str()), (0, "there\n"));

    let error = Engine::connect("gopher://host").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config);
}

/// A server for SSH, and a client's configuration for it.
struct Shell {
    directory: tempfile::TempDir,
    port: u16,
    _server: Ending,
}

impl Shell {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for key in ["host", "user"] {
            run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", key], directory.path());
        }
        fs::copy(at("user.pub"), at("authorized")).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = directory.path().display();
        let settings = [
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nAuthorizedKeysFile {place}/authorized"
            ),
            "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nPidFile none\n".to_owned(),
        ];
        fs::write(at("sshd_config"), settings.join("\n")).unwrap();
        let known = format!("[127.0.0.1]:{port} {}", fs::read_to_string(at("host.pub")).unwrap());
        fs::write(at("known"), known).unwrap();
        let settings = format!("IdentityFile {place}/user\nIdentitiesOnly yes\nUserKnownHostsFile {place}/known\n");
        fs::write(at("ssh_config"), settings).unwrap();
        fs::create_dir(at("bin")).unwrap();
        fs::write(at("bin/ssh"), format!("#!/bin/sh\nexec /usr/bin/ssh -F {place}/ssh_config \"$@\"\n")).unwrap();
        fs::set_permissions(at("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        // Where it keeps nothing, as the server insists.
        fs::create_dir_all("/run/sshd").unwrap();
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(at("sshd_config")).stderr(Stdio::null());
        let server = Ending(command.spawn().expect("the tests need the package openssh-server"));
        let shell = Self { directory, port, _server: server };
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "sshd does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        shell
    }

    /// octo, looking at an engine behind a URL.
    fn octo(&self, url: &str) -> Command {
        let path = format!("{}:{}", self.at("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("octo"));
        command
            .args(["--engine", url, "--state-dir"])
            .arg(self.at("state"))
            .args(["status", "--format", "json"])
            .current_dir(self.directory.path())
            .env("PATH", path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Waits until a client of this server runs, or none.
    fn await_clients(&self, wanted: bool) {
        let word = self.at("ssh_config").display().to_string();
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("cmdline"));
            let mut lines = processes.filter_map(|path| fs::read(path).ok());
            if lines.any(|line| String::from_utf8_lossy(&line).contains(&word)) == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "a client is there: {}", !wanted);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn an_engine_is_reached_through_ssh() {
    let shell = Shell::start();
    let hosts = Hosts::up(1);
    let url = |port: u16, socket: &str| format!("ssh://root@127.0.0.1:{port}{socket}");
    let socket = hosts.socket("host1").display().to_string();
    let output = shell.octo(&url(shell.port, &socket)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    shell.await_clients(false);
    // Nor does the client outlive an octo that is killed.
    let mut killed = Ending(shell.octo(&url(shell.port, &socket)).arg("--watch").spawn().unwrap());
    let mut first = [0];
    std::io::Read::read_exact(killed.0.stdout.as_mut().unwrap(), &mut first).unwrap();
    shell.await_clients(true);
    drop(killed);
    shell.await_clients(false);

    let nowhere = shell.octo(&url(shell.port, "/nowhere/docker.sock")).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(4), "{nowhere:?}");
    let closed = shell.octo(&url(1, "")).output().unwrap();
    assert_eq!(closed.status.code(), Some(4), "{closed:?}");
    let said = String::from_utf8(closed.stdout).unwrap();
    assert!(said.contains("see why: ssh -p 1 root@127.0.0.1") && said.contains("Connection refused"), "{said}");
}
