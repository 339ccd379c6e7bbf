//! The `octo` program: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use octo::cli::Cli;

fn main() -> ExitCode {
    ExitCode::from(match Cli::try_parse() {
        Ok(cli) => octo::run(cli),
        Err(refusal) => octo::refuse(&refusal),
    })
}
