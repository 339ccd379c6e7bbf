//! Plans for copies of the secrets.

use super::several_tests::{pair, place, waits};
use super::tests::{carry_out, up};
use super::{Goal, plan};
use crate::controller::fake::{State, World};
use crate::model::desired::Desired;
use crate::model::name::Name;
use crate::model::observed::Observed;
use crate::model::state_copy::StateCopy;

fn copies(observed: &Observed) -> Vec<&str> {
    observed.state_copies.keys().map(Name::as_str).collect()
}

/// The cloud after a change of its secrets.
fn changed(mut desired: Desired, generation: u64) -> Desired {
    desired.state_copy = StateCopy { generation, secrets: format!("secrets-{generation}"), rest: "same".to_owned() };
    desired
}

#[test]
fn control_nodes_have_copies_once_secrets_are_stored_and_images_are_there() {
    let desired = pair();
    let world = World::new(desired.clone(), State::default());
    let first = plan(&Goal::Up, &desired, &world.snapshot());
    let copy = place(&first, "copy secrets and configuration to ctl2");
    assert!(first.nodes.iter().any(|node| node.operation.to_string().starts_with("store ")), "{first}");
    for node in &first.nodes {
        let words = node.operation.to_string();
        if words.starts_with("store ") || words.ends_with(" to ctl2") {
            assert!(waits(&first, copy, node.id), "before `{words}`:\n{first}");
        }
    }
    carry_out(&world, &desired, &Goal::Up);
    assert_eq!(copies(&world.snapshot()), ["ctl2", "node"], "and not the witness");
    assert!(plan(&Goal::Up, &desired, &world.snapshot()).is_empty());
}

#[test]
fn copies_follow_a_change_and_go_with_the_data() {
    let desired = pair();
    let world = up(&desired);
    let desired = changed(desired, 1);
    let world = World::new(desired.clone(), world.state());
    let run = Goal::Run { services: vec![Name::fixed("db")] };
    let plan = carry_out(&world, &desired, &run);
    place(&plan, "copy secrets and configuration to ctl2");
    assert_eq!(world.snapshot().state_copies[&Name::fixed("ctl2")], desired.state_copy);
    carry_out(&world, &desired, &Goal::Remove { node: None, volumes: false });
    assert_eq!(copies(&world.snapshot()), ["ctl2", "node"]);
    carry_out(&world, &desired, &Goal::Remove { node: None, volumes: true });
    assert_eq!(copies(&world.snapshot()), Vec::<&str>::new());
}

#[test]
fn a_copy_that_is_not_older_is_not_replaced() {
    let world = up(&changed(pair(), 4));
    for mine in [3, 4] {
        let mut desired = changed(pair(), mine);
        desired.state_copy.secrets = "of another octo".to_owned();
        let plan = plan(&Goal::Up, &desired, &world.snapshot());
        assert!(!plan.nodes.iter().any(|node| node.operation.to_string().ends_with(" to ctl2")), "{plan}");
        assert!(plan.obstacles[0].message.contains("ctl2 has other secrets"), "{plan}");
        assert!(plan.obstacles[0].repair.ends_with("octo secrets restore ctl2"), "{plan}");
    }
}

#[test]
fn lost_secrets_are_looked_for_on_other_nodes() {
    let desired = pair();
    let world = up(&desired);
    let mut observed = world.snapshot();
    observed.secrets.clear();
    observed.state_copies.remove(&desired.node);
    let plan = plan(&Goal::Up, &desired, &observed);
    assert_eq!(plan.obstacles[0].repair, "ctl2 has a copy: octo secrets restore ctl2");
}
