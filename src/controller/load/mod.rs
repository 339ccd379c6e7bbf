//! Loading: from files on disk, or those that octo carries in itself, to settings, catalog and
//! bundle that are known to be right. Reading only; all mistakes are reported together.

mod disk;
pub mod embedded;
pub mod yaml;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, ErrorKind};
use crate::model::bundle::Bundle;
use crate::model::catalog::Catalog;
use crate::model::document::{Document, Documents};
use crate::model::merge::{Origins, merge};
use crate::model::problem::{FileId, Place, Problem};
use crate::model::settings::Settings;
use crate::model::tree::{Content, Node};
use crate::model::{schema, structure, validate};
use crate::view;

const CONFIGURATION: &str = "configuration.yaml";
const SERVICES: &str = "services.yaml";

/// What every file of certificates in PEM holds.
const CERTIFICATE: &[u8] = b"-----BEGIN ";

/// Where to look for input.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration.yaml that was asked for.
    pub config: Option<PathBuf>,
    /// The services.yaml that was asked for.
    pub services: Option<PathBuf>,
    /// Where files are looked for that were not asked for. Empty: the current directory.
    pub directory: PathBuf,
    /// Whether problems are shown in colour.
    pub colored: bool,
}

/// Input that is known to be right.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// configuration.yaml.
    pub settings: Settings,
    /// services.yaml with the included bundles.
    pub catalog: Catalog,
    /// In which file each image and service is defined.
    pub origins: Origins,
    /// Recipes and templates.
    pub bundle: Bundle,
    /// The files as they were read, for problems that only later stages can find.
    pub documents: Documents,
}

impl Documents {
    /// The error that shows problems. Nothing has been touched when it is made.
    pub fn error(&self, problems: &[Problem]) -> Error {
        Error::new(ErrorKind::Config, view::problem::summary(self, problems))
            .detail(view::problem::render(self, problems))
    }
}

/// Reads and checks everything.
pub fn load(sources: &Sources) -> Result<Loaded, Error> {
    let mut input = Input { documents: Documents::default(), problems: Vec::new() };
    input.documents.colored = sources.colored;

    let config = found(sources.config.as_deref(), &sources.directory.join(CONFIGURATION));
    let configuration = input.add(config.as_deref(), CONFIGURATION, embedded::CONFIGURATION)?;
    let services = found(sources.services.as_deref(), &sources.directory.join(SERVICES));
    let base = input.add(services.as_deref(), SERVICES, embedded::SERVICES)?;

    let mut bundle = embedded::bundle();
    if let Some(path) = &services {
        bundle.overlay(disk::bundle(&disk::directory_of(path))?);
    }
    let mut catalog_files = vec![base];
    let beside = config.as_deref().map_or_else(|| sources.directory.clone(), disk::directory_of);
    for (index, directory) in input.included(configuration) {
        let directory = beside.join(directory);
        let path = directory.join(SERVICES);
        if path.is_file() {
            catalog_files.push(input.add(Some(&path), SERVICES, "")?);
            bundle.overlay(disk::bundle(&directory)?);
        } else {
            let place = Place::value(configuration, ["include".into(), index.into()]);
            input.problems.push(
                Problem::new(place, format!("there is no {}", path.display()))
                    .with_help("name a directory with a services.yaml, relative to this file"),
            );
        }
    }

    let mut settings = input.typed::<Settings>(configuration, &schema::configuration());
    if let Some(bundle) = settings.as_mut().and_then(|settings| settings.build.ca_bundle.as_mut()) {
        *bundle = input.authorities(bundle, &beside);
    }
    for tls in settings.iter_mut().flat_map(|settings| &mut settings.nodes).filter_map(|node| node.tls.as_mut()) {
        for path in [&mut tls.ca, &mut tls.certificate, &mut tls.key] {
            let file = beside.join(&*path);
            *path = std::path::absolute(&file).unwrap_or(file).to_string_lossy().into_owned();
        }
    }
    let schema = schema::services();
    let parts: Vec<_> =
        catalog_files.iter().filter_map(|file| Some((*file, input.typed::<Catalog>(*file, &schema)?))).collect();
    // Where a catalog is missing, half of all names would seem to be unknown.
    let complete = parts.len() == catalog_files.len() && !input.problems.iter().any(is_of_include);
    input.check(settings, &parts, complete, bundle)
}

fn is_of_include(problem: &Problem) -> bool {
    problem.place.file == FileId::CONFIGURATION && problem.place.path.first() == Some(&"include".into())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The file to read: the one that was asked for, else the usual one if it is there.
fn found(asked_for: Option<&Path>, usual: &Path) -> Option<PathBuf> {
    asked_for.map(Path::to_owned).or_else(|| usual.exists().then(|| usual.to_owned()))
}

/// What was read so far, and what is wrong with it.
struct Input {
    documents: Documents,
    problems: Vec<Problem>,
}

impl Input {
    /// Reads and parses a file, or the built-in one of this name.
    fn add(&mut self, path: Option<&Path>, name: &str, built_in: &str) -> Result<FileId, Error> {
        let (name, bytes) = match path {
            Some(path) => (path.display().to_string(), disk::read(path)?),
            None => (format!("{name} (built in)"), built_in.as_bytes().to_vec()),
        };
        let (text, parsed) = match String::from_utf8(bytes) {
            Ok(text) => {
                let parsed = yaml::parse(&text);
                (text, parsed)
            }
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                (text, Err(yaml::SyntaxError { message: "this is no UTF-8 text".to_owned(), span: at..at }))
            }
        };
        let (root, mistake) = match parsed {
            Ok(root) => (root, None),
            Err(error) => (Node::nothing(error.span), Some(error.message)),
        };
        let file = self.documents.push(Document { name, text, root });
        if let Some(message) = mistake {
            self.problems.push(Problem::new(Place::value(file, []), message));
        }
        Ok(file)
    }

    /// The directories that configuration.yaml includes, as far as that can be read.
    fn included(&self, configuration: FileId) -> Vec<(usize, String)> {
        let include = self.documents.get(configuration).and_then(|document| document.root.get("include"));
        match include.map(|node| &node.content) {
            Some(Content::Sequence(items)) => items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| match &item.content {
                    Content::Text(text) => Some((index, text.clone())),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The bundle of authorities that configuration.yaml names, as a path that means the same from
    /// everywhere. Found missing here, it costs nobody half a build.
    fn authorities(&mut self, written: &str, beside: &Path) -> String {
        let path = beside.join(written);
        let mistake = match disk::content(&path) {
            Ok(text) if contains(&text, CERTIFICATE) => None,
            Ok(_) => Some(format!("{} holds no certificate", path.display())),
            Err(error) => Some(format!("cannot read {}: {error}", path.display())),
        };
        if let Some(message) = mistake {
            let place = Place::value(FileId::CONFIGURATION, ["build".into(), "ca_bundle".into()]);
            self.problems.push(
                Problem::new(place, message).with_help("name a file of certificates in PEM, relative to this file"),
            );
        }
        std::path::absolute(&path).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// A file as its type, if its structure is right.
    fn typed<T: DeserializeOwned>(&mut self, file: FileId, schema: &Value) -> Option<T> {
        if self.problems.iter().any(|problem| problem.place.file == file && problem.place.path.is_empty()) {
            // It could not be parsed, which has been said.
            return None;
        }
        let root = &self.documents.get(file)?.root;
        let value = match structure::check(schema, root, file) {
            Ok(value) => value,
            Err(problems) => {
                self.problems.extend(problems);
                return None;
            }
        };
        // The schema says all that the types do, or this has no better place than the whole file.
        let typed = serde_json::from_value(value);
        typed.map_err(|error| self.problems.push(Problem::new(Place::value(file, []), error.to_string()))).ok()
    }

    fn check(
        mut self,
        settings: Option<Settings>,
        parts: &[(FileId, Catalog)],
        complete: bool,
        bundle: Bundle,
    ) -> Result<Loaded, Error> {
        let (catalog, origins, problems) = merge(parts, |file| self.documents.name(file).to_owned());
        self.problems.extend(problems);
        if complete {
            let defaults = Settings::default();
            let input = validate::Input {
                settings: settings.as_ref().unwrap_or(&defaults),
                parts,
                catalog: &catalog,
                origins: &origins,
                bundle: &bundle,
            };
            let rules = if settings.is_some() { validate::all } else { validate::catalog };
            self.problems.extend(rules(&input));
        }
        match settings {
            Some(settings) if self.problems.is_empty() => {
                Ok(Loaded { settings, catalog, origins, bundle, documents: self.documents })
            }
            _ => Err(self.documents.error(&self.problems)),
        }
    }
}
