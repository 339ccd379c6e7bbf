//! What is refused before anything is changed, and what is said.

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::cli::Global;
use crate::controller::output::Output;
use crate::controller::output::tests::Written;
use crate::model::observed::{ObservedPeer, Reached};
use crate::model::planner::several_tests::pair;

const NAME: &str = "id.keys";

fn context(yes: bool) -> Context {
    let global = Global { yes, ..Global::default() };
    let output = Arc::new(Output::captured(&global, Written::default(), Written::default(), None));
    let command_line = "secrets rotate".to_owned();
    Context { global: Arc::new(global), output, cancel: CancellationToken::new(), command_line }
}

fn rings() -> BTreeMap<String, Ring> {
    let keys = ["id.key-0", "id.key-1", "id.key-2"].map(str::to_owned).to_vec();
    let ring = Ring { keys, lifetime: SignedDuration::from_hours(49), services: [Name::fixed("id")].into() };
    BTreeMap::from([(NAME.to_owned(), ring)])
}

fn due() -> Timestamp {
    "2026-11-22T11:00:00Z".parse().unwrap()
}

#[test]
fn a_node_that_does_not_answer_is_no_place_to_rotate() {
    let desired = pair();
    let mut observed = Observed::default();
    for node in ["ctl2", "wit"] {
        observed.peers.insert(Name::fixed(node), Reached::Answered(ObservedPeer::default()));
    }
    refuse_silence(&desired, &observed, &context(false)).unwrap();
    observed.peers.insert(Name::fixed("ctl2"), Reached::Silent("no route to host".to_owned()));
    // Agreeing to a loss does not help: nobody knows the keys of that node afterwards.
    let error = refuse_silence(&desired, &observed, &context(true)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Environment);
    insta::assert_snapshot!(error, @"node ctl2 does not answer, and keys take turns on all nodes only: no route to host");
    assert_eq!(
        error.hints,
        [
            "look at its Docker Engine, then rerun `octo secrets rotate`",
            "if it will not come back, take ctl2 out of `nodes` in configuration.yaml"
        ]
    );
}

#[test]
fn a_rotation_that_is_too_early_says_when_it_is_possible() {
    let error = Turns::of(vec![(NAME, Standing::Early(due()))], &context(false)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    insta::assert_snapshot!(error, @"id.keys cannot be rotated before 2026-11-22T11:00:00Z: until then something is in use that the key which would go has encrypted");
    assert_eq!(error.hints, ["repeat it then, or let it become invalid: octo secrets rotate --yes"]);
    let error = Turns::of(vec![(NAME, Standing::Unknown)], &context(false)).unwrap_err();
    assert!(error.message.contains(NAME) && error.hints[0].ends_with("octo secrets rotate --yes"), "{error:?}");
    for standing in [Standing::Early(due()), Standing::Unknown] {
        assert_eq!(Turns::of(vec![(NAME, standing)], &context(true)).unwrap().rotated, [NAME]);
    }
}

#[test]
fn what_is_due_is_rotated_and_the_rest_is_told() {
    let standings = vec![
        ("a.due", Standing::Due),
        ("b.early", Standing::Early(due())),
        ("c.cut-short", Standing::Unfinished),
        ("d.unknown", Standing::Unknown),
    ];
    let turns = Turns::of(standings, &context(false)).unwrap();
    assert_eq!((turns.rotated.as_slice(), turns.completed.as_slice()), (&["a.due"][..], &["c.cut-short"][..]));
    insta::assert_snapshot!(turns.notes().join("\n"), @r"
    rotated a.due
    completed the last rotation of c.cut-short
    b.early is as it was: not before 2026-11-22T11:00:00Z
    d.unknown is as it was: nobody knows its last rotation
    ");
}

#[test]
fn a_rotation_that_was_cut_short_is_completed_and_not_repeated() {
    let turns = Turns::of(vec![(NAME, Standing::Unfinished)], &context(true)).unwrap();
    assert!(turns.rotated.is_empty());
    assert_eq!(turns.completed, [NAME]);
}

#[test]
fn a_slip_of_the_finger_is_answered() {
    assert_eq!(chosen(None, rings()).unwrap(), rings());
    assert_eq!(chosen(Some(NAME), rings()).unwrap(), rings());
    assert_eq!(chosen(Some("id.kays"), rings()).unwrap_err().hints, ["did you mean id.keys?"]);
    let error = chosen(Some("password"), rings()).unwrap_err();
    assert_eq!((error.kind, error.hints), (ErrorKind::Usage, vec!["octo secrets list".to_owned()]));
    assert_eq!(chosen(None, BTreeMap::new()).unwrap_err().kind, ErrorKind::Usage);
}

#[test]
fn keys_that_are_not_there_yet_cannot_take_turns() {
    let mut changes: BTreeMap<_, _> = rings()[NAME].keys.iter().map(|key| (key.clone(), None)).collect();
    refuse_missing(&rings(), &changes).unwrap();
    changes.remove("id.key-2");
    let error = refuse_missing(&rings(), &changes).unwrap_err();
    assert_eq!((error.message.as_str(), error.hints), ("there is no id.key-2 yet", vec!["octo up".to_owned()]));
}
