//! How a repository's runs went.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Answer, asked::Asked as Query};
use crate::{
    model::{ForgeKind, RepositoryName},
    web::{
        Web,
        access::{OfRepository, See},
        statistics::{Asked, Statistics, StatisticsQuery, gather},
    },
};

/// Of what, and over how long.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Window {
    /// The repository's forge.
    #[expect(dead_code, reason = "the guard reads it")]
    forge: ForgeKind,
    /// Its name there.
    #[expect(dead_code, reason = "the guard reads it")]
    repository: RepositoryName,
    /// Over how many days, today among them.
    #[param(pattern = "^(7|30|90)$", example = "30")]
    days: Option<String>,
    /// Of one flow alone, by its name.
    #[param(example = "ci", max_length = 300)]
    flow: Option<String>,
    /// Of one branch alone.
    #[param(example = "main", max_length = 300)]
    branch: Option<String>,
}

/// Statistics of a repository over some days.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatisticsOfRepository)]
pub(super) struct StatisticsAnswer {
    /// Its forge.
    forge: ForgeKind,
    /// Its name there.
    repository: RepositoryName,
    /// Over how many days, today among them; days are those of UTC.
    window_days: i64,
    /// Of which flow alone.
    #[schema(required = true)]
    flow: Option<String>,
    /// Of which branch alone.
    #[schema(required = true)]
    branch: Option<String>,
    /// Whether jobs are counted for this: they are for all branches together, and for the default one.
    jobs_counted: bool,
    /// The numbers.
    #[serde(flatten)]
    statistics: Statistics,
}

/// How a repository's runs went
///
/// Success rate, durations and waits of its runs, day by day and in all, and its jobs by the time that they took.
#[utoipa::path(get, path = "/statistics", tag = "repositories", operation_id = "getStatistics", params(Window), responses((status = 200, description = "Its numbers", body = StatisticsAnswer)))]
pub(super) async fn show(
    OfRepository { granted, .. }: OfRepository<See>,
    State(web): State<Web>,
    Query(asked): Query<Window>,
) -> Answer<StatisticsAnswer> {
    let Window { days, flow, branch, .. } = asked;
    let asked = Asked::try_from(StatisticsQuery { days, flow, branch })?;
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
