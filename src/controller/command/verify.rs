//! `octo verify`: whether a cloud does what it is for.

use crate::controller::cloud_lock::CloudLock;
use crate::controller::command::{DONE, instance};
use crate::controller::context::Context;
use crate::controller::verify::{Verify, boots_instances};
use crate::controller::wiring;
use crate::error::{Error, ErrorKind};
use crate::view::{json, terminal};

/// Verifies the cloud, and shows every step with its time.
pub async fn run(context: &Context) -> Result<u8, Error> {
    let loaded = wiring::load(context)?;
    let state = wiring::state(context, &loaded.settings);
    let engine = wiring::engine(context).await?;
    let cloud = tokio::select! {
        cloud = wiring::cloud(context, loaded, &engine) => cloud?,
        () = context.cancel.cancelled() => return Err(Error::new(ErrorKind::Cancelled, "stopped before anything was done")),
    };
    if !state.exists() {
        let message = format!("cloud {} is not there yet", cloud.desired.cloud);
        return Err(Error::new(ErrorKind::Environment, message).hint("octo up"));
    }
    // Another octo must neither change the cloud nor take this run's objects for leftovers.
    let _lock = (state.lock("verify")?, CloudLock::take(&cloud, &engine, "verify").await?);
    let image = match boots_instances(&cloud) {
        true => Some(instance::image(context, &cloud, &engine, &state).await?),
        false => None,
    };
    let verify = Verify { context, cloud: &cloud, state: &state, engine: &engine, image: image.as_deref() };
    let (report, failure) = verify.run().await;
    let outcome = failure.as_ref().map_or("done", |error| error.kind.as_str());
    // A line in a log is not worth a failure.
    let _ = state.audit("verify", outcome);
    let output = &context.output;
    if output.is_json() {
        output.document(&json::verify(&report, failure.as_ref()));
        return Ok(failure.map_or(DONE, |error| error.kind.exit_code()));
    }
    output.data(&terminal::verify::verify(&report, output.width));
    failure.map_or(Ok(DONE), Err)
}
