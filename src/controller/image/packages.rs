//! Asks dnf, in a throw-away container of the base, whether the packages that recipes name can be
//! had.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bollard::Docker;

use super::probe::{self, ProbeError};
use super::transport::Transport;
use crate::model::catalog::{Catalog, Distro, Repository};
use crate::model::name::Name;

/// Metadata of every repository has to be fetched.
const LIMIT: Duration = Duration::from_secs(180);

/// Where the container finds what carries packages to it.
const DIRECTORY: &str = "run/octo-probe";

/// What a set of images installs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Packages.
    pub packages: BTreeSet<&'a str>,
    /// Repositories beyond those that the base has switched on: name -> address, if it has one.
    pub repositories: BTreeMap<&'a str, Option<&'a str>>,
}

impl<'a> Wanted<'a> {
    /// What the images and all that they stand on install on a distribution.
    pub fn of(catalog: &'a Catalog, images: &BTreeSet<Name>, distro: Distro) -> Self {
        let mut wanted = Self::default();
        let mut seen = BTreeSet::new();
        let mut open: Vec<&Name> = images.iter().collect();
        while let Some(name) = open.pop() {
            let Some(image) = catalog.images.get(name).filter(|_| seen.insert(name.clone())) else { continue };
            open.extend(image.parent.iter().chain(&image.uses));
            wanted.packages.extend(image.packages.get(&distro).into_iter().flatten().map(String::as_str));
            let repositories = image.repositories.get(&distro).into_iter().flatten();
            wanted
                .repositories
                .extend(repositories.map(|Repository { name, baseurl, .. }| (name.as_str(), baseurl.as_deref())));
        }
        wanted
    }

    /// The command that prints the name of each package that can be had.
    fn command(&self) -> Vec<String> {
        // The mirror is put in as in components/system.tera.
        let script = format!(
            ". /{DIRECTORY}/environment && mkdir /{DIRECTORY}/repositories \\\n\
             && for file in /etc/yum.repos.d/*.repo; do \\\n\
             sed -f /{DIRECTORY}/repositories.sed \"$file\" > \"/{DIRECTORY}/repositories/${{file##*/}}\"; done \\\n\
             && exec dnf --quiet --setopt=sslcacert=/{DIRECTORY}/ca.pem --setopt=reposdir=/{DIRECTORY}/repositories \"$@\""
        );
        let mut command = vec!["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()];
        for (name, address) in &self.repositories {
            command.push(match address {
                Some(address) => format!("--repofrompath={name},{address}"),
                None => format!("--enablerepo={name}"),
            });
        }
        command.extend(["repoquery".to_owned(), "--queryformat=%{name}\\n".to_owned()]);
        command.extend(self.packages.iter().map(|package| (*package).to_owned()));
        command
    }
}

/// The wanted packages that no repository has.
pub async fn missing(
    docker: &Docker,
    image: &str,
    wanted: &Wanted<'_>,
    transport: &Transport,
) -> Result<Vec<String>, ProbeError> {
    let files = transport.files.iter().map(|(name, content)| (format!("{DIRECTORY}/{name}"), content.as_slice()));
    let answer = probe::run(docker, image, wanted.command(), &files.collect(), LIMIT).await?;
    let found: BTreeSet<&str> = answer.lines().map(str::trim).collect();
    Ok(wanted
        .packages
        .iter()
        .filter(|package| !found.contains(*package))
        .map(|package| (*package).to_owned())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::Image;

    #[test]
    fn all_that_the_images_stand_on_is_asked_for() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let mut base = Image::default();
        base.packages.insert(Distro::Centos, vec!["base-files".to_owned()]);
        base.packages.insert(Distro::Debian, vec!["other".to_owned()]);
        let mut app = Image { parent: Some(name("base")), ..Image::default() };
        app.packages.insert(Distro::Centos, vec!["app".to_owned()]);
        let repository = |name: &str, baseurl: Option<&str>| Repository {
            name: name.to_owned(),
            baseurl: baseurl.map(str::to_owned),
            gpgkey: None,
        };
        app.repositories
            .insert(Distro::Centos, vec![repository("crb", None), repository("vendor", Some("https://v/$basearch"))]);
        let mut catalog = Catalog::default();
        catalog.images.insert(name("base"), base);
        catalog.images.insert(name("app"), app);
        catalog.images.insert(name("unwanted"), Image::default());
        let wanted = Wanted::of(&catalog, &BTreeSet::from([name("app")]), Distro::Centos);
        assert_eq!(
            wanted.command()[4..],
            [
                "--enablerepo=crb",
                "--repofrompath=vendor,https://v/$basearch",
                "repoquery",
                "--queryformat=%{name}\\n",
                "app",
                "base-files"
            ]
        );
    }
}
