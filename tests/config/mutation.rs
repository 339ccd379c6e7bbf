//! Whatever is given to the loader, it answers. It never panics, and never says nothing.

use std::fs;

use octo::controller::load::{Sources, load, yaml};
use proptest::prelude::*;

/// Pieces that YAML and octo's types are sensitive to.
const PIECES: &[&str] = &[
    ":",
    ": ",
    "- ",
    "\n",
    "\n  ",
    "{",
    "}",
    "[",
    "]",
    "*a",
    "&a ",
    "<<: *a",
    "~",
    "null",
    "true",
    "0",
    "-1",
    "4.5",
    "1e99",
    "65536",
    "99999999999999999999",
    "'",
    "\"",
    "|\n",
    ">\n",
    "#",
    "\t",
    "!!str ",
    "!x ",
    "---\n",
    "...\n",
    "%",
    "é",
    "\u{feff}",
    "\0",
    "? ",
    "mode: ",
    "port: ",
    "subnet: ",
    "10.0.0.0/8",
    "::1",
    "cloud: ",
    "0x10",
    "0o7",
    ".inf",
    ".nan",
    "_",
    "-",
];

/// Few by default, since each is a whole load; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

/// The test files: whether it is a catalog, and the text.
fn sources() -> Vec<(bool, String)> {
    let texts = ["tests/config/valid", "tests/config/invalid"].map(super::texts).concat();
    texts.into_iter().map(|(path, text)| (path.to_string_lossy().ends_with("services.yaml"), text)).collect()
}

/// Loads a text as one of the two files, and looks at the answer.
fn answer(is_catalog: bool, text: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mutant.yaml");
    fs::write(&path, text).unwrap();
    let (config, services) = if is_catalog { (super::EMPTY.into(), path) } else { (path, super::DEMO.into()) };
    match load(&Sources { config: Some(config), services: Some(services), ..Sources::default() }) {
        Ok(_) => {}
        Err(error) => {
            let detail = error.detail.unwrap_or_default();
            assert!(detail.contains("error: "), "{text}\n{}", error.message);
            // The structure check must leave nothing to the types, which know no places.
            assert!(!detail.contains(" at line ") && !detail.contains("invalid type"), "{text}\n{detail}");
            assert!(!detail.contains("invalid value") && !detail.contains("invalid length"), "{text}\n{detail}");
        }
    }
}

#[test]
fn depth_and_repetition_have_an_end() {
    for text in ["[".repeat(20_000), "a: ".repeat(20_000), "- ".repeat(20_000), "? ".repeat(20_000)] {
        answer(false, &text);
    }
    let nested = format!("config: {{a: {}1{}}}", "{b: ".repeat(1_900), "}".repeat(1_900));
    answer(false, &nested);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    answer(false, &bomb);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_parses_or_is_refused_in_its_place(text in ".{0,80}") {
        if let Err(error) = yaml::parse(&text) {
            prop_assert!(error.span.end <= text.len());
        }
        answer(false, &text);
    }

    #[test]
    fn any_mutation_of_a_file_is_answered(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, prop::sample::select(PIECES)), 1..4),
    ) {
        let all = sources();
        let (is_catalog, text) = which.get(&all);
        let mut characters: Vec<char> = text.chars().collect();
        for (at, length, piece) in edits {
            let start = at.index(characters.len() + 1);
            let end = (start + length).min(characters.len());
            characters.splice(start..end, piece.chars());
        }
        answer(*is_catalog, &characters.into_iter().collect::<String>());
    }

    #[test]
    fn any_value_in_any_place_is_answered(
        which in any::<prop::sample::Index>(),
        line in any::<prop::sample::Index>(),
        piece in prop::sample::select(PIECES),
    ) {
        let all = sources();
        let (is_catalog, text) = which.get(&all);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if !lines.is_empty() {
            let at = line.index(lines.len());
            if let Some((key, _)) = lines[at].split_once(": ") {
                lines[at] = format!("{key}: {piece}");
            }
        }
        answer(*is_catalog, &lines.join("\n"));
    }
}
