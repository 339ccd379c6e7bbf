//! Finds out what the images can stand on, for the choice that `model::base` makes.

use std::collections::BTreeSet;
use std::time::Duration;

use bollard::Docker;

use super::host::{Host, os_release_field};
use super::packages::{self, Wanted};
use super::transport::Transport;
use super::{probe, pull};
use crate::controller::docker::failure::{engine_text, explain, is_missing};
use crate::error::{Error, ErrorKind};
use crate::model::base::{BaseChoice, BaseFacts, BaseQuestion, CENTOS_IMAGE, base_question, choose_base};
use crate::model::catalog::{Catalog, Distro};
use crate::model::name::Name;
use crate::model::settings::Settings;

/// How long a registry may take to say whether it has an image. A machine without a registry must
/// not wait for it.
const REGISTRY_LIMIT: Duration = Duration::from_secs(3);

/// The files that tell which distribution an image holds.
const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// What a choice is made for, and with.
pub struct BaseFinder<'a> {
    /// The engine that images are built on.
    pub docker: &'a Docker,
    /// The operator's wishes.
    pub settings: &'a Settings,
    /// What the recipes install.
    pub catalog: &'a Catalog,
    /// The images that this cloud needs.
    pub wanted: &'a BTreeSet<Name>,
    /// Whose certificates and proxies are used.
    pub host: &'a Host,
}

impl BaseFinder<'_> {
    /// Chooses the base: looks only at what the wishes and the recorded choice leave open.
    pub async fn choose(
        &self,
        recorded: Option<&BaseChoice>,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<BaseChoice, Error> {
        let asked = &self.settings.base;
        let facts = match (base_question(asked, recorded), &asked.image) {
            (BaseQuestion::Image, Some(image)) => BaseFacts::Image(self.distro_of(image, progress).await?),
            (BaseQuestion::Centos, _) => self.centos(CENTOS_IMAGE, progress).await?,
            (BaseQuestion::Nothing | BaseQuestion::Image, _) => BaseFacts::Unknown,
        };
        Ok(choose_base(asked, recorded, &facts))
    }

    /// Whether all that the recipes install can be had on an image of CentOS Stream.
    pub async fn centos(&self, image: &str, progress: &(dyn Fn(String) + Send + Sync)) -> Result<BaseFacts, Error> {
        if !self.is_present(image).await? {
            progress(format!("looking for {image}"));
            if let Err(why) = self.registry_answers(image).await {
                return Ok(BaseFacts::CentosUnreachable(why));
            }
            if let Err(error) = pull::pull(self.docker, image, progress).await {
                return Ok(BaseFacts::CentosUnreachable(error.to_string()));
            }
        }
        progress("asking for the packages that the recipes name".to_owned());
        let transport = Transport::gather(&self.settings.build, self.host)?;
        let wanted = Wanted::of(self.catalog, self.wanted, Distro::Centos);
        Ok(match packages::missing(self.docker, image, &wanted, &transport).await {
            Ok(missing) if missing.is_empty() => BaseFacts::CentosComplete,
            Ok(missing) => BaseFacts::CentosLacks(missing),
            Err(error) => BaseFacts::CentosSilent(transport.mask.hide(&error.to_string())),
        })
    }

    /// The distribution in an image of the operator's.
    async fn distro_of(&self, image: &str, progress: &(dyn Fn(String) + Send + Sync)) -> Result<Distro, Error> {
        if !self.is_present(image).await? {
            pull::pull(self.docker, image, progress).await?;
        }
        let mut text = String::new();
        for path in OS_RELEASE {
            // Usually the first is a link to the second, and a link is downloaded as one.
            if let Ok(found) = probe::file(self.docker, image, path).await
                && !found.is_empty()
            {
                text = found;
                break;
            }
        }
        distro_in(&text).ok_or_else(|| {
            let name = os_release_field(&text, "ID").unwrap_or_else(|| "nothing known".to_owned());
            Error::new(ErrorKind::Config, format!("base.image {image} holds neither CentOS Stream nor Debian"))
                .because_text(format!("its os-release names {name}"))
                .hint("set base.distro in configuration.yaml to the one that it is compatible with")
        })
    }

    async fn is_present(&self, image: &str) -> Result<bool, Error> {
        match self.docker.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(explain(&format!("cannot look for image {image}"), &error)),
        }
    }

    /// The engine asks, since its proxies and mirrors are what a pull would use.
    async fn registry_answers(&self, image: &str) -> Result<(), String> {
        match tokio::time::timeout(REGISTRY_LIMIT, self.docker.inspect_registry_image(image, None)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(in_short(&engine_text(&error))),
            Err(_) => Err(format!("its registry does not answer within {} s", REGISTRY_LIMIT.as_secs())),
        }
    }
}

/// The last part of an engine's chain of causes: `Get "https://…": dial tcp: lookup x: no such host`.
fn in_short(text: &str) -> String {
    let text = text.trim();
    let parts: Vec<&str> = text.split(": ").collect();
    let last = parts.len().saturating_sub(2);
    parts.get(last..).map_or_else(|| text.to_owned(), |parts| parts.join(": "))
}

fn distro_in(os_release: &str) -> Option<Distro> {
    let id = os_release_field(os_release, "ID")?;
    let like = os_release_field(os_release, "ID_LIKE").unwrap_or_default();
    let mut names = std::iter::once(id.as_str()).chain(like.split_whitespace());
    names.find_map(|name| match name {
        "debian" => Some(Distro::Debian),
        "centos" | "rhel" => Some(Distro::Centos),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_known_by_their_kin() {
        for (text, distro) in [
            ("ID=\"centos\"\nID_LIKE=\"rhel fedora\"", Some(Distro::Centos)),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"", Some(Distro::Centos)),
            ("NAME=x\nID=debian", Some(Distro::Debian)),
            ("ID=ubuntu\nID_LIKE=debian", Some(Distro::Debian)),
            ("ID=alpine", None),
            ("", None),
        ] {
            assert_eq!(distro_in(text), distro, "{text}");
        }
    }

    #[test]
    fn the_engines_words_are_shortened() {
        let text = "Get \"https://r.example/v2/\": dial tcp: lookup r.example: no such host";
        assert_eq!(in_short(text), "lookup r.example: no such host");
        assert_eq!(in_short("unauthorized"), "unauthorized");
    }
}
