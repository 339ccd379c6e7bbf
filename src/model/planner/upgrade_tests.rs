//! Plans after another image: what it makes of data comes first, and the old containers serve meanwhile.

use super::several_tests::{pair, place, waits};
use super::tests::{carry_out, up};
use super::{Goal, plan};
use crate::controller::fake::World;
use crate::model::desired::Desired;
use crate::model::observed::Reached;
use crate::model::operation::Operation;

/// The pair, which is up, with another image of the services `id` and `app`.
fn with_other_image() -> (Desired, World) {
    let mut desired = pair();
    let world = up(&desired);
    desired.images.get_mut("id").unwrap().tag = "octo/id:2".to_owned();
    let containers = desired.containers.values_mut().map(|container| &mut container.process);
    let jobs = desired.jobs.values_mut().map(|job| &mut job.process);
    for process in containers.chain(jobs) {
        process.image = process.image.replace("octo/id:1", "octo/id:2");
    }
    let world = World::new(desired.clone(), world.state());
    carry_out(&world, &desired, &Goal::Build { services: Vec::new() });
    (desired, world)
}

#[test]
fn the_schema_comes_before_anything_is_out_of_the_load_and_nodes_change_one_after_the_other() {
    let (desired, world) = with_other_image();
    let run = Goal::Run { services: Vec::new() };
    let plan = plan(&run, &desired, &world.snapshot());
    let upgraded = place(&plan, "run job lab-id-schema");
    let serves = place(&plan, "give lab-id-api.node load again");
    for first in ["take lab-id-api.node out of the load", "stop lab-id-api.node"] {
        assert!(waits(&plan, place(&plan, first), upgraded), "{first}:\n{plan}");
    }
    for second in ["take lab-id-api.ctl2 out of the load", "stop lab-id-api.ctl2"] {
        assert!(waits(&plan, place(&plan, second), serves), "{second}:\n{plan}");
    }
    carry_out(&world, &desired, &run);
    let left = super::plan(&run, &desired, &world.snapshot());
    assert!(left.is_empty() && left.notes.is_empty(), "{left}");
}

#[test]
fn a_run_that_ends_anywhere_is_completed_by_the_next() {
    let (desired, first) = with_other_image();
    let run = Goal::Run { services: Vec::new() };
    let count = plan(&run, &desired, &first.snapshot()).nodes.len();
    for done in 0..count {
        let world = World::new(desired.clone(), first.state());
        for node in &plan(&run, &desired, &world.snapshot()).nodes[..done] {
            world.apply(&node.operation).unwrap();
        }
        carry_out(&world, &desired, &run);
        // What has load again is seen only when it works.
        carry_out(&world, &desired, &run);
        let left = plan(&run, &desired, &world.snapshot());
        assert!(left.is_empty(), "after {done} operations:\n{left}");
    }
}

#[test]
fn without_a_word_from_the_database_nothing_is_planned_that_needs_it() {
    let (desired, world) = with_other_image();
    let mut observed = world.snapshot();
    observed.database = Reached::Silent("no answer".to_owned());
    let plan = plan(&Goal::Run { services: Vec::new() }, &desired, &observed);
    let job = Operation::RunJob { job: "lab-id-schema".to_owned() };
    assert!(!plan.nodes.iter().any(|node| node.operation == job), "{plan}");
}
