//! What a story looks at: GitHub's page, our rows, in lines for snapshots.

use std::fmt::Write as _;

use containerops::{
    model::{DeliveryState, JobState, Sha},
    store::{DeliveryFilter, RunFilter},
};

use super::Tester;
use crate::harness::github::Write;

impl Tester {
    /// What GitHub shows of each context of a commit: `state context: title`.
    pub(crate) fn checks(&self, sha: &Sha) -> String {
        self.read_writes();
        let shown = self.shown.lock().expect("no test panics with it");
        let of_commit = shown.iter().filter(|((commit, _), _)| commit == sha.as_str());
        of_commit.map(|(_, write)| format!("{} {}: {}\n", write.state, write.context, write.title)).collect()
    }

    /// What GitHub shows of one context.
    pub(crate) fn check(&self, sha: &Sha, context: &str) -> Write {
        self.read_writes();
        let shown = self.shown.lock().expect("no test panics with it");
        let found = shown.get(&(sha.to_string(), context.to_owned()));
        found.unwrap_or_else(|| panic!("nothing is shown of {context}")).clone()
    }

    /// How often GitHub was told something since this was asked last.
    pub(crate) fn read_writes(&self) -> usize {
        let writes = self.github.writes();
        let count = writes.len();
        let mut shown = self.shown.lock().expect("no test panics with it");
        shown.extend(writes.into_iter().map(|write| ((write.sha.clone(), write.context.clone()), write)));
        count
    }

    /// All runs, oldest first: `#number event state: reason`.
    pub(crate) async fn runs(&self) -> String {
        let mut tx = self.app().engine.store.read().await.expect("the database is there");
        let filter = RunFilter { limit: 100, ..RunFilter::default() };
        let runs = tx.runs(&filter).await.expect("the database is there");
        let line = |run: &containerops::store::RunSummary| {
            let reason = if run.reason.is_empty() { String::new() } else { format!(": {}", run.reason) };
            format!("#{} {} {}{reason}\n", run.number, run.event.name(), run.state.label())
        };
        runs.iter().rev().map(line).collect()
    }

    /// All deliveries, oldest first: `event: what became of it`.
    pub(crate) async fn deliveries(&self) -> String {
        let mut tx = self.app().engine.store.read().await.expect("the database is there");
        let filter = DeliveryFilter { limit: 100, ..DeliveryFilter::default() };
        let deliveries = tx.deliveries(&filter).await.expect("the database is there");
        let line = |delivery: &containerops::store::DeliverySummary| {
            let state = match &delivery.state.0 {
                DeliveryState::Pending => format!("waits: {}", delivery.trouble),
                DeliveryState::Started { runs } => format!("started {runs}"),
                DeliveryState::Obeyed { what } => format!("obeyed: {what}"),
                DeliveryState::Nothing { reason } => format!("nothing: {reason}"),
                DeliveryState::Unreadable { reason } => format!("unreadable: {reason}"),
            };
            format!("{}: {state}\n", delivery.event)
        };
        deliveries.iter().rev().map(line).collect()
    }

    /// The whole log of every job of the newest run, one after another.
    pub(crate) async fn logs(&self) -> String {
        let (run, engine) = (self.newest_run().await.id, self.app().engine);
        let mut tx = engine.store.read().await.expect("the database is there");
        let mut out = Vec::new();
        for action in tx.actions(run).await.expect("actions") {
            for attempt in tx.attempts(action.id).await.expect("attempts") {
                for job in tx.jobs(attempt.id).await.expect("jobs") {
                    let mut at = 0;
                    while let Some(frame) = engine.frame_at_offset(job.id, at).await.expect("the log is whole") {
                        at = frame.start + frame.text.len() as u64;
                        out.extend(frame.text);
                    }
                }
            }
        }
        String::from_utf8(out).expect("text")
    }

    /// Every attempt of the newest run with its jobs: `stage/action attempt: job verdict (bytes of log)`.
    pub(crate) async fn attempts(&self) -> String {
        let run = self.newest_run().await;
        let plan = run.plan.0.as_ref().expect("a plan");
        let mut tx = self.app().engine.store.read().await.expect("the database is there");
        let mut out = String::new();
        for action in tx.actions(run.id).await.expect("actions") {
            let (stage, place) = (usize::try_from(action.stage), usize::try_from(action.place));
            let stage = &plan.stages[stage.expect("a place")];
            let name = format!("{}/{}", stage.name, stage.actions[place.expect("a place")].name);
            for attempt in tx.attempts(action.id).await.expect("attempts") {
                let _ = write!(out, "{name} {}:", attempt.number);
                for job in tx.jobs(attempt.id).await.expect("jobs") {
                    let state = match &job.state.0 {
                        JobState::Ended(verdict) => verdict.to_string(),
                        JobState::Waiting | JobState::Running => job.state.label().to_owned(),
                    };
                    let _ = write!(out, " {state} ({} bytes)", job.log_length);
                }
                out.push('\n');
            }
        }
        out
    }
}
