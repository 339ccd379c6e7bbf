//! What a BuildKit build says, step by step: short lines for people, the whole for the log file,
//! and the step that failed with its last lines.

use std::collections::{BTreeMap, VecDeque};

use bollard::moby::buildkit::v1::{StatusResponse, Vertex};

use crate::controller::mask::Mask;

/// How many of a step's last lines are kept.
const KEPT: usize = 25;
/// The longest short line, in characters.
const WIDTH: usize = 100;

/// A build as far as it has come.
pub struct Progress {
    mask: Mask,
    steps: BTreeMap<String, Step>,
    failed: Option<String>,
}

/// One step (a vertex of BuildKit's graph).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Its instruction (`[3/5] RUN …`).
    pub name: String,
    /// Its last lines.
    pub lines: VecDeque<String>,
    /// The error that it ended with.
    pub error: String,
    pub(super) begun: bool,
    pub(super) ended: bool,
    /// A line whose end has not come yet.
    pub(super) rest: String,
}

/// What came of a message.
#[derive(Debug, Default, PartialEq)]
pub struct News {
    /// Lines for the log file.
    pub log: Vec<String>,
    /// The line for people, if there is anything to say.
    pub short: Option<String>,
}

impl Progress {
    /// A build that has not begun.
    pub fn new(mask: Mask) -> Self {
        Self { mask, steps: BTreeMap::new(), failed: None }
    }

    /// Takes a message of the build.
    pub fn take(&mut self, message: &StatusResponse) -> News {
        let mut news = News::default();
        for vertex in &message.vertexes {
            let step = self.steps.entry(vertex.digest.clone()).or_default();
            step.name = self.mask.hide(&vertex.name);
            if vertex.started.is_some() && !step.begun {
                step.begun = true;
                news.log.push(format!("==> {}", step.name));
                news.short = shown(&step.name).or(news.short);
            }
            if vertex.completed.is_some() && !step.ended {
                step.ended = true;
                let how = if vertex.cached { "unchanged".to_owned() } else { format!("{:.1} s", seconds(vertex)) };
                news.log.push(format!("==> {}: {how}", step.name));
            }
            if !vertex.error.is_empty() && step.error.is_empty() {
                step.error = self.mask.hide(&vertex.error);
                news.log.push(format!("==> {}: {}", step.name, step.error));
                // When one step fails, those beside it are cancelled.
                if !step.error.contains("context canceled") {
                    self.failed.get_or_insert_with(|| vertex.digest.clone());
                }
            }
        }
        for log in &message.logs {
            let step = self.steps.entry(log.vertex.clone()).or_default();
            for line in step.lines(&String::from_utf8_lossy(&log.msg)) {
                let line = self.mask.hide(&line);
                news.short = Some(shortened(&line)).filter(|short| !short.is_empty()).or(news.short);
                step.keep(&line);
                news.log.push(line);
            }
        }
        news
    }

    /// The step that failed, if one did.
    pub fn failed(&self) -> Option<Step> {
        let mut step = self.steps.get(self.failed.as_ref()?)?.clone();
        let rest = self.mask.hide(&std::mem::take(&mut step.rest));
        if !rest.trim().is_empty() {
            step.keep(&rest);
        }
        Some(step)
    }
}

impl Step {
    /// The whole lines that a piece of output completes. A carriage return begins a line anew, as
    /// progress bars do it.
    fn lines(&mut self, piece: &str) -> Vec<String> {
        self.rest.push_str(piece);
        let Some(end) = self.rest.rfind('\n') else { return Vec::new() };
        let whole: String = self.rest.drain(..=end).collect();
        whole.lines().map(|line| line.rsplit('\r').next().unwrap_or(line).trim_end().to_owned()).collect()
    }

    fn keep(&mut self, line: &str) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    /// Its instruction in one short line.
    pub fn short_name(&self) -> String {
        shown(&self.name).unwrap_or_else(|| shortened(&self.name))
    }

    /// The exit code in its error.
    pub fn exit_code(&self) -> Option<i64> {
        let (_, code) = self.error.rsplit_once("exit code: ")?;
        code.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
    }
}

/// How long a step took.
fn seconds(vertex: &Vertex) -> f64 {
    let (Some(started), Some(completed)) = (&vertex.started, &vertex.completed) else { return 0.0 };
    let whole = completed.seconds.saturating_sub(started.seconds);
    // Neither number is near the limits of its type.
    f64::from(i32::try_from(whole).unwrap_or(i32::MAX)) + f64::from(completed.nanos - started.nanos) / 1e9
}

/// An instruction as people know it: without mounts, and without what every recipe begins with.
/// Nothing for what only BuildKit itself does.
fn shown(name: &str) -> Option<String> {
    let (place, instruction) = name.strip_prefix('[')?.split_once("] ")?;
    if place == "internal" {
        return None;
    }
    let words: Vec<&str> = instruction.split_whitespace().filter(|word| !word.starts_with("--mount=")).collect();
    let instruction = words.join(" ").replace(". /run/transport/environment && ", "");
    Some(shortened(&format!("[{place}] {instruction}")))
}

fn shortened(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(WIDTH) {
        None => text,
        Some(_) => text.chars().take(WIDTH - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use bollard::moby::buildkit::v1::VertexLog;

    use super::*;

    fn vertex(digest: &str, name: &str, error: &str) -> StatusResponse {
        let vertex = Vertex {
            digest: digest.to_owned(),
            name: name.to_owned(),
            started: Some(Default::default()),
            completed: (!error.is_empty()).then(Default::default),
            error: error.to_owned(),
            ..Vertex::default()
        };
        StatusResponse { vertexes: vec![vertex], ..StatusResponse::default() }
    }

    fn output(digest: &str, text: &str) -> StatusResponse {
        let log = VertexLog { vertex: digest.to_owned(), msg: text.into(), ..VertexLog::default() };
        StatusResponse { logs: vec![log], ..StatusResponse::default() }
    }

    #[test]
    fn steps_are_told_once_and_without_their_mounts() {
        let mut progress = Progress::new(Mask::default());
        let name = "[2/3] RUN --mount=type=bind,source=x,target=/y     . /run/transport/environment  && apt-get update";
        let news = progress.take(&vertex("a", name, ""));
        assert_eq!(news.short.as_deref(), Some("[2/3] RUN apt-get update"));
        assert_eq!(news.log, [format!("==> {name}")]);
        assert_eq!(progress.take(&vertex("a", name, "")), News::default());
        assert_eq!(progress.take(&vertex("b", "[internal] load build context", "")).short, None);
    }

    #[test]
    fn lines_are_joined_and_secrets_hidden() {
        let mut progress = Progress::new(Mask::default());
        progress.take(&vertex("a", "[1/1] RUN x", ""));
        assert_eq!(progress.take(&output("a", "Get: http://u:")), News::default());
        let news = progress.take(&output("a", "pw@h/ 5%\rGet: http://u:pw@h/ done\nnext"));
        assert_eq!(news.log, ["Get: http://***@h/ done"]);
        assert_eq!(news.short.as_deref(), Some("Get: http://***@h/ done"));
    }

    #[test]
    fn the_failed_step_is_known_with_its_last_lines() {
        let mut progress = Progress::new(Mask::default());
        progress.take(&vertex("a", "[1/2] RUN long", ""));
        progress.take(&vertex("b", "[2/2] RUN short", ""));
        let many: String = (0..40).map(|line| format!("line {line}\n")).collect();
        progress.take(&output("a", &many));
        progress.take(&output("a", "no line end"));
        progress.take(&vertex("b", "[2/2] RUN short", "failed: context canceled"));
        progress.take(&vertex("a", "[1/2] RUN long", "executor failed running [/bin/sh -c long]: exit code: 7"));
        let failed = progress.failed().unwrap();
        assert_eq!((failed.short_name().as_str(), failed.exit_code()), ("[1/2] RUN long", Some(7)));
        assert_eq!(
            (failed.lines.len(), failed.lines[0].as_str(), failed.lines[24].as_str()),
            (25, "line 16", "no line end")
        );
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let cut = shortened(&"ä".repeat(200));
        assert_eq!((cut.chars().count(), cut.ends_with('…')), (WIDTH, true));
    }
}
