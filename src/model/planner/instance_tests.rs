//! What stop and removal mean for the instances of a cloud's users.

use insta::assert_snapshot;

use super::tests::{cloud, up};
use super::{Goal, Scope, plan};
use crate::controller::fake::World;
use crate::model::demo::IMAGE;
use crate::model::desired::{Desired, DesiredImage};
use crate::model::name::Name;
use crate::model::observed::{Observed, ObservedInstances};

/// A cloud that is up, whose `app` makes instances; one runs, one does not.
fn with_instances() -> (Desired, World, Observed) {
    let mut desired = cloud(|_, _| ());
    let compute = desired.containers.get_mut("lab-app-api").unwrap();
    compute.process.engine_socket = Some("/run/docker.sock".to_owned());
    let world = up(&desired);
    let mut observed = world.snapshot();
    observed.instances = ObservedInstances {
        running: ["one".to_owned()].into(),
        all: ["one".to_owned(), "two".to_owned()].into(),
        images: ["octo-instances/lab:1".to_owned()].into(),
    };
    (desired, world, observed)
}

#[test]
fn instances_stop_with_the_cloud_after_the_compute_service() {
    let (desired, _, observed) = with_instances();
    let whole = plan(&Goal::Stop(Scope::default()), &desired, &observed);
    assert_snapshot!(whole);
    let one = plan(&Goal::Stop(Scope { services: vec!["app".parse().unwrap()], node: None }), &desired, &observed);
    assert_snapshot!(one);
}

#[test]
fn a_whole_build_makes_the_image_of_instances_too() {
    let (mut desired, _, mut observed) = with_instances();
    let image = DesiredImage { tag: "octo/instance:1".to_owned(), ..desired.images.values().next().unwrap().clone() };
    desired.images.insert(Name::fixed(IMAGE), image);
    let build = |services| Goal::Build { services };
    let planned = |goal, desired: &Desired| plan(&goal, desired, &observed).to_string();
    assert!(planned(build(Vec::new()), &desired).contains("build image instance"));
    for goal in [build(vec![Name::fixed("app")]), Goal::Up] {
        assert!(!planned(goal, &desired).contains("build image instance"));
    }
    observed.images.insert("octo/instance:1".to_owned());
    assert!(plan(&build(Vec::new()), &desired, &observed).is_empty());
}

#[test]
fn instances_are_data() {
    let (desired, _, observed) = with_instances();
    let kept = plan(&Goal::Remove { node: None, volumes: false }, &desired, &observed);
    assert!(kept.gates().next().is_none());
    assert_snapshot!(kept.notes.join("\n"));
    let gone = plan(&Goal::Remove { node: None, volumes: true }, &desired, &observed);
    let gates: Vec<String> = gone.gates().map(|node| node.operation.to_string()).collect();
    assert_snapshot!(gates.join("\n"));
    assert_eq!(gone.faults(), Vec::<String>::new());
}

#[test]
fn what_a_node_has_room_for_once_is_not_started_beside_another_cloud_s() {
    let desired = cloud(|_, catalog| {
        let app = catalog.services.get_mut("app").unwrap();
        app.containers.get_mut("api").unwrap().once_per_node = true;
    });
    let world = World::new(desired.clone(), crate::controller::fake::State::default());
    let mut observed = world.snapshot();
    observed.rivals.insert("lab-app-api".to_owned(), "other".to_owned());
    let refused = plan(&Goal::Up, &desired, &observed);
    let said: Vec<String> = refused.obstacles.iter().map(|one| format!("{} -> {}", one.message, one.repair)).collect();
    assert_snapshot!(said.join("\n"));
    let up = up(&desired);
    let mut observed = up.snapshot();
    observed.rivals.insert("lab-app-api".to_owned(), "other".to_owned());
    assert!(plan(&Goal::Up, &desired, &observed).obstacles.is_empty(), "it runs already");
}
