//! Ended jobs, counted by one statement for all of a transaction.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Postgres, Transaction};

use super::clean;
use crate::{
    model::RepositoryId,
    store::{
        EndedJob, Result,
        tally::{Day, Sum},
    },
};

/// Of jobs that ended well, each with its place, those whose failure at their commit was remembered: it is no more.
pub(in crate::store) async fn flaky(
    tx: &mut Transaction<'static, Postgres>,
    passed: &[(usize, &EndedJob)],
) -> Result<BTreeSet<usize>> {
    let texts =
        |text: fn(&EndedJob) -> String| passed.iter().map(|(_, job)| clean::text(text(job))).collect::<Vec<String>>();
    let met: Vec<(i64,)> = sqlx::query_as(
        "UPDATE job_failures AS f SET passed = 1 \
         FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[]) \
         AS new (place, repository_id, sha, flow, job) WHERE f.repository_id = new.repository_id AND f.sha = new.sha \
         AND f.flow = new.flow AND f.job = new.job AND f.passed = 0 RETURNING new.place",
    )
    .bind(passed.iter().map(|(at, _)| i64::try_from(*at).unwrap_or(i64::MAX)).collect::<Vec<_>>())
    .bind(passed.iter().map(|(_, job)| job.repository.as_i64()).collect::<Vec<_>>())
    .bind(texts(|job| job.sha.to_string()))
    .bind(texts(|job| job.flow.clone()))
    .bind(texts(|job| job.job.clone()))
    .fetch_all(&mut **tx)
    .await?;
    Ok(met.into_iter().filter_map(|(at,)| usize::try_from(at).ok()).collect())
}

/// Adds to days that are there. Which they are.
pub(in crate::store) async fn add_to_days(
    tx: &mut Transaction<'static, Postgres>,
    days: &BTreeMap<Day, Sum>,
) -> Result<Vec<Day>> {
    let texts = |text: fn(&Day) -> &str| days.keys().map(|day| clean::text(text(day).to_owned())).collect::<Vec<_>>();
    let sums = |number: fn(&Sum) -> i64| days.values().map(number).collect::<Vec<i64>>();
    let met: Vec<(RepositoryId, i64, String, String, String)> = sqlx::query_as(
        "UPDATE job_days AS d SET ran = d.ran + new.ran, failed = d.failed + new.failed, flaky = d.flaky + new.flaky, \
         millis = d.millis + new.millis, longest = GREATEST(d.longest, new.longest), \
         failed_in = CASE WHEN new.failed > 0 THEN new.failed_in ELSE d.failed_in END \
         FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], \
         $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[]) AS new (repository_id, day, flow, branch, job, ran, \
         failed, flaky, millis, longest, failed_in) WHERE d.repository_id = new.repository_id AND d.day = new.day \
         AND d.flow = new.flow AND d.branch = new.branch AND d.job = new.job \
         RETURNING d.repository_id, d.day, d.flow, d.branch, d.job",
    )
    .bind(days.keys().map(|day| day.repository.as_i64()).collect::<Vec<_>>())
    .bind(days.keys().map(|day| day.day).collect::<Vec<_>>())
    .bind(texts(|day| &day.flow))
    .bind(texts(|day| &day.branch))
    .bind(texts(|day| &day.job))
    .bind(sums(|sum| sum.ran))
    .bind(sums(|sum| sum.failed))
    .bind(sums(|sum| sum.flaky))
    .bind(sums(|sum| sum.millis))
    .bind(sums(|sum| sum.longest))
    .bind(sums(|sum| sum.failed_in))
    .fetch_all(&mut **tx)
    .await?;
    Ok(met.into_iter().map(|(repository, day, flow, branch, job)| Day { repository, day, flow, branch, job }).collect())
}
