//! Rules about what a container or job is allowed to do and how it is told to.

use super::super::catalog::{Attachment, Container};
use super::super::name::Name;
use super::super::problem::{Problem, Step};
use super::super::suggestion::{choice, nearest};
use super::processes::{self, Process};
use super::{Input, steps};

const CAPABILITIES: &[&str] = &[
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

const SIGNALS: &[&str] = &[
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGKILL",
    "SIGPIPE",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];

/// Runs a check over every container of the catalog; it yields path, message and hint.
fn each(input: &Input<'_>, found: &mut Vec<Problem>, check: impl Fn(&Name, &Container) -> Vec<Mistake>) {
    for (service_name, service) in &input.catalog.services {
        for (name, container) in &service.containers {
            for (rest, message, help) in check(name, container) {
                let path = steps!["containers", name].into_iter().chain(rest);
                let place = input.service(service_name, path);
                found.push(Problem { place, message, help });
            }
        }
    }
}

/// What is wrong with one key of a container or job: its path below them, what, and a hint.
type Mistake = (Vec<Step>, String, Option<String>);

/// Runs a check over every container and job of the catalog.
fn each_process(input: &Input<'_>, found: &mut Vec<Problem>, check: impl Fn(&Process<'_>) -> Vec<Mistake>) {
    for (name, service) in &input.catalog.services {
        for process in processes::of(service) {
            found.extend(check(&process).into_iter().map(|(rest, message, help)| {
                let place = input.service(name, process.steps(rest));
                Problem { place, message, help }
            }));
        }
    }
}

/// Capabilities are named one by one.
pub fn capabilities(input: &Input<'_>, found: &mut Vec<Problem>) {
    each_process(input, found, |process| {
        let named = process.capabilities.iter().enumerate();
        named
            .filter(|(_, name)| !CAPABILITIES.contains(&name.as_str()))
            .map(|(index, name)| {
                let path = steps!["capabilities", index].to_vec();
                if name.eq_ignore_ascii_case("all") {
                    let help = "name the capabilities that the process needs".to_owned();
                    return (path, "a process never has all capabilities".to_owned(), Some(help));
                }
                let upper = name.to_uppercase();
                let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
                let help = nearest(bare, CAPABILITIES.iter().copied())
                    .map_or("capabilities(7) lists them; leave `CAP_` out".to_owned(), |name| {
                        format!("did you mean `{name}`?")
                    });
                (path, format!("unknown capability `{name}`"), Some(help))
            })
            .collect()
    });
}

/// AppArmor's profiles have names without blanks.
pub fn profiles(input: &Input<'_>, found: &mut Vec<Problem>) {
    each_process(input, found, |process| {
        let wrong = process
            .apparmor
            .filter(|name| name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()));
        let problem = |name: &str| {
            let help = "write `unconfined`, or a profile that `aa-status` lists on the node".to_owned();
            (steps!["apparmor"].to_vec(), format!("`{name}` is no profile of AppArmor"), Some(help))
        };
        wrong.map(problem).into_iter().collect()
    });
}

/// Signals have names.
pub fn signals(input: &Input<'_>, found: &mut Vec<Problem>) {
    each(input, found, |_, container| {
        let named = [("stop_signal", &container.stop_signal), ("reload", &container.reload)];
        named
            .into_iter()
            .filter_map(|(key, signal)| Some((key, signal.as_deref()?)))
            .filter(|(_, signal)| !is_signal(signal))
            .map(|(key, signal)| {
                let help = choice(signal, "usual", ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGWINCH"]);
                (steps![key].to_vec(), format!("unknown signal `{signal}`"), Some(help))
            })
            .collect()
    });
}

fn is_signal(name: &str) -> bool {
    let real_time = name.strip_prefix("SIGRTMIN+").or(name.strip_prefix("SIGRTMAX-"));
    SIGNALS.contains(&name) || real_time.is_some_and(|number| number.parse::<u8>().is_ok_and(|number| number <= 15))
}

/// Devices are below /dev.
pub fn devices(input: &Input<'_>, found: &mut Vec<Problem>) {
    each(input, found, |_, container| {
        let devices = container.devices.iter().enumerate();
        devices
            .filter(|(_, path)| !path.starts_with("/dev/") || path.split('/').any(|part| part == ".."))
            .map(|(index, path)| (steps!["devices", index].to_vec(), format!("`{path}` is no device below /dev"), None))
            .collect()
    });
}

/// Only containers of the management network have an address.
pub fn networks(input: &Input<'_>, found: &mut Vec<Problem>) {
    each(input, found, |name, container| {
        if container.network == Attachment::Host && container.address.is_some() {
            let message = format!("container `{name}` is on the host's network and has no address of its own");
            vec![(steps!["address"].to_vec(), message, Some("take `address` away".to_owned()))]
        } else {
            Vec::new()
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_their_full_names() {
        for signal in ["SIGTERM", "SIGRTMIN+3", "SIGRTMAX-1"] {
            assert!(is_signal(signal), "{signal}");
        }
        for signal in ["TERM", "sigterm", "15", "SIGRTMIN+x", "SIGRTMIN+99", ""] {
            assert!(!is_signal(signal), "{signal}");
        }
    }
}
