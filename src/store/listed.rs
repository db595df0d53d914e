//! Which runs a list shows. What people look for stands in columns of its own, and all of those in one index, so that
//! no list reads the wide rows of runs that it does not show.

use super::{Json, Result, RunRow, Store, Tx, execute, meant, row, rows};
use crate::model::{
    DeliveryId, Event, ForgeKind, Listed, PAUSED, RepositoryId, RepositoryName, RunId, RunState, Sha, StateFilter, Time,
};

/// So many runs of an earlier release are filled in at once.
const STEP: i64 = 500;

/// A run with its repository, without plan and diagnostics: for lists.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RunSummary {
    /// Ours.
    pub id: RunId,
    /// The repository's forge.
    pub forge: ForgeKind,
    /// The repository's name.
    pub name: RepositoryName,
    /// Counts from 1 in each repository.
    pub number: i64,
    /// The flow's name.
    pub flow: String,
    /// What happened.
    pub event: Json<Event>,
    /// The commit.
    pub sha: Sha,
    /// How far it is.
    pub state: Json<RunState>,
    /// Why it waits, or was skipped.
    pub reason: String,
    /// When it was made.
    pub created: Time,
    /// When its first job started.
    pub started: Option<Time>,
    /// When nothing would start any more.
    pub ended: Option<Time>,
}

impl RunSummary {
    /// What a list shows of a run of this repository.
    pub fn of(row: &RunRow, forge: ForgeKind, name: RepositoryName) -> Self {
        Self {
            id: row.id,
            forge,
            name,
            number: row.number,
            flow: row.flow.clone(),
            event: Json(row.event.0.clone()),
            sha: row.sha.clone(),
            state: Json(row.state.0.clone()),
            reason: row.reason.clone(),
            created: row.created,
            started: row.started,
            ended: row.ended,
        }
    }
}

/// Which runs a list shows: those that are all that is said here.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Those of one repository.
    pub repository: Option<RepositoryId>,
    /// Those of this branch's code; a fork's is written `owner:branch`.
    pub branch: Option<String>,
    /// Those of a tag.
    pub tag: Option<String>,
    /// Those of a pull request.
    pub pull: Option<i64>,
    /// Those that this person started, or whose pull request is theirs; in lower case.
    pub author: Option<String>,
    /// Those of one kind of event, as [`Event::name`] has it.
    pub kind: Option<String>,
    /// Those of one flow.
    pub flow: Option<String>,
    /// Those in this state.
    pub state: Option<StateFilter>,
    /// Those made before this one.
    pub before: Option<RunId>,
    /// Those made after this one: then the nearest to it are listed, newest first all the same.
    pub after: Option<RunId>,
    /// At most so many.
    pub limit: i64,
}

/// What a list asks of its index. `$1` is the repository; where it is given it is named without an `OR`, so that the
/// index that begins with it is used, and nothing else may tempt SQLite to use another.
macro_rules! select {
    ($indexed:literal, $order:literal) => {
        concat!(
            "SELECT id, repository_id FROM runs WHERE ",
            $indexed,
            " AND id < $2 AND id > $3 AND ($4 IS NULL OR branch = $4) AND ($5 IS NULL OR tag = $5) ",
            "AND ($6 IS NULL OR pull = $6) AND ($7 IS NULL OR author = $7 OR actor = $7) ",
            "AND ($8 IS NULL OR kind = $8) AND ($9 IS NULL OR flow = $9) ",
            "AND ($10 IS NULL OR label IN ($10, $11, $12)) ORDER BY id ",
            $order,
            " LIMIT $13"
        )
    };
}

/// What a summary consists of.
macro_rules! summary {
    ($rest:literal) => {
        concat!(
            "SELECT r.id, p.forge, p.name, r.number, r.flow, r.event, r.sha, r.state, r.reason, r.created, r.started, ",
            "r.ended FROM runs r JOIN repositories p ON p.id = r.repository_id WHERE ",
            $rest
        )
    };
}

impl Tx {
    /// Runs, newest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn runs(&mut self, filter: &RunFilter) -> Result<Vec<RunSummary>> {
        let mut found = self.run_places(filter).await?;
        if filter.is_backwards() {
            found.reverse();
        }
        let ids: Vec<RunId> = found.into_iter().map(|(id, _)| id).collect();
        self.run_summaries(&ids).await
    }

    /// The runs of a filter and whose they are, from where it begins: backwards in time, or forwards from `after`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn run_places(&mut self, filter: &RunFilter) -> Result<Vec<(RunId, RepositoryId)>> {
        let labels = filter.state.map(StateFilter::labels);
        let label = |at: usize| labels.map(|labels| labels[at]);
        rows!(
            self,
            (RunId, RepositoryId),
            match (filter.repository, filter.is_backwards()) {
                (Some(_), false) => select!("repository_id = $1", "DESC"),
                (Some(_), true) => select!("repository_id = $1", "ASC"),
                (None, false) => select!("$1 IS NULL", "DESC"),
                (None, true) => select!("$1 IS NULL", "ASC"),
            },
            filter.repository,
            filter.before.map_or(i64::MAX, RunId::as_i64),
            filter.after.map_or(-1, RunId::as_i64),
            &filter.branch,
            &filter.tag,
            filter.pull,
            &filter.author,
            &filter.kind,
            &filter.flow,
            label(0),
            label(1),
            label(2),
            filter.limit,
        )
    }

    /// These runs, in this order.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn run_summaries(&mut self, ids: &[RunId]) -> Result<Vec<RunSummary>> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(row!(self, RunSummary, summary!("r.id = $1"), id)?);
        }
        Ok(found)
    }

    /// The runs that a delivery started, in the order of their making.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn runs_of_delivery(&mut self, delivery: DeliveryId) -> Result<Vec<RunSummary>> {
        rows!(self, RunSummary, summary!("r.delivery_id = $1 ORDER BY r.id"), delivery)
    }

    /// The names of the flows of which a repository has runs, at most `most`: from one to the next, for it has many runs
    /// and few flows.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn flows_run(&mut self, repository: RepositoryId, most: usize) -> Result<Vec<String>> {
        let mut flows: Vec<String> = Vec::new();
        while flows.len() < most {
            let next: Option<(Option<String>,)> = row!(
                self,
                (Option<String>,),
                "SELECT MIN(flow) FROM runs WHERE repository_id = $1 AND flow > $2",
                repository,
                flows.last().map_or("", String::as_str),
            )?;
            match next.and_then(|(flow,)| flow) {
                Some(flow) => flows.push(flow),
                None => break,
            }
        }
        Ok(flows)
    }
}

impl RunFilter {
    const fn is_backwards(&self) -> bool {
        self.after.is_some()
    }
}

/// A run of an earlier release.
#[derive(sqlx::FromRow)]
struct Unlisted {
    id: RunId,
    event: String,
    state: String,
    created: Time,
    started: Option<Time>,
    ended: Option<Time>,
    paused_since: Option<Time>,
    paused: i64,
}

impl Store {
    /// Fills in what runs of an earlier release do not say of themselves in columns, a part at a time.
    pub(super) async fn fill_in(&self) -> Result<()> {
        loop {
            let found = self.read().await?.unlisted().await?;
            if found.is_empty() {
                return Ok(());
            }
            let mut tx = self.write().await?;
            for run in found {
                tx.fill_in(&run).await?;
            }
            tx.commit().await?;
        }
    }
}

impl Tx {
    async fn unlisted(&mut self) -> Result<Vec<Unlisted>> {
        rows!(
            self,
            Unlisted,
            "SELECT id, event, state, created, started, ended, paused_since, paused FROM runs WHERE kind = '' \
             ORDER BY id LIMIT $1",
            STEP,
        )
    }

    async fn fill_in(&mut self, run: &Unlisted) -> Result<()> {
        let listed = serde_json::from_str::<Event>(&run.event).ok().as_ref().map(Listed::from);
        let state = serde_json::from_str::<RunState>(&run.state).unwrap_or(RunState::Queued);
        let label = if run.paused_since.is_some() && state == RunState::Running { PAUSED } else { state.label() };
        let span = |from: Option<Time>, to: Option<Time>| Some(to?.as_millis() - from?.as_millis());
        let met = execute!(
            self,
            "UPDATE runs SET label = $2, kind = $3, branch = $4, tag = $5, pull = $6, actor = $7, author = $8, waited = $9, \
             took = $10 WHERE id = $1",
            run.id,
            label,
            // one that nobody can read any more is not asked again at each start
            listed.as_ref().map_or("unknown", |listed| listed.kind),
            listed.as_ref().and_then(|listed| listed.branch.as_deref()),
            listed.as_ref().and_then(|listed| listed.tag.as_deref()),
            listed.as_ref().and_then(|listed| listed.pull),
            listed.as_ref().map_or("", |listed| &listed.actor),
            listed.as_ref().map_or("", |listed| &listed.author),
            span(Some(run.created), run.started),
            span(run.started, run.ended).map(|took| took - run.paused),
        )?;
        meant("a run's columns", 1, met)
    }
}
