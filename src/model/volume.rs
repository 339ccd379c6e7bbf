//! How a service names a volume: its own by its name, another service's with that service before it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::name::{Name, NameError};

/// `data`, or `openvswitch/run`: the volume `run` of service `openvswitch`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VolumeReference {
    /// The service that owns the volume; `None` is the one that names it.
    pub service: Option<Name>,
    /// The volume's name within that service.
    pub volume: Name,
}

impl FromStr for VolumeReference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('/') {
            Some((service, volume)) => Ok(Self { service: Some(service.parse()?), volume: volume.parse()? }),
            None => Ok(Self { service: None, volume: text.parse()? }),
        }
    }
}

impl TryFrom<String> for VolumeReference {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl fmt::Display for VolumeReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            Some(service) => write!(formatter, "{service}/{}", self.volume),
            None => write!(formatter, "{}", self.volume),
        }
    }
}

impl From<VolumeReference> for String {
    fn from(reference: VolumeReference) -> Self {
        reference.to_string()
    }
}

// By hand, because the derived schema would be that of any text: that is what is converted from.
impl JsonSchema for VolumeReference {
    fn schema_name() -> Cow<'static, str> {
        "VolumeReference".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A volume of this service (`data`), or of another (`openvswitch/run`).",
            "type": "string",
            "pattern": r"^([a-z]([a-z0-9_-]{0,18}[a-z0-9_])?/)?[a-z]([a-z0-9_-]{0,18}[a-z0-9_])?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_its_own_volume_or_another_service_s() {
        let own: VolumeReference = "data".parse().unwrap();
        assert_eq!((own.service.as_ref(), own.volume.as_str()), (None, "data"));
        let other: VolumeReference = "openvswitch/run".parse().unwrap();
        assert_eq!(other.service.as_ref().map(Name::as_str), Some("openvswitch"));
        assert_eq!(other.to_string(), "openvswitch/run");
        for none in ["", "/run", "a/", "a/b/c", "A"] {
            assert!(none.parse::<VolumeReference>().is_err(), "{none}");
        }
    }
}
