//! Plans that take servers out of the load and back.

use std::collections::BTreeSet;

use super::several_tests::{pair, place, waits};
use super::tests::{carry_out, up};
use super::{Goal, Scope, plan};
use crate::controller::fake::World;
use crate::model::desired::Desired;
use crate::model::name::Name;
use crate::model::operation::Operation;
use crate::model::plan::Plan;

/// The pair with other files for some containers.
fn changed(change: impl Fn(&str) -> bool) -> (Desired, World) {
    let desired = pair();
    let world = up(&desired);
    let mut changed = desired;
    for (name, container) in &mut changed.containers {
        if change(name) {
            container.files_digest.push_str("-changed");
        }
    }
    let world = World::new(changed.clone(), world.state());
    (changed, world)
}

fn drains(plan: &Plan) -> BTreeSet<String> {
    let drained = plan.nodes.iter().filter_map(|node| match &node.operation {
        Operation::DrainServer { container } => Some(container.clone()),
        _ => None,
    });
    drained.collect()
}

#[test]
fn what_is_made_anew_is_out_of_the_load_until_it_works() {
    let (desired, world) = changed(|name| name.contains("-app-"));
    let plan = plan(&Goal::Up, &desired, &world.snapshot());
    assert_eq!(drains(&plan), ["lab-app-api.ctl2".to_owned(), "lab-app-api.node".to_owned()].into());
    for node in ["node", "ctl2"] {
        let of = |words: &str| place(&plan, &format!("{words} lab-app-api.{node}"));
        let drain = place(&plan, &format!("take lab-app-api.{node} out of the load"));
        let restore = place(&plan, &format!("give lab-app-api.{node} load again"));
        assert!(waits(&plan, of("stop"), drain) && waits(&plan, restore, of("wait for")), "{plan}");
    }
    let first_is_back = place(&plan, "give lab-app-api.node load again");
    assert!(waits(&plan, place(&plan, "take lab-app-api.ctl2 out of the load"), first_is_back), "{plan}");
    carry_out(&world, &desired, &Goal::Up);
    assert!(world.state().seen.drained.is_empty());
}

#[test]
fn what_uses_a_service_on_its_node_is_out_of_the_load_too() {
    let (desired, world) = changed(|name| name.contains("-id-api"));
    let plan = plan(&Goal::Up, &desired, &world.snapshot());
    let stop = place(&plan, "stop lab-id-api.node");
    assert!(waits(&plan, stop, place(&plan, "take lab-app-api.node out of the load")), "{plan}");
    // It uses the new one as soon as it has load again.
    let restore = place(&plan, "give lab-app-api.node load again");
    assert!(waits(&plan, restore, place(&plan, "wait for lab-id-api.node")), "{plan}");
}

#[test]
fn a_server_that_nobody_could_replace_stays_in_the_load() {
    let (desired, world) = changed(|name| name.contains("-app-"));
    let mut observed = world.snapshot();
    observed.containers.remove("lab-app-api.ctl2");
    let alone = plan(&Goal::Up, &desired, &observed);
    assert_eq!(drains(&alone), BTreeSet::new(), "{alone}");
}

#[test]
fn two_that_serve_the_same_are_not_out_of_the_load_at_once() {
    let (desired, world) = changed(|name| name.contains("-app-"));
    let mut observed = world.snapshot();
    observed.drained.insert("lab-app-api.ctl2".to_owned());
    let plan = plan(&Goal::Up, &desired, &observed);
    let restored = place(&plan, "give lab-app-api.ctl2 load again");
    for later in ["take lab-app-api.node out of the load", "stop lab-app-api.node"] {
        assert!(waits(&plan, place(&plan, later), restored), "{plan}");
    }
}

#[test]
fn load_balancers_read_their_files_before_anything_is_out_of_the_load() {
    let (desired, world) = changed(|name| name.contains("-app-") || name.contains("-proxy-"));
    let plan = plan(&Goal::Up, &desired, &world.snapshot());
    let drain = place(&plan, "take lab-app-api.node out of the load");
    for node in ["node", "ctl2"] {
        assert!(waits(&plan, drain, place(&plan, &format!("reload lab-proxy-proxy.{node}"))), "{plan}");
    }
}

#[test]
fn what_a_killed_octo_left_out_of_the_load_is_given_its_share() {
    let desired = pair();
    let mut state = up(&desired).state();
    state.seen.drained.insert("lab-app-api.ctl2".to_owned());
    let world = World::new(desired.clone(), state);
    let plan = carry_out(&world, &desired, &Goal::Up);
    let about: Vec<_> = plan.nodes.iter().filter_map(|node| node.operation.subject()).collect();
    assert_eq!(about, ["lab-app-api.ctl2"], "{plan}");
    assert!(world.state().seen.drained.is_empty());
}

#[test]
fn one_node_stops_alone_without_its_load_and_starts_again() {
    let desired = pair();
    let world = up(&desired);
    let ctl2 = || Scope { services: Vec::new(), node: Some(Name::fixed("ctl2")) };
    let stopped = carry_out(&world, &desired, &Goal::Stop(ctl2()));
    assert!(stopped.nodes.iter().all(|node| node.operation.subject().is_some_and(|name| name.ends_with(".ctl2"))));
    let stop = place(&stopped, "stop lab-app-api.ctl2");
    assert!(waits(&stopped, stop, place(&stopped, "take lab-app-api.ctl2 out of the load")), "{stopped}");
    assert!(plan(&Goal::Stop(ctl2()), &desired, &world.snapshot()).is_empty());

    let other = Scope { services: Vec::new(), node: Some(Name::fixed("node")) };
    let costs = plan(&Goal::Stop(other), &desired, &world.snapshot()).costs;
    assert!(costs.contains(&"without node nobody else would answer for app-api, id-api".to_owned()), "{costs:?}");

    // What has load again is seen only when it works.
    carry_out(&world, &desired, &Goal::Start(ctl2()));
    carry_out(&world, &desired, &Goal::Start(ctl2()));
    assert!(world.state().seen.drained.is_empty());
    let left = plan(&Goal::Up, &desired, &world.snapshot());
    assert!(left.is_empty(), "{left}");
}

#[test]
fn the_next_node_waits_for_what_a_killed_octo_has_started_on_the_one_before() {
    let (desired, world) = changed(|name| name.contains("-app-"));
    let first = plan(&Goal::Up, &desired, &world.snapshot());
    for node in &first.nodes {
        world.apply(&node.operation).unwrap();
        if node.operation.to_string() == "start lab-app-api.node" {
            break;
        }
    }
    let rest = plan(&Goal::Up, &desired, &world.snapshot());
    let serves = place(&rest, "give lab-app-api.node load again");
    assert!(waits(&rest, serves, place(&rest, "wait for lab-app-api.node")), "{rest}");
    let drained = place(&rest, "take lab-app-api.ctl2 out of the load");
    assert!(waits(&rest, drained, serves) && waits(&rest, place(&rest, "stop lab-app-api.ctl2"), drained), "{rest}");
}

/// The pair with a container that yields to the load balancer of its node, and another balancer.
fn with_another_balancer(scope: &[&'static str]) -> Plan {
    let mut desired = pair();
    for (name, container) in &mut desired.containers {
        if name.contains("-app-") {
            container.yields_to.insert(Name::fixed("proxy"));
        }
    }
    let world = up(&desired);
    for (name, container) in &mut desired.containers {
        if name.contains("-proxy-") {
            container.process.pids += 1;
        }
    }
    let goal = if scope.is_empty() {
        Goal::Up
    } else {
        Goal::Run { services: scope.iter().map(|name| Name::fixed(name)).collect() }
    };
    let world = World::new(desired.clone(), world.state());
    let plan = carry_out(&world, &desired, &goal);
    assert!(super::plan(&goal, &desired, &world.snapshot()).is_empty(), "twice is once");
    plan
}

#[test]
fn what_yields_stops_before_and_starts_when_the_other_works() {
    for scope in [&[][..], &["proxy"]] {
        let plan = with_another_balancer(scope);
        for node in ["node", "ctl2"] {
            let of = |words: &str, name: &str| place(&plan, &format!("{words} lab-{name}.{node}"));
            assert!(waits(&plan, of("stop", "proxy-proxy"), of("stop", "app-api")), "{plan}");
            assert!(waits(&plan, of("start", "app-api"), of("wait for", "proxy-proxy")), "{plan}");
        }
        assert!(!plan.nodes.iter().any(|node| node.operation.to_string().starts_with("remove container lab-app")));
    }
}
