//! How a repository's runs went.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::Serialize;

use super::Problem;
use crate::{
    model::{ForgeKind, RepositoryName},
    web::{
        Web,
        access::{OfRepository, See},
        pages::Failure,
        statistics::{Asked, Statistics, StatisticsQuery, gather},
    },
};

/// Statistics of a repository over some days.
#[derive(Debug, Serialize)]
pub(super) struct StatisticsAnswer {
    /// Its forge.
    forge: ForgeKind,
    /// Its name there.
    repository: RepositoryName,
    /// Over how many days, today among them; days are those of UTC.
    window_days: i64,
    /// Of which flow alone.
    flow: Option<String>,
    /// Of which branch alone.
    branch: Option<String>,
    /// Whether jobs are counted for this: they are for all branches together, and for the default one.
    jobs_counted: bool,
    /// The numbers.
    #[serde(flatten)]
    statistics: Statistics,
}

/// `?forge=github&repository=acme/shop&days=30&flow=ci&branch=main`
pub(super) async fn show(
    OfRepository { granted, .. }: OfRepository<See>,
    State(web): State<Web>,
    asked: Result<Query<StatisticsQuery>, QueryRejection>,
) -> Result<Json<StatisticsAnswer>, Problem> {
    let Query(asked) = asked.map_err(|_| Failure::Query)?;
    let asked = Asked::try_from(asked)?;
    let (row, mut tx) = (&granted.repository, web.engine.store.read().await?);
    let found = gather(&mut tx, row, &asked, web.engine.clock.now()).await?;
    Ok(Json(StatisticsAnswer {
        forge: row.forge,
        repository: row.name.clone(),
        window_days: asked.window.days(),
        flow: asked.flow,
        branch: asked.branch,
        jobs_counted: found.jobs_of.is_some(),
        statistics: found.statistics,
    }))
}
