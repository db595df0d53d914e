//! All rows of one run, and how a test tells them.

use std::fmt::Write as _;

use containerops::{
    model::{JobState, Plan, RunId},
    store::{ActionRow, AttemptRow, JobRow, RunFilter, RunRow, Tx},
};

/// A run with all its rows.
pub(crate) struct Story {
    /// The run.
    pub(crate) run: RunRow,
    /// Its actions in the plan's order.
    pub(crate) actions: Vec<Chapter>,
}

/// An action with its attempts, first to last.
pub(crate) struct Chapter {
    /// `stage/action`.
    pub(crate) name: String,
    /// Its row.
    pub(crate) row: ActionRow,
    /// Each with its jobs.
    pub(crate) attempts: Vec<(AttemptRow, Vec<JobRow>)>,
    jobs: Vec<String>,
}

impl Story {
    /// Reads it.
    pub(crate) async fn read(tx: &mut Tx, run: RunId) -> Self {
        let run = tx.run(run).await.expect("the database answers").expect("the run is there");
        let mut actions = Vec::new();
        for row in tx.actions(run.id).await.expect("the database answers") {
            let mut attempts = Vec::new();
            for attempt in tx.attempts(row.id).await.expect("the database answers") {
                let jobs = tx.jobs(attempt.id).await.expect("the database answers");
                attempts.push((attempt, jobs));
            }
            actions.push(chapter(run.plan.0.as_ref().expect("a plan"), row, attempts));
        }
        Self { run, actions }
    }

    /// Reads the newest run's, if there is one.
    pub(crate) async fn newest(tx: &mut Tx) -> Option<Self> {
        let filter = RunFilter { limit: 1, ..RunFilter::default() };
        let run = tx.runs(&filter).await.expect("the database answers").first()?.id;
        Some(Self::read(tx, run).await)
    }

    /// The newest job of this name: `stage/action/job`.
    pub(crate) fn job(&self, path: &str) -> &JobRow {
        let found = self.actions.iter().find_map(|action| {
            let (of, name) = path.rsplit_once('/').expect("stage/action/job");
            let place = action.jobs.iter().position(|job| job == name).filter(|_| action.name == of)?;
            action.attempts.last()?.1.get(place)
        });
        found.unwrap_or_else(|| panic!("there is no {path} in\n{}", self.told()))
    }

    /// Whether a job's log has so many lines.
    pub(crate) fn has_lines(&self, job: &str, lines: i64) -> bool {
        let begun = self.actions.iter().any(|action| job.starts_with(&action.name) && !action.attempts.is_empty());
        begun && self.job(job).log_lines() >= lines
    }

    /// The action of this name: `stage/action`.
    pub(crate) fn action(&self, name: &str) -> &Chapter {
        self.actions.iter().find(|action| action.name == name).expect("there is such an action")
    }

    /// All of it as a person would tell it: a line for the run, for each action, for each job of each attempt.
    pub(crate) fn told(&self) -> String {
        let mut told = line("run", self.run.state.0.label(), &self.run.reason);
        for action in &self.actions {
            told += &line(&action.name, action.row.state.0.label(), &action.row.reason);
            for (attempt, jobs) in &action.attempts {
                for (name, job) in action.jobs.iter().zip(jobs) {
                    let end = match &job.state.0 {
                        JobState::Ended(verdict) => verdict.to_string(),
                        JobState::Waiting | JobState::Running => job.state.0.label().to_owned(),
                    };
                    let _ = writeln!(told, "  {name}{}: {end}", again(attempt.number));
                }
            }
        }
        told
    }
}

fn chapter(plan: &Plan, row: ActionRow, attempts: Vec<(AttemptRow, Vec<JobRow>)>) -> Chapter {
    let place = |column: i64| usize::try_from(column).expect("a place");
    let stage = &plan.stages[place(row.stage)];
    let action = &stage.actions[place(row.place)];
    let jobs = action.members().map(|job| job.name.clone()).collect();
    Chapter { name: format!("{}/{}", stage.name, action.name), row, attempts, jobs }
}

fn line(name: &str, state: &str, reason: &str) -> String {
    let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    format!("{name}: {state}{reason}\n")
}

fn again(attempt: i64) -> String {
    if attempt == 1 { String::new() } else { format!(", attempt {attempt}") }
}
