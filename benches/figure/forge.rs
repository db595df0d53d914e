//! A plain repository that the measured server knows, and what became of each push to it.

use std::{path::Path, process::Command, time::Duration};

use containerops::{
    model::{ActionState, JobId, Time},
    store::{AttemptRow, JobRow, RunFilter, Store},
};

use super::{Server, program};

/// No run of a figure takes longer.
const RUN: Duration = Duration::from_secs(300);
/// Between two looks at a run.
const LOOK: Duration = Duration::from_millis(100);

/// A working copy whose pushes the server hears of.
pub(crate) struct Repository {
    tree: tempfile::TempDir,
    bare: String,
    store: Store,
    runs: i64,
}

/// The one job of a run that has ended.
pub(crate) struct Ended {
    pub(crate) attempt: AttemptRow,
    pub(crate) job: JobRow,
    /// When its first line was written.
    pub(crate) first_line: Time,
}

impl Repository {
    /// Makes it with these files, and pushes nothing yet.
    pub(crate) async fn make(server: &Server, files: &[(&str, &[u8])]) -> Self {
        let tree = tempfile::tempdir().expect("a directory");
        let bare = server.data().join("git/figures/one.git");
        let url = format!("http://{}", server.address());
        succeed(Command::new(program()).args(["git", "init", "--url", &url, "--data"]).arg(server.data()).arg(&bare));
        for (path, content) in files {
            std::fs::write(tree.path().join(path), content).expect("a file");
        }
        git(tree.path(), &["init", "--quiet", "--initial-branch=main"]);
        git(tree.path(), &["add", "--all"]);
        Self { tree, bare: bare.to_string_lossy().into_owned(), store: store(server.data()).await, runs: 0 }
    }

    /// Pushes a commit, and waits until its run of one job has ended well.
    pub(crate) async fn push(&mut self) -> Ended {
        let user = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
        let commit = ["commit", "--quiet", "--allow-empty", "--message=Measure"];
        git(self.tree.path(), &[&user[..], &commit].concat());
        git(self.tree.path(), &["push", "--quiet", &self.bare, "HEAD:refs/heads/main"]);
        self.runs += 1;
        let ended = async {
            loop {
                if let Some(ended) = self.ended().await {
                    return ended;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(RUN, ended).await.expect("the run ends")
    }

    async fn ended(&self) -> Option<Ended> {
        let mut tx = self.store.read().await.expect("a view");
        let runs = tx.runs(&RunFilter { limit: 1, ..RunFilter::default() }).await.expect("runs");
        let run = runs.into_iter().find(|run| run.number == self.runs)?;
        let conclusion = run.state.conclusion()?;
        assert_eq!(conclusion.to_string(), "success", "{}", run.reason);
        let action = tx.actions(run.id).await.expect("actions").pop()?;
        assert!(matches!(action.state.0, ActionState::Ended(_)));
        let attempt = tx.newest_attempt(action.id).await.expect("an attempt")?;
        let job = tx.jobs(attempt.id).await.expect("jobs").pop()?;
        let first_line = first_line(&mut tx, job.id).await;
        Some(Ended { attempt, job, first_line })
    }
}

/// The server's database, opened a second time.
pub(crate) async fn store(data: &Path) -> Store {
    let url = format!("sqlite:{}", data.join("containerops.db").display());
    Store::open(&url).await.expect("the database opens")
}

async fn first_line(tx: &mut containerops::store::Tx, job: JobId) -> Time {
    let chunks = tx.chunks_from_offset(job, 0, 1).await.expect("a log");
    let index = &chunks.first().expect("a line").pieces;
    let pieces = containerops::agent::chunk::decode_index(index).expect("an index");
    pieces.first().expect("a piece").time
}

fn git(tree: &Path, words: &[&str]) {
    succeed(Command::new("git").args(words).current_dir(tree).env("GIT_CONFIG_GLOBAL", "/dev/null"));
}

fn succeed(command: &mut Command) {
    let status = command.status().expect("the program is there");
    assert!(status.success(), "{command:?}: {status}");
}
