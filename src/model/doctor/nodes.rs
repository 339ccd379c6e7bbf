//! Findings about one node among others, and about all of them together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

use super::{Engine, Facts, Finding, Level, Trouble, examine, preflight};
use crate::model::name::Name;
use crate::model::node::Role;
use crate::model::settings::NodeSettings;

/// What two clocks may differ by before something could be noticed: a token counts as revoked that was
/// issued after a revocation, a certificate as not valid yet.
const CLOCK_WARNING: SignedDuration = SignedDuration::from_secs(2);
/// What they may differ by before logins and heartbeats of services fail.
const CLOCK_FAILURE: SignedDuration = SignedDuration::from_secs(10);

/// What is known of the nodes of a cloud of several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodesFacts {
    /// Why octo runs on none of them, if so.
    pub outside: Option<Trouble>,
    /// The nodes, in the order of configuration.yaml.
    pub nodes: Vec<NodeFacts>,
}

/// What is known of one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeFacts {
    /// The node.
    pub node: Name,
    /// Where the others reach it, as configuration.yaml says.
    pub address: Ipv4Addr,
    /// Whether octo runs on it.
    pub here: bool,
    /// What is known of it as of any machine.
    pub facts: Facts,
    /// Whether images are about to be built on it or sent to it.
    pub filled: bool,
    /// Its own addresses, as far as somebody could look.
    pub addresses: Option<BTreeSet<Ipv4Addr>>,
    /// By how much its clock is ahead of octo's, at least; less than nothing if it is behind.
    pub clock_ahead: Option<SignedDuration>,
    /// Why nobody could look around on it, if so.
    pub unseen: Option<String>,
}

impl NodeFacts {
    /// A node as configuration.yaml describes it, with what is known of it as of any machine.
    pub fn new(node: &NodeSettings, facts: Facts) -> Self {
        let small = node.roles.iter().all(|role| *role == Role::Witness);
        Self {
            node: node.name.clone(),
            address: node.address,
            here: false,
            facts: Facts { small, ..facts },
            filled: false,
            addresses: None,
            clock_ahead: None,
            unseen: None,
        }
    }

    fn engine(&self) -> Option<&Engine> {
        self.facts.engine.as_ref()?.as_ref().ok()
    }
}

/// By how much a clock that was read between two readings of another is ahead of that, at least.
pub fn clock_ahead(there: Timestamp, before: Timestamp, after: Timestamp) -> SignedDuration {
    // In between anything is possible, so that nothing is certain.
    there.duration_since(there.clamp(before, after.max(before)))
}

/// Judges everything that is known of the nodes, in the order of reading.
pub fn examine_nodes(cloud: &NodesFacts) -> Vec<Finding> {
    judge(cloud, |node| examine(&node.facts))
}

/// What has to be right on all nodes before a plan is carried out.
pub fn preflight_nodes(cloud: &NodesFacts) -> Vec<Finding> {
    let mut findings = judge(cloud, |node| preflight(&node.facts, node.filled));
    findings.retain(|finding| finding.level == Level::Failure);
    findings
}

fn judge(cloud: &NodesFacts, alone: impl Fn(&NodeFacts) -> Vec<Finding>) -> Vec<Finding> {
    let outside = cloud.outside.iter().map(|Trouble { reason, repair }| {
        let usual = "run octo on one of the nodes";
        Finding::failure("nodes", reason, repair.as_deref().unwrap_or(usual))
    });
    let mut findings: Vec<Finding> = outside.chain(engines(cloud)).collect();
    for node in &cloud.nodes {
        let among_others = [platform(node, cloud), address(node), clock(node, cloud), unseen(node)];
        let all = alone(node).into_iter().chain(among_others.into_iter().flatten());
        findings.extend(all.map(|finding| Finding { node: Some(node.node.clone()), ..finding }));
    }
    findings
}

/// Each node has an engine of its own: two names for one machine are no two machines.
fn engines(cloud: &NodesFacts) -> Vec<Finding> {
    let mut holders: BTreeMap<&str, Vec<(&NodeFacts, &Engine)>> = BTreeMap::new();
    for node in &cloud.nodes {
        if let Some(engine) = node.engine().filter(|engine| !engine.id.is_empty()) {
            holders.entry(&engine.id).or_default().push((node, engine));
        }
    }
    let shared: Vec<Finding> = holders.values().filter_map(|nodes| shared(nodes)).collect();
    if shared.is_empty() && holders.len() > 1 {
        return vec![Finding::ok("engines", "each node has one of its own")];
    }
    shared
}

fn shared(nodes: &[(&NodeFacts, &Engine)]) -> Option<Finding> {
    let ((last, engine), others) = nodes.split_last()?;
    let first: Vec<&str> = others.iter().map(|(node, _)| node.node.as_str()).collect();
    if first.is_empty() {
        return None;
    }
    let places: Vec<String> =
        nodes.iter().map(|(node, _)| format!("{} at {}", node.node, node.facts.endpoint)).collect();
    Some(Finding::failure(
        "engines",
        format!("nodes {} and {} have the same engine", first.join(", "), last.node),
        format!(
            "correct `engine` of all but one in configuration.yaml ({}); if a machine is a copy of another, on the \
             copy: rm -f /etc/docker/key.json {}/engine-id, and restart its engine",
            places.join(", "),
            engine.root_directory
        ),
    ))
}

/// Images are built on one node and run on all.
fn platform(node: &NodeFacts, cloud: &NodesFacts) -> Option<Finding> {
    let architecture = |node: &NodeFacts| {
        let engine = node.engine()?;
        (!engine.architecture.is_empty()).then(|| engine.architecture.clone())
    };
    let own = architecture(node)?;
    let builder = cloud.nodes.iter().find(|other| other.here);
    Some(match builder.and_then(architecture).filter(|other| *other != own) {
        Some(other) => Finding::failure(
            "platform",
            format!("{own}, and images are built for {other}"),
            format!("take another machine for this node, one that is {other}"),
        ),
        None => Finding::ok("platform", format!("{own}, kernel {}", node.engine()?.kernel)),
    })
}

/// The address in configuration.yaml is the node's own.
fn address(node: &NodeFacts) -> Option<Finding> {
    let NodeFacts { address, addresses, facts, .. } = node;
    match addresses {
        Some(own) if own.contains(address) => Some(Finding::ok("address", format!("{address} is on it"))),
        Some(own) => {
            let own: Vec<String> = own.iter().filter(|own| !own.is_loopback()).map(Ipv4Addr::to_string).collect();
            Some(Finding::failure(
                "address",
                format!("{address} is no address of it, these are: {}", own.join(", ")),
                format!("correct `address` or `engine` of node {} in configuration.yaml", node.node),
            ))
        }
        None if node.engine().is_some() && host_of(&facts.endpoint) == Some(address.to_string().as_str()) => {
            Some(Finding::ok("address", format!("{address}, where its engine answers")))
        }
        None => None,
    }
}

/// The host in the URL of an engine that is reached over a network.
fn host_of(endpoint: &str) -> Option<&str> {
    let (scheme, rest) = endpoint.split_once("://")?;
    let authority = rest.split('/').next()?.rsplit('@').next()?;
    (scheme != "unix").then(|| authority.split_once(':').map_or(authority, |(host, _)| host))
}

/// Clocks of different nodes show the same time.
fn clock(node: &NodeFacts, cloud: &NodesFacts) -> Option<Finding> {
    let ahead = node.clock_ahead?;
    let here = cloud.nodes.iter().find(|other| other.here);
    let other = here.map_or_else(|| "this machine".to_owned(), |here| here.node.to_string());
    let difference = ahead.abs();
    if difference < CLOCK_WARNING {
        return Some(Finding::ok("clock", format!("the same time as on {other}")));
    }
    let message = format!(
        "{} {} that of {other}: tokens, certificates and heartbeats need the same time everywhere",
        in_words(difference),
        if ahead.is_positive() { "ahead of" } else { "behind" }
    );
    let repair = format!("keep the clocks of {} and {other} right: timedatectl set-ntp true", node.node);
    Some(if difference < CLOCK_FAILURE {
        Finding::warning("clock", message, repair)
    } else {
        Finding::failure("clock", message, repair)
    })
}

/// A duration as exact as people need it.
fn in_words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        ..120 => format!("{:.1} s", duration.as_secs_f64()),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// What nobody could look at.
fn unseen(node: &NodeFacts) -> Option<Finding> {
    let why = node.unseen.as_ref()?;
    let lost = "free memory and disk space, addresses, and who listens on its ports";
    Some(Finding::unknown("node", format!("{lost} are not known: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &'static str, last: u8, roles: &[Role]) -> NodeFacts {
        let settings = NodeSettings {
            name: Name::fixed(name),
            address: [192, 0, 2, last].into(),
            engine: format!("ssh://root@192.0.2.{last}"),
            roles: roles.to_vec(),
            number: None,
            tls: None,
        };
        let engine = Engine {
            id: format!("id-of-{name}"),
            version: "29.3.1".to_owned(),
            api: "1.53".to_owned(),
            storage_driver: "overlay2".to_owned(),
            cgroup_version: "2".to_owned(),
            root_directory: "/var/lib/docker".to_owned(),
            missing_limits: Vec::new(),
            architecture: "x86_64".to_owned(),
            kernel: "6.12.48".to_owned(),
        };
        let endpoint = settings.engine.clone();
        let facts = Facts { engine: Some(Ok(engine)), endpoint, ..Facts::default() };
        NodeFacts { clock_ahead: Some(SignedDuration::ZERO), ..NodeFacts::new(&settings, facts) }
    }

    fn pair() -> NodesFacts {
        let first = NodeFacts { here: true, clock_ahead: None, ..node("ctl1", 11, &[Role::Control]) };
        let nodes = vec![first, node("ctl2", 12, &[Role::Control]), node("wit", 13, &[Role::Witness])];
        NodesFacts { outside: None, nodes }
    }

    fn change(node: &mut NodeFacts, change: impl FnOnce(&mut Engine)) {
        let Some(Ok(engine)) = &mut node.facts.engine else { panic!("{node:?}") };
        change(engine);
    }

    /// One line for each finding, with the repair of those that are wrong.
    fn text(findings: &[Finding]) -> String {
        let line = |finding: &Finding| {
            let node = finding.node.as_ref().map_or("all", Name::as_str);
            let repair = finding.repair.as_ref().map(|repair| format!(" ({repair})")).unwrap_or_default();
            format!("{node} {:?} {}: {}{repair}\n", finding.level, finding.subject, finding.message)
        };
        findings.iter().map(line).collect()
    }

    #[test]
    fn nodes_that_are_well_have_no_failures() {
        let cloud = pair();
        insta::assert_snapshot!(text(&examine_nodes(&cloud)), @r"
        all Ok engines: each node has one of its own
        ctl1 Ok engine: version 29.3.1, API 1.53
        ctl1 Ok storage: driver overlay2
        ctl1 Ok cgroups: version 2
        ctl1 Ok platform: x86_64, kernel 6.12.48
        ctl1 Ok address: 192.0.2.11, where its engine answers
        ctl2 Ok engine: version 29.3.1, API 1.53
        ctl2 Ok storage: driver overlay2
        ctl2 Ok cgroups: version 2
        ctl2 Ok platform: x86_64, kernel 6.12.48
        ctl2 Ok address: 192.0.2.12, where its engine answers
        ctl2 Ok clock: the same time as on ctl1
        wit Ok engine: version 29.3.1, API 1.53
        wit Ok storage: driver overlay2
        wit Ok cgroups: version 2
        wit Ok platform: x86_64, kernel 6.12.48
        wit Ok address: 192.0.2.13, where its engine answers
        wit Ok clock: the same time as on ctl1
        ");
        assert_eq!(preflight_nodes(&cloud), []);
    }

    #[test]
    fn what_is_wrong_is_told_of_its_node_and_hides_nothing_of_others() {
        let mut cloud = pair();
        let [_, second, witness] = cloud.nodes.as_mut_slice() else { panic!() };
        change(second, |engine| {
            engine.architecture = "aarch64".to_owned();
            engine.api = "1.40".to_owned();
        });
        second.addresses = Some([[127, 0, 0, 1], [192, 0, 2, 21]].map(Ipv4Addr::from).into());
        second.clock_ahead = Some(SignedDuration::from_millis(-12_340));
        let repair = Some("see why: ssh root@192.0.2.13".to_owned());
        witness.facts.engine = Some(Err(Trouble { reason: "Connection refused".to_owned(), repair }));
        insta::assert_snapshot!(text(&preflight_nodes(&cloud)), @r"
        ctl2 Failure engine: version 29.3.1 speaks API 1.40, octo needs 1.41 (install Docker Engine 20.10 or newer)
        ctl2 Failure platform: aarch64, and images are built for x86_64 (take another machine for this node, one that is x86_64)
        ctl2 Failure address: 192.0.2.12 is no address of it, these are: 192.0.2.21 (correct `address` or `engine` of node ctl2 in configuration.yaml)
        ctl2 Failure clock: 12.3 s behind that of ctl1: tokens, certificates and heartbeats need the same time everywhere (keep the clocks of ctl2 and ctl1 right: timedatectl set-ntp true)
        wit Failure engine: no answer at ssh://root@192.0.2.13: Connection refused (see why: ssh root@192.0.2.13)
        ");
    }

    #[test]
    fn one_engine_under_two_names_is_refused() {
        let mut cloud = pair();
        change(&mut cloud.nodes[1], |engine| engine.id = "id-of-ctl1".to_owned());
        let found = preflight_nodes(&cloud);
        let [finding] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((finding.node.as_ref(), finding.subject), (None, "engines"));
        assert_eq!(finding.message, "nodes ctl1 and ctl2 have the same engine");
        let repair = finding.repair.as_deref().unwrap();
        assert!(repair.contains("ctl1 at ssh://root@192.0.2.11, ctl2 at ssh://root@192.0.2.12"), "{repair}");
        assert!(repair.contains("/var/lib/docker/engine-id"), "{repair}");
        change(&mut cloud.nodes[2], |engine| engine.id = "id-of-ctl1".to_owned());
        assert_eq!(preflight_nodes(&cloud)[0].message, "nodes ctl1, ctl2 and wit have the same engine");
        // An engine that does not tell who it is could be any.
        cloud.nodes.iter_mut().for_each(|node| change(node, |engine| engine.id.clear()));
        assert_eq!(preflight_nodes(&cloud), []);
    }

    #[test]
    fn a_small_difference_of_clocks_is_a_warning() {
        let mut cloud = pair();
        let mut level = |ahead| {
            cloud.nodes[1].clock_ahead = Some(SignedDuration::from_millis(ahead));
            let found = examine_nodes(&cloud);
            found.into_iter().find(|finding| finding.subject == "clock").map(|finding| finding.level)
        };
        assert_eq!(
            [1999, -1999, 2000, -9999].map(&mut level).map(Option::unwrap),
            [Level::Ok, Level::Ok, Level::Warning, Level::Warning]
        );
        assert_eq!([10_000, -90_000_000].map(level), [Some(Level::Failure); 2]);
        assert_eq!(
            [3, 150, 9000, 400_000].map(SignedDuration::from_secs).map(in_words),
            ["3.0 s", "2 min", "2 h", "4 days"]
        );
    }

    #[test]
    fn only_what_is_certain_counts_as_a_difference_of_clocks() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let ahead = |there| clock_ahead(at(there), at(100), at(104)).as_secs();
        assert_eq!([90, 99, 100, 102, 104, 105, 200].map(ahead), [-10, -1, 0, 0, 0, 1, 96]);
        // Somebody has set octo's own clock back meanwhile.
        assert_eq!(clock_ahead(at(100), at(100), at(90)), SignedDuration::ZERO);
    }

    #[test]
    fn what_nobody_can_see_is_no_failure_and_is_told() {
        let mut cloud = pair();
        let witness = &mut cloud.nodes[2];
        witness.unseen = Some("no container of the cloud runs there to look from".to_owned());
        witness.facts.endpoint = "unix:///run/wit.sock".to_owned();
        assert_eq!(preflight_nodes(&cloud), []);
        let found = examine_nodes(&cloud);
        let found: Vec<_> = found.iter().filter(|finding| finding.level == Level::Unknown).cloned().collect();
        insta::assert_snapshot!(text(&found), @r"
        wit Unknown node: free memory and disk space, addresses, and who listens on its ports are not known: no container of the cloud runs there to look from
        ");
        let judged = examine_nodes(&cloud).into_iter().filter(|finding| finding.subject == "address");
        assert_eq!(judged.count(), 2, "nothing tells which addresses the witness has");
    }

    #[test]
    fn who_is_on_none_of_the_nodes_still_hears_of_them() {
        let mut cloud = pair();
        cloud.nodes[0].here = false;
        cloud.nodes[0].clock_ahead = Some(SignedDuration::from_secs(60));
        cloud.outside = Some(Trouble {
            reason: "octo runs on none of the cloud's nodes".to_owned(),
            repair: Some("move".to_owned()),
        });
        let found = preflight_nodes(&cloud);
        assert_eq!((found[0].subject, found[0].repair.as_deref()), ("nodes", Some("move")));
        assert!(found[1].message.starts_with("60.0 s ahead of that of this machine:"), "{found:?}");
    }

    #[test]
    fn knows_the_host_of_an_endpoint() {
        assert_eq!(host_of("tcp://192.0.2.12:2376"), Some("192.0.2.12"));
        assert_eq!(host_of("ssh://root@192.0.2.12/run/docker.sock"), Some("192.0.2.12"));
        assert_eq!(host_of("ssh://ctl2"), Some("ctl2"));
        assert_eq!(host_of("unix:///192.0.2.12"), None);
    }
}
