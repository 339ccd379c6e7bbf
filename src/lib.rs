//! octo builds, brings up and keeps alive a real OpenStack control plane in containers.
//!
//! Three layers, with one law: [`model`] imports nothing of octo, [`view`] imports the model,
//! [`controller`] imports both. See ARCHITECTURE.md.

#[expect(rustdoc::invalid_html_tags, reason = "its comments are the help texts, which are no markup")]
pub mod cli;
pub mod controller;
pub mod error;
pub mod model;
pub mod view;

use clap::Parser;
use cli::Cli;
use controller::context::Context;
use controller::{command, interrupt, trace};
use error::{Error, ErrorKind};
use view::{json, terminal};

/// Runs the program; the exit code.
pub fn run(cli: Cli) -> u8 {
    trace::begin(&cli.global);
    let context = Context::new(cli.global, trace::command_line());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = Error::new(ErrorKind::Environment, "cannot start threads").because(&error);
            return report(&error, &context);
        }
    };
    let result = runtime.block_on(async {
        interrupt::listen(&context);
        command::run(cli.verb, &context).await
    });
    // Somebody may still be asked something that nobody will answer.
    runtime.shutdown_background();
    result.unwrap_or_else(|error| report(&error, &context))
}

/// Answers a command line that asks for help, or that is wrong; the exit code. Programs that asked
/// for JSON get their one document also then.
pub fn refuse(refusal: &clap::Error) -> u8 {
    let arguments = trace::command_line();
    let words: Vec<&str> = arguments.split(' ').collect();
    let json = words.contains(&"--format=json") || words.windows(2).any(|pair| pair == ["--format", "json"]);
    if let Ok(cli) = Cli::try_parse_from(["octo", "--format", "json", "status"])
        && json
        && refusal.use_stderr()
    {
        let context = Context::new(cli.global, arguments);
        let text = refusal.to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let message = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        return report(&lines.fold(Error::new(ErrorKind::Usage, message), Error::hint), &context);
    }
    // Nobody can be told that the terminal is gone.
    refusal.print().ok();
    u8::try_from(refusal.exit_code()).unwrap_or(ErrorKind::Usage.exit_code())
}

/// Writes an error: to people on standard error, to programs as the one document of the output.
fn report(error: &Error, context: &Context) -> u8 {
    if context.output.is_json() {
        context.output.document(&json::error(error));
    } else {
        context.output.insist(&terminal::error::error(error));
    }
    error.kind.exit_code()
}
