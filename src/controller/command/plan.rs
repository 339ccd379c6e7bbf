//! `octo plan`: what a verb would do, and why.

use crate::cli::{PlanArgs, PlannedVerb};
use crate::controller::command::{DONE, change};
use crate::controller::context::Context;
use crate::controller::wiring;
use crate::error::{Error, ErrorKind};
use crate::model::planner::{Goal, Scope, plan};
use crate::view::{json, terminal};

/// Shows the plan; with `--check` something to do is an error.
pub async fn run(args: PlanArgs, context: &Context) -> Result<u8, Error> {
    let check = args.check;
    let goal = goal(args)?;
    let loaded = wiring::load(context)?;
    let engine = wiring::engine(context).await?;
    let cloud = wiring::cloud(context, loaded, &engine).await?;
    change::known(&goal, &cloud.desired)?;
    let world = wiring::world(&cloud, &engine)?;
    let plan = plan(&goal, &cloud.desired, &world.observe.observe().await?);
    let output = &context.output;
    if output.is_json() {
        output.document(&json::plan(&plan, goal.verb()));
    } else {
        output.data(&terminal::plan::plan(&plan, goal.verb(), output.width));
    }
    // The plan itself has said everything; only the exit code is left.
    let drifted = check && !(plan.is_empty() && plan.obstacles.is_empty());
    Ok(if drifted { ErrorKind::Drift.exit_code() } else { DONE })
}

/// The goal that the arguments name. A choice that the verb does not take is refused.
fn goal(args: PlanArgs) -> Result<Goal, Error> {
    let takes_services =
        matches!(args.goal, PlannedVerb::Build | PlannedVerb::Run | PlannedVerb::Stop | PlannedVerb::Start);
    if !takes_services && !args.services.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "that verb takes no services").hint("octo plan --help"));
    }
    if args.volumes && args.goal != PlannedVerb::Rm {
        return Err(Error::new(ErrorKind::Usage, "--volumes belongs to rm").hint("octo plan rm --volumes"));
    }
    let takes_node = matches!(args.goal, PlannedVerb::Stop | PlannedVerb::Start | PlannedVerb::Rm);
    if args.place.node.is_some() && !takes_node {
        let error = Error::new(ErrorKind::Usage, "--node belongs to stop, start and rm");
        return Err(error.hint("octo plan stop --node NODE"));
    }
    let services = args.services;
    let node = args.place.node;
    Ok(match args.goal {
        PlannedVerb::Build => Goal::Build { services },
        PlannedVerb::Run => Goal::Run { services },
        PlannedVerb::Init => Goal::Init,
        PlannedVerb::Up => Goal::Up,
        PlannedVerb::Stop => Goal::Stop(Scope { services, node }),
        PlannedVerb::Start => Goal::Start(Scope { services, node }),
        PlannedVerb::Rm => Goal::Remove { node, volumes: args.volumes },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Place;
    use crate::model::name::Name;

    #[test]
    fn only_some_verbs_take_services_or_volumes() {
        let keystone = vec!["keystone".parse().unwrap()];
        let args =
            |goal, services, volumes| PlanArgs { goal, services, volumes, check: false, place: Place::default() };
        assert!(goal(args(PlannedVerb::Run, keystone.clone(), false)).is_ok());
        assert_eq!(goal(args(PlannedVerb::Up, keystone, false)).unwrap_err().kind, ErrorKind::Usage);
        assert_eq!(goal(args(PlannedVerb::Up, Vec::new(), true)).unwrap_err().hints, ["octo plan rm --volumes"]);
        assert_eq!(goal(args(PlannedVerb::Rm, Vec::new(), true)).unwrap(), Goal::Remove { node: None, volumes: true });
        let on_node = |verb| {
            let place = Place { node: Some(Name::fixed("ctl1")) };
            goal(PlanArgs { place, ..args(verb, Vec::new(), false) })
        };
        assert_eq!(on_node(PlannedVerb::Up).unwrap_err().kind, ErrorKind::Usage);
        let stop = Scope { services: Vec::new(), node: Some(Name::fixed("ctl1")) };
        assert_eq!(on_node(PlannedVerb::Stop).unwrap(), Goal::Stop(stop));
        let remove = Goal::Remove { node: Some(Name::fixed("ctl1")), volumes: false };
        assert_eq!(on_node(PlannedVerb::Rm).unwrap(), remove);
    }
}
