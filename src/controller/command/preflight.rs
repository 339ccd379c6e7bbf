//! The cheap part of the doctor, before a plan is carried out.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join, join_all};

use crate::controller::cloud::Cloud;
use crate::controller::command::apply::Preflight;
use crate::controller::docker::Engine;
use crate::controller::facts::remote::{self, Wanted};
use crate::controller::facts::{self, Places};
use crate::error::{Error, ErrorKind};
use crate::model::doctor::{self, Facts, Finding, NodeFacts, NodesFacts};
use crate::model::name::Name;
use crate::model::operation::Operation;
use crate::model::plan::Plan;

/// Looks at the machine that octo runs on, and at all other nodes that the plan is for.
pub struct NodesPreflight<'a> {
    /// Where the engine of octo's own machine is.
    pub endpoint: String,
    /// That engine.
    pub engine: &'a Engine,
    /// The cloud.
    pub cloud: &'a Cloud,
}

#[async_trait]
impl Preflight for NodesPreflight<'_> {
    async fn check(&self, plan: &Plan) -> Result<(), Error> {
        let builds = plan.nodes.iter().any(|node| matches!(node.operation, Operation::BuildImage { .. }));
        // No other node was asked: there is none, or images alone are made, which any machine can do.
        if self.cloud.peers.is_empty() && self.cloud.silent.is_empty() {
            return refuse(&doctor::preflight(&self.own(plan).await, builds), "this machine is");
        }
        let (own, others) = join(self.own(plan), join_all(self.others(plan))).await;
        let settings = &self.cloud.settings;
        let node = settings.nodes.iter().find(|node| node.name == self.cloud.desired.node);
        let own = node.map(|node| NodeFacts { here: true, filled: builds, ..NodeFacts::new(node, own) });
        let nodes = own.into_iter().chain(others).collect();
        refuse(&doctor::preflight_nodes(&NodesFacts { outside: None, nodes }), "the nodes are")
    }
}

impl NodesPreflight<'_> {
    /// The machine that octo runs on.
    async fn own(&self, plan: &Plan) -> Facts {
        let desired = &self.cloud.desired;
        let mut facts = Facts { endpoint: self.endpoint.clone(), ..Facts::default() };
        facts.engine = Some(facts::engine(&Ok(self.engine.clone())).await);
        let here = started(plan).into_iter().filter(|name| *desired.node_of(name) == desired.node);
        facts.containers_to_start = Some(here.count());
        facts.devices = facts::devices(desired.devices());
        let logs = desired.log_directory.as_ref();
        facts::essential(&mut facts, &Places { state: &self.cloud.state_directory, logs });
        facts
    }

    /// The nodes that answer. Those that do not are left out of the plan too, with a note.
    fn others<'b>(&'b self, plan: &'b Plan) -> impl Iterator<Item = BoxFuture<'b, NodeFacts>> {
        let Cloud { settings, desired, peers, .. } = self.cloud;
        let answering = settings.nodes.iter().filter_map(move |node| Some((node, peers.get(&node.name)?)));
        answering.map(move |(node, engine)| {
            async move {
                let wanted = Wanted::on(&node.name, desired).starting(&started(plan));
                let found = remote::node(settings, node, &Ok(engine.clone()), Some(&wanted)).await;
                NodeFacts { filled: gets_images(plan, &node.name), ..found }
            }
            .boxed()
        })
    }
}

/// The containers that a plan starts.
fn started(plan: &Plan) -> BTreeSet<&str> {
    let nodes = plan.nodes.iter();
    nodes
        .filter_map(|node| match &node.operation {
            Operation::StartContainer { container } => Some(container.as_str()),
            _ => None,
        })
        .collect()
}

fn gets_images(plan: &Plan, node: &Name) -> bool {
    plan.nodes.iter().any(|step| matches!(&step.operation, Operation::SendImages { node: to, .. } if to == node))
}

/// The failures as one error; `who` ends in the verb of `not ready`.
fn refuse(failures: &[Finding], who: &str) -> Result<(), Error> {
    let at = |failure: &Finding| failure.node.as_ref().map(|node| format!("node {node}: ")).unwrap_or_default();
    let words = |failure: &Finding| format!("{}{}: {}", at(failure), failure.subject, failure.message);
    let error = match failures {
        [] => return Ok(()),
        [only] => Error::new(ErrorKind::Environment, words(only)),
        several => {
            let error = Error::new(ErrorKind::Environment, format!("{who} not ready"));
            several.iter().fold(error, |error, failure| error.because_text(words(failure)))
        }
    };
    let repairs = failures.iter().filter_map(|failure| Some(format!("{}{}", at(failure), failure.repair.as_ref()?)));
    Err(repairs.fold(error, Error::hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::doctor::Level;

    fn failure(node: Option<&'static str>, subject: &'static str, message: &str, repair: &str) -> Finding {
        Finding {
            node: node.map(Name::fixed),
            level: Level::Failure,
            subject,
            message: message.to_owned(),
            repair: Some(repair.to_owned()),
        }
    }

    #[test]
    fn failures_are_one_error_and_name_their_nodes() {
        assert!(refuse(&[], "this machine is").is_ok());
        let disk = |node| failure(node, "disk", "1.0 GiB free in /", "docker image prune");
        let error = refuse(&[disk(None)], "this machine is").unwrap_err();
        assert_eq!((error.message.as_str(), error.kind), ("disk: 1.0 GiB free in /", ErrorKind::Environment));
        assert_eq!(error.hints, ["docker image prune"]);

        let engines = failure(None, "engines", "nodes ctl1 and ctl2 have the same engine", "correct `engine`");
        let error = refuse(&[engines, disk(Some("ctl2"))], "the nodes are").unwrap_err();
        assert_eq!(error.message, "the nodes are not ready");
        assert_eq!(
            error.causes,
            ["engines: nodes ctl1 and ctl2 have the same engine", "node ctl2: disk: 1.0 GiB free in /"]
        );
        assert_eq!(error.hints, ["correct `engine`", "node ctl2: docker image prune"]);
    }

    #[test]
    fn a_plan_tells_what_it_starts_and_where_images_go() {
        let mut plan = Plan::default();
        plan.add(Operation::StartContainer { container: "lab-a.ctl2".to_owned() }, "stopped", []);
        plan.add(Operation::SendImages { node: Name::fixed("ctl2"), count: 3 }, "its engine lacks them", []);
        assert_eq!(started(&plan), BTreeSet::from(["lab-a.ctl2"]));
        assert!(gets_images(&plan, &Name::fixed("ctl2")) && !gets_images(&plan, &Name::fixed("wit")));
    }
}
