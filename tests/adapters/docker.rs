//! The engine: what containers, networks and volumes are like once they are made.

use std::path::Path;

use bollard::models::ContainerInspectResponse;
use futures_util::StreamExt;
use octo::controller::docker::Engine;
use octo::controller::docker::logs::LogQuery;
use octo::controller::docker::spec::{Surroundings, of_container, of_job};
use octo::controller::netlink::HostNetwork;
use octo::error::ErrorKind;
use octo::model::catalog::Attachment;
use octo::model::desired::{DesiredContainer, DesiredJob};
use octo::model::fingerprint;
use octo::model::observed::RunState;

use super::scene::Scene;

impl Scene {
    fn around<'a>(&'a self, files: &'a Path) -> Surroundings<'a> {
        Surroundings {
            cloud: &self.cloud,
            node: &self.node,
            network: &self.network.name,
            files,
            engine_socket: "/var/run/docker.sock",
        }
    }

    async fn create(&self, name: &str, desired: &DesiredContainer) -> Result<(), octo::error::Error> {
        let body = of_container(name, desired, self.around(self.directory.path()));
        self.engine.create_container(name, body).await
    }

    async fn create_job(&self, name: &str, desired: &DesiredJob) -> Result<(), octo::error::Error> {
        let body = of_job(name, desired, self.around(self.directory.path()));
        self.engine.create_container(name, body).await
    }

    async fn inspect(&self, name: &str) -> ContainerInspectResponse {
        let options = None::<bollard::query_parameters::InspectContainerOptions>;
        self.engine.client().inspect_container(name, options).await.unwrap()
    }
}

#[tokio::test]
async fn tells_how_to_start_an_engine_that_is_down() {
    let error = Engine::connect("unix:///nowhere/docker.sock").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Environment);
    assert!(error.hints.iter().any(|hint| hint.contains("systemctl start docker")), "{error:?}");
}

#[tokio::test]
async fn network_keeps_the_addresses_of_its_bridge() {
    let scene = Scene::new().await.with_network().await;
    let host = HostNetwork::open().unwrap();
    let has_vip = async || {
        let bridge = host.bridge(&scene.network.bridge).await.unwrap().unwrap();
        bridge.addresses.contains(&scene.network.internal_vip)
    };
    assert!(has_vip().await);
    let (owner, network) = scene.engine.network(&scene.network.name).await.unwrap().unwrap();
    assert_eq!(owner.as_deref(), Some(scene.cloud.as_str()));
    assert_eq!((network.bridge, network.subnet), (scene.network.bridge.clone(), scene.network.subnet.to_string()));
    scene.engine.create_network(&scene.cloud, &scene.node, &scene.network, 1380).await.expect("twice is once");

    scene.engine.remove_network(&scene.network.name).await.unwrap();
    scene.engine.remove_network(&scene.network.name).await.expect("twice is once");
    assert!(has_vip().await, "the bridge outlives the network");
    let rules = std::process::Command::new("iptables-save").output().map(|output| output.stdout).unwrap_or_default();
    let rules = String::from_utf8_lossy(&rules).into_owned();
    assert!(!rules.contains(&scene.network.bridge), "{rules}");
}

#[tokio::test]
async fn containers_get_the_least_privilege() {
    let scene = Scene::new().await.with_network().await;
    let name = scene.name("main");
    scene.engine.create_volume(&scene.cloud, &scene.node, &"test".parse().unwrap(), &scene.name("data")).await.unwrap();
    std::fs::create_dir_all(scene.directory.path().join("etc/test")).unwrap();
    std::fs::write(scene.directory.path().join("etc/test/test.conf"), "written by octo").unwrap();
    // Through one stream: the engine keeps the order of lines within one only.
    let script = "exec 2>&1; touch /data/x || exit 3; touch /etc/test/x && exit 4; touch /x && exit 5; touch /run/x || exit 6; \
                  cat /etc/test/test.conf; echo; hostname; sleep 60";
    let mut desired = scene.container(script, 77);
    desired.process.volumes.insert("/data".into(), scene.name("data"));
    desired.process.file_directories.insert("/etc/test".into());
    desired.process.tmpfs.insert("/run".into(), "size=1m".into());
    desired.process.capabilities.insert("CHOWN".into());
    desired.process.hosts.insert("elsewhere".into(), scene.address(99));
    scene.create(&name, &desired).await.unwrap();
    scene.create(&name, &desired).await.expect("twice is once");
    scene.engine.start_container(&name).await.unwrap();
    scene.engine.start_container(&name).await.expect("twice is once");

    let found = scene.inspect(&name).await;
    let host = found.host_config.unwrap();
    assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
    assert_eq!(host.cap_add, Some(vec!["CHOWN".to_owned()]));
    assert_eq!(host.security_opt, Some(vec!["no-new-privileges".to_owned()]));
    assert_eq!((host.memory, host.memory_swap, host.pids_limit), (Some(64 << 20), Some(64 << 20), Some(32)));
    assert_eq!((host.privileged, host.readonly_rootfs, host.init), (Some(false), Some(true), Some(true)));
    let address = found.network_settings.unwrap().networks.unwrap().remove(&scene.network.name).unwrap().ip_address;
    assert_eq!(address, Some(scene.address(77).to_string()));

    let ran = scene.engine.exec(&name, &["ip".into(), "link".into()]).await.unwrap();
    assert_eq!(ran.code, 0);
    assert!(ran.output.contains("mtu 1380"), "{}", ran.output);
    let ran = scene.engine.exec(&name, &["sh".into(), "-c".into(), "exit 7".into()]).await.unwrap();
    assert_eq!(ran.code, 7);
    assert!(scene.engine.memory_of(&name).await.unwrap().unwrap() > 0);

    let lines: Vec<_> = scene.engine.logs(&name, &LogQuery::default()).collect().await;
    let lines: Vec<_> = lines.into_iter().map(|line| line.unwrap().text).collect();
    assert!(lines.contains(&"written by octo".to_owned()) && lines.contains(&name), "{lines:?}");
    let query = LogQuery { tail: Some(1), timestamps: true, ..LogQuery::default() };
    let last: Vec<_> = scene.engine.logs(&name, &query).collect().await;
    assert!(last[0].as_ref().unwrap().text.ends_with(&name) && last.len() == 1, "{last:?}");

    let inventory = scene.engine.inventory(&scene.cloud).await.unwrap();
    let state = &inventory.containers[&name];
    assert_eq!(state.state, RunState::Running);
    assert_eq!(state.labels["octo.fingerprint"], fingerprint::of_container(&desired));
    assert_eq!(inventory.networks[&scene.network.name].containers.iter().collect::<Vec<_>>(), [&name]);
    assert!(inventory.volumes.contains(&scene.name("data")));

    scene.engine.signal_container(&name, "HUP").await.unwrap();
    for _ in 0..2 {
        scene.engine.stop_container(&name, 1).await.unwrap();
    }
    for _ in 0..2 {
        scene.engine.remove_container(&name).await.unwrap();
        scene.engine.remove_volume(&scene.name("data")).await.unwrap();
    }
    let left = scene.engine.inventory(&scene.cloud).await.unwrap();
    assert!(left.containers.is_empty() && left.volumes.is_empty() && left.networks.len() == 1, "{left:?}");
}

#[tokio::test]
async fn a_container_is_started_again_from_its_start_to_its_stop() {
    let scene = Scene::new().await.with_network().await;
    let name = scene.name("main");
    let kept = async || scene.engine.container(&name).await.unwrap().unwrap().kept_running;
    scene.create(&name, &scene.container("sleep 60", 21)).await.unwrap();
    assert!(!kept().await, "what was never started is not started by the engine either");
    for keep in [true, false] {
        for _ in 0..2 {
            scene.engine.keep_running(&name, keep).await.unwrap();
            assert_eq!(kept().await, keep);
        }
        if keep {
            scene.engine.start_container(&name).await.unwrap();
        }
    }
    let limits = scene.inspect(&name).await.host_config.unwrap();
    assert_eq!((limits.memory, limits.pids_limit), (Some(64 << 20), Some(32)), "the limits are as they were");
    scene.engine.keep_running(&name, true).await.unwrap();
    scene.engine.remove_container(&name).await.unwrap();
    scene.engine.keep_running(&name, false).await.expect("what is not there is not started again");
    scene.engine.keep_running(&name, true).await.unwrap_err();
}

#[tokio::test]
async fn what_ends_again_and_again_can_be_told_to_end_for_good() {
    let scene = Scene::new().await.with_network().await;
    let name = scene.name("main");
    scene.create(&name, &scene.container("sleep 0.1", 21)).await.unwrap();
    // Its process may end at any moment of the engine's work.
    for _ in 0..12 {
        scene.engine.keep_running(&name, true).await.unwrap();
        scene.engine.start_container(&name).await.unwrap();
        for keep in [true, true, true, true, true, true, true, false] {
            scene.engine.keep_running(&name, keep).await.unwrap();
        }
        scene.engine.stop_container(&name, 1).await.unwrap();
    }
}

#[tokio::test]
async fn the_kernel_is_told_what_holds_for_a_container_s_network_alone() {
    let scene = Scene::new().await.with_network().await;
    let name = scene.name("kept-alive");
    let mut job = scene.job("exit $(cat /proc/sys/net/ipv4/tcp_keepalive_time)");
    job.process.sysctls.insert("net.ipv4.tcp_keepalive_time".to_owned(), "7".to_owned());
    scene.create_job(&name, &job).await.unwrap();
    scene.engine.start_container(&name).await.unwrap();
    assert_eq!(scene.engine.wait_container(&name).await.unwrap(), 7);
    scene.engine.remove_container(&name).await.unwrap();
}

#[tokio::test]
async fn jobs_end_with_a_code_and_stay_off_planned_addresses() {
    let scene = Scene::new().await.with_network().await;
    let name = scene.name("sync");
    scene.create_job(&name, &scene.job("ip addr show eth0; exit 5")).await.unwrap();
    scene.engine.start_container(&name).await.unwrap();
    assert_eq!(scene.engine.wait_container(&name).await.unwrap(), 5);
    assert_eq!(scene.engine.container(&name).await.unwrap().unwrap().state, RunState::Exited(5));
    let lines = scene.engine.last_lines(&name, 20).await.join("\n");
    let range = octo::controller::docker::network::dynamic_range(scene.network.subnet);
    let planned = (2..240).any(|last| lines.contains(&format!("inet {}/", scene.address(last))));
    assert!(lines.contains("inet ") && !planned, "outside {range}: {lines}");
    scene.engine.remove_container(&name).await.unwrap();
}

#[tokio::test]
async fn jobs_on_the_host_s_network_have_no_capability_but_their_own() {
    let scene = Scene::new().await.with_network().await;
    let made = format!("{}-made", scene.cloud);
    let script =
        format!("ip link show {} && ip link add {made} type bridge && ip link delete {made}", scene.network.bridge);
    let mut desired = scene.job(&script);
    desired.network = Attachment::Host;
    desired.process.user = Some("0:7".to_owned());
    desired.process.apparmor = Some("unconfined".to_owned());
    for capable in [false, true] {
        let name = scene.name(if capable { "capable" } else { "incapable" });
        if capable {
            desired.process.capabilities.insert("NET_ADMIN".into());
        }
        scene.create_job(&name, &desired).await.unwrap();
        scene.engine.start_container(&name).await.unwrap();
        let code = scene.engine.wait_container(&name).await.unwrap();
        let said = scene.engine.last_lines(&name, 20).await.join("\n");
        assert!(said.contains(&scene.network.bridge), "it is on the host's network: {said}");
        assert_eq!(code == 0, capable, "{said}");
        let found = scene.inspect(&name).await;
        assert_eq!(found.config.unwrap().user.as_deref(), Some("0:7"));
        let host = found.host_config.unwrap();
        assert_eq!((host.network_mode.as_deref(), host.privileged), (Some("host"), Some(false)));
        let options = ["no-new-privileges", "apparmor=unconfined"].map(str::to_owned).to_vec();
        assert_eq!(host.security_opt, Some(options));
        scene.engine.remove_container(&name).await.unwrap();
    }
}

#[tokio::test]
async fn failures_name_object_and_repair() {
    let scene = Scene::new().await.with_network().await;
    let name = scene.name("main");

    let mut lost = scene.container("true", 20);
    lost.process.image = "octo-test/nothing:1".into();
    let error = scene.create(&name, &lost).await.unwrap_err();
    assert!(error.hints.iter().any(|hint| hint.contains("octo build")), "{error:?}");

    let mut bare = scene.container("true", 20);
    bare.process.file_directories.insert("/etc/missing".into());
    let error = scene.create(&name, &bare).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Environment, "{error:?}");
    assert!(error.to_string().contains("/etc/missing"), "{error}");

    // Somebody else's container, volume and network have our names.
    let other = Scene::new().await;
    let body = of_job(&name, &other.job("true"), Surroundings { network: "none", ..other.around(Path::new("/")) });
    other.engine.create_container(&name, body).await.unwrap();
    let error = scene.create(&name, &scene.container("true", 20)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Environment);
    assert!(error.to_string().contains(&name) && error.hints[0].contains("docker rm"), "{error:?}");
    assert!(scene.engine.inventory(&scene.cloud).await.unwrap().others.contains(&name));
    let service = "test".parse().unwrap();
    other.engine.create_volume(&other.cloud, &other.node, &service, &scene.name("data")).await.unwrap();
    scene.engine.create_volume(&scene.cloud, &scene.node, &service, &scene.name("data")).await.unwrap_err();
    let error = other.engine.create_network(&other.cloud, &other.node, &scene.network, 1380).await.unwrap_err();
    assert!(error.hints[0].contains("docker network rm"), "{error:?}");
}

#[tokio::test]
async fn being_killed_for_memory_is_seen() {
    let scene = Scene::new().await.with_network().await;
    let name = scene.name("main");
    let mut greedy = scene.job("x=0123456789abcdef; while true; do x=$x$x; done");
    greedy.process.memory = 16 << 20;
    scene.create_job(&name, &greedy).await.unwrap();
    scene.engine.start_container(&name).await.unwrap();
    assert_ne!(scene.engine.wait_container(&name).await.unwrap(), 0);
    assert!(scene.engine.container(&name).await.unwrap().unwrap().out_of_memory);
}

#[tokio::test]
async fn instances_of_a_cloud_are_stopped_and_removed_and_no_others() {
    let scene = Scene::new().await;
    let labels = |cloud: &str| {
        [("octo.instance", "7d0f"), ("octo.instance.cloud", cloud)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
    };
    let body = |cloud: &str| bollard::models::ContainerCreateBody {
        image: Some(scene.image()),
        entrypoint: Some(["sleep", "60"].map(str::to_owned).to_vec()),
        labels: Some(labels(cloud).into()),
        stop_timeout: Some(0),
        ..Default::default()
    };
    let (own, other) = (scene.name("guest"), scene.name("other-guest"));
    let somebody = format!("{}-other", scene.cloud);
    scene.engine.create_container(&own, body(scene.cloud.as_str())).await.unwrap();
    scene.engine.create_container(&other, body(&somebody)).await.unwrap();
    for name in [&own, &other] {
        scene.engine.start_container(name).await.unwrap();
    }
    scene.engine.client().pause_container(&own).await.unwrap();
    let tag = format!("octo-instances/{}", scene.cloud);
    let options = bollard::query_parameters::TagImageOptions { repo: Some(tag.clone()), tag: Some("1".to_owned()) };
    scene.engine.client().tag_image(&scene.image(), Some(options)).await.unwrap();
    let volume = bollard::models::VolumeCreateRequest {
        name: Some(scene.name("drive")),
        labels: Some(labels(scene.cloud.as_str()).into()),
        ..Default::default()
    };
    scene.engine.client().create_volume(volume).await.unwrap();

    let seen = scene.engine.inventory(&scene.cloud).await.unwrap();
    assert!(seen.containers.is_empty(), "an instance is none of the cloud's own containers");
    assert_eq!(seen.instances.running, ["7d0f".to_owned()].into());
    assert_eq!(seen.instances.images, [format!("{tag}:1")].into());
    for _ in 0..2 {
        scene.engine.stop_instances(&scene.cloud).await.unwrap();
    }
    let seen = scene.engine.inventory(&scene.cloud).await.unwrap();
    assert!(seen.instances.running.is_empty() && seen.instances.all.len() == 1, "{:?}", seen.instances);
    for _ in 0..2 {
        scene.engine.remove_instances(&scene.cloud).await.unwrap();
    }
    let left = scene.engine.inventory(&scene.cloud).await.unwrap();
    assert!(left.instances.all.is_empty() && left.instances.images.is_empty(), "{:?}", left.instances);
    assert!(!left.others.contains(&scene.name("drive")));
    assert_eq!(scene.engine.container(&other).await.unwrap().unwrap().state, RunState::Running);
    scene.engine.remove_container(&other).await.unwrap();
}
