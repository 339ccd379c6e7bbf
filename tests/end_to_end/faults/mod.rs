//! What faults cost the users of a pair: each is injected several times under load, and what the client
//! saw becomes the table in docs/faults.md.
//!
//! The test of a pair injects each of them once. The table takes hours, and is made by `scripts/faults` alone,
//! with the feature `faults`.

mod balancer;
mod budget;
mod catalogue;
mod figure;
mod harness;
mod page;
pub mod probe;
mod round;
mod samples;
mod scene;
mod target;

pub use harness::{DISK, each_once};

#[cfg(feature = "faults")]
#[test]
fn the_whole_table() {
    harness::the_whole_table();
}
