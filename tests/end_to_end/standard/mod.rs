//! The standard profile: instances boot, reach each other and are reached, and keep their network
//! through all that can happen to them; Horizon is used in a real browser.
//!
//! These tests share one cloud, since a node has room for one Open vSwitch.

mod cloud;
mod crash;
mod crowd;
mod demo;
mod horizon;
mod journey;
mod life;
mod outside;
mod power;
mod server;
mod teardown;
