//! Progress of work that is no plan: one step after the other, drawn on a terminal, as lines
//! elsewhere, and nothing with JSON.

use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Output;
use crate::error::Error;
use crate::view::terminal::verify as lines;

/// How often the time of a running step is drawn.
const TICK: Duration = Duration::from_millis(120);

/// Tells about steps.
#[derive(Clone)]
pub struct Steps {
    output: Arc<Output>,
}

/// A step that is being done.
pub struct Running {
    steps: Steps,
    what: String,
    begun: Instant,
    bar: Option<ProgressBar>,
}

impl Steps {
    /// Steps on an output's standard error.
    pub fn new(output: Arc<Output>) -> Self {
        Self { output }
    }

    /// Begins a step.
    pub fn begin(&self, what: impl Into<String>) -> Running {
        let what = what.into();
        let drawn = self.output.talk_is_terminal() && !self.output.is_json();
        let bar = drawn.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // A template that is wrong would only look plain.
            let style = ProgressStyle::with_template("{spinner} {prefix}  {wide_msg} {elapsed}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_prefix(what.clone());
            bar.enable_steady_tick(TICK);
            bar
        });
        Running { steps: self.clone(), what, begun: Instant::now(), bar }
    }
}

impl Running {
    /// Says what the step is busy with.
    pub fn busy(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(line.to_owned()),
            None if self.steps.output.verbose > 0 => {
                self.steps.output.say(&format!("{}\n", lines::busy(&self.what, line)));
            }
            None => {}
        }
    }

    /// Ends the step; how long it took.
    pub fn end<T>(self, result: &Result<T, Error>) -> Duration {
        let elapsed = self.begun.elapsed();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.steps.output.say(&format!("{}\n", lines::ended(&self.what, elapsed, result.is_ok())));
        elapsed
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
