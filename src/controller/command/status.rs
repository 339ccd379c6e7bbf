//! `octo status`: how each container is.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::cli::StatusArgs;
use crate::controller::cloud::Cloud;
use crate::controller::command::DONE;
use crate::controller::context::Context;
use crate::controller::docker::Engine;
use crate::controller::wiring::{self, World};
use crate::error::{Error, ErrorKind};
use crate::model::observed::{Observed, RunState};
use crate::model::planner::{Goal, plan};
use crate::model::status::Status;
use crate::view::{json, terminal};

/// How often `--watch` looks.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// Moves to the top left corner and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Shows the status once, or again and again.
pub async fn run(args: StatusArgs, context: &Context) -> Result<u8, Error> {
    let loaded = wiring::load(context)?;
    let engine = wiring::engine(context).await?;
    let cloud = wiring::cloud(context, loaded, &engine).await?;
    let world = wiring::world(&cloud, &engine)?;
    let output = &context.output;
    loop {
        let status = look(&cloud, &world, &engine).await?;
        match (output.is_json(), args.watch) {
            (true, true) => output.document_line(&json::status(&status)),
            (true, false) => output.document(&json::status(&status)),
            (false, watch) => {
                let clear = if watch && output.data_is_terminal() { CLEAR } else { "" };
                let text = terminal::status::status(&status, Timestamp::now(), output.width);
                output.data(&format!("{clear}{text}"));
            }
        }
        if !args.watch || output.is_closed() {
            let failed = args.check && !status.is_well();
            return Ok(if failed { ErrorKind::Drift.exit_code() } else { DONE });
        }
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

async fn look(cloud: &Cloud, world: &World, engine: &Engine) -> Result<Status, Error> {
    let observed = world.observe.observe().await?;
    let memory = memory(&observed, cloud, engine).await;
    let pending = plan(&Goal::Up, &cloud.desired, &observed).nodes.len();
    Ok(Status::of(&cloud.desired, &observed, &memory, pending))
}

/// Memory by container. What cannot be asked is left out: it is the least of a status.
async fn memory(observed: &Observed, cloud: &Cloud, here: &Engine) -> BTreeMap<String, u64> {
    let running = observed.containers.iter().filter(|(_, container)| container.state == RunState::Running);
    let asked = running.map(async |(name, _)| {
        let engine = cloud.engine_of(name, here)?;
        Some((name.clone(), engine.memory_of(name).await.ok()??))
    });
    join_all(asked).await.into_iter().flatten().collect()
}
