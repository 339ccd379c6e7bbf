//! `octo node`: the nodes of a cloud, and what is done with one of them.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::cli::{NoArgs, NodeRemoveArgs, NodeVerb, OneNode};
use crate::controller::cloud::Cloud;
use crate::controller::command::change::Around;
use crate::controller::command::{DONE, change, until_cancelled};
use crate::controller::context::Context;
use crate::controller::load::Loaded;
use crate::controller::port::Perform;
use crate::controller::wiring;
use crate::error::{Error, ErrorKind};
use crate::model::name::Name;
use crate::model::node::{Role, renumbered};
use crate::model::node_status::NodeStatus;
use crate::model::operation::Operation;
use crate::model::planner::Goal;
use crate::model::problem::{FileId, Step};
use crate::model::settings::NodeSettings;
use crate::model::validate;
use crate::view::{json, terminal};

/// Does what was asked for.
pub async fn run(verb: NodeVerb, context: &Context) -> Result<u8, Error> {
    match verb {
        NodeVerb::List(NoArgs {}) => until_cancelled(list(context), context).await,
        NodeVerb::Drain(OneNode { node }) => change::run(Goal::Drain { node }, context).await,
        NodeVerb::Ready(OneNode { node }) => change::run(Goal::Ready { node }, context).await,
        NodeVerb::Add(OneNode { node }) => add(&node, context).await,
        NodeVerb::Remove(args) => remove(args, context).await,
    }
}

async fn list(context: &Context) -> Result<u8, Error> {
    let loaded = wiring::load(context)?;
    let engine = wiring::engine(context).await?;
    let cloud = wiring::cloud(context, loaded, &engine).await?;
    let observed = wiring::world(&cloud, &engine)?.observe.observe().await?;
    let endpoint = |node: &Name| {
        let described = cloud.settings.nodes.iter().find(|described| described.name == *node);
        described.map_or_else(|| wiring::endpoint(context), |described| described.engine.clone())
    };
    let nodes = NodeStatus::all(&cloud.desired, &observed, &endpoint);
    let output = &context.output;
    if output.is_json() {
        output.document(&json::nodes(&cloud.desired.cloud, &nodes));
    } else {
        output.data(&terminal::nodes::nodes(&nodes, output.width));
    }
    Ok(DONE)
}

/// `octo up`, for the sake of one node: if that does not answer it is an error here.
async fn add(node: &Name, context: &Context) -> Result<u8, Error> {
    let loaded = wiring::load(context)?;
    if place_of(node, &loaded).is_none() {
        return Err(not_described(node, &loaded));
    }
    change::run_loaded(&Goal::Up, context, loaded, &Addition { node }).await
}

/// A node that is to come.
struct Addition<'a> {
    node: &'a Name,
}

impl Around for Addition<'_> {
    fn refuse(&self, cloud: &Cloud) -> Result<(), Error> {
        let node = self.node;
        let Some(why) = cloud.silent.get(node) else { return Ok(()) };
        Err(Error::new(ErrorKind::Environment, format!("the engine of node {node} does not answer"))
            .because_text(why.clone())
            .hint(format!("look at its Docker Engine, then: octo node add {node}")))
    }
}

/// `octo rm --node`, if the others can be a cloud without them; the others forget them; and what comes next.
async fn remove(args: NodeRemoveArgs, context: &Context) -> Result<u8, Error> {
    let NodeRemoveArgs { nodes, volumes } = args;
    let loaded = wiring::load(context)?;
    if loaded.settings.nodes.is_empty() {
        let error = Error::new(ErrorKind::Usage, "the cloud has one node, and is nothing without it");
        return Err(error.hint("octo rm"));
    }
    // Of one that is not described nothing is left to do: whoever removes it knows all nodes' names.
    let places: BTreeSet<usize> = nodes.iter().filter_map(|node| place_of(node, &loaded)).collect();
    dispensable(&places, &loaded)?;
    for (index, node) in nodes.iter().enumerate() {
        let last = index + 1 == nodes.len();
        let next = if last { to_forget(&places, &loaded) } else { Vec::new() };
        let goal = Goal::Remove { node: Some(node.clone()), volumes };
        change::run_loaded(&goal, context, loaded.clone(), &Removal { node, next }).await?;
    }
    Ok(DONE)
}

/// A node that goes for good.
struct Removal<'a> {
    node: &'a Name,
    /// What is left to do by hand.
    next: Vec<String>,
}

#[async_trait]
impl Around for Removal<'_> {
    fn refuse(&self, cloud: &Cloud) -> Result<(), Error> {
        let node = self.node;
        if cloud.desired.node != *node {
            return Ok(());
        }
        let state = cloud.state_directory.display();
        Err(Error::new(ErrorKind::Usage, format!("octo runs on {node}, and keeps the secrets of the cloud there"))
            .hint(format!("copy {state} to another node, and run octo there")))
    }

    /// The clusters forget it. All of them are tried before the first failure counts.
    async fn finish(&self, cloud: &Cloud, perform: &dyn Perform) -> Result<Vec<String>, Error> {
        let here = cloud.desired.containers.iter().filter(|(_, container)| container.node == *self.node);
        let members: Vec<&String> =
            here.filter(|(_, member)| !member.forget.is_empty()).map(|(name, _)| name).collect();
        let mut failures = Vec::new();
        for member in &members {
            let forget = Operation::ForgetMember { container: (*member).clone() };
            failures.extend(perform.perform(&forget, &|_| ()).await.err());
        }
        let mut failures = failures.into_iter();
        if let Some(first) = failures.next() {
            return Err(failures.fold(first, |error, other| error.because(&other)));
        }
        let forgotten = members.into_iter().map(|member| format!("{member} is forgotten by its cluster"));
        Ok(forgotten.chain(self.next.iter().cloned()).collect())
    }
}

/// The place of a node in configuration.yaml.
fn place_of(node: &Name, loaded: &Loaded) -> Option<usize> {
    loaded.settings.nodes.iter().position(|described| described.name == *node)
}

/// Refuses to go on for good without nodes whose votes the others need.
fn dispensable(places: &BTreeSet<usize>, loaded: &Loaded) -> Result<(), Error> {
    let (gone, rest): (Vec<_>, Vec<_>) =
        loaded.settings.nodes.iter().cloned().enumerate().partition(|(place, _)| places.contains(place));
    let rest: Vec<_> = rest.into_iter().map(|(_, node)| node).collect();
    let names: Vec<&str> = gone.iter().map(|(_, node)| node.name.as_str()).collect();
    let problem = validate::votes(&rest).filter(|_| !gone.is_empty());
    let votes = |nodes: &[NodeSettings]| nodes.iter().filter(|node| has_vote(node)).count();
    let file = loaded.documents.name(FileId::CONFIGURATION);
    let error = Error::new(ErrorKind::Usage, format!("the cloud cannot go on without {}", names.join(" and ")));
    let error = match problem {
        Some(problem) => problem.help.into_iter().fold(error.because_text(problem.message), Error::hint),
        None if votes(&rest) == 1 && votes(&loaded.settings.nodes) > 1 => {
            error.because_text("of two members of a cluster one cannot decide to forget the other")
        }
        None => return Ok(()),
    };
    Err(names.iter().fold(error, |error, node| {
        error.hint(format!(
            "for another machine in its place: octo rm --node {node} --volumes, then its address and engine in {file}, \
             then octo node add {node}"
        ))
    }))
}

/// Whether a node has members of the clusters.
fn has_vote(node: &NodeSettings) -> bool {
    [Role::Control, Role::Witness].iter().any(|role| node.roles.contains(role))
}

/// What is left to do by hand, so that the files of the other nodes forget some.
fn to_forget(places: &BTreeSet<usize>, loaded: &Loaded) -> Vec<String> {
    let nodes = &loaded.settings.nodes;
    let file = loaded.documents.name(FileId::CONFIGURATION);
    let lines: Vec<String> = places
        .iter()
        .map(|place| {
            let node = &nodes[*place].name;
            match loaded.documents.lines(FileId::CONFIGURATION, &[Step::from("nodes"), Step::from(*place)]) {
                Some((first, last)) if first < last => format!("lines {first} to {last} ({node})"),
                Some((line, _)) => format!("line {line} ({node})"),
                None => node.to_string(),
            }
        })
        .collect();
    if lines.is_empty() {
        return Vec::new();
    }
    let lines = lines.join(" and ");
    let mut next = vec![format!("next: take {lines} out of {file}, then octo up: no file of the other nodes has them")];
    for (other, number) in renumbered(nodes, places) {
        next.push(format!("with that write `number: {number}` for {other}, or its addresses change"));
    }
    next
}

/// An error with the lines that are missing.
fn not_described(node: &Name, loaded: &Loaded) -> Error {
    let file = loaded.documents.name(FileId::CONFIGURATION);
    let lines = [
        format!("add to `nodes` in {file}, with what is true of the machine:"),
        format!("- name: {node}"),
        "  address: ADDRESS".to_owned(),
        "  engine: ssh://root@ADDRESS".to_owned(),
        "  roles: [compute]".to_owned(),
    ];
    let error = Error::new(ErrorKind::Config, format!("{file} describes no node {node}")).hint(lines.join("\n"));
    if loaded.settings.nodes.is_empty() {
        return error.hint("a cloud of several nodes names this machine too, and is another cloud than that of one");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::load::yaml;
    use crate::model::bundle::Bundle;
    use crate::model::catalog::Catalog;
    use crate::model::document::{Document, Documents};
    use crate::model::merge::Origins;

    const NODES: &str = "\
cloud: west
nodes:
  - {name: ctl1, address: 192.0.2.11, roles: [control]}
  # For instances.
  - name: cmp1
    address: 192.0.2.14
    roles:
      - compute

  - {name: ctl2, address: 192.0.2.12, roles: [control]}
  - {name: wit, address: 192.0.2.13, roles: [witness], number: 9}
";

    fn loaded(text: &str) -> Loaded {
        let root = yaml::parse(text).unwrap();
        let mut documents = Documents::default();
        documents.push(Document { name: "west.yaml".to_owned(), text: text.to_owned(), root });
        Loaded {
            settings: serde_saphyr::from_str(text).unwrap(),
            catalog: Catalog::default(),
            origins: Origins::default(),
            bundle: Bundle::default(),
            documents,
        }
    }

    #[test]
    fn what_is_left_to_do_by_hand_is_told_with_lines_and_numbers() {
        let loaded = loaded(NODES);
        let place = place_of(&Name::fixed("cmp1"), &loaded).unwrap();
        assert!(dispensable(&[place].into(), &loaded).is_ok());
        insta::assert_snapshot!(to_forget(&[place].into(), &loaded).join("\n"), @r"
        next: take lines 5 to 8 (cmp1) out of west.yaml, then octo up: no file of the other nodes has them
        with that write `number: 3` for ctl2, or its addresses change
        ");
        insta::assert_snapshot!(to_forget(&[place, 3].into(), &loaded).join("\n"), @r"
        next: take lines 5 to 8 (cmp1) and line 11 (wit) out of west.yaml, then octo up: no file of the other nodes has them
        with that write `number: 3` for ctl2, or its addresses change
        ");
        assert!(to_forget(&BTreeSet::new(), &loaded).is_empty());
    }

    #[test]
    fn a_node_whose_vote_the_others_need_stays() {
        let loaded = loaded(NODES);
        for (node, cause) in
            [("ctl2", "2 nodes have an even number of votes"), ("wit", "two control nodes cannot tell")]
        {
            let node: Name = node.parse().unwrap();
            let error = dispensable(&[place_of(&node, &loaded).unwrap()].into(), &loaded).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Usage);
            assert!(error.causes[0].starts_with(cause), "{error}");
            assert!(error.hints.iter().any(|hint| hint.contains(&format!("octo node add {node}"))), "{error:?}");
        }
    }

    #[test]
    fn one_member_is_not_left_alone_with_the_votes_of_others() {
        let loaded = loaded(&NODES.replace("[witness], number: 9", "[control]"));
        let error = dispensable(&[2, 3].into(), &loaded).unwrap_err();
        assert!(error.causes[0].contains("cannot decide to forget"), "{error}");
    }

    #[test]
    fn a_cloud_of_one_machine_does_not_become_one_of_several() {
        let error = not_described(&Name::fixed("cmp2"), &loaded("cloud: west\n"));
        assert_eq!((error.kind, error.hints.len()), (ErrorKind::Config, 2));
        assert!(error.hints[0].contains("- name: cmp2\n  address: ADDRESS\n"), "{error:?}");
    }
}
