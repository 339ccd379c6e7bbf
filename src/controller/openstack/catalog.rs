//! The catalog of a token: which services the cloud has, and where.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The interface that octo uses: it is on the node, like the services themselves.
const INTERFACE: &str = "internal";

/// What a token says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token {
    /// The id of the project that it is for.
    pub project: String,
    /// The id of the user.
    pub user: String,
    /// Services by type.
    pub services: BTreeMap<String, Endpoint>,
}

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The service's name, which is the one in services.yaml.
    pub name: String,
    /// The URL, without a slash at its end.
    pub url: String,
}

#[derive(Deserialize)]
struct Body {
    token: Fields,
}

#[derive(Deserialize)]
struct Fields {
    user: Named,
    project: Option<Named>,
    #[serde(default)]
    catalog: Vec<Entry>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct Entry {
    r#type: String,
    #[serde(default)]
    name: String,
    endpoints: Vec<Place>,
}

#[derive(Deserialize)]
struct Place {
    interface: String,
    region_id: Option<String>,
    url: String,
}

impl Token {
    /// Reads what the identity service answered with a token.
    pub fn parse(body: Value, region: &str) -> Result<Self, serde_json::Error> {
        let Body { token } = serde_json::from_value(body)?;
        let here = |place: &&Place| place.interface == INTERFACE && place.region_id.as_deref() == Some(region);
        let services = token.catalog.into_iter().filter_map(|entry| {
            let url = entry.endpoints.iter().find(here)?.url.trim_end_matches('/').to_owned();
            Some((entry.r#type, Endpoint { name: entry.name, url }))
        });
        Ok(Self {
            user: token.user.id,
            project: token.project.map(|project| project.id).unwrap_or_default(),
            services: services.collect(),
        })
    }
}

impl Endpoint {
    /// The URL with a version at its end, which some catalogs give and others leave to the client.
    pub fn with_version(&self, version: &str) -> String {
        let last = self.url.rsplit('/').next().unwrap_or_default();
        let has_version = last.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if has_version || version.is_empty() { self.url.clone() } else { format!("{}/{version}", self.url) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place(interface: &str, region: &str, url: &str) -> Value {
        json!({"interface": interface, "region_id": region, "region": region, "url": url, "id": "1"})
    }

    #[test]
    fn the_internal_endpoint_of_the_region_is_taken() {
        let body = json!({"token": {
            "user": {"id": "u1", "name": "admin"},
            "project": {"id": "p1", "name": "admin"},
            "catalog": [
                {"type": "compute", "name": "nova", "endpoints": [
                    place("public", "RegionOne", "http://203.0.113.1:8774/v2.1"),
                    place("internal", "RegionTwo", "http://10.9.0.2:8774/v2.1"),
                    place("internal", "RegionOne", "http://10.0.0.2:8774/v2.1/"),
                ]},
                {"type": "volume", "name": "cinder", "endpoints": [place("public", "RegionOne", "http://203.0.113.1")]},
            ],
        }});
        let token = Token::parse(body, "RegionOne").unwrap();
        assert_eq!((token.project.as_str(), token.user.as_str()), ("p1", "u1"));
        assert_eq!(token.services.keys().collect::<Vec<_>>(), ["compute"]);
        assert_eq!(token.services["compute"].url, "http://10.0.0.2:8774/v2.1");
    }

    #[test]
    fn a_version_is_added_where_there_is_none() {
        let with = |url: &str| Endpoint { name: String::new(), url: url.to_owned() }.with_version("v2.0");
        assert_eq!(with("http://10.0.0.2:9696"), "http://10.0.0.2:9696/v2.0");
        assert_eq!(with("http://10.0.0.2:9696/v2.0"), "http://10.0.0.2:9696/v2.0");
        assert_eq!(with("http://10.0.0.2/vip"), "http://10.0.0.2/vip/v2.0");
    }
}
