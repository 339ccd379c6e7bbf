//! The command line as types. The doc comments are the help; nothing is read or decided here.

mod change;
mod node;
pub mod secrets;

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::model::demo::KEY_FILE;
use crate::model::name::{Name, NameError};
use secrets::SecretsVerb;

pub use change::{BuildArgs, Place, PlanArgs, PlannedVerb, RmArgs, Services, StartArgs, StopArgs};
pub use node::{NodeRemoveArgs, NodeVerb, OneNode};

/// Build, run and keep alive a real OpenStack control plane in containers.
///
/// `octo up` makes what two files say: services.yaml (what exists) and configuration.yaml (what
/// this cloud wants). Without the files, the built-in ones make a lab on this machine.
///
/// Data goes to standard output, everything else to standard error. Exit codes: 0 done, 2 usage,
/// 3 configuration, 4 environment, 5 drift (`--check`), 6 operation, 70 defect, 130 cancelled.
#[derive(Clone, Debug, Parser)]
#[command(name = "octo", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// What every verb takes.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What every verb takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The settings of the cloud [default: ./configuration.yaml if it exists, else built in]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// The catalog of services [default: ./services.yaml if it exists, else built in]
    #[arg(long = "services", global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub services_file: Option<PathBuf>,

    /// Where secrets and recorded choices are kept [default: /var/lib/octo/<cloud>]
    #[arg(long, global = true, value_name = "DIR", env = "OCTO_STATE_DIR", hide_env_values = true)]
    #[arg(value_hint = ValueHint::DirPath)]
    pub state_dir: Option<PathBuf>,

    /// The Docker Engine [default: unix:///var/run/docker.sock]
    #[arg(long, global = true, value_name = "ENDPOINT", env = "DOCKER_HOST", hide_env_values = true)]
    pub engine: Option<String>,

    /// How results are written
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub format: Format,

    /// Whether output is coloured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,

    /// Say more; twice also writes octo's own log (OCTO_LOG chooses its parts)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Agree to what destroys data or takes from users what works now, without being asked
    #[arg(long, global = true)]
    pub yes: bool,
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON document on standard output: the result, or the error
    Json,
}

/// Whether output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The verbs.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Build images, run everything, initialise: the whole way to a working cloud
    ///
    /// What was taken out of the load by hand or by `octo node drain` gets its share again.
    Up(NoArgs),
    /// Build the images that are missing or whose recipe has changed
    Build(BuildArgs),
    /// Bring up networks, volumes, secrets, files and containers, in the order of their needs
    ///
    /// What was taken out of the load by hand or by `octo node drain` gets its share again.
    Run(Services),
    /// Make databases, users, schemas and endpoints, and start what waits for them
    Init(NoArgs),
    /// Stop containers gracefully, in reverse order; data stays
    Stop(StopArgs),
    /// Start what was stopped, in order, and give load back to what was taken out of it
    Start(StartArgs),
    /// Remove all that octo made of the cloud; its data stays unless --volumes is given
    Rm(RmArgs),
    /// Look at the nodes of a cloud, and take one out of its work or out of the cloud
    #[command(subcommand)]
    Node(NodeVerb),
    /// Show what a verb would do, and why
    Plan(PlanArgs),
    /// Show how each container is, what is wrong first
    Status(StatusArgs),
    /// Show the logs of containers, merged
    Logs(LogsArgs),
    /// Look for what is wrong with this machine and other nodes, and say how to repair it
    Doctor(DoctorArgs),
    /// Print what an OpenStack client needs: eval "$(octo openrc)"
    Openrc(OpenrcArgs),
    /// Run a command in a container
    Exec(ExecArgs),
    /// Make networks, flavors, an image and a key pair, all that booting instances takes
    Demo(DemoArgs),
    /// Verify that the cloud does what it is for: boot, reach and remove two instances
    Verify(NoArgs),
    /// Show which secrets there are, and renew those that take turns
    #[command(subcommand)]
    Secrets(SecretsVerb),
    /// Check and show the two files
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Write a configuration.yaml to start from
    New(NewArgs),
    /// Print the completions for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write all of them into a directory
    #[command(hide = true)]
    Man(ManArgs),
}

/// Nothing beyond the global options.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct NoArgs {}

/// `octo status`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct StatusArgs {
    /// Show it again every two seconds; with --format json one document per line
    #[arg(long)]
    pub watch: bool,

    /// End with exit code 5 if anything is wrong
    #[arg(long)]
    pub check: bool,
}

/// `octo logs`.
#[derive(Clone, Debug, Default, Args)]
pub struct LogsArgs {
    /// Services, or single containers as SERVICE/CONTAINER; all without it
    #[arg(value_name = "SERVICE[/CONTAINER]")]
    pub targets: Vec<Target>,

    /// Only of one node, where there are several
    #[arg(long, value_name = "NODE")]
    pub node: Option<Name>,

    /// Go on with what comes, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,

    /// Only from then on: a duration (10m, 2h) or a time (2026-11-20T10:00:00Z)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// Only the last lines of each container [default: all, with --follow 20]
    #[arg(long, value_name = "LINES")]
    pub tail: Option<u32>,

    /// Only lines that match a regular expression
    #[arg(long, value_name = "REGEX")]
    pub grep: Option<String>,

    /// Show when each line was written
    #[arg(long)]
    pub timestamps: bool,
}

/// `octo doctor`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct DoctorArgs {
    /// Also ask whether registries and package mirrors can be reached
    #[arg(long)]
    pub network: bool,
}

/// `octo openrc`.
#[derive(Clone, Debug, Default, Args)]
pub struct OpenrcArgs {
    /// Write a clouds.yaml there instead, readable by you alone
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub clouds_yaml: Option<PathBuf>,
}

/// `octo exec`.
#[derive(Clone, Debug, Args)]
pub struct ExecArgs {
    /// The service, and the container if it has several
    #[arg(value_name = "SERVICE[/CONTAINER]")]
    pub target: Target,

    /// The node, where several have that container
    #[arg(long, value_name = "NODE")]
    pub node: Option<Name>,

    /// The user inside the container; without it that of its process
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,

    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `octo demo`.
#[derive(Clone, Debug, Default, Args)]
pub struct DemoArgs {
    /// Remove exactly what the demo has made
    #[arg(long)]
    pub remove: bool,

    /// Where the private key of the key pair is written, or read if it is there
    #[arg(long, value_name = "FILE", default_value = KEY_FILE, value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with = "remove")]
    pub key_file: PathBuf,
}

/// `octo config`.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigVerb {
    /// Check both files, all templates and overrides; report every mistake with its place
    Check(NoArgs),
    /// Print the settings with every default filled in
    Show(NoArgs),
    /// Print the JSON Schema of a file
    Schema(SchemaArgs),
}

/// `octo config schema`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct SchemaArgs {
    /// The file
    #[arg(value_name = "FILE", default_value = "configuration")]
    pub file: SchemaFile,
}

/// A file with a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SchemaFile {
    /// configuration.yaml
    #[default]
    Configuration,
    /// services.yaml
    Services,
}

/// `octo new`.
#[derive(Clone, Debug, Args)]
pub struct NewArgs {
    /// The directory; made if it is missing
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
}

/// `octo completions`.
#[derive(Clone, Copy, Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `octo man`.
#[derive(Clone, Debug, Default, Args)]
pub struct ManArgs {
    /// The directory for one page per verb
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: Option<PathBuf>,
}

/// A service, or one container of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The service.
    pub service: Name,
    /// The container's name in the catalog.
    pub container: Option<Name>,
}

impl FromStr for Target {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (service, container) = match text.split_once('/') {
            Some((service, container)) => (service, Some(container.parse()?)),
            None => (text, None),
        };
        Ok(Self { service: service.parse()?, container })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_target_is_a_service_or_one_container() {
        let target: Target = "keystone/api".parse().unwrap();
        assert_eq!((target.service.as_str(), target.container.unwrap().as_str()), ("keystone", "api"));
        assert!("keystone".parse::<Target>().unwrap().container.is_none());
        assert!("keystone/".parse::<Target>().is_err());
    }

    #[test]
    fn a_service_is_no_file_of_services() {
        let cli = Cli::parse_from(["octo", "run", "keystone", "--services", "x.yaml"]);
        assert_eq!(cli.global.services_file.as_deref(), Some(std::path::Path::new("x.yaml")));
        let Verb::Run(run) = cli.verb else { panic!("not run") };
        assert_eq!(run.services.len(), 1);
    }

    #[test]
    fn a_node_is_removed_with_its_data_only_if_told() {
        let cli = Cli::parse_from(["octo", "node", "remove", "ctl2", "--volumes", "--yes"]);
        assert!(cli.global.yes);
        let Verb::Node(NodeVerb::Remove(remove)) = cli.verb else { panic!("not node remove") };
        assert_eq!((remove.nodes.as_slice(), remove.volumes), (&[Name::fixed("ctl2")][..], true));
        let cli = Cli::parse_from(["octo", "rm", "--node", "ctl2"]);
        let Verb::Rm(rm) = cli.verb else { panic!("not rm") };
        assert_eq!((rm.place.node.as_ref().map(Name::as_str), rm.volumes), (Some("ctl2"), false));
        assert!(Cli::try_parse_from(["octo", "node", "drain"]).is_err(), "which one?");
    }

    #[test]
    fn a_command_may_have_options_of_its_own() {
        let cli = Cli::parse_from(["octo", "exec", "keystone", "--", "ls", "-l"]);
        let Verb::Exec(exec) = cli.verb else { panic!("not exec") };
        assert_eq!(exec.command, ["ls", "-l"]);
    }
}
