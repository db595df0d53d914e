//! A plain repository that the measured server knows, and what became of each push to it.

use std::{path::Path, process::Command, time::Duration};

use containerops::{
    model::{ActionState, AttemptId, AttemptState, Conclusion, JobId, JobState, RunId, RunState, Time, Verdict},
    store::{AttemptRow, JobRow, NewJob, RunFilter, Store, Tx},
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

    /// Pushes a flow of many jobs that waits for a person, and ends all of it well, as its pods would have.
    pub(crate) async fn push_of_many(&mut self, stages: usize, actions: usize) {
        std::fs::write(self.tree.path().join(".containerops.yml"), flow_of_many(stages, actions)).expect("a file");
        git(self.tree.path(), &["add", "--all"]);
        let user = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
        git(self.tree.path(), &[&user[..], &["commit", "--quiet", "--message=Many"]].concat());
        git(self.tree.path(), &["push", "--quiet", &self.bare, "HEAD:refs/heads/main"]);
        self.runs += 1;
        let asked = async {
            while self.asked().await.is_none() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(RUN, asked).await.expect("the run waits");
        let run = self.asked().await.expect("the run waits");
        let mut tx = self.store.write().await.expect("a transaction");
        end_well(&mut tx, run).await;
        tx.commit().await.expect("it is kept");
    }

    /// The newest run, if it waits for a person.
    async fn asked(&self) -> Option<RunId> {
        let mut tx = self.store.read().await.expect("a view");
        let runs = tx.runs(&RunFilter { limit: 1, ..RunFilter::default() }).await.expect("runs");
        let run = runs.into_iter().find(|run| run.number == self.runs)?;
        let approvals = tx.approvals(run.id).await.expect("approvals");
        (!approvals.is_empty()).then_some(run.id)
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

fn flow_of_many(stages: usize, actions: usize) -> String {
    let mut flow = "stages:\n  - {name: go, type: pause}\n".to_owned();
    for stage in 0..stages {
        flow += &format!("  - name: stage-{stage}\n    sequencing: parallel\n    actions:\n");
        for action in 0..actions {
            flow += &format!("      - {{name: integration-{action}, image: \"rust:1.95\", run: make}}\n");
        }
    }
    flow
}

async fn end_well(tx: &mut Tx, run: RunId) {
    let now = Time::from_millis(1_772_366_400_000);
    let later = now.after(Duration::from_secs(61));
    for action in tx.actions(run).await.expect("actions") {
        let (attempt, job) = (AttemptId::mint(now), JobId::mint(now));
        let new = [NewJob { id: job, token_hash: job.to_string(), service_after: None }];
        tx.insert_attempt(action.id, attempt, "none", &new, now).await.expect("an attempt");
        for state in [JobState::Running, JobState::Ended(Verdict::Success { warning: None })] {
            let at = if state == JobState::Running { now } else { later };
            tx.set_job_state(job, &state, at).await.expect("a job");
        }
        tx.set_attempt_state(attempt, &AttemptState::Removed, later).await.expect("an attempt");
        let ended = ActionState::Ended(Conclusion::Success);
        for (state, at) in [(ActionState::Queued, now), (ActionState::Running, now), (ended, later)] {
            tx.set_action_state(action.id, &state, "", at).await.expect("an action");
        }
    }
    for state in [RunState::Running, RunState::Ended(Conclusion::Success)] {
        tx.set_run_state(run, &state, "", later).await.expect("a run");
    }
}
