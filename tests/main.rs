//! Integration tests that need no running cloud: one program, so that it links once.

#![expect(clippy::disallowed_methods, reason = "tests prepare the world that they look at")]

#[cfg(test)]
mod adapters;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod config;
#[cfg(test)]
mod hosts;
#[cfg(test)]
mod images;
#[cfg(test)]
mod layers;
