//! What of a cloud somebody means by the names on the command line.

use std::collections::BTreeMap;

use crate::cli::Target;
use crate::error::{Error, ErrorKind};
use crate::model::desired::Desired;
use crate::model::name::Name;
use crate::model::suggestion::nearest;

/// Refuses services that the cloud does not have.
pub fn known(services: &[Name], desired: &Desired) -> Result<(), Error> {
    match services.iter().find(|service| !desired.services.contains_key(*service)) {
        None => Ok(()),
        Some(unknown) => Err(no_such("service", unknown, desired.services.keys())),
    }
}

/// Refuses a node that the cloud does not have.
pub fn known_node(node: &Name, desired: &Desired) -> Result<(), Error> {
    if desired.nodes.contains_key(node) { Ok(()) } else { Err(no_such("node", node, desired.nodes.keys())) }
}

/// A container or job of a cloud, as its labels have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// The service.
    pub service: String,
    /// The container's or job's name in the catalog.
    pub part: String,
    /// Whether its process lives.
    pub running: bool,
}

/// The containers that targets mean, by full name; all of them for no target.
pub fn chosen<'a>(
    targets: &[Target],
    containers: &'a BTreeMap<String, Labelled>,
) -> Result<BTreeMap<&'a str, &'a Labelled>, Error> {
    let mut chosen = BTreeMap::new();
    for target in targets {
        let before = chosen.len();
        let of_target = |found: &Labelled| {
            found.service == target.service.as_str()
                && target.container.as_ref().is_none_or(|part| found.part == part.as_str())
        };
        chosen.extend(
            containers.iter().filter(|(_, found)| of_target(found)).map(|(name, found)| (name.as_str(), found)),
        );
        if chosen.len() == before && !containers.values().any(of_target) {
            return Err(no_container(target, containers));
        }
    }
    if targets.is_empty() {
        chosen.extend(containers.iter().map(|(name, found)| (name.as_str(), found)));
    }
    Ok(chosen)
}

fn no_such<'a>(what: &str, unknown: &Name, known: impl Iterator<Item = &'a Name>) -> Error {
    let names: Vec<&str> = known.map(Name::as_str).collect();
    let error = Error::new(ErrorKind::Usage, format!("there is no {what} {unknown} in this cloud"));
    match nearest(unknown.as_str(), names.iter().copied()) {
        Some(name) => error.hint(format!("did you mean {name}?")),
        None => error.hint(format!("choose from: {}", names.join(", "))),
    }
}

fn no_container(target: &Target, containers: &BTreeMap<String, Labelled>) -> Error {
    let wanted = match &target.container {
        Some(container) => format!("{}/{container}", target.service),
        None => target.service.to_string(),
    };
    let mut known: Vec<String> = containers
        .values()
        .map(|found| match target.container {
            Some(_) => format!("{}/{}", found.service, found.part),
            None => found.service.clone(),
        })
        .collect();
    known.sort();
    known.dedup();
    let error = Error::new(ErrorKind::Usage, format!("there is no container of {wanted}"));
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    match nearest(&wanted, names.iter().copied()) {
        _ if names.is_empty() => error.hint("octo up"),
        Some(name) => error.hint(format!("did you mean {name}?")),
        None => error.hint(format!("choose from: {}", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn containers() -> BTreeMap<String, Labelled> {
        let entry = |service: &str, part: &str| {
            let labelled = Labelled { service: service.to_owned(), part: part.to_owned(), running: true };
            (format!("lab-{service}-{part}"), labelled)
        };
        BTreeMap::from([entry("keystone", "api"), entry("mariadb", "server"), entry("glance", "api")])
    }

    fn names(targets: &[&str]) -> Result<Vec<String>, Error> {
        let targets: Vec<Target> = targets.iter().map(|target| target.parse().unwrap()).collect();
        let containers = containers();
        chosen(&targets, &containers).map(|chosen| chosen.into_keys().map(str::to_owned).collect())
    }

    #[test]
    fn no_target_means_all() {
        assert_eq!(names(&[]).unwrap().len(), 3);
        assert_eq!(names(&["glance", "glance/api"]).unwrap(), ["lab-glance-api"]);
    }

    #[test]
    fn a_slip_of_the_finger_is_answered() {
        let error = names(&["keystne"]).unwrap_err();
        assert_eq!((error.kind, error.hints), (ErrorKind::Usage, vec!["did you mean keystone?".to_owned()]));
        let error = names(&["glance/ap"]).unwrap_err();
        assert_eq!(error.hints, ["did you mean glance/api?"]);
    }
}
