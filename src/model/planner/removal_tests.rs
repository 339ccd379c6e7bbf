//! What a removal runs before the rest of the cloud goes.

use insta::assert_snapshot;

use super::tests::{carry_out, cloud, up};
use super::{Goal, plan};
use crate::model::catalog::Catalog;
use crate::model::operation::Operation;

const KEEPING: Goal = Goal::Remove { node: None, volumes: false };
const ALL: Goal = Goal::Remove { node: None, volumes: true };

/// Gives a service a removal job.
fn sweep(catalog: &mut Catalog, service: &str, name: &str, yaml: &str) {
    let job = serde_saphyr::from_str(yaml).unwrap();
    catalog.services.get_mut(service).unwrap().jobs.insert(name.parse().unwrap(), job);
}

#[test]
fn runs_when_containers_are_gone_and_before_what_it_needs_goes() {
    let desired = cloud(|_, _| ());
    let world = up(&desired);
    assert_eq!(world.state().traces, ["db".parse().unwrap()].into());
    assert_snapshot!(plan(&ALL, &desired, &world.snapshot()));
    carry_out(&world, &desired, &KEEPING);
    assert!(world.state().traces.is_empty());
    assert!(plan(&KEEPING, &desired, &world.snapshot()).is_empty());
    carry_out(&world, &desired, &ALL);
    assert!(plan(&ALL, &desired, &world.snapshot()).is_empty());
}

#[test]
fn is_no_part_of_an_initialisation() {
    let desired = cloud(|_, _| ());
    assert!(!desired.services["db"].held && desired.services["id"].held);
    let world = up(&desired);
    let state = world.state();
    assert!(state.started.contains(&"lab-db-server".to_owned()));
    assert!(!state.database.jobs.contains_key("lab-db-sweep"), "{:?}", state.database.jobs);
}

#[test]
fn is_due_until_its_own_files_are_gone() {
    let desired = cloud(|_, _| ());
    let world = up(&desired);
    let all = plan(&KEEPING, &desired, &world.snapshot());
    let ran = |operation: &Operation| matches!(operation, Operation::RunJob { .. });
    for node in all.nodes.iter().take_while(|node| !ran(&node.operation)) {
        world.apply(&node.operation).unwrap();
    }
    assert!(world.state().seen.containers.is_empty());
    assert_snapshot!(plan(&KEEPING, &desired, &world.snapshot()));
}

#[test]
fn those_of_dependents_come_first() {
    let desired = cloud(|_, catalog| {
        sweep(catalog, "app", "last", "{command: [last], at_removal: true, after: [first]}");
        sweep(catalog, "app", "first", "{command: [first], at_removal: true}");
    });
    let world = up(&desired);
    let all = plan(&KEEPING, &desired, &world.snapshot());
    let of = |name: &str| {
        let run = Operation::RunJob { job: name.to_owned() };
        all.nodes.iter().find(|node| node.operation == run).unwrap_or_else(|| panic!("{name}: {all}"))
    };
    assert!(of("lab-app-last").after.contains(&of("lab-app-first").id), "{all}");
    assert!(of("lab-db-sweep").after.contains(&of("lab-app-last").id), "{all}");
    carry_out(&world, &desired, &KEEPING);
    assert!(world.state().traces.is_empty());
}

#[test]
fn what_prevents_it_is_said_and_the_rest_goes() {
    let desired = cloud(|_, catalog| {
        sweep(catalog, "proxy", "sweep", "{command: [sweep], at_removal: true}");
        sweep(catalog, "id", "sweep", "{command: [sweep], at_removal: true}");
    });
    let world = up(&desired);
    let mut observed = world.snapshot();
    observed.rivals.insert("lab-proxy-proxy".to_owned(), "other".to_owned());
    observed.images.remove("octo/db:1");
    observed.bridge = None;
    let rest = plan(&KEEPING, &desired, &observed);
    assert!(!rest.nodes.iter().any(|node| matches!(node.operation, Operation::RunJob { .. })), "{rest}");
    assert_snapshot!(rest.left_out.join("\n"));
    observed.images = world.snapshot().images;
    observed.volumes.clear();
    assert_snapshot!(plan(&KEEPING, &desired, &observed).left_out.join("\n"));
}
