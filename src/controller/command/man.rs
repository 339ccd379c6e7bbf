//! `octo man`: manual pages.

#![expect(clippy::disallowed_methods, reason = "manual pages are files")]

use std::fs;

use clap::CommandFactory;

use crate::cli::{Cli, ManArgs};
use crate::controller::command::DONE;
use crate::controller::context::Context;
use crate::error::{Error, ErrorKind};

/// Prints octo(1), or writes all pages into a directory.
pub fn run(args: &ManArgs, context: &Context) -> Result<u8, Error> {
    let failed =
        |error: std::io::Error| Error::new(ErrorKind::Environment, "cannot write the manual pages").because(&error);
    match &args.directory {
        Some(directory) => {
            fs::create_dir_all(directory).map_err(failed)?;
            clap_mangen::generate_to(Cli::command(), directory).map_err(failed)?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(failed)?;
            context.output.data(&String::from_utf8_lossy(&page));
        }
    }
    Ok(DONE)
}
