//! Tests of the recipes' rendering.

use proptest::prelude::*;

use super::*;
use crate::model::catalog::{Repository, User};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// base <- python <- {uv, app}; app uses uv.
fn fixture() -> (Catalog, Bundle) {
    let image = |parent: Option<&str>, uses: &[&str]| Image {
        parent: parent.map(name),
        uses: uses.iter().map(|other| name(other)).collect(),
        ..Image::default()
    };
    let mut app = image(Some("python"), &["uv"]);
    app.user = Some(User { name: name("app"), uid: 42001, home: None });
    app.packages.insert(Distro::Debian, vec!["libapp1".to_owned(), "app-data".to_owned()]);
    app.packages.insert(Distro::Centos, vec!["app-libs".to_owned()]);
    app.repositories.insert(Distro::Centos, vec![Repository { name: "crb".to_owned(), baseurl: None, gpgkey: None }]);
    app.args.insert("extra".to_owned(), "one two".to_owned());
    let images = [
        ("base", image(None, &[])),
        ("python", image(Some("base"), &[])),
        ("uv", image(Some("python"), &[])),
        ("app", app),
        ("other", image(Some("base"), &[])),
    ];
    let catalog =
        Catalog { images: images.into_iter().map(|(key, image)| (name(key), image)).collect(), ..Catalog::default() };
    let mut bundle = Bundle::default();
    bundle.insert("dockerfiles/components/head.tera", "FROM {{ parent }}\n");
    for image in ["base", "python", "uv", "other"] {
        bundle.insert(format!("dockerfiles/{image}/Dockerfile.tera"), "{% include \"components/head.tera\" %}");
    }
    bundle.insert(
        "dockerfiles/app/Dockerfile.tera",
        "{% include \"components/head.tera\" -%}\n\
         # {{ image }} {{ release }} {{ distro }} {{ suite }} {{ user.name }} {{ user.uid }} {{ user.gid }} {{ user.home }}\n\
         RUN install {{ packages | join(sep=\" \") }} {{ args.extra }}\n\
         {%- for one in repositories %} --enable={{ one.name }}[{{ one.baseurl }}]{% endfor %}\n\
         COPY --from={{ images.uv }} /uv /uv\n",
    );
    bundle.insert("dockerfiles/app/requirements-2026.1.lock", "a==1");
    bundle.insert("dockerfiles/app/requirements-2026.2.lock", "a==2");
    bundle.insert("dockerfiles/app/requirements.in", "a");
    bundle.insert("dockerfiles/app/bin/start", "#!/bin/sh\n");
    (catalog, bundle)
}

fn run(catalog: &Catalog, bundle: &Bundle, distro: Distro) -> Result<BTreeMap<Name, RenderedImage>, Vec<Problem>> {
    render_images("2026.1", catalog, &BTreeSet::from([name("app")]), distro, "base:1", bundle)
}

#[test]
fn renders_the_wanted_with_all_they_stand_on() {
    let (catalog, bundle) = fixture();
    let images = run(&catalog, &bundle, Distro::Debian).unwrap();
    assert_eq!(images.keys().map(Name::as_str).collect::<Vec<_>>(), ["app", "base", "python", "uv"]);
    let app = &images[&name("app")];
    assert_eq!(app.after, [name("python"), name("uv")]);
    assert_eq!(
        app.dockerfile,
        format!(
            "FROM {}\n# app 2026.1 debian trixie app 42001 42001 /var/lib/app\n\
             RUN install libapp1 app-data one two\nCOPY --from={} /uv /uv\n",
            images[&name("python")].tag,
            images[&name("uv")].tag
        )
    );
    assert_eq!(images[&name("base")].dockerfile, "FROM base:1\n");
    assert!(app.tag.starts_with("octo/app:"), "{}", app.tag);
    assert_eq!(app.context.keys().collect::<Vec<_>>(), ["bin/start", "requirements-2026.1.lock"]);
}

#[test]
fn the_distribution_decides_packages_and_repositories() {
    let (catalog, bundle) = fixture();
    let images = run(&catalog, &bundle, Distro::Centos).unwrap();
    let text = &images[&name("app")].dockerfile;
    assert!(text.contains("RUN install app-libs one two --enable=crb[]\n"), "{text}");
}

#[test]
fn every_problem_is_reported_at_its_image() {
    let (mut catalog, mut bundle) = fixture();
    bundle.insert("dockerfiles/base/Dockerfile.tera", "FROM {{ parent }}\nRUN {{ nothing }}\n");
    catalog.images.get_mut("other").unwrap().parent = Some(name("missing"));
    catalog.images.insert(name("bare"), Image::default());
    let wanted = ["app", "other", "bare"].map(name).into();
    let problems = render_images("2026.1", &catalog, &wanted, Distro::Debian, "base:1", &bundle).unwrap_err();
    let found: Vec<_> = problems
        .iter()
        .map(|problem| {
            (problem.place.path.iter().map(ToString::to_string).collect::<Vec<_>>().join("."), problem.message.clone())
        })
        .collect();
    assert_eq!(found[0].0, "images.missing");
    assert_eq!(found[1], ("images.bare".into(), "its recipe dockerfiles/bare/Dockerfile.tera does not exist".into()));
    assert_eq!(found[2].0, "images.base");
    assert!(found[2].1.contains("nothing") && found[2].1.contains("2:"), "{}", found[2].1);
    assert_eq!(found.len(), 3);
}

#[test]
fn a_syntax_error_in_a_shared_part_is_reported_once() {
    let (catalog, mut bundle) = fixture();
    bundle.insert("dockerfiles/components/head.tera", "FROM {{ parent }}\n{% if %}");
    let problems = run(&catalog, &bundle, Distro::Debian).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.contains("components/head.tera"), "{}", problems[0].message);
}

#[test]
fn a_circle_is_refused() {
    let (mut catalog, bundle) = fixture();
    catalog.images.get_mut("base").unwrap().uses = vec![name("uv")];
    let problems = run(&catalog, &bundle, Distro::Debian).unwrap_err();
    assert!(problems[0].message.contains("in a circle: app, base, python, uv"), "{problems:?}");
}

#[test]
fn octos_own_places_in_the_context_are_refused() {
    let (catalog, mut bundle) = fixture();
    bundle.insert("dockerfiles/app/transport/ca.pem", "x");
    bundle.insert("dockerfiles/app/Dockerfile", "x");
    assert_eq!(run(&catalog, &bundle, Distro::Debian).unwrap_err().len(), 2);
}

#[test]
fn a_line_break_in_a_value_is_refused() {
    let (mut catalog, bundle) = fixture();
    catalog.images.get_mut("app").unwrap().args.insert("extra".to_owned(), "a\nRUN evil".to_owned());
    let problems = run(&catalog, &bundle, Distro::Debian).unwrap_err();
    assert!(problems[0].message.contains("line break"), "{problems:?}");
}

/// What may be changed of the fixture, and which images that must change.
#[derive(Clone, Debug)]
enum Change {
    Nothing,
    Package(String),
    Lock(String),
    OtherLock(String),
    Source(String),
    Component(String),
    UvRecipe(String),
    Base(String),
    Description(String),
}

fn change() -> impl Strategy<Value = Change> {
    let word = "[a-z]{1,8}";
    prop_oneof![
        Just(Change::Nothing),
        word.prop_map(Change::Package),
        word.prop_map(Change::Lock),
        word.prop_map(Change::OtherLock),
        word.prop_map(Change::Source),
        word.prop_map(Change::Component),
        word.prop_map(Change::UvRecipe),
        word.prop_map(Change::Base),
        word.prop_map(Change::Description),
    ]
}

proptest! {
    #[test]
    fn a_tag_changes_exactly_if_an_input_does(change in change()) {
        let (mut catalog, mut bundle) = fixture();
        let before = run(&catalog, &bundle, Distro::Debian).unwrap();
        let mut base = "base:1".to_owned();
        let changed: &[&str] = match &change {
            Change::Nothing => &[],
            Change::Package(word) => {
                catalog.images.get_mut("app").unwrap().packages.insert(Distro::Debian, vec![word.clone()]);
                &["app"]
            }
            Change::Lock(word) => {
                bundle.insert("dockerfiles/app/requirements-2026.1.lock", word.as_str());
                &["app"]
            }
            Change::OtherLock(word) => {
                bundle.insert("dockerfiles/app/requirements-2026.2.lock", word.as_str());
                &[]
            }
            Change::Source(word) => {
                bundle.insert("dockerfiles/app/requirements.in", word.as_str());
                &[]
            }
            Change::Component(word) => {
                bundle.insert("dockerfiles/components/head.tera", format!("FROM {{{{ parent }}}}\n# {word}\n"));
                &["app", "base", "python", "uv"]
            }
            Change::UvRecipe(word) => {
                bundle.insert("dockerfiles/uv/Dockerfile.tera", format!("FROM {{{{ parent }}}}\n# {word}\n"));
                &["app", "uv"]
            }
            Change::Base(word) => {
                base = format!("base:{word}x");
                &["app", "base", "python", "uv"]
            }
            Change::Description(word) => {
                // Another image's values, and packages of another distribution.
                catalog.images.get_mut("other").unwrap().args.insert(word.clone(), word.clone());
                catalog.images.get_mut("app").unwrap().packages.insert(Distro::Centos, vec![word.clone()]);
                &[]
            }
        };
        let wanted = BTreeSet::from([name("app")]);
        let after = render_images("2026.1", &catalog, &wanted, Distro::Debian, &base, &bundle).unwrap();
        let differing: Vec<_> =
            after.iter().filter(|(key, image)| before[*key].tag != image.tag).map(|(key, _)| key.as_str()).collect();
        prop_assert_eq!(differing, changed);
    }
}

#[test]
fn what_octos_own_base_holds_is_not_installed_again() {
    let (mut catalog, bundle) = fixture();
    let app = catalog.images.get_mut("app").unwrap();
    app.packages.insert(Distro::Debian, vec!["passwd".to_owned(), "libapp1".to_owned()]);
    let text = |catalog: &Catalog, base: &str| {
        let wanted = BTreeSet::from([name("app")]);
        let images = render_images("2026.1", catalog, &wanted, Distro::Debian, base, &bundle).unwrap();
        images["app"].dockerfile.clone()
    };
    let bootstrap = BOOTSTRAP.tag();
    // Its user is made in the step that installs.
    assert!(text(&catalog, &bootstrap).contains("RUN install passwd libapp1"));
    let mut bundle = bundle.clone();
    bundle.insert(
        "dockerfiles/base/Dockerfile.tera",
        "FROM {{ parent }}\nRUN install {{ packages | join(sep=\" \") }}\n",
    );
    catalog.images.get_mut("base").unwrap().packages =
        BTreeMap::from([(Distro::Debian, vec!["passwd".to_owned(), "other".to_owned()])]);
    let base = |tag: &str| {
        let wanted = BTreeSet::from([name("base")]);
        let images = render_images("2026.1", &catalog, &wanted, Distro::Debian, tag, &bundle).unwrap();
        images["base"].dockerfile.clone()
    };
    assert!(base("base:1").contains("install passwd other"));
    assert!(base(&bootstrap).contains("install other"));
}
