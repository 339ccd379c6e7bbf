//! What people see. Every function yields text with ANSI styles; where they cannot be seen, whoever
//! writes the text strips them.

pub mod demo;
pub mod doctor;
pub mod error;
pub mod log;
pub mod nodes;
pub mod plan;
pub mod progress;
pub mod secrets;
pub mod status;
pub mod style;
pub mod summary;
pub mod table;
pub mod verify;
