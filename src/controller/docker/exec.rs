//! Further processes in a running container: captured, or with a terminal.

use std::pin::Pin;
use std::time::Duration;

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::ResizeExecOptions;
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWrite;

use super::Engine;
use super::failure::explain;
use crate::error::{Error, ErrorKind};

/// How often, and after which pauses, a process that has closed its output is asked for its code.
const CODE_TRIES: u32 = 20;
const CODE_PAUSE: Duration = Duration::from_millis(50);

/// What a captured process has left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// Its exit code.
    pub code: i64,
    /// What it wrote, both streams in the order of arrival.
    pub output: String,
}

/// Bytes that a process writes; the flag is set for the standard error stream.
pub type Output = Pin<Box<dyn Stream<Item = Result<(bool, bytes::Bytes), Error>> + Send>>;

/// A process in a container, attached to.
pub struct Attached {
    /// The engine's id of it.
    pub id: String,
    /// What it writes.
    pub output: Output,
    /// What it reads.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
}

impl Engine {
    /// Runs a command in a container to its end.
    pub async fn exec(&self, name: &str, command: &[String]) -> Result<Captured, Error> {
        let Attached { id, mut output, .. } = self.attach(name, command, None, false, false).await?;
        let mut text = Vec::new();
        while let Some(chunk) = output.next().await {
            text.extend_from_slice(&chunk?.1);
        }
        Ok(Captured { code: self.exec_code(&id).await?, output: String::from_utf8_lossy(&text).into_owned() })
    }

    /// Starts a command in a container and attaches to it, for `octo exec`.
    pub async fn attach(
        &self,
        name: &str,
        command: &[String],
        user: Option<&str>,
        terminal: bool,
        stdin: bool,
    ) -> Result<Attached, Error> {
        let action = format!("cannot run `{}` in {name}", command.join(" "));
        let options = CreateExecOptions {
            attach_stdin: Some(stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(terminal),
            cmd: Some(command.to_vec()),
            user: user.map(str::to_owned),
            ..CreateExecOptions::default()
        };
        let created = self.client().create_exec(name, options).await.map_err(|error| explain(&action, &error))?;
        let start = StartExecOptions { detach: false, tty: terminal, output_capacity: None };
        match self.client().start_exec(&created.id, Some(start)).await.map_err(|error| explain(&action, &error))? {
            StartExecResults::Attached { output, input } => {
                let output = output.map(move |chunk| {
                    let chunk = chunk.map_err(|error| explain(&action, &error))?;
                    let error = matches!(chunk, bollard::container::LogOutput::StdErr { .. });
                    Ok((error, chunk.into_bytes()))
                });
                Ok(Attached { id: created.id, output: Box::pin(output), input })
            }
            StartExecResults::Detached => Err(Error::new(ErrorKind::Internal, action)),
        }
    }

    /// The exit code of a process that has ended.
    pub async fn exec_code(&self, id: &str) -> Result<i64, Error> {
        let action = "cannot ask for the exit code of a command";
        for _ in 0..CODE_TRIES {
            let found = self.client().inspect_exec(id).await.map_err(|error| explain(action, &error))?;
            if let Some(code) = found.exit_code.filter(|_| found.running != Some(true)) {
                return Ok(code);
            }
            // It closed its output; its end is noticed a moment later.
            tokio::time::sleep(CODE_PAUSE).await;
        }
        Err(Error::new(ErrorKind::Operation, action).because_text("it closed its output and goes on"))
    }

    /// Tells a process how large its terminal is.
    pub async fn resize_exec(&self, id: &str, columns: u16, rows: u16) -> Result<(), Error> {
        let options = ResizeExecOptions { w: i32::from(columns), h: i32::from(rows) };
        self.client()
            .resize_exec(id, options)
            .await
            .map_err(|error| explain("cannot resize the terminal of a command", &error))
    }
}
