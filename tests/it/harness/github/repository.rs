//! The model's repositories: files in memory for the contents API, and the same commits in bare repositories on disk,
//! so that `git fetch` finds what the API shows.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use containerops::model::Sha;

/// A commit's files.
pub(in crate::harness) type Tree = BTreeMap<String, Vec<u8>>;

/// A repository on the model.
#[derive(Debug, Default)]
pub(in crate::harness) struct Repository {
    pub(in crate::harness) id: u64,
    /// What each branch pointed to, oldest first.
    pub(in crate::harness) branches: BTreeMap<String, Vec<Sha>>,
    pub(in crate::harness) trees: BTreeMap<Sha, Tree>,
    /// What commits say, if a test cares.
    pub(in crate::harness) messages: BTreeMap<Sha, String>,
    pub(in crate::harness) pulls: Vec<Pull>,
    /// Whether only those see it who may.
    pub(in crate::harness) private: bool,
}

/// An open pull request.
#[derive(Debug, Clone)]
pub(in crate::harness) struct Pull {
    pub(in crate::harness) number: u64,
    pub(in crate::harness) head_repository: String,
    /// Who has opened it; `None`: the fork's owner, or whoever the fixtures are of.
    pub(in crate::harness) author: Option<String>,
    pub(in crate::harness) branch: String,
    pub(in crate::harness) base: String,
}

impl Repository {
    pub(in crate::harness) fn tip(&self, branch: &str) -> Sha {
        self.branches[branch].last().expect("a branch has a commit").clone()
    }

    /// The commit before the tip; all zeros if there was none.
    pub(in crate::harness) fn before(&self, branch: &str) -> Sha {
        let commits = &self.branches[branch];
        commits.iter().rev().nth(1).cloned().unwrap_or_else(|| "0".repeat(40).parse().expect("a sha"))
    }
}

/// Makes a commit on a branch of the bare repository at `path`, which is made as well if it is not there.
pub(in crate::harness) fn commit(path: &Path, branch: &str, parent: Option<&Sha>, tree: &Tree) -> Sha {
    if !path.exists() {
        git(
            path.parent().expect("a folder"),
            &["init", "-q", "--bare", "--object-format=sha1", &path.to_string_lossy()],
            b"",
        );
    }
    let mut stream = Vec::new();
    // a fixed time: the same files on the same parent are the same commit in every run of a test
    let message = format!("Change {} files", tree.len());
    let from = parent.map_or_else(String::new, |parent| format!("from {parent}\n"));
    let head = format!(
        "commit refs/heads/{branch}\ncommitter Ada <ada@example.com> 1767225600 +0000\ndata {}\n{message}\n{from}deleteall\n",
        message.len()
    );
    stream.extend_from_slice(head.as_bytes());
    for (path, content) in tree {
        stream.extend_from_slice(format!("M 100644 inline {path}\ndata {}\n", content.len()).as_bytes());
        stream.extend_from_slice(content);
        stream.push(b'\n');
    }
    git(path, &["fast-import", "--quiet", "--force"], &stream);
    git(path, &["rev-parse", &format!("refs/heads/{branch}")], b"").trim().parse().expect("a sha")
}

/// Lets `path` have a commit of the repository at `from` as the head of a pull request, and its merge into `base`.
pub(in crate::harness) fn take_pull(path: &Path, from: &Path, head: &Sha, base: &Sha, number: u64) {
    git(path, &["fetch", "-q", &from.to_string_lossy(), &format!("+{head}:refs/pull/{number}/head")], b"");
    let (tree, message) = (format!("{head}^{{tree}}"), format!("Merge {head} into {base}"));
    let merge = git(path, &["commit-tree", &tree, "-p", base.as_str(), "-p", head.as_str(), "-m", &message], b"");
    git(path, &["update-ref", &format!("refs/pull/{number}/merge"), merge.trim()], b"");
}

fn git(folder: &Path, arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "Ada")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "ada@example.com")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_DATE"), "1767225600 +0000")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git is installed");
    child.stdin.take().expect("a pipe").write_all(input).expect("git reads");
    let output = child.wait_with_output().expect("git ends");
    assert!(output.status.success(), "git {arguments:?} failed in {}", folder.display());
    String::from_utf8(output.stdout).expect("ASCII")
}
