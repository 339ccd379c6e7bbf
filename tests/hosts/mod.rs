//! Simulated hosts: that they are what they claim to be.

mod faults;
pub mod simulated;
mod traces;
