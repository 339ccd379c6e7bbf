//! Jobs in the in-memory world: what they need, what they leave behind, and what does when they are interrupted.

use super::{State, World, require};
use crate::model::catalog::Attachment;
use crate::model::fingerprint;
use crate::model::name::Name;
use crate::model::observed::{JobContainer, JobRecord, RunState};

impl World {
    pub(super) fn run_job(&self, state: &mut State, job: &str) -> Result<(), String> {
        let desired = &self.desired.jobs[job];
        let fingerprint = fingerprint::of_job(desired);
        require(state.seen.files.contains_key(job), "files")?;
        let images = self.images(state, &desired.node).ok_or("no such node")?;
        require(images.contains(&desired.process.image), "image")?;
        require(desired.process.volumes.values().all(|volume| state.seen.volumes.contains(volume)), "volumes")?;
        let network = &self.desired.nodes[&desired.node].network.name;
        let network = state.seen.networks.contains_key(network) && self.has_bridge(state);
        require(desired.network == Attachment::Host || network, "network")?;
        if desired.at_removal {
            let service = &desired.process.service;
            let here = |name: &String| *self.desired.node_of(name) == desired.node;
            let mut left = state.seen.containers.iter().filter(|(name, _)| here(name));
            require(left.all(|(_, found)| found.service != *service), "containers gone")?;
            state.traces.remove(service);
            state.seen.job_containers.remove(job);
            return Ok(());
        }
        for other in &desired.after {
            let done = state.database.jobs.get(other).is_some_and(|record| record.finished.is_some());
            require(done, "earlier job")?;
        }
        let owned = self.owned(&desired.process.service);
        require(owned.is_subset(&state.database.databases), "databases")?;
        // One that goes on completes what it has begun.
        let goes_on = state.seen.job_containers.remove(job).is_some_and(|found| found.fingerprint == fingerprint);
        let unfinished = desired.fills.iter().any(|database| state.filled.get(database) == Some(&false));
        require(goes_on || !unfinished, "databases that are empty or whole")?;
        state.filled.extend(desired.fills.iter().map(|database| (database.clone(), true)));
        state.database.jobs.insert(job.to_owned(), JobRecord { finished: Some(fingerprint), started: None });
        Ok(())
    }

    /// Leaves a job as an octo does that is killed while it runs the job, or fills databases in its place.
    pub fn break_off(&self, job: &str) {
        let desired = &self.desired.jobs[job];
        if desired.at_removal {
            // Such a job is recorded nowhere.
            return;
        }
        let mut state = self.lock();
        let record = state.database.jobs.entry(job.to_owned()).or_default();
        record.started = Some(fingerprint::of_job(desired));
        if record.finished.is_none() {
            state.leave_unfinished(&desired.fills);
        }
    }

    /// The same with a job that had not ended before, and with what its container does.
    pub fn interrupt_job(&self, job: &str, container: Option<RunState>) {
        let desired = &self.desired.jobs[job];
        let mut state = self.lock();
        let fingerprint = fingerprint::of_job(desired);
        let record = JobRecord { finished: None, started: Some(fingerprint.clone()) };
        state.database.jobs.insert(job.to_owned(), record);
        state.leave_unfinished(&desired.fills);
        if let Some(container) = container {
            let container = JobContainer { fingerprint, state: container };
            state.seen.job_containers.insert(job.to_owned(), container);
        }
    }
}

impl State {
    /// Leaves databases filled in part.
    pub fn leave_unfinished<'a>(&mut self, databases: impl IntoIterator<Item = &'a Name>) {
        self.filled.extend(databases.into_iter().map(|database| (database.clone(), false)));
    }
}
