//! Reports as commit statuses, which is all that Gitea and Forgejo show. The newest per context counts.

use serde::Deserialize;
use serde_json::json;

use super::call::{Api, Call};
use crate::{
    forge::{
        ForgeError, Shown, Told, Wanted,
        words::{said, start},
    },
    model::{Conclusion, Context, Progress, Repository, Sha},
};

/// What fits into a line of a pull request's page.
const LONGEST_DESCRIPTION: usize = 140;
/// More contexts than anybody reads; what is behind them is not looked at.
const MOST: usize = 1000;
/// As many as it gives at once, unless its administrator has said fewer.
const PER_PAGE: usize = 50;

/// Posts the status; there is nothing to know for the next one.
pub(super) async fn report(api: &Api, wanted: &Wanted<'_>) -> Result<Told, ForgeError> {
    let Shown { context, state, title, url, .. } = expected(wanted);
    let body = json!({ "state": state, "context": context, "description": title, "target_url": url });
    let path = format!("/repos/{}/statuses/{}", wanted.repository.name, wanted.sha);
    api.send(&Call::post(path, body)).await?.checked()?;
    Ok(Told::Whole { known: None })
}

/// What the forge would show.
pub(super) fn expected(wanted: &Wanted<'_>) -> Shown {
    let report = wanted.report;
    let title = start(&said(report.progress, &report.title), LONGEST_DESCRIPTION);
    let state = state(report.progress).to_owned();
    shows(wanted.context.clone(), state, title, report.url.clone())
}

/// The newest status of each context, whoever wrote it.
pub(super) async fn shown(api: &Api, repository: &Repository, sha: &Sha) -> Result<Vec<Shown>, ForgeError> {
    #[derive(Deserialize)]
    struct Page {
        statuses: Option<Vec<Status>>,
    }
    #[derive(Deserialize)]
    struct Status {
        context: String,
        status: String,
        description: Option<String>,
        target_url: Option<String>,
    }
    let mut all: Vec<Shown> = Vec::new();
    for page in 1..=MOST {
        let path = format!("/repos/{}/commits/{sha}/status?limit={PER_PAGE}&page={page}", repository.name);
        let Page { statuses } = api.get(path).await?;
        let before = all.len();
        for Status { context, status, description, target_url } in statuses.unwrap_or_default() {
            // a list without pages is the same whichever is asked for
            if all.iter().all(|known| known.context.0 != context) {
                let (title, url) = (description.unwrap_or_default(), target_url.unwrap_or_default());
                all.push(shows(Context(context), status, title, url));
            }
        }
        if all.len() == before || all.len() >= MOST {
            break;
        }
    }
    Ok(all)
}

fn shows(context: Context, state: String, title: String, url: String) -> Shown {
    let (external_id, summary) = (String::new(), String::new());
    Shown { context, known: None, state, title, url, external_id, summary, annotations: 0 }
}

/// There is a state `warning`, but Forgejo, and older Gitea, let a pull request whose required context has it wait: it
/// ranks behind `success` there. So what passed with one is a success that says so.
const fn state(progress: Progress) -> &'static str {
    match progress {
        Progress::Queued | Progress::Asks | Progress::Running => "pending",
        Progress::Done(Conclusion::Success | Conclusion::Warning | Conclusion::Skipped) => "success",
        Progress::Done(Conclusion::Failure | Conclusion::TimedOut) => "failure",
        Progress::Done(Conclusion::Cancelled | Conclusion::Error) => "error",
    }
}
