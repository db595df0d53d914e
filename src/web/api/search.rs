//! `GET /jobs/{id}/log/search?q=TEXT`: the lines of a log that have a text, a page of them at a time.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Answer,
    asked::{Asked, Limit},
};
use crate::{
    engine::scan::Scanned,
    model::JobId,
    web::{
        Web,
        access::{OfJob, See},
        log::search::{Pattern, Search},
        mistake::Mistake,
        pages::{Failure, look_through},
    },
};

/// Lines in one answer, unless another number is asked for.
const LIMIT_DEFAULT: i64 = 100;

/// What is looked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogSearch {
    /// The text.
    #[param(example = "error", min_length = 1)]
    q: String,
    /// Whether it is a regular expression.
    #[serde(default)]
    regex: bool,
    /// The line behind which lines are listed.
    #[serde(default)]
    after: u64,
    /// At most as many lines.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<Limit<1000>>,
}

/// The lines that have it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogSearchResult)]
pub(super) struct Found {
    lines: Vec<Hit>,
    /// How many lines have it, listed or not.
    count: u64,
    /// The line behind which the next page begins: `after`; `null`: there is none.
    #[schema(required = true)]
    next: Option<u64>,
    /// Whether all of the log was looked through.
    whole: bool,
}

/// A line that has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogSearchLine)]
struct Hit {
    /// From 1.
    number: u64,
    text: String,
}

/// Looks through a job's log.
#[utoipa::path(get, path = "/jobs/{id}/log/search", tag = "logs", operation_id = "searchLog", params(("id" = JobId, Path, description = "The job's id"), LogSearch), responses((status = 200, description = "The lines that have it", body = Found)))]
pub(super) async fn log(
    OfJob { job, .. }: OfJob<See>,
    State(web): State<Web>,
    Asked(asked): Asked<LogSearch>,
) -> Answer<Found> {
    let pattern = Pattern::new(&asked.q, asked.regex)
        .map_err(|unfit| Failure::from(Mistake::of_query("q", unfit.to_string())))?;
    let limit = asked.limit.map_or(LIMIT_DEFAULT, |limit| limit.0);
    let look = Search { pattern, at: asked.after, keep: usize::try_from(limit).unwrap_or_default() };
    let Scanned { found: hits, is_whole } = look_through(&web, job.id, look).await?;
    let listed = hits.lines.last().map(|hit| hit.number);
    let next = listed.filter(|last| hits.last.is_some_and(|of_all| of_all > *last));
    let lines = hits.lines.into_iter().map(|hit| Hit { number: hit.number, text: hit.text }).collect();
    Ok(Json(Found { lines, count: hits.count, next, whole: is_whole }))
}
