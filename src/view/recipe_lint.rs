//! What no recipe may do, whoever has written it: found in the rendered Dockerfiles.

use std::collections::{BTreeMap, BTreeSet};

use super::dockerfile::TRANSPORT;
use super::rendered::RenderedImage;
use crate::model::name::Name;
use crate::model::problem::{FileId, Place, Problem};

/// Checks rendered recipes. `deployed` are the images that services run in; `base_tag` is what the
/// operator or the distribution has named, and no recipe's fault.
pub fn lint(images: &BTreeMap<Name, RenderedImage>, deployed: &BTreeSet<Name>, base_tag: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, image) in images {
        let place = Place::key(FileId::SERVICES, ["images".into(), name.into()]);
        let instructions = instructions(&image.dockerfile);
        let mut found: Vec<Fault> = instructions.iter().flat_map(|instruction| faults(instruction, base_tag)).collect();
        found.extend(user_fault(name, image, images, deployed));
        problems.extend(found.into_iter().map(|fault| {
            Problem::new(place.clone(), format!("the recipe of image `{name}` {}", fault.what)).with_help(fault.help)
        }));
    }
    problems
}

/// What is wrong, as the rest of a sentence about the recipe, and what to do instead.
struct Fault {
    what: String,
    help: &'static str,
}

fn fault(what: impl Into<String>, help: &'static str) -> Fault {
    Fault { what: what.into(), help }
}

/// One instruction, on one line.
struct Instruction {
    keyword: String,
    rest: String,
}

impl Instruction {
    fn words(&self) -> Vec<&str> {
        self.rest.split_whitespace().collect()
    }

    /// The image that a `FROM` names.
    fn from(&self) -> &str {
        self.rest.split_whitespace().find(|word| !word.starts_with("--")).unwrap_or_default()
    }

    /// The values of an option such as `--mount=`.
    fn options<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.rest.split_whitespace().filter_map(move |word| word.strip_prefix(name))
    }
}

/// The instructions of a Dockerfile, with continued lines joined and comments left out.
fn instructions(dockerfile: &str) -> Vec<Instruction> {
    let mut found = Vec::new();
    let mut open = String::new();
    for line in dockerfile.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (part, continued) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        open.push_str(part);
        open.push(' ');
        if !continued {
            found.extend(instruction(&std::mem::take(&mut open)));
        }
    }
    found.extend(instruction(&open));
    found
}

fn instruction(line: &str) -> Option<Instruction> {
    let (keyword, rest) = line.trim().split_once(char::is_whitespace)?;
    Some(Instruction { keyword: keyword.to_uppercase(), rest: rest.trim().to_owned() })
}

fn faults(instruction: &Instruction, base_tag: &str) -> Vec<Fault> {
    let mut found = Vec::new();
    match instruction.keyword.as_str() {
        "FROM" => found.extend(image_fault(instruction.from(), base_tag)),
        "ADD" => {
            if instruction.words().iter().any(|word| word.contains("://") || word.starts_with("git@")) {
                found.push(fault(
                    format!("adds an address: ADD {}", instruction.rest),
                    "nothing proves what it holds: put the file beside the recipe, or fetch it with its checksum",
                ));
            }
            found.extend(copy_faults(instruction, base_tag));
        }
        "COPY" => found.extend(copy_faults(instruction, base_tag)),
        "RUN" => found.extend(run_faults(instruction, base_tag)),
        _ => {}
    }
    found
}

/// A tag that may be another image tomorrow.
fn image_fault(reference: &str, base_tag: &str) -> Option<Fault> {
    let movable = reference.ends_with(":latest") && reference != base_tag;
    movable.then(|| fault(format!("takes {reference}, which may be another image tomorrow"), "name a version"))
}

fn copy_faults(instruction: &Instruction, base_tag: &str) -> Vec<Fault> {
    let from = instruction.options("--from=").next();
    let mut found: Vec<Fault> = from.and_then(|reference| image_fault(reference, base_tag)).into_iter().collect();
    let words: Vec<&str> = instruction.words().into_iter().filter(|word| !word.starts_with("--")).collect();
    let sources = words.split_last().map_or(&[][..], |(_, sources)| sources);
    let carries = |source: &&&str| {
        let path = source.trim_start_matches("./").trim_matches('/');
        path.is_empty() || path == "." || path == "*" || path == TRANSPORT || path.starts_with("transport/")
    };
    if let Some(source) = sources.iter().find(carries).filter(|_| from.is_none()) {
        found.push(fault(
            format!("copies `{source}`, and with it the passwords of mirrors and proxies into a layer"),
            "bind-mount transport/ in the step that needs it, and copy files by their names",
        ));
    }
    found.extend(instruction.options("--chmod=").filter(|mode| is_for_all(mode)).map(open_to_all));
    found
}

fn run_faults(instruction: &Instruction, base_tag: &str) -> Vec<Fault> {
    let mut found = Vec::new();
    for mount in instruction.options("--mount=") {
        let option = |name: &str| mount.split(',').find_map(|part| part.strip_prefix(name));
        if matches!(option("type="), Some("secret" | "ssh")) {
            found.push(fault(
                format!("mounts a secret that octo does not send: --mount={mount}"),
                "what carries packages comes through a bind mount of transport/",
            ));
        }
        found.extend(option("from=").and_then(|reference| image_fault(reference, base_tag)));
    }
    let text = instruction.rest.replace(';', " ; ");
    let words: Vec<&str> = text.split_whitespace().skip_while(|word| word.starts_with("--")).collect();
    let commands = words.split(|word| matches!(*word, "&&" | "||" | ";" | "|" | "{" | "(" | "then" | "do" | "else"));
    for command in commands {
        // Variables for this command alone stand before its name.
        let mut command =
            command.iter().skip_while(|word| word.contains('=')).map(|word| word.trim_matches(['"', '\'', ')', '}']));
        let Some(program) = command.next().map(|program| program.rsplit('/').next().unwrap_or(program)) else {
            continue;
        };
        let arguments: Vec<&str> = command.collect();
        match program {
            "apt-get" | "apt" | "aptitude" | "dnf" | "dnf5" | "microdnf" | "yum" => {
                let verb = arguments.iter().find(|word| !word.starts_with('-')).copied().unwrap_or_default();
                let rpm = !program.starts_with("apt");
                let whole = ["upgrade", "dist-upgrade", "full-upgrade", "safe-upgrade", "distro-sync"];
                if whole.contains(&verb) || (rpm && verb == "update") {
                    found.push(fault(
                        format!("upgrades the whole base: {program} {verb}"),
                        "the result would depend on the day: make the base anew instead",
                    ));
                }
            }
            "chmod" => found.extend(arguments.iter().filter(|mode| is_for_all(mode)).map(|mode| open_to_all(mode))),
            "install" | "mkdir" => {
                let modes = arguments.iter().filter_map(|word| word.strip_prefix("--mode="));
                let short = arguments.windows(2).filter(|pair| pair[0] == "-m").map(|pair| pair[1]);
                found.extend(modes.chain(short).filter(|mode| is_for_all(mode)).map(open_to_all));
            }
            _ => {}
        }
    }
    found
}

/// Whether a mode lets everybody write and remove; with the sticky bit others' files are safe.
fn is_for_all(mode: &str) -> bool {
    matches!(mode, "777" | "0777" | "a+rwx" | "a=rwx" | "ugo+rwx" | "ugo=rwx" | "+rwx" | "666" | "0666")
        || matches!(mode, "a+w" | "o+w" | "ugo+w" | "go+w")
}

fn open_to_all(mode: &str) -> Fault {
    fault(
        format!("lets everybody write: mode {mode}"),
        "give the directory to the image's user: `directories` in its `args`",
    )
}

/// The user at the end, which the recipe may leave to its parent.
fn user_fault(
    name: &Name,
    image: &RenderedImage,
    images: &BTreeMap<Name, RenderedImage>,
    deployed: &BTreeSet<Name>,
) -> Option<Fault> {
    const HELP: &str = "end it with `USER {{ user.name }}`";
    let own = instructions(&image.dockerfile);
    let last = own.iter().rev().find(|instruction| instruction.keyword == "USER");
    match last.map(|instruction| instruction.rest.as_str()) {
        Some(user) if is_root(user) => Some(fault(format!("ends as {user}"), HELP)),
        Some(_) => None,
        None if deployed.contains(name) && inherited(image, images).is_none_or(|user| is_root(&user)) => {
            Some(fault("names no user, so that its services would run as root", HELP))
        }
        None => None,
    }
}

/// The user that an image takes over from what it stands on.
fn inherited(image: &RenderedImage, images: &BTreeMap<Name, RenderedImage>) -> Option<String> {
    let mut image = image;
    // No chain is longer than there are images.
    for _ in 0..images.len() {
        let found = instructions(&image.dockerfile);
        if let Some(user) = found.iter().rev().find(|instruction| instruction.keyword == "USER") {
            return Some(user.rest.clone());
        }
        let from = found.iter().rev().find(|instruction| instruction.keyword == "FROM")?;
        image = images.values().find(|other| other.tag == from.from())?;
    }
    None
}

fn is_root(user: &str) -> bool {
    matches!(user.split(':').next().unwrap_or_default().trim(), "" | "root" | "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, dockerfile: &str) -> RenderedImage {
        RenderedImage {
            name: name.parse().unwrap(),
            tag: format!("octo/{name}:1"),
            dockerfile: dockerfile.to_owned(),
            context: BTreeMap::new(),
            after: Vec::new(),
        }
    }

    fn found(images: &[RenderedImage], deployed: &[&str]) -> Vec<String> {
        let images = images.iter().map(|image| (image.name.clone(), image.clone())).collect();
        let deployed = deployed.iter().map(|name| name.parse().unwrap()).collect();
        lint(&images, &deployed, "mine:latest").into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn every_fault_is_found_with_its_image() {
        for (line, words) in [
            ("FROM debian:latest", "may be another image tomorrow"),
            ("COPY --from=tools:latest /a /a", "may be another image tomorrow"),
            ("RUN --mount=type=bind,from=tools:latest,target=/t true", "may be another image tomorrow"),
            ("ADD https://example.org/a.tar /", "adds an address"),
            ("ADD git@example.org:a.git /", "adds an address"),
            ("RUN true && chmod -R 777 /srv", "mode 777"),
            ("RUN install --directory \\\n  # why\n  --mode=0777 /srv", "mode 0777"),
            ("COPY --chmod=777 a /a", "mode 777"),
            ("RUN apt-get update && apt-get --yes dist-upgrade", "upgrades the whole base"),
            ("RUN sh -c 'x'; dnf -y update", "upgrades the whole base"),
            ("RUN --mount=type=cache,target=/c A=b apt-get upgrade", "upgrades the whole base"),
            ("FROM --platform=linux/amd64 debian:latest", "may be another image tomorrow"),
            ("RUN --mount=type=secret,id=pip true", "mounts a secret"),
            ("COPY . /srv", "passwords"),
            ("COPY ./transport/ca.pem /ca.pem", "passwords"),
            ("USER root", "ends as root"),
            ("USER 0:0", "ends as 0:0"),
        ] {
            let messages = found(&[image("app", &format!("FROM base:1\n{line}\n"))], &[]);
            assert_eq!(messages.len(), 1, "{line}: {messages:?}");
            assert!(messages[0].contains("image `app`") && messages[0].contains(words), "{line}: {messages:?}");
        }
    }

    #[test]
    fn what_is_right_is_left_alone() {
        let text = "# apt-get upgrade\nFROM mine:latest\nENV A=b \\\n  C=d\nRUN --mount=type=bind,source=transport,target=/run/transport \\\n\
                    apt-get install upgrade-tools && chmod 1777 /run && apt-get update && echo chmod 777\n\
                    COPY --from=octo/uv:1 / /uv\nCOPY file transport.conf /etc/\nUSER root\nUSER app\n";
        assert_eq!(found(&[image("app", text)], &["app"]), Vec::<String>::new());
    }

    #[test]
    fn a_deployed_image_has_a_user_of_its_own_or_its_parents() {
        let base = image("base", "FROM mine:latest\n");
        let parent = image("parent", "FROM octo/base:1\nUSER app\n");
        let child = image("child", "FROM octo/parent:1\n");
        let orphan = image("orphan", "FROM octo/base:1\n");
        let all = [base, parent, child, orphan];
        assert_eq!(found(&all, &["child", "parent"]), Vec::<String>::new());
        let messages = found(&all, &["child", "orphan"]);
        assert_eq!(messages, ["the recipe of image `orphan` names no user, so that its services would run as root"]);
    }
}
