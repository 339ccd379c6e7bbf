//! `octo node`: the nodes of a cloud, and what is done with one of them.

use crate::cli::{NoArgs, NodeRemoveArgs, NodeVerb, OneNode};
use crate::controller::cloud::Cloud;
use crate::controller::command::{DONE, change, until_cancelled};
use crate::controller::context::Context;
use crate::controller::load::Loaded;
use crate::controller::wiring;
use crate::error::{Error, ErrorKind};
use crate::model::name::Name;
use crate::model::node::renumbered;
use crate::model::node_status::NodeStatus;
use crate::model::planner::Goal;
use crate::model::problem::{FileId, Step};
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
    let refused = node.clone();
    let answers = move |cloud: &Cloud| match cloud.silent.get(&refused) {
        None => Ok(()),
        Some(why) => Err(Error::new(ErrorKind::Environment, format!("the engine of node {refused} does not answer"))
            .because_text(why.clone())
            .hint(format!("look at its Docker Engine, then: octo node add {refused}"))),
    };
    change::run_loaded(&Goal::Up, context, loaded, &answers, Vec::new()).await
}

/// `octo rm --node`, if the others can be a cloud without it; and what comes next.
async fn remove(args: NodeRemoveArgs, context: &Context) -> Result<u8, Error> {
    let NodeRemoveArgs { node, volumes } = args;
    let loaded = wiring::load(context)?;
    if loaded.settings.nodes.is_empty() {
        let error = Error::new(ErrorKind::Usage, "the cloud has one node, and is nothing without it");
        return Err(error.hint("octo rm"));
    }
    let next = match place_of(&node, &loaded) {
        Some(place) => {
            dispensable(&node, place, &loaded)?;
            to_forget(&node, place, &loaded)
        }
        // Whoever removes it knows all nodes' names.
        None => Vec::new(),
    };
    let goal = Goal::Remove { node: Some(node.clone()), volumes };
    let elsewhere = move |cloud: &Cloud| {
        if cloud.desired.node != node {
            return Ok(());
        }
        let state = cloud.state_directory.display();
        Err(Error::new(ErrorKind::Usage, format!("octo runs on {node}, and keeps the secrets of the cloud there"))
            .hint(format!("copy {state} to another node, and run octo there")))
    };
    change::run_loaded(&goal, context, loaded, &elsewhere, next).await
}

/// The place of a node in configuration.yaml.
fn place_of(node: &Name, loaded: &Loaded) -> Option<usize> {
    loaded.settings.nodes.iter().position(|described| described.name == *node)
}

/// Refuses to go on for good without a node whose vote the others need.
fn dispensable(node: &Name, place: usize, loaded: &Loaded) -> Result<(), Error> {
    let mut rest = loaded.settings.nodes.clone();
    rest.remove(place);
    let Some(problem) = validate::votes(&rest) else { return Ok(()) };
    let file = loaded.documents.name(FileId::CONFIGURATION);
    let error = Error::new(ErrorKind::Usage, format!("the cloud cannot go on without node {node}"))
        .because_text(problem.message);
    let error = problem.help.into_iter().fold(error, Error::hint);
    Err(error.hint(format!(
        "for another machine in its place: octo rm --node {node} --volumes, then its address and engine in {file}, \
         then octo node add {node}"
    )))
}

/// What is left to do by hand, so that the other nodes forget one.
fn to_forget(node: &Name, place: usize, loaded: &Loaded) -> Vec<String> {
    let file = loaded.documents.name(FileId::CONFIGURATION);
    let lines = match loaded.documents.lines(FileId::CONFIGURATION, &[Step::from("nodes"), Step::from(place)]) {
        Some((first, last)) if first < last => format!("lines {first} to {last} ({node})"),
        Some((line, _)) => format!("line {line} ({node})"),
        None => node.to_string(),
    };
    let mut next = vec![format!("next: take {lines} out of {file}, then octo up: the other nodes forget it")];
    for (other, number) in renumbered(&loaded.settings.nodes, place) {
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
        let node = Name::fixed("cmp1");
        let place = place_of(&node, &loaded).unwrap();
        assert!(dispensable(&node, place, &loaded).is_ok());
        insta::assert_snapshot!(to_forget(&node, place, &loaded).join("\n"), @r"
        next: take lines 5 to 8 (cmp1) out of west.yaml, then octo up: the other nodes forget it
        with that write `number: 3` for ctl2, or its addresses change
        ");
        let last = to_forget(&Name::fixed("wit"), 3, &loaded);
        assert_eq!(last, ["next: take line 11 (wit) out of west.yaml, then octo up: the other nodes forget it"]);
    }

    #[test]
    fn a_node_whose_vote_the_others_need_stays() {
        let loaded = loaded(NODES);
        for (node, cause) in
            [("ctl2", "2 nodes have an even number of votes"), ("wit", "two control nodes cannot tell")]
        {
            let node: Name = node.parse().unwrap();
            let error = dispensable(&node, place_of(&node, &loaded).unwrap(), &loaded).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Usage);
            assert!(error.causes[0].starts_with(cause), "{error}");
            assert!(error.hints.iter().any(|hint| hint.contains(&format!("octo node add {node}"))), "{error:?}");
        }
    }

    #[test]
    fn a_cloud_of_one_machine_does_not_become_one_of_several() {
        let error = not_described(&Name::fixed("cmp2"), &loaded("cloud: west\n"));
        assert_eq!((error.kind, error.hints.len()), (ErrorKind::Config, 2));
        assert!(error.hints[0].contains("- name: cmp2\n  address: ADDRESS\n"), "{error:?}");
    }
}
