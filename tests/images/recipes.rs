//! The shipped recipes: each renders for each distribution, and on a stand-in of CentOS Stream, or
//! on the Debian base, each is built to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use octo::controller::image::{BaseFinder, Builder, Host};
use octo::controller::port::ImageBuilder;
use octo::model::base::{BOOTSTRAP, BaseFacts, CENTOS_IMAGE};
use octo::model::bundle::Bundle;
use octo::model::catalog::{Catalog, Distro, Image};
use octo::model::name::Name;
use octo::model::settings::{Base, Build, DistroChoice, Settings};
use octo::view::dockerfile::render_images;
use octo::view::recipe_lint::lint;
use octo::view::rendered::RenderedImage;

use super::engine::Engine;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn catalog() -> Catalog {
    serde_saphyr::from_str(&std::fs::read_to_string(format!("{ROOT}/services.yaml")).unwrap()).unwrap()
}

fn bundle() -> Bundle {
    fn walk(directory: &Path, bundle: &mut Bundle) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, bundle);
            } else {
                let name = path.strip_prefix(ROOT).unwrap().to_str().unwrap().to_owned();
                bundle.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut bundle = Bundle::default();
    for directory in ["dockerfiles", "drivers/nova-docker/nova"] {
        walk(&Path::new(ROOT).join(directory), &mut bundle);
    }
    bundle
}

pub fn rendered(distro: Distro, base: &str) -> BTreeMap<Name, RenderedImage> {
    let catalog = catalog();
    let all = catalog.images.keys().cloned().collect();
    render_images("2026.1", &catalog, &all, distro, base, &bundle()).unwrap()
}

/// The shared head of all recipes, for one package.
pub fn system_recipe(base: &str, package: &str, distro: Distro) -> String {
    let mut bundle = bundle();
    bundle.insert("dockerfiles/probe/Dockerfile.tera", "{% include \"components/system.tera\" %}\n");
    let probe: Name = "probe".parse().unwrap();
    let mut catalog = Catalog::default();
    let packages = BTreeMap::from([(distro, vec![package.to_owned()])]);
    catalog.images.insert(probe.clone(), Image { packages, ..Image::default() });
    let wanted = BTreeSet::from([probe.clone()]);
    let mut images = render_images("2026.1", &catalog, &wanted, distro, base, &bundle).unwrap();
    images.remove(&probe).unwrap().dockerfile
}

/// The digests change with every lock; everything else is what people review.
fn reviewed(distro: Distro, base: &str) -> String {
    let images = rendered(distro, base);
    let sections = images.values().map(|image| {
        let context: Vec<_> = image.context.keys().map(String::as_str).collect();
        format!("######## {} [{}]\n{}\n", image.name, context.join(" "), image.dockerfile.trim())
    });
    sections.collect()
}

#[test]
fn every_recipe_renders_for_both_distributions() {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"(octo/[a-z_-]+):[0-9a-f]{16}", "$1:DIGEST");
    settings.bind(|| {
        insta::assert_snapshot!("debian", reviewed(Distro::Debian, &BOOTSTRAP.tag()));
        insta::assert_snapshot!("centos", reviewed(Distro::Centos, CENTOS_IMAGE));
    });
}

#[test]
fn the_shipped_recipes_do_nothing_that_no_recipe_may() {
    let deployed: BTreeSet<Name> = catalog().services.into_values().map(|service| service.image).collect();
    for (distro, base) in [(Distro::Debian, BOOTSTRAP.tag()), (Distro::Centos, CENTOS_IMAGE.to_owned())] {
        assert_eq!(lint(&rendered(distro, &base), &deployed, &base), []);
    }
}

/// How many images are built at once.
const PARALLEL: usize = 3;

/// Builds all images, each after what it stands on; what most others wait for goes first.
pub async fn build_all(builder: &Builder, images: &BTreeMap<Name, RenderedImage>) {
    let mut left: Vec<&RenderedImage> = images.values().collect();
    left.sort_by_key(|image| std::cmp::Reverse(waiting_for(&image.name, images)));
    let (mut done, mut running) = (BTreeSet::new(), FuturesUnordered::new());
    while !left.is_empty() || !running.is_empty() {
        let ready = |image: &&RenderedImage| image.after.iter().all(|other| done.contains(other));
        if running.len() < PARALLEL
            && let Some(index) = left.iter().position(ready)
        {
            let image = left.remove(index);
            running.push(async move { (image, builder.build(image, &|_| {}).await) });
        } else if let Some((image, result)) = running.next().await {
            result.unwrap_or_else(|error| panic!("{error}\n{:?}", error.detail));
            done.insert(image.name.clone());
        }
    }
}

/// How many images stand on this one, directly or not.
fn waiting_for(name: &Name, images: &BTreeMap<Name, RenderedImage>) -> usize {
    let direct = images.values().filter(|image| image.after.contains(name));
    direct.map(|image| 1 + waiting_for(&image.name, images)).sum()
}

/// Puts a test's own names on images, so that nothing of a real cloud is touched.
pub fn renamed(engine: &Engine, images: BTreeMap<Name, RenderedImage>) -> BTreeMap<Name, RenderedImage> {
    let tags: Vec<(String, String)> =
        images.values().map(|image| (image.tag.clone(), format!("{}:{}", engine.prefix, image.name))).collect();
    images
        .into_iter()
        .map(|(name, mut image)| {
            for (tag, own) in &tags {
                image.dockerfile = image.dockerfile.replace(tag, own);
            }
            image.tag = format!("{}:{name}", engine.prefix);
            engine.will_make(&image.tag);
            (name, image)
        })
        .collect()
}

/// A Debian base whose `dnf` and `rpm` know the packages of CentOS Stream and refuse all others.
async fn stand_in(engine: &mut Engine, builder: &Builder) -> String {
    // The base of real clouds, made if it is not there and left for whatever is built next.
    let debian = BOOTSTRAP.tag();
    builder.prepare_base(&debian, &|_| {}).await.unwrap_or_else(|error| panic!("{error}\n{:?}", error.detail));
    let directory = Path::new(ROOT).join("tests/centos");
    let mut image = engine.image("stand-in", &[], &[]);
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        image.context.insert(name, std::fs::read(&path).unwrap());
    }
    let recipe = String::from_utf8(image.context.remove("Dockerfile").unwrap()).unwrap();
    image.dockerfile = recipe.replace("ARG BASE\n", "").replace("${BASE}", &debian);
    builder.build(&image, &|_| {}).await.unwrap_or_else(|error| panic!("{error}\n{:?}", error.detail));
    image.tag
}

#[tokio::test]
async fn centos_recipes_are_built_to_the_end_on_a_stand_in() {
    let mut engine = Engine::bare("centos").await;
    let builder = engine.builder(Build::default());
    let base = stand_in(&mut engine, &builder).await;

    // All that the recipes install is found; what does not exist is named.
    let mut catalog = catalog();
    let wanted: BTreeSet<Name> = catalog.images.keys().cloned().collect();
    let (settings, host) = (Settings::default(), Host::real());
    let find = async |catalog: &Catalog, base: &str| {
        let docker = &engine.docker;
        let finder = BaseFinder { docker, settings: &settings, catalog, wanted: &wanted, host: &host };
        finder.centos(base, &|_| {}).await.unwrap()
    };
    assert_eq!(find(&catalog, &base).await, BaseFacts::CentosComplete);
    let packages = catalog.images.get_mut("haproxy").unwrap().packages.get_mut(&Distro::Centos).unwrap();
    packages.push("haproxy-extra".to_owned());
    assert_eq!(find(&catalog, &base).await, BaseFacts::CentosLacks(vec!["haproxy-extra".to_owned()]));
    catalog
        .images
        .get_mut("haproxy")
        .unwrap()
        .repositories
        .insert(Distro::Centos, vec![serde_saphyr::from_str("name: unknown").unwrap()]);
    let BaseFacts::CentosSilent(why) = find(&catalog, &base).await else { panic!("an unknown repository") };
    assert!(why.contains("unknown"), "{why}");
    let absent = find(&catalog, "registry.invalid/octo-test:1").await;
    assert!(matches!(absent, BaseFacts::CentosUnreachable(_)), "{absent:?}");

    // As an image of the operator's it is known for what it is.
    let wish = Base { distro: DistroChoice::Auto, image: Some(base.clone()) };
    let settings = Settings { base: wish, ..Settings::default() };
    let (docker, catalog) = (&engine.docker, &catalog);
    let finder = BaseFinder { docker, settings: &settings, catalog, wanted: &wanted, host: &host };
    let choice = finder.choose(None, &|_| {}).await.unwrap();
    assert_eq!((choice.distro, choice.base_tag.as_str()), (Distro::Centos, base.as_str()));

    let begun = std::time::Instant::now();
    let images = renamed(&engine, rendered(Distro::Centos, &base));
    build_all(&builder, &images).await;
    println!("all images in {:?}", begun.elapsed());
    let users = &catalog.images;
    let proofs = PROGRAMS.map(|(name, program)| {
        let (engine, image) = (&engine, &images[&name.parse::<Name>().unwrap()]);
        let user = users[&image.name].user.as_ref().unwrap();
        let (uid, home) = (user.uid, user.home.as_deref().unwrap());
        async move {
            let script = format!("test $(id -u) = {uid} && ! touch /etc/octo 2>/dev/null && {program}");
            let (code, said) = engine.run(&image.tag, (uid, home), &script).await;
            assert_eq!(code, 0, "{name}: {program}: {said}");
        }
    });
    futures_util::future::join_all(proofs).await;
    let proven: BTreeSet<&str> = PROGRAMS.iter().map(|(name, _)| *name).collect();
    for service in catalog.services.values() {
        assert!(proven.contains(service.image.as_str()), "nobody has started anything in {}", service.image);
    }
}

/// What proves that an image works: its programs are found, load what they need, and can do so as
/// its user on a root that nobody can write to.
const PROGRAMS: [(&str, &str); 15] = [
    (
        "keystone",
        "keystone-manage --version && uwsgi --version && python3 -c 'import keystone.wsgi, pymysql, memcache'",
    ),
    ("glance", "glance-manage --version && uwsgi --version && python3 -c 'import glance.wsgi, pymysql, memcache'"),
    ("placement", "placement-manage --version && uwsgi --version && python3 -c 'import placement.wsgi, pymysql'"),
    // The system tables are unpacked first.
    (
        "mariadb",
        "octo-mariadb --version && test -d /var/lib/mysql/mysql && test -e /usr/lib/galera/libgalera_smm.so && garbd --version",
    ),
    ("rabbitmq", "rabbitmqctl version && grep rabbitmq_prometheus /etc/rabbitmq/enabled_plugins"),
    ("memcached", "memcached -V"),
    ("haproxy", "haproxy -v && socat -V"),
    ("keepalived", "keepalived --version && ip -V && nft --version"),
    ("network", "ip -V && bridge -V"),
    ("rsyslog", "rsyslogd -v"),
    ("openvswitch", "ovsdb-server --version && ovs-vswitchd --version && setpriv --version && ip -V"),
    ("ovn", "ovn-northd --version && ovn-controller --version && ovsdb-server --version"),
    (
        "neutron",
        "neutron-ovn-agent --version && uwsgi --version && haproxy -v && ovsdb-client --version && ip -V \
         && python3 -c 'import neutron.wsgi, pymysql'",
    ),
    (
        "nova",
        "nova-manage --version && nova-compute --version && uwsgi --version && setpriv --version \
         && python3 -c 'import docker, nova.virt.docker, pymysql'",
    ),
    ("horizon", "uwsgi --version && test -e /opt/horizon/static/dashboard && python3 -c 'import openstack_dashboard'"),
];
