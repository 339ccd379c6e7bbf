//! The memory that containers use. The engine's own answer takes a second, since it waits for its
//! next sample; on this machine the kernel's is there at once.

#![expect(clippy::disallowed_methods, reason = "the kernel shows memory in /sys")]

use std::fs;
use std::path::{Path, PathBuf};

use bollard::query_parameters::StatsOptions;
use futures_util::StreamExt;

use super::Engine;
use super::failure::{explain, is_missing};
use crate::error::Error;

/// Where the kernel shows control groups.
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// The file with the memory in use, and the name of its reclaimable part in `memory.stat`: with
/// control groups 1 and 2 (kernel documentation, cgroup-v1/memory and cgroup-v2).
const VERSION_1: (&str, &str) = ("memory.usage_in_bytes", "total_inactive_file");
const VERSION_2: (&str, &str) = ("memory.current", "inactive_file");

impl Engine {
    /// Memory that a container uses, in bytes, without the page cache; `None` if it does not run.
    pub async fn memory_of(&self, name: &str) -> Result<Option<u64>, Error> {
        if self.endpoint().starts_with("unix:")
            && let Some(memory) = self.local_memory(name).await
        {
            return Ok(Some(memory));
        }
        let options = StatsOptions { stream: false, one_shot: true };
        let mut answers = std::pin::pin!(self.client().stats(name, Some(options)));
        match answers.next().await {
            Some(Ok(answer)) => Ok(answer.memory_stats.and_then(|memory| {
                let details = memory.stats.unwrap_or_default();
                let cache = details.get(VERSION_1.1).or_else(|| details.get(VERSION_2.1));
                memory.usage.map(|usage| usage.saturating_sub(cache.copied().unwrap_or_default()))
            })),
            Some(Err(error)) if is_missing(&error) => Ok(None),
            Some(Err(error)) => Err(explain(&format!("cannot ask for the memory of {name}"), &error)),
            None => Ok(None),
        }
    }

    /// The kernel's answer for the control group of the container's first process.
    async fn local_memory(&self, name: &str) -> Option<u64> {
        let container = self.client().inspect_container(name, None).await.ok()?;
        let (process, id) = (container.state?.pid?, container.id?);
        let groups = fs::read_to_string(format!("/proc/{process}/cgroup")).ok()?;
        // An engine behind a socket may count processes otherwise than this machine does.
        let (directory, (usage, cache)) = memory_group(&groups).filter(|(directory, _)| is_of(directory, &id))?;
        let used: u64 = fs::read_to_string(directory.join(usage)).ok()?.trim().parse().ok()?;
        let details = fs::read_to_string(directory.join("memory.stat")).ok()?;
        Some(used.saturating_sub(value_of(&details, cache).unwrap_or_default()))
    }
}

/// The directory of a process's memory group, and the names in it.
fn memory_group(groups: &str) -> Option<(PathBuf, (&'static str, &'static str))> {
    groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let top = Path::new(CONTROL_GROUPS);
        let path = path.trim_start_matches('/');
        match controllers {
            "" => Some((top.join(path), VERSION_2)),
            _ if controllers.split(',').any(|name| name == "memory") => {
                Some((top.join("memory").join(path), VERSION_1))
            }
            _ => None,
        }
    })
}

/// Whether a control group is a container's: engines name them by its id.
fn is_of(directory: &Path, id: &str) -> bool {
    directory.components().any(|part| part.as_os_str().to_string_lossy().contains(id))
}

fn value_of(details: &str, name: &str) -> Option<u64> {
    let line = details.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_memory_group_of_both_versions() {
        let first = memory_group("9:pids:/a\n4:memory:/docker/abc\n").unwrap();
        assert_eq!(first, (PathBuf::from("/sys/fs/cgroup/memory/docker/abc"), VERSION_1));
        let second = memory_group("0::/system.slice/docker-abc.scope\n").unwrap();
        assert_eq!(second, (PathBuf::from("/sys/fs/cgroup/system.slice/docker-abc.scope"), VERSION_2));
        assert_eq!(memory_group("9:pids:/a\n"), None);
    }

    #[test]
    fn reads_one_value() {
        assert_eq!(value_of("inactive_file 7\ntotal_inactive_file 42\n", "total_inactive_file"), Some(42));
        assert_eq!(value_of("a 1\n", "b"), None);
    }
}
