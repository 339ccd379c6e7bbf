//! The image that is booted as an instance: small, and what its process says and does without a
//! network, without capabilities, and as whatever user.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptionsBuilder,
};
use futures_util::StreamExt;
use octo::controller::docker::DEFAULT_ENDPOINT;
use octo::model::base::BOOTSTRAP;
use octo::model::catalog::Distro;
use octo::model::name::Name;
use octo::model::settings::Build;
use octo::model::verify::{is_serving, metadata, metadata_failed};

use super::engine::Engine;
use super::recipes::{build_all, renamed, rendered};

/// The largest that the image of one program may be.
const BYTES: u64 = 5_000_000;

/// A container of the image, removed in the end.
struct Guest<'a> {
    engine: &'a Engine,
    name: String,
}

impl<'a> Guest<'a> {
    async fn start(engine: &'a Engine, image: &str, user: &str, drive: Option<&str>) -> Self {
        let name = format!("{}-{:08x}", engine.prefix, rand::random::<u32>());
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            hostname: Some("first".to_owned()),
            user: Some(user.to_owned()),
            // Nobody answers here: it is not worth waiting for.
            cmd: Some(vec!["octo-instance".to_owned(), "1".to_owned()]),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                cap_drop: Some(vec!["ALL".to_owned()]),
                security_opt: Some(vec!["no-new-privileges".to_owned()]),
                init: Some(true),
                binds: drive.map(|path| vec![format!("{path}:/config-drive:ro")]),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        engine.docker.create_container(Some(options), body).await.unwrap();
        engine.docker.start_container(&name, None::<StartContainerOptions>).await.unwrap();
        Self { engine, name }
    }

    async fn console(&self) -> String {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).build();
        let pieces: Vec<_> = self.engine.docker.logs(&self.name, Some(options)).collect().await;
        pieces.into_iter().map(|piece| piece.unwrap().to_string()).collect()
    }

    /// The console, once it holds something.
    async fn console_with(&self, told: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let console = self.console().await;
            if told(&console) {
                return console;
            }
            assert!(Instant::now() < deadline, "{console}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Stops it; the exit code.
    async fn stop(&self) -> i64 {
        let options = StopContainerOptionsBuilder::default().t(10).build();
        self.engine.docker.stop_container(&self.name, Some(options)).await.unwrap();
        let state = self.engine.docker.inspect_container(&self.name, None).await.unwrap().state.unwrap();
        state.exit_code.unwrap()
    }

    async fn remove(self) {
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        self.engine.docker.remove_container(&self.name, Some(options)).await.unwrap();
    }
}

#[tokio::test]
async fn an_instance_tells_who_it_is_and_stops_at_once() {
    let engine = Engine::bare("instance").await;
    let builder = engine.builder(Build::default());
    let base = BOOTSTRAP.tag();
    octo::controller::port::ImageBuilder::prepare_base(&builder, &base, &|_| {}).await.unwrap();
    let wanted: BTreeSet<Name> = ["base", "instance"].map(|name| name.parse().unwrap()).into();
    let images: BTreeMap<_, _> =
        rendered(Distro::Debian, &base).into_iter().filter(|(name, _)| wanted.contains(name)).collect();
    let images = renamed(&engine, images);
    build_all(&builder, &images).await;
    let tag = images[&"instance".parse::<Name>().unwrap()].tag.clone();
    let size = engine.docker.inspect_image(&tag).await.unwrap().size.unwrap();
    assert!(u64::try_from(size).unwrap() < BYTES, "{size}");

    let drive = tempfile::tempdir().unwrap();
    let latest = drive.path().join("openstack/latest");
    std::fs::create_dir_all(&latest).unwrap();
    std::fs::write(latest.join("meta_data.json"), r#"{"uuid": "3f6c", "keys": [], "hostname": "first"}"#).unwrap();
    std::fs::write(latest.join("user_data"), "#!/bin/sh\necho user data of $(hostname)\n").unwrap();
    let guest = Guest::start(&engine, &tag, "0:0", drive.path().to_str()).await;
    let console = guest.console_with(|text| is_serving(text) && metadata(text).is_some()).await;
    assert_eq!(metadata(&console), Some(("3f6c", "config-drive")));
    assert!(console.contains("\nuser data of first\n"), "{console}");
    let begun = Instant::now();
    assert_eq!(guest.stop().await, 0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    guest.remove().await;

    let guest = Guest::start(&engine, &tag, "1000:1000", None).await;
    guest.console_with(|text| is_serving(text) && metadata_failed(text)).await;
    guest.remove().await;

    // A test of a network asks for an address by itself.
    let (code, said) = engine.run(&tag, (0, "/root"), "busybox --list | grep -qx udhcpc && httpd --help 2>&1").await;
    assert_eq!(code, 0, "{said}");

    // What a cloud gets is one image without a name, and without what marks the control plane.
    let docker = octo::controller::docker::Engine::connect(DEFAULT_ENDPOINT).await.unwrap();
    let archive = docker.export_image(&tag, drive.path()).await.unwrap();
    let mut names = Vec::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
            assert!(!text.contains("octo-test") && !text.contains("octo.image"), "{name}: {text}");
        }
        names.push(name);
    }
    assert_eq!(names.last().map(String::as_str), Some("manifest.json"));
    assert!(!names.contains(&"repositories".to_owned()), "{names:?}");
}
