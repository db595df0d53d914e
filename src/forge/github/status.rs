//! Reports as commit statuses: what a token may write. The newest per context counts.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{api::Api, call::Call, pages};
use crate::{
    forge::{
        ForgeError, Shown, Told, Wanted,
        words::{said, start},
    },
    model::{Conclusion, Context, Progress, Repository, Sha},
};

/// GitHub takes no longer description.
const LONGEST_DESCRIPTION: usize = 140;
/// GitHub takes so many of one context on one commit, and answers 422 from then on.
pub(super) const MOST: i64 = 1000;
/// GitHub lists no more at once.
const PAGE: usize = 100;
/// A part of what GitHub says then.
const FULL: &str = "maximum number of statuses";

/// Posts the status; there is nothing to know for the next one.
pub(super) async fn report(api: &Api, wanted: &Wanted<'_>) -> Result<Told, ForgeError> {
    let Shown { context, state, title, url, .. } = expected(wanted);
    let body = json!({ "state": state, "context": context, "description": title, "target_url": url });
    let path = format!("/repos/{}/statuses/{}", wanted.repository.name, wanted.sha);
    let answer = api.send(wanted.repository, &Call::post(path, body)).await?;
    if answer.status == StatusCode::UNPROCESSABLE_ENTITY && answer.message().contains(FULL) {
        return Ok(Told::Full { reason: answer.message() });
    }
    answer.checked()?;
    Ok(Told::Whole { known: None })
}

/// What GitHub would show.
pub(super) fn expected(wanted: &Wanted<'_>) -> Shown {
    let report = wanted.report;
    Shown {
        context: wanted.context.clone(),
        known: None,
        state: state(report.progress).to_owned(),
        title: start(&said(report.progress, &report.title), LONGEST_DESCRIPTION),
        url: report.url.clone(),
        external_id: String::new(),
        summary: String::new(),
        annotations: 0,
    }
}

/// The newest status of each context, whoever wrote it.
pub(super) async fn shown(api: &Api, repository: &Repository, sha: &Sha) -> Result<Vec<Shown>, ForgeError> {
    #[derive(Deserialize)]
    struct Page {
        statuses: Vec<Status>,
    }
    #[derive(Deserialize)]
    struct Status {
        context: String,
        state: String,
        description: Option<String>,
        target_url: Option<String>,
    }
    let path = format!("/repos/{}/commits/{sha}/status?", repository.name);
    let statuses = pages::all(api, repository, &path, PAGE, |page: Page| page.statuses).await?;
    let shown = |status: Status| Shown {
        context: Context(status.context),
        known: None,
        state: status.state,
        title: status.description.unwrap_or_default(),
        url: status.target_url.unwrap_or_default(),
        external_id: String::new(),
        summary: String::new(),
        annotations: 0,
    };
    Ok(statuses.into_iter().map(shown).collect())
}

const fn state(progress: Progress) -> &'static str {
    match progress {
        Progress::Queued | Progress::Asks | Progress::Running => "pending",
        Progress::Done(Conclusion::Success | Conclusion::Warning | Conclusion::Skipped) => "success",
        Progress::Done(Conclusion::Failure | Conclusion::TimedOut) => "failure",
        Progress::Done(Conclusion::Cancelled | Conclusion::Error) => "error",
    }
}
