//! A lock on an engine lives as long as the process that holds it.

use std::collections::HashMap;
use std::time::Duration;

use octo::controller::docker::Engine;
use octo::controller::docker::hold::{Hold, Holding};
use octo::error::ErrorKind;
use octo::model::label;

use super::scene::Scene;

fn labels(scene: &Scene, who: &str) -> HashMap<String, String> {
    let labels = [(label::CLOUD, scene.cloud.as_str()), (label::CARRIER, "lock"), (label::HOLDER, who)];
    labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn mine(holding: Holding) -> Hold {
    match holding {
        Holding::Mine(hold) => hold,
        other => panic!("{other:?}"),
    }
}

/// Waits until nobody has it.
async fn free(engine: &Engine, name: &str) {
    for _ in 0..100 {
        if engine.container(name).await.unwrap().is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{name} is still there");
}

#[tokio::test]
async fn one_holds_it_and_others_see_who() {
    let scene = Scene::new().await;
    let (image, name) = (scene.image(), format!("{}.lock.node", scene.cloud));
    let hold = async |who: &str| scene.engine.hold(&name, &image, &labels(&scene, who)).await;

    assert!(matches!(
        scene.engine.hold(&name, "octo-test/nowhere:1", &labels(&scene, "first")).await.unwrap(),
        Holding::NoImage
    ));
    let first = mine(hold("first").await.unwrap());
    match hold("second").await.unwrap() {
        Holding::Others(labels) => assert_eq!(labels[label::HOLDER], "first"),
        other => panic!("{other:?}"),
    }
    assert!(scene.engine.inventory(&scene.cloud).await.unwrap().containers.is_empty(), "it is no part of the cloud");
    first.release().await.unwrap();
    assert!(scene.engine.container(&name).await.unwrap().is_none());

    // As when its process is killed: nobody says goodbye.
    drop(mine(hold("third").await.unwrap()));
    free(&scene.engine, &name).await;

    // Whoever has lost it does not take it from the next.
    let fourth = mine(hold("fourth").await.unwrap());
    scene.engine.remove_container(&name).await.unwrap();
    let fifth = mine(hold("fifth").await.unwrap());
    fourth.release().await.unwrap();
    match hold("sixth").await.unwrap() {
        Holding::Others(labels) => assert_eq!(labels[label::HOLDER], "fifth"),
        other => panic!("{other:?}"),
    }
    fifth.release().await.unwrap();
}

#[tokio::test]
async fn what_is_of_another_cloud_is_left_alone() {
    let scene = Scene::new().await;
    let (image, name) = (scene.image(), format!("{}.lock.other", scene.cloud));
    let first = mine(scene.engine.hold(&name, &image, &labels(&scene, "first")).await.unwrap());
    let mut others = labels(&scene, "second");
    others.insert(label::CLOUD.to_owned(), "other".to_owned());
    let error = scene.engine.hold(&name, &image, &others).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Environment, "{error}");
    first.release().await.unwrap();
}
