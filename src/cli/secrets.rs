//! `octo secrets` on the command line.

use clap::{Args, Subcommand};

use super::{NoArgs, OneNode};

/// `octo secrets`.
#[derive(Clone, Debug, Subcommand)]
pub enum SecretsVerb {
    /// Show every secret without its value: when it changed, and whether it can be rotated
    List(NoArgs),
    /// Give keys that take turns their next turn, node by node, so that no request fails
    Rotate(RotateArgs),
    /// Use the secrets of another node's copy, where those here are lost or older
    Restore(OneNode),
}

/// `octo secrets rotate`.
#[derive(Clone, Debug, Default, Args)]
pub struct RotateArgs {
    /// The keys, as `octo secrets list` names them; all that can be rotated without it
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Verb};

    #[test]
    fn one_ring_is_rotated_or_all() {
        let rotated = |arguments: &[&str]| match Cli::parse_from(arguments).verb {
            Verb::Secrets(SecretsVerb::Rotate(args)) => args.name,
            verb => panic!("{verb:?} is not it"),
        };
        assert_eq!(rotated(&["octo", "secrets", "rotate"]), None);
        assert_eq!(rotated(&["octo", "secrets", "rotate", "id.keys", "--yes"]).as_deref(), Some("id.keys"));
        assert!(Cli::try_parse_from(["octo", "secrets"]).is_err());
    }
}
