//! All rounds of all faults, one after the other on one cloud, and the page that comes of it.

use std::fs;
#[cfg(feature = "faults")]
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use super::catalogue::{FAULTS, Fault, Injection, Place};
use super::page::{Circumstances, Row, page, table};
use super::probe::{Probe, unknown};
use super::round::Round;
use super::samples::{HEALTHY, INJECTED, Kind, REPAIRED};
use super::scene::PATIENCE;
use super::target::Target;
use crate::lab::eventually;
use crate::pair::Pair;
#[cfg(feature = "faults")]
use crate::simulated::Hosts;

/// The size of each host's disk, which a fault fills. It takes no room before it is written to.
pub const DISK: &str = "8G";
/// How long the client watches the cloud before a fault.
#[cfg(feature = "faults")]
const QUIET: Duration = Duration::from_secs(2);
/// How long everything has to stay as it should be, under load, for a round to end.
#[cfg(feature = "faults")]
const SETTLED: Duration = Duration::from_secs(3);
/// The pause between two looks at a cloud that is not well yet: they take processor time from it.
const PAUSE: Duration = Duration::from_secs(1);
/// Seconds in which the cloud has to serve each kind of request before a fault.
const START: u64 = 60;
/// Milliseconds between two requests of the client, unless it is told otherwise.
const EVERY: u64 = 50;
/// Where nothing is measured: the pace of a client that leaves the processors to the cloud, a glance at the usual
/// before and after, and how long a fault lasts at most, in which all notice it.
const LEISURELY: u64 = 100;
const GLANCE: Duration = Duration::from_secs(1);
const BRIEF: Duration = Duration::from_secs(7);

/// What is to be measured, from the surroundings.
struct Settings {
    runs: usize,
    /// Milliseconds.
    every: u64,
    faults: Vec<Fault>,
    /// How long the cloud is watched before a fault.
    quiet: Duration,
    /// No fault lasts longer.
    longest: Duration,
    /// How long everything has to stay well.
    settled: Duration,
    /// Where the page is written to; without it the table is only printed.
    page: Option<PathBuf>,
}

impl Settings {
    /// Each fault once, in no more time than it takes to see what comes of it. The loss of the majority has a test of
    /// its own, with instances.
    fn quick() -> Self {
        let left_out =
            |fault: &&Fault| matches!(fault.injection, Injection::Nothing | Injection::PowerOff(Place::Majority));
        let faults = FAULTS.iter().filter(|fault| !left_out(fault)).copied().collect();
        Self { runs: 1, every: LEISURELY, faults, quiet: GLANCE, longest: BRIEF, settled: GLANCE, page: None }
    }

    #[cfg(feature = "faults")]
    fn from_surroundings() -> Self {
        let told = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let only = told("OCTO_FAULTS_ONLY").unwrap_or_default().to_lowercase();
        let wanted =
            |fault: &&Fault| only.is_empty() || only.split(',').any(|part| fault.name.to_lowercase().contains(part));
        let faults: Vec<Fault> = FAULTS.iter().filter(wanted).copied().collect();
        let names: Vec<&str> = FAULTS.iter().map(|fault| fault.name).collect();
        assert!(!faults.is_empty(), "no fault has `{only}` in its name: {}", names.join("; "));
        Self {
            runs: told("OCTO_FAULTS_RUNS").map_or(5, |runs| runs.parse().unwrap()),
            every: told("OCTO_FAULTS_EVERY").map_or(EVERY, |every| every.parse().unwrap()),
            faults,
            quiet: QUIET,
            longest: Duration::MAX,
            settled: SETTLED,
            page: told("OCTO_FAULTS_TABLE").map(|page| Path::new(env!("CARGO_MANIFEST_DIR")).join(page)),
        }
    }

    /// What a person types for the same.
    fn command(&self) -> String {
        let every = if self.every == EVERY { String::new() } else { format!("OCTO_FAULTS_EVERY={} ", self.every) };
        format!("{every}scripts/faults {}", self.runs)
    }
}

/// Measures all that the surroundings ask for, on a cloud of its own.
#[cfg(feature = "faults")]
pub fn the_whole_table() {
    let pair = Pair::up_on(Hosts::with_disks(3, DISK));
    Harness::new(&pair, Settings::from_surroundings()).run();
}

/// Injects each fault once into a cloud that is well.
pub fn each_once(pair: &Pair) {
    Harness::new(pair, Settings::quick()).run();
}

struct Harness<'a> {
    pair: &'a Pair,
    settings: Settings,
    rows: Vec<Row>,
    /// All projects of all rounds that the client was told have been made.
    acknowledged: Vec<String>,
    /// What must never happen, and did.
    wrong: Vec<String>,
}

impl<'a> Harness<'a> {
    fn new(pair: &'a Pair, settings: Settings) -> Self {
        Self { pair, settings, rows: Vec::new(), acknowledged: Vec::new(), wrong: Vec::new() }
    }

    /// Measures, prints, writes, and panics in the end if a write was lost, two sides wrote, or the cloud did not
    /// come back. Missed budgets are told and not asserted: how long something takes is no test.
    fn run(mut self) {
        let ended = self.measure().and_then(|()| self.look_for_all());
        // A fault without a round has cost nothing that could be told.
        self.rows.retain(|row| !row.rounds.is_empty());
        let remark = ended.err();
        self.wrong.extend(remark.clone());
        println!("\n{}", table(&self.rows));
        self.write(remark);
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }

    /// All rounds. It ends early, with the reason, where a further one would measure nothing.
    fn measure(&mut self) -> Result<(), String> {
        self.pair.becomes_well()?;
        for (place, fault) in self.settings.faults.clone().into_iter().enumerate() {
            let (name, budgets) = (fault.name.to_owned(), fault.budgets.to_vec());
            self.rows.push(Row { fault: name, budgets, rounds: Vec::new() });
            for number in 0..self.settings.runs {
                let what = format!("{}, run {}", fault.name, number + 1);
                let label = format!("faults-{place}-{number}");
                let round = self.round(&fault, number, &label).map_err(|reason| format!("{what}: {reason}"))?;
                println!("{what}: {round:?}");
                self.wrong.extend(round.wrong().map(|wrong| format!("{what}: {wrong}")));
                let came_back = round.healthy.is_finite();
                self.rows.last_mut().unwrap().rounds.push(round);
                if !came_back {
                    return Err(format!("{what}: the cloud was not well within {PATIENCE} seconds"));
                }
            }
        }
        Ok(())
    }

    /// One round: the cloud, which is well, is watched, has the fault, and is well again.
    fn round(&mut self, fault: &Fault, number: usize, label: &str) -> Result<Round, String> {
        let pair = self.pair;
        pair.place_writer(fault.writer_at_vip)?;
        let target = Target::choose(pair, fault.injection, number)?;
        let mut load = Probe::load(pair, Duration::from_millis(self.settings.every), label);
        let mut calls = fault.calls.then(|| Probe::calls(pair, target.spared()));
        let all = [Kind::ReadKeystone, Kind::ReadGlance, Kind::Write];
        let served = eventually(START, || {
            load.log().served(&all) && calls.as_ref().is_none_or(|calls| calls.log().served(&[Kind::Rpc]))
        });
        if !served {
            return Err("the cloud does not serve before the fault".to_owned());
        }
        // Not for anything to become true: so that the usual is seen before the unusual.
        thread::sleep(self.settings.quiet);

        let mut mark = |name: &str| {
            load.mark(name);
            if let Some(calls) = &mut calls {
                calls.mark(name);
            }
        };
        mark(INJECTED);
        target.inject();
        thread::sleep(fault.hold.min(self.settings.longest));
        let split = target.divides() && pair.primaries() > 1;
        if target.is_to_be_repaired() {
            mark(REPAIRED);
            target.repair();
        }
        let well = eventually(PATIENCE, || {
            if !target.runs_anew() || !pair.is_well() {
                thread::sleep(PAUSE);
                return false;
            }
            mark(HEALTHY);
            thread::sleep(self.settings.settled);
            pair.is_well()
        });

        let directory = pair.directory.join("rounds");
        fs::create_dir_all(&directory).unwrap();
        let keep = |kind: &str, text: String| fs::write(directory.join(format!("{label}-{kind}.jsonl")), text).unwrap();
        let (mut load, text) = load.finish();
        keep("load", text);
        let calls = calls.map(|calls| {
            let (log, text) = calls.finish();
            keep("calls", text);
            log
        });
        if !well {
            // It may have been well for a moment.
            load.marks.remove(HEALTHY);
        }
        let acknowledged = load.acknowledged();
        let lost = unknown(pair, &acknowledged)?;
        self.acknowledged.extend(acknowledged.into_iter().filter(|project| !lost.contains(project)));
        Ok(Round::of(&load, calls.as_ref(), lost.len(), split))
    }

    /// What was there after its round is still there after all others.
    fn look_for_all(&mut self) -> Result<(), String> {
        let lost = unknown(self.pair, &self.acknowledged)?;
        if !lost.is_empty() {
            self.wrong.push(format!("lost in a later round than it was made in: {}", lost.join(", ")));
        }
        Ok(())
    }

    fn write(&self, remark: Option<String>) {
        let Some(path) = &self.settings.page else { return };
        let circumstances = Circumstances {
            date: jiff::Timestamp::now().to_string().chars().take_while(|letter| *letter != 'T').collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            processors: thread::available_parallelism().map_or(1, usize::from),
            runs: self.settings.runs,
            every: self.settings.every,
            command: self.settings.command(),
            remark,
        };
        fs::write(path, page(&circumstances, &self.rows)).unwrap();
    }
}
