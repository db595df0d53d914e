//! `GET /jobs/{id}/log/search?q=TEXT`: the lines of a log that have a text, a page of them at a time.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::Deserialize;
use serde_json::json;

use super::Answer;
use crate::{
    engine::scan::Scanned,
    web::{
        Web,
        access::{OfJob, See},
        log::search::{Pattern, Search},
        pages::{Failure, look_through},
    },
};

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    q: String,
    #[serde(default)]
    regex: bool,
    /// The line behind which lines are listed.
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

pub(super) async fn log(
    OfJob { job, .. }: OfJob<See>,
    State(web): State<Web>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Answer {
    let Query(asked) = asked.map_err(|_| Failure::Query)?;
    let pattern = Pattern::new(&asked.q, asked.regex).map_err(|unfit| Failure::Words(unfit.to_string()))?;
    let keep = asked.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let look = Search { pattern, at: asked.after, keep };
    let Scanned { found: hits, is_whole } = look_through(&web, job.id, look).await?;
    let listed = hits.lines.last().map(|hit| hit.number);
    let more = listed.filter(|last| hits.last.is_some_and(|of_all| of_all > *last));
    Ok(Json(json!({
        "lines": hits.lines.iter().map(|hit| json!({"number": hit.number, "text": hit.text})).collect::<Vec<_>>(),
        "count": hits.count, "next": more, "whole": is_whole,
    })))
}
