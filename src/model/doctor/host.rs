//! Findings about the engine and the machine under it.

use super::{
    DISK_WARNING, Disk, Facts, Finding, MEMORY_PER_CONTAINER, OLDEST_API, PROCESSORS, Trouble, bytes as readable_bytes,
};

/// Everything else of the machine is of no use without an engine.
pub(super) fn engine(facts: &Facts) -> Vec<Finding> {
    let engine = match &facts.engine {
        None => return Vec::new(),
        Some(Err(Trouble { reason, repair })) => {
            let message = format!("no answer at {}: {reason}", facts.endpoint);
            return vec![Finding::failure("engine", message, repair.as_deref().unwrap_or("systemctl start docker"))];
        }
        Some(Ok(engine)) => engine,
    };
    let mut findings = Vec::new();
    let (major, minor) = OLDEST_API;
    let spoken = engine.api.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    if spoken.is_some_and(|spoken: (u16, u16)| spoken < OLDEST_API) {
        findings.push(Finding::failure(
            "engine",
            format!("version {} speaks API {}, octo needs {major}.{minor}", engine.version, engine.api),
            "install Docker Engine 20.10 or newer",
        ));
    } else {
        findings.push(Finding::ok("engine", format!("version {}, API {}", engine.version, engine.api)));
    }
    let slow = match engine.storage_driver.as_str() {
        "vfs" => Some("driver vfs copies every layer: images take many times their size"),
        // Each file that is opened passes through a process of the driver's.
        "fuse-overlayfs" => Some("driver fuse-overlayfs: services take twice as long to start"),
        _ => None,
    };
    findings.push(match slow {
        Some(message) => {
            Finding::warning("storage", message, "set `\"storage-driver\": \"overlay2\"` in /etc/docker/daemon.json")
        }
        None => Finding::ok("storage", format!("driver {}", engine.storage_driver)),
    });
    if engine.missing_limits.is_empty() {
        findings.push(Finding::ok("cgroups", format!("version {}", engine.cgroup_version)));
    } else {
        findings.push(Finding::warning(
            "cgroups",
            format!("version {}; the engine cannot limit {}", engine.cgroup_version, engine.missing_limits.join(", ")),
            "boot the kernel with `cgroup_enable=memory swapaccount=1`, or use cgroup version 2",
        ));
    }
    findings
}

/// Processors, memory, who octo is, the clock, the tool for a Debian base.
pub(super) fn machine(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    match facts.root {
        Some(true) => findings.push(Finding::ok("user", "root")),
        Some(false) => findings.push(Finding::failure(
            "user",
            "not root: bridges and addresses of the host cannot be set",
            "sudo octo up",
        )),
        None => {}
    }
    match facts.processors {
        Some(number) if number < PROCESSORS && !facts.small => findings.push(Finding::warning(
            "processors",
            format!("{number}; everything takes longer below {PROCESSORS}"),
            format!("give the machine {PROCESSORS} processors"),
        )),
        Some(number) => findings.push(Finding::ok("processors", number.to_string())),
        None => {}
    }
    findings.extend(memory(facts));
    match facts.missing_capabilities.as_deref() {
        Some([]) => findings.push(Finding::ok("capabilities", "all that containers need can be given")),
        Some(missing) => findings.push(Finding::failure(
            "capabilities",
            format!("containers need {}, which this machine cannot give", missing.join(", ")),
            "run octo and the engine where those capabilities are not taken away",
        )),
        None => {}
    }
    match facts.clock_synchronised {
        Some(true) => findings.push(Finding::ok("clock", "synchronised")),
        Some(false) => findings.push(Finding::warning(
            "clock",
            "nothing keeps it right; tokens of two machines need the same time",
            "timedatectl set-ntp true",
        )),
        None => {}
    }
    if let Some(bootstrap) = facts.bootstrap {
        findings.push(match (bootstrap.needed, bootstrap.tool) {
            (true, false) => Finding::failure(
                "base",
                "a Debian base has to be bootstrapped, and mmdebstrap is missing",
                "apt-get install mmdebstrap",
            ),
            (true, true) => Finding::ok("base", "mmdebstrap is present"),
            (false, _) => Finding::ok("base", "nothing has to be bootstrapped"),
        });
    }
    findings
}

/// Memory for what does not run yet; where only all of it is known, for everything.
pub(super) fn memory(facts: &Facts) -> Option<Finding> {
    let (memory, which, containers, purpose) = match facts.memory_available {
        Some(available) => (available, "available", facts.containers_to_start, "to start"),
        None => (facts.memory_total?, "in all", facts.containers, "of the cloud"),
    };
    let containers = containers.unwrap_or(0);
    let needed = MEMORY_PER_CONTAINER * containers as u64;
    let words = format!("{} {which}", readable_bytes(memory));
    if containers == 0 {
        return Some(Finding::ok("memory", words));
    }
    let message = format!("{words}, {containers} containers {purpose} need about {}", readable_bytes(needed));
    let repair = "stop other programs, or enable fewer services in configuration.yaml";
    Some(match memory {
        // Half of it lets things start, slowly; less ends in processes being killed.
        _ if memory < needed / 2 => Finding::failure("memory", message, repair),
        _ if memory < needed => Finding::warning("memory", message, repair),
        _ => Finding::ok("memory", message),
    })
}

/// Space and inodes.
pub(super) fn disks(facts: &Facts, minimum: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for disk in &facts.disks {
        findings.push(space(disk, minimum));
        let (free, all) = disk.inodes;
        if all > 0 && free < all / 50 {
            findings.push(Finding::failure(
                "disk",
                format!("{} ({}) has {free} of {all} inodes left", disk.path, disk.purpose),
                "docker image prune",
            ));
        }
    }
    findings
}

fn space(disk: &Disk, minimum: u64) -> Finding {
    let message = format!("{} free in {} ({})", readable_bytes(disk.free), disk.path, disk.purpose);
    match disk.free {
        free if free < minimum => Finding::failure(
            "disk",
            format!("{message}, octo needs {}", readable_bytes(minimum)),
            "docker image prune, or give the file system more space",
        ),
        free if free < DISK_WARNING => Finding::warning("disk", message, "docker image prune"),
        _ => Finding::ok("disk", message),
    }
}

/// Directories that octo writes.
pub(super) fn directories(facts: &Facts) -> Vec<Finding> {
    facts
        .directories
        .iter()
        .map(|directory| {
            let path = &directory.path;
            if let Some(reason) = &directory.refused {
                let message = format!("cannot write {path} ({}): {reason}", directory.purpose);
                return Finding::failure("directory", message, format!("sudo mkdir -p {path}"));
            }
            match directory.mode {
                Some(mode) if directory.private && mode & 0o077 != 0 => Finding::warning(
                    "directory",
                    format!("{path} ({}) is open to others, mode {:o}", directory.purpose, mode & 0o777),
                    format!("chmod 700 {path}"),
                ),
                _ => Finding::ok("directory", format!("{path} ({})", directory.purpose)),
            }
        })
        .collect()
}

/// Devices that containers are given.
pub(super) fn devices(facts: &Facts) -> Vec<Finding> {
    let judge = |(path, present): (&String, &Option<bool>)| match present {
        Some(true) => Finding::ok("devices", format!("{path} exists")),
        Some(false) => {
            let repair = match path.as_str() {
                "/dev/net/tun" => "modprobe tun".to_owned(),
                _ => format!("load the kernel module that makes {path}"),
            };
            Finding::failure("devices", format!("{path} does not exist, and a container needs it"), repair)
        }
        None => Finding::unknown("devices", format!("whether {path} exists shows when a container gets it")),
    };
    facts.devices.iter().map(judge).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Engine, GIB, Level, examine, preflight};
    use super::*;

    fn levels(findings: &[Finding]) -> Vec<(Level, &str)> {
        findings.iter().map(|finding| (finding.level, finding.subject)).collect()
    }

    #[test]
    fn an_engine_that_is_down_is_one_failure() {
        let facts = Facts {
            engine: Some(Err(Trouble { reason: "no such file".to_owned(), repair: None })),
            endpoint: "unix:///x".to_owned(),
            ..Facts::default()
        };
        let findings = preflight(&facts, false);
        assert_eq!(levels(&findings), [(Level::Failure, "engine")]);
        assert_eq!(findings[0].message, "no answer at unix:///x: no such file");
        assert_eq!(findings[0].repair.as_deref(), Some("systemctl start docker"));
    }

    #[test]
    fn an_old_engine_is_refused_and_a_new_one_is_not() {
        let facts = |api: &str| Facts {
            engine: Some(Ok(Engine { api: api.to_owned(), ..Engine::default() })),
            ..Facts::default()
        };
        assert_eq!(engine(&facts("1.40"))[0].level, Level::Failure);
        assert_eq!(engine(&facts("1.41"))[0].level, Level::Ok);
        assert_eq!(engine(&facts("1.100"))[0].level, Level::Ok);
    }

    #[test]
    fn a_slow_store_of_images_is_told_with_its_repair() {
        for (driver, level) in [("overlay2", Level::Ok), ("fuse-overlayfs", Level::Warning), ("vfs", Level::Warning)] {
            let found = Engine { storage_driver: driver.to_owned(), ..Engine::default() };
            let findings = engine(&Facts { engine: Some(Ok(found)), ..Facts::default() });
            let finding = findings.iter().find(|finding| finding.subject == "storage").unwrap();
            assert_eq!(finding.level, level, "{driver}");
            assert!(finding.message.contains(driver), "{}", finding.message);
            assert_eq!(finding.repair.is_some(), level != Level::Ok);
        }
    }

    #[test]
    fn a_device_that_is_missing_is_told_with_its_module() {
        let found = [("/dev/net/tun", Some(false)), ("/dev/null", Some(true)), ("/dev/odd", None)];
        let devices = found.map(|(path, present)| (path.to_owned(), present)).into();
        let facts = Facts { devices, ..Facts::default() };
        let findings = preflight(&facts, false);
        assert_eq!(levels(&findings), [(Level::Failure, "devices")]);
        assert_eq!(findings[0].repair.as_deref(), Some("modprobe tun"));
        let all = [(Level::Failure, "devices"), (Level::Ok, "devices"), (Level::Unknown, "devices")];
        assert_eq!(levels(&super::devices(&facts)), all);
    }

    #[test]
    fn memory_is_needed_only_by_what_does_not_run_yet() {
        let facts = |available, containers| Facts {
            memory_available: Some(available),
            containers_to_start: Some(containers),
            ..Facts::default()
        };
        let level = |available, containers| memory(&facts(available, containers)).unwrap().level;
        assert_eq!(level(GIB / 8, 0), Level::Ok);
        assert_eq!(level(GIB / 2, 8), Level::Failure);
        assert_eq!(level(GIB, 8), Level::Warning);
        assert_eq!(level(2 * GIB, 8), Level::Ok);
    }

    #[test]
    fn without_knowing_what_is_free_all_memory_has_to_be_enough_for_all_containers() {
        let facts = Facts {
            memory_total: Some(2 * GIB),
            containers_to_start: Some(2),
            containers: Some(14),
            ..Facts::default()
        };
        let finding = memory(&facts).unwrap();
        assert_eq!(finding.level, Level::Warning);
        assert_eq!(finding.message, "2.0 GiB in all, 14 containers of the cloud need about 2.6 GiB");
        let known = Facts { memory_available: Some(GIB), ..facts };
        assert_eq!(memory(&known).unwrap().message, "1.0 GiB available, 2 containers to start need about 384 MiB");
    }

    #[test]
    fn one_processor_is_enough_for_a_vote() {
        let facts = |small| Facts { processors: Some(1), small, ..Facts::default() };
        assert_eq!(levels(&machine(&facts(false))), [(Level::Warning, "processors")]);
        assert_eq!(levels(&machine(&facts(true))), [(Level::Ok, "processors")]);
    }

    #[test]
    fn a_disk_may_be_fuller_when_nothing_is_built() {
        let disk = Disk { purpose: "images".into(), path: "/x".into(), free: 2 * GIB, inodes: (0, 0) };
        let facts = Facts { disks: vec![disk], ..Facts::default() };
        assert_eq!(levels(&preflight(&facts, true)), [(Level::Failure, "disk")]);
        assert_eq!(levels(&preflight(&facts, false)), []);
        assert_eq!(levels(&examine(&facts)), [(Level::Failure, "disk")]);
    }
}
