//! The JSON Schemas of the two YAML files, generated from the types. They are what structure is
//! checked against, and what editors complete from.

use serde_json::Value;

use super::catalog::Catalog;
use super::settings::Settings;

/// The schema of configuration.yaml.
pub fn configuration() -> Value {
    schemars::schema_for!(Settings).to_value()
}

/// The schema of services.yaml.
pub fn services() -> Value {
    schemars::schema_for!(Catalog).to_value()
}
