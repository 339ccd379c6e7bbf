//! Recipes of images: Tera templates and the catalog become Dockerfiles with their contexts, each
//! under a tag that is the digest of all that goes in.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::rendered::{RenderedFile, RenderedImage, files_digest};
use super::template::Templates;
use crate::model::base::{BOOTSTRAP, is_bootstrap};
use crate::model::bundle::Bundle;
use crate::model::catalog::{Catalog, Distro, Image};
use crate::model::name::Name;
use crate::model::problem::{FileId, Place, Problem};

/// The directory of a bundle with one directory for each image.
const DOCKERFILES: &str = "dockerfiles";
/// What templates include of each other, below [`DOCKERFILES`].
const COMPONENTS: &str = "components";
/// The template in an image's directory.
const TEMPLATE: &str = "Dockerfile.tera";
/// The directory of the build context in which the controller puts what carries packages to the
/// build: certificates, proxies, indexes. It is no part of the recipe, nor of the digest.
pub const TRANSPORT: &str = "transport";
/// The recipe's place in the build context.
pub const DOCKERFILE: &str = "Dockerfile";

/// Renders the wanted images with all that they stand on or take files from.
///
/// Images are shared by all clouds of a machine: the tag (`octo/<name>:<digest>`) holds nothing of
/// a cloud, and equal recipes meet in one image. All problems are returned at once.
pub fn render_images(
    release: &str,
    catalog: &Catalog,
    wanted: &BTreeSet<Name>,
    distro: Distro,
    base_tag: &str,
    bundle: &Bundle,
) -> Result<BTreeMap<Name, RenderedImage>, Vec<Problem>> {
    let mut problems = Vec::new();
    let order = order(catalog, wanted, &mut problems);
    let components = match components(bundle) {
        Ok(components) => components,
        Err(message) => {
            problems.push(Problem::new(Place::key(FileId::SERVICES, ["images".into()]), message));
            return Err(problems);
        }
    };
    let mut rendered: BTreeMap<Name, RenderedImage> = BTreeMap::new();
    for name in order {
        let Some(image) = catalog.images.get(&name) else { continue };
        let tags: Option<BTreeMap<&Name, &str>> = before(image)
            .map(|other| rendered.get_key_value(other).map(|(name, other)| (name, other.tag.as_str())))
            .collect();
        // What stands on a faulty image has no fault of its own to report.
        let Some(tags) = tags else { continue };
        let recipe = Recipe { release, name: &name, image, distro, base_tag, tags };
        match recipe.render(&components, bundle) {
            Ok(image) => {
                rendered.insert(name, image);
            }
            Err(messages) => problems.extend(messages.into_iter().map(|message| problem(&name, message))),
        }
    }
    if problems.is_empty() { Ok(rendered) } else { Err(problems) }
}

fn problem(image: &Name, message: impl Into<String>) -> Problem {
    Problem::new(Place::key(FileId::SERVICES, ["images".into(), image.as_str().into()]), message)
}

/// The images that must exist before this one is built.
fn before(image: &Image) -> impl Iterator<Item = &Name> {
    image.parent.iter().chain(&image.uses)
}

/// The wanted images and all before them, each after what it needs.
fn order(catalog: &Catalog, wanted: &BTreeSet<Name>, problems: &mut Vec<Problem>) -> Vec<Name> {
    let mut order = Vec::new();
    let mut open: BTreeSet<Name> = BTreeSet::new();
    let mut todo: Vec<&Name> = wanted.iter().collect();
    while let Some(name) = todo.pop() {
        if !open.insert(name.clone()) {
            continue;
        }
        match catalog.images.get(name) {
            Some(image) => todo.extend(before(image)),
            None => problems.push(problem(name, format!("there is no image `{name}`"))),
        }
    }
    while !open.is_empty() {
        let ready: Vec<Name> = open
            .iter()
            .filter(|name| {
                catalog.images.get(*name).is_none_or(|image| before(image).all(|other| !open.contains(other)))
            })
            .cloned()
            .collect();
        if ready.is_empty() {
            let names: Vec<_> = open.iter().map(Name::as_str).collect();
            let message = format!("these images stand on each other in a circle: {}", names.join(", "));
            problems.extend(open.first().map(|name| problem(name, message)));
            break;
        }
        open.retain(|name| !ready.contains(name));
        order.extend(ready);
    }
    order
}

/// What recipes include of each other.
fn components(bundle: &Bundle) -> Result<Templates, String> {
    let directory = format!("{DOCKERFILES}/{COMPONENTS}");
    let files = bundle.below(&directory);
    Templates::parse(files.map(|(path, content)| (format!("{COMPONENTS}/{path}"), content)))
}

/// One image on its way to a Dockerfile.
struct Recipe<'a> {
    release: &'a str,
    name: &'a Name,
    image: &'a Image,
    distro: Distro,
    base_tag: &'a str,
    tags: BTreeMap<&'a Name, &'a str>,
}

/// What templates see.
#[derive(Serialize)]
struct Variables<'a> {
    distro: &'a str,
    suite: &'a str,
    release: &'a str,
    image: &'a str,
    parent: &'a str,
    images: BTreeMap<&'a str, &'a str>,
    packages: Vec<&'a str>,
    repositories: Vec<RepositoryVariables<'a>>,
    user: Option<UserVariables<'a>>,
    args: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct RepositoryVariables<'a> {
    name: &'a str,
    baseurl: &'a str,
    gpgkey: &'a str,
}

#[derive(Serialize)]
struct UserVariables<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: String,
}

impl Recipe<'_> {
    fn render(&self, components: &Templates, bundle: &Bundle) -> Result<RenderedImage, Vec<String>> {
        let directory = format!("{DOCKERFILES}/{}", self.name);
        let path = format!("{directory}/{TEMPLATE}");
        let template = bundle.get(&path).ok_or_else(|| vec![format!("its recipe {path} does not exist")])?;
        let template = std::str::from_utf8(template).map_err(|_| vec![format!("{path} is not UTF-8 text")])?;
        let variables = self.variables();
        let mut messages = broken_lines(&variables);
        let mut context = context(bundle, &directory, self.release);
        for source in &self.image.sources {
            let files: BTreeMap<_, _> =
                bundle.below(source).map(|(path, content)| (format!("{source}/{path}"), content.to_vec())).collect();
            if files.is_empty() {
                messages.push(format!("its source {source} holds no file"));
            }
            context.extend(files);
        }
        messages.extend(
            context
                .keys()
                .filter(|file| reserved(file))
                .map(|file| format!("{directory}/{file} stands where octo puts its own files in the build context")),
        );
        if !messages.is_empty() {
            return Err(messages);
        }
        let templates = components.with(&path, template).map_err(|message| vec![message])?;
        let dockerfile = templates.render(&path, &variables).map_err(|message| vec![message])?;
        let digest = digest(&dockerfile, &context);
        Ok(RenderedImage {
            name: self.name.clone(),
            tag: format!("octo/{}:{digest}", self.name),
            dockerfile,
            context,
            after: self.tags.keys().copied().cloned().collect(),
        })
    }

    /// What is to be installed. A base that octo has made holds some of it, and a step that changes
    /// nothing costs seconds before everything else; one that makes a user is needed all the same.
    fn packages(&self) -> Vec<&str> {
        let idle = is_bootstrap(self.base_tag) && self.image.user.is_none();
        let held: &[&str] = if idle { BOOTSTRAP.include } else { &[] };
        let wanted = self.image.packages.get(&self.distro).into_iter().flatten();
        wanted.map(String::as_str).filter(|package| !held.contains(package)).collect()
    }

    fn variables(&self) -> Variables<'_> {
        let image = self.image;
        Variables {
            distro: self.distro.as_str(),
            suite: self.distro.suite(),
            release: self.release,
            image: self.name.as_str(),
            parent: image.parent.as_ref().and_then(|parent| self.tags.get(parent)).copied().unwrap_or(self.base_tag),
            images: image
                .uses
                .iter()
                .filter_map(|other| self.tags.get(other).map(|tag| (other.as_str(), *tag)))
                .collect(),
            packages: self.packages(),
            repositories: image
                .repositories
                .get(&self.distro)
                .into_iter()
                .flatten()
                .map(|repository| RepositoryVariables {
                    name: &repository.name,
                    baseurl: repository.baseurl.as_deref().unwrap_or_default(),
                    gpgkey: repository.gpgkey.as_deref().unwrap_or_default(),
                })
                .collect(),
            user: image.user.as_ref().map(|user| UserVariables {
                name: user.name.as_str(),
                uid: user.uid,
                gid: user.uid,
                home: user.home.clone().unwrap_or_else(|| format!("/var/lib/{}", user.name)),
            }),
            args: &image.args,
        }
    }
}

/// A line break in a value would begin a new instruction of the Dockerfile.
fn broken_lines(variables: &Variables<'_>) -> Vec<String> {
    let repositories = variables.repositories.iter().flat_map(|one| [one.name, one.baseurl, one.gpgkey]);
    let args = variables.args.values().map(String::as_str);
    let home = variables.user.iter().map(|user| user.home.as_str());
    let packages = variables.packages.iter().copied();
    packages
        .chain(repositories)
        .chain(args)
        .chain(home)
        .filter(|value| value.contains(['\n', '\r']))
        .map(|value| format!("the value {value:?} contains a line break"))
        .collect()
}

/// The files beside a recipe that its build can read.
fn context(bundle: &Bundle, directory: &str, release: &str) -> BTreeMap<String, Vec<u8>> {
    bundle
        .below(directory)
        .filter(|(path, _)| *path != TEMPLATE && !is_source_of_lock(path) && !is_lock_of_other_release(path, release))
        .map(|(path, content)| (path.to_owned(), content.to_vec()))
        .collect()
}

fn is_lock_of_other_release(path: &str, release: &str) -> bool {
    path.strip_prefix("requirements-")
        .and_then(|rest| rest.strip_suffix(".lock"))
        .is_some_and(|locked| locked != release)
}

/// What a lock was made from is not read by any build; a comment in it must not rebuild an image.
fn is_source_of_lock(path: &str) -> bool {
    path == "requirements.in"
}

fn reserved(path: &str) -> bool {
    path == DOCKERFILE || path == TRANSPORT || path.strip_prefix(TRANSPORT).is_some_and(|rest| rest.starts_with('/'))
}

/// The permission bits of a file of the context: scripts can be executed, nothing else can,
/// whatever the bundle's own files look like on disk.
pub fn context_mode(content: &[u8]) -> u32 {
    if content.starts_with(b"#!") { 0o755 } else { 0o644 }
}

/// The digest of all that goes into a build; parents are in it through their tags in the text.
fn digest(dockerfile: &str, context: &BTreeMap<String, Vec<u8>>) -> String {
    let file = |path: &str, content: &[u8]| RenderedFile {
        path: path.to_owned(),
        mode: context_mode(content),
        gid: 0,
        content: content.to_vec(),
    };
    let mut files: Vec<_> = context.iter().map(|(path, content)| file(path, content)).collect();
    files.push(file(DOCKERFILE, dockerfile.as_bytes()));
    files_digest(&files)
}

#[cfg(test)]
#[path = "dockerfile_tests.rs"]
mod tests;
