//! Problems as people see them: file, line, the text itself with a mark under the mistake, and the
//! repair.

use std::collections::BTreeSet;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::model::document::Documents;
use crate::model::plural::plural;
use crate::model::problem::{FileId, Problem};
use crate::model::tree::Span;

/// The width that diagnostics are laid out for: longer lines of YAML are cut around the mistake.
const WIDTH: usize = 120;

/// Shows problems, in the order of files and lines. Coloured if the documents say so.
pub fn render(documents: &Documents, problems: &[Problem]) -> String {
    let renderer = if documents.colored { Renderer::styled() } else { Renderer::plain() }.term_width(WIDTH);
    let shown: Vec<_> = sorted(documents, problems)
        .into_iter()
        .map(|(file, span, problem)| renderer.render(&[group(documents, file, span, problem)]))
        .collect();
    shown.join("\n\n")
}

/// One line: how many problems are in which files, and that they had no consequence.
pub fn summary(documents: &Documents, problems: &[Problem]) -> String {
    let shown = sorted(documents, problems);
    let files: BTreeSet<_> = shown.iter().map(|(file, ..)| *file).collect();
    let names: Vec<_> = files.into_iter().map(|file| documents.name(file)).collect();
    format!("{} in {}: nothing was changed", plural(shown.len(), "problem"), names.join(", "))
}

fn sorted<'a>(documents: &Documents, problems: &'a [Problem]) -> Vec<(FileId, Span, &'a Problem)> {
    let located = problems.iter().map(|problem| (problem.place.file, documents.locate(&problem.place), problem));
    let mut located: Vec<_> = located.collect();
    located.sort_by(|(a_file, a_span, a), (b_file, b_span, b)| {
        (a_file, a_span.start, &a.message, &a.help).cmp(&(b_file, b_span.start, &b.message, &b.help))
    });
    // What came through an alias may be found wrong in every place where it is used.
    located.dedup_by(|(a_file, a_span, a), (b_file, b_span, b)| {
        (a_file, a_span, &a.message, &a.help) == (b_file, b_span, &b.message, &b.help)
    });
    located
}

fn group<'a>(documents: &'a Documents, file: FileId, span: Span, problem: &'a Problem) -> Group<'a> {
    let title = Level::ERROR.primary_title(&problem.message);
    let help = problem.help.iter().map(|help| Level::HELP.message(help));
    match documents.get(file) {
        Some(document) => {
            let annotation = AnnotationKind::Primary.span(visible(&document.text, span));
            let snippet = Snippet::source(&document.text).path(&document.name).annotation(annotation);
            title.element(snippet).elements(help)
        }
        None => title.elements(help),
    }
}

/// The part of a span on its first line, within the text and on character boundaries.
fn visible(text: &str, span: Span) -> Span {
    let start = boundary(text, span.start);
    let end = boundary(text, span.end.max(start));
    let line = text[start..end].find('\n').map_or(end, |length| start + length);
    start..line
}

fn boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::document::Document;
    use crate::model::problem::Place;
    use crate::model::tree::{Content, Entry, Node};

    fn documents() -> Documents {
        let text = "näme: x\nports: [1]\n".to_owned();
        let entry =
            |key: &str, key_span, content, span| Entry { key: key.to_owned(), key_span, value: Node { content, span } };
        let entries = vec![
            entry("näme", 0..5, Content::Text("x".to_owned()), 7..8),
            entry("ports", 9..14, Content::Sequence(Vec::new()), 16..17),
        ];
        let root = Node { content: Content::Mapping(entries), span: 0..0 };
        let mut documents = Documents::default();
        documents.push(Document { name: "a.yaml".to_owned(), text, root });
        documents
    }

    #[test]
    fn sorts_by_place_and_shows_the_nearest_parent() {
        let at = |path: &[&str], message: &str| {
            let path = path.iter().map(|key| (*key).into()).collect();
            Problem::new(Place { path, ..Place::value(FileId(0), []) }, message)
        };
        let problems =
            [at(&["ports", "missing"], "third"), at(&["näme"], "second"), at(&["absent"], "first").with_help("add it")];
        insta::assert_snapshot!(render(&documents(), &problems), @r"
        error: first
         --> a.yaml:1:1
          |
        1 | näme: x
          | ^^^^
          |
          = help: add it

        error: second
         --> a.yaml:1:7
          |
        1 | näme: x
          |       ^

        error: third
         --> a.yaml:2:1
          |
        2 | ports: [1]
          | ^^^^^
        ");
        assert_eq!(summary(&documents(), &problems), "3 problems in a.yaml: nothing was changed");
    }

    #[test]
    fn says_one_thing_once() {
        let problem = Problem::new(Place::value(FileId(0), ["näme".into()]), "wrong");
        assert_eq!(summary(&documents(), &[problem.clone(), problem]), "1 problem in a.yaml: nothing was changed");
    }

    #[test]
    fn marks_only_what_is_in_the_text() {
        assert_eq!(visible("aé\nb", 2..4), 1..3);
        assert_eq!(visible("a", 5..9), 1..1);
    }
}
