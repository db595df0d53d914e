//! A disk that is small enough to be filled at once.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::say_skipped;

/// A file system of its own, until this is dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// One of so many megabytes in this folder; `None` where nobody may mount one, which is said.
    pub(crate) fn mount(folder: &Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("a folder");
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        say_skipped("a small disk", "be root, and be allowed to mount a tmpfs");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Leaves no byte free, until [`Self::empty`].
    pub(crate) fn fill(&self) {
        for (name, block) in [("ballast", 64 << 10), ("ballast-2", 1)] {
            let (mut file, block) = (File::create(self.0.join(name)).expect("a file"), vec![b'x'; block]);
            while file.write_all(&block).is_ok() {}
        }
    }

    /// There is room again.
    pub(crate) fn empty(&self) {
        for name in ["ballast", "ballast-2"] {
            std::fs::remove_file(self.0.join(name)).expect("it is ours");
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // whoever is left there still has it open
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
