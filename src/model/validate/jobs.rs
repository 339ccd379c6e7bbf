//! Rules about jobs.

use super::super::problem::Problem;
use super::super::suggestion::choice;
use super::{Input, cycle, names, steps};

/// Jobs follow jobs of their own service, and fill databases of it.
pub fn references(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for (job_name, job) in &service.jobs {
            for (index, after) in job.after.iter().enumerate() {
                if !service.jobs.contains_key(after) {
                    let place = input.service(name, steps!["jobs", job_name, "after", index]);
                    found.push(
                        Problem::new(place, format!("service `{name}` has no job `{after}`")).with_help(choice(
                            after.as_str(),
                            "its jobs",
                            names(&service.jobs),
                        )),
                    );
                }
            }
            for (index, database) in job.fills.iter().enumerate() {
                if !service.databases.contains(database) {
                    let place = input.service(name, steps!["jobs", job_name, "fills", index]);
                    let known = service.databases.iter().map(|database| database.as_str());
                    found.push(
                        Problem::new(place, format!("service `{name}` has no database `{database}`"))
                            .with_help(choice(database.as_str(), "its databases", known)),
                    );
                }
            }
        }
    }
}

/// No job may wait for itself.
pub fn cycles(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        let edges = service.jobs.iter().map(|(job, spec)| (job, spec.after.iter().collect())).collect();
        for cycle in cycle::find(&edges) {
            let (first, next) = (cycle[0], cycle[1 % cycle.len()]);
            let index = service.jobs[first].after.iter().position(|after| after == next).unwrap_or(0);
            let place = input.service(name, steps!["jobs", first, "after", index]);
            let message = format!("jobs wait for each other in a circle: {}", cycle::in_words(&cycle));
            found.push(Problem::new(place, message));
        }
    }
}

/// What runs before the containers start cannot wait for what needs them to run.
pub fn phases(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for (job_name, job) in service.jobs.iter().filter(|(_, job)| !job.when_running && !job.at_removal) {
            for (index, after) in job.after.iter().enumerate() {
                if service.jobs.get(after).is_some_and(|other| other.when_running && !other.at_removal) {
                    let place = input.service(name, steps!["jobs", job_name, "after", index]);
                    let message =
                        format!("job `{job_name}` runs before the containers start, but `{after}` after that");
                    found.push(Problem::new(place, message).with_help("give this job `when_running: true` too"));
                }
            }
        }
    }
}

/// A removal is far from any initialisation: what belongs to one says nothing in the other.
pub fn removal(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for (job_name, job) in &service.jobs {
            for (index, after) in job.after.iter().enumerate() {
                let Some(other) = service.jobs.get(after).filter(|other| other.at_removal != job.at_removal) else {
                    continue;
                };
                let place = input.service(name, steps!["jobs", job_name, "after", index]);
                let last = if other.at_removal { after } else { job_name };
                let message = format!("of `{job_name}` and `{after}`, only `{last}` runs at the removal");
                found.push(Problem::new(place, message).with_help("let jobs wait for those of the same time"));
            }
            if !job.at_removal {
                continue;
            }
            let useless = [
                ("fills", !job.fills.is_empty()),
                ("snapshots", !job.snapshots.is_empty()),
                ("statements", !job.statements.is_empty()),
                ("when_running", job.when_running),
            ];
            for (key, _) in useless.into_iter().filter(|(_, given)| *given) {
                let place = input.service(name, steps!["jobs", job_name, key]).of_key();
                let message =
                    format!("job `{job_name}` runs at the removal, when nothing of the service runs any more");
                found.push(Problem::new(place, message).with_help(format!("take `{key}` away")));
            }
        }
    }
}
