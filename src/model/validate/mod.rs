//! Validation: what the structure of one file cannot say. Pure rules, each a small function in a
//! fitting file; all of them run, so that all problems are shown at once.

mod addresses;
mod containers;
mod cycle;
mod files;
mod images;
mod jobs;
mod mounts;
mod names;
mod network;
mod nodes;
mod operator;
mod parts;
mod ports;
mod process;
mod processes;
mod provider;
mod release;
mod rings;
mod services;
mod sharing;
mod sql;

use super::bundle::Bundle;
use super::catalog::{Catalog, Service};
use super::merge::Origins;
use super::name::Name;
use super::problem::{FileId, Place, Problem, Step, Target};
use super::resolve;
use super::settings::Settings;

pub use nodes::votes_of as votes;

/// Everything that the rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// configuration.yaml.
    pub settings: &'a Settings,
    /// Each catalog by itself: the base one and those of the included bundles.
    pub parts: &'a [(FileId, Catalog)],
    /// All catalogs as one.
    pub catalog: &'a Catalog,
    /// Where its images and services are defined.
    pub origins: &'a Origins,
    /// Recipes and templates.
    pub bundle: &'a Bundle,
}

/// A rule: adds what it finds.
type Rule = fn(&Input<'_>, &mut Vec<Problem>);

/// Rules about the catalog alone.
const CATALOG_RULES: &[Rule] = &[
    images::references,
    images::cycles,
    images::recipes,
    images::sources,
    images::users,
    services::references,
    services::databases,
    services::frontends,
    services::need_cycles,
    services::profiles,
    sharing::secrets,
    sharing::volumes,
    rings::keys,
    rings::lifetimes,
    jobs::references,
    jobs::cycles,
    jobs::phases,
    jobs::removal,
    sql::snapshots,
    sql::statements,
    files::templates,
    files::modes,
    mounts::directories,
    containers::capabilities,
    containers::profiles,
    containers::signals,
    containers::devices,
    containers::networks,
    process::commands,
    process::paths,
    process::environment,
    process::users,
    process::memory,
    names::full_names,
];

/// Rules about this cloud: the settings, and the catalog as far as they enable it.
const CLOUD_RULES: &[Rule] = &[
    names::cloud,
    names::bridge,
    names::provider,
    operator::services,
    operator::overrides,
    operator::config,
    operator::limits,
    operator::logging,
    network::subnet,
    network::internal_vip,
    network::external_vip,
    provider::host,
    provider::several,
    provider::pool,
    nodes::names,
    nodes::distinct,
    nodes::ranges,
    nodes::roles,
    nodes::votes,
    nodes::engines,
    nodes::external_vip,
    sharing::lenders,
    parts::providers,
    parts::needed,
    ports::collisions,
    addresses::collisions,
    release::locks,
];

/// Checks the catalog by itself, for when configuration.yaml cannot be read.
pub fn catalog(input: &Input<'_>) -> Vec<Problem> {
    run(CATALOG_RULES, input)
}

/// Checks everything.
pub fn all(input: &Input<'_>) -> Vec<Problem> {
    let mut problems = run(CLOUD_RULES, input);
    problems.extend(catalog(input));
    problems
}

fn run(rules: &[Rule], input: &Input<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for rule in rules {
        rule(input, &mut problems);
    }
    problems
}

impl<'a> Input<'a> {
    fn enabled(&self) -> impl Iterator<Item = (&'a Name, &'a Service)> + use<'a> {
        let enabled = resolve::enabled(self.settings, self.catalog);
        self.catalog.services.iter().filter(move |(name, _)| enabled.contains(*name))
    }

    fn service(&self, service: &Name, rest: impl IntoIterator<Item = Step>) -> Place {
        let file = self.origins.services.get(service).copied().unwrap_or(FileId::SERVICES);
        let path = [Step::from("services"), service.into()].into_iter().chain(rest).collect();
        Place { file, path, target: Target::Value }
    }

    fn image(&self, image: &Name, rest: impl IntoIterator<Item = Step>) -> Place {
        let file = self.origins.images.get(image).copied().unwrap_or(FileId::SERVICES);
        let path = [Step::from("images"), image.into()].into_iter().chain(rest).collect();
        Place { file, path, target: Target::Value }
    }
}

impl Place {
    /// The same place, with its key meant.
    fn of_key(mut self) -> Self {
        self.target = Target::Key;
        self
    }
}

/// The names of a map, for hints.
fn names<T>(map: &std::collections::BTreeMap<Name, T>) -> impl Iterator<Item = &str> {
    map.keys().map(Name::as_str)
}

/// The steps of a path.
macro_rules! steps {
    ($($step:expr),* $(,)?) => { [$($crate::model::problem::Step::from($step)),*] };
}
use steps;
