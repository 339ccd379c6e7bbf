//! Plans for a cloud of two control nodes and a witness.

use std::collections::BTreeSet;

use insta::assert_snapshot;

use super::tests::{carry_out, cloud, up};
use super::{Goal, Scope, plan};
use crate::controller::fake::{State, World};
use crate::model::catalog::Catalog;
use crate::model::desired::Desired;
use crate::model::name::Name;
use crate::model::node::Role;
use crate::model::observed::RunState;
use crate::model::operation::Operation;
use crate::model::plan::{NodeId, Plan};
use crate::model::settings::{NodeSettings, Settings};

pub(super) fn node(name: &'static str, last: u8, roles: &[Role]) -> NodeSettings {
    NodeSettings {
        name: Name::fixed(name),
        address: [192, 0, 2, last].into(),
        engine: "unix:///var/run/docker.sock".to_owned(),
        roles: roles.to_vec(),
        number: None,
        tls: None,
    }
}

/// The pair and its witness; octo runs on the first.
pub(crate) fn pair() -> Desired {
    cloud(of_pair)
}

/// Both files of such a cloud.
pub(super) fn of_pair(settings: &mut Settings, catalog: &mut Catalog) {
    settings.nodes = vec![
        node("node", 11, &[Role::Control, Role::Compute]),
        node("ctl2", 12, &[Role::Control, Role::Compute]),
        node("wit", 13, &[Role::Witness]),
    ];
    settings.network.management.subnet = "10.203.0.0/16".parse().unwrap();
    settings.network.external_vip = [192, 0, 2, 10].into();
    let db = catalog.services.get_mut("db").unwrap();
    let server = db.containers.get_mut("server").unwrap();
    server.roles = vec![Role::Control, Role::Witness];
}

pub(crate) fn place(plan: &Plan, operation: &str) -> NodeId {
    let found = plan.nodes.iter().find(|node| node.operation.to_string() == operation);
    found.unwrap_or_else(|| panic!("no `{operation}` in\n{plan}")).id
}

/// Whether one operation waits for another, at whatever distance.
pub(crate) fn waits(plan: &Plan, later: NodeId, earlier: NodeId) -> bool {
    let mut awaited = BTreeSet::from([later]);
    // Dependencies stand before their nodes.
    for node in plan.nodes.iter().rev().filter(|node| node.id <= later) {
        if awaited.contains(&node.id) {
            awaited.extend(&node.after);
        }
    }
    awaited.contains(&earlier)
}

#[test]
fn up_from_nothing_on_a_pair() {
    let desired = pair();
    let world = World::new(desired.clone(), State::default());
    assert_snapshot!(plan(&Goal::Up, &desired, &world.snapshot()));
}

#[test]
fn nodes_change_one_after_the_other() {
    let desired = pair();
    let world = up(&desired);
    let mut changed = desired.clone();
    for container in changed.containers.values_mut().filter(|found| found.container.as_str() == "api") {
        container.files_digest.push_str("-changed");
    }
    let plan = plan(&Goal::Up, &changed, &world.snapshot());
    for first in ["lab-app-api.node", "lab-id-api.node"] {
        let works = place(&plan, &format!("wait for {first}"));
        for second in ["lab-app-api.ctl2", "lab-id-api.ctl2"] {
            let stop = place(&plan, &format!("stop {second}"));
            assert!(waits(&plan, stop, works), "{second} is stopped before {first} works:\n{plan}");
        }
    }
    assert!(!plan.nodes.iter().any(|node| node.operation.to_string().contains("db-server")), "{plan}");
}

#[test]
fn the_node_with_the_vips_changes_last() {
    let desired = pair();
    let world = up(&desired);
    let mut changed = desired.clone();
    changed.containers.values_mut().for_each(|container| container.files_digest.push_str("-changed"));
    let mut observed = world.snapshot();
    observed.vip_holder = Some(Name::fixed("node"));
    let plan = plan(&Goal::Up, &changed, &observed);
    for other in ["ctl2", "wit"] {
        let works = place(&plan, &format!("wait for lab-db-server.{other}"));
        let stop = place(&plan, "stop lab-db-server.node");
        assert!(waits(&plan, stop, works), "{other}:\n{plan}");
    }
}

#[test]
fn a_node_that_does_not_answer_is_left_as_it_is_and_caught_up_later() {
    let desired = pair();
    let world = up(&desired);
    let ctl2 = Name::fixed("ctl2");
    world.cut_off(&ctl2);
    let quiet = plan(&Goal::Up, &desired, &world.snapshot());
    assert!(quiet.is_empty() && quiet.notes[0].starts_with("node ctl2 does not answer"), "{quiet}");

    let mut changed = desired.clone();
    changed.containers.values_mut().for_each(|container| container.files_digest.push_str("-changed"));
    let world = World::new(changed.clone(), world.state());
    let plan = carry_out(&world, &changed, &Goal::Up);
    assert!(!plan.nodes.iter().any(|node| node.operation.subject().is_some_and(|name| name.ends_with(".ctl2"))));
    world.bring_back(&ctl2);
    let plan = carry_out(&world, &changed, &Goal::Up);
    assert!(
        plan.nodes.iter().any(|node| node.operation == Operation::SendImages { node: ctl2.clone(), count: 3 }),
        "{plan}"
    );
    let left = super::plan(&Goal::Up, &changed, &world.snapshot());
    assert!(left.is_empty(), "{left}");
}

#[test]
fn stop_start_and_removal_reach_all_nodes() {
    let desired = pair();
    let world = up(&desired);
    carry_out(&world, &desired, &Goal::Stop(Scope::default()));
    let alive =
        |world: &World| world.state().seen.containers.values().filter(|found| found.state == RunState::Running).count();
    assert_eq!(alive(&world), 0);
    carry_out(&world, &desired, &Goal::Start(Scope::default()));
    assert_eq!(alive(&world), desired.containers.len());
    let plan = carry_out(&world, &desired, &Goal::Remove { node: None, volumes: true });
    for node in ["node", "ctl2", "wit"] {
        place(&plan, &format!("remove network lab-management.{node}"));
    }
    let state = world.state().seen;
    assert!(state.containers.is_empty() && state.networks.is_empty() && state.volumes.is_empty(), "{state:?}");
}

#[test]
fn data_on_a_silent_node_keeps_the_secrets() {
    let desired = pair();
    let world = up(&desired);
    world.cut_off(&Name::fixed("wit"));
    let plan = carry_out(&world, &desired, &Goal::Remove { node: None, volumes: true });
    assert!(!plan.nodes.iter().any(|node| node.operation == Operation::RemoveState), "{plan}");
    assert!(plan.notes.iter().any(|note| note.starts_with("node wit does not answer")), "{plan}");
}
