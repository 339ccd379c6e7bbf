//! One file for each verb, or for verbs that share one flow.

pub mod apply;
pub mod change;
pub mod completions;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod exec;
pub mod instance;
pub mod logs;
pub mod man;
pub mod new;
pub mod node;
pub mod openrc;
pub mod plan;
pub mod preflight;
pub mod secrets;
pub mod select;
pub mod status;
pub mod verify;

use super::context::Context;
use crate::cli::secrets::SecretsVerb;
use crate::cli::{NoArgs, OneNode, Verb};
use crate::error::{Error, ErrorKind};
use crate::model::planner::{Goal, Scope};

/// Exit code of success.
pub const DONE: u8 = 0;

/// Does what was asked for; the exit code, unless it failed.
pub async fn run(verb: Verb, context: &Context) -> Result<u8, Error> {
    match verb {
        // What changes a cloud stops by itself: operations that run are let end.
        Verb::Up(NoArgs {}) => change::run(Goal::Up, context).await,
        Verb::Run(args) => change::run(Goal::Run { services: args.services }, context).await,
        Verb::Init(NoArgs {}) => change::run(Goal::Init, context).await,
        Verb::Stop(args) => {
            change::run(Goal::Stop(Scope { services: args.services, node: args.place.node }), context).await
        }
        Verb::Start(args) => {
            let scope = Scope { services: args.services.services, node: args.place.node };
            change::run(Goal::Start(scope), context).await
        }
        Verb::Rm(args) => change::run(Goal::Remove { node: args.place.node, volumes: args.volumes }, context).await,
        Verb::Node(verb) => node::run(verb, context).await,
        Verb::Build(args) if !args.check => change::run(Goal::Build { services: args.services }, context).await,
        Verb::Build(args) => until_cancelled(change::check_images(&args.services, context), context).await,
        Verb::Plan(args) => until_cancelled(plan::run(args, context), context).await,
        Verb::Status(args) => until_cancelled(status::run(args, context), context).await,
        Verb::Logs(args) => until_cancelled(logs::run(args, context), context).await,
        Verb::Doctor(args) => until_cancelled(doctor::run(args, context), context).await,
        Verb::Openrc(args) => until_cancelled(openrc::run(args, context), context).await,
        Verb::Exec(args) => until_cancelled(exec::run(args, context), context).await,
        // Both tidy up after themselves when they are stopped.
        Verb::Demo(args) => demo::run(args, context).await,
        Verb::Verify(NoArgs {}) => verify::run(context).await,
        Verb::Secrets(SecretsVerb::List(NoArgs {})) => secrets::list(context),
        Verb::Secrets(SecretsVerb::Rotate(args)) => secrets::rotate(&args, context).await,
        Verb::Secrets(SecretsVerb::Restore(OneNode { node })) => secrets::restore(&node, context).await,
        Verb::Config(verb) => config::run(&verb, context),
        Verb::New(args) => new::run(&args, context),
        Verb::Completions(args) => completions::run(args, context),
        Verb::Man(args) => man::run(&args, context),
    }
}

/// Looks, until somebody wants octo to stop. Nothing was changed then, so that there is nothing to
/// say.
async fn until_cancelled(look: impl Future<Output = Result<u8, Error>>, context: &Context) -> Result<u8, Error> {
    tokio::select! {
        result = look => result,
        () = context.cancel.cancelled() => Ok(ErrorKind::Cancelled.exit_code()),
    }
}
