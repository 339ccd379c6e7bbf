//! The inventory of resources.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Call, Session, Versioned, service};
use crate::error::Error;

/// 1.12: allocations by provider, in the form that is still in use.
const API: Versioned = Versioned {
    service: service::PLACEMENT,
    path: "",
    microversion: Some(("OpenStack-API-Version", "placement 1.12")),
};

#[derive(Deserialize)]
struct Allocations {
    allocations: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Providers {
    resource_providers: Vec<Value>,
}

/// How many providers a consumer has something of.
pub async fn allocations(session: &Session, consumer: &str) -> Result<usize, Error> {
    let action = format!("cannot read the allocations of {consumer}");
    let answer: Allocations = session.ask(&action, &Call::get(API, format!("allocations/{consumer}"))).await?;
    Ok(answer.allocations.len())
}

/// How many providers there are.
pub async fn providers(session: &Session) -> Result<usize, Error> {
    let answer: Providers =
        session.ask("cannot list resource providers", &Call::get(API, "resource_providers")).await?;
    Ok(answer.resource_providers.len())
}
