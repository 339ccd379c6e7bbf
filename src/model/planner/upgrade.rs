//! Planning of upgrades: what another image or command makes of data is done while the containers that are
//! there go on serving. They are made anew after it, node by node, as with any other change.

use std::collections::BTreeSet;

use crate::model::name::Name;
use crate::model::operation::Operation;
use crate::model::plan::NodeId;

use super::Planner;
use super::init::{has_databases, job_order};

impl Planner<'_> {
    /// Plans the jobs of some services that have been done before and are due again, ahead of everything that
    /// is made anew. Within a release OpenStack's schemas only gain what the code before does not look at.
    pub(super) fn upgrade_first(&mut self, scope: &BTreeSet<Name>) {
        let (desired, observed) = (self.desired, self.observed);
        let Some(found) = observed.database.answer() else { return };
        let was_done = |job: &String| found.jobs.get(job).is_some_and(|record| record.finished.is_some());
        let works = |needed: &Name| desired.containers_of(needed).any(|(container, _)| observed.works(container));
        for service in self.service_order(scope) {
            let jobs: Vec<_> = job_order(desired, &service, false).into_iter().filter(|(_, job)| job.holds).collect();
            let can_be_repeated = jobs.iter().all(|(name, _)| was_done(name))
                && has_databases(desired, found, &service)
                && desired.infrastructure_of(&service).all(works)
                && jobs.iter().all(|(_, job)| self.network(&job.node).is_none());
            if !can_be_repeated {
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
}
