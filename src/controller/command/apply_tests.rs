//! The flow over an in-memory world: a set of things that should be there.

use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::cli::Global;
use crate::controller::event::Silent;
use crate::controller::output::Output;
use crate::controller::output::tests::Written;
use crate::model::operation::Operation;
use crate::model::plan::Obstacle;

/// Volumes that exist. Some operations can be made to fail, or to do nothing.
#[derive(Default)]
struct World {
    volumes: Mutex<BTreeSet<String>>,
    broken: Option<&'static str>,
    ignored: Option<&'static str>,
    cancels: Option<CancellationToken>,
    performed: Mutex<Vec<String>>,
}

#[async_trait]
impl Observe for World {
    async fn observe(&self) -> Result<Observed, Error> {
        let volumes = self.volumes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Observed { volumes, ..Observed::default() })
    }
}

#[async_trait]
impl Perform for World {
    async fn perform(&self, operation: &Operation, _progress: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error> {
        self.performed.lock().unwrap().push(operation.to_string());
        if let Some(cancel) = &self.cancels {
            cancel.cancel();
        }
        let mut volumes = self.volumes.lock().unwrap();
        match operation {
            Operation::CreateVolume { volume } if self.broken == Some(volume) => {
                return Err(Error::new(ErrorKind::Operation, format!("cannot create volume {volume}")));
            }
            Operation::CreateVolume { volume } if self.ignored == Some(volume) => {}
            Operation::CreateVolume { volume } => drop(volumes.insert(volume.clone())),
            Operation::RemoveVolume { volume } => drop(volumes.remove(volume)),
            other => panic!("no part of this world: {other}"),
        }
        Ok(())
    }
}

/// Makes `a`, then `b`: `b` only once `a` answers, as a real plan leaves out what cannot be known.
fn make_both(observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    let missing = ["a", "b"].into_iter().find(|volume| !observed.volumes.contains(*volume));
    if let Some(volume) = missing {
        plan.add(Operation::CreateVolume { volume: volume.to_owned() }, "absent", []);
        plan.left_out.push("nothing was found for c".to_owned());
    } else {
        plan.notes.push("both are there".to_owned());
    }
    plan
}

fn remove_all(observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    for volume in &observed.volumes {
        plan.add(Operation::RemoveVolume { volume: volume.clone() }, "asked for", []);
    }
    plan
}

/// A context without a terminal, or with one at which these answers are typed.
fn context(command_line: &str, yes: bool, answers: Option<&'static str>) -> (Context, Written) {
    let global = Global { yes, ..Global::default() };
    let talk = Written::default();
    let output = Arc::new(Output::captured(&global, Written::default(), talk.clone(), answers));
    let command_line = command_line.to_owned();
    (Context { global: Arc::new(global), output, cancel: CancellationToken::new(), command_line }, talk)
}

async fn go(
    context: &Context,
    world: &Arc<World>,
    plan: &(dyn Fn(&Observed) -> Plan + Send + Sync),
    preflight: &dyn Preflight,
) -> Result<Summary, Error> {
    let verb = context.command_line.split(' ').next().unwrap_or_default();
    let perform = Arc::clone(world) as Arc<dyn Perform>;
    let observe = world.as_ref();
    let reporter = Arc::new(Silent);
    apply(
        context,
        &Undertaking {
            verb,
            plan,
            observe,
            perform,
            preflight,
            reporter,
            parallelism: Parallelism { builds: 1, others: 2 },
        },
    )
    .await
}

fn holding(volumes: &[&str]) -> Arc<World> {
    let volumes = volumes.iter().map(|volume| (*volume).to_owned()).collect();
    Arc::new(World { volumes: Mutex::new(volumes), ..World::default() })
}

#[tokio::test]
async fn goes_on_until_nothing_is_left_to_do() {
    let (context, world) = (context("up", false, None).0, holding(&[]));
    let summary = go(&context, &world, &make_both, &NoPreflight).await.unwrap();
    assert_eq!(summary.done, ["create volume a", "create volume b"]);
    assert_eq!(summary.notes, ["nothing was found for c", "both are there"], "each once");
}

#[tokio::test]
async fn twice_is_once() {
    let (context, world) = (context("up", false, None).0, holding(&["a", "b"]));
    let summary = go(&context, &world, &make_both, &NoPreflight).await.unwrap();
    assert!(summary.done.is_empty() && world.performed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_gate_without_a_terminal_is_refused() {
    let (context, world) = (context("rm --volumes", false, None).0, holding(&["a"]));
    let error = go(&context, &world, &remove_all, &NoPreflight).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert_eq!(error.causes, ["remove volume a"]);
    assert_eq!(error.hints, ["octo rm --volumes --yes"]);
    assert!(world.performed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_gate_opens_by_option_or_answer_and_by_nothing_else() {
    for (yes, answers, opens) in
        [(true, None, true), (false, Some("yes\n"), true), (false, Some("y\n"), false), (false, Some(""), false)]
    {
        let ((context, talk), world) = (context("rm --volumes", yes, answers), holding(&["a"]));
        let result = go(&context, &world, &remove_all, &NoPreflight).await;
        assert_eq!(result.is_ok(), opens, "{yes} {answers:?} {result:?}");
        assert_eq!(world.volumes.lock().unwrap().is_empty(), opens);
        assert!(talk.text().contains("remove  (asked for)"), "{}", talk.text());
        if let Err(error) = result {
            assert_eq!(error.kind, ErrorKind::Cancelled);
        }
    }
}

/// As [`remove_all`], in a cloud that has a vote less for it.
fn remove_all_at_a_cost(observed: &Observed) -> Plan {
    let mut plan = remove_all(observed);
    if !plan.is_empty() {
        plan.costs.push("without ctl2 database would have 1 of 3 votes".to_owned());
    }
    plan
}

/// Destroys nothing, and costs something.
fn make_both_at_a_cost(observed: &Observed) -> Plan {
    let mut plan = make_both(observed);
    if !plan.is_empty() {
        plan.costs.push("without ctl2 nobody else would answer for glance-api".to_owned());
    }
    plan
}

#[tokio::test]
async fn what_users_lose_is_refused_without_a_terminal_and_named() {
    let (context, world) = (context("stop --node ctl2", false, None).0, holding(&[]));
    let error = go(&context, &world, &make_both_at_a_cost, &NoPreflight).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert_eq!(error.message, "octo stop takes from users what works now, and there is no terminal to ask at");
    assert_eq!(error.causes, ["without ctl2 nobody else would answer for glance-api"]);
    assert_eq!(error.hints, ["octo stop --node ctl2 --yes"]);
    assert!(world.performed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_users_lose_is_asked_once_or_agreed_to_by_option() {
    for (yes, answers, opens) in [(true, None, true), (false, Some("yes\n"), true), (false, Some("no\n"), false)] {
        let ((context, talk), world) = (context("stop --node ctl2", yes, answers), holding(&[]));
        let result = go(&context, &world, &make_both_at_a_cost, &NoPreflight).await;
        assert_eq!(result.is_ok(), opens, "{yes} {answers:?} {result:?}");
        let talk = talk.text();
        assert!(talk.contains("nobody else would answer for glance-api"), "{talk}");
        assert_eq!(talk.matches("take it from them?").count(), usize::from(answers.is_some()), "{talk}");
        assert!(!talk.contains("destroy"), "{talk}");
        if let Err(error) = result {
            assert_eq!(error.message, "nothing was changed: nobody agreed");
        }
    }
}

#[tokio::test]
async fn data_and_costs_are_one_question() {
    let ((context, talk), world) = (context("rm --node ctl2 --volumes", false, Some("yes\n")), holding(&["a"]));
    go(&context, &world, &remove_all_at_a_cost, &NoPreflight).await.unwrap();
    assert!(talk.text().contains("destroy it for ever, and take the rest from users?"), "{}", talk.text());
    let (context, world) = (self::context("rm --node ctl2 --volumes", false, None).0, holding(&["a"]));
    let error = go(&context, &world, &remove_all_at_a_cost, &NoPreflight).await.unwrap_err();
    assert_eq!(error.causes, ["remove volume a", "without ctl2 database would have 1 of 3 votes"]);
}

#[tokio::test]
async fn a_failure_names_the_command_that_continues() {
    let world = Arc::new(World { broken: Some("b"), ..World::default() });
    let context = context("up -v", false, None).0;
    let error = go(&context, &world, &make_both, &NoPreflight).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Operation);
    assert!(error.to_string().contains("cannot create volume b"), "{error}");
    assert_eq!(error.hints, ["rerun `octo up -v` to continue"]);
}

#[tokio::test]
async fn cancelling_lets_what_runs_end_and_starts_nothing_new() {
    let context = context("up", false, None).0;
    let world = Arc::new(World { cancels: Some(context.cancel.clone()), ..World::default() });
    let error = go(&context, &world, &make_both, &NoPreflight).await.unwrap_err();
    assert_eq!((error.kind, error.kind.exit_code()), (ErrorKind::Cancelled, 130));
    assert_eq!(error.hints, ["rerun `octo up` to continue"]);
    assert_eq!(*world.performed.lock().unwrap(), ["create volume a"]);
}

#[tokio::test]
async fn what_is_still_due_afterwards_is_named() {
    let world = Arc::new(World { ignored: Some("a"), ..World::default() });
    let context = context("up", false, None).0;
    let error = go(&context, &world, &make_both, &NoPreflight).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Operation);
    assert_eq!(error.causes, ["create volume a is still due: absent"]);
}

#[tokio::test]
async fn an_obstacle_is_an_error_of_the_environment() {
    let blocked = |_: &Observed| Plan {
        obstacles: vec![Obstacle { message: "port 5000 is taken".to_owned(), repair: "ss -ltnp".to_owned() }],
        ..Plan::default()
    };
    let (context, world) = (context("up", false, None).0, holding(&[]));
    let error = go(&context, &world, &blocked, &NoPreflight).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Environment, "port 5000 is taken"));
    assert_eq!(error.hints, ["ss -ltnp"]);
}

#[tokio::test]
async fn a_preflight_refuses_before_anything_is_done() {
    struct Full;
    #[async_trait]
    impl Preflight for Full {
        async fn check(&self, _plan: &Plan) -> Result<(), Error> {
            Err(Error::new(ErrorKind::Environment, "the disk is nearly full"))
        }
    }
    let (context, world) = (context("up", false, None).0, holding(&[]));
    let error = go(&context, &world, &make_both, &Full).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Environment);
    assert!(world.performed.lock().unwrap().is_empty());
}
