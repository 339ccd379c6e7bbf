//! Images on a real engine.

mod bootstrap;
mod build;
mod engine;
mod recipes;
