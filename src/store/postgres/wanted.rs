//! Many reports in one statement: a run that moves has something new to say in many contexts.

use sqlx::{Postgres, Transaction};

use super::clean;
use crate::{
    model::ReportId,
    store::{
        NewReport, Result,
        report::{LONG, PACE, digest, millis, unless_newer},
    },
};

/// Wants all of these shown, of which no two have one context. How many rows that changed.
pub(in crate::store) async fn want(tx: &mut Transaction<'static, Postgres>, news: &[&NewReport<'_>]) -> Result<u64> {
    let numbers = |number: fn(&NewReport<'_>) -> i64| news.iter().map(|new| number(new)).collect::<Vec<i64>>();
    let texts = |text: fn(&NewReport<'_>) -> String| news.iter().map(|new| clean::text(text(new))).collect::<Vec<_>>();
    let wanted = news.iter().map(|new| serde_json::to_string(new.report)).collect::<serde_json::Result<Vec<_>>>();
    let wanted = wanted.map_err(|error| sqlx::Error::Encode(error.into()))?;
    let met = sqlx::query(concat!(
        "INSERT INTO reports (id, repository_id, sha, context, generation, wanted, wanted_digest, acknowledged, due, \
         tries, trouble, wanted_at, rank, final, look_at) \
         SELECT id, repository_id, sha, context, generation, wanted, wanted_digest, '', wanted_at, 0, '', wanted_at, \
         rank, final, look_at FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], \
         $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[]) AS new (id, repository_id, \
         sha, context, generation, wanted, wanted_digest, wanted_at, rank, final, look_at) ",
        unless_newer!()
    ))
    .bind(numbers(|new| ReportId::mint(new.now).as_i64()))
    .bind(numbers(|new| new.repository.as_i64()))
    .bind(texts(|new| new.sha.to_string()))
    .bind(texts(|new| new.context.to_string()))
    .bind(numbers(|new| new.generation.as_i64()))
    .bind(wanted)
    .bind(texts(|new| digest(new.report)))
    .bind(numbers(|new| new.now.as_millis()))
    .bind(numbers(|new| new.rank()))
    .bind(numbers(|new| i64::from(new.report.progress.is_final())))
    .bind(numbers(|new| new.now.after(LONG).as_millis()))
    .bind(millis(PACE))
    .execute(&mut **tx)
    .await?;
    Ok(met.rows_affected())
}
