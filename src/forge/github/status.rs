//! Reports as commit statuses: what a token may write. The newest per context counts.

use serde_json::json;

use super::{
    api::Api,
    call::Call,
    cut::{said, start},
};
use crate::{
    forge::{Acknowledged, ForgeError, Wanted},
    model::{Conclusion, Progress},
};

/// GitHub takes no longer description.
const LONGEST_DESCRIPTION: usize = 140;

/// Posts the status; there is nothing to know for the next one.
pub(super) async fn report(api: &Api, wanted: &Wanted<'_>) -> Result<Acknowledged, ForgeError> {
    let report = wanted.report;
    let body = json!({
        "state": state(report.progress),
        "context": wanted.context.0,
        "description": start(&said(report.progress, &report.title), LONGEST_DESCRIPTION),
        "target_url": report.url,
    });
    let path = format!("/repos/{}/statuses/{}", wanted.repository.name, wanted.sha);
    api.send(wanted.repository, &Call::post(path, body)).await?.checked()?;
    Ok(Acknowledged::default())
}

const fn state(progress: Progress) -> &'static str {
    match progress {
        Progress::Queued | Progress::Running => "pending",
        Progress::Done(Conclusion::Success | Conclusion::Warning | Conclusion::Skipped) => "success",
        Progress::Done(Conclusion::Failure | Conclusion::TimedOut) => "failure",
        Progress::Done(Conclusion::Cancelled | Conclusion::Error) => "error",
    }
}
