//! Absolute paths inside containers and on the host, as texts.

/// The directory that a path is in.
pub fn directory(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(end) => &path[..end],
    }
}

/// The last part of a path.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a path lies below a directory.
pub fn is_inside(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether a path is absolute and has no part that means another.
pub fn is_plain(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
            && !path.chars().any(char::is_control)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_are_absolute_and_mean_themselves() {
        for path in ["/a", "/etc/keystone/keystone.conf", "/a/.b", "/a/..b"] {
            assert!(is_plain(path), "{path}");
        }
        for path in ["", "/", "a", "/a/", "//a", "/a/./b", "/a/..", "/a\nb"] {
            assert!(!is_plain(path), "{path:?}");
        }
    }

    #[test]
    fn a_path_is_its_directory_and_its_name() {
        assert_eq!((directory("/etc/a/a.conf"), file_name("/etc/a/a.conf")), ("/etc/a", "a.conf"));
        assert_eq!((directory("/a"), file_name("/a")), ("/", "a"));
        assert!(is_inside("/etc/a/b", "/etc/a") && !is_inside("/etc/ab", "/etc/a") && !is_inside("/etc/a", "/etc/a"));
    }
}
