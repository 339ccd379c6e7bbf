//! What `octo verify` does: a user's day in a project of its own, step by step, and then everything
//! is taken away again, however it ended.

mod cleanup;
mod instances;
mod reach;
mod storage;
mod world;

use std::path::Path;
use std::time::{Duration, Instant};

use super::cloud::Cloud;
use super::context::Context;
use super::docker::Engine;
use super::openstack::identity::{self, Project};
use super::openstack::{self, Session, service};
use super::state::State;
use super::steps::Steps;
use crate::error::{Error, ErrorKind};
use crate::model::identity::IdentityObject;
use crate::model::verify::{PREFIX, Report, Step, StepResult};

/// The role of an ordinary user, which is all that most steps need.
const ROLE: &str = "member";

/// A cloud that is being verified.
pub struct Verify<'a> {
    /// The surroundings.
    pub context: &'a Context,
    /// The cloud.
    pub cloud: &'a Cloud,
    /// Its state directory.
    pub state: &'a State,
    /// The engine.
    pub engine: &'a Engine,
    /// The tag of the image of instances; `None` where none can be booted.
    pub image: Option<&'a str>,
}

/// How far a verification has come.
struct Course<'a> {
    given: &'a Verify<'a>,
    steps: Steps,
    report: Report,
    /// The step that runs.
    current: Option<(&'static str, Instant)>,
    /// The name of all that is made.
    name: String,
    admin: Option<Session>,
    project: Option<Project>,
    /// The ids of all servers that were asked for.
    servers: Vec<String>,
}

/// Whether a cloud, as its files say, can boot instances.
pub fn boots_instances(cloud: &Cloud) -> bool {
    let has = |wanted: &str| {
        let objects = &cloud.desired.identity;
        objects.iter().any(|object| matches!(object, IdentityObject::Service { r#type, .. } if r#type == wanted))
    };
    has(service::COMPUTE) && has(service::NETWORK) && has(service::PLACEMENT)
}

impl Verify<'_> {
    /// Verifies the cloud: what was found, and the error that ended it.
    pub async fn run(&self) -> (Report, Option<Error>) {
        let begun = Instant::now();
        let mut course = Course {
            given: self,
            steps: Steps::new(std::sync::Arc::clone(&self.context.output)),
            report: Report::default(),
            current: None,
            name: format!("{PREFIX}{:08x}", rand::random::<u32>()),
            admin: None,
            project: None,
            servers: Vec::new(),
        };
        let worked = tokio::select! {
            worked = course.work() => worked,
            () = self.context.cancel.cancelled() => Err(Error::new(ErrorKind::Cancelled, "stopped before the end")),
        };
        course.note_interruption();
        let cleaned = course.clean_up().await;
        let proven = match (&worked, &cleaned) {
            (Ok(()), Ok(())) => course.prove_nothing_left().await,
            _ => Ok(()),
        };
        course.report.elapsed = begun.elapsed();
        let failure = match (worked, cleaned.and(proven)) {
            (Ok(()), Ok(())) => None,
            (Ok(()), Err(error)) | (Err(error), Ok(())) => Some(error),
            // The first says what is wrong, the second what is left of it.
            (Err(first), Err(second)) => {
                let first = first.because_text(format!("and then: {second}"));
                Some(first.hint(format!("what is left is named {PREFIX}…: the next octo verify removes it")))
            }
        };
        (course.report, failure)
    }
}

impl Course<'_> {
    async fn work(&mut self) -> Result<(), Error> {
        let (cloud, state) = (self.given.cloud, self.given.state);
        let opened = self.step("token", async {
            let session = openstack::administrator(cloud, state).await?;
            Ok((session, String::new()))
        });
        let admin = opened.await?;
        self.admin = Some(admin.clone());
        self.step("leftovers of earlier runs", cleanup::sweep(&admin)).await?;

        let name = self.name.clone();
        let project = identity::create_project(&admin, &name, "octo verify");
        let project = self.step("project", async { Ok((project.await?, String::new())) }).await?;
        self.project = Some(project.clone());
        let user = self.step("user's token", open_project(&admin, &project)).await?;

        match self.given.image {
            Some(tag) => self.boot(&admin, &user, tag).await,
            None => {
                self.report.left_out.push("networks and instances: this cloud has no compute service".to_owned());
                self.store(&admin, &user).await
            }
        }
    }

    /// Does a step and keeps what it came to.
    async fn step<T>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Result<(T, String), Error>>,
    ) -> Result<T, Error> {
        self.current = Some((name, Instant::now()));
        let running = self.steps.begin(name);
        let result = work.await;
        let elapsed = running.end(&result);
        self.current = None;
        match result {
            Ok((value, detail)) => {
                self.keep(name, StepResult::Passed, elapsed, detail);
                Ok(value)
            }
            Err(error) => {
                self.keep(name, StepResult::Failed, elapsed, error.message.clone());
                Err(of_step(name, error))
            }
        }
    }

    fn keep(&mut self, name: &'static str, result: StepResult, elapsed: Duration, detail: String) {
        self.report.steps.push(Step { name, result, elapsed, detail });
    }

    /// A step that was running when somebody wanted octo to stop.
    fn note_interruption(&mut self) {
        if let Some((name, begun)) = self.current.take() {
            self.keep(name, StepResult::Cancelled, begun.elapsed(), String::new());
        }
    }

    /// Takes everything away. It goes on where something fails, and cannot be cancelled but by force.
    async fn clean_up(&mut self) -> Result<(), Error> {
        let Some(admin) = self.admin.clone() else { return Ok(()) };
        let name = self.name.clone();
        self.step("clean up", cleanup::remove_run(&admin, &name)).await
    }

    async fn prove_nothing_left(&mut self) -> Result<(), Error> {
        let (Some(admin), Some(project)) = (self.admin.clone(), self.project.clone()) else { return Ok(()) };
        if self.given.image.is_none() {
            return Ok(());
        }
        let servers = std::mem::take(&mut self.servers);
        self.step("nothing is left", cleanup::prove_empty(&admin, &project, &servers)).await
    }

    fn directory(&self) -> &Path {
        self.given.state.directory()
    }
}

/// Gives the administrator an ordinary user's role in the project, and logs in with it.
async fn open_project(admin: &Session, project: &Project) -> Result<(Session, String), Error> {
    identity::assign(admin, admin.user(), ROLE, project).await?;
    Ok((admin.for_project(&project.id).await?, format!("role {ROLE}")))
}

/// The error of a step: what is wrong with the cloud, unless octo or its surroundings are.
fn of_step(name: &str, error: Error) -> Error {
    let kind = match error.kind {
        ErrorKind::Internal | ErrorKind::Cancelled | ErrorKind::Config => error.kind,
        ErrorKind::Environment if name == "token" => error.kind,
        _ => ErrorKind::Operation,
    };
    Error { kind, message: format!("{name}: {}", error.message), ..error }
}
