//! Rules about rendered files.

use super::super::catalog::{File, Service};
use super::super::problem::{Problem, Step};
use super::{Input, processes, steps};

/// The files of a service, of its containers and of its jobs: path inside, file, and where it is defined.
pub(super) fn of(service: &Service) -> impl Iterator<Item = (&String, &File, Vec<Step>)> {
    let own = service.files.iter().map(|(path, file)| (path, file, steps!["files", path].to_vec()));
    let of_processes = processes::of(service).flat_map(|process| {
        process.files.iter().map(move |(path, file)| (path, file, process.steps(steps!["files", path])))
    });
    own.chain(of_processes)
}

/// The template must be in the bundle.
pub fn templates(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for (path, file, mut steps) in of(service) {
            let template = format!("templates/{name}/{}", file.template_for(path));
            if input.bundle.get(&template).is_some() {
                continue;
            }
            let place = if file.template.is_some() {
                steps.push("template".into());
                input.service(name, steps)
            } else {
                input.service(name, steps).of_key()
            };
            let problem = Problem::new(place, format!("file `{path}` has no template"));
            found.push(
                problem.with_help(format!("write {template} beside services.yaml, or name another with `template:`")),
            );
        }
    }
}

/// Nobody but the owner may write, and its group must be able to read.
pub fn modes(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for (_, file, mut steps) in of(service) {
            let Ok(bits) = u32::from_str_radix(&file.mode, 8) else { continue };
            let wrong = if bits & 0o022 != 0 {
                "lets others than the owner write"
            } else if bits & 0o040 == 0 {
                "keeps the service's own user from reading: the file belongs to root and that user's group"
            } else {
                continue;
            };
            steps.push("mode".into());
            let problem = Problem::new(input.service(name, steps), format!("mode `{}` {wrong}", file.mode));
            found.push(problem.with_help("usual: 0440, or 0550 for what is executed"));
        }
    }
}
