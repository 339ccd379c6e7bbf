//! The committed JSON Schemas are those of the types, and say what the loader does.

use std::fs;

use octo::cli::SchemaFile;
use octo::controller::command::config::schema;
use octo::controller::load::yaml;
use octo::model::problem::FileId;
use octo::model::{schema as generated, structure};
use serde_json::Value;

const UPDATE: &str = "OCTO_UPDATE_SCHEMAS";

#[test]
fn committed_schemas_are_those_of_the_types() {
    for (kind, path) in [
        (SchemaFile::Configuration, "schemas/configuration.schema.json"),
        (SchemaFile::Services, "schemas/services.schema.json"),
    ] {
        let schema = schema(kind);
        if std::env::var_os(UPDATE).is_some() {
            fs::create_dir_all("schemas").unwrap();
            fs::write(path, &schema).unwrap();
        }
        let committed = fs::read_to_string(path).unwrap_or_default();
        assert!(committed == schema, "{path} is outdated: run {UPDATE}=1 cargo test --test main committed_schemas");
    }
}

/// The structure check knows a part of JSON Schema only: what the generation uses.
#[test]
fn the_structure_check_knows_every_keyword() {
    const KNOWN: &[&str] = &[
        "$defs",
        "$ref",
        "$schema",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maximum",
        "minimum",
        "oneOf",
        "pattern",
        "patternProperties",
        "properties",
        "propertyNames",
        "required",
        "title",
        "type",
    ];
    fn walk(schema: &Value) {
        let Some(keywords) = schema.as_object() else { return };
        for (keyword, value) in keywords {
            assert!(KNOWN.contains(&keyword.as_str()), "{keyword} in {schema}");
            match keyword.as_str() {
                "$defs" | "properties" | "patternProperties" => value.as_object().unwrap().values().for_each(walk),
                "additionalProperties" | "items" | "propertyNames" => walk(value),
                "anyOf" | "oneOf" => value.as_array().unwrap().iter().for_each(walk),
                "format" => {
                    let format = value.as_str().unwrap();
                    assert!(["ipv4", "ipv4-net", "uint8", "uint16", "uint32"].contains(&format), "{format}");
                }
                _ => {}
            }
        }
    }
    walk(&generated::configuration());
    walk(&generated::services());
}

/// What the loader takes is valid by its schema, and what editors take by the schema the loader
/// takes: judged on all test files by an independent validator.
#[test]
fn an_independent_validator_agrees() {
    for (kind, schema) in [("configuration", generated::configuration()), ("services", generated::services())] {
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        let files = ["tests/config/valid", "tests/config/invalid", "."].map(super::texts).concat();
        for (path, text) in files.iter().filter(|(path, _)| path.to_str().unwrap().ends_with(&format!("{kind}.yaml"))) {
            let Ok(root) = yaml::parse(text) else { continue };
            match structure::check(&schema, &root, FileId(0)) {
                Ok(value) => assert!(validator.is_valid(&value), "{} is not valid by the schema", path.display()),
                Err(_) => assert!(!agrees(&validator, &root.to_json()), "{} is valid by the schema", path.display()),
            }
        }
    }
}

/// `ipv4-net` is a format of octo's own, which the validator does not look at.
fn agrees(validator: &jsonschema::Validator, value: &Value) -> bool {
    let subnet = value.pointer("/network/management/subnet").and_then(Value::as_str);
    validator.is_valid(value) && subnet.is_none_or(|subnet| subnet.parse::<ipnet::Ipv4Net>().is_ok())
}
