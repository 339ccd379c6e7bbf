//! Where the parts meet: from the command line to settings, a cloud, and the real world. Commands
//! know the others only through what is here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::adapters::Adapters;
use super::assemble::assemble;
use super::cloud::Cloud;
use super::context::Context;
use super::docker::Engine;
use super::docker::endpoint::Endpoint;
use super::execute::Parallelism;
use super::image::{Builder, Host};
use super::load::{self, Loaded, Sources};
use super::peers::Peers;
use super::port::{Observe, Perform};
use super::state::{DEFAULT_ROOT, State};
use crate::error::Error;
use crate::model::name::Name;
use crate::model::settings::Settings;
use crate::view::files::Sizing;

/// How many operations other than builds run at once. They mostly wait.
const OTHERS_AT_ONCE: usize = 16;

/// A cloud and the world that it is in.
#[derive(Clone)]
pub struct World {
    /// Takes snapshots.
    pub observe: Arc<dyn Observe>,
    /// Carries out operations.
    pub perform: Arc<dyn Perform>,
}

/// Reads and checks configuration.yaml and services.yaml.
pub fn load(context: &Context) -> Result<Loaded, Error> {
    load::load(&Sources {
        config: context.global.config.clone(),
        services: context.global.services_file.clone(),
        directory: PathBuf::new(),
        colored: context.output.talk_is_coloured(),
    })
}

/// Resolves and renders a cloud, seen from the node that this machine is.
pub async fn cloud(context: &Context, loaded: Loaded, engine: &Engine) -> Result<Arc<Cloud>, Error> {
    let peers = Peers::connect(&loaded.settings).await?;
    assembled(context, loaded, engine, peers).await
}

/// The same for its images alone, which any machine can build.
pub async fn images(context: &Context, loaded: Loaded, engine: &Engine) -> Result<Arc<Cloud>, Error> {
    let peers = Peers::unasked(&loaded.settings);
    assembled(context, loaded, engine, peers).await
}

/// Resolves and renders a cloud whose other nodes were asked already.
pub async fn assembled(context: &Context, loaded: Loaded, engine: &Engine, peers: Peers) -> Result<Arc<Cloud>, Error> {
    let state = state(context, &loaded.settings);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let sizing = Sizing { processors: u16::try_from(processors).unwrap_or(u16::MAX) };
    let say = |line: String| context.output.say(&format!("{line}\n"));
    assemble(loaded, engine.client(), peers, &state, sizing, &say).await.map(Arc::new)
}

/// The real world around a cloud.
pub fn world(cloud: &Arc<Cloud>, engine: &Engine) -> Result<World, Error> {
    let builder =
        Builder::new(engine.client().clone(), cloud.settings.build.clone(), Host::real(), &cloud.state_directory);
    let adapters = Arc::new(Adapters::new(Arc::clone(cloud), engine.clone(), Box::new(builder))?);
    Ok(World { observe: Arc::clone(&adapters) as Arc<dyn Observe>, perform: adapters })
}

/// The engines of all nodes that answer, this machine's first; with why others do not.
pub async fn engines(context: &Context, settings: &Settings) -> Result<(Vec<Engine>, BTreeMap<Name, String>), Error> {
    let here = engine(context).await?;
    let Peers { site, engines } = Peers::connect(settings).await?;
    Ok((std::iter::once(here).chain(engines.into_values()).collect(), site.silent))
}

/// The engine that the command line names.
pub async fn engine(context: &Context) -> Result<Engine, Error> {
    Engine::connect(Endpoint::in_surroundings(endpoint(context))).await
}

/// The endpoint that the command line or `DOCKER_HOST` names, without asking there.
pub fn endpoint(context: &Context) -> String {
    let given = context.global.engine.clone().filter(|endpoint| !endpoint.is_empty());
    given.unwrap_or_else(|| super::docker::DEFAULT_ENDPOINT.to_owned())
}

/// The state directory of a cloud.
pub fn state(context: &Context, settings: &Settings) -> State {
    State::new(state_directory(context, settings))
}

/// The same as a path, absolute: the engine mounts files from it and knows no current directory.
pub fn state_directory(context: &Context, settings: &Settings) -> PathBuf {
    let chosen = context.global.state_dir.clone();
    let directory = chosen.unwrap_or_else(|| Path::new(DEFAULT_ROOT).join(settings.cloud.as_str()));
    std::path::absolute(&directory).unwrap_or(directory)
}

/// How many operations run at once.
pub fn parallelism(settings: &Settings) -> Parallelism {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    // One more than there are processors: of the builds that run, one usually waits for packages or
    // for the engine to put a layer on the disk.
    let builds = settings.build.parallelism.map_or(processors + 1, usize::from);
    Parallelism { builds, others: OTHERS_AT_ONCE }
}
