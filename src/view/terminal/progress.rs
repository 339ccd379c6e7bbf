//! Lines of progress, for terminals and for files.

use std::time::Duration;

use super::style::{self, BAD, DIM, paint};
use crate::error::Error;
use crate::model::operation::Operation;

/// `[ 3/41] create container lab-haproxy-haproxy … 0.2 s`
pub fn finished(place: usize, all: usize, operation: &Operation, elapsed: Duration) -> String {
    format!("{} {operation} {}", counter(place, all), paint(DIM, format!("… {}", style::duration(elapsed))))
}

/// `[ 3/41] create container lab-haproxy-haproxy failed: …`
pub fn failed(place: usize, all: usize, operation: &Operation, error: &Error) -> String {
    format!("{} {operation} {}: {}", counter(place, all), paint(BAD, "failed"), error.message)
}

/// `        build image keystone: compiling bytecode`
pub fn busy(operation: &Operation, line: &str) -> String {
    paint(DIM, format!("        {operation}: {line}"))
}

fn counter(place: usize, all: usize) -> String {
    let width = all.to_string().len();
    format!("[{place:width$}/{all}]")
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn counters_are_aligned() {
        let operation = Operation::CreateContainer { container: "lab-haproxy-haproxy".to_owned() };
        let line = finished(3, 41, &operation, Duration::from_millis(200));
        assert_eq!(strip_str(&line).to_string(), "[ 3/41] create container lab-haproxy-haproxy … 0.2 s");
    }
}
