//! `octo secrets`: which secrets a cloud has, and the next turn of keys that take turns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::cli::secrets::RotateArgs;
use crate::controller::cloud::Cloud;
use crate::controller::cloud_lock::CloudLock;
use crate::controller::command::apply::refuse_obstacles;
use crate::controller::command::{DONE, change};
use crate::controller::context::Context;
use crate::controller::docker::Engine;
use crate::controller::load::Loaded;
use crate::controller::node_files::{ANY_IMAGE, NodeFiles, RemoteFiles};
use crate::controller::peers::Peers;
use crate::controller::state::State;
use crate::controller::wiring;
use crate::error::{Error, ErrorKind};
use crate::model::desired::Desired;
use crate::model::name::Name;
use crate::model::node::Site;
use crate::model::observed::Observed;
use crate::model::planner::{Goal, plan};
use crate::model::resolve;
use crate::model::rotation::{Change, Ring, Standing, accounts};
use crate::model::suggestion::nearest;
use crate::model::summary::Summary;
use crate::view::{json, terminal};

const ROTATE: &str = "secrets rotate";
const RESTORE: &str = "secrets restore";

/// Shows the secrets, without their values. It asks no engine.
pub fn list(context: &Context) -> Result<u8, Error> {
    let loaded = wiring::load(context)?;
    let changes = wiring::state(context, &loaded.settings).secret_changes()?;
    let rings = resolve::rings(&loaded.settings, &loaded.catalog);
    let accounts = accounts(&resolve::secrets(&loaded.settings, &loaded.catalog), &rings, &changes);
    let output = &context.output;
    if output.is_json() {
        output.document(&json::secrets(&loaded.settings.cloud, &accounts));
    } else {
        output.data(&terminal::secrets::secrets(&accounts, output.width));
    }
    Ok(DONE)
}

/// Gives rings of keys their next turn, or completes one that was cut short, and says what was done.
pub async fn rotate(args: &RotateArgs, context: &Context) -> Result<u8, Error> {
    let loaded = wiring::load(context)?;
    let rings = chosen(args.name.as_deref(), resolve::rings(&loaded.settings, &loaded.catalog))?;
    let state = wiring::state(context, &loaded.settings);
    let engine = wiring::engine(context).await?;
    let _lock = state.lock(ROTATE)?;
    let result = turn(&rings, context, loaded, &engine, &state).await;
    change::tell(ROTATE, result, context, &state)
}

/// Takes the secrets that another node has a copy of.
pub async fn restore(node: &Name, context: &Context) -> Result<u8, Error> {
    let loaded = wiring::load(context)?;
    let state = wiring::state(context, &loaded.settings);
    let _lock = state.lock(RESTORE)?;
    let peers = Peers::connect(&loaded.settings).await?;
    let Some(engine) = peers.engines.get(node) else { return Err(no_copy_of(node, &peers.site, &loaded)) };
    let cloud = loaded.settings.cloud.clone();
    let files = RemoteFiles::new(engine.clone(), cloud, node.clone(), state.directory(), ANY_IMAGE);
    let copied = NodeFiles::Remote(Box::new(files)).state_copy().await?;
    if copied.is_empty() {
        let error = Error::new(ErrorKind::Environment, format!("{node} has no copy of the secrets"));
        return Err(error.hint("restore the state directory from a backup"));
    }
    state.restore(&copied)?;
    let done = vec![format!("use the secrets of {node}'s copy")];
    let notes = vec!["next: octo plan".to_owned()];
    let summary = Summary { verb: RESTORE.to_owned(), done, notes, ..Summary::default() };
    change::tell(RESTORE, Ok(summary), context, &state)
}

/// Why a node's copy cannot be had.
fn no_copy_of(node: &Name, site: &Site, loaded: &Loaded) -> Error {
    let error = |text: String| Error::new(ErrorKind::Usage, text);
    if let Some(why) = site.silent.get(node) {
        let error = Error::new(ErrorKind::Environment, format!("node {node} does not answer"));
        return error.because_text(why.clone()).hint("take the copy of another control node");
    }
    if loaded.settings.nodes.iter().any(|described| described.name == *node) {
        return error(format!("octo runs on {node}, and uses what is there"));
    }
    let others: Vec<&str> = loaded.settings.nodes.iter().map(|described| described.name.as_str()).collect();
    if others.is_empty() {
        return error("the cloud has one node, and no copies".to_owned());
    }
    error(format!("the cloud has no node {node}")).hint(format!("its nodes: {}", others.join(", ")))
}

async fn turn(
    rings: &BTreeMap<String, Ring>,
    context: &Context,
    loaded: Loaded,
    engine: &Engine,
    state: &State,
) -> Result<Summary, Error> {
    let users: BTreeSet<Name> = rings.values().flat_map(|ring| ring.services.clone()).collect();
    let goal = Goal::Run { services: users.into_iter().collect() };
    let looked = async {
        let cloud = wiring::cloud(context, loaded.clone(), engine).await?;
        let lock = CloudLock::take(&cloud, engine, ROTATE).await?;
        let observed = wiring::world(&cloud, engine)?.observe.observe().await?;
        Ok((cloud, lock, observed))
    };
    let (cloud, _lock, observed) = change::unless_stopped(looked, context).await?;
    refuse_silence(&cloud.desired, &observed, context)?;
    let changes = state.secret_changes()?;
    refuse_missing(rings, &changes)?;
    let pending = plan(&goal, &cloud.desired, &observed);
    refuse_obstacles(&pending, ROTATE)?;
    let standing = |ring: &Ring| {
        let youngest = ring.youngest(&cloud.desired, &observed);
        ring.standing(ring.change(&changes), !pending.is_empty(), youngest, Timestamp::now())
    };
    let standings = rings.iter().map(|(name, ring)| (name.as_str(), standing(ring))).collect();
    let turns = Turns::of(standings, context)?;

    let cloud = if turns.rotated.is_empty() {
        cloud
    } else {
        let retired = state.rotate(turns.rotated.iter().filter_map(|name| rings.get(*name)))?;
        // From here on `octo run` and `octo up` complete it too.
        let renewed = wiring::cloud(context, loaded, engine).await.map_err(|error| turns.continued(error, context))?;
        let mut renewed = Cloud::clone(&renewed);
        retired.into_iter().for_each(|key| renewed.secrets.retire(key));
        Arc::new(renewed)
    };
    let world = wiring::world(&cloud, engine)?;
    let mut summary = change::undertake(&goal, context, &cloud, world.clone(), engine, state).await?;
    summary.verb = ROTATE.to_owned();
    summary.done.extend(turns.rotated.iter().map(|name| format!("rotate {name}")));
    summary.notes.extend(turns.notes());
    let arrived = match world.observe.observe().await {
        Ok(observed) => {
            silent(&cloud.desired, &observed).is_none() && plan(&goal, &cloud.desired, &observed).is_empty()
        }
        Err(_) => false,
    };
    if arrived {
        let all = turns.rotated.iter().chain(&turns.completed).filter_map(|name| rings.get(*name));
        state.record_everywhere(all.flat_map(|ring| &ring.keys))?;
    } else {
        summary.notes.push("not every node has the new keys yet; next: octo run, when all nodes answer".to_owned());
    }
    Ok(summary)
}

/// What becomes of each ring.
#[derive(Debug, Default)]
struct Turns<'a> {
    rotated: Vec<&'a str>,
    completed: Vec<&'a str>,
    early: Vec<(&'a str, Timestamp)>,
    unknown: Vec<&'a str>,
}

impl<'a> Turns<'a> {
    /// Sorts rings by what becomes of them. It is an error if nothing becomes of any; `--yes` rotates
    /// also those of which something that is in use is lost.
    fn of(standings: Vec<(&'a str, Standing)>, context: &Context) -> Result<Self, Error> {
        let mut turns = Self::default();
        for (name, standing) in standings {
            match standing {
                Standing::Unfinished => turns.completed.push(name),
                Standing::Due => turns.rotated.push(name),
                _ if context.global.yes => turns.rotated.push(name),
                Standing::Early(due) => turns.early.push((name, due)),
                Standing::Unknown => turns.unknown.push(name),
            }
        }
        if !turns.rotated.is_empty() || !turns.completed.is_empty() {
            return Ok(turns);
        }
        Err(match (turns.early.iter().min_by_key(|(_, due)| *due), turns.unknown.first()) {
            (Some((name, due)), _) => Error::new(ErrorKind::Usage, format!("{name} cannot be rotated before {due}"))
                .because_text("until then something is in use that the key which would go has encrypted")
                .hint(format!("repeat it then, or let it become invalid: {} --yes", context.rerun())),
            (None, unknown) => {
                let name = unknown.copied().unwrap_or_default();
                Error::new(ErrorKind::Usage, format!("it is not known when {name} was rotated last"))
                    .because_text("the key that would go may have encrypted something that is in use")
                    .hint(format!("let it become invalid: {} --yes", context.rerun()))
            }
        })
    }

    /// An error after the new keys were stored.
    fn continued(&self, error: Error, context: &Context) -> Error {
        let names = self.rotated.join(", ");
        error
            .because_text(format!("the new keys of {names} are stored, and no node has them yet"))
            .hint(format!("rerun `{}` to continue", context.rerun()))
    }

    fn notes(&self) -> Vec<String> {
        let rotated = self.rotated.iter().map(|name| format!("rotated {name}"));
        let completed = self.completed.iter().map(|name| format!("completed the last rotation of {name}"));
        let early = self.early.iter().map(|(name, due)| format!("{name} is as it was: not before {due}"));
        let unknown = self.unknown.iter().map(|name| format!("{name} is as it was: nobody knows its last rotation"));
        rotated.chain(completed).chain(early).chain(unknown).collect()
    }
}

/// The rings that somebody has named, or all of them.
fn chosen(name: Option<&str>, mut rings: BTreeMap<String, Ring>) -> Result<BTreeMap<String, Ring>, Error> {
    let Some(name) = name else {
        let nothing = || Error::new(ErrorKind::Usage, "this cloud has no secrets that could be rotated");
        return if rings.is_empty() { Err(nothing().hint("octo secrets list")) } else { Ok(rings) };
    };
    if let Some(ring) = rings.remove(name) {
        return Ok(BTreeMap::from([(name.to_owned(), ring)]));
    }
    let error = Error::new(ErrorKind::Usage, format!("there is nothing called {name} that could be rotated"));
    Err(match nearest(name, rings.keys().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint("octo secrets list"),
    })
}

/// A node that does not answer, and why.
fn silent<'a>(desired: &'a Desired, observed: &'a Observed) -> Option<(&'a Name, &'a str)> {
    desired.nodes.keys().find_map(|node| Some((node, observed.silence(node, &desired.node)?)))
}

/// A node that misses two turns would come back with keys that the others do not know.
fn refuse_silence(desired: &Desired, observed: &Observed, context: &Context) -> Result<(), Error> {
    let Some((node, why)) = silent(desired, observed) else { return Ok(()) };
    let message = format!("node {node} does not answer, and keys take turns on all nodes only");
    Err(Error::new(ErrorKind::Environment, message)
        .because_text(why)
        .hint(format!("look at its Docker Engine, then rerun `{}`", context.rerun()))
        .hint(format!("if it will not come back, take {node} out of `nodes` in configuration.yaml")))
}

/// What was not stored yet cannot take turns.
fn refuse_missing(rings: &BTreeMap<String, Ring>, changes: &BTreeMap<String, Option<Change>>) -> Result<(), Error> {
    let mut keys = rings.values().flat_map(|ring| &ring.keys);
    match keys.find(|key| !changes.contains_key(*key)) {
        None => Ok(()),
        Some(key) => Err(Error::new(ErrorKind::Environment, format!("there is no {key} yet")).hint("octo up")),
    }
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;
