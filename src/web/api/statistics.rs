//! `GET /statistics`: how a repository's runs went.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Answer, asked::Asked};
use crate::{
    model::{ForgeKind, RepositoryName},
    web::{
        Web,
        access::{OfRepository, See},
        statistics::{Asked as Wanted, Statistics, Window, gather},
    },
};

/// Whose statistics, and of which of its runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatisticsQuery {
    /// The repository's forge.
    #[expect(dead_code, reason = "the guard reads it; this describes it")]
    forge: ForgeKind,
    /// Its name there.
    #[expect(dead_code, reason = "the guard reads it; this describes it")]
    repository: RepositoryName,
    /// Over how many days, today among them; 30 if nobody says.
    #[param(inline)]
    days: Option<Days>,
    /// Of one flow alone.
    flow: Option<String>,
    /// Of one branch alone.
    branch: Option<String>,
}

/// How many days.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
enum Days {
    #[serde(rename = "7")]
    Week,
    #[serde(rename = "30")]
    Month,
    #[serde(rename = "90")]
    Quarter,
}

/// Statistics of a repository over some days.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RepositoryStatistics)]
pub(super) struct StatisticsAnswer {
    forge: ForgeKind,
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
    #[serde(flatten)]
    statistics: Statistics,
}

/// How a repository's runs went
///
/// Success rate, how long its runs took and waited, for all of some days and for each, and how its jobs went.
#[utoipa::path(get, path = "/statistics", tag = "repositories", operation_id = "getStatistics", params(StatisticsQuery), responses((status = 200, description = "Its statistics", body = StatisticsAnswer)))]
pub(super) async fn show(
    OfRepository { granted, .. }: OfRepository<See>,
    State(web): State<Web>,
    Asked(query): Asked<StatisticsQuery>,
) -> Answer<StatisticsAnswer> {
    let window = match query.days {
        Some(Days::Week) => Window::Week,
        Some(Days::Month) | None => Window::Month,
        Some(Days::Quarter) => Window::Quarter,
    };
    let asked = Wanted { window, flow: query.flow, branch: query.branch };
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
