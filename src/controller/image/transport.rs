//! What carries packages to a build: certificates, proxies and package indexes, from the settings
//! or from the host. Recipes read it through bind mounts of the context, so that nothing of it is
//! in an image, its history or its tag.

use std::collections::BTreeMap;

use super::host::Host;
use super::{apt_sources, mirrors};
use crate::controller::mask::Mask;
use crate::error::{Error, ErrorKind};
use crate::model::base::BOOTSTRAP;
use crate::model::settings::Build;

/// Where distributions keep the authorities that they trust.
const CA_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Files for the `transport/` directory of build contexts, and what must not be shown of them.
#[derive(Clone, Default)]
pub struct Transport {
    /// Content by file name: `ca.pem`, `environment`, `pip.conf`, `uv.toml`, `repositories.sed`, and
    /// `apt.conf`, `apt-bootstrap.conf` with the lists that they name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Proxies, as environment variables.
    pub proxies: Vec<(String, String)>,
    /// Hides the secrets in them.
    pub mask: Mask,
}

impl Transport {
    /// Takes what the settings say, and from the host what they leave open.
    pub fn gather(build: &Build, host: &Host) -> Result<Self, Error> {
        let index = PackageIndex::gather(build, host);
        let proxies = proxies(build, host);
        let addresses = index
            .addresses()
            .chain(proxies.iter().map(|(_, value)| value.as_str()))
            .chain(build.apt_mirror.as_deref())
            .chain(build.apt_security_mirror.as_deref())
            .chain(build.dnf_mirror.as_deref());
        let own = apt_sources::of_host(host, BOOTSTRAP.suite);
        let mask = Mask::for_addresses(addresses.chain(own.iter().map(|source| source.uri.as_str())));
        let texts = [
            ("environment", environment(&proxies)),
            ("pip.conf", index.pip_conf()),
            ("uv.toml", index.uv_toml()),
            ("repositories.sed", mirrors::repositories_script(build)),
        ];
        let texts = texts.into_iter().chain(mirrors::apt_files(build, host));
        let mut files: BTreeMap<_, _> = texts.map(|(name, text)| (name.to_owned(), text.into_bytes())).collect();
        files.insert("ca.pem".to_owned(), authorities(build, host)?);
        Ok(Self { files, proxies, mask })
    }
}

fn authorities(build: &Build, host: &Host) -> Result<Vec<u8>, Error> {
    if let Some(path) = &build.ca_bundle {
        return host.read(path).ok_or_else(|| {
            Error::new(ErrorKind::Config, format!("cannot read build.ca_bundle {path}"))
                .hint("set build.ca_bundle in configuration.yaml to a readable file of PEM certificates")
        });
    }
    let named = host.variable("SSL_CERT_FILE");
    named.into_iter().chain(CA_BUNDLES).find_map(|path| host.read(path)).ok_or_else(|| {
        Error::new(ErrorKind::Environment, "this host has no bundle of certificate authorities for builds")
            .hint(host.install_command("ca-certificates", "ca-certificates"))
            .hint("or set build.ca_bundle in configuration.yaml")
    })
}

fn proxies(build: &Build, host: &Host) -> Vec<(String, String)> {
    let mut proxies = Vec::new();
    for (setting, lower) in
        [(&build.http_proxy, "http_proxy"), (&build.https_proxy, "https_proxy"), (&build.no_proxy, "no_proxy")]
    {
        let upper = lower.to_uppercase();
        let value = setting.as_deref().or_else(|| host.variable(&upper)).or_else(|| host.variable(lower));
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            proxies.push((lower.to_owned(), value.to_owned()));
            proxies.push((upper, value.to_owned()));
        }
    }
    proxies
}

/// A shell script that recipes source.
fn environment(proxies: &[(String, String)]) -> String {
    let mut script = String::new();
    for (name, value) in proxies {
        script.push_str(&format!("export {name}='{}'\n", value.replace('\'', r"'\''")));
    }
    // The defaults give up on a slow mirror after 30 seconds, and on one that is away after three tries.
    script.push_str("export UV_HTTP_TIMEOUT=180 UV_HTTP_RETRIES=8 PIP_TIMEOUT=60 PIP_RETRIES=8 PIP_RESUME_RETRIES=8\n");
    script
}

/// Where Python packages come from, beyond the tools' own default.
#[derive(Debug, Default, PartialEq)]
struct PackageIndex {
    index: Option<String>,
    extra: Vec<String>,
    trusted_hosts: Vec<String>,
}

impl PackageIndex {
    fn gather(build: &Build, host: &Host) -> Self {
        let configured = pip_configuration(host);
        let words = |key: &str| -> Vec<String> {
            configured.get(key).into_iter().flat_map(|value| value.split_whitespace()).map(str::to_owned).collect()
        };
        match &build.pip_index {
            Some(index) => Self { index: Some(index.clone()), extra: Vec::new(), trusted_hosts: words("trusted-host") },
            None => Self {
                index: configured.get("index-url").cloned(),
                extra: words("extra-index-url"),
                trusted_hosts: words("trusted-host"),
            },
        }
    }

    fn addresses(&self) -> impl Iterator<Item = &str> {
        self.index.iter().chain(&self.extra).map(String::as_str)
    }

    fn pip_conf(&self) -> String {
        let mut text = "[global]\n".to_owned();
        let several = |words: &[String]| (!words.is_empty()).then(|| words.join("\n    "));
        for (key, value) in [
            ("index-url", self.index.clone()),
            ("extra-index-url", several(&self.extra)),
            ("trusted-host", several(&self.trusted_hosts)),
        ] {
            if let Some(value) = value {
                text.push_str(&format!("{key} = {value}\n"));
            }
        }
        text
    }

    fn uv_toml(&self) -> String {
        let mut text = String::new();
        if !self.trusted_hosts.is_empty() {
            let hosts: Vec<_> = self.trusted_hosts.iter().map(|host| toml_string(host)).collect();
            text.push_str(&format!("allow-insecure-host = [{}]\n", hosts.join(", ")));
        }
        for extra in &self.extra {
            text.push_str(&format!("[[index]]\nurl = {}\n", toml_string(extra)));
        }
        if let Some(index) = &self.index {
            text.push_str(&format!("[[index]]\nurl = {}\ndefault = true\n", toml_string(index)));
        }
        text
    }
}

/// A TOML basic string; JSON's escapes are a subset of TOML's.
fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// pip's options from its files and variables, later ones over earlier ones as pip itself does it.
fn pip_configuration(host: &Host) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    let home = host.variable("HOME").unwrap_or("/root");
    let mut files = vec!["/etc/xdg/pip/pip.conf".to_owned(), "/etc/pip.conf".to_owned()];
    files.push(format!("{home}/.pip/pip.conf"));
    files.push(format!("{home}/.config/pip/pip.conf"));
    files.extend(host.variable("PIP_CONFIG_FILE").map(str::to_owned));
    for text in files.iter().filter_map(|path| host.text(path)) {
        options.extend(ini_options(&text));
    }
    for key in ["index-url", "extra-index-url", "trusted-host"] {
        let variable = format!("PIP_{}", key.to_uppercase().replace('-', "_"));
        if let Some(value) = host.variable(&variable) {
            options.insert(key.to_owned(), value.to_owned());
        }
    }
    options
}

/// The options of `[global]` and `[install]`, with continued lines joined.
fn ini_options(text: &str) -> BTreeMap<String, String> {
    let mut options: BTreeMap<String, String> = BTreeMap::new();
    let mut applies = false;
    let mut last: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if trimmed.starts_with('[') {
            applies = matches!(trimmed, "[global]" | "[install]");
            last = None;
        } else if line.starts_with(char::is_whitespace) {
            if let Some(value) = last.as_ref().and_then(|key| options.get_mut(key)) {
                value.push(' ');
                value.push_str(trimmed);
            }
        } else if let Some((key, value)) = trimmed.split_once(['=', ':']).filter(|_| applies) {
            let key = key.trim().replace('_', "-");
            options.insert(key.clone(), value.trim().to_owned());
            last = Some(key);
        } else {
            last = None;
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::super::host::tests::host;
    use super::*;

    const CA: (&str, &str) = ("/etc/ssl/certs/ca-certificates.crt", "debian");

    fn text(transport: &Transport, file: &str) -> String {
        String::from_utf8(transport.files[file].clone()).unwrap()
    }

    #[test]
    fn without_settings_the_host_decides() {
        let (host, _guard) = host(
            &[("HOME", "/h"), ("https_proxy", "http://p:1"), ("NO_PROXY", "it's"), ("SSL_CERT_FILE", "/x.pem")],
            &[
                CA,
                ("/x.pem", "mine"),
                (
                    "/etc/pip.conf",
                    "[global]\nindex-url = https://a/simple\ntrusted-host =\n    h1\n    h2\n[list]\nindex-url=no\n",
                ),
                ("/h/.config/pip/pip.conf", "# mine\n[install]\nextra_index_url: https://u:pass@b/simple\n"),
            ],
        );
        let transport = Transport::gather(&Build::default(), &host).unwrap();
        assert_eq!(text(&transport, "ca.pem"), "mine");
        assert_eq!(
            text(&transport, "environment"),
            "export https_proxy='http://p:1'\nexport HTTPS_PROXY='http://p:1'\n\
             export no_proxy='it'\\''s'\nexport NO_PROXY='it'\\''s'\nexport UV_HTTP_TIMEOUT=180 UV_HTTP_RETRIES=8 PIP_TIMEOUT=60 PIP_RETRIES=8 PIP_RESUME_RETRIES=8\n"
        );
        assert_eq!(
            text(&transport, "pip.conf"),
            "[global]\nindex-url = https://a/simple\nextra-index-url = https://u:pass@b/simple\n\
             trusted-host = h1\n    h2\n"
        );
        assert_eq!(
            text(&transport, "uv.toml"),
            "allow-insecure-host = [\"h1\", \"h2\"]\n[[index]]\nurl = \"https://u:pass@b/simple\"\n\
             [[index]]\nurl = \"https://a/simple\"\ndefault = true\n"
        );
        assert_eq!(transport.mask.hide("u:pass and pass"), "*** and ***");
    }

    #[test]
    fn settings_come_before_the_host() {
        let (host, _guard) = host(
            &[("HTTP_PROXY", "http://host:1"), ("PIP_INDEX_URL", "https://host/simple")],
            &[CA, ("/mine.pem", "mine")],
        );
        let build = Build {
            ca_bundle: Some("/mine.pem".to_owned()),
            http_proxy: Some("http://mine:2".to_owned()),
            pip_index: Some("https://mine/simple".to_owned()),
            ..Build::default()
        };
        let transport = Transport::gather(&build, &host).unwrap();
        assert_eq!(text(&transport, "ca.pem"), "mine");
        assert!(text(&transport, "environment").starts_with("export http_proxy='http://mine:2'\n"));
        assert_eq!(text(&transport, "pip.conf"), "[global]\nindex-url = https://mine/simple\n");
        assert_eq!(text(&transport, "uv.toml"), "[[index]]\nurl = \"https://mine/simple\"\ndefault = true\n");
    }

    #[test]
    fn without_anything_the_tools_keep_their_defaults() {
        let (host, _guard) = host(&[], &[CA]);
        let transport = Transport::gather(&Build::default(), &host).unwrap();
        assert_eq!((text(&transport, "pip.conf").as_str(), text(&transport, "uv.toml").as_str()), ("[global]\n", ""));
    }

    #[test]
    fn authorities_are_needed() {
        let (host, _guard) = host(&[], &[]);
        let error = Transport::gather(&Build::default(), &host).err().unwrap();
        assert_eq!((error.kind, error.hints.len()), (ErrorKind::Environment, 2));
        let build = Build { ca_bundle: Some("/none".to_owned()), ..Build::default() };
        assert_eq!(Transport::gather(&build, &host).err().unwrap().kind, ErrorKind::Config);
    }
}
