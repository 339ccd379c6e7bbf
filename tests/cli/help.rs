//! The help, whole: a change of it is a change of what people rely on.

use super::environment::Environment;

/// The verbs, as the help lists them; `man` is there and not listed.
const VERBS: [&str; 21] = [
    "up",
    "build",
    "run",
    "init",
    "stop",
    "start",
    "rm",
    "node",
    "plan",
    "status",
    "logs",
    "doctor",
    "openrc",
    "exec",
    "demo",
    "verify",
    "secrets",
    "config",
    "new",
    "completions",
    "man",
];

#[test]
fn octo() {
    let ran = Environment::new().octo(&["--help"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn every_verb() {
    let environment = Environment::new();
    let mut text = String::new();
    for verb in VERBS {
        let ran = environment.octo(&[verb, "--help"]);
        assert_eq!(ran.code, 0, "{verb}: {}", ran.stderr);
        // The global options are the same everywhere.
        let own = ran.stdout.split("\nGlobal options:").next().unwrap_or_default();
        text.push_str(&format!("$ octo {verb} --help\n{}\n", own.trim_end()));
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_verb_of_nodes() {
    let environment = Environment::new();
    let mut text = String::new();
    for verb in ["list", "drain", "ready", "add", "remove"] {
        let ran = environment.octo(&["node", verb, "--help"]);
        assert_eq!(ran.code, 0, "{verb}: {}", ran.stderr);
        let own = ran.stdout.split("\nGlobal options:").next().unwrap_or_default();
        text.push_str(&format!("$ octo node {verb} --help\n{}\n\n", own.trim_end()));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_verb_that_does_not_exist() {
    let ran = Environment::new().octo(&["sttus"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    insta::assert_snapshot!(ran.stderr, @r"
    error: unrecognized subcommand 'sttus'

      tip: a similar subcommand exists: 'status'

    Usage: octo [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn completions_exist_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = Environment::new().octo(&["completions", shell]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stdout.contains("octo") && ran.stdout.contains("openrc"), "{shell}");
    }
}

#[test]
fn manual_pages_exist_for_every_verb() {
    let environment = Environment::new();
    let ran = environment.octo(&["man", "pages"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for verb in VERBS.iter().filter(|verb| **verb != "man") {
        let page = std::fs::read_to_string(environment.path().join(format!("pages/octo-{verb}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{verb}");
    }
    let ran = environment.octo(&["man"]);
    assert!(ran.code == 0 && ran.stdout.contains(".TH octo 1"), "{}", ran.stdout);
}
