//! Where a job's files are, and what they are called in its repository.

/// No file of a repository has a longer name.
const LONGEST: usize = 1000;
/// Where containers have the workspace.
const WORKSPACE: &str = "/workspace/";
/// Folders that tools fill: what they hold is nobody's commit.
const FETCHED: [&str; 5] = ["node_modules", "site-packages", ".venv", ".tox", ".cargo"];

/// Where a job runs, and for whom.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where an attempt that runs as processes of this machine has its workspace: below a folder of its own name.
    own: String,
    /// The repository's name, without its owner's.
    repository: String,
}

impl Place {
    /// Of an attempt, by its id, at a repository, by its name.
    pub fn new(attempt: &str, repository: &str) -> Self {
        Self { own: format!("/{attempt}{WORKSPACE}"), repository: repository.to_owned() }
    }

    /// The repository's name, without its owner's.
    pub(super) fn repository(&self) -> &str {
        &self.repository
    }

    /// A path that a tool wrote, as it is in the repository; `None`: it is not in there.
    pub(in crate::engine) fn path(&self, text: &str) -> Option<String> {
        let text = text.trim().strip_prefix("file://").unwrap_or(text.trim());
        if text.len() > LONGEST || text.contains(['<', '>', '"', '*', '?', '|', '\\']) {
            return None;
        }
        let inside = if text.starts_with('/') { self.below_the_workspace(text)? } else { text };
        let mut parts: Vec<&str> = Vec::new();
        for part in inside.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                part if FETCHED.contains(&part) => return None,
                part => parts.push(part),
            }
        }
        (!parts.is_empty()).then(|| parts.join("/"))
    }

    fn below_the_workspace<'a>(&self, path: &'a str) -> Option<&'a str> {
        let own = || path.find(&self.own).map(|at| &path[at + self.own.len()..]);
        path.strip_prefix(WORKSPACE).or_else(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_repositorys_or_none() {
        let place = Place::new("7x", "widget");
        for (text, path) in [
            ("src/a.rs", Some("src/a.rs")),
            ("./src//a.rs", Some("src/a.rs")),
            ("src/../b.rs", Some("b.rs")),
            ("/workspace/src/a.rs", Some("src/a.rs")),
            ("file:///workspace/A.kt", Some("A.kt")),
            ("/var/lib/ci/attempts/7x/workspace/a.c", Some("a.c")),
            ("a b/c.c", Some("a b/c.c")),
            ("../a.rs", None),
            ("/workspace/../etc/passwd", None),
            ("/usr/include/stdio.h", None),
            ("/workspace/", None),
            ("/var/lib/ci/attempts/8x/workspace/a.c", None),
            ("web/node_modules/x/index.js", None),
            ("<stdin>", None),
            ("", None),
        ] {
            assert_eq!(place.path(text).as_deref(), path, "{text}");
        }
        assert_eq!(place.path(&"a".repeat(LONGEST + 1)), None);
    }
}
