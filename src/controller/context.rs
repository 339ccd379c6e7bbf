//! What every command is given: the global options, the terminal, and the wish to stop.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::output::Output;
use crate::cli::Global;

/// The surroundings of one run of octo.
#[derive(Clone)]
pub struct Context {
    /// The global options.
    pub global: Arc<Global>,
    /// The terminal.
    pub output: Arc<Output>,
    /// Fires when somebody wants octo to stop.
    pub cancel: CancellationToken,
    /// What was typed, without the program's name: for `rerun octo …`.
    pub command_line: String,
}

impl Context {
    /// The surroundings of a run in a terminal.
    pub fn new(global: Global, command_line: String) -> Self {
        let output = Arc::new(Output::standard(&global));
        Self { global: Arc::new(global), output, cancel: CancellationToken::new(), command_line }
    }

    /// `octo …` as it was typed.
    pub fn rerun(&self) -> String {
        format!("octo {}", self.command_line)
    }
}
