//! What the kernel counted of a container's memory, by cgroup v1 or v2. Every file may be missing: then we know less,
//! and say so.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the kernel shows its cgroups.
const ROOT: &str = "/sys/fs/cgroup";
/// v1 writes "no limit" as the largest number of pages; no machine has a quarter of that.
const NO_LIMIT: u64 = 1 << 60;

/// The cgroup this process is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cgroup {
    /// The unified hierarchy.
    V2(PathBuf),
    /// The memory controller's own hierarchy.
    V1(PathBuf),
    /// None that we can read.
    Unknown,
}

/// What it says at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// The most it ever had, in bytes.
    pub peak: Option<u64>,
    /// What it may have, in bytes.
    pub limit: Option<u64>,
    /// How many processes were killed for memory since it was made.
    pub oom_kills: u64,
}

impl Cgroup {
    /// Finds this process's own.
    pub fn of_this_process() -> Self {
        Self::find(Path::new(ROOT), &fs::read_to_string("/proc/self/cgroup").unwrap_or_default())
    }

    /// Finds the one that `membership` (the text of `/proc/self/cgroup`) names below `root`; or, where only a
    /// container's own part of the tree is mounted, the root itself.
    pub fn find(root: &Path, membership: &str) -> Self {
        let (mut v1, mut v2) = ("", "");
        for line in membership.lines() {
            match line.splitn(3, ':').collect::<Vec<_>>()[..] {
                ["0", "", path] => v2 = path,
                [_, controllers, path] if controllers.split(',').any(|name| name == "memory") => v1 = path,
                _ => {}
            }
        }
        let unified = candidates(root, v2).find(|dir| dir.join("memory.events").is_file());
        let memory = candidates(&root.join("memory"), v1).find(|dir| dir.join("memory.limit_in_bytes").is_file());
        unified.map(Self::V2).or(memory.map(Self::V1)).unwrap_or(Self::Unknown)
    }

    /// What it says now.
    pub fn memory(&self) -> Memory {
        match self {
            Self::V2(dir) => Memory {
                peak: number(&dir.join("memory.peak")),
                limit: number(&dir.join("memory.max")).filter(|&limit| limit < NO_LIMIT),
                oom_kills: field(&dir.join("memory.events"), "oom_kill"),
            },
            Self::V1(dir) => Memory {
                peak: number(&dir.join("memory.max_usage_in_bytes")),
                limit: number(&dir.join("memory.limit_in_bytes")).filter(|&limit| limit < NO_LIMIT),
                oom_kills: field(&dir.join("memory.oom_control"), "oom_kill"),
            },
            Self::Unknown => Memory::default(),
        }
    }
}

fn candidates(root: &Path, path: &str) -> impl Iterator<Item = PathBuf> {
    [root.join(path.trim_start_matches('/')), root.to_owned()].into_iter()
}

/// A file's only number; `max` is none.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The number after `name` in a file of such lines.
fn field(file: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    value.unwrap_or(0)
}
