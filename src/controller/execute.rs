//! The executor: walks a plan with bounded parallelism. It decides nothing: an operation starts
//! when those before it have succeeded, and after the first failure none starts any more.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind};
use crate::model::operation::Operation;
use crate::model::plan::{NodeId, Plan};
use crate::model::plural::plural;

use super::event::{Event, Reporter};
use super::port::Perform;

/// How many operations run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parallelism {
    /// Builds of images, which keep a whole processor busy.
    pub builds: usize,
    /// Everything else, which mostly waits.
    pub others: usize,
}

/// What carrying out a plan came to.
#[derive(Debug, Default)]
pub struct Executed {
    /// How many operations succeeded.
    pub done: usize,
    /// How many were not begun.
    pub left: usize,
}

/// Carries out a plan. On failures or cancellation those operations that run are let end; the
/// error then names every failure.
pub async fn execute(
    plan: &Plan,
    perform: Arc<dyn Perform>,
    reporter: Arc<dyn Reporter>,
    parallelism: Parallelism,
    cancel: CancellationToken,
) -> Result<Executed, Error> {
    reporter.report(Event::Begun(plan));
    let mut walk = Walk::new(plan);
    let builds = Arc::new(Semaphore::new(parallelism.builds.max(1)));
    let others = Arc::new(Semaphore::new(parallelism.others.max(1)));
    let plan = Arc::new(plan.clone());
    let mut running: JoinSet<(NodeId, Result<(), Error>)> = JoinSet::new();
    let mut failures = BTreeMap::new();
    loop {
        if failures.is_empty() && !cancel.is_cancelled() {
            for (ready, permits) in [(&mut walk.builds, &builds), (&mut walk.others, &others)] {
                while !ready.is_empty()
                    && let Ok(permit) = Arc::clone(permits).try_acquire_owned()
                    && let Some((_, id)) = ready.pop_first()
                {
                    let task = Task {
                        plan: Arc::clone(&plan),
                        id,
                        perform: Arc::clone(&perform),
                        reporter: Arc::clone(&reporter),
                        permit,
                    };
                    running.spawn(async move { (id, task.run().await) });
                }
            }
        }
        let Some(ended) = running.join_next().await else { break };
        match ended {
            Ok((id, Ok(()))) => walk.succeeded(id),
            Ok((_, Err(error))) if error.kind == ErrorKind::Cancelled => {}
            Ok((id, Err(error))) => {
                failures.insert(id, error);
            }
            Err(broken) => {
                let error = Error::new(ErrorKind::Internal, "an operation broke off").because(&broken);
                failures.insert(NodeId(usize::MAX - failures.len()), error);
            }
        }
    }
    let executed = Executed { done: walk.done, left: plan.nodes.len() - walk.done - failures.len() };
    reporter.report(Event::Ended { done: executed.done, left: executed.left });
    match failures.len() {
        0 if cancel.is_cancelled() && executed.left > 0 => {
            Err(Error::new(ErrorKind::Cancelled, format!("stopped with {} left", plural(executed.left, "operation"))))
        }
        0 => Ok(executed),
        _ => Err(several(failures.into_values())),
    }
}

fn is_build(operation: &Operation) -> bool {
    matches!(operation, Operation::BuildImage { .. })
}

/// About how long an operation takes, in seconds: what is at the beginning of the longest way through a
/// plan has to begin first.
fn weight(operation: &Operation) -> usize {
    match operation {
        Operation::PrepareBase { .. } | Operation::BuildImage { .. } => 20,
        Operation::RunJob { .. } | Operation::AwaitHealth { .. } | Operation::SendImages { .. } => 3,
        _ => 1,
    }
}

/// One error out of several: the first is the main one, the others are its details.
fn several(mut failures: impl Iterator<Item = Error>) -> Error {
    let Some(mut first) = failures.next() else { return Error::new(ErrorKind::Internal, "nothing failed") };
    for other in failures {
        let detail = first.detail.get_or_insert_default();
        if !detail.is_empty() {
            detail.push_str("\n\n");
        }
        detail.push_str(&format!("also failed: {other}"));
        if let Some(lines) = &other.detail {
            detail.push('\n');
            detail.push_str(lines);
        }
        for hint in other.hints {
            if !first.hints.contains(&hint) {
                first.hints.push(hint);
            }
        }
    }
    first
}

struct Task {
    plan: Arc<Plan>,
    id: NodeId,
    perform: Arc<dyn Perform>,
    reporter: Arc<dyn Reporter>,
    /// Held until it has ended.
    permit: OwnedSemaphorePermit,
}

impl Task {
    async fn run(self) -> Result<(), Error> {
        let Self { plan, id, perform, reporter, permit: _permit } = self;
        let Some(node) = plan.nodes.get(id.0) else {
            return Err(Error::new(ErrorKind::Internal, format!("the plan has no operation {}", id.0)));
        };
        reporter.report(Event::Started(node));
        let begun = Instant::now();
        let busy = |line: String| reporter.report(Event::Busy(node, line));
        let result = perform.perform(&node.operation, &busy).await;
        match &result {
            Ok(()) => reporter.report(Event::Finished(node, begun.elapsed())),
            Err(error) => reporter.report(Event::Failed(node, error)),
        }
        result
    }
}

/// Which operations can begin.
struct Walk {
    waiting_for: BTreeMap<NodeId, usize>,
    dependents: BTreeMap<NodeId, Vec<NodeId>>,
    /// Builds that nothing keeps from beginning but the number of those that run. What is followed by most
    /// comes first: on a machine with few processors the order in which images are built decides when
    /// the last service starts.
    builds: Ready,
    /// All else that could begin, in the same order.
    others: Ready,
    /// How long the longest chain of operations takes that begins with each.
    heights: Vec<usize>,
    /// Which are builds.
    is_build: Vec<bool>,
    done: usize,
}

type Ready = BTreeSet<(Reverse<usize>, NodeId)>;

impl Walk {
    fn new(plan: &Plan) -> Self {
        let mut walk = Self {
            waiting_for: BTreeMap::new(),
            dependents: BTreeMap::new(),
            builds: Ready::new(),
            others: Ready::new(),
            heights: plan.nodes.iter().map(|node| weight(&node.operation)).collect(),
            is_build: plan.nodes.iter().map(|node| is_build(&node.operation)).collect(),
            done: 0,
        };
        let weights = walk.heights.clone();
        for node in plan.nodes.iter().rev() {
            let behind = walk.heights.get(node.id.0).copied().unwrap_or_default();
            for before in &node.after {
                if let (Some(known), Some(own)) = (walk.heights.get_mut(before.0), weights.get(before.0)) {
                    *known = (behind + own).max(*known);
                }
            }
        }
        for node in &plan.nodes {
            walk.waiting_for.insert(node.id, node.after.len());
            if node.after.is_empty() {
                walk.make_ready(node.id);
            }
            for dependency in &node.after {
                walk.dependents.entry(*dependency).or_default().push(node.id);
            }
        }
        walk
    }

    fn make_ready(&mut self, id: NodeId) {
        let height = self.heights.get(id.0).copied().unwrap_or_default();
        let builds = self.is_build.get(id.0).copied().unwrap_or_default();
        let ready = if builds { &mut self.builds } else { &mut self.others };
        ready.insert((Reverse(height), id));
    }

    fn succeeded(&mut self, id: NodeId) {
        self.done += 1;
        for dependent in self.dependents.remove(&id).unwrap_or_default() {
            if let Some(count) = self.waiting_for.get_mut(&dependent) {
                *count -= 1;
                if *count == 0 {
                    self.make_ready(dependent);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::controller::event::Silent;
    use crate::model::name::Name;

    /// Records what is performed; fails or cancels at chosen operations.
    struct Recorder {
        performed: Mutex<Vec<String>>,
        fails: &'static [&'static str],
        cancels: Option<(&'static str, CancellationToken)>,
    }

    #[async_trait]
    impl Perform for Recorder {
        async fn perform(&self, operation: &Operation, _: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error> {
            let text = operation.to_string();
            self.performed.lock().unwrap().push(text.clone());
            tokio::task::yield_now().await;
            if let Some((at, token)) = &self.cancels
                && *at == text
            {
                token.cancel();
            }
            if self.fails.contains(&text.as_str()) {
                return Err(Error::new(ErrorKind::Operation, format!("cannot {text}")).hint(format!("mend {text}")));
            }
            Ok(())
        }
    }

    fn volume(name: &str) -> Operation {
        Operation::CreateVolume { volume: name.to_owned() }
    }

    /// a -> b -> d, a -> c -> d, and e alone.
    fn diamond() -> Plan {
        let mut plan = Plan::default();
        let a = plan.add(volume("a"), "test", []);
        let b = plan.add(volume("b"), "test", [a]);
        let c = plan.add(volume("c"), "test", [a]);
        plan.add(volume("d"), "test", [b, c]);
        plan.add(Operation::BuildImage { image: Name::fixed("e"), tag: "e".to_owned() }, "test", []);
        plan
    }

    async fn run(recorder: Recorder, cancel: CancellationToken) -> (Result<Executed, Error>, Vec<String>) {
        let recorder = Arc::new(recorder);
        let parallelism = Parallelism { builds: 1, others: 4 };
        let result =
            execute(&diamond(), Arc::clone(&recorder) as Arc<dyn Perform>, Arc::new(Silent), parallelism, cancel).await;
        let performed = recorder.performed.lock().unwrap().clone();
        (result, performed)
    }

    fn recorder(fails: &'static [&'static str]) -> Recorder {
        Recorder { performed: Mutex::default(), fails, cancels: None }
    }

    #[tokio::test]
    async fn performs_everything_once_in_order() {
        let (result, performed) = run(recorder(&[]), CancellationToken::new()).await;
        assert_eq!(result.unwrap().done, 5);
        let place = |name: &str| performed.iter().position(|line| line.ends_with(name)).unwrap();
        assert!(place("volume a") < place("volume b") && place("volume c") < place("volume d"));
        assert_eq!(performed.len(), 5);
    }

    #[tokio::test]
    async fn what_is_followed_by_most_begins_first() {
        let build = |name: &'static str| Operation::BuildImage { image: Name::fixed(name), tag: name.to_owned() };
        let mut plan = Plan::default();
        plan.add(build("alone"), "test", []);
        let parent = plan.add(build("parent"), "test", []);
        let child = plan.add(build("child"), "test", [parent]);
        plan.add(build("grandchild"), "test", [child]);
        plan.add(build("late"), "test", []);
        let recorder = Arc::new(recorder(&[]));
        let perform = Arc::clone(&recorder) as Arc<dyn Perform>;
        let parallelism = Parallelism { builds: 1, others: 1 };
        execute(&plan, perform, Arc::new(Silent), parallelism, CancellationToken::new()).await.unwrap();
        let performed = recorder.performed.lock().unwrap().clone();
        assert_eq!(
            performed,
            ["parent", "child", "alone", "grandchild", "late"].map(|name| format!("build image {name}"))
        );
    }

    #[tokio::test]
    async fn begins_nothing_new_after_a_failure_and_reports_all() {
        let (result, performed) =
            run(recorder(&["create volume b", "create volume c"]), CancellationToken::new()).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Operation);
        assert!(error.message.contains("volume b") && error.detail.unwrap().contains("volume c"));
        assert_eq!(error.hints, ["mend create volume b", "mend create volume c"]);
        assert!(!performed.contains(&"create volume d".to_owned()));
    }

    #[tokio::test]
    async fn lets_running_operations_end_when_cancelled() {
        let cancel = CancellationToken::new();
        let mut recorder = recorder(&[]);
        recorder.cancels = Some(("create volume a", cancel.clone()));
        let (result, performed) = run(recorder, cancel).await;
        assert_eq!(result.unwrap_err().kind, ErrorKind::Cancelled);
        assert!(!performed.contains(&"create volume b".to_owned()));
    }
}
