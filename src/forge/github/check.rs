//! Reports as check runs: what an App shows.

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    api::Api,
    button,
    call::{Answer, Call},
    cut::{said, summary},
};
use crate::{
    forge::{Acknowledged, ForgeError, Wanted},
    model::{Conclusion, Progress, Time},
};

/// GitHub shows no more at a check.
const BUTTONS_MOST: usize = 3;

/// Creates the check run, or updates the one that `known` names. A completed one may go back to `in_progress`: a
/// re-run keeps its check.
pub(super) async fn report(api: &Api, wanted: &Wanted<'_>, known: Option<&str>) -> Result<Acknowledged, ForgeError> {
    if let Some(id) = known.filter(|id| id.bytes().all(|b| b.is_ascii_digit())) {
        let path = format!("/repos/{}/check-runs/{id}", wanted.repository.name);
        let answer = api.send(wanted.repository, &Call::patch(path, body(wanted))).await?;
        if answer.status != StatusCode::NOT_FOUND {
            return acknowledged(answer);
        }
    }
    create(api, wanted).await
}

async fn create(api: &Api, wanted: &Wanted<'_>) -> Result<Acknowledged, ForgeError> {
    let path = format!("/repos/{}/check-runs", wanted.repository.name);
    let mut body = body(wanted);
    body["head_sha"] = json!(wanted.sha.as_str());
    acknowledged(api.send(wanted.repository, &Call::post(path, body)).await?)
}

fn acknowledged(answer: Answer) -> Result<Acknowledged, ForgeError> {
    #[derive(Deserialize)]
    struct CheckRun {
        id: u64,
    }
    let CheckRun { id } = answer.json()?;
    Ok(Acknowledged { known: Some(id.to_string()) })
}

/// What both calls say. `output` is replaced as a whole by each.
fn body(wanted: &Wanted<'_>) -> Value {
    let report = wanted.report;
    let mut body = json!({
        "name": wanted.context.0,
        "external_id": report.external_id,
        "details_url": report.url,
        "status": status(report.progress),
        "actions": report.buttons.iter().take(BUTTONS_MOST).map(button::shown).collect::<Vec<_>>(),
        "output": { "title": said(report.progress, &report.title), "summary": summary(report) },
    });
    if let Some(started) = report.started {
        body["started_at"] = json!(rfc3339(started));
    }
    if let Progress::Done(conclusion) = report.progress {
        body["conclusion"] = json!(word(conclusion));
        if let Some(ended) = report.ended {
            body["completed_at"] = json!(rfc3339(ended));
        }
    }
    body
}

const fn status(progress: Progress) -> &'static str {
    match progress {
        Progress::Queued => "queued",
        Progress::Running => "in_progress",
        Progress::Done(_) => "completed",
    }
}

const fn word(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Success => "success",
        Conclusion::Warning => "neutral",
        // GitHub has no word for "not your fault"; the title says it
        Conclusion::Failure | Conclusion::Error => "failure",
        Conclusion::TimedOut => "timed_out",
        Conclusion::Cancelled => "cancelled",
        Conclusion::Skipped => "skipped",
    }
}

/// To the second, as GitHub writes times itself.
fn rfc3339(time: Time) -> String {
    Timestamp::from_second(time.as_millis().div_euclid(1000)).unwrap_or_default().to_string()
}
