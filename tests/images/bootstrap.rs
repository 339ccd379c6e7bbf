//! The Debian base: made from packages alone, whole or not at all.

use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use octo::controller::port::ImageBuilder;
use octo::error::ErrorKind;
use octo::model::catalog::Distro;
use octo::model::settings::Build;
use octo::view::rendered::RenderedImage;

use super::engine::Engine;

/// The tag is of the kind that octo bootstraps itself, and belongs to this test alone.
fn tag(engine: &Engine) -> String {
    let tag = format!("octo/bootstrap:{}", engine.prefix);
    engine.will_make(&tag);
    tag
}

/// The mirror that this machine uses itself, with a password that it does not ask for.
fn mirror_with_password() -> String {
    let targets = Command::new("apt-get").args(["indextargets", "--format", "$(SITE)"]).output();
    let targets = targets.map(|output| String::from_utf8(output.stdout).unwrap()).unwrap_or_default();
    let site = targets.lines().find(|line| line.trim_end_matches('/').ends_with("/debian"));
    let site = site.expect("this machine has no mirror of Debian");
    let (scheme, rest) = site.split_once("://").unwrap();
    format!("{scheme}://reader:hunter2secret@{rest}")
}

#[tokio::test]
async fn a_base_is_made_once_and_carries_recipes_without_a_trace_of_the_mirror() {
    let mut engine = Engine::bare("bootstrap").await;
    engine.base = tag(&engine);
    let builder = engine.builder(Build { apt_mirror: Some(mirror_with_password()), ..Build::default() });
    let lines = Mutex::new(Vec::new());
    let tell = |line| lines.lock().unwrap().push(line);
    let begun = std::time::Instant::now();
    builder.prepare_base(&engine.base, &tell).await.unwrap();
    println!("bootstrapped in {:?}", begun.elapsed());
    assert!(lines.lock().unwrap().iter().any(|line| line.starts_with("installing")), "{lines:?}");
    let found = engine.docker.inspect_image(&engine.base).await.unwrap();
    assert_eq!(found.config.unwrap().labels.unwrap()["octo.image"], "bootstrap");
    assert!(std::fs::read_dir(engine.state.path().join("bootstrap")).is_err(), "the workplace was left");

    builder.prepare_base(&engine.base, &|line| panic!("nothing was to do: {line}")).await.unwrap();

    // The shared recipe of all images, with a package that no base has.
    let image = engine.image("probe", &[], &[]);
    let image = RenderedImage {
        dockerfile: super::recipes::system_recipe(&engine.base, "tini", Distro::Debian)
            + "RUN test ! -e /usr/share/man/man1 && test ! -e /etc/apt/sources.list && test -x /usr/bin/tini\n\
               RUN . /etc/os-release && echo $VERSION_CODENAME && cat /etc/apt/sources.list.d/*\n",
        ..image
    };
    builder.build(&image, &tell).await.unwrap_or_else(|error| panic!("{error}\n{:?}", error.detail));
    let log = std::fs::read_to_string(builder.log_path("probe")).unwrap();
    assert!(log.contains("\ntrixie\n") && log.contains("\nSuites: trixie trixie-updates\n"), "{log}");
    for (place, text) in [
        ("base", engine.everything_about(&engine.base).await),
        ("image", engine.everything_about(&image.tag).await),
        ("lines", lines.lock().unwrap().join("\n")),
        ("log of the base", std::fs::read_to_string(builder.log_path("bootstrap")).unwrap()),
        ("log", log),
    ] {
        assert!(!text.contains("hunter2secret"), "the mirror's password is in the {place}");
    }

    // What apt uses is the build's: a proxy that nobody answers at, a mirror likewise.
    let proxy = Some("http://user:hunter2secret@127.0.0.1:9".to_owned());
    let dead = Some("http://reader:hunter2secret@127.0.0.1:9/debian".to_owned());
    for build in [Build { http_proxy: proxy, ..Build::default() }, Build { apt_mirror: dead, ..Build::default() }] {
        let builder = engine.builder(build);
        let mut image = engine.image("dead", &[], &[]);
        image.dockerfile = super::recipes::system_recipe(&engine.base, "busybox-static", Distro::Debian);
        // Another index than that of a mirror which has answered within the hour.
        image.dockerfile = image.dockerfile.replace("octo-apt-lists", &engine.prefix);
        let error = builder.build(&image, &|_| {}).await.unwrap_err();
        assert!(error.detail.as_ref().is_some_and(|detail| detail.contains("127.0.0.1")), "{error:?}");
        assert!(error.hints[0].contains("build.apt_mirror"), "{error:?}");
        let log = std::fs::read_to_string(builder.log_path("dead")).unwrap();
        assert!(!format!("{error:?}{log}").contains("hunter2secret"));
    }
}

/// Interrupted at any moment, it leaves no image, and the next run is not disturbed.
#[tokio::test]
async fn an_interrupted_bootstrap_leaves_nothing() {
    let engine = Engine::bare("half").await;
    let tag = tag(&engine);
    let builder = engine.builder(Build::default());
    tokio::select! {
        result = builder.prepare_base(&tag, &|_| {}) => panic!("it ended first: {result:?}"),
        () = tokio::time::sleep(Duration::from_secs(4)) => {}
    }
    assert_eq!(engine.id(&tag).await, None);
    assert!(engine.state.path().join("bootstrap").exists(), "it had not begun");
    builder.prepare_base(&tag, &|_| {}).await.unwrap();
    assert!(engine.id(&tag).await.is_some());
    assert!(!engine.state.path().join("bootstrap").exists());
}

#[tokio::test]
async fn a_mirror_that_does_not_answer_is_an_error_with_its_repair() {
    let engine = Engine::bare("mirror").await;
    let tag = tag(&engine);
    let mirror = "http://reader:hunter2secret@127.0.0.1:9/debian".to_owned();
    let builder = engine.builder(Build { apt_mirror: Some(mirror), ..Build::default() });
    let error = builder.prepare_base(&tag, &|_| {}).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Operation);
    assert!(error.hints[0].contains("build.apt_mirror"), "{error:?}");
    let log = std::fs::read_to_string(builder.log_path("bootstrap")).unwrap();
    assert!(!format!("{error:?}{log}").contains("hunter2secret"));
    assert_eq!(engine.id(&tag).await, None);
}
