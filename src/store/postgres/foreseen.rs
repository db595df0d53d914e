//! What many ask for together, read by four statements for all of them.

use sqlx::{Postgres, Transaction};

use crate::{
    model::{ActionId, AttemptId, JobId, RunId},
    store::{ActionRow, AttemptRow, JobRow, Result, RunRow, Wanted},
};

/// The attempts' jobs, the actions' attempts, the runs' actions, and the runs that are wanted.
#[derive(Default)]
pub(in crate::store) struct Foreseen {
    pub(in crate::store) jobs: Vec<JobRow>,
    pub(in crate::store) attempts: Vec<AttemptRow>,
    pub(in crate::store) actions: Vec<ActionRow>,
    pub(in crate::store) runs: Vec<RunRow>,
    /// Those of the jobs that have told something by events.
    pub(in crate::store) told: Vec<JobId>,
}

/// Reads what these will ask for.
pub(in crate::store) async fn foresee(tx: &mut Transaction<'static, Postgres>, wanted: &[&Wanted]) -> Result<Foreseen> {
    let (mut own, mut hashes): (Vec<ActionId>, Vec<&str>) = Default::default();
    for wanted in wanted {
        match wanted {
            Wanted::Action(id) => own.push(*id),
            Wanted::JobOf(hash) => hashes.push(hash),
        }
    }
    let mut found = Foreseen::default();
    if !hashes.is_empty() {
        found.jobs = sqlx::query_as(
            "SELECT * FROM jobs WHERE attempt_id IN (SELECT attempt_id FROM jobs WHERE token_hash = ANY($1) \
             UNION SELECT attempt_id FROM jobs WHERE session_hash = ANY($1)) ORDER BY attempt_id, place",
        )
        .bind(&hashes)
        .fetch_all(&mut **tx)
        .await?;
        let jobs: Vec<i64> = found.jobs.iter().map(|job| job.id.as_i64()).collect();
        let told: Vec<(JobId,)> = sqlx::query_as("SELECT DISTINCT job_id FROM job_events WHERE job_id = ANY($1)")
            .bind(jobs)
            .fetch_all(&mut **tx)
            .await?;
        found.told = told.into_iter().map(|(id,)| id).collect();
    }
    let of: Vec<AttemptId> =
        found.jobs.chunk_by(|a, b| a.attempt_id == b.attempt_id).map(|jobs| jobs[0].attempt_id).collect();
    found.attempts = sqlx::query_as(
        "SELECT * FROM attempts WHERE action_id IN (SELECT action_id FROM attempts WHERE id = ANY($1) \
         UNION SELECT UNNEST($2::bigint[])) ORDER BY action_id, number",
    )
    .bind(of.iter().map(|id| id.as_i64()).collect::<Vec<_>>())
    .bind(own.iter().map(|id| id.as_i64()).collect::<Vec<_>>())
    .fetch_all(&mut **tx)
    .await?;
    let attempted = found.attempts.iter().map(|attempt| attempt.action_id);
    let actions: Vec<i64> = own.iter().copied().chain(attempted).map(ActionId::as_i64).collect();
    found.actions = sqlx::query_as(
        "SELECT * FROM actions WHERE run_id IN (SELECT run_id FROM actions WHERE id = ANY($1)) \
         ORDER BY run_id, stage, place",
    )
    .bind(actions)
    .fetch_all(&mut **tx)
    .await?;
    let runs: Vec<RunId> =
        found.actions.chunk_by(|a, b| a.run_id == b.run_id).map(|actions| actions[0].run_id).collect();
    found.runs = sqlx::query_as("SELECT * FROM runs WHERE id = ANY($1)")
        .bind(runs.iter().map(|id| id.as_i64()).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?;
    Ok(found)
}
