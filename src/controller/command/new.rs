//! `octo new`: a configuration.yaml to start from.

#![expect(clippy::disallowed_methods, reason = "the new configuration.yaml is a file")]

use std::fs::{self, File};
use std::io::{ErrorKind as IoErrorKind, Write};

use crate::cli::NewArgs;
use crate::controller::command::DONE;
use crate::controller::context::Context;
use crate::controller::load::embedded;
use crate::error::{Error, ErrorKind};

/// Writes the file unless there is one.
pub fn run(args: &NewArgs, context: &Context) -> Result<u8, Error> {
    let directory = &args.directory;
    let path = directory.join("configuration.yaml");
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Environment, format!("cannot write {}", path.display())).because(&error)
    };
    fs::create_dir_all(directory).map_err(failed)?;
    match File::create_new(&path) {
        Ok(mut file) => file.write_all(embedded::CONFIGURATION.as_bytes()).map_err(failed)?,
        Err(error) if error.kind() == IoErrorKind::AlreadyExists => {
            let message = format!("{} exists, and is not written over", path.display());
            return Err(Error::new(ErrorKind::Usage, message).hint("octo new ANOTHER_DIRECTORY"));
        }
        Err(error) => return Err(failed(error)),
    }
    context.output.say(&format!("wrote {0}; next: edit it, and octo --config {0} up\n", path.display()));
    Ok(DONE)
}
