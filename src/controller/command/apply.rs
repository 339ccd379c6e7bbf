//! The one way in which anything is changed: observe, plan, show, confirm, execute, and the same
//! again until nothing is left to do. It knows neither engine nor files, so that an in-memory world
//! can drive it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use crate::controller::context::Context;
use crate::controller::event::Reporter;
use crate::controller::execute::{Parallelism, execute};
use crate::controller::port::{Observe, Perform};
use crate::error::{Error, ErrorKind};
use crate::model::observed::Observed;
use crate::model::plan::Plan;
use crate::model::summary::Summary;
use crate::view::terminal;

/// How often is planned before octo says that it does not settle. What does not answer yet is left
/// out of a plan, so a cloud from nothing takes two or three; the last one is the proof.
const ROUNDS: usize = 5;

/// A plan of at most so many operations is shown whole.
const SHOWN_WHOLE: usize = 20;

/// Looks at the machines before a plan is carried out.
#[async_trait]
pub trait Preflight: Send + Sync {
    /// Refuses, with the repair, what is bound to fail.
    async fn check(&self, plan: &Plan) -> Result<(), Error>;
}

/// A preflight that looks at nothing.
pub struct NoPreflight;

#[async_trait]
impl Preflight for NoPreflight {
    async fn check(&self, _plan: &Plan) -> Result<(), Error> {
        Ok(())
    }
}

/// A goal, and the world in which it is to be reached.
pub struct Undertaking<'a> {
    /// The verb, for messages.
    pub verb: &'a str,
    /// Plans for a snapshot.
    pub plan: &'a (dyn Fn(&Observed) -> Plan + Send + Sync),
    /// Takes snapshots.
    pub observe: &'a dyn Observe,
    /// Carries out operations.
    pub perform: Arc<dyn Perform>,
    /// Looks at the machines.
    pub preflight: &'a dyn Preflight,
    /// Takes events.
    pub reporter: Arc<dyn Reporter>,
    /// How many operations run at once.
    pub parallelism: Parallelism,
}

/// Reaches the goal, or says why not.
pub async fn apply(context: &Context, undertaking: &Undertaking<'_>) -> Result<Summary, Error> {
    let begun = Instant::now();
    let mut summary = Summary { verb: undertaking.verb.to_owned(), ..Summary::default() };
    let mut agreed = BTreeSet::new();
    let mut previous: Option<BTreeSet<String>> = None;
    for round in 0..ROUNDS {
        let plan = plan_now(context, undertaking).await?;
        refuse_obstacles(&plan, undertaking.verb)?;
        for remark in &plan.left_out {
            if !summary.notes.contains(remark) {
                summary.notes.push(remark.clone());
            }
        }
        if plan.is_empty() {
            summary.notes.extend(plan.notes);
            summary.elapsed = begun.elapsed();
            return Ok(summary);
        }
        let operations: BTreeSet<String> = plan.nodes.iter().map(|node| node.operation.to_string()).collect();
        if previous.as_ref() == Some(&operations) {
            return Err(unsettled(&plan, undertaking.verb));
        }
        if round == 0 {
            undertaking.preflight.check(&plan).await?;
        }
        show(context, &plan, undertaking.verb);
        confirm(context, &plan, undertaking.verb, &mut agreed).await?;
        carry_out(context, undertaking, &plan).await?;
        summary.done.extend(plan.nodes.iter().map(|node| node.operation.to_string()));
        previous = Some(operations);
    }
    Err(unsettled(&plan_now(context, undertaking).await?, undertaking.verb))
}

/// A fresh snapshot's plan. Looking can be given up at any time.
async fn plan_now(context: &Context, undertaking: &Undertaking<'_>) -> Result<Plan, Error> {
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(cancelled(context)),
        observed = undertaking.observe.observe() => Ok((undertaking.plan)(&observed?)),
    }
}

async fn carry_out(context: &Context, undertaking: &Undertaking<'_>, plan: &Plan) -> Result<(), Error> {
    let executed = execute(
        plan,
        Arc::clone(&undertaking.perform),
        Arc::clone(&undertaking.reporter),
        undertaking.parallelism,
        context.cancel.clone(),
    )
    .await;
    match executed {
        Err(error) => Err(continued(context, error)),
        Ok(_) if context.cancel.is_cancelled() => Err(cancelled(context)),
        Ok(_) => Ok(()),
    }
}

/// What stands in the way of a plan, as an error.
pub fn refuse_obstacles(plan: &Plan, verb: &str) -> Result<(), Error> {
    let (first, others) = match plan.obstacles.as_slice() {
        [] => return Ok(()),
        [first, others @ ..] => (first, others),
    };
    let mut error = if others.is_empty() {
        Error::new(ErrorKind::Environment, first.message.clone())
    } else {
        let message = format!("{} things stand in the way of octo {verb}", plan.obstacles.len());
        plan.obstacles.iter().fold(Error::new(ErrorKind::Environment, message), |error, obstacle| {
            error.because_text(obstacle.message.clone())
        })
    };
    for obstacle in &plan.obstacles {
        if !error.hints.contains(&obstacle.repair) {
            error.hints.push(obstacle.repair.clone());
        }
    }
    Err(error)
}

fn show(context: &Context, plan: &Plan, verb: &str) {
    let output = &context.output;
    let whole = plan.nodes.len() <= SHOWN_WHOLE || output.verbose > 0 || !agreements(plan).is_empty();
    if whole {
        output.say(&terminal::plan::plan(plan, verb, output.width));
    } else {
        output.say(&terminal::plan::total(plan));
    }
}

/// What somebody has to agree to: the data that is destroyed, and what users lose.
fn agreements(plan: &Plan) -> BTreeSet<String> {
    plan.gates().map(|node| node.operation.to_string()).chain(plan.costs.iter().cloned()).collect()
}

/// Asks whether data may be destroyed and users may lose what works, unless that is agreed to already.
async fn confirm(context: &Context, plan: &Plan, verb: &str, agreed: &mut BTreeSet<String>) -> Result<(), Error> {
    let asked = agreements(plan);
    if context.global.yes || asked.is_subset(agreed) {
        return Ok(());
    }
    let (does, question, kept) = match (plan.gates().next().is_some(), plan.costs.is_empty()) {
        (true, true) => ("destroys data", "destroy it for ever?", "nothing was destroyed"),
        (true, false) => (
            "destroys data and takes from users what works now",
            "destroy it for ever, and take the rest from users?",
            "nothing was destroyed",
        ),
        (false, _) => ("takes from users what works now", "take it from them?", "nothing was changed"),
    };
    let output = &context.output;
    if !output.interactive || output.is_json() {
        let message = format!("octo {verb} {does}, and there is no terminal to ask at");
        let error = Error::new(ErrorKind::Usage, message).hint(format!("{} --yes", context.rerun()));
        return Err(asked.into_iter().fold(error, Error::because_text));
    }
    let question = format!("{question} type `yes`: ");
    let answer = tokio::select! {
        answer = output.ask(&question) => answer,
        () = context.cancel.cancelled() => None,
    };
    if answer.as_deref() == Some("yes") {
        agreed.extend(asked);
        return Ok(());
    }
    Err(Error::new(ErrorKind::Cancelled, format!("{kept}: nobody agreed")))
}

fn cancelled(context: &Context) -> Error {
    continued(context, Error::new(ErrorKind::Cancelled, "stopped before the end"))
}

/// The error with the command that goes on from here.
fn continued(context: &Context, error: Error) -> Error {
    let hint = format!("rerun `{}` to continue", context.rerun());
    if error.hints.contains(&hint) { error } else { error.hint(hint) }
}

/// Everything succeeded, and still something is to be done.
fn unsettled(plan: &Plan, verb: &str) -> Error {
    let message = format!("octo {verb} did everything, and the cloud is still not as its files say");
    let error = Error::new(ErrorKind::Operation, message).hint("octo status").hint("octo logs --tail 20");
    plan.nodes
        .iter()
        .fold(error, |error, node| error.because_text(format!("{} is still due: {}", node.operation, node.cause)))
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
