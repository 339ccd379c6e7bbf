//! A change of a pair under load, and a rotation of its keys: they go from node to node, no request fails, no
//! acknowledged write is lost, and an octo that is killed in the middle is followed by one that completes it.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::faults::probe::{self, Probe};
use crate::lab::eventually;
use crate::pair::{FIRST, Pair};

/// How often the client asks: one control node has to serve all of it at times, beside the change.
const EVERY: Duration = Duration::from_millis(150);
/// How many requests there have to be at least, unless OCTO_ROLLING_REQUESTS says otherwise.
const REQUESTS: usize = 300;
/// Where the process number of an octo is that is going to be killed.
const PROCESS: &str = "octo.pid";

/// Other files for all that has load, and for what it uses, in each round; and what load balancers and VIPs are in is
/// made anew.
fn changes(round: usize) -> String {
    format!(
        "overrides:\n  keystone: {{keystone.conf: {{token: {{expiration: {}}}}}}}\n  \
         glance: {{glance-api.conf: {{cors: {{max_age: {}}}}}}}\n  \
         placement: {{placement.conf: {{cors: {{max_age: {}}}}}}}\n\
         limits: {{containers: {{haproxy-proxy: {{memory: {}M}}, keepalived-vip: {{memory: {}M}}}}}}\n\
         config:\n  haproxy: {{timeout: {}s}}\n  mariadb: {{max_connections: {}}}\n  \
         rabbitmq: {{memory: {}MiB}}\n  memcached: {{megabytes: {}}}\n  rsyslog: {{rotate_count: {}}}\n",
        7200 + round,
        7200 + round,
        7200 + round,
        256 + round,
        64 + round,
        60 + round,
        500 + round,
        384 + round,
        50 + round,
        5 + round
    )
}

/// Container -> when its process started, by octo's own word.
fn started(pair: &Pair) -> BTreeMap<String, String> {
    let status = pair.octo(&["--format", "json", "status"]).succeeds();
    let status: Value = serde_json::from_str(&status.out).unwrap();
    let word = |container: &Value, key: &str| container[key].as_str().unwrap_or_default().to_owned();
    let containers = status["containers"].as_array().unwrap().iter();
    containers.map(|container| (word(container, "name"), word(container, "started"))).collect()
}

/// Runs `octo up` and kills it when it has made the first API anew.
fn killed_in_the_middle(pair: &Pair) {
    let api = Pair::container("keystone-api", FIRST);
    let begun = || pair.run(FIRST, "docker", &["inspect", "--format", "{{.State.StartedAt}}", &api]).out;
    let before = begun();
    let script = format!("echo $$ > {PROCESS}; exec {} --config configuration.yaml up", env!("CARGO_BIN_EXE_octo"));
    let mut command = pair.command(FIRST, &["sh", "-c", &script]);
    let mut octo = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let is_new = eventually(120, || {
        let now = begun();
        !now.is_empty() && now != before
    });
    assert!(is_new, "{api} is not made anew");
    pair.octo_elsewhere(&["up"]).exits_with(4).says("another octo is at work on this cloud");
    pair.run(FIRST, "sh", &["-c", &format!("kill -s KILL $(cat {PROCESS})")]).succeeds();
    assert!(!octo.wait().unwrap().success(), "octo had ended before it was killed");
}

/// Changes everything that serves, again and again, until the client has asked often enough. Returns what is in the
/// configuration then, beyond that of all pairs.
pub fn changes_cost_no_request(pair: &Pair) -> String {
    let wanted = std::env::var("OCTO_ROLLING_REQUESTS").map_or(REQUESTS, |number| number.parse().unwrap());
    let before = started(pair);
    let mut load = Probe::load(pair, EVERY, "rolling");
    let mut round = 0;
    while load.log().requests.len() < wanted {
        round += 1;
        load.mark(&format!("change {round}"));
        pair.configure(&changes(round));
        if round == 1 {
            killed_in_the_middle(pair);
        }
        pair.octo(&["up"]).succeeds();
    }
    load.mark("rotation");
    // By octo on the other control node, with what the first has left there. What is too early for tokens of long
    // ago is not for those of this test.
    assert_eq!(pair.octo_elsewhere(&["openrc"]).succeeds().out, pair.octo(&["openrc"]).succeeds().out);
    pair.octo_elsewhere(&["secrets", "rotate"]).succeeds();
    let (log, text) = load.finish();
    std::fs::write(pair.directory.join("rolling.jsonl"), &text).unwrap();
    let failed: Vec<&str> = text.lines().filter(|line| line.contains("\"ok\": false")).collect();
    let all = log.requests.len();
    assert!(failed.is_empty(), "{} of {all} requests failed in {round} changes:\n{}", failed.len(), failed.join("\n"));
    let acknowledged = log.acknowledged();
    assert!(!acknowledged.is_empty(), "no write was acknowledged");
    assert_eq!(probe::unknown(pair, &acknowledged).unwrap(), Vec::<String>::new(), "acknowledged writes are lost");
    println!("{all} requests in {round} changes, none failed; {} writes are all there", acknowledged.len());

    let unchanged = ["uplink", "arbitrator", "replicas"];
    for (container, now) in started(pair) {
        let stays = unchanged.iter().any(|part| container.contains(part));
        assert!(stays || before[&container] != now, "{container} was not made anew");
    }
    pair.octo(&["plan", "--check"]).succeeds();
    changes(round)
}
