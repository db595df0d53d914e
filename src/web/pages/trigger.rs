//! Runs that jobs start: a link there, and a link back.

use super::{Failure, JobPlace, Place, Route, run_url};
use crate::{
    model::{JobId, JobPath, Right, RunId},
    store::{RepositoryRow, RunRow, Tx},
    web::{Web, access::Granted},
};

/// A link to a run, or to the job that started one.
pub(super) struct LinkView {
    pub(super) words: String,
    pub(super) url: String,
}

/// The run that a job has started.
pub(super) async fn started(web: &Web, of: &Granted, tx: &mut Tx, job: JobId) -> Result<Option<LinkView>, Failure> {
    let Some(delivery) = tx.trigger(job).await? else { return Ok(None) };
    let Some(run) = tx.runs_of_delivery(delivery).await?.into_iter().next() else { return Ok(None) };
    if !is_seen(web, of, tx.repository_named(run.forge, &run.name).await?).await {
        return Ok(None);
    }
    let route = Route { forge: run.forge, repository: run.name.clone(), place: Place::Runs };
    let url = run_url(&route, run.number.cast_unsigned());
    Ok(Some(LinkView { words: format!("{} #{}: {}", run.flow, run.number, run.state.label()), url }))
}

/// Whether whoever looks at a repository may see this one as well.
async fn is_seen(web: &Web, of: &Granted, other: Option<RepositoryRow>) -> bool {
    match other {
        Some(other) if other.id == of.repository.id => true,
        Some(other) => of.visitor.may(web, &other, Right::See).await,
        None => false,
    }
}

/// The job that has started a run.
pub(super) async fn starter(web: &Web, of: &Granted, tx: &mut Tx, run: &RunRow) -> Result<Option<LinkView>, Failure> {
    let Some(delivery) = run.delivery_id else { return Ok(None) };
    let Some(by) = tx.triggered_by(delivery).await? else { return Ok(None) };
    let Some((from, path)) = job_at(tx, by.run_id, (by.stage, by.action, by.job)).await? else { return Ok(None) };
    let repository = tx.repository(from.repository_id).await?;
    if !is_seen(web, of, Some(repository.clone())).await {
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
