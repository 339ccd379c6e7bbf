//! The only place that writes to the terminal: data to standard output, everything else to
//! standard error. Views make the text; here colours are stripped where nobody can see them.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};

use crate::cli::{Color, Format, Global};

/// The width where nobody can tell: of a terminal as they came.
const DEFAULT_WIDTH: usize = 80;
/// The width of a file or pipe: nothing is cut there.
const UNBOUNDED_WIDTH: usize = usize::MAX;

/// The terminal, or what stands in its place.
pub struct Output {
    /// How results are written.
    pub format: Format,
    /// How much is said.
    pub verbose: u8,
    /// Columns that a line may have.
    pub width: usize,
    /// Whether somebody can be asked: standard input and standard error are a terminal.
    pub interactive: bool,
    data: Stream,
    talk: Stream,
    input: Arc<Mutex<Box<dyn BufRead + Send>>>,
}

/// One direction.
struct Stream {
    writer: Mutex<Box<dyn Write + Send>>,
    coloured: bool,
    terminal: bool,
    closed: AtomicBool,
}

impl Stream {
    /// A reader that has gone (`octo plan | head`) is no failure: what is left is not written.
    fn write(&self, text: &str) {
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let written = if self.coloured { write!(writer, "{text}") } else { write!(writer, "{}", strip_str(text)) };
        if written.and_then(|()| writer.flush()).is_err() {
            self.closed.store(true, Ordering::Relaxed);
        }
    }
}

fn coloured(color: Color, auto: ColorChoice) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => auto != ColorChoice::Never,
    }
}

impl Output {
    /// The process's own streams.
    pub fn standard(global: &Global) -> Self {
        let (stdout, stderr, stdin) = (io::stdout(), io::stderr(), io::stdin());
        let terminal = stdout.is_terminal();
        let columns = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self {
            format: global.format,
            verbose: global.verbose,
            width: columns.filter(|_| terminal).unwrap_or(UNBOUNDED_WIDTH),
            interactive: stdin.is_terminal() && stderr.is_terminal(),
            data: Stream {
                coloured: coloured(global.color, AutoStream::choice(&stdout)),
                terminal,
                writer: Mutex::new(Box::new(stdout)),
                closed: AtomicBool::new(false),
            },
            talk: Stream {
                coloured: coloured(global.color, AutoStream::choice(&stderr)),
                terminal: stderr.is_terminal(),
                writer: Mutex::new(Box::new(stderr)),
                closed: AtomicBool::new(false),
            },
            input: Arc::new(Mutex::new(Box::new(io::BufReader::new(stdin)))),
        }
    }

    /// Streams of a test.
    pub fn captured(
        global: &Global,
        data: impl Write + Send + 'static,
        talk: impl Write + Send + 'static,
        answers: Option<&'static str>,
    ) -> Self {
        let stream = |writer: Box<dyn Write + Send>| Stream {
            writer: Mutex::new(writer),
            coloured: false,
            terminal: false,
            closed: AtomicBool::new(false),
        };
        Self {
            format: global.format,
            verbose: global.verbose,
            width: DEFAULT_WIDTH,
            interactive: answers.is_some(),
            data: stream(Box::new(data)),
            talk: stream(Box::new(talk)),
            input: Arc::new(Mutex::new(Box::new(answers.unwrap_or_default().as_bytes()))),
        }
    }

    /// Whether results are JSON.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether standard output is a terminal.
    pub fn data_is_terminal(&self) -> bool {
        self.data.terminal
    }

    /// Whether standard error is a terminal, where lines can be drawn over.
    pub fn talk_is_terminal(&self) -> bool {
        self.talk.terminal
    }

    /// Whether nobody reads standard output any more.
    pub fn is_closed(&self) -> bool {
        self.data.closed.load(Ordering::Relaxed)
    }

    /// Writes a result.
    pub fn data(&self, text: &str) {
        self.data.write(text);
    }

    /// Writes a JSON document: the result of a verb with `--format json`.
    pub fn document(&self, document: &serde_json::Value) {
        self.data.write(&format!("{document:#}\n"));
    }

    /// Writes a JSON document on one line, where several follow each other.
    pub fn document_line(&self, document: &serde_json::Value) {
        self.data.write(&format!("{document}\n"));
    }

    /// Says something to people; not with `--format json`.
    pub fn say(&self, text: &str) {
        if !self.is_json() {
            self.talk.write(text);
        }
    }

    /// Says something to people in every format.
    pub fn insist(&self, text: &str) {
        self.talk.write(text);
    }

    /// Whether standard error shows colours.
    pub fn talk_is_coloured(&self) -> bool {
        self.talk.coloured
    }

    /// A text as standard error takes it: without styles where they are not wanted.
    pub fn styled(&self, text: &str) -> String {
        if self.talk.coloured { text.to_owned() } else { strip_str(text).to_string() }
    }

    /// Asks something. `None`: nobody answered.
    pub async fn ask(&self, question: &str) -> Option<String> {
        self.talk.write(question);
        let input = Arc::clone(&self.input);
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            let mut input = input.lock().unwrap_or_else(PoisonError::into_inner);
            input.read_line(&mut line).ok().filter(|read| *read > 0).map(|_| line)
        });
        read.await.ok().flatten().map(|line| line.trim().to_owned())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What was written, for a test to read.
    #[derive(Clone, Default)]
    pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let output = Output::captured(&Global::default(), Gone, Gone, None);
        output.data("one\n");
        assert!(output.is_closed());
        output.data("two\n");
    }
}
