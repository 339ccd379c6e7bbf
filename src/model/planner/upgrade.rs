//! Planning of upgrades: what another image or command makes of data is done while the containers that are
//! there go on serving. They are made anew after it, node by node, as with any other change.

use std::collections::BTreeSet;

use crate::model::desired::DesiredJob;
use crate::model::name::Name;
use crate::model::operation::Operation;
use crate::model::plan::NodeId;

use super::Planner;
use super::init::{has_databases, job_order};

impl Planner<'_> {
    /// Plans the jobs of some services that have been done before and are due again, ahead of everything that
    /// is made anew. Within a release OpenStack's schemas only gain what the code before does not look at.
    pub(super) fn upgrade_first(&mut self, scope: &BTreeSet<Name>) {
        let desired = self.desired;
        for service in self.service_order(scope) {
            let jobs: Vec<_> = job_order(desired, &service, false).into_iter().filter(|(_, job)| job.holds).collect();
            if !self.has_databases(&service) || !jobs.iter().all(|(name, job)| self.can_be_repeated(name, job)) {
                continue;
            }
            for (name, job) in jobs {
                self.images_sent(&job.node, scope);
                self.job(name, job, Vec::new());
            }
            let upgraded = self.jobs_planned(&service);
            self.rolled.extend(upgraded);
        }
    }

    /// The planned jobs that have to end before a service's containers start.
    pub(super) fn jobs_planned(&self, service: &Name) -> Vec<NodeId> {
        let jobs = self.jobs_before(service);
        jobs.filter_map(|(name, _)| self.node(&Operation::RunJob { job: name.clone() })).collect()
    }

    /// Whether a service's databases and its user are there.
    fn has_databases(&self, service: &Name) -> bool {
        self.observed.database.answer().is_some_and(|found| has_databases(self.desired, found, service))
    }

    /// Whether a job has ended well before, and all that it needs works as it is now.
    fn can_be_repeated(&mut self, name: &str, job: &DesiredJob) -> bool {
        let (desired, observed) = (self.desired, self.observed);
        let record = observed.database.answer().and_then(|found| found.jobs.get(name));
        let works = |needed: &Name| desired.containers_of(needed).any(|(container, _)| observed.works(container));
        record.is_some_and(|record| record.finished.is_some())
            && desired.infrastructure_of(&job.process.service).all(works)
            && self.network(&job.node).is_none()
    }
}
