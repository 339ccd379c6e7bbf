//! What octo carries in itself: the two YAML files, the recipes and the templates.

use rust_embed::RustEmbed;

use crate::model::bundle::Bundle;

/// The configuration.yaml that a cloud has where there is no other.
pub const CONFIGURATION: &str = include_str!("../../../configuration.yaml");

/// The catalog of built-in services.
pub const SERVICES: &str = include_str!("../../../services.yaml");

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/dockerfiles"]
#[prefix = "dockerfiles/"]
struct Dockerfiles;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/templates"]
#[prefix = "templates/"]
#[allow_missing = true]
struct Templates;

/// The parts of drivers that images take in: what runs, not what tests it.
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/drivers"]
#[prefix = "drivers/"]
#[include = "*/nova/**"]
#[exclude = "*__pycache__*"]
#[allow_missing = true]
struct Drivers;

/// The built-in recipes, templates and drivers.
pub fn bundle() -> Bundle {
    let mut bundle = Bundle::default();
    for path in Dockerfiles::iter() {
        if let Some(file) = Dockerfiles::get(&path) {
            bundle.insert(path, file.data);
        }
    }
    for path in Templates::iter() {
        if let Some(file) = Templates::get(&path) {
            bundle.insert(path, file.data);
        }
    }
    for path in Drivers::iter() {
        if let Some(file) = Drivers::get(&path) {
            bundle.insert(path, file.data);
        }
    }
    bundle
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "compares with the files of the repository")]
mod tests {
    use super::*;

    #[test]
    fn carries_the_recipes_of_the_repository() {
        let bundle = bundle();
        let on_disk = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dockerfiles/base/Dockerfile.tera");
        assert_eq!(bundle.get("dockerfiles/base/Dockerfile.tera"), Some(std::fs::read(on_disk).unwrap().as_slice()));
    }
}
