//! Reporters: progress drawn on a terminal, or as lines where nothing can be drawn over.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::event::{Event, Reporter, Silent};
use super::output::Output;
use crate::model::plan::NodeId;
use crate::view::terminal::progress;

/// What takes longer stays on the screen when it has ended.
const WORTH_A_LINE: Duration = Duration::from_secs(1);
/// How often the time of a running operation is drawn.
const TICK: Duration = Duration::from_millis(120);

/// The reporter for an output: drawn on a terminal, lines elsewhere, nothing with JSON.
pub fn reporter(output: &Arc<Output>) -> Arc<dyn Reporter> {
    if output.is_json() {
        Arc::new(Silent)
    } else if output.talk_is_terminal() {
        Arc::new(Bars::new(Arc::clone(output)))
    } else {
        Arc::new(Lines::new(Arc::clone(output)))
    }
}

/// One line for each operation that has ended.
pub struct Lines {
    output: Arc<Output>,
    ended: AtomicUsize,
    all: AtomicUsize,
}

impl Lines {
    /// Lines on an output's standard error.
    pub fn new(output: Arc<Output>) -> Self {
        Self { output, ended: AtomicUsize::new(0), all: AtomicUsize::new(0) }
    }

    fn next(&self) -> (usize, usize) {
        (self.ended.fetch_add(1, Ordering::Relaxed) + 1, self.all.load(Ordering::Relaxed))
    }
}

impl Reporter for Lines {
    fn report(&self, event: Event<'_>) {
        let line = match event {
            Event::Begun(plan) => {
                self.ended.store(0, Ordering::Relaxed);
                self.all.store(plan.nodes.len(), Ordering::Relaxed);
                return;
            }
            Event::Busy(node, line) if self.output.verbose > 0 => progress::busy(&node.operation, &line),
            Event::Finished(node, elapsed) => {
                let (place, all) = self.next();
                progress::finished(place, all, &node.operation, elapsed)
            }
            Event::Failed(node, error) => {
                let (place, all) = self.next();
                progress::failed(place, all, &node.operation, error)
            }
            Event::Started(_) | Event::Busy(..) | Event::Ended { .. } => return,
        };
        self.output.say(&format!("{line}\n"));
    }
}

/// A line for each running operation, and a bar for all of them.
pub struct Bars {
    output: Arc<Output>,
    screen: MultiProgress,
    drawn: Mutex<Drawn>,
}

#[derive(Default)]
struct Drawn {
    overall: Option<ProgressBar>,
    running: HashMap<NodeId, ProgressBar>,
}

impl Bars {
    /// Bars on standard error.
    pub fn new(output: Arc<Output>) -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { output, screen, drawn: Mutex::default() }
    }

    /// A line above the bars that stays.
    fn keep(&self, line: &str) {
        // If the terminal has gone, nobody misses the line.
        let _ = self.screen.println(self.output.styled(line));
    }

    fn begin(drawn: &mut Drawn, screen: &MultiProgress, all: usize) {
        let bar = screen.add(ProgressBar::new(all as u64));
        bar.set_style(style("{bar:30} {pos}/{len}  {elapsed}"));
        bar.enable_steady_tick(TICK);
        drawn.overall = Some(bar);
    }

    fn start(drawn: &mut Drawn, screen: &MultiProgress, id: NodeId, operation: String) {
        let bar = ProgressBar::new_spinner();
        let bar = match &drawn.overall {
            Some(overall) => screen.insert_before(overall, bar),
            None => screen.add(bar),
        };
        bar.set_style(style("{spinner} {prefix}  {wide_msg} {elapsed}"));
        bar.set_prefix(operation);
        bar.enable_steady_tick(TICK);
        drawn.running.insert(id, bar);
    }

    fn end(drawn: &mut Drawn, id: NodeId) -> (usize, usize) {
        if let Some(bar) = drawn.running.remove(&id) {
            bar.finish_and_clear();
        }
        drawn.overall.as_ref().map_or((0, 0), |bar| {
            bar.inc(1);
            (
                usize::try_from(bar.position()).unwrap_or(0),
                bar.length().and_then(|all| all.try_into().ok()).unwrap_or(0),
            )
        })
    }
}

/// A template that is wrong would only look plain.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Reporter for Bars {
    fn report(&self, event: Event<'_>) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Begun(plan) => Self::begin(&mut drawn, &self.screen, plan.nodes.len()),
            Event::Started(node) => Self::start(&mut drawn, &self.screen, node.id, node.operation.to_string()),
            Event::Busy(node, line) => {
                if let Some(bar) = drawn.running.get(&node.id) {
                    bar.set_message(line);
                }
            }
            Event::Finished(node, elapsed) => {
                let (place, all) = Self::end(&mut drawn, node.id);
                if elapsed >= WORTH_A_LINE || self.output.verbose > 0 {
                    self.keep(&progress::finished(place, all, &node.operation, elapsed));
                }
            }
            Event::Failed(node, error) => {
                let (place, all) = Self::end(&mut drawn, node.id);
                self.keep(&progress::failed(place, all, &node.operation, error));
            }
            Event::Ended { .. } => {
                if let Some(overall) = drawn.overall.take() {
                    overall.finish_and_clear();
                }
                drawn.running.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Global;
    use crate::controller::output::tests::Written;
    use crate::error::{Error, ErrorKind};
    use crate::model::operation::Operation;
    use crate::model::plan::Plan;

    #[test]
    fn a_file_gets_one_line_for_each_operation_that_ended() {
        let talk = Written::default();
        let output = Arc::new(Output::captured(&Global::default(), Written::default(), talk.clone(), None));
        let mut plan = Plan::default();
        for volume in ["a", "b"] {
            plan.add(Operation::CreateVolume { volume: volume.to_owned() }, "absent", []);
        }
        let lines = reporter(&output);
        lines.report(Event::Begun(&plan));
        lines.report(Event::Started(&plan.nodes[0]));
        lines.report(Event::Busy(&plan.nodes[0], "not said".to_owned()));
        lines.report(Event::Finished(&plan.nodes[0], Duration::from_millis(210)));
        lines.report(Event::Failed(&plan.nodes[1], &Error::new(ErrorKind::Operation, "no space")));
        lines.report(Event::Ended { done: 1, left: 0 });
        let written = talk.text();
        insta::assert_snapshot!(written, @r"
        [1/2] create volume a … 0.2 s
        [2/2] create volume b failed: no space
        ");
    }
}
