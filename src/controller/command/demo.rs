//! `octo demo`: what an operator makes in every new cloud, and takes away again with `--remove`.

use std::sync::Arc;
use std::time::Instant;

use crate::cli::DemoArgs;
use crate::controller::cloud_lock::CloudLock;
use crate::controller::command::{DONE, instance};
use crate::controller::context::Context;
use crate::controller::demo::Demo;
use crate::controller::demo::image::Source;
use crate::controller::demo::networks::Addresses;
use crate::controller::steps::Steps;
use crate::controller::{openstack, wiring};
use crate::error::{Error, ErrorKind};
use crate::model::demo::{Outcome, Report};
use crate::view::{json, terminal};

/// Makes or removes the demo, and says what became of each object.
pub async fn run(args: DemoArgs, context: &Context) -> Result<u8, Error> {
    let made = tokio::select! {
        made = reach(&args, context) => made,
        () = context.cancel.cancelled() => {
            let error = Error::new(ErrorKind::Cancelled, "stopped before the end");
            Err(error.hint(format!("rerun `{}` to continue", context.rerun())))
        }
    };
    let report = made?;
    let output = &context.output;
    if output.is_json() {
        output.document(&json::demo(&report));
    } else {
        output.data(&terminal::demo::demo(&report, output.width));
    }
    let complete = report.in_use().next().is_none();
    // The report has named what is in use; only the exit code is left.
    Ok(if complete { DONE } else { ErrorKind::Operation.exit_code() })
}

async fn reach(args: &DemoArgs, context: &Context) -> Result<Report, Error> {
    let begun = Instant::now();
    let loaded = wiring::load(context)?;
    let state = wiring::state(context, &loaded.settings);
    let engine = wiring::engine(context).await?;
    let cloud = wiring::cloud(context, loaded, &engine).await?;
    // Before anything is built: without an administrator there is no cloud to put it into.
    let session = openstack::administrator(&cloud, &state).await?;
    let _lock = (state.lock("demo")?, CloudLock::take(&cloud, &engine, "demo").await?);
    let mut demo = Demo {
        session: &session,
        addresses: Addresses::of(&cloud.desired),
        steps: Steps::new(Arc::clone(&context.output)),
        key_file: args.key_file.clone(),
        report: Report { removal: args.remove, ..Report::default() },
    };
    if args.remove {
        demo.remove().await?;
    } else {
        let tag = instance::image(context, &cloud, &engine, &state).await?;
        let source = Source { engine: &engine, tag: &tag, directory: state.directory() };
        demo.make(&source).await?;
    }
    let mut report = demo.report;
    if report.items.iter().any(|item| item.outcome == Outcome::InUse) {
        report.notes.push(format!("remove what uses it, and repeat `{}`", context.rerun()));
    }
    report.elapsed = begun.elapsed();
    Ok(report)
}
