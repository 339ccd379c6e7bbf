//! Rules about the SQL that octo executes for jobs.

use super::super::path::is_plain;
use super::super::problem::Problem;
use super::super::resolve::files_of;
use super::super::suggestion::choice;
use super::{Input, steps};

/// Either all databases that a job fills have a snapshot, or none has: the job makes all of them or
/// is not needed.
pub fn snapshots(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for (job_name, job) in service.jobs.iter().filter(|(_, job)| !job.snapshots.is_empty()) {
            for (database, path) in &job.snapshots {
                let place = input.service(name, steps!["jobs", job_name, "snapshots", database]);
                if !job.fills.contains(database) {
                    let known = job.fills.iter().map(|database| database.as_str());
                    let message = format!("job `{job_name}` does not fill database `{database}`");
                    let help = choice(database.as_str(), "databases that it fills", known);
                    found.push(Problem::new(place.of_key(), message).with_help(help));
                } else if !is_plain(path) {
                    let help = "write the absolute path of an SQL file in the service's image";
                    found.push(Problem::new(place, format!("`{path}` is no path of a file")).with_help(help));
                }
            }
            for (index, database) in job.fills.iter().enumerate() {
                if !job.snapshots.contains_key(database) {
                    let place = input.service(name, steps!["jobs", job_name, "fills", index]);
                    let message = format!("database `{database}` has no snapshot, but others of job `{job_name}` have");
                    found.push(Problem::new(place, message).with_help("add one to `snapshots`, or take those away"));
                }
            }
        }
    }
}

/// Statements are for databases of the service, and in files that are rendered for the job.
pub fn statements(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for (job_name, job) in &service.jobs {
            let files = files_of(service, None, Some(job_name));
            for (database, path) in &job.statements {
                let place = input.service(name, steps!["jobs", job_name, "statements", database]);
                if !service.databases.contains(database) {
                    let known = service.databases.iter().map(|database| database.as_str());
                    let message = format!("service `{name}` has no database `{database}`");
                    let help = choice(database.as_str(), "its databases", known);
                    found.push(Problem::new(place.of_key(), message).with_help(help));
                } else if !files.contains_key(path) {
                    let known = files.keys().map(|path| path.as_str());
                    let message = format!("job `{job_name}` has no file `{path}`");
                    found.push(Problem::new(place, message).with_help(choice(path, "its files", known)));
                }
            }
        }
    }
}
