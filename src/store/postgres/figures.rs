//! How runs went, in columns. As text each number is written by the database and read here again, which takes longer than
//! to find the rows; PostgreSQL has arrays, and sends them as they are.

use std::{collections::HashMap, sync::Arc};

use sqlx::{Postgres, Transaction};

use super::clean::Clean;
use crate::{
    model::RunId,
    store::{Result, RunFigure, RunsAsked},
};

/// Labels with blanks between them, when the runs were made, how long they waited, and how long they took: aggregates of
/// one statement see its rows in one order. Nothing is grouped: of a prepared statement PostgreSQL does not know how many
/// rows it meets, and would sort them on the disk.
type Columns = (Option<String>, Option<Vec<i64>>, Option<Vec<Option<i64>>>, Option<Vec<Option<i64>>>);

/// What [`run_figures`](crate::store::Tx::run_figures) asks for, in no order.
pub(in crate::store) async fn run_figures(
    tx: &mut Transaction<'static, Postgres>,
    asked: &RunsAsked,
) -> Result<Vec<RunFigure>> {
    let columns: Columns = sqlx::query_as(
        "SELECT string_agg(label, ' '), array_agg(id), array_agg(waited), array_agg(took) FROM runs \
         WHERE repository_id = $1 AND id >= $2 AND ($3 IS NULL OR flow = $3) AND ($4 IS NULL OR branch = $4)",
    )
    .bind(asked.repository)
    .bind(RunId::first_at(asked.since))
    .bind(Clean(&asked.flow))
    .bind(Clean(&asked.branch))
    .fetch_one(&mut **tx)
    .await?;
    Ok(figures(columns))
}

fn figures((labels, ids, waited, took): Columns) -> Vec<RunFigure> {
    let labels = labels.unwrap_or_default();
    let times = waited.unwrap_or_default().into_iter().zip(took.unwrap_or_default());
    let mut names: HashMap<&str, Arc<str>> = HashMap::new();
    let rows = labels.split(' ').zip(ids.unwrap_or_default()).zip(times);
    rows.map(|((label, id), (waited, took))| {
        let label = names.entry(label).or_insert_with(|| label.into());
        RunFigure::new(RunId::from_i64(id), Arc::clone(label), waited, took)
    })
    .collect()
}
