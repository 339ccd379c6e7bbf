//! Simulated hosts: that they are what they claim to be.

mod faults;
mod simulated;
mod traces;
