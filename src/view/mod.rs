//! Pure projections of the model: files for services, text and JSON for people. No effects.

pub mod dockerfile;
pub mod files;
pub mod ini;
pub mod json;
pub mod openrc;
pub mod problem;
pub mod recipe_lint;
pub mod rendered;
mod template;
pub mod terminal;
