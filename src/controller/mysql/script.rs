//! Scripts of SQL: files of many statements, which are sent one by one. Of a script that is sent whole
//! the server would go on with the rest when octo has been killed.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::prelude::Queryable;

use super::{ANSWER_TIME, Database, close, quoted, within};
use crate::error::Error;
use crate::model::name::Name;

/// The collation of the database in use, if nothing is in that.
const COLLATION_IF_EMPTY: &str = "SELECT @@collation_database FROM DUAL \
     WHERE NOT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE())";

impl Database {
    /// The same server for the user of a service, who has no right to anything but its databases.
    pub fn login_as(&self, service: &Name, password: &str) -> Self {
        Self { user: service.to_string(), password: password.to_owned(), ..self.clone() }
    }

    /// Those of some databases that hold nothing at all, with their collations.
    pub async fn empty(&self, databases: &BTreeSet<Name>) -> Result<BTreeMap<Name, String>, Error> {
        let mut connection = self.connect_patiently().await?;
        let mut empty = BTreeMap::new();
        for name in databases {
            let action = format!("cannot look into database {name}");
            self.run(&mut connection, &action, &format!("USE {}", quoted(name.as_str()))).await?;
            let answer: Result<Option<String>, _> =
                within(ANSWER_TIME, connection.query_first(COLLATION_IF_EMPTY)).await;
            let collation = answer.map_err(|error| self.explain(&action, &error))?;
            empty.extend(collation.map(|collation| (name.clone(), collation)));
        }
        close(connection).await;
        Ok(empty)
    }

    /// Executes a script in a database. `action` is what failed if one of its statements does.
    pub async fn execute(&self, action: &str, database: &Name, script: &str) -> Result<(), Error> {
        let mut connection = self.connect_patiently().await?;
        self.run(&mut connection, action, &format!("USE {}", quoted(database.as_str()))).await?;
        for (index, statement) in statements(script).into_iter().enumerate() {
            self.run(&mut connection, &format!("{action}: statement {}", index + 1), statement).await?;
        }
        close(connection).await;
        Ok(())
    }
}

/// The statements of a snapshot, if it is for databases of this collation: its first line says so.
pub fn for_collation<'a>(snapshot: &'a str, collation: &str) -> Option<&'a str> {
    snapshot.strip_prefix("-- ")?.strip_prefix(collation)?.strip_prefix('\n')
}

/// The statements of a script. A semicolon in quotes or in a comment ends none.
fn statements(script: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let (mut start, mut at) = (0, 0);
    // Whether there is more than comments: the server takes none for a statement.
    let mut says_something = false;
    while at < script.len() {
        let piece = &script[at..at + piece_length(&script[at..])];
        if piece == ";" {
            if says_something {
                statements.push(script[start..at].trim());
            }
            start = at + 1;
            says_something = false;
        } else {
            says_something |= !is_blank(piece);
        }
        at += piece.len();
    }
    if says_something {
        statements.push(script[start..].trim());
    }
    statements
}

/// How long what a text begins with is, in bytes: a comment, a text in quotes, or one character.
fn piece_length(text: &str) -> usize {
    let up_to =
        |opening: usize, end: &str| text[opening..].find(end).map_or(text.len(), |found| opening + found + end.len());
    match text.as_bytes() {
        [b'/', b'*', ..] => up_to(2, "*/"),
        [b'#', ..] => up_to(1, "\n"),
        [b'-', b'-', b' ' | b'\t' | b'\r' | b'\n', ..] => up_to(2, "\n"),
        [quote @ (b'\'' | b'"' | b'`'), ..] => quoted_length(text, *quote),
        _ => text.chars().next().map_or(1, char::len_utf8),
    }
}

/// The same for a text in quotes. A quote within that is written twice counts as two texts.
fn quoted_length(text: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            // In names it stands for itself.
            b'\\' if quote != b'`' => escaped = true,
            _ if byte == quote => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether the server does nothing for a piece. What is in `/*!` or `/*M!` and `*/` it executes.
fn is_blank(piece: &str) -> bool {
    let comment = piece.starts_with('#') || piece.starts_with("--") || piece.starts_with("/*");
    let executed = piece.starts_with("/*!") || piece.starts_with("/*M!");
    piece.trim().is_empty() || (comment && !executed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_falls_into_its_statements() {
        let script = r#"-- a; comment
/*M!999999\- enable the sandbox mode */
/*!40014 SET @OLD=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
CREATE TABLE `a;b` (c TEXT COMMENT "d;\";e"); # f;
INSERT INTO `a;b` VALUES ('it''s;','\\'),
 ('/*;',0x3b); /* g; */ ;;
SELECT 1--2;SELECT 'é;'"#;
        let expected = [
            "-- a; comment\n/*M!999999\\- enable the sandbox mode */\n/*!40014 SET @OLD=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */",
            r#"CREATE TABLE `a;b` (c TEXT COMMENT "d;\";e")"#,
            "# f;\nINSERT INTO `a;b` VALUES ('it''s;','\\\\'),\n ('/*;',0x3b)",
            "SELECT 1--2",
            "SELECT 'é;'",
        ];
        assert_eq!(statements(script), expected);
        for nothing in ["", " ;\n", "-- only this", "/* and this */;\n#\n"] {
            assert_eq!(statements(nothing), Vec::<&str>::new(), "{nothing}");
        }
    }

    #[test]
    fn what_does_not_end_is_one_statement() {
        for open in ["SELECT 'a;", "SELECT `a;", "SELECT 1 /* a;", "SELECT 1 -- a;", "SELECT 'a\\';"] {
            assert_eq!(statements(open), [open]);
        }
    }

    #[test]
    fn a_snapshot_is_for_one_collation() {
        let snapshot = "-- utf8mb4_general_ci\nSELECT 1;\n";
        assert_eq!(for_collation(snapshot, "utf8mb4_general_ci"), Some("SELECT 1;\n"));
        for other in ["utf8mb4_general", "utf8mb4_uca1400_ai_ci", ""] {
            assert_eq!(for_collation(snapshot, other), None, "{other}");
        }
    }
}
