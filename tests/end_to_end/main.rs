//! End to end: images are built, clouds come up in a real engine, the real client uses them.
//!
//! The tests share one machine and run one after the other (`--test-threads=1`). Each brings its
//! cloud up first, which costs a second where it is up already.

#![expect(clippy::disallowed_methods, reason = "tests prepare the world that they look at")]

#[cfg(test)]
mod client;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod journey;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod leftovers;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod own_service;
#[cfg(test)]
mod pair;
#[cfg(test)]
mod privilege;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod rolling;
#[cfg(test)]
mod secrets;
#[cfg(test)]
#[path = "../hosts/simulated.rs"]
mod simulated;
#[cfg(test)]
mod spread;
#[cfg(test)]
mod standard;
#[cfg(test)]
mod teardown;
