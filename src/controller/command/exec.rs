//! `octo exec`: a command in a container, with this terminal.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::ExecArgs;
use crate::controller::command::logs::{Everywhere, everywhere};
use crate::controller::command::select::{Labelled, chosen};
use crate::controller::context::Context;
use crate::controller::docker::Engine;
use crate::controller::raw_mode::RawMode;
use crate::controller::wiring;
use crate::error::{Error, ErrorKind};
use crate::model::node::node_in;

/// Runs the command; its exit code becomes octo's.
pub async fn run(args: ExecArgs, context: &Context) -> Result<u8, Error> {
    let settings = wiring::load(context)?.settings;
    let Everywhere { engines, containers, homes } = everywhere(context, &settings, args.node.as_ref()).await?;
    let name = one(&args, &containers)?.to_owned();
    let engine = homes
        .get(&name)
        .and_then(|place| engines.get(*place))
        .ok_or_else(|| Error::new(ErrorKind::Internal, format!("it is not known which engine has {name}")))?;
    let terminal = std::io::stdin().is_terminal() && context.output.data_is_terminal();
    let attached = engine.attach(&name, &args.command, args.user.as_deref(), terminal, true).await?;

    let raw = if terminal { RawMode::enter() } else { None };
    if terminal {
        tokio::spawn(follow_size(engine.clone(), attached.id.clone()));
    }
    let mut input = attached.input;
    let forward = tokio::spawn(async move {
        // Either side may end first; the command's end is what counts.
        let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut input).await;
        let _ = input.shutdown().await;
    });
    let mut output = attached.output;
    while let Some(chunk) = output.next().await {
        let (error, bytes) = chunk?;
        if pass(error, &bytes).is_err() {
            break;
        }
    }
    forward.abort();
    drop(raw);
    // Codes of processes fit, apart from what the engine itself might make up.
    Ok(u8::try_from(engine.exec_code(&attached.id).await?).unwrap_or(ErrorKind::Operation.exit_code()))
}

/// Bytes go out as they came: they are not octo's words.
fn pass(error: bool, bytes: &[u8]) -> std::io::Result<()> {
    if error {
        std::io::stderr().write_all(bytes)
    } else {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }
}

/// The one running container that a target means.
fn one<'a>(args: &ExecArgs, containers: &'a BTreeMap<String, Labelled>) -> Result<&'a str, Error> {
    let target = &args.target;
    let found = chosen(std::slice::from_ref(target), containers)?;
    let running: Vec<(&&str, &&Labelled)> = found.iter().filter(|(_, container)| container.running).collect();
    match running.as_slice() {
        [(name, _)] => Ok(name),
        [] => {
            let error = Error::new(ErrorKind::Environment, format!("no container of {} runs", target.service));
            Err(error.hint(format!("octo start {}", target.service)))
        }
        several => {
            let message = format!("{} has several containers", target.service);
            let command = args.command.join(" ");
            let choices = several.iter().map(|(name, found)| {
                let node = node_in(name).map(|node| format!("--node {node} ")).unwrap_or_default();
                format!("octo exec {node}{}/{} -- {command}", found.service, found.part)
            });
            Err(choices.fold(Error::new(ErrorKind::Usage, message), Error::hint))
        }
    }
}

/// Tells the command how large this terminal is, now and whenever that changes.
async fn follow_size(engine: Engine, id: String) {
    let Ok(mut changes) = signal(SignalKind::window_change()) else { return };
    loop {
        if let Some((width, height)) = terminal_size::terminal_size() {
            // A command that has ended has no size.
            let _ = engine.resize_exec(&id, width.0, height.0).await;
        }
        if changes.recv().await.is_none() {
            return;
        }
    }
}
