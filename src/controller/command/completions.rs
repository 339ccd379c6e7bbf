//! `octo completions`: what a shell needs to complete verbs and options.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs};
use crate::controller::command::DONE;
use crate::controller::context::Context;
use crate::error::Error;

/// Prints the script.
pub fn run(args: CompletionsArgs, context: &Context) -> Result<u8, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "octo", &mut script);
    context.output.data(&String::from_utf8_lossy(&script));
    Ok(DONE)
}
