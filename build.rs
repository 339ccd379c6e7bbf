//! Rebuilds octo when a file is added to, or taken from, what is embedded in it. Changes of files
//! that are already embedded are noticed without this.

#![allow(clippy::print_stdout, reason = "this is how a build script talks to cargo")]

fn main() {
    // Naming a path that does not exist would rebuild every time.
    for path in ["build.rs", "dockerfiles", "templates", "drivers"] {
        if std::path::Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}
