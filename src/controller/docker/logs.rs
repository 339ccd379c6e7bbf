//! The output of containers, as the engine keeps it.

use bollard::query_parameters::LogsOptions;
use futures_util::{Stream, StreamExt};

use super::Engine;
use super::failure::explain;
use crate::error::Error;

/// What of a container's output is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Whether to wait for more.
    pub follow: bool,
    /// Only what is younger, in seconds since 1970.
    pub since: Option<i64>,
    /// Only so many lines from the end; `None` is all.
    pub tail: Option<u64>,
    /// Whether each line begins with the time of its arrival, RFC 3339.
    pub timestamps: bool,
}

/// A line of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Whether it came through the standard error stream.
    pub error: bool,
    /// The text, without the line's end.
    pub text: String,
}

impl Engine {
    /// A container's output, line by line.
    pub fn logs(&self, name: &str, query: &LogQuery) -> impl Stream<Item = Result<LogLine, Error>> + Send + use<> {
        let options = LogsOptions {
            follow: query.follow,
            stdout: true,
            stderr: true,
            since: query.since.and_then(|since| i32::try_from(since).ok()).unwrap_or_default(),
            timestamps: query.timestamps,
            tail: query.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
            ..LogsOptions::default()
        };
        let action = format!("cannot read the log of {name}");
        let docker = self.client().clone();
        docker.logs(name, Some(options)).map(move |chunk| {
            let chunk = chunk.map_err(|error| explain(&action, &error))?;
            let error = matches!(chunk, bollard::container::LogOutput::StdErr { .. });
            let text = String::from_utf8_lossy(chunk.as_ref()).trim_end_matches(['\n', '\r']).to_owned();
            Ok(LogLine { error, text })
        })
    }

    /// The last lines of a container's output, for an error's detail. Empty if they cannot be had:
    /// the error that they belong to matters more.
    pub async fn last_lines(&self, name: &str, lines: u64) -> Vec<String> {
        let query = LogQuery { tail: Some(lines), ..LogQuery::default() };
        let found: Vec<_> = self.logs(name, &query).collect().await;
        found.into_iter().filter_map(Result::ok).map(|line| line.text).collect()
    }
}
