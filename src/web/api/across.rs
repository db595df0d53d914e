//! `GET /logs/search?forge=…&repository=…&q=TEXT`: the logs of a repository that have a text, the newest runs first.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::Serialize;

use super::Problem;
use crate::{
    model::{JobId, RunId},
    web::{
        Web,
        access::{OfRepository, See},
        across::{Asked, FoundLine, FoundLog},
        pages::Failure,
    },
};

/// What was found in the logs of a repository.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// Logs that have it, newest runs first.
    logs: Vec<Log>,
    /// How much was looked through.
    searched: Searched,
    /// The parameters that go on where this answer has stopped; `null` if there is nothing more.
    next: Option<Next>,
}

/// How much was looked through.
#[derive(Debug, Serialize)]
pub(super) struct Searched {
    /// How many logs.
    logs: u64,
    /// Of how many runs.
    runs: u64,
    /// How many bytes they have.
    bytes: u64,
}

/// Where to go on.
#[derive(Debug, Serialize)]
pub(super) struct Next {
    /// As `before`.
    before: Option<RunId>,
    /// As `past`.
    past: Option<JobId>,
}

/// A log that has it.
#[derive(Debug, Serialize)]
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
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// Its number, from 1.
    number: u64,
    /// Its text, as a terminal shows it.
    text: String,
    /// The line before it.
    before: Option<String>,
    /// The line after it.
    after: Option<String>,
    /// Its page.
    page: String,
}

pub(super) async fn search(
    OfRepository { granted, .. }: OfRepository<See>,
    State(web): State<Web>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Answer>, Problem> {
    let Query(asked) = asked.map_err(|_| Failure::Query)?;
    let found = asked.quest(granted.repository.id)?.look(&web).await?;
    let (logs, runs, bytes) = found.searched;
    Ok(Json(Answer {
        logs: found.logs.iter().map(Log::new).collect(),
        searched: Searched { logs, runs, bytes },
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
