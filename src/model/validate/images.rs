//! Rules about images.

use std::collections::BTreeMap;

use super::super::catalog::User;
use super::super::name::Name;
use super::super::path::is_plain;
use super::super::problem::{Problem, Step};
use super::super::suggestion::choice;
use super::{Input, cycle, names, steps};

/// Parents and images to take files from must exist.
pub fn references(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, image) in &input.catalog.images {
        let parent = image.parent.iter().map(|parent| (parent, steps!["parent"].to_vec()));
        let uses = image.uses.iter().enumerate().map(|(index, used)| (used, steps!["uses", index].to_vec()));
        for (target, path) in parent.chain(uses) {
            if !input.catalog.images.contains_key(target) {
                found.push(
                    Problem::new(input.image(name, path), format!("unknown image `{target}`")).with_help(choice(
                        target.as_str(),
                        "known images",
                        names(&input.catalog.images),
                    )),
                );
            }
        }
    }
}

/// No image may stand on itself.
pub fn cycles(input: &Input<'_>, found: &mut Vec<Problem>) {
    let images = &input.catalog.images;
    let edges = images.iter().map(|(name, image)| (name, image.parent.iter().chain(&image.uses).collect())).collect();
    for cycle in cycle::find(&edges) {
        let (first, next) = (cycle[0], cycle[1 % cycle.len()]);
        let image = &images[first];
        let path: Vec<Step> = if image.parent.as_ref() == Some(next) {
            steps!["parent"].into()
        } else {
            let index = image.uses.iter().position(|used| used == next).unwrap_or(0);
            steps!["uses", index].into()
        };
        let message = format!("images need each other in a circle: {}", cycle::in_words(&cycle));
        found.push(Problem::new(input.image(first, path), message));
    }
}

/// The recipe must be in the bundle.
pub fn recipes(input: &Input<'_>, found: &mut Vec<Problem>) {
    for name in input.catalog.images.keys() {
        let path = format!("dockerfiles/{name}/Dockerfile.tera");
        if input.bundle.get(&path).is_none() {
            found.push(
                Problem::new(input.image(name, []).of_key(), format!("image `{name}` has no recipe"))
                    .with_help(format!("write {path} beside services.yaml")),
            );
        }
    }
}

/// Sources are directories of drivers, and hold something.
pub fn sources(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, image) in &input.catalog.images {
        for (index, source) in image.sources.iter().enumerate() {
            let place = input.image(name, steps!["sources", index]);
            if !source.starts_with("drivers/") || !is_plain(&format!("/{source}")) {
                let problem = Problem::new(place, format!("`{source}` is no directory below drivers/"));
                found.push(problem.with_help("write it as `drivers/<name>`"));
            } else if input.bundle.below(source).next().is_none() {
                found.push(Problem::new(place, format!("there is no file in {source}")));
            }
        }
    }
}

/// A user has one number, and a number one user, in all images: volumes are shared by number.
pub fn users(input: &Input<'_>, found: &mut Vec<Problem>) {
    let mut by_name: BTreeMap<&Name, (&Name, &User)> = BTreeMap::new();
    let mut by_uid: BTreeMap<u32, (&Name, &User)> = BTreeMap::new();
    for (image, user) in input.catalog.images.iter().filter_map(|(name, image)| Some((name, image.user.as_ref()?))) {
        if let Some((other, first)) = by_name.get(&user.name)
            && first.uid != user.uid
        {
            let message =
                format!("user `{}` has the id {} here and {} in image `{other}`", user.name, user.uid, first.uid);
            found.push(Problem::new(input.image(image, steps!["user", "uid"]), message));
        } else if let Some((other, first)) = by_uid.get(&user.uid)
            && first.name != user.name
        {
            let message = format!("the id {} is that of user `{}` of image `{other}`", user.uid, first.name);
            found.push(
                Problem::new(input.image(image, steps!["user", "uid"]), message)
                    .with_help("give each user an id of its own"),
            );
        }
        by_name.entry(&user.name).or_insert((image, user));
        by_uid.entry(user.uid).or_insert((image, user));
        if let Some(home) = &user.home
            && !home.starts_with('/')
        {
            found.push(
                Problem::new(input.image(image, steps!["user", "home"]), format!("`{home}` is no absolute path"))
                    .with_help("begin it with `/`"),
            );
        }
    }
}
