//! `GET /jobs/{id}/log/lines`: a window of a log, with what its page knows of it.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    asked::{Asked, Cursor, Limit, List, Page},
    schema::At,
};
use crate::{
    agent::protocol::Stream,
    model::{Fold, JobId},
    web::{
        Web,
        access::{OfJob, See},
        log::{lines::Line, window::Window},
        pages::{known_fault, still_kept},
    },
};

/// Lines in one answer, unless another number is asked for.
const LIMIT_DEFAULT: u64 = 100;

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LinesQuery {
    /// The first one, from 1.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 2147483647)]
    line: Option<Limit<0x7fff_ffff>>,
    /// The `next` of an earlier answer: what follows it.
    #[param(value_type = Option<String>, pattern = "^[1-9][0-9]{0,8}$", example = "101")]
    cursor: Option<Cursor<LineNumber>>,
    /// At most as many.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<Limit<1000>>,
}

/// The number of a line.
#[derive(Debug, Clone, Copy)]
struct LineNumber(u64);

impl std::str::FromStr for LineNumber {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let is_number = text.len() <= 9 && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| is_number).map(Self).ok_or(())
    }
}

/// A window of a log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogLines {
    lines: Vec<LogLine>,
    /// The log's parts with a title that reach into the window.
    folds: Vec<LogFold>,
    /// The first line of a failed job that reads like an error.
    #[schema(required = true)]
    first_error: Option<u64>,
    /// How many lines there are, counting a last one without a newline.
    total: i64,
    /// The `cursor` of what follows; `null`: nothing does, so far.
    #[schema(required = true)]
    next: Option<String>,
}

/// A line of a log.
#[derive(Debug, Serialize, ToSchema)]
struct LogLine {
    /// From 1.
    number: u64,
    /// When its first byte was read.
    time: At,
    stream: Stream,
    /// As the job wrote it, colours and all; its first 10,000 bytes.
    text: String,
    /// How many bytes more it has.
    cut: u64,
}

/// A part of a log with a title.
#[derive(Debug, Serialize, ToSchema)]
struct LogFold {
    /// Its first line: the one with its title.
    first: u64,
    last: u64,
    title: String,
    from: At,
    to: At,
}

impl List for LogLines {
    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// Lines of a job's log, with times and what belongs together.
#[utoipa::path(get, path = "/jobs/{id}/log/lines", tag = "logs", operation_id = "getLogLines", params(("id" = JobId, Path, description = "The job's id"), LinesQuery), responses((status = 200, description = "The lines", body = LogLines)))]
pub(super) async fn show(
    OfJob { job, .. }: OfJob<See>,
    State(web): State<Web>,
    Asked(asked): Asked<LinesQuery>,
) -> Result<Page<LogLines>, Problem> {
    let first =
        asked.cursor.map(|cursor| cursor.0.0).or(asked.line.map(|line| line.0.unsigned_abs())).unwrap_or(1).max(1);
    let behind = first + asked.limit.map_or(LIMIT_DEFAULT, |limit| limit.0.unsigned_abs());
    still_kept(&mut web.engine.store.read().await?, job.id).await?;
    let window = Window::read(&web.engine, job.id, first..behind).await?;
    let folds = web.engine.store.read().await?.folds(job.id).await?;
    let last = window.lines.last().map_or(first, |line| line.number);
    let more = last.saturating_add(1) <= job.log_lines().cast_unsigned() && !window.lines.is_empty();
    Ok(Page(LogLines {
        lines: window.lines.iter().map(LogLine::of).collect(),
        folds: folds.iter().filter(|fold| fold.first <= last && first <= fold.last).map(LogFold::of).collect(),
        first_error: known_fault(&web, &job).await?,
        total: job.log_lines(),
        next: more.then(|| (last + 1).to_string()),
    }))
}

impl LogLine {
    fn of(line: &Line) -> Self {
        let text = String::from_utf8_lossy(&line.text).into_owned();
        Self { number: line.number, time: At(line.time), stream: line.stream, text, cut: line.cut }
    }
}

impl LogFold {
    fn of(fold: &Fold) -> Self {
        let Fold { first, last, title, from, to } = fold;
        Self { first: *first, last: *last, title: title.clone(), from: At(*from), to: At(*to) }
    }
}
