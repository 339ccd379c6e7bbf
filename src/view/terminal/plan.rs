//! A plan for people: by section, one line for each thing that is touched, with the cause. What
//! destroys data is marked, and what users lose by it is told.

use std::collections::BTreeSet;

use super::style::{BAD, COMMAND, DIM, GOOD, TITLE, WARN, paint};
use super::table;
use crate::model::catalog::Part;
use crate::model::operation::Operation;
use crate::model::plan::{Node, Plan};
use crate::model::plural::plural;

/// The headings, in the order of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    State,
    Images,
    Network,
    Volumes,
    Databases,
    MessageBus,
    Jobs,
    Containers,
    Instances,
    Identity,
}

impl Section {
    fn title(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Images => "images",
            Self::Network => "network",
            Self::Volumes => "volumes",
            Self::Databases => "databases",
            Self::MessageBus => "message bus",
            Self::Jobs => "jobs",
            Self::Containers => "containers",
            Self::Instances => "instances",
            Self::Identity => "identity",
        }
    }
}

/// What happens to one thing.
struct Line<'a> {
    section: Section,
    subject: String,
    nodes: Vec<&'a Node>,
}

/// The plan as text; a sentence if nothing is to be done.
pub fn plan(plan: &Plan, verb: &str, width: usize) -> String {
    let mut text = String::new();
    for obstacle in &plan.obstacles {
        text.push_str(&format!("{} {}\n", paint(BAD, "obstacle:"), obstacle.message));
        text.push_str(&format!("{} {}\n", paint(COMMAND, "hint:"), obstacle.repair));
    }
    let mut lines = lines(plan);
    lines.sort_by_key(|line| line.section);
    let subjects = lines.iter().map(|line| line.subject.chars().count()).max().unwrap_or(0);
    let mut section = None;
    for line in &lines {
        if section != Some(line.section) {
            section = Some(line.section);
            text.push_str(&format!("{}\n", paint(TITLE, line.section.title())));
        }
        text.push_str(&table::cut(&render(line, subjects), width));
        text.push('\n');
    }
    if plan.is_empty() {
        text.push_str(&format!("nothing to do for octo {verb}\n"));
    } else {
        text.push_str(&total(plan));
    }
    for cost in &plan.costs {
        text.push_str(&format!("{} {cost}\n", paint(BAD, "cost:")));
    }
    for note in plan.remarks() {
        text.push_str(&format!("{} {note}\n", paint(DIM, "note:")));
    }
    text
}

/// How much a plan does, in one line.
pub fn total(plan: &Plan) -> String {
    let operations = plural(plan.nodes.len(), "operation");
    match plan.gates().count() {
        0 => format!("{operations}\n"),
        gates => format!("{operations}, {}\n", paint(BAD, format!("{gates} of them for ever: data is destroyed"))),
    }
}

/// The nodes by what they touch, in the order of the plan.
fn lines(plan: &Plan) -> Vec<Line<'_>> {
    let jobs: BTreeSet<&str> = plan
        .nodes
        .iter()
        .filter_map(|node| match &node.operation {
            Operation::RunJob { job } => Some(job.as_str()),
            _ => None,
        })
        .collect();
    let mut lines: Vec<Line<'_>> = Vec::new();
    for node in &plan.nodes {
        let (section, subject) = place(&node.operation, &jobs);
        match lines.iter_mut().find(|line| line.section == section && line.subject == subject) {
            Some(line) => line.nodes.push(node),
            None => lines.push(Line { section, subject, nodes: vec![node] }),
        }
    }
    lines
}

fn place(operation: &Operation, jobs: &BTreeSet<&str>) -> (Section, String) {
    let process = |name: &String| {
        let section = if jobs.contains(name.as_str()) { Section::Jobs } else { Section::Containers };
        (section, name.clone())
    };
    match operation {
        Operation::StoreSecrets { .. } => (Section::State, "secrets".to_owned()),
        Operation::CopyState { node } => (Section::State, format!("copy for {node}")),
        Operation::RemoveLogs { node } => (Section::State, format!("log files of {node}")),
        Operation::RemoveState => (Section::State, "secrets, state and log files".to_owned()),
        Operation::PrepareBase { tag } => (Section::Images, tag.clone()),
        Operation::BuildImage { image, .. } => (Section::Images, image.to_string()),
        Operation::SendImages { node, count } => (Section::Images, format!("{} to {node}", plural(*count, "image"))),
        Operation::EnsureBridge { bridge } | Operation::RemoveBridge { bridge } => {
            (Section::Network, format!("bridge {bridge}"))
        }
        Operation::CreateNetwork { network } | Operation::RemoveNetwork { network } => {
            (Section::Network, format!("network {network}"))
        }
        Operation::CreateVolume { volume } | Operation::RemoveVolume { volume } => (Section::Volumes, volume.clone()),
        Operation::WriteFiles { owner } | Operation::RemoveFiles { owner } => process(owner),
        Operation::CreateContainer { container }
        | Operation::StartContainer { container }
        | Operation::KeepRunning { container }
        | Operation::ReloadContainer { container }
        | Operation::AwaitHealth { container }
        | Operation::DrainServer { container }
        | Operation::ForgetMember { container }
        | Operation::RestoreServer { container }
        | Operation::StopContainer { container }
        | Operation::RemoveContainer { container } => process(container),
        Operation::RunJob { job } => process(job),
        Operation::StopInstances { node, count } | Operation::RemoveInstances { node, count } => {
            let place = node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
            (Section::Instances, format!("{}{place}", plural(*count, "instance")))
        }
        Operation::AwaitAnswer { part: part @ Part::Identity } => (Section::Identity, part.words().to_owned()),
        Operation::AwaitAnswer { part: part @ Part::MessageBus } => (Section::MessageBus, part.words().to_owned()),
        Operation::AwaitAnswer { part } => (Section::Databases, part.words().to_owned()),
        Operation::CreateDatabase { database } | Operation::DropDatabase { database } => {
            (Section::Databases, format!("database {database}"))
        }
        Operation::EnsureDatabaseUser { user } => (Section::Databases, format!("user {user}")),
        Operation::EnsureMessageUser { user } => (Section::MessageBus, format!("user {user}")),
        Operation::EnsureIdentity { object } => (Section::Identity, object.to_string()),
        Operation::IssueToken => (Section::Identity, "token".to_owned()),
    }
}

/// What is done, as one word that follows the thing.
fn word(operation: &Operation) -> String {
    let word = match operation {
        Operation::StoreSecrets { count } => return format!("store {count}"),
        Operation::CopyState { .. } => "write",
        Operation::PrepareBase { .. } => "prepare",
        Operation::BuildImage { .. } => "build",
        Operation::SendImages { .. } => "send",
        Operation::EnsureBridge { .. }
        | Operation::EnsureDatabaseUser { .. }
        | Operation::EnsureMessageUser { .. }
        | Operation::EnsureIdentity { .. } => "set up",
        Operation::CreateNetwork { .. }
        | Operation::CreateVolume { .. }
        | Operation::CreateContainer { .. }
        | Operation::CreateDatabase { .. } => "create",
        Operation::WriteFiles { .. } => "write files",
        Operation::StartContainer { .. } => "start",
        Operation::KeepRunning { .. } => "keep running",
        Operation::ReloadContainer { .. } => "reload",
        Operation::AwaitHealth { .. } | Operation::AwaitAnswer { .. } => "wait",
        Operation::DrainServer { .. } => "take out of the load",
        Operation::ForgetMember { .. } => "forget",
        Operation::RestoreServer { .. } => "give load again",
        Operation::StopContainer { .. } | Operation::StopInstances { .. } => "stop",
        Operation::RunJob { .. } => "run",
        Operation::IssueToken => "issue",
        Operation::DropDatabase { .. } => "drop",
        Operation::RemoveFiles { .. } => "remove files",
        Operation::RemoveContainer { .. }
        | Operation::RemoveNetwork { .. }
        | Operation::RemoveBridge { .. }
        | Operation::RemoveVolume { .. }
        | Operation::RemoveInstances { .. }
        | Operation::RemoveLogs { .. }
        | Operation::RemoveState => "remove",
    };
    word.to_owned()
}

fn render(line: &Line<'_>, subjects: usize) -> String {
    let words: Vec<String> = line.nodes.iter().map(|node| word(&node.operation)).collect();
    let mark = mark(line);
    let subject = format!("{:subjects$}", line.subject);
    format!("  {mark} {subject}  {}  {}", words.join(", "), paint(DIM, format!("({})", causes(line))))
}

fn mark(line: &Line<'_>) -> String {
    let operations = || line.nodes.iter().map(|node| &node.operation);
    let makes = operations().any(|operation| {
        matches!(
            operation,
            Operation::CreateContainer { .. }
                | Operation::CreateNetwork { .. }
                | Operation::CreateVolume { .. }
                | Operation::CreateDatabase { .. }
                | Operation::BuildImage { .. }
                | Operation::SendImages { .. }
                | Operation::PrepareBase { .. }
                | Operation::RunJob { .. }
                | Operation::EnsureIdentity { .. }
                | Operation::EnsureBridge { .. }
                | Operation::EnsureDatabaseUser { .. }
                | Operation::EnsureMessageUser { .. }
                | Operation::StoreSecrets { .. }
                | Operation::CopyState { .. }
        )
    });
    let removes = operations().any(|operation| word(operation).starts_with("remove"));
    if operations().any(Operation::destroys) {
        paint(BAD, "!")
    } else {
        match (makes, removes) {
            (true, false) => paint(GOOD, "+"),
            (false, true) => paint(BAD, "-"),
            _ => paint(WARN, "~"),
        }
    }
}

/// The distinct causes. That of starting and waiting says nothing where another one is there.
fn causes(line: &Line<'_>) -> String {
    let follows =
        |node: &&&Node| matches!(node.operation, Operation::StartContainer { .. } | Operation::AwaitHealth { .. });
    let mut chosen: Vec<&str> = Vec::new();
    let leading = line.nodes.iter().filter(|node| !follows(node));
    let all: Vec<&&Node> = if line.nodes.iter().all(|node| follows(&node)) {
        line.nodes.iter().take(1).collect()
    } else {
        leading.collect()
    };
    for node in all {
        if !chosen.contains(&node.cause.as_str()) {
            chosen.push(&node.cause);
        }
    }
    chosen.join("; ")
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;
    use crate::model::plan::Obstacle;

    fn shown(value: &Plan) -> String {
        strip_str(&plan(value, "up", 100)).to_string()
    }

    #[test]
    fn nothing_to_do_is_one_sentence() {
        insta::assert_snapshot!(shown(&Plan::default()), @"nothing to do for octo up");
    }

    #[test]
    fn what_is_replaced_is_one_line_with_its_cause() {
        let container = || "lab-keystone-api".to_owned();
        let cause = "keystone.conf changed: [token] expiration";
        let mut value = Plan::default();
        let network = value.add(Operation::CreateNetwork { network: "lab-management".to_owned() }, "absent", []);
        let stop = value.add(Operation::StopContainer { container: container() }, cause, []);
        let write = value.add(Operation::WriteFiles { owner: container() }, cause, [stop]);
        let remove = value.add(Operation::RemoveContainer { container: container() }, cause, [stop]);
        let create = value.add(Operation::CreateContainer { container: container() }, cause, [write, remove, network]);
        let start = value.add(Operation::StartContainer { container: container() }, "created", [create]);
        value.add(Operation::AwaitHealth { container: container() }, "started", [start]);
        value.notes.push("next: octo init".to_owned());
        insta::assert_snapshot!(shown(&value), @r"
        network
          + network lab-management  create  (absent)
        containers
          ~ lab-keystone-api        stop, write files, remove, create, start, wait  (keystone.conf changed:…
        7 operations
        note: next: octo init
        ");
    }

    #[test]
    fn gates_obstacles_and_costs_stand_out() {
        let mut value = Plan::default();
        value.add(Operation::RemoveVolume { volume: "lab-mariadb-data".to_owned() }, "asked for", []);
        value.obstacles.push(Obstacle { message: "port 5000 is taken".to_owned(), repair: "ss -ltnp".to_owned() });
        value.costs.push("without ctl1 nobody else would answer for glance-api".to_owned());
        insta::assert_snapshot!(shown(&value), @r"
        obstacle: port 5000 is taken
        hint: ss -ltnp
        volumes
          ! lab-mariadb-data  remove  (asked for)
        1 operation, 1 of them for ever: data is destroyed
        cost: without ctl1 nobody else would answer for glance-api
        ");
    }
}
