//! Ctrl-C and SIGTERM: the first asks to stop, the second stops.

#![expect(clippy::disallowed_methods, reason = "the second signal ends octo at once")]

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::context::Context;
use crate::error::ErrorKind;

/// Listens for both signals from now on.
pub fn listen(context: &Context) {
    let (Ok(interrupt), Ok(terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        // Without handlers the signals end octo at once, which a rerun repairs as well.
        return;
    };
    tokio::spawn(watch(interrupt, terminate, context.clone()));
}

async fn watch(mut interrupt: Signal, mut terminate: Signal, context: Context) {
    let mut next = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    next().await;
    context.cancel.cancel();
    next().await;
    context.output.insist("\nstopped at once\n");
    std::process::exit(ErrorKind::Cancelled.exit_code().into());
}
