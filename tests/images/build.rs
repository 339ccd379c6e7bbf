//! Builds through BuildKit.

use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::time::Duration;

use octo::controller::port::ImageBuilder;
use octo::error::ErrorKind;
use octo::model::settings::Build;

use super::engine::Engine;

fn silent(_: String) {}

#[tokio::test]
async fn an_image_is_built_once() {
    let engine = Engine::new("once").await;
    let builder = engine.builder(Build::default());
    let image = engine.image("app", &["COPY file /file", "RUN cat /file && date > /made"], &[("file", "content\n")]);
    let lines = Mutex::new(Vec::new());
    builder.build(&image, &|line| lines.lock().unwrap().push(line)).await.unwrap();
    let first = engine.id(&image.tag).await.unwrap();
    let lines = lines.into_inner().unwrap();
    assert!(lines.iter().any(|line| line == "[3/3] RUN cat /file && date > /made"), "{lines:?}");
    assert!(lines.iter().any(|line| line == "content"), "{lines:?}");
    let label = engine.docker.inspect_image(&image.tag).await.unwrap().config.unwrap().labels.unwrap();
    assert_eq!(label["octo.image"], "app");
    let log = builder.log_path("app");
    assert!(std::fs::read_to_string(&log).unwrap().contains("\ncontent\n"));
    assert_eq!(std::fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);

    builder.build(&image, &|line| panic!("nothing was to do: {line}")).await.unwrap();
    assert_eq!(engine.id(&image.tag).await.unwrap(), first);
}

#[tokio::test]
async fn a_failing_step_is_named_with_its_log() {
    let engine = Engine::new("fail").await;
    let builder = engine.builder(Build::default());
    let lines = ["RUN echo fine", "RUN echo one; echo write: No space left on device; sh -c 'exit 9'", "RUN echo late"];
    let image = engine.image("broken", &lines, &[]);
    let error = builder.build(&image, &silent).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Operation);
    assert_eq!(error.message, "cannot build image broken");
    assert_eq!(error.causes.len(), 1, "{error:?}");
    assert!(error.causes[0].starts_with("step [3/4] RUN echo one;"), "{error:?}");
    assert!(error.causes[0].ends_with("ended with exit code 9"), "{error:?}");
    assert_eq!(error.detail.as_deref(), Some("one\nwrite: No space left on device"));
    assert!(error.hints[0].contains("docker builder prune"), "{error:?}");
    let log = builder.log_path("broken");
    assert!(error.hints[1].contains(log.to_str().unwrap()), "{error:?}");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("\nfine\n") && log.contains("exit code 9"), "{log}");
    assert_eq!(engine.id(&image.tag).await, None);
}

#[tokio::test]
async fn a_recipe_that_the_engine_refuses_is_an_error_of_the_image() {
    let engine = Engine::new("refuse").await;
    let builder = engine.builder(Build::default());
    let mut image = engine.image("refused", &["NONSENSE x"], &[]);
    let error = builder.build(&image, &silent).await.unwrap_err();
    assert!(error.to_string().contains("NONSENSE"), "{error:?}");
    image.dockerfile = format!("FROM {}-missing:1\n", engine.prefix);
    let error = builder.build(&image, &silent).await.unwrap_err();
    assert!(error.to_string().contains("-missing"), "{error:?}");
}

/// What carries packages reaches the step that needs it, and nothing else.
#[tokio::test]
async fn transport_and_its_secrets_stay_out_of_images() {
    let engine = Engine::new("secret").await;
    let authorities = engine.state.path().join("ca.pem");
    std::fs::write(&authorities, "AUTHORITIES-OF-THE-HOST\n").unwrap();
    let build = Build {
        ca_bundle: Some(authorities.to_str().unwrap().to_owned()),
        pip_index: Some("https://reader:hunter2secret@packages.example/simple".to_owned()),
        https_proxy: Some("http://proxyuser:proxysecret@proxy.example:3128".to_owned()),
        ..Build::default()
    };
    let builder = engine.builder(build);
    let step = "RUN --mount=type=bind,source=transport,target=/run/transport . /run/transport/environment \
                && grep -q AUTHORITIES-OF-THE-HOST /run/transport/ca.pem \
                && cat /run/transport/uv.toml /run/transport/pip.conf /run/transport/environment \
                && echo proxy is $HTTPS_PROXY";
    let image = engine.image("secret", &[step, "COPY file /file"], &[("file", "ordinary")]);
    let lines = Mutex::new(Vec::new());
    builder.build(&image, &|line| lines.lock().unwrap().push(line)).await.unwrap();
    let log = std::fs::read_to_string(builder.log_path("secret")).unwrap();
    assert!(log.contains("proxy is http://***@proxy.example:3128"), "{log}");
    assert!(log.contains("url = \"https://***@packages.example/simple\""), "{log}");

    let mut failing = engine.image("leaky", &[&format!("{step} && cat /run/transport/uv.toml && false")], &[]);
    failing.dockerfile.push_str("# https://packages.example\n");
    let error = builder.build(&failing, &silent).await.unwrap_err();
    assert!(error.detail.as_ref().is_some_and(|detail| detail.contains("packages.example")), "{error:?}");

    let about = engine.everything_about(&image.tag).await;
    assert!(about.contains("ordinary"));
    for (place, text) in [
        ("image", about),
        ("lines", lines.into_inner().unwrap().join("\n")),
        ("log", log),
        ("error", format!("{error:?}")),
        ("log of the failure", std::fs::read_to_string(builder.log_path("leaky")).unwrap()),
    ] {
        for secret in ["hunter2secret", "proxysecret"] {
            assert!(!text.contains(secret), "{secret} is in the {place}");
        }
        assert!(place != "image" || !text.contains("AUTHORITIES-OF-THE-HOST\n"), "the authorities are in the image");
    }
}

#[tokio::test]
async fn several_are_built_at_once() {
    let engine = Engine::new("several").await;
    let builder = engine.builder(Build::default());
    let step = |index: usize| format!("RUN echo from $(date +%s); sleep 5; echo to $(date +%s) {index}");
    let images: Vec<_> = (0..3).map(|index| engine.image(&format!("image{index}"), &[&step(index)], &[])).collect();
    let builds = images.iter().map(|image| builder.build(image, &silent));
    for result in futures_util::future::join_all(builds).await {
        result.unwrap();
    }
    let times = |word: &'static str| {
        let (builder, images) = (&builder, &images);
        images.iter().map(move |image| {
            let log = std::fs::read_to_string(builder.log_path(image.name.as_str())).unwrap();
            let line = log.lines().find(|line| line.starts_with(word)).unwrap();
            line.split(' ').nth(1).unwrap().parse::<u64>().unwrap()
        })
    };
    let (last_begin, first_end) = (times("from ").max().unwrap(), times("to ").min().unwrap());
    assert!(last_begin < first_end, "one after the other: {last_begin} {first_end}");
}

/// Dropping the future is what an interrupted octo does; a killed one closes the connection alike.
#[tokio::test]
async fn an_interrupted_build_is_cancelled_and_can_be_repeated() {
    let engine = Engine::new("cancel").await;
    let builder = engine.builder(Build::default());
    let image = engine.image("slow", &["RUN echo begun && sleep 3 && echo ended"], &[]);
    let begun = tokio::sync::Notify::new();
    let told = |line: String| {
        if line == "begun" {
            begun.notify_one();
        }
    };
    tokio::select! {
        result = builder.build(&image, &told) => panic!("it ended first: {result:?}"),
        () = begun.notified() => {}
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(engine.id(&image.tag).await, None, "the engine went on");
    builder.build(&image, &silent).await.unwrap();
    assert!(engine.id(&image.tag).await.is_some());
}
