//! Debian package sources: the host's own, read to use the same mirror for the suite of the images.

use super::host::Host;
use crate::model::base::BOOTSTRAP;
use crate::model::settings::Build;

/// A source of Debian packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AptSource {
    /// The mirror's address.
    pub uri: String,
    /// The suite (`trixie`, `trixie-security`).
    pub suite: String,
}

impl AptSource {
    /// As a line of sources.list, trusted by a keyring where the host has it in a place of its own.
    pub fn line(&self, keyring: Option<&str>) -> String {
        let options = keyring.map(|path| format!("[signed-by={path}] ")).unwrap_or_default();
        format!("deb {options}{} {} main", self.uri, self.suite)
    }
}

/// Where builds on a base that octo makes find packages: the settings' mirror, else the host's.
pub fn for_builds(build: &Build, host: &Host) -> Vec<AptSource> {
    let named = of_settings(build);
    if named.is_empty() { of_host(host, BOOTSTRAP.suite) } else { named }
}

/// The mirrors that the settings name.
pub fn of_settings(build: &Build) -> Vec<AptSource> {
    let Some(mirror) = &build.apt_mirror else { return Vec::new() };
    let source = |uri: &String, rest: &str| AptSource { uri: uri.clone(), suite: format!("{}{rest}", BOOTSTRAP.suite) };
    let security = build.apt_security_mirror.as_ref().map(|uri| source(uri, "-security"));
    std::iter::once(source(mirror, "")).chain(security).collect()
}

/// The text of a sources.list.
pub fn list(sources: &[AptSource], keyring: Option<&str>) -> String {
    sources.iter().map(|source| source.line(keyring) + "\n").collect()
}

/// The host's mirrors of Debian itself, for another suite. Empty on hosts that are not Debian.
pub fn of_host(host: &Host, suite: &str) -> Vec<AptSource> {
    if host.os_release("ID").as_deref() != Some("debian") {
        return Vec::new();
    }
    let Some(own) = host.os_release("VERSION_CODENAME") else { return Vec::new() };
    let lists = host.files("/etc/apt/sources.list.d", "list");
    let stanzas = host.files("/etc/apt/sources.list.d", "sources");
    let one_line = std::iter::once("/etc/apt/sources.list".to_owned())
        .chain(lists)
        .filter_map(|path| host.text(&path))
        .flat_map(|text| text.lines().filter_map(parse_line).collect::<Vec<_>>());
    let deb822 = stanzas.iter().filter_map(|path| host.text(path)).flat_map(|text| parse_stanzas(&text));
    let mut found = Vec::new();
    for entry in one_line.chain(deb822).filter(Entry::is_debian) {
        for (uri, known) in entry.uris.iter().flat_map(|uri| entry.suites.iter().map(move |suite| (uri, suite))) {
            // Of the host's own suite only what every suite has beside it; backports are a choice.
            let rest = known.strip_prefix(own.as_str()).filter(|rest| ["", "-updates", "-security"].contains(rest));
            let Some(rest) = rest else { continue };
            let source = AptSource { uri: uri.clone(), suite: format!("{suite}{rest}") };
            if !found.contains(&source) {
                found.push(source);
            }
        }
    }
    // Updates without what they update are of no use.
    if found.iter().any(|source| source.suite == suite) { found } else { Vec::new() }
}

/// One entry of the host's sources.
#[derive(Debug, Default, PartialEq)]
struct Entry {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: String,
}

impl Entry {
    /// Whether it is the distribution, and not some project that names its suite alike.
    fn is_debian(&self) -> bool {
        let path_fits = |uri: &String| {
            let last = uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            last == "debian" || last == "debian-security"
        };
        let reached = |uri: &String| uri.starts_with("http://") || uri.starts_with("https://");
        self.components.iter().any(|component| component == "main")
            && self.uris.iter().all(reached)
            && (self.signed_by.contains("debian-archive-keyring") || self.uris.iter().all(path_fits))
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// `deb [options] uri suite component…`
fn parse_line(line: &str) -> Option<Entry> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let rest = line.strip_prefix("deb")?.strip_prefix(char::is_whitespace)?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = words(rest).into_iter();
    Some(Entry {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            .unwrap_or_default()
            .to_owned(),
    })
}

/// Stanzas of `Key: value`, with continued lines.
fn parse_stanzas(text: &str) -> Vec<Entry> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).filter(|stanza| !stanza.is_empty()).filter_map(parse_stanza).collect()
}

fn parse_stanza(lines: &[&str]) -> Option<Entry> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.starts_with(char::is_whitespace) {
            let (_, value) = fields.last_mut()?;
            value.push(' ');
            value.push_str(line.trim());
        } else {
            let (key, value) = line.split_once(':')?;
            fields.push((key.trim().to_lowercase(), value.trim().to_owned()));
        }
    }
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    if field("enabled").eq_ignore_ascii_case("no") || !words(field("types")).iter().any(|kind| kind == "deb") {
        return None;
    }
    Some(Entry {
        uris: words(field("uris")),
        suites: words(field("suites")),
        components: words(field("components")),
        signed_by: field("signed-by").to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::host::tests::host;
    use super::*;

    const BOOKWORM: (&str, &str) = ("/etc/os-release", "ID=debian\nVERSION_CODENAME=\"bookworm\"\n");

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let (host, _guard) = host(&[], files);
        of_host(&host, "trixie").iter().map(|source| source.line(None)).collect()
    }

    #[test]
    fn stanzas_of_the_distribution_are_translated() {
        let debian = "# a comment\nTypes: deb deb-src\nURIs: http://m.example/debian/\nSuites: bookworm\n bookworm-updates bookworm-backports\n\
                      Components: main contrib\n\nTypes: deb\nURIs: http://m.example/debian-security\n\
                      # another\nSuites: bookworm-security\nComponents: main\n";
        let others = "Types: deb\nURIs: https://apt.example\nSuites: bookworm\nComponents: main\n\n\
                      Types: deb\nURIs: https://x.example/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n";
        let files = [
            BOOKWORM,
            ("/etc/apt/sources.list.d/debian.sources", debian),
            ("/etc/apt/sources.list.d/others.sources", others),
            ("/etc/apt/sources.list.d/docker.list", "deb https://d.example/linux/debian bookworm stable\n"),
        ];
        assert_eq!(
            found(&files),
            [
                "deb http://m.example/debian/ trixie main",
                "deb http://m.example/debian/ trixie-updates main",
                "deb http://m.example/debian-security trixie-security main",
            ]
        );
    }

    #[test]
    fn one_line_entries_are_translated() {
        let list = "deb-src http://a/debian bookworm main\n# deb http://b/debian bookworm main\n\
                    deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] https://c/mirror bookworm main # x\n";
        assert_eq!(found(&[BOOKWORM, ("/etc/apt/sources.list", list)]), ["deb https://c/mirror trixie main"]);
    }

    #[test]
    fn without_the_suite_itself_there_is_none() {
        let list = "deb http://a/debian-security bookworm-security main\ndeb file:/srv/debian bookworm main\n";
        assert!(found(&[BOOKWORM, ("/etc/apt/sources.list", list)]).is_empty());
        let ubuntu = ("/etc/os-release", "ID=ubuntu\nVERSION_CODENAME=noble\n");
        assert!(found(&[ubuntu, ("/etc/apt/sources.list", "deb http://a/debian noble main\n")]).is_empty());
    }

    #[test]
    fn a_keyring_of_the_host_is_named() {
        let source = AptSource { uri: "http://a/debian".to_owned(), suite: "trixie".to_owned() };
        assert_eq!(source.line(Some("/k.gpg")), "deb [signed-by=/k.gpg] http://a/debian trixie main");
    }
}
