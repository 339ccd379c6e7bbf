//! Images from this machine's engine to one of a simulated host.

use std::sync::Mutex;

use futures_util::StreamExt;
use octo::controller::docker::{DEFAULT_ENDPOINT, Engine};
use octo::error::{Error, ErrorKind};
use octo::view::rendered::RenderedImage;

use crate::hosts::simulated::Hosts;
use crate::images::engine::Engine as Machine;

struct Pair {
    machine: Machine,
    hosts: Hosts,
    from: Engine,
    to: Engine,
}

impl Pair {
    async fn new(test: &str) -> Self {
        let machine = Machine::new(test).await;
        let hosts = Hosts::up(1);
        let to = Engine::connect(&format!("unix://{}", hosts.socket("host1").display())).await.unwrap();
        let from = Engine::connect(DEFAULT_ENDPOINT).await.unwrap();
        Self { machine, hosts, from, to }
    }

    async fn build(&self, image: &RenderedImage) -> String {
        let builder = self.machine.builder(octo::model::settings::Build::default());
        octo::controller::port::ImageBuilder::build(&builder, image, &|_| {}).await.unwrap();
        image.tag.clone()
    }

    /// Sends, and returns the lines of progress.
    async fn send(&self, tags: &[&str]) -> Result<Vec<String>, Error> {
        let said = Mutex::new(Vec::new());
        let tags: Vec<_> = tags.iter().map(|&tag| tag.to_owned()).collect();
        self.from.send_images(&self.to, &tags, &|line| said.lock().unwrap().push(line)).await?;
        Ok(said.into_inner().unwrap())
    }

    async fn arrived(&self, tag: &str) -> bool {
        let there = self.to.client().inspect_image(tag).await.ok().and_then(|found| found.id);
        there.is_some() && there == self.machine.id(tag).await
    }

    /// What the file of an image on the host says: that its layers are what they should be.
    async fn content(&self, tag: &str, path: &str) -> String {
        let body = bollard::models::ContainerCreateBody {
            image: Some(tag.to_owned()),
            entrypoint: Some(["cat", path].map(str::to_owned).to_vec()),
            network_disabled: Some(true),
            ..Default::default()
        };
        self.to.create_container("reader", body).await.unwrap();
        self.to.start_container("reader").await.unwrap();
        self.to.wait_container("reader").await.unwrap();
        let said = self.to.last_lines("reader", 1).await.join("\n");
        self.to.remove_container("reader").await.unwrap();
        said
    }
}

#[tokio::test]
async fn only_what_is_missing_is_sent() {
    let pair = Pair::new("send").await;
    let lower = pair.build(&pair.machine.image("lower", &["COPY a /a"], &[("a", "lower")])).await;
    let mut upper = pair.machine.image("upper", &["COPY b /b"], &[("b", "upper")]);
    upper.dockerfile = upper.dockerfile.replace(&pair.machine.base, &lower);
    let upper = pair.build(&upper).await;
    let other = pair.build(&pair.machine.image("other", &["COPY c /c"], &[("c", "other")])).await;

    assert_eq!(pair.send(&[&lower]).await.unwrap()[0], "1 images");
    assert!(pair.arrived(&lower).await);
    // Of two images, the layers that are there stay behind.
    let said = pair.send(&[&lower, &upper, &other]).await.unwrap();
    assert_eq!(said[0], "2 images without 2 layers that are there");
    assert!(pair.arrived(&upper).await && pair.arrived(&other).await);
    assert_eq!(pair.content(&upper, "/a").await, "lower");
    assert_eq!(pair.content(&upper, "/b").await, "upper");
    assert_eq!(pair.content(&other, "/c").await, "other");
    assert_eq!(pair.send(&[&lower, &upper, &other]).await.unwrap(), Vec::<String>::new());

    // An image whose layers are all there is a name more.
    let named = format!("{}:named", pair.machine.prefix);
    pair.machine.will_make(&named);
    let options =
        bollard::query_parameters::TagImageOptionsBuilder::default().repo(&pair.machine.prefix).tag("named").build();
    pair.machine.docker.tag_image(&upper, Some(options)).await.unwrap();
    assert_eq!(pair.send(&[&named]).await.unwrap()[0], "1 images without 3 layers that are there");
    assert!(pair.arrived(&named).await);
}

#[tokio::test]
async fn what_was_interrupted_is_sent_again() {
    let pair = Pair::new("resend").await;
    let line = "RUN busybox dd if=/dev/urandom of=/noise bs=1M count=48";
    let image = pair.build(&pair.machine.image("noise", &["COPY a /a", line], &[("a", "noise")])).await;
    // As octo does that is killed: the connections end in the middle.
    let mut pieces = Box::pin(pair.from.client().export_image(&image));
    let first = pieces.next().await.unwrap();
    let cut = futures_util::stream::iter([first]).chain(futures_util::stream::pending());
    let options = bollard::query_parameters::ImportImageOptions::default();
    let mut answers = Box::pin(pair.to.client().import_image_stream(options, cut, None));
    let waited = tokio::time::timeout(std::time::Duration::from_millis(500), answers.next()).await;
    assert!(waited.is_err(), "it waits for the rest");
    drop(answers);
    assert!(!pair.arrived(&image).await);

    let said = pair.send(&[&image]).await.unwrap();
    assert!(said.iter().any(|line| line.ends_with(" MB")), "{said:?}");
    assert!(pair.arrived(&image).await);
    assert_eq!(pair.content(&image, "/a").await, "noise");

    let error = pair.send(&["octo-test/nowhere:1"]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Operation);
    assert!(error.hints.iter().any(|hint| hint.contains("octo build")), "{error:?}");
    pair.hosts.power_off("host1");
    let error = pair.send(&[&image]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Environment, "{error}");
}
