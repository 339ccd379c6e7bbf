//! `octo logs`: the output of containers, merged by time.

use std::collections::BTreeMap;

use futures_util::stream::{BoxStream, Peekable, select_all};
use futures_util::{Stream, StreamExt};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use regex::Regex;

use crate::cli::LogsArgs;
use crate::controller::command::DONE;
use crate::controller::command::select::{Labelled, chosen};
use crate::controller::context::Context;
use crate::controller::docker::Engine;
use crate::controller::docker::logs::LogQuery;
use crate::controller::wiring;
use crate::error::{Error, ErrorKind};
use crate::model::label;
use crate::model::log::Line;
use crate::model::name::Name;
use crate::model::node::node_in;
use crate::model::observed::RunState;
use crate::model::settings::Settings;
use crate::view::terminal::log::Prefixes;
use crate::view::{json, terminal};

/// Lines of the past that `--follow` begins with.
const FOLLOWED_TAIL: u32 = 20;

/// A container's lines, from the oldest to the newest.
type Lines = BoxStream<'static, Result<Line, Error>>;

/// Shows the logs that exist, and with `--follow` what comes.
pub async fn run(args: LogsArgs, context: &Context) -> Result<u8, Error> {
    let settings = wiring::load(context)?.settings;
    let grep = args.grep.as_deref().map(pattern).transpose()?;
    let since = args.since.as_deref().map(|text| moment(text, &Zoned::now())).transpose()?;
    let Everywhere { engines, containers, homes } = everywhere(context, &settings, args.node.as_ref()).await?;
    let chosen = chosen(&args.targets, &containers)?;
    let query = LogQuery {
        follow: args.follow,
        since: since.map(Timestamp::as_second),
        tail: args.tail.or(args.follow.then_some(FOLLOWED_TAIL)).map(u64::from),
        timestamps: true,
    };
    let streams: Vec<Lines> = chosen
        .keys()
        .filter_map(|name| {
            let container = (*name).to_owned();
            let lines = engines.get(*homes.get(*name)?)?.logs(name, &query);
            Some(lines.map(move |line| Ok(Line::parse(&container, &line?.text))).boxed())
        })
        .collect();
    let names: Vec<&str> = chosen.keys().copied().collect();
    let view = View { grep, timestamps: args.timestamps, prefixes: Prefixes::new(&settings.cloud, &names) };
    if args.follow {
        // What comes later cannot be waited for, so lines stand in the order of their arrival.
        view.show(select_all(streams), context).await
    } else {
        view.show(merged(streams), context).await
    }
}

/// The containers and jobs of a cloud on all nodes that answer.
pub struct Everywhere {
    /// The nodes' engines.
    pub engines: Vec<Engine>,
    /// Containers and jobs by full name.
    pub containers: BTreeMap<String, Labelled>,
    /// On which of the engines each is.
    pub homes: BTreeMap<String, usize>,
}

/// Looks for the containers and jobs of a cloud, on one node or on all. What does not answer is said.
pub async fn everywhere(context: &Context, settings: &Settings, node: Option<&Name>) -> Result<Everywhere, Error> {
    let (engines, silent) = wiring::engines(context, settings).await?;
    for (name, why) in silent.iter().filter(|(name, _)| node.is_none_or(|node| node == *name)) {
        context.output.say(&format!("node {name} does not answer: {why}\n"));
    }
    let mut found = Everywhere { engines, containers: BTreeMap::new(), homes: BTreeMap::new() };
    for (place, engine) in found.engines.iter().enumerate() {
        for (name, container) in labelled(engine, &settings.cloud).await? {
            if node.is_none_or(|node| node_in(&name) == Some(node.as_str())) {
                found.homes.insert(name.clone(), place);
                found.containers.insert(name, container);
            }
        }
    }
    Ok(found)
}

/// The containers and jobs of a cloud on one engine, as their labels have them.
async fn labelled(engine: &Engine, cloud: &Name) -> Result<BTreeMap<String, Labelled>, Error> {
    let inventory = engine.inventory(cloud).await?;
    let parts = inventory.containers.into_iter().map(|(name, container)| {
        let label = |key: &str| container.labels.get(key).cloned();
        let labelled = Labelled {
            service: label(label::SERVICE).unwrap_or_default(),
            part: label(label::CONTAINER).or_else(|| label(label::JOB)).unwrap_or_default(),
            running: container.state == RunState::Running,
        };
        (name, labelled)
    });
    Ok(parts.collect())
}

struct View {
    grep: Option<Regex>,
    timestamps: bool,
    prefixes: Prefixes,
}

impl View {
    async fn show(
        &self,
        lines: impl Stream<Item = Result<Line, Error>> + Send,
        context: &Context,
    ) -> Result<u8, Error> {
        let mut lines = std::pin::pin!(lines);
        let output = &context.output;
        while let Some(line) = lines.next().await {
            let line = line?;
            if self.grep.as_ref().is_some_and(|grep| !grep.is_match(&line.text)) {
                continue;
            }
            if output.is_json() {
                output.document_line(&json::log_line(&line));
            } else {
                output.data(&terminal::log::line(&line, &self.prefixes, self.timestamps));
            }
            if output.is_closed() {
                break;
            }
        }
        Ok(DONE)
    }
}

/// Merges streams that are each in order, holding one line of each.
fn merged(streams: Vec<Lines>) -> impl Stream<Item = Result<Line, Error>> + Send {
    let waiting: Vec<_> = streams.into_iter().map(|stream| Box::pin(stream.peekable())).collect();
    futures_util::stream::unfold(waiting, async |mut waiting: Vec<std::pin::Pin<Box<Peekable<Lines>>>>| {
        let mut oldest: Option<(usize, Option<Timestamp>)> = None;
        for (number, stream) in waiting.iter_mut().enumerate() {
            // An error, and a line without a time, come at once.
            let Some(next) = stream.as_mut().peek().await else { continue };
            let time = next.as_ref().ok().and_then(|line| line.time);
            if oldest.is_none_or(|(_, found)| time < found) {
                oldest = Some((number, time));
            }
        }
        let (number, _) = oldest?;
        let line = waiting.get_mut(number)?.next().await?;
        Some((line, waiting))
    })
}

fn pattern(text: &str) -> Result<Regex, Error> {
    Regex::new(text).map_err(|error| {
        // Its message is several lines with a caret under the place.
        Error::new(ErrorKind::Usage, "that is no regular expression").detail(error.to_string())
    })
}

/// A moment: so long ago, or a time with or without a zone.
fn moment(text: &str, now: &Zoned) -> Result<Timestamp, Error> {
    if let Ok(span) = text.parse::<Span>()
        && let Ok(then) = now.checked_sub(span.abs())
    {
        return Ok(then.timestamp());
    }
    let zoned = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::system()).ok();
    text.parse::<Timestamp>().ok().or_else(|| zoned().map(|zoned| zoned.timestamp())).ok_or_else(|| {
        let error = Error::new(ErrorKind::Usage, format!("`{text}` is neither a duration nor a time"));
        error.hint("octo logs --since 10m").hint("octo logs --since 2026-11-20T10:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn lines(container: &'static str, seconds: &'static [u8]) -> Lines {
        let line = move |second: &u8| {
            Ok(Line::parse(container, &format!("2026-11-20T10:00:{second:02}.000000001Z {container} at {second}")))
        };
        stream::iter(seconds.iter().map(line)).boxed()
    }

    #[tokio::test]
    async fn lines_of_all_containers_stand_in_the_order_of_time() {
        let all: Vec<_> = merged(vec![lines("a", &[1, 4, 9]), lines("b", &[2, 3]), lines("c", &[])]).collect().await;
        let texts: Vec<_> = all.into_iter().map(|line| line.unwrap().text).collect();
        assert_eq!(texts, ["a at 1", "b at 2", "b at 3", "a at 4", "a at 9"]);
    }

    #[test]
    fn moments_are_ago_or_absolute() {
        let now: Zoned = "2026-11-20T10:00:00[UTC]".parse().unwrap();
        let shown = |text: &str| moment(text, &now).map(|time| time.to_string()).map_err(|error| error.message);
        assert_eq!(shown("10m").unwrap(), "2026-11-20T09:50:00Z");
        assert_eq!(shown("1h30m").unwrap(), "2026-11-20T08:30:00Z");
        assert_eq!(shown("2026-11-19T00:00:00Z").unwrap(), "2026-11-19T00:00:00Z");
        assert_eq!(shown("soon").unwrap_err(), "`soon` is neither a duration nor a time");
    }
}
