//! What the images stand on: the choice of the distribution from observed facts, and the recipe of
//! the Debian base that octo makes itself.

use serde::{Deserialize, Serialize};

use super::catalog::Distro;
use super::fingerprint;
use super::settings::Base;

/// The image of CentOS Stream 10 as its project publishes it.
pub const CENTOS_IMAGE: &str = "quay.io/centos/centos:stream10";

/// The repository of bases that octo makes itself.
const BOOTSTRAP_REPOSITORY: &str = "octo/bootstrap";

/// The name in the label of the base that octo makes itself.
pub const BOOTSTRAP_NAME: &str = "bootstrap";

/// How a Debian base is made from the distribution's packages.
#[derive(Debug, Serialize)]
pub struct Bootstrap {
    /// The suite.
    pub suite: &'static str,
    /// Which packages are there from the start (mmdebstrap's `--variant`).
    pub variant: &'static str,
    /// Packages beyond the variant's.
    pub include: &'static [&'static str],
    /// Options of apt, kept in the image.
    pub apt_options: &'static [&'static str],
    /// Options of dpkg, kept in the image.
    pub dpkg_options: &'static [&'static str],
    /// A shell script for when the essential packages are unpacked; `$1` is the root.
    pub unpacked: &'static str,
    /// A shell script for when everything is installed; `$1` is the root.
    pub finished: &'static str,
}

/// The list of package sources in a base that octo makes itself: the distribution's own example.
/// Recipes know by it that the base is octo's, and use the mirror of the build instead.
pub const NEUTRAL_SOURCES: &str = "/etc/apt/sources.list.d/octo.sources";

/// What no container reads is removed where it is there, and not unpacked from then on. As options
/// of the bootstrap the same would send each package through a filter, and take twice as long.
const UNPACKED: &str = r#"set -e
mkdir -p "$1/etc/dpkg/dpkg.cfg.d"
for part in bug doc info lintian locale man; do
  rm -rf "$1/usr/share/$part"/*
  echo "path-exclude=/usr/share/$part/*"
done > "$1/etc/dpkg/dpkg.cfg.d/octo"
echo 'path-include=/usr/share/doc/*/examples/debian.sources' >> "$1/etc/dpkg/dpkg.cfg.d/octo"
"#;

/// The mirror, which may hold a password, and the host's authorities stay out of the image.
const FINISHED: &str = r#"set -e
rm -f "$1/etc/apt/sources.list" "$1"/etc/apt/sources.list.d/*
sed -e '/^#/d' -e 's/^Components:.*/Components: main/' \
  "$1/usr/share/doc/apt/examples/debian.sources" > "$1/etc/apt/sources.list.d/octo.sources"
rm -rf "$1/usr/share/doc"/*
sed -i -e /path-include/d "$1/etc/dpkg/dpkg.cfg.d/octo"
sed -i -e /CAInfo/d "$1/etc/apt/apt.conf.d/99mmdebstrap"
"#;

/// Has apt try again what failed, after pauses that grow up to half a minute and are a minute together: a mirror that
/// is away for so long must not fail a build. Its own default is three times (apt.conf(5), `Acquire::Retries`).
pub const APT_RETRIES: &str = "Acquire::Retries \"6\"";

/// The one Debian base.
pub const BOOTSTRAP: Bootstrap = Bootstrap {
    suite: "trixie",
    variant: "minbase",
    include: &["ca-certificates", "passwd"],
    apt_options: &["Acquire::Languages \"none\"", "APT::Install-Recommends \"false\"", APT_RETRIES],
    dpkg_options: &["force-unsafe-io"],
    unpacked: UNPACKED,
    finished: FINISHED,
};

impl Bootstrap {
    /// The tag of the image: a digest of how it is made. The mirror is not in it, since all mirrors
    /// serve the same packages.
    pub fn tag(&self) -> String {
        format!("{BOOTSTRAP_REPOSITORY}:{}", fingerprint::digest(self))
    }
}

/// Whether a tag is that of a base that octo makes itself.
pub fn is_bootstrap(tag: &str) -> bool {
    tag.strip_prefix(BOOTSTRAP_REPOSITORY).is_some_and(|rest| rest.starts_with(':'))
}

/// The base of a cloud's images: shown in the plan, and recorded so that it does not flip later.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BaseChoice {
    /// The distribution inside the images.
    pub distro: Distro,
    /// The tag of the image that images without a parent are `FROM`.
    pub base_tag: String,
    /// Why, in words.
    pub reason: String,
    /// What the operator had asked for; another wish is decided anew.
    pub asked: Base,
}

/// What was found out about the bases that come into question.
#[derive(Clone, Debug, PartialEq)]
pub enum BaseFacts {
    /// Nothing was looked at.
    Unknown,
    /// The operator's own image, and the distribution in it.
    Image(Distro),
    /// CentOS Stream's image is neither on the engine nor to be had, for this reason.
    CentosUnreachable(String),
    /// CentOS Stream's image is on the engine, but these packages are in none of its repositories.
    CentosLacks(Vec<String>),
    /// CentOS Stream's image is on the engine, but its repositories cannot be asked.
    CentosSilent(String),
    /// CentOS Stream's image is on the engine, and all packages are in its repositories.
    CentosComplete,
}

/// What has to be looked at before the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseQuestion {
    /// Nothing: the choice follows from the settings or from the record.
    Nothing,
    /// Which distribution the operator's image holds.
    Image,
    /// Whether CentOS Stream can be built on.
    Centos,
}

/// What has to be looked at before [`choose_base`] is asked.
pub fn base_question(asked: &Base, recorded: Option<&BaseChoice>) -> BaseQuestion {
    if asked.distro.fixed().is_some() || still_valid(asked, recorded).is_some() {
        BaseQuestion::Nothing
    } else if asked.image.is_some() {
        BaseQuestion::Image
    } else {
        BaseQuestion::Centos
    }
}

/// Chooses what the images stand on. A recorded choice stays until the operator asks for something
/// else, so that a registry that comes and goes does not flip it.
pub fn choose_base(asked: &Base, recorded: Option<&BaseChoice>, facts: &BaseFacts) -> BaseChoice {
    let (distro, reason) = if let Some(distro) = asked.distro.fixed() {
        (distro, format!("base.distro is {}", distro.as_str()))
    } else if let Some(recorded) = still_valid(asked, recorded) {
        (recorded.distro, recorded.reason.clone())
    } else {
        found(facts)
    };
    BaseChoice { distro, base_tag: base_tag(distro, asked.image.as_deref()), reason, asked: asked.clone() }
}

fn still_valid<'a>(asked: &Base, recorded: Option<&'a BaseChoice>) -> Option<&'a BaseChoice> {
    recorded.filter(|recorded| recorded.asked == *asked)
}

fn base_tag(distro: Distro, image: Option<&str>) -> String {
    match (image, distro) {
        (Some(image), _) => with_tag(image),
        (None, Distro::Centos) => CENTOS_IMAGE.to_owned(),
        (None, Distro::Debian) => BOOTSTRAP.tag(),
    }
}

/// An image's full reference: the engine takes a missing tag for `latest`, and lists it so.
fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") }
}

fn found(facts: &BaseFacts) -> (Distro, String) {
    match facts {
        BaseFacts::Image(distro) => (*distro, format!("base.image holds {}", distro.as_str())),
        BaseFacts::CentosComplete => {
            (Distro::Centos, "CentOS Stream 10 and every package that the recipes name can be had".to_owned())
        }
        BaseFacts::CentosUnreachable(why) => (Distro::Debian, format!("CentOS Stream's image cannot be had ({why})")),
        BaseFacts::CentosSilent(why) => {
            (Distro::Debian, format!("CentOS Stream's repositories cannot be asked ({why})"))
        }
        BaseFacts::CentosLacks(packages) => {
            (Distro::Debian, format!("CentOS Stream's repositories lack {}", packages.join(", ")))
        }
        BaseFacts::Unknown => (Distro::Debian, "nothing is known of CentOS Stream here".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::settings::DistroChoice;

    fn asked(distro: DistroChoice, image: Option<&str>) -> Base {
        Base { distro, image: image.map(str::to_owned) }
    }

    #[test]
    fn the_choice_follows_the_table() {
        use BaseFacts::{CentosComplete, CentosLacks, CentosSilent, CentosUnreachable, Image, Unknown};
        use DistroChoice::{Auto, Centos, Debian};
        let bootstrap = BOOTSTRAP.tag();
        let unreachable = CentosUnreachable("no route".to_owned());
        let lacks = CentosLacks(vec!["erlang".to_owned(), "galera-4".to_owned()]);
        let silent = CentosSilent("no mirror".to_owned());
        let table = [
            (asked(Debian, None), Unknown, Distro::Debian, bootstrap.as_str(), "base.distro is debian"),
            (asked(Centos, None), Unknown, Distro::Centos, CENTOS_IMAGE, "base.distro is centos"),
            (asked(Centos, Some("r:5/c")), Unknown, Distro::Centos, "r:5/c:latest", "base.distro is centos"),
            (asked(Debian, Some("d:1")), Unknown, Distro::Debian, "d:1", "base.distro is debian"),
            (asked(Auto, Some("c@sha256:1")), Image(Distro::Centos), Distro::Centos, "c@sha256:1", "base.image holds"),
            (asked(Auto, Some("d")), Image(Distro::Debian), Distro::Debian, "d:latest", "base.image holds debian"),
            (asked(Auto, None), CentosComplete, Distro::Centos, CENTOS_IMAGE, "can be had"),
            (asked(Auto, None), unreachable, Distro::Debian, &bootstrap, "cannot be had (no route)"),
            (asked(Auto, None), lacks, Distro::Debian, &bootstrap, "lack erlang, galera-4"),
            (asked(Auto, None), silent, Distro::Debian, &bootstrap, "cannot be asked (no mirror)"),
            (asked(Auto, None), Unknown, Distro::Debian, &bootstrap, "nothing is known"),
        ];
        for (asked, facts, distro, tag, reason) in table {
            let choice = choose_base(&asked, None, &facts);
            assert_eq!((choice.distro, choice.base_tag.as_str()), (distro, tag), "{asked:?} {facts:?}");
            assert!(choice.reason.contains(reason), "{}", choice.reason);
            // Recorded, it stays, whatever is found later.
            for later in [BaseFacts::CentosComplete, BaseFacts::CentosUnreachable(String::new()), BaseFacts::Unknown] {
                assert_eq!(choose_base(&asked, Some(&choice), &later), choice);
            }
            assert_eq!(base_question(&asked, Some(&choice)), BaseQuestion::Nothing);
        }
    }

    #[test]
    fn another_wish_is_decided_anew() {
        let first = choose_base(&asked(DistroChoice::Auto, None), None, &BaseFacts::CentosComplete);
        let now = asked(DistroChoice::Debian, None);
        assert_eq!(choose_base(&now, Some(&first), &BaseFacts::Unknown).distro, Distro::Debian);
        let now = asked(DistroChoice::Auto, Some("mine:1"));
        assert_eq!(base_question(&now, Some(&first)), BaseQuestion::Image);
        assert_eq!(base_question(&asked(DistroChoice::Auto, None), None), BaseQuestion::Centos);
    }

    #[test]
    fn a_record_survives_being_written_down() {
        let choice = choose_base(&Base::default(), None, &BaseFacts::CentosLacks(vec!["x".to_owned()]));
        let text = serde_json::to_string(&choice).unwrap();
        assert_eq!(serde_json::from_str::<BaseChoice>(&text).unwrap(), choice);
    }

    #[test]
    fn own_bases_are_known_by_their_tag() {
        assert!(BOOTSTRAP.finished.contains(NEUTRAL_SOURCES));
        assert!(is_bootstrap(&BOOTSTRAP.tag()));
        assert!(!is_bootstrap("octo/bootstrapper:1") && !is_bootstrap(CENTOS_IMAGE));
        assert_eq!(BOOTSTRAP.suite, Distro::Debian.suite());
    }
}
