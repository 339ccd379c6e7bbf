//! The verbs that change a cloud: `build`, `run`, `init`, `up`, `stop`, `start`, `rm`, `node drain`…

use std::sync::Arc;

use async_trait::async_trait;

use crate::controller::cloud::Cloud;
use crate::controller::cloud_lock::CloudLock;
use crate::controller::command::apply::{NoPreflight, Preflight, Undertaking, apply};
use crate::controller::command::preflight::NodesPreflight;
use crate::controller::command::{DONE, select};
use crate::controller::context::Context;
use crate::controller::docker::Engine;
use crate::controller::load::Loaded;
use crate::controller::port::Perform;
use crate::controller::state::State;
use crate::controller::wiring::World;
use crate::controller::{progress, wiring};
use crate::error::{Error, ErrorKind};
use crate::model::base::BaseChoice;
use crate::model::desired::Desired;
use crate::model::name::Name;
use crate::model::planner::{Goal, plan};
use crate::model::plural::plural;
use crate::model::summary::Summary;
use crate::view::recipe_lint::lint;
use crate::view::{json, terminal};

/// What a verb does before a goal and after it.
#[async_trait]
pub trait Around: Send + Sync {
    /// Refuses a cloud before anything is planned for it.
    fn refuse(&self, _cloud: &Cloud) -> Result<(), Error> {
        Ok(())
    }

    /// Does the rest when the goal is reached, while nobody else can change the cloud. What it says ends the summary.
    async fn finish(&self, _cloud: &Cloud, _perform: &dyn Perform) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
}

/// Nothing besides the goal.
struct GoalAlone;

impl Around for GoalAlone {}

/// Reaches a goal and says what was done.
pub async fn run(goal: Goal, context: &Context) -> Result<u8, Error> {
    let loaded = wiring::load(context)?;
    run_loaded(&goal, context, loaded, &GoalAlone).await
}

/// Reaches a goal of what was loaded already.
pub async fn run_loaded(goal: &Goal, context: &Context, loaded: Loaded, around: &dyn Around) -> Result<u8, Error> {
    let state = wiring::state(context, &loaded.settings);
    let engine = wiring::engine(context).await?;
    let _lock = state.lock(goal.verb())?;
    let result = reach(goal, context, loaded, around, &engine, &state).await;
    tell(goal.verb(), result, context, &state)
}

/// Says what a verb has done, to people and in the audit log.
pub fn tell(verb: &str, result: Result<Summary, Error>, context: &Context, state: &State) -> Result<u8, Error> {
    let outcome = result.as_ref().map_or_else(|error| error.kind.as_str(), |_| "done");
    // The directory is gone after `rm --volumes`, and a line in a log is not worth a failure.
    if state.exists() {
        let _ = state.audit(verb, outcome);
    }
    let summary = result?;
    if context.output.is_json() {
        context.output.document(&json::summary(&summary));
    } else {
        context.output.say(&terminal::summary::summary(&summary));
    }
    Ok(DONE)
}

async fn reach(
    goal: &Goal,
    context: &Context,
    loaded: Loaded,
    around: &dyn Around,
    engine: &Engine,
    state: &State,
) -> Result<Summary, Error> {
    let prepared = async {
        let cloud = match goal {
            Goal::Build { .. } => wiring::images(context, loaded, engine).await?,
            _ => wiring::cloud(context, loaded, engine).await?,
        };
        let world = wiring::world(&cloud, engine)?;
        Ok((cloud, world))
    };
    let (cloud, world) = unless_stopped(prepared, context).await?;
    known(goal, &cloud.desired)?;
    around.refuse(&cloud)?;
    if matches!(goal, Goal::Build { .. } | Goal::Image { .. }) {
        return undertake(goal, context, &cloud, world, engine, state).await;
    }
    let lock = unless_stopped(CloudLock::take(&cloud, engine, goal.verb()), context).await?;
    let reached = async {
        let mut summary = undertake(goal, context, &cloud, world.clone(), engine, state).await?;
        summary.notes.extend(around.finish(&cloud, world.perform.as_ref()).await?);
        Ok(summary)
    }
    .await;
    lock.release().await;
    reached
}

/// Looks and prepares, as long as nobody wants octo to stop.
pub async fn unless_stopped<T>(
    prepared: impl Future<Output = Result<T, Error>>,
    context: &Context,
) -> Result<T, Error> {
    tokio::select! {
        prepared = prepared => prepared,
        () = context.cancel.cancelled() => Err(Error::new(ErrorKind::Cancelled, "stopped before anything was changed")),
    }
}

/// Reaches a goal of a cloud that is assembled already. Whoever calls holds the locks.
pub async fn undertake(
    goal: &Goal,
    context: &Context,
    cloud: &Arc<Cloud>,
    world: World,
    engine: &Engine,
    state: &State,
) -> Result<Summary, Error> {
    if matches!(goal, Goal::Build { .. } | Goal::Image { .. } | Goal::Up) && state.base()?.as_ref() != Some(&cloud.base)
    {
        let BaseChoice { distro, reason, .. } = &cloud.base;
        context.output.say(&format!("images stand on {}: {reason}\n", distro.as_str()));
        state.record_base(&cloud.base)?;
    }
    let on_nodes = NodesPreflight { endpoint: wiring::endpoint(context), engine, cloud };
    let preflight: &dyn Preflight = match goal {
        Goal::Stop(_) | Goal::Remove { .. } | Goal::Drain { .. } | Goal::Ready { .. } => &NoPreflight,
        _ => &on_nodes,
    };
    let undertaking = Undertaking {
        verb: goal.verb(),
        plan: &|observed| plan(goal, &cloud.desired, observed),
        observe: world.observe.as_ref(),
        perform: world.perform,
        preflight,
        reporter: progress::reporter(&context.output),
        parallelism: wiring::parallelism(&cloud.settings),
    };
    apply(context, &undertaking).await
}

/// Refuses services and nodes that the cloud does not have.
pub fn known(goal: &Goal, desired: &Desired) -> Result<(), Error> {
    select::known(goal.services(), desired)?;
    goal.node().map_or(Ok(()), |node| select::known_node(node, desired))
}

/// `octo build --check`: a cloud that can be assembled has recipes that render, and these do
/// nothing that a recipe must not do.
pub async fn check_images(services: &[Name], context: &Context) -> Result<u8, Error> {
    let loaded = wiring::load(context)?;
    let engine = wiring::engine(context).await?;
    let (documents, origins) = (loaded.documents.clone(), loaded.origins.clone());
    let cloud = wiring::images(context, loaded, &engine).await?;
    select::known(services, &cloud.desired)?;
    let deployed = cloud.catalog.services.values().map(|service| service.image.clone()).collect();
    let problems = lint(&cloud.images, &deployed, &cloud.base.base_tag);
    if !problems.is_empty() {
        return Err(documents.error(&origins.place(problems)));
    }
    let count = plural(cloud.images.len(), "recipe");
    if context.output.is_json() {
        let images: Vec<_> = cloud.images.values().map(|image| image.tag.clone()).collect();
        context.output.document(&json::document("recipes", serde_json::json!({ "images": images })));
    } else {
        context.output.data(&format!("{count} for {} without a problem\n", cloud.desired.distro.as_str()));
    }
    Ok(DONE)
}
