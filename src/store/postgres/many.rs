//! What is said of many rows, by one statement for all of them.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Postgres, Transaction};

use crate::{
    model::{ActionId, AttemptId, JobId, Time},
    store::{ActionRow, AttemptRow, Attempted, JobRow, Result},
};

type On = Transaction<'static, Postgres>;

/// Those of these actions that were attempted.
pub(in crate::store) async fn attempted(on: &mut On, ids: &[ActionId]) -> Result<Vec<Attempted>> {
    let attempts: Vec<AttemptRow> = sqlx::query_as(
        "SELECT DISTINCT ON (action_id) * FROM attempts WHERE action_id = ANY($1) ORDER BY action_id, number DESC",
    )
    .bind(numbers(ids, |id| id.as_i64()))
    .fetch_all(&mut **on)
    .await?;
    let actions: Vec<ActionRow> = sqlx::query_as("SELECT * FROM actions WHERE id = ANY($1)")
        .bind(numbers(&attempts, |attempt| attempt.action_id.as_i64()))
        .fetch_all(&mut **on)
        .await?;
    let mut actions: BTreeMap<ActionId, ActionRow> = actions.into_iter().map(|action| (action.id, action)).collect();
    let own = numbers(&attempts, |attempt| attempt.id.as_i64());
    let jobs: Vec<JobRow> = sqlx::query_as("SELECT * FROM jobs WHERE attempt_id = ANY($1) ORDER BY attempt_id, place")
        .bind(&own)
        .fetch_all(&mut **on)
        .await?;
    let mut of: BTreeMap<AttemptId, Vec<JobRow>> = BTreeMap::new();
    jobs.into_iter().for_each(|job| of.entry(job.attempt_id).or_default().push(job));
    let podless: Vec<(AttemptId,)> =
        sqlx::query_as("SELECT DISTINCT attempt_id FROM podless_jobs WHERE attempt_id = ANY($1)")
            .bind(&own)
            .fetch_all(&mut **on)
            .await?;
    let podless: BTreeSet<AttemptId> = podless.into_iter().map(|(id,)| id).collect();
    let whole = |attempt: AttemptRow| {
        let (action, jobs) = (actions.remove(&attempt.action_id)?, of.remove(&attempt.id).unwrap_or_default());
        Some(Attempted { has_podless: podless.contains(&attempt.id), action, attempt, jobs })
    };
    Ok(attempts.into_iter().filter_map(whole).collect())
}

/// These attempts.
pub(in crate::store) async fn attempts(on: &mut On, ids: &[AttemptId]) -> Result<Vec<AttemptRow>> {
    let found = sqlx::query_as("SELECT * FROM attempts WHERE id = ANY($1)").bind(numbers(ids, |id| id.as_i64()));
    Ok(found.fetch_all(&mut **on).await?)
}

/// Nobody need look at these before their new time, unless something has hurried one since.
pub(in crate::store) async fn rest_actions(on: &mut On, resting: &[(ActionId, Time, Time)]) -> Result<()> {
    sqlx::query(
        "UPDATE actions SET due = new.due FROM UNNEST($1::bigint[], $2::bigint[], $3::bigint[]) AS new (id, read, due) \
         WHERE actions.id = new.id AND actions.due = new.read",
    )
    .bind(numbers(resting, |(id, ..)| id.as_i64()))
    .bind(numbers(resting, |(_, read, _)| read.as_millis()))
    .bind(numbers(resting, |(.., due)| due.as_millis()))
    .execute(&mut **on)
    .await?;
    Ok(())
}

/// Whoever drives these attempts' actions should look now, unless they have ended.
pub(in crate::store) async fn hurry_attempts(on: &mut On, attempts: &[AttemptId], now: Time) -> Result<()> {
    sqlx::query(
        "UPDATE actions SET due = $2 WHERE phase IN ('queued', 'running') AND due > $2 AND id IN \
         (SELECT action_id FROM attempts WHERE id = ANY($1) AND phase IN ('starting', 'running'))",
    )
    .bind(numbers(attempts, |id| id.as_i64()))
    .bind(now)
    .execute(&mut **on)
    .await?;
    Ok(())
}

/// Agents spoke. Those of them that were silent, which is over.
pub(in crate::store) async fn jobs_spoke(on: &mut On, spoke: &[(JobId, Time)]) -> Result<Vec<JobId>> {
    let (ids, times) = (numbers(spoke, |(id, _)| id.as_i64()), numbers(spoke, |(_, at)| at.as_millis()));
    sqlx::query(
        "UPDATE jobs SET heard = new.at FROM UNNEST($1::bigint[], $2::bigint[]) AS new (id, at) \
         WHERE jobs.id = new.id AND (heard IS NULL OR heard < new.at)",
    )
    .bind(&ids)
    .bind(&times)
    .execute(&mut **on)
    .await?;
    let over: Vec<(JobId,)> = sqlx::query_as(
        "UPDATE silences SET until = new.at FROM UNNEST($1::bigint[], $2::bigint[]) AS new (id, at) \
         WHERE job_id = new.id AND until IS NULL AND since < new.at RETURNING job_id",
    )
    .bind(ids)
    .bind(times)
    .fetch_all(&mut **on)
    .await?;
    Ok(over.into_iter().map(|(id,)| id).collect())
}

fn numbers<T>(of: &[T], number: fn(&T) -> i64) -> Vec<i64> {
    of.iter().map(number).collect()
}
