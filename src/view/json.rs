//! What programs read: stable documents. Each has `version` and `kind`; a field is never removed or
//! given another meaning without a new version.

use serde_json::{Value, json};

use crate::error::Error;
use crate::model::demo;
use crate::model::doctor::{Finding, Level};
use crate::model::log::Line;
use crate::model::name::Name;
use crate::model::node_status::NodeStatus;
use crate::model::plan::Plan;
use crate::model::rotation::{Account, Rotation};
use crate::model::status::Status;
use crate::model::summary::Summary;
use crate::model::verify;

/// The version of all documents.
pub const VERSION: u32 = 1;

/// A document of a kind: `version` and `kind` before its own fields.
pub fn document(kind: &str, body: Value) -> Value {
    let mut document = json!({ "version": VERSION, "kind": kind });
    if let (Value::Object(document), Value::Object(body)) = (&mut document, body) {
        document.extend(body);
    }
    document
}

/// A plan.
pub fn plan(plan: &Plan, verb: &str) -> Value {
    let operations: Vec<Value> = plan
        .nodes
        .iter()
        .map(|node| {
            let mut value = json!({ "text": node.operation.to_string(), "gate": node.operation.destroys() });
            if let (Value::Object(value), Ok(Value::Object(fields))) = (&mut value, serde_json::to_value(node)) {
                value.extend(fields);
            }
            value
        })
        .collect();
    let body = json!({
        "verb": verb,
        "empty": plan.is_empty(),
        "operations": operations,
        "costs": plan.costs,
        "notes": plan.remarks().collect::<Vec<_>>(),
        "obstacles": plan.obstacles,
    });
    document("plan", body)
}

/// The nodes of a cloud.
pub fn nodes(cloud: &Name, nodes: &[NodeStatus]) -> Value {
    document("nodes", json!({ "cloud": cloud, "nodes": nodes }))
}

/// A status.
pub fn status(status: &Status) -> Value {
    let mut body = json!({ "well": status.is_well() });
    if let (Value::Object(body), Ok(Value::Object(fields))) = (&mut body, serde_json::to_value(status)) {
        body.extend(fields);
    }
    document("status", body)
}

/// What the doctor found.
pub fn doctor(findings: &[Finding]) -> Value {
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let body = json!({
        "failures": count(Level::Failure),
        "warnings": count(Level::Warning),
        "findings": findings,
    });
    document("doctor", body)
}

/// What a verb did.
pub fn summary(summary: &Summary) -> Value {
    let body = json!({
        "verb": summary.verb,
        "changed": !summary.done.is_empty(),
        "done": summary.done,
        "seconds": summary.elapsed.as_secs_f64(),
        "notes": summary.notes,
    });
    document("summary", body)
}

/// The secrets of a cloud, without their values.
pub fn secrets(cloud: &Name, accounts: &[Account]) -> Value {
    let secrets: Vec<Value> = accounts
        .iter()
        .map(|account| {
            let (ring, due, reason) = match &account.rotation {
                Rotation::Ring { name, due } => (Some(name), *due, None),
                Rotation::Never(reason) => (None, None, Some(reason)),
            };
            json!({
                "name": account.name,
                "kind": account.kind,
                "service": account.service,
                "stored": account.stored,
                "changed": account.changed.map(|time| time.to_string()),
                "rotatable": ring.is_some(),
                "ring": ring,
                "not_before": due.map(|time| time.to_string()),
                "reason": reason,
            })
        })
        .collect();
    document("secrets", json!({ "cloud": cloud, "secrets": secrets }))
}

/// What the demo has made or removed.
pub fn demo(report: &demo::Report) -> Value {
    let body = json!({
        "removal": report.removal,
        "changed": report.changes() > 0,
        "complete": report.in_use().next().is_none(),
        "objects": report.items,
        "seconds": report.elapsed.as_secs_f64(),
        "notes": report.notes,
    });
    document("demo", body)
}

/// What a verification has found, with the error that ended it.
pub fn verify(report: &verify::Report, failure: Option<&Error>) -> Value {
    let steps: Vec<Value> = report
        .steps
        .iter()
        .map(|step| {
            json!({
                "name": step.name,
                "result": step.result,
                "seconds": step.elapsed.as_secs_f64(),
                "detail": step.detail,
            })
        })
        .collect();
    let body = json!({
        "passed": failure.is_none() && report.passed(),
        "exit_code": failure.map_or(0, |error| error.kind.exit_code()),
        "steps": steps,
        "left_out": report.left_out,
        "seconds": report.elapsed.as_secs_f64(),
        "error": failure.map(error_fields),
    });
    document("verify", body)
}

/// A line of a log. Many follow each other, one on each line of the output.
pub fn log_line(line: &Line) -> Value {
    let time = line.time.map(|time| time.to_string());
    document("log", json!({ "container": line.container, "time": time, "text": line.text }))
}

/// An error.
pub fn error(error: &Error) -> Value {
    document("error", error_fields(error))
}

fn error_fields(error: &Error) -> Value {
    json!({
        "error": error.kind.as_str(),
        "exit_code": error.kind.exit_code(),
        "message": error.message,
        "causes": error.causes,
        "hints": error.hints,
        "detail": error.detail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::model::operation::Operation;

    #[test]
    fn a_plan_has_text_and_fields() {
        let mut value = Plan::default();
        value.add(Operation::RemoveVolume { volume: "lab-mariadb-data".to_owned() }, "asked for", []);
        value.costs.push("without ctl1 database would have 1 of 3 votes".to_owned());
        insta::assert_snapshot!(format!("{:#}", plan(&value, "rm")), @r#"
        {
          "version": 1,
          "kind": "plan",
          "verb": "rm",
          "empty": false,
          "operations": [
            {
              "text": "remove volume lab-mariadb-data",
              "gate": true,
              "id": 0,
              "operation": "remove_volume",
              "volume": "lab-mariadb-data",
              "cause": "asked for",
              "after": []
            }
          ],
          "costs": [
            "without ctl1 database would have 1 of 3 votes"
          ],
          "notes": [],
          "obstacles": []
        }
        "#);
    }

    #[test]
    fn a_secret_has_all_but_its_value() {
        let accounts = crate::view::terminal::secrets::tests::some();
        let some: Vec<_> = accounts.into_iter().filter(|one| ["db.root", "id.key-0"].contains(&&*one.name)).collect();
        insta::assert_snapshot!(format!("{:#}", secrets(&Name::fixed("lab"), &some)), @r#"
        {
          "version": 1,
          "kind": "secrets",
          "cloud": "lab",
          "secrets": [
            {
              "name": "db.root",
              "kind": "password",
              "service": "db",
              "stored": true,
              "changed": null,
              "rotatable": false,
              "ring": null,
              "not_before": null,
              "reason": "it would have to change at the same time where it is asked for"
            },
            {
              "name": "id.key-0",
              "kind": "fernet_key",
              "service": "id",
              "stored": true,
              "changed": "2026-11-20T10:00:00Z",
              "rotatable": true,
              "ring": "id.keys",
              "not_before": "2026-11-22T11:00:00Z",
              "reason": null
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_finding_names_its_node_where_there_are_several() {
        let finding = |node: Option<&'static str>| Finding {
            node: node.map(Name::fixed),
            level: Level::Failure,
            subject: "engine",
            message: "no answer at ssh://root@192.0.2.12: Connection refused".to_owned(),
            repair: Some("start it there: systemctl start docker".to_owned()),
        };
        insta::assert_snapshot!(format!("{:#}", doctor(&[finding(Some("ctl2"))])), @r#"
        {
          "version": 1,
          "kind": "doctor",
          "failures": 1,
          "warnings": 0,
          "findings": [
            {
              "node": "ctl2",
              "level": "failure",
              "subject": "engine",
              "message": "no answer at ssh://root@192.0.2.12: Connection refused",
              "repair": "start it there: systemctl start docker"
            }
          ]
        }
        "#);
        assert!(doctor(&[finding(None)])["findings"][0].get("node").is_none());
    }

    #[test]
    fn an_error_has_its_exit_code() {
        let failure = Error::new(ErrorKind::Environment, "the engine does not answer").hint("systemctl start docker");
        insta::assert_snapshot!(format!("{:#}", error(&failure)), @r#"
        {
          "version": 1,
          "kind": "error",
          "error": "environment",
          "exit_code": 4,
          "message": "the engine does not answer",
          "causes": [],
          "hints": [
            "systemctl start docker"
          ],
          "detail": null
        }
        "#);
    }
}
