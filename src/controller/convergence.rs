//! The most valuable test of the repository: from any world, after any prefix of a plan, planning
//! and carrying out again ends in a world for which nothing is left to do.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::model::desired::Desired;
use crate::model::node::Topology;
use crate::model::observed::{ObservedHealth, RunState};
use crate::model::operation::Operation;
use crate::model::plan::{Node, Plan};
use crate::model::planner::several_tests::pair;
use crate::model::planner::tests::cloud;
use crate::model::planner::{Goal, Scope, plan};

use super::fake::{State, World};

/// More rounds of planning than any recovery needs.
const ROUNDS: usize = 8;

/// Damage that a world can have taken since octo last looked.
#[derive(Clone, Debug)]
enum Damage {
    StopContainer(Index),
    RemoveContainer(Index),
    ForgetFiles(Index),
    TamperFiles(Index),
    OutdateContainer(Index),
    LoseBridge,
    LoseIdentity(Index),
    LoseDatabaseUser(Index),
    InterruptJob(Index, bool),
    StopAll,
    RemoveImage(Index),
    NotKept(Index),
    KeptWhileStopped(Index),
    Drained(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<Index>().prop_map(Damage::StopContainer),
        any::<Index>().prop_map(Damage::RemoveContainer),
        any::<Index>().prop_map(Damage::ForgetFiles),
        any::<Index>().prop_map(Damage::TamperFiles),
        any::<Index>().prop_map(Damage::OutdateContainer),
        Just(Damage::LoseBridge),
        any::<Index>().prop_map(Damage::LoseIdentity),
        any::<Index>().prop_map(Damage::LoseDatabaseUser),
        (any::<Index>(), any::<bool>()).prop_map(|(job, running)| Damage::InterruptJob(job, running)),
        Just(Damage::StopAll),
        any::<Index>().prop_map(Damage::RemoveImage),
        any::<Index>().prop_map(Damage::NotKept),
        any::<Index>().prop_map(Damage::KeptWhileStopped),
        any::<Index>().prop_map(Damage::Drained),
    ]
}

fn pick<T: Clone + Ord>(set: impl Iterator<Item = T>, index: Index) -> Option<T> {
    let all: Vec<T> = set.collect();
    (!all.is_empty()).then(|| all[index.index(all.len())].clone())
}

fn inflict(desired: &Desired, state: &mut State, damage: &Damage) {
    let containers = || state.seen.containers.keys().cloned();
    match damage {
        Damage::StopContainer(index) => {
            if let Some(name) = pick(containers(), *index) {
                let found = state.seen.containers.get_mut(&name).unwrap();
                found.state = if found.state == RunState::Created { RunState::Created } else { RunState::Exited(137) };
                found.health = ObservedHealth::Unknown;
            }
        }
        Damage::RemoveContainer(index) => {
            if let Some(name) = pick(containers(), *index) {
                state.seen.containers.remove(&name);
                state.seen.networks.values_mut().for_each(|network| {
                    network.containers.remove(&name);
                });
            }
        }
        Damage::ForgetFiles(index) => {
            if let Some(owner) = pick(state.seen.files.keys().cloned(), *index) {
                state.seen.files.remove(&owner);
            }
        }
        Damage::TamperFiles(index) => {
            if let Some(owner) = pick(state.seen.files.keys().cloned(), *index) {
                state.seen.files.insert(owner, "tampered".to_owned());
            }
        }
        Damage::OutdateContainer(index) => {
            if let Some(name) = pick(containers(), *index) {
                state.seen.containers.get_mut(&name).unwrap().fingerprint = "old".to_owned();
            }
        }
        // Among several nodes the engines keep the bridges.
        Damage::LoseBridge if desired.topology == Topology::Several => {}
        Damage::LoseBridge => {
            state.seen.bridge = None;
            let attached = |name: &String| desired.containers.get(name).is_some_and(|found| found.address.is_some());
            for (_, found) in state.seen.containers.iter_mut().filter(|(name, _)| attached(name)) {
                if found.state == RunState::Running {
                    found.detached = true;
                    found.health = ObservedHealth::Unhealthy("no route to host".to_owned());
                }
            }
        }
        Damage::LoseIdentity(index) => {
            if let Some(object) = pick(state.identity.objects.iter().cloned(), *index) {
                state.identity.objects.remove(&object);
            }
        }
        Damage::LoseDatabaseUser(index) => {
            if let Some(user) = pick(state.database.users.keys().cloned(), *index) {
                state.database.users.remove(&user);
            }
        }
        Damage::InterruptJob(index, running) => {
            let Some(job) = pick(desired.jobs.keys().cloned(), *index) else { return };
            if let Some(record) = state.database.jobs.get_mut(&job)
                && let Some(fingerprint) = record.finished.take()
            {
                record.started = Some(fingerprint.clone());
                state.leave_unfinished(&desired.jobs[&job].fills);
                if *running {
                    let container = crate::model::observed::JobContainer { fingerprint, state: RunState::Running };
                    state.seen.job_containers.insert(job, container);
                }
            }
        }
        Damage::StopAll => {
            for found in state.seen.containers.values_mut().filter(|found| found.state == RunState::Running) {
                found.state = RunState::Exited(0);
                found.health = ObservedHealth::Unknown;
            }
        }
        Damage::RemoveImage(index) => {
            if let Some(tag) = pick(state.seen.images.iter().cloned(), *index) {
                state.seen.images.remove(&tag);
            }
        }
        // As an octo leaves it that was killed within a stop, and within a start.
        Damage::NotKept(index) => {
            if let Some(name) = pick(containers(), *index) {
                state.seen.containers.get_mut(&name).unwrap().kept_running = false;
            }
        }
        Damage::Drained(index) => {
            let servers = desired.frontends.values().flat_map(|frontend| &frontend.backends);
            if let Some(name) = pick(servers.map(|server| server.name.clone()), *index)
                && desired.topology == Topology::Several
            {
                state.seen.drained.insert(name);
            }
        }
        Damage::KeptWhileStopped(index) => {
            let stopped = containers().filter(|name| state.seen.containers[name].state != RunState::Running);
            if let Some(name) = pick(stopped, *index) {
                state.seen.containers.get_mut(&name).unwrap().kept_running = true;
            }
        }
    }
}

/// A plan's nodes in one of the orders that its dependencies allow: the executor may take any. The
/// first round takes what was planned last as early as it can, where a missing dependency shows.
fn any_order(plan: &Plan, round: usize) -> Vec<&Node> {
    let mut left: Vec<&Node> = plan.nodes.iter().collect();
    let mut order: Vec<&Node> = Vec::with_capacity(left.len());
    let mut done = BTreeSet::new();
    while !left.is_empty() {
        let ready = |node: &&Node| node.after.is_subset(&done);
        let next = if round == 0 { left.iter().rposition(ready) } else { left.iter().position(ready) };
        let node = left.remove(next.expect("a node whose dependencies are met"));
        done.insert(node.id);
        order.push(node);
    }
    order
}

/// Plans and carries out until nothing is left, and returns the number of rounds.
fn converge(world: &World, desired: &Desired, goal: &Goal) -> Result<usize, TestCaseError> {
    for round in 0..ROUNDS {
        let plan = plan(goal, desired, &world.snapshot());
        prop_assert_eq!(plan.faults(), Vec::<String>::new(), "{}", plan);
        prop_assert!(plan.obstacles.is_empty(), "{}", plan);
        if plan.is_empty() {
            return Ok(round);
        }
        for node in any_order(&plan, round) {
            let done = world.apply(&node.operation);
            prop_assert!(done.is_ok(), "{}: {}\n{}", node.operation, done.unwrap_err(), plan);
        }
    }
    Err(TestCaseError::fail(format!("not done after {ROUNDS} rounds: {}", plan(goal, desired, &world.snapshot()))))
}

fn everything_runs(world: &World, desired: &Desired) -> Result<(), TestCaseError> {
    let state = world.state();
    let running: BTreeSet<&String> = state
        .seen
        .containers
        .iter()
        .filter(|(_, found)| found.state == RunState::Running && found.health == ObservedHealth::Healthy)
        .filter(|(_, found)| found.kept_running)
        .map(|(name, _)| name)
        .collect();
    prop_assert_eq!(running, desired.containers.keys().collect::<BTreeSet<_>>());
    prop_assert_eq!(&state.identity.objects, &desired.identity);
    prop_assert!(state.seen.job_containers.is_empty());
    let filled = state.filled.iter().filter(|(_, whole)| **whole).map(|(database, _)| database);
    prop_assert_eq!(filled.collect::<BTreeSet<_>>(), desired.databases.keys().collect::<BTreeSet<_>>());
    prop_assert_eq!(&world.snapshot().drained, &BTreeSet::new());
    Ok(())
}

/// The cloud of one node, or that of two control nodes and a witness.
fn some_cloud(several: bool) -> Desired {
    if several { pair() } else { cloud(|_, _| ()) }
}

/// A cloud that is up, and what has happened to it since.
fn damaged(desired: &Desired, damages: &[Damage]) -> Result<World, TestCaseError> {
    let built = World::new(desired.clone(), State::default());
    converge(&built, desired, &Goal::Up)?;
    let mut state = built.state();
    for damage in damages {
        inflict(desired, &mut state, damage);
    }
    Ok(World::new(desired.clone(), state))
}

/// Carries out a prefix of a plan, as a killed octo does, and a part of what comes next if that is a job.
fn prefix(world: &World, desired: &Desired, goal: &Goal, cut: Index) {
    let plan = plan(goal, desired, &world.snapshot());
    if plan.nodes.is_empty() {
        return;
    }
    let order = any_order(&plan, 0);
    let (done, left) = order.split_at(cut.index(order.len() + 1));
    for node in done {
        if world.apply(&node.operation).is_err() {
            return;
        }
    }
    if let Some(node) = left.first()
        && let Operation::RunJob { job } = &node.operation
    {
        world.break_off(job);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_prefixes_then_up_converges(
        several in any::<bool>(),
        cuts in proptest::collection::vec(any::<Index>(), 0..6),
    ) {
        let desired = some_cloud(several);
        let world = World::new(desired.clone(), State::default());
        for cut in cuts {
            prefix(&world, &desired, &Goal::Up, cut);
        }
        converge(&world, &desired, &Goal::Up)?;
        everything_runs(&world, &desired)?;
    }

    #[test]
    fn any_damage_and_any_prefixes_then_up_converges(
        several in any::<bool>(),
        damages in proptest::collection::vec(damage(), 0..8),
        cuts in proptest::collection::vec(any::<Index>(), 0..4),
    ) {
        let desired = some_cloud(several);
        let world = damaged(&desired, &damages)?;
        for cut in cuts {
            prefix(&world, &desired, &Goal::Up, cut);
        }
        converge(&world, &desired, &Goal::Up)?;
        everything_runs(&world, &desired)?;
        for goal in [Goal::Run { services: Vec::new() }, Goal::Init] {
            let left = plan(&goal, &desired, &world.snapshot());
            prop_assert!(left.is_empty(), "{}", left);
        }
    }

    #[test]
    fn a_node_that_was_away_is_caught_up_with(
        damages in proptest::collection::vec(damage(), 0..4),
        away in any::<Index>(),
        cuts in proptest::collection::vec(any::<Index>(), 0..3),
    ) {
        let desired = pair();
        let world = damaged(&desired, &damages)?;
        let node = pick(desired.nodes.keys().filter(|node| **node != desired.node).cloned(), away).unwrap();
        world.cut_off(&node);
        for cut in cuts {
            prefix(&world, &desired, &Goal::Up, cut);
        }
        converge(&world, &desired, &Goal::Up)?;
        world.bring_back(&node);
        converge(&world, &desired, &Goal::Up)?;
        everything_runs(&world, &desired)?;
    }

    #[test]
    fn a_reboot_brings_back_what_ran_and_leaves_stopped_what_was_stopped(
        damages in proptest::collection::vec(damage(), 0..6),
        goals in proptest::collection::vec((any::<bool>(), any::<Index>()), 0..4),
    ) {
        let desired = cloud(|_, _| ());
        let world = damaged(&desired, &damages)?;
        let stop = Goal::Stop(Scope::default());
        for (start, cut) in goals {
            prefix(&world, &desired, if start { &Goal::Up } else { &stop }, cut);
        }
        converge(&world, &desired, &stop)?;
        world.reboot();
        let runs = |world: &World| world.state().seen.containers.values().any(|found| found.state == RunState::Running);
        prop_assert!(!runs(&world), "{:?}", world.state().seen.containers);
        converge(&world, &desired, &Goal::Up)?;
        world.reboot();
        everything_runs(&world, &desired)?;
    }

    #[test]
    fn any_prefix_of_a_removal_then_removal_leaves_nothing(
        several in any::<bool>(),
        damages in proptest::collection::vec(damage(), 0..4),
        cuts in proptest::collection::vec(any::<Index>(), 0..3),
    ) {
        let desired = some_cloud(several);
        let world = damaged(&desired, &damages)?;
        let goal = Goal::Remove { node: None, volumes: true };
        for cut in cuts {
            prefix(&world, &desired, &goal, cut);
        }
        converge(&world, &desired, &goal)?;
        let left = world.state().seen;
        prop_assert!(left.containers.is_empty() && left.job_containers.is_empty());
        prop_assert!(left.networks.is_empty() && left.bridge.is_none() && left.volumes.is_empty());
        prop_assert!(left.files.is_empty() && left.secrets.is_empty());
        let lost_image = damages.iter().any(|damage| matches!(damage, Damage::RemoveImage(_)));
        prop_assert!(lost_image || world.state().traces.is_empty(), "{:?}", world.state().traces);
    }

    #[test]
    fn any_prefix_of_a_removal_that_keeps_data_takes_all_traces_away(
        several in any::<bool>(),
        damages in proptest::collection::vec(damage(), 0..4),
        cuts in proptest::collection::vec(any::<Index>(), 0..3),
    ) {
        let desired = some_cloud(several);
        let world = damaged(&desired, &damages)?;
        let goal = Goal::Remove { node: None, volumes: false };
        for cut in cuts {
            prefix(&world, &desired, &goal, cut);
        }
        converge(&world, &desired, &goal)?;
        let left = world.state();
        prop_assert!(left.seen.containers.is_empty() && left.seen.job_containers.is_empty());
        prop_assert!(left.seen.files.is_empty() && !left.seen.volumes.is_empty());
        // Where somebody has taken containers and files away, nothing says that there was a cloud.
        let blind = |damage: &Damage| matches!(damage, Damage::RemoveImage(_) | Damage::ForgetFiles(_));
        prop_assert!(damages.iter().any(blind) || left.traces.is_empty(), "{:?}", left.traces);
        converge(&world, &desired, &Goal::Up)?;
        everything_runs(&world, &desired)?;
    }

    #[test]
    fn a_node_that_was_removed_is_made_whole_again(
        volumes in any::<bool>(),
        damages in proptest::collection::vec(damage(), 0..4),
        which in any::<Index>(),
        cuts in proptest::collection::vec(any::<Index>(), 0..3),
    ) {
        let desired = pair();
        let world = damaged(&desired, &damages)?;
        let node = pick(desired.nodes.keys().cloned(), which).unwrap();
        let elsewhere = |world: &World| {
            let mut containers = world.state().seen.containers;
            containers.retain(|name, _| *desired.node_of(name) != node);
            containers
        };
        let others = elsewhere(&world);
        let goal = Goal::Remove { node: Some(node.clone()), volumes };
        for cut in cuts {
            prefix(&world, &desired, &goal, cut);
        }
        converge(&world, &desired, &goal)?;
        prop_assert_eq!(elsewhere(&world), others);
        let left = world.state().seen;
        let here = |name: &String| *desired.node_of(name) == node;
        prop_assert!(!left.containers.keys().chain(left.job_containers.keys()).any(here));
        prop_assert!(!left.networks.keys().chain(left.files.keys()).any(here));
        prop_assert!(!volumes || !left.volumes.iter().any(here));
        prop_assert!(!left.secrets.is_empty());
        converge(&world, &desired, &Goal::Up)?;
        everything_runs(&world, &desired)?;
    }

    #[test]
    fn a_change_of_settings_converges_from_any_prefix(
        memory in 1_u32..4,
        subnet in 0_u8..3,
        cuts in proptest::collection::vec(any::<Index>(), 0..4),
    ) {
        let before = cloud(|_, _| ());
        let built = World::new(before.clone(), State::default());
        converge(&built, &before, &Goal::Up)?;
        let after = cloud(|settings, _| {
            settings.limits.memory = format!("{memory}G");
            settings.network.management.subnet = format!("10.203.{subnet}.0/24").parse().unwrap();
        });
        let world = World::new(after.clone(), built.state());
        for cut in cuts {
            prefix(&world, &after, &Goal::Up, cut);
        }
        converge(&world, &after, &Goal::Up)?;
        everything_runs(&world, &after)?;
    }
}
