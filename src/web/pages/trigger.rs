//! Runs that jobs start: a link there, and a link back.

use super::{Failure, JobPlace, Place, Route, run_url};
use crate::{
    model::{JobId, JobPath, RunId},
    store::{RunRow, Tx},
};

/// A link to a run, or to the job that started one.
pub(super) struct LinkView {
    pub(super) words: String,
    pub(super) url: String,
}

/// The run that a job has started.
pub(super) async fn started(tx: &mut Tx, job: JobId) -> Result<Option<LinkView>, Failure> {
    let Some(delivery) = tx.trigger(job).await? else { return Ok(None) };
    let run = tx.runs_of_delivery(delivery).await?.into_iter().next();
    Ok(run.map(|run| {
        let route = Route { forge: run.forge, repository: run.name.clone(), place: Place::Runs };
        let url = run_url(&route, run.number.cast_unsigned());
        LinkView { words: format!("{} #{}: {}", run.flow, run.number, run.state.label()), url }
    }))
}

/// The job that has started a run.
pub(super) async fn starter(tx: &mut Tx, run: &RunRow) -> Result<Option<LinkView>, Failure> {
    let Some(delivery) = run.delivery_id else { return Ok(None) };
    let Some(of) = tx.triggered_by(delivery).await? else { return Ok(None) };
    let Some((from, path)) = job_at(tx, of.run_id, (of.stage, of.action, of.job)).await? else { return Ok(None) };
    let repository = tx.repository(from.repository_id).await?;
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
