//! `GET /logs/search?forge=…&repository=…&q=TEXT`: the logs of a repository that have a text, the newest runs first.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Answer, asked::Asked as Query};
use crate::{
    model::{ForgeKind, JobId, RepositoryName, RunId, StateFilter},
    web::{
        Web,
        access::{OfRepository, See},
        across::{Asked, FoundLine, FoundLog},
    },
};

/// What is looked for, and where.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AcrossQuery {
    /// The repository's forge.
    #[expect(dead_code, reason = "the guard reads it")]
    forge: ForgeKind,
    /// Its name there.
    #[expect(dead_code, reason = "the guard reads it")]
    repository: RepositoryName,
    /// The text.
    #[param(example = "connection refused", min_length = 1, max_length = 500)]
    q: String,
    /// Whether that is a regular expression.
    #[serde(default)]
    regex: bool,
    /// In runs of one branch's code.
    #[param(max_length = 300)]
    branch: Option<String>,
    /// In runs of one flow, by its name.
    #[param(max_length = 300)]
    flow: Option<String>,
    /// In runs of one state.
    #[param(inline, value_type = Option<StateFilter>)]
    state: Option<String>,
    /// In runs of so many days, today among them.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 36500)]
    days: Option<String>,
    /// In runs before this one: where an earlier answer has stopped.
    before: Option<RunId>,
    /// And behind this job of the first of them.
    past: Option<JobId>,
}

/// What was found in the logs of a repository.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogsFound)]
pub(super) struct Found {
    /// Logs that have it, newest runs first.
    logs: Vec<Log>,
    /// How much was looked through.
    searched: Searched,
    /// The parameters that go on where this answer has stopped; `null` if there is nothing more.
    #[schema(required = true)]
    next: Option<Next>,
}

/// How much was looked through.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogsSearched)]
pub(super) struct Searched {
    /// How many logs.
    logs: u64,
    /// Of how many runs.
    runs: u64,
    /// How many bytes they have.
    bytes: u64,
    /// How many logs were too long to be looked through wholly.
    partly: u64,
}

/// Where to go on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogsFurther)]
pub(super) struct Next {
    /// As `before`.
    #[schema(required = true)]
    before: Option<RunId>,
    /// As `past`.
    #[schema(required = true)]
    past: Option<JobId>,
}

/// A log that has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogFound)]
pub(super) struct Log {
    /// The run's number.
    run: i64,
    /// The run.
    run_id: RunId,
    /// The job.
    job_id: JobId,
    /// Its stage, its action and its name.
    job: [String; 3],
    /// Which attempt.
    attempt: i64,
    /// How many lines have it.
    count: u64,
    /// Whether all of the log was looked through.
    whole: bool,
    /// The first few lines that have it.
    lines: Vec<Line>,
}

/// A line that has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LineFoundInLog)]
pub(super) struct Line {
    /// Its number, from 1.
    number: u64,
    /// Its text, as a terminal shows it.
    text: String,
    /// The line before it.
    #[schema(required = true)]
    before: Option<String>,
    /// The line after it.
    #[schema(required = true)]
    after: Option<String>,
    /// Its page.
    page: String,
}

/// Logs that have a text
///
/// Those of a repository, the newest runs first. An answer looks for a few seconds, or finds a few logs; `next` goes on.
#[utoipa::path(get, path = "/logs/search", tag = "logs", operation_id = "searchLogs", params(AcrossQuery), responses((status = 200, description = "What was found so far", body = Found)))]
pub(super) async fn search(
    OfRepository { granted, .. }: OfRepository<See>,
    State(web): State<Web>,
    Query(asked): Query<AcrossQuery>,
) -> Answer<Found> {
    let AcrossQuery { q, regex, branch, flow, state, days, before, past, .. } = asked;
    let asked = Asked { q, regex: regex.then(|| "1".to_owned()), branch, flow, state, days, before, past };
    let found = asked.quest(granted.repository.id)?.look(&web).await?;
    let (logs, runs, bytes) = found.searched;
    Ok(Json(Found {
        logs: found.logs.iter().map(Log::new).collect(),
        searched: Searched { logs, runs, bytes, partly: found.partly },
        next: found.next.map(|next| Next { before: next.before, past: next.past }),
    }))
}

impl Log {
    fn new(log: &FoundLog) -> Self {
        let url = log.url();
        let line = |line: &FoundLine| {
            let of = |number: u64| {
                let found = line.around.iter().find(|(at, _)| *at == number);
                found.map(|(_, text)| FoundLine::text(text))
            };
            Line {
                number: line.number,
                text: of(line.number).unwrap_or_default(),
                before: line.number.checked_sub(1).and_then(of),
                after: of(line.number + 1),
                page: format!("{url}line={0}#L{0}", line.number),
            }
        };
        Self {
            run: log.run.number,
            run_id: log.run.id,
            job_id: log.job.id,
            job: [log.path.stage.clone(), log.path.action.clone(), log.path.job.clone()],
            attempt: log.job.attempt,
            count: log.count,
            whole: log.is_whole,
            lines: log.lines.iter().map(line).collect(),
        }
    }
}
