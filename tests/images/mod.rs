//! Images on a real engine.

mod bootstrap;
mod build;
pub mod engine;
mod instance;
mod recipes;
