//! What a repository's statistics are made of: how its runs went, and its jobs as they were counted when they ended.

use std::{collections::BTreeSet, sync::Arc};

use super::{Json, On, Result, Tx, postgres, row, rows};
use crate::model::{RepositoryId, RunId, RunState, Time};

pub(super) const DAY_MS: i64 = 86_400_000;

/// Whose runs are looked at, since when, and which of them.
#[derive(Debug, Clone)]
pub struct RunsAsked {
    /// Whose.
    pub repository: RepositoryId,
    /// Since when they were made.
    pub since: Time,
    /// Of which flow.
    pub flow: Option<String>,
    /// Of which branch.
    pub branch: Option<String>,
}

/// How a run went, for statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFigure {
    /// When it was made.
    pub made: Time,
    /// Its conclusion, or how far it is.
    pub label: Arc<str>,
    /// From its making to its start, in milliseconds.
    pub waited: Option<u64>,
    /// From its start to its end, in milliseconds.
    pub took: Option<u64>,
}

/// How a job has gone over some days.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct JobFigures {
    /// Its flow.
    pub flow: String,
    /// `stage/action/job`.
    pub job: String,
    /// How often it ran to an end.
    pub ran: i64,
    /// How often it failed.
    pub failed: i64,
    /// How often it ended well at a commit at which it had failed.
    pub flaky: i64,
    /// All its time, in milliseconds.
    pub millis: i64,
    /// Its longest time.
    pub longest: i64,
    /// The number of the run in which it failed last; 0: in none of them.
    pub failed_in: i64,
}

/// Of what a badge speaks.
#[derive(Debug, Clone)]
pub struct BadgeAsked {
    /// Whose.
    pub repository: RepositoryId,
    /// Of which branch; `None`: of a tag.
    pub branch: Option<String>,
    /// Of which tag.
    pub tag: Option<String>,
    /// Of which kind of event; `None`: of any that builds what the branch itself has.
    pub kind: Option<String>,
    /// Of which flow; `None`: of all that the newest commit has runs of.
    pub flow: Option<String>,
}

/// The newest run of a flow that says something, for a badge.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct BadgeRow {
    /// The flow.
    pub flow: String,
    /// How it ended.
    pub state: Json<RunState>,
}

impl RunFigure {
    /// Of what stands in a run's row.
    pub(super) fn new(id: RunId, label: Arc<str>, waited: Option<i64>, took: Option<i64>) -> Self {
        let span = |ms: Option<i64>| ms.map(|ms| ms.max(0).cast_unsigned());
        Self { made: id.made(), label, waited: span(waited), took: span(took) }
    }
}

impl Tx {
    /// How runs went, oldest first. All of them come as one text, or on PostgreSQL as columns: a hundred thousand rows
    /// would take a hundred times longer on their way than to be found.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn run_figures(&mut self, asked: &RunsAsked) -> Result<Vec<RunFigure>> {
        let mut figures = match &mut self.on {
            On::Postgres(on) => postgres::run_figures(on, asked).await?,
            On::Sqlite(_) => self.figures_as_text(asked).await?,
        };
        figures.sort_by_key(|figure| figure.made);
        Ok(figures)
    }

    async fn figures_as_text(&mut self, asked: &RunsAsked) -> Result<Vec<RunFigure>> {
        let found: Option<(Option<String>,)> = row!(
            self,
            (Option<String>,),
            "SELECT string_agg(CAST(id AS TEXT) || ' ' || label || ' ' || COALESCE(CAST(waited AS TEXT), '') || ' ' || \
             COALESCE(CAST(took AS TEXT), ''), ',') FROM runs WHERE repository_id = $1 AND id >= $2 \
             AND ($3 IS NULL OR flow = $3) AND ($4 IS NULL OR branch = $4)",
            asked.repository,
            RunId::first_at(asked.since),
            &asked.flow,
            &asked.branch,
        )?;
        let text = found.and_then(|(text,)| text).unwrap_or_default();
        Ok(text.split(',').filter_map(figure).collect())
    }

    /// How a repository's jobs went, of any branch or of the default one, those first that took most time in all.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn job_figures(&mut self, asked: &RunsAsked) -> Result<Vec<JobFigures>> {
        rows!(
            self,
            JobFigures,
            "SELECT flow, job, CAST(SUM(ran) AS BIGINT) AS ran, CAST(SUM(failed) AS BIGINT) AS failed, \
             CAST(SUM(flaky) AS BIGINT) AS flaky, CAST(SUM(millis) AS BIGINT) AS millis, MAX(longest) AS longest, \
             MAX(failed_in) AS failed_in FROM job_days WHERE repository_id = $1 AND day >= $2 \
             AND ($3 IS NULL OR flow = $3) AND ($4 IS NULL OR branch = $4) GROUP BY flow, job ORDER BY 6 DESC LIMIT 1000",
            asked.repository,
            asked.since.as_millis().div_euclid(DAY_MS),
            &asked.flow,
            &asked.branch,
        )
    }

    /// How a repository's newest runs went, newest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn newest_figures(&mut self, repository: RepositoryId, most: i64) -> Result<Vec<RunFigure>> {
        let found: Vec<(RunId, String, Option<i64>, Option<i64>)> = rows!(
            self,
            (RunId, String, Option<i64>, Option<i64>),
            "SELECT id, label, waited, took FROM runs WHERE repository_id = $1 ORDER BY id DESC LIMIT $2",
            repository,
            most,
        )?;
        Ok(found.into_iter().map(|(id, label, waited, took)| RunFigure::new(id, label.into(), waited, took)).collect())
    }

    /// For each flow of the newest commit of a branch or tag, or for one flow: its newest run there that has ended and
    /// says something of the code.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn badge_rows(&mut self, asked: &BadgeAsked) -> Result<Vec<BadgeRow>> {
        let flows = match &asked.flow {
            Some(flow) => vec![flow.clone()],
            None => self.flows_of_newest(asked).await?,
        };
        let mut found = Vec::new();
        for flow in flows {
            // only so is the index that holds all of it used, whatever another one begins with
            let newest: Option<(RunId,)> = row!(
                self,
                (RunId,),
                "SELECT id FROM runs WHERE repository_id = $1 AND ($2 IS NULL OR branch = $2) AND ($3 IS NULL OR tag = $3) \
                 AND ($4 IS NULL OR kind = $4) AND ($4 IS NOT NULL OR kind NOT IN ('pull_request', 'merge_group')) \
                 AND flow || '' = $5 AND label IN ('success', 'warning', 'failure', 'timed_out', 'error') \
                 ORDER BY id DESC LIMIT 1",
                asked.repository,
                &asked.branch,
                &asked.tag,
                &asked.kind,
                &flow,
            )?;
            let Some((id,)) = newest else { continue };
            found.extend(row!(self, BadgeRow, "SELECT flow, state FROM runs WHERE id = $1", id)?);
        }
        Ok(found)
    }

    async fn flows_of_newest(&mut self, asked: &BadgeAsked) -> Result<Vec<String>> {
        let newest: Option<(RunId,)> = row!(
            self,
            (RunId,),
            "SELECT id FROM runs WHERE repository_id = $1 AND ($2 IS NULL OR branch = $2) AND ($3 IS NULL OR tag = $3) \
             AND ($4 IS NULL OR kind = $4) AND ($4 IS NOT NULL OR kind NOT IN ('pull_request', 'merge_group')) \
             ORDER BY id DESC LIMIT 1",
            asked.repository,
            &asked.branch,
            &asked.tag,
            &asked.kind,
        )?;
        let Some((id,)) = newest else { return Ok(Vec::new()) };
        let flows: Vec<(String,)> = rows!(
            self,
            (String,),
            "SELECT flow FROM runs WHERE repository_id = $1 AND sha = (SELECT sha FROM runs WHERE id = $2) \
             AND kind NOT IN ('pull_request', 'merge_group') ORDER BY id DESC LIMIT 200",
            asked.repository,
            id,
        )?;
        let flows: BTreeSet<String> = flows.into_iter().map(|(flow,)| flow).collect();
        Ok(flows.into_iter().collect())
    }
}

/// One run of the text.
fn figure(text: &str) -> Option<RunFigure> {
    let mut parts = text.split(' ');
    let id = RunId::from_i64(parts.next()?.parse().ok()?);
    let label = parts.next()?.into();
    let mut span = || parts.next().and_then(|part| part.parse().ok());
    Some(RunFigure::new(id, label, span(), span()))
}
