//! Plans for one node of several: out of its work, out of the cloud, and back.

use insta::assert_snapshot;

use super::several_tests::{node, of_pair, pair, place, waits};
use super::tests::{carry_out, cloud, up};
use super::{Goal, Scope, plan};
use crate::controller::fake::World;
use crate::model::desired::Desired;
use crate::model::name::Name;
use crate::model::node::Role;
use crate::model::operation::Operation;
use crate::model::plan::Plan;

fn of_node(name: &'static str) -> Scope {
    Scope { services: Vec::new(), node: Some(Name::fixed(name)) }
}

fn remove(name: &'static str, volumes: bool) -> Goal {
    Goal::Remove { node: Some(Name::fixed(name)), volumes }
}

fn drain(name: &'static str) -> Goal {
    Goal::Drain { node: Name::fixed(name) }
}

fn ready(name: &'static str) -> Goal {
    Goal::Ready { node: Name::fixed(name) }
}

fn on<'a>(names: impl Iterator<Item = &'a String>, node: &str) -> Vec<&'a String> {
    names.filter(|name| name.ends_with(&format!(".{node}"))).collect()
}

/// Whether a plan touches what is on one node alone; that the cloud works may be proved.
fn is_about(plan: &Plan, node: &str) -> bool {
    plan.nodes.iter().all(|planned| match &planned.operation {
        Operation::IssueToken => true,
        Operation::RemoveLogs { node: of } => of.as_str() == node,
        operation => operation.subject().is_some_and(|name| name.ends_with(&format!(".{node}"))),
    })
}

#[test]
fn a_removed_node_leaves_the_others_as_they_are_and_is_made_whole_again() {
    let desired = pair();
    let world = up(&desired);
    let before = world.state().seen;
    let removal = carry_out(&world, &desired, &remove("ctl2", false));
    assert_snapshot!(removal);
    assert!(is_about(&removal, "ctl2") && removal.gates().next().is_none(), "{removal}");
    assert!(plan(&remove("ctl2", false), &desired, &world.snapshot()).is_empty());
    let left = world.state().seen;
    assert!(on(left.containers.keys(), "ctl2").is_empty() && on(left.networks.keys(), "ctl2").is_empty());
    assert!(on(left.files.keys(), "ctl2").is_empty());
    assert_eq!((&left.volumes, &left.secrets), (&before.volumes, &before.secrets));
    for other in ["node", "wit"] {
        assert_eq!(on(left.containers.keys(), other), on(before.containers.keys(), other));
        assert_eq!(on(left.files.keys(), other), on(before.files.keys(), other));
    }

    let again = carry_out(&world, &desired, &Goal::Up);
    assert!(is_about(&again, "ctl2"), "{again}");
    let after = world.state().seen;
    assert_eq!((after.containers, after.networks), (before.containers, before.networks));
    assert_eq!((after.files, after.drained), (before.files, before.drained));
    let rest = plan(&Goal::Up, &desired, &world.snapshot());
    assert!(rest.is_empty(), "{rest}");
}

#[test]
fn data_of_one_node_goes_behind_gates_and_the_secrets_stay() {
    let desired = pair();
    let world = up(&desired);
    let removal = carry_out(&world, &desired, &remove("ctl2", true));
    let gates: Vec<String> = removal.gates().map(|node| node.operation.to_string()).collect();
    assert_eq!(gates, ["remove log files of ctl2", "remove volume lab-db-data.ctl2"]);
    let logs = place(&removal, "remove log files of ctl2");
    assert!(waits(&removal, logs, place(&removal, "remove container lab-db-server.ctl2")), "{removal}");
    assert!(waits(&removal, place(&removal, "remove volume lab-db-data.ctl2"), logs), "{removal}");
    let state = world.state().seen;
    assert!(!state.secrets.is_empty() && on(state.volumes.iter(), "node").len() == 1);
    assert!(plan(&remove("ctl2", true), &desired, &world.snapshot()).is_empty());
    carry_out(&world, &desired, &Goal::Up);
    assert!(plan(&Goal::Up, &desired, &world.snapshot()).is_empty());
}

#[test]
fn what_users_lose_with_a_node_is_told_if_it_works_now() {
    let desired = pair();
    let world = up(&desired);
    let costs = |goal: &Goal| plan(goal, &desired, &world.snapshot()).costs;
    assert!(costs(&remove("ctl2", false)).is_empty() && costs(&Goal::Stop(of_node("wit"))).is_empty());
    carry_out(&world, &desired, &Goal::Stop(of_node("wit")));
    let votes = ["without ctl2 database would have 1 of 3 votes"];
    assert_eq!(costs(&Goal::Stop(of_node("ctl2"))), votes);
    assert_eq!(costs(&remove("ctl2", true)), votes);
    let app = |services| Goal::Stop(Scope { services, node: Some(Name::fixed("ctl2")) });
    assert!(costs(&app(vec![Name::fixed("app")])).is_empty());
    assert_eq!(costs(&app(vec![Name::fixed("db")])), ["without db of ctl2 database would have 1 of 3 votes"]);
    assert!(costs(&drain("ctl2")).is_empty(), "it goes on running");
    assert!(costs(&Goal::Stop(Scope::default())).is_empty(), "whoever stops all of it knows");
    carry_out(&world, &desired, &Goal::Stop(of_node("ctl2")));
    assert!(costs(&remove("ctl2", true)).is_empty(), "nothing of it works");
}

#[test]
fn a_drained_node_goes_on_running_until_it_gets_its_load_back() {
    let desired = pair();
    let world = up(&desired);
    assert_snapshot!(carry_out(&world, &desired, &drain("ctl2")), @r"
    0 take lab-app-api.ctl2 out of the load (asked for)
    1 take lab-id-api.ctl2 out of the load (asked for)
    ");
    assert!(plan(&drain("ctl2"), &desired, &world.snapshot()).is_empty());
    let mut partly = world.snapshot();
    partly.partly_drained.insert("lab-id-api.ctl2".to_owned());
    assert_snapshot!(plan(&drain("ctl2"), &desired, &partly), @"0 take lab-id-api.ctl2 out of the load (asked for)");

    let mut observed = world.snapshot();
    observed.vip_holder = Some(Name::fixed("node"));
    assert_snapshot!(plan(&drain("node"), &desired, &observed), @r"
    note: lab-app-api.node stays in the load: nobody else serves the same
    note: lab-id-api.node stays in the load: nobody else serves the same
    note: node keeps the VIPs until it stops: octo stop --node node
    ");

    let other = plan(&Goal::Start(of_node("node")), &desired, &world.snapshot());
    assert!(other.is_empty(), "it is another node: {other}");
    for goal in [Goal::Up, Goal::Run { services: Vec::new() }, Goal::Start(of_node("ctl2"))] {
        let back = plan(&goal, &desired, &world.snapshot());
        let about: Vec<_> = back.nodes.iter().filter_map(|node| node.operation.subject()).collect();
        assert_eq!(about, ["lab-app-api.ctl2", "lab-id-api.ctl2"], "{back}");
    }
    assert_snapshot!(carry_out(&world, &desired, &ready("ctl2")), @r"
    0 give lab-app-api.ctl2 load again (it was left out of the load)
    1 give lab-id-api.ctl2 load again (it was left out of the load)
    ");
    assert!(plan(&ready("ctl2"), &desired, &world.snapshot()).is_empty());
    assert!(world.state().seen.drained.is_empty());
}

#[test]
fn what_does_not_work_gets_no_load() {
    let desired = pair();
    let world = up(&desired);
    carry_out(&world, &desired, &Goal::Stop(of_node("ctl2")));
    let still = plan(&ready("ctl2"), &desired, &world.snapshot());
    assert_snapshot!(still, @r"
    note: lab-app-api.ctl2 does not work, and stays out of the load: octo up
    note: lab-id-api.ctl2 does not work, and stays out of the load: octo up
    ");
}

#[test]
fn a_node_that_does_not_answer_is_left_as_it_is() {
    let desired = pair();
    let world = up(&desired);
    world.cut_off(&Name::fixed("ctl2"));
    for goal in [remove("ctl2", true), drain("ctl2"), ready("ctl2")] {
        let left = plan(&goal, &desired, &world.snapshot());
        assert!(left.is_empty() && left.notes[0].starts_with("node ctl2 does not answer"), "{left}");
    }
}

/// The pair with something on every node for instances, and maybe a node for these alone.
fn with_computes(third: bool) -> Desired {
    cloud(|settings, catalog| {
        of_pair(settings, catalog);
        if third {
            settings.nodes.push(node("cmp1", 14, &[Role::Compute]));
        }
        let app = catalog.services.get_mut("app").unwrap();
        let mut agent = app.containers["api"].clone();
        agent.roles = vec![Role::Compute];
        app.containers.insert(Name::fixed("agent"), agent);
    })
}

#[test]
fn a_node_that_is_no_longer_described_is_forgotten_by_the_others() {
    let before = with_computes(true);
    let world = up(&before);
    let removal = carry_out(&world, &before, &remove("cmp1", true));
    place(&removal, "remove container lab-app-agent.cmp1");
    assert!(is_about(&removal, "cmp1"), "{removal}");

    // Nobody asks its engine any more, and the others' files do not name it.
    let mut after = with_computes(false);
    for container in after.containers.values_mut().filter(|container| container.node == Name::fixed("ctl2")) {
        container.files_digest.push_str("-without-cmp1");
    }
    let mut state = world.state();
    state.seen.peers.remove("cmp1");
    let world = World::new(after.clone(), state);
    let change = carry_out(&world, &after, &Goal::Up);
    assert!(!change.to_string().contains("cmp1") && !change.is_empty(), "{change}");
    let rest = plan(&Goal::Up, &after, &world.snapshot());
    assert!(rest.is_empty() && rest.notes.is_empty(), "{rest}");
}
