//! The terminal without line editing, for a command in a container that has a terminal of its own.

use std::io;

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

/// Standard input in raw mode, until this is dropped.
pub struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Enters raw mode; `None` if standard input is no terminal.
    pub fn enter() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that has gone needs no repair.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}
