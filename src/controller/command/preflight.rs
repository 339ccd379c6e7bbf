//! The cheap part of the doctor, before a plan is carried out.

use async_trait::async_trait;

use crate::controller::cloud::Cloud;
use crate::controller::command::apply::Preflight;
use crate::controller::docker::Engine;
use crate::controller::facts::{self, Places};
use crate::error::{Error, ErrorKind};
use crate::model::doctor::{self, Facts, Finding};
use crate::model::operation::Operation;
use crate::model::plan::Plan;

/// Looks at the machine that a plan is for.
pub struct MachinePreflight<'a> {
    /// Where the engine is.
    pub endpoint: String,
    /// The engine.
    pub engine: &'a Engine,
    /// The cloud.
    pub cloud: &'a Cloud,
}

#[async_trait]
impl Preflight for MachinePreflight<'_> {
    async fn check(&self, plan: &Plan) -> Result<(), Error> {
        let mut facts = Facts { endpoint: self.endpoint.clone(), ..Facts::default() };
        facts.engine = Some(facts::engine(&Ok(self.engine.clone())).await);
        let starts = |operation: &Operation| matches!(operation, Operation::StartContainer { .. });
        facts.containers_to_start = Some(plan.nodes.iter().filter(|node| starts(&node.operation)).count());
        facts.devices = facts::devices(self.cloud.desired.devices());
        let logs = self.cloud.desired.log_directory.as_ref();
        facts::essential(&mut facts, &Places { state: &self.cloud.state_directory, logs });
        let builds = plan.nodes.iter().any(|node| matches!(node.operation, Operation::BuildImage { .. }));
        refuse(&doctor::preflight(&facts, builds))
    }
}

/// The failures as one error.
fn refuse(failures: &[Finding]) -> Result<(), Error> {
    let Some(first) = failures.first() else { return Ok(()) };
    let error = if failures.len() == 1 {
        Error::new(ErrorKind::Environment, format!("{}: {}", first.subject, first.message))
    } else {
        let error = Error::new(ErrorKind::Environment, "this machine is not ready");
        failures
            .iter()
            .fold(error, |error, failure| error.because_text(format!("{}: {}", failure.subject, failure.message)))
    };
    Err(failures.iter().filter_map(|failure| failure.repair.clone()).fold(error, Error::hint))
}
