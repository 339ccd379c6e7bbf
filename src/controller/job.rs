//! Runs one-off jobs: a container that ends, or what makes it needless, and the record of it in the
//! database. At a removal there is no database any more, and nothing is recorded.

use std::collections::BTreeSet;
use std::time::Duration;

use super::adapters::Adapters;
use super::docker::logs::LogQuery;
use super::docker::spec;
use super::health::{LOG_LINES, end_in_words};
use super::mysql::Database;
use crate::error::{Error, ErrorKind};
use crate::model::desired::DesiredJob;
use crate::model::fingerprint;
use crate::model::label;
use crate::model::observed::RunState;
use futures_util::StreamExt;

/// The pause between two looks at what a job needs: down at two of them in a row is lost.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

impl Adapters {
    /// Runs a job to its end, unless its databases can be filled in its place. If an earlier octo was
    /// killed and the job's container goes on, or has ended well, that run counts.
    pub(super) async fn run_job(&self, name: &str, progress: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error> {
        let job = self.job(name)?;
        let fingerprint = fingerprint::of_job(job);
        if self.left_by_an_earlier_run(name, &fingerprint).await? {
            progress("it was started before: waiting for its end".to_owned());
        } else {
            if let Some(database) = self.records(job) {
                // Before anything happens, so that an interruption can be seen.
                database.begin_job(name, &fingerprint).await?;
                if let Some(done) = self.restore(name, job, database).await? {
                    self.state.write_job_log(name, &done)?;
                    return self.conclude(name, job, &fingerprint).await;
                }
            }
            self.begin(name, job).await?;
        }
        let engine = self.engine_of(name)?;
        let limit = Duration::from_secs(u64::from(job.timeout));
        let (code, why) = tokio::select! {
            code = engine.wait_container(name) => (Some(code?), String::new()),
            () = tokio::time::sleep(limit) => (None, format!("it did not end within {} s", limit.as_secs())),
            lost = self.lost_container(job), if !job.at_removal => (None, format!("{lost}, which it needs, has stopped")),
        };
        let ended = engine.container(name).await?;
        let log = self.whole_log(name).await;
        self.state.write_job_log(name, &log)?;
        let failure = match (code, ended) {
            (Some(0), _) => {
                self.conclude(name, job, &fingerprint).await?;
                return engine.remove_container(name).await;
            }
            (Some(code), Some(state)) => end_in_words(code, &state),
            (Some(code), None) => format!("its process ended with exit code {code}"),
            (None, _) => why,
        };
        engine.remove_container(name).await?;
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.len().saturating_sub(usize::try_from(LOG_LINES).unwrap_or_default());
        Err(Error::new(ErrorKind::Operation, format!("job {name} failed"))
            .because_text(failure)
            .hint(format!("see its whole output: {}", self.state.job_log(name).display()))
            .detail(lines.get(last..).unwrap_or_default().join("\n")))
    }

    /// Where a job is recorded.
    fn records(&self, job: &DesiredJob) -> Option<&Database> {
        self.database.as_ref().filter(|_| !job.at_removal)
    }

    /// Waits until a container stays down that a job needs: services wait for their database for
    /// ever. One that the engine is about to start again is not lost.
    async fn lost_container(&self, job: &DesiredJob) -> String {
        let desired = &self.cloud.desired;
        let infrastructure = desired.infrastructure_of(&job.process.service);
        let names: Vec<&String> =
            infrastructure.flat_map(|needed| desired.containers_of(needed)).map(|(name, _)| name).collect();
        let mut down: BTreeSet<&String> = BTreeSet::new();
        loop {
            tokio::time::sleep(LOOK_PAUSE).await;
            let mut still = BTreeSet::new();
            for name in &names {
                // An engine that does not answer says nothing about the container.
                let Ok(engine) = self.engine_of(name) else { continue };
                let Ok(found) = engine.container(name).await else { continue };
                let lives = found.is_some_and(|found| matches!(found.state, RunState::Running | RunState::Restarting));
                if !lives {
                    still.insert(*name);
                }
            }
            if let Some(lost) = still.intersection(&down).next() {
                return (*lost).clone();
            }
            down = still;
        }
    }

    /// Whether the container of an earlier run does the very same and need not be repeated. Any
    /// other one is removed.
    async fn left_by_an_earlier_run(&self, name: &str, fingerprint: &str) -> Result<bool, Error> {
        let engine = self.engine_of(name)?;
        let Some(found) = engine.container(name).await? else { return Ok(false) };
        let own = |key: &str, value: &str| found.labels.get(key).map(String::as_str) == Some(value);
        if !own(label::CLOUD, self.cloud.desired.cloud.as_str()) {
            return Err(super::docker::failure::foreign("container", name));
        }
        let counts = matches!(found.state, RunState::Running | RunState::Exited(0));
        if counts && own(label::FINGERPRINT, fingerprint) {
            return Ok(true);
        }
        engine.remove_container(name).await?;
        Ok(false)
    }

    /// Completes what a job has done that ended well, and records it.
    async fn conclude(&self, name: &str, job: &DesiredJob, fingerprint: &str) -> Result<(), Error> {
        let Some(database) = self.records(job) else { return Ok(()) };
        self.complete(name, job, database).await?;
        database.end_job(name, fingerprint).await
    }

    /// Starts the container of a job.
    async fn begin(&self, name: &str, job: &DesiredJob) -> Result<(), Error> {
        let files = self.files_at(name)?.files_of(name);
        let body = spec::of_job(name, job, self.surroundings(&job.node, &files));
        let engine = self.engine_of(name)?;
        engine.create_container(name, body).await?;
        engine.start_container(name).await
    }

    /// The output of a job, without secrets. Where it cannot be read it says so and ends: how the
    /// job itself ended matters more.
    async fn whole_log(&self, name: &str) -> String {
        let engine = match self.engine_of(name) {
            Ok(engine) => engine,
            Err(error) => return error.to_string(),
        };
        let mut lines = std::pin::pin!(engine.logs(name, &LogQuery::default()));
        let mut text: Vec<String> = Vec::new();
        while let Some(line) = lines.next().await {
            match line {
                Ok(line) => text.push(line.text),
                Err(error) => {
                    text.push(error.to_string());
                    break;
                }
            }
        }
        self.mask.hide(&text.join("\n"))
    }
}
