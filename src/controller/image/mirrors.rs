//! The distributions' mirrors, as files for the `transport/` directory: recipes have apt and dnf
//! read them there, so that no address of a mirror, nor a password in it, is in any image.

use super::apt_sources::{self, AptSource};
use super::host::Host;
use crate::model::base::APT_RETRIES;
use crate::model::settings::Build;

/// Where recipes mount the directory.
const MOUNTED: &str = "/run/transport";

/// CentOS Stream's repositories: the id in its own files, and the directory on a mirror.
const REPOSITORIES: [(&str, &str); 5] = [
    ("baseos", "10-stream/BaseOS/$basearch/os/"),
    ("appstream", "10-stream/AppStream/$basearch/os/"),
    ("crb", "10-stream/CRB/$basearch/os/"),
    ("highavailability", "10-stream/HighAvailability/$basearch/os/"),
    ("extras-common", "SIGs/10-stream/extras/$basearch/extras-common/"),
];

/// Settings of apt: `apt.conf` for every base, and `apt-bootstrap.conf` for those that octo makes,
/// whose own list of sources nobody has chosen.
pub fn apt_files(build: &Build, host: &Host) -> Vec<(&'static str, String)> {
    let authorities = format!("Acquire::https::CAInfo \"{MOUNTED}/ca.pem\";\n{APT_RETRIES};\n");
    let named = apt_sources::of_settings(build);
    if named.is_empty() {
        let sources = apt_sources::for_builds(build, host);
        let bootstrap = if sources.is_empty() { String::new() } else { reads("host.list") };
        vec![("apt.conf", authorities), ("apt-bootstrap.conf", bootstrap), ("host.list", list(&sources))]
    } else {
        let conf = authorities + &reads("mirror.list");
        vec![("apt.conf", conf), ("apt-bootstrap.conf", String::new()), ("mirror.list", list(&named))]
    }
}

/// Has apt read one list alone.
fn reads(list: &str) -> String {
    format!("Dir::Etc::sourcelist \"{MOUNTED}/{list}\";\nDir::Etc::sourceparts \"/dev/null\";\n")
}

/// The base brings the distribution's keys in the place where apt looks for them.
fn list(sources: &[AptSource]) -> String {
    apt_sources::list(sources, None)
}

/// A script for sed that gives the distribution's repositories the mirror's address. All else in
/// their files stays: keys, and which of them are switched on.
pub fn repositories_script(build: &Build) -> String {
    let Some(mirror) = &build.dnf_mirror else { return String::new() };
    let mirror = mirror.trim_end_matches('/').replace('\\', r"\\");
    let mut script = String::new();
    for (id, directory) in REPOSITORIES {
        script.push_str(&format!(
            "/^\\[{id}\\]/,/^\\[/{{\n/^\\(metalink\\|mirrorlist\\|baseurl\\) *=/d\n}}\n\
             /^\\[{id}\\]/a baseurl={mirror}/{directory}\n"
        ));
    }
    script
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a script is tried with its real program")]
mod tests {
    use super::super::host::tests::host;
    use super::*;

    fn file(files: &[(&str, String)], name: &str) -> String {
        files.iter().find(|(found, _)| *found == name).map(|(_, text)| text.clone()).unwrap_or_default()
    }

    #[test]
    fn a_mirror_of_the_settings_is_for_every_base_and_the_hosts_for_octos_own() {
        let debian = ("/etc/os-release", "ID=debian\nVERSION_CODENAME=bookworm\n");
        let sources = ("/etc/apt/sources.list", "deb http://u:secret@h/debian bookworm main\n");
        let (host, _guard) = host(&[], &[debian, sources]);
        let files = apt_files(&Build::default(), &host);
        assert_eq!(file(&files, "host.list"), "deb http://u:secret@h/debian trixie main\n");
        assert!(file(&files, "apt-bootstrap.conf").contains("sourcelist \"/run/transport/host.list\""));
        assert_eq!(
            file(&files, "apt.conf"),
            "Acquire::https::CAInfo \"/run/transport/ca.pem\";\nAcquire::Retries \"6\";\n"
        );

        let security = Some("http://m/security".to_owned());
        let build =
            Build { apt_mirror: Some("http://m/debian".to_owned()), apt_security_mirror: security, ..Build::default() };
        let files = apt_files(&build, &host);
        assert_eq!(
            file(&files, "mirror.list"),
            "deb http://m/debian trixie main\ndeb http://m/security trixie-security main\n"
        );
        assert!(file(&files, "apt.conf").contains("sourcelist \"/run/transport/mirror.list\""));
        assert_eq!(file(&files, "apt-bootstrap.conf"), "");
    }

    #[test]
    fn only_the_addresses_of_the_distributions_repositories_change() {
        let build = Build { dnf_mirror: Some("http://u:pass@m/centos/".to_owned()), ..Build::default() };
        let directory = tempfile::tempdir().unwrap();
        let (script, repositories) = (directory.path().join("script"), directory.path().join("centos.repo"));
        std::fs::write(&script, repositories_script(&build)).unwrap();
        std::fs::write(
            &repositories,
            "# CentOS\n[baseos]\nname=BaseOS\nmetalink=https://x/?repo=a\nenabled=1\n\n[baseos-debug]\n\
             metalink=https://x/debug\n\n[crb]\nbaseurl = http://x/crb\nenabled=0\ngpgkey=file:///k\n[own]\nbaseurl=http://o/\n",
        )
        .unwrap();
        let edited = std::process::Command::new("sed").arg("-f").arg(&script).arg(&repositories).output().unwrap();
        assert_eq!(
            String::from_utf8(edited.stdout).unwrap(),
            "# CentOS\n[baseos]\nbaseurl=http://u:pass@m/centos/10-stream/BaseOS/$basearch/os/\nname=BaseOS\n\
             enabled=1\n\n[baseos-debug]\nmetalink=https://x/debug\n\n[crb]\n\
             baseurl=http://u:pass@m/centos/10-stream/CRB/$basearch/os/\nenabled=0\ngpgkey=file:///k\n[own]\n\
             baseurl=http://o/\n"
        );
        assert_eq!(repositories_script(&Build::default()), "");
    }
}
