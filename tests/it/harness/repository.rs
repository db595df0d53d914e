//! A real Git repository for tests, worked on by the real `git`, with no influence of the machine's configuration.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use containerops::model::Sha;

/// A repository with files, in which Ada works.
pub(crate) struct Worktree {
    path: PathBuf,
}

impl Worktree {
    /// An empty repository at `path`, on the branch `main`.
    pub(crate) fn new(path: PathBuf) -> Self {
        std::fs::create_dir_all(&path).expect("a directory for tests can be made");
        let new = Self { path };
        new.git(&["init", "--quiet", "--initial-branch=main"]);
        new
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path.join(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("can be made");
        std::fs::write(path, content).expect("a file for tests can be written");
    }

    /// Commits everything and returns the commit.
    pub(crate) fn commit(&self, message: &str) -> Sha {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.sha("HEAD")
    }

    pub(crate) fn sha(&self, revision: &str) -> Sha {
        self.git(&["rev-parse", revision]).trim().parse().expect("git names commits well")
    }

    /// What git prints on both of its outputs. A failure fails the test.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.path, arguments)
    }
}

/// Runs git in `directory` and returns all it prints. A failure fails the test.
pub(crate) fn git(directory: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.current_dir(directory).args(["-c", "protocol.file.allow=always", "-c", "safe.directory=*"]).args(arguments);
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "Ada").env(format!("GIT_{role}_EMAIL"), "ada@example.org");
        git.env(format!("GIT_{role}_DATE"), "2026-05-01T12:00:00Z");
    }
    let output = git.output().expect("git is installed");
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "git {arguments:?}: {printed}");
    printed
}

/// Makes a bare repository of plain Git as an operator does, by another process: git runs no hook that somebody still has
/// open to write, and whatever is started here meanwhile has all that is open here until it is a program of its own.
pub(crate) fn make(bare: &Path, url: &str, data: &Path) {
    let mut make = Command::new(env!("CARGO_BIN_EXE_containerops"));
    make.args(["git", "init", "--url", url, "--data"]).arg(data).arg(bare);
    let output = make.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).output();
    let output = output.expect("our program can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
