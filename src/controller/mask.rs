//! Keeps secrets out of what people see: foreign text (logs, answers of servers, what builds say)
//! passes here before it is shown or becomes part of an error.

use crate::error::Error;
use crate::model::secret::Secrets;

/// What stands for a secret.
const STARS: &str = "***";

/// Shorter values are not replaced: they would be found in innocent words.
const SHORTEST: usize = 4;

/// The values to replace. Whatever stands in an address where a password does is replaced too,
/// known or not.
#[derive(Clone, Default)]
pub struct Mask {
    values: Vec<String>,
}

impl Mask {
    /// A mask for the secrets of a cloud, those that were rotated a moment ago included.
    pub fn for_secrets(secrets: &Secrets) -> Self {
        Self::of(secrets.texts().map(str::to_owned).collect())
    }

    /// A mask for what addresses (of mirrors, proxies, package indexes) hold before their host.
    pub fn for_addresses<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Self {
        let mut values: Vec<String> = Vec::new();
        for address in addresses {
            let Some((start, end)) = credentials(address, 0) else { continue };
            let both = &address[start..end];
            values.push(both.to_owned());
            values.extend(both.split_once(':').map(|(_, password)| password.to_owned()));
        }
        Self::of(values)
    }

    fn of(mut values: Vec<String>) -> Self {
        values.retain(|value| value.len() >= SHORTEST);
        // Longer ones first, in case one contains another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
        Self { values }
    }

    /// A text without secrets.
    pub fn hide(&self, text: &str) -> String {
        let mut hidden = self.values.iter().fold(text.to_owned(), |text, value| text.replace(value, STARS));
        let mut from = 0;
        while let Some((start, end)) = credentials(&hidden, from) {
            hidden.replace_range(start..end, STARS);
            from = start + STARS.len();
        }
        hidden
    }

    /// An error without secrets.
    pub fn error(&self, error: Error) -> Error {
        let all = |texts: Vec<String>| texts.iter().map(|text| self.hide(text)).collect();
        Error {
            kind: error.kind,
            message: self.hide(&error.message),
            causes: all(error.causes),
            hints: all(error.hints),
            detail: error.detail.map(|detail| self.hide(&detail)),
        }
    }
}

/// Where the next address with credentials has them, from an offset on.
fn credentials(text: &str, mut from: usize) -> Option<(usize, usize)> {
    loop {
        let start = from + text.get(from..)?.find("://")? + "://".len();
        let rest = &text[start..];
        let authority = &rest[..rest.find(|c: char| c.is_whitespace() || "/\"'<>?#".contains(c)).unwrap_or(rest.len())];
        match authority.rfind('@') {
            Some(at) => return Some((start, start + at)),
            None => from = start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn every_secret_is_replaced_everywhere_in_an_error() {
        let mut secrets = Secrets::default();
        secrets.insert("a.a", "abcdefgh".to_owned().into());
        secrets.insert("a.b", "abcdefghij".to_owned().into());
        secrets.insert("a.c", "".to_owned().into());
        secrets.retire("abcdabcd".to_owned().into());
        let mask = Mask::for_secrets(&secrets);
        let error = Error::new(ErrorKind::Operation, "password abcdefghij of x")
            .because_text("abcdefgh")
            .hint("use abcdefgh, not abcdabcd")
            .detail("line abcdefgh\nmysql://x:unknown@y");
        let masked = format!("{:?}", mask.error(error));
        assert!(masked.contains("password *** of x") && masked.contains("mysql://***@y"), "{masked}");
        assert!(!masked.contains("abcd") && !masked.contains("unknown"), "{masked}");
    }

    #[test]
    fn passwords_in_addresses_are_hidden() {
        let mask = Mask::default();
        for (text, hidden) in [
            ("get https://me:pa@ss@host/simple/ and http://b/c", "get https://***@host/simple/ and http://b/c"),
            ("http://a/@b https://x@h http://y:z@i", "http://a/@b https://***@h http://***@i"),
            ("no address, me@example.org", "no address, me@example.org"),
            ("://", "://"),
        ] {
            assert_eq!(mask.hide(text), hidden);
        }
    }

    #[test]
    fn known_secrets_are_hidden_wherever_they_stand() {
        let mask = Mask::for_addresses(["https://user:s3cr3t-word@host/simple", "http://proxy:3128"]);
        assert_eq!(mask.hide("word s3cr3t-word of user"), "word *** of user");
        assert_eq!(mask.hide("user:s3cr3t-word"), "***");
        assert_eq!(mask.hide("proxy:3128"), "proxy:3128");
        assert_eq!(Mask::for_addresses(["https://a-token@host"]).hide("is a-token"), "is ***");
    }
}
