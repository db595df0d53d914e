//! Runs: what each is, how far it is, and which are listed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Change, Json, Result, Tx, execute, meant, report::millis, row, rows};
use crate::meters::Fact;
use crate::model::{
    DeliveryId, Diagnostic, Event, Grants, Listed, Plan, PlanDigest, Repeats, RepositoryId, RunId, RunState, Sha, Time,
    Wants, What,
};

/// Images of a run as its registries had them: the flow's name for an image, and what it stands for.
pub type Pins = BTreeMap<String, Pin>;

/// What an image's name stood for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pin {
    /// The image by its digest, as a node pulls it.
    pub image: String,
    /// What the image starts by itself: its entrypoint and arguments.
    pub entrypoint: Vec<String>,
}

/// A run, whole.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RunRow {
    /// Ours.
    pub id: RunId,
    /// Whose.
    pub repository_id: RepositoryId,
    /// Counts from 1 in each repository.
    pub number: i64,
    /// What started it; a re-run that nobody asked a forge for has none.
    pub delivery_id: Option<DeliveryId>,
    /// The run that it repeats.
    pub rerun_of: Option<RunId>,
    /// What of that run it repeats. A re-run of an earlier release does not say: it was everything.
    pub repeats: Option<Json<Repeats>>,
    /// The flow's name.
    pub flow: String,
    /// The flow file's path.
    pub path: String,
    /// What happened.
    pub event: Json<Event>,
    /// The commit.
    pub sha: Sha,
    /// What it does; `None` if the flow file is broken.
    pub plan: Json<Option<Arc<Plan>>>,
    /// The secrets that its jobs ask for.
    pub wants: Option<Json<Wants>>,
    /// Which of them they get.
    pub grants: Option<Json<Grants>>,
    /// The plan's digest; empty without one.
    pub digest: PlanDigest,
    /// What is wrong with the flow file, or odd about it.
    pub diagnostics: Json<Vec<Diagnostic>>,
    /// How far it is.
    pub state: Json<RunState>,
    /// Why it waits, or was skipped; empty if there is nothing to say.
    pub reason: String,
    /// Who cancelled it.
    pub cancelled_by: Option<String>,
    /// The number of the newer run that took its place.
    pub superseded_by: Option<i64>,
    /// Its group; `None`: it has nothing to do with other runs.
    pub queue: Option<String>,
    /// Its place in its group's order, once it has one.
    pub turn: Option<i64>,
    /// When its group let it go; `None`: not yet, or it has no group.
    pub released: Option<Time>,
    /// Images as the registry had them.
    pub pins: Json<Pins>,
    /// The snapshot's digest, once there is one.
    pub source: Option<String>,
    /// What the snapshot holds, or why there is none yet.
    pub source_note: String,
    /// When it was made.
    pub created: Time,
    /// When its first job started.
    pub started: Option<Time>,
    /// When nothing would start any more.
    pub ended: Option<Time>,
    /// Since when it does nothing but wait for people.
    pub paused_since: Option<Time>,
    /// For how long it did so before, in milliseconds.
    pub paused: i64,
}

/// A run to be made.
#[derive(Debug)]
pub struct NewRun<'a> {
    /// Whose.
    pub repository: RepositoryId,
    /// What started it.
    pub delivery: Option<DeliveryId>,
    /// What it repeats.
    pub rerun_of: Option<RunId>,
    /// What of that.
    pub repeats: Option<&'a Repeats>,
    /// The flow's name.
    pub flow: &'a str,
    /// The flow file's path.
    pub path: &'a str,
    /// What happened.
    pub event: &'a Event,
    /// What it does.
    pub plan: Option<&'a Plan>,
    /// The secrets that its jobs ask for.
    pub wants: &'a Wants,
    /// Which of them they get.
    pub grants: &'a Grants,
    /// What is wrong with the file, or odd about it.
    pub diagnostics: &'a [Diagnostic],
    /// `Queued`, or `Ended` for a broken file or one that is left out.
    pub state: RunState,
    /// Why it ended at once.
    pub reason: &'a str,
    /// Images as an earlier run had them.
    pub pins: &'a Pins,
    /// The snapshot of an earlier run.
    pub source: Option<&'a str>,
    /// What that snapshot holds.
    pub source_note: &'a str,
    /// Now.
    pub now: Time,
}

impl RunRow {
    /// Whether it says that what it repeats is not needed.
    pub fn is_waived(&self) -> bool {
        self.repeats.as_ref().is_some_and(|repeats| repeats.what == What::Nothing)
    }

    /// What people call it within its repository.
    pub fn words(&self) -> String {
        format!("{} #{}", self.flow, self.number)
    }

    /// Whether other runs of its group keep it from starting.
    pub const fn is_held(&self) -> bool {
        self.queue.is_some() && self.released.is_none() && self.state.0.conclusion().is_none()
    }
}

impl Tx {
    /// Makes a run and its actions, with the repository's next number.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn insert_run(&mut self, new: &NewRun<'_>) -> Result<RunId> {
        let id = RunId::mint(new.now);
        let met =
            execute!(self, "UPDATE repositories SET last_number = last_number + 1 WHERE id = $1", new.repository)?;
        meant("a run's number", 1, met)?;
        let ended = new.state.conclusion().map(|_| new.now);
        let listed = Listed::from(new.event);
        let concurrency = new.plan.and_then(|plan| plan.concurrency.as_ref());
        execute!(
            self,
            "INSERT INTO runs (id, repository_id, number, delivery_id, rerun_of, flow, path, event, sha, plan, digest, \
             diagnostics, phase, state, reason, pins, source, source_note, source_due, created, ended, queue, \
             concurrency, time_limit, repeats, line, wants, grants, label, kind, branch, tag, pull, actor, author) \
             VALUES ($1, $2, (SELECT last_number FROM repositories WHERE id = $2), $3, $4, $5, $6, $7, $8, $9, $10, \
             $11, $12, $13, $14, $15, $16, $17, $18, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, \
             $32, $33)",
            id,
            new.repository,
            new.delivery,
            new.rerun_of,
            new.flow,
            new.path,
            Json(new.event),
            &new.event.sha,
            Json(new.plan),
            new.plan.map_or_else(|| PlanDigest(String::new()), Plan::digest),
            Json(new.diagnostics),
            new.state.phase(),
            Json(&new.state),
            new.reason,
            Json(new.pins),
            new.source,
            new.source_note,
            new.now,
            ended,
            concurrency.map(|concurrency| &concurrency.group),
            Json(concurrency),
            time_limit(new.plan),
            new.repeats.map(Json),
            new.event.line(),
            (!new.wants.is_empty()).then_some(Json(new.wants)),
            (!new.grants.is_empty()).then_some(Json(new.grants)),
            new.state.label(),
            listed.kind,
            listed.branch,
            listed.tag,
            listed.pull,
            listed.actor,
            listed.author,
        )?;
        if new.state.conclusion().is_none() {
            self.insert_actions(id, new.plan, new.now).await?;
            self.want_checkouts(id, new).await?;
        }
        self.ring(Change::Run(id));
        Ok(id)
    }

    /// One run.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn run(&mut self, id: RunId) -> Result<Option<RunRow>> {
        if let Some(known) = self.known.runs.get(&id) {
            return Ok(Some(known.clone()));
        }
        let found = row!(self, RunRow, "SELECT * FROM runs WHERE id = $1", id)?;
        if let Some(found) = found.as_ref().filter(|_| self.known.learns) {
            self.known.runs.insert(id, found.clone());
        }
        Ok(found)
    }

    /// One run, by the number that people see.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn run_numbered(&mut self, repository: RepositoryId, number: i64) -> Result<Option<RunRow>> {
        row!(self, RunRow, "SELECT * FROM runs WHERE repository_id = $1 AND number = $2", repository, number)
    }

    /// The newest run of each flow and kind of context at one commit.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn newest_runs_of(&mut self, repository: RepositoryId, sha: &Sha) -> Result<Vec<RunRow>> {
        let runs = rows!(
            self,
            RunRow,
            "SELECT * FROM runs WHERE repository_id = $1 AND sha = $2 ORDER BY id DESC LIMIT 200",
            repository,
            sha,
        )?;
        let mut seen = std::collections::BTreeSet::new();
        Ok(runs.into_iter().filter(|run| seen.insert((run.flow.clone(), run.event.context_suffix()))).collect())
    }

    /// Every run that has not ended.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn open_runs(&mut self) -> Result<Vec<RunId>> {
        let found: Vec<(RunId,)> = rows!(self, (RunId,), "SELECT id FROM runs WHERE phase <> 'ended' ORDER BY id")?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }

    /// Every run that has been under way for longer than its own limit, or than `longest`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn overdue_runs(&mut self, now: Time, longest: Duration) -> Result<Vec<RunId>> {
        let found: Vec<(RunId,)> = rows!(
            self,
            (RunId,),
            "SELECT id FROM runs WHERE phase = 'running' AND paused_since IS NULL AND \
             started + paused < $1 - CASE WHEN time_limit < $2 THEN time_limit ELSE $2 END ORDER BY id",
            now,
            millis(longest),
        )?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }

    /// Runs whose snapshot is to be made now.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn runs_without_source(&mut self, now: Time) -> Result<Vec<RunRow>> {
        rows!(
            self,
            RunRow,
            "SELECT * FROM runs WHERE phase <> 'ended' AND source IS NULL AND source_due <= $1 \
             AND id NOT IN (SELECT run_id FROM vettings WHERE standing = 'waits') ORDER BY id LIMIT 16",
            now,
        )
    }

    /// The snapshot is made.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn source_made(&mut self, run: RunId, source: &str, note: &str) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE runs SET source = COALESCE(source, $2), source_note = $3 WHERE id = $1",
            run,
            source,
            note
        )?;
        self.ring(Change::Run(run));
        meant("a run's source", 1, met)
    }

    /// The snapshot could not be made yet.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn source_postponed(&mut self, run: RunId, due: Time, note: &str) -> Result<()> {
        let met = execute!(self, "UPDATE runs SET source_due = $2, source_note = $3 WHERE id = $1", run, due, note)?;
        self.ring(Change::Run(run));
        meant("a run's source", 1, met)
    }

    /// What the registries said of a run's images.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn set_pins(&mut self, run: RunId, pins: &Pins) -> Result<()> {
        let met = execute!(self, "UPDATE runs SET pins = $2 WHERE id = $1", run, Json(pins))?;
        meant("a run's pins", 1, met)
    }

    /// Somebody has granted a run's jobs these secrets, before it began.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn grant_secrets(&mut self, run: RunId, grants: &Grants) -> Result<()> {
        let met = execute!(self, "UPDATE runs SET grants = $2 WHERE id = $1", run, Json(grants))?;
        meant("a run's grants", 1, met)
    }

    /// A run moved. An ended run stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if it has ended.
    pub async fn set_run_state(&mut self, run: RunId, state: &RunState, reason: &str, now: Time) -> Result<()> {
        let started = (*state == RunState::Running).then_some(now);
        let ended = state.conclusion().map(|_| now);
        let met = execute!(
            self,
            "UPDATE runs SET phase = $2, state = $3, reason = $4, started = COALESCE(started, $5), ended = $6, label = $7, \
             waited = COALESCE(waited, $5 - created), took = $6 - started - paused WHERE id = $1 AND phase <> 'ended'",
            run,
            state.phase(),
            Json(state),
            reason,
            started,
            ended,
            state.label(),
        )?;
        self.ring(Change::Run(run));
        if let Some(conclusion) = state.conclusion() {
            self.count(Fact::RunEnded(conclusion.as_str()));
        }
        meant("a run moves", 1, met)
    }

    /// Someone wants a run stopped. The first one's name is kept; an ended run is left alone.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn cancel_run(&mut self, run: RunId, by: &str) -> Result<bool> {
        let met = execute!(
            self,
            "UPDATE runs SET cancelled_by = $2 WHERE id = $1 AND phase <> 'ended' AND cancelled_by IS NULL",
            run,
            by,
        )?;
        self.ring(Change::Run(run));
        Ok(met == 1)
    }
}

/// A run without a limit of its own has the server's.
fn time_limit(plan: Option<&Plan>) -> i64 {
    plan.and_then(|plan| plan.timeout).map_or(i64::MAX, millis)
}

/// A place in a plan, for a column.
pub(super) fn column(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}
