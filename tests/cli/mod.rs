//! What people see and type, in surroundings of its own: no home, no configuration, no engine.

mod environment;
mod help;
mod verbs;
