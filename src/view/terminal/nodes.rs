//! The nodes of a cloud for people: a table, and under it what a column has no room for.

use super::style::{BAD, DIM, GOOD, WARN, paint};
use super::table;
use crate::model::node_status::NodeStatus;

const HEADINGS: [&str; 8] = ["NODE", "ADDRESS", "ROLES", "ANSWERS", "WORKS", "VIP", "MAY FAIL", "ENGINE"];

/// The nodes as text.
pub fn nodes(nodes: &[NodeStatus], width: usize) -> String {
    let mut rows = vec![HEADINGS.map(|heading| paint(DIM, heading)).to_vec()];
    rows.extend(nodes.iter().map(row));
    let mut text = table::table(&rows, width);
    for status in nodes {
        let node = &status.node;
        if let Some(why) = &status.silence {
            text.push_str(&format!("{} {node} does not answer: {why}\n", paint(BAD, "wrong:")));
        }
        if !status.out_of_load.is_empty() {
            let servers = status.out_of_load.join(", ");
            text.push_str(&format!("{} out of the load on {node}: {servers}\n", paint(DIM, "note:")));
        }
        if !status.may_fail {
            let costs = status.costs.join("; ");
            text.push_str(&format!("{} {node} may not fail: {costs}\n", paint(DIM, "note:")));
        }
    }
    text
}

fn row(status: &NodeStatus) -> Vec<String> {
    let roles: Vec<&str> = status.roles.iter().map(|role| role.word()).collect();
    let answers = status.silence.is_none();
    let whole = if status.working == status.containers { GOOD } else { BAD };
    vec![
        status.node.to_string(),
        status.address.map_or_else(|| "-".to_owned(), |address| address.to_string()),
        roles.join(","),
        if answers { paint(GOOD, "yes") } else { paint(BAD, "no") },
        paint(whole, format!("{} of {}", status.working, status.containers)),
        if status.has_vip { "yes" } else { "-" }.to_owned(),
        if status.may_fail { paint(GOOD, "yes") } else { paint(WARN, "no") },
        status.engine.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;
    use crate::model::name::Name;
    use crate::model::node::Role;

    #[test]
    fn reasons_stand_under_the_table() {
        let first = NodeStatus {
            node: Name::fixed("ctl1"),
            address: Some([192, 0, 2, 11].into()),
            engine: "unix:///var/run/docker.sock".to_owned(),
            roles: [Role::Control, Role::Compute].into(),
            silence: None,
            containers: 14,
            working: 14,
            out_of_load: vec!["pair-glance-api.ctl1".to_owned()],
            has_vip: true,
            may_fail: false,
            costs: vec!["database would have 1 of 3 votes".to_owned()],
        };
        let witness = NodeStatus {
            node: Name::fixed("wit"),
            address: Some([192, 0, 2, 13].into()),
            engine: "ssh://root@192.0.2.13".to_owned(),
            roles: [Role::Witness].into(),
            silence: Some("no route to host".to_owned()),
            containers: 3,
            working: 0,
            out_of_load: Vec::new(),
            has_vip: false,
            may_fail: true,
            costs: Vec::new(),
        };
        insta::assert_snapshot!(strip_str(&nodes(&[first, witness], 100)).to_string(), @r"
        NODE  ADDRESS     ROLES            ANSWERS  WORKS     VIP  MAY FAIL  ENGINE
        ctl1  192.0.2.11  control,compute  yes      14 of 14  yes  no        unix:///var/run/docker.sock
        wit   192.0.2.13  witness          no       0 of 3    -    yes       ssh://root@192.0.2.13
        note: out of the load on ctl1: pair-glance-api.ctl1
        note: ctl1 may not fail: database would have 1 of 3 votes
        wrong: wit does not answer: no route to host
        ");
    }
}
