//! Runs that jobs start: a link there, and a link back.

use std::collections::{BTreeMap, BTreeSet};

use super::{Failure, JobPlace, Place, Route, run_url};
use crate::{
    model::{JobId, JobPath, Right, RunId},
    store::{RepositoryRow, RunRow, StartedRow, Tx},
    web::{Web, access::Granted},
};

/// A link to a run, or to the job that started one.
#[derive(Clone)]
pub(super) struct LinkView {
    pub(super) words: String,
    pub(super) url: String,
}

/// The runs that jobs of a run have started, as far as whoever looks may see them.
pub(super) async fn all_started(
    web: &Web,
    of: &Granted,
    tx: &mut Tx,
    run: RunId,
) -> Result<BTreeMap<JobId, LinkView>, Failure> {
    let rows = tx.started_of_run(run).await?;
    let repositories = if rows.is_empty() { Vec::new() } else { tx.started_repositories(run).await? };
    let mut seen = BTreeSet::new();
    for repository in repositories {
        let id = repository.id;
        if is_seen(web, of, repository).await {
            seen.insert(id);
        }
    }
    let mut links = BTreeMap::new();
    for row in rows.into_iter().filter(|row| seen.contains(&row.repository_id)) {
        links.entry(row.job_id).or_insert_with(|| LinkView::to(row));
    }
    Ok(links)
}

impl LinkView {
    fn to(row: StartedRow) -> Self {
        let words = format!("{} #{}: {}", row.flow, row.number, row.state.label());
        let route = Route { forge: row.forge, repository: row.name, place: Place::Runs };
        Self { words, url: run_url(&route, row.number.cast_unsigned()) }
    }
}

/// Whether whoever looks at a repository may see this one as well.
async fn is_seen(web: &Web, of: &Granted, other: RepositoryRow) -> bool {
    other.id == of.repository.id || of.visitor.may(web, &other, Right::See).await
}

/// The job that has started a run.
pub(super) async fn starter(web: &Web, of: &Granted, tx: &mut Tx, run: &RunRow) -> Result<Option<LinkView>, Failure> {
    let Some(delivery) = run.delivery_id else { return Ok(None) };
    let Some(by) = tx.triggered_by(delivery).await? else { return Ok(None) };
    let Some((from, path)) = job_at(tx, by.run_id, (by.stage, by.action, by.job)).await? else { return Ok(None) };
    let repository = tx.repository(from.repository_id).await?;
    if !is_seen(web, of, repository.clone()).await {
        return Ok(None);
    }
    let words = format!("{path} of {} #{}", from.flow, from.number);
    let place = Place::Job(from.number.cast_unsigned(), path, JobPlace::Page);
    Ok(Some(LinkView { words, url: Route { forge: repository.forge, repository: repository.name, place }.to_string() }))
}

async fn job_at(tx: &mut Tx, run: RunId, at: (i64, i64, i64)) -> Result<Option<(RunRow, JobPath)>, Failure> {
    let place = |column: i64| usize::try_from(column).ok();
    let Some(run) = tx.run(run).await? else { return Ok(None) };
    let path = || {
        let stage = run.plan.as_ref()?.stages.get(place(at.0)?)?;
        let action = stage.actions.get(place(at.1)?)?;
        let job = action.jobs.get(place(at.2)?)?;
        Some(JobPath { stage: stage.name.clone(), action: action.name.clone(), job: job.name.clone() })
    };
    let path = path();
    Ok(path.map(|path| (run, path)))
}
