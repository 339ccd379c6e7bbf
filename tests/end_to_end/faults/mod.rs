//! What faults cost the users of a pair: each is injected several times under load, and what the client
//! saw becomes the table in docs/faults.md.
//!
//! The parts that judge and print are pure, and are tested always. The table itself takes hours, and is
//! made by `scripts/faults` alone, with the feature `faults`.

mod balancer;
mod budget;
mod figure;
mod page;
pub mod probe;
mod round;
mod samples;

#[cfg(feature = "faults")]
mod catalogue;
#[cfg(feature = "faults")]
mod harness;
#[cfg(feature = "faults")]
mod scene;
#[cfg(feature = "faults")]
mod target;

/// Panics after all is written, if a write was lost, two sides wrote, or the cloud did not come back.
/// Missed budgets are told and not asserted: how long something takes is no test.
#[cfg(feature = "faults")]
#[test]
fn the_whole_table() {
    harness::run();
}
