//! Reports as check runs: what an App shows. One is updated by its id and never by its name, so an answer that comes
//! late meets the run that it was meant for.

use std::{collections::BTreeMap, fmt, str::FromStr};

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    annotation,
    api::Api,
    button,
    call::{Answer, Call},
    cut::summary,
    pages,
};
use crate::{
    forge::{ForgeError, Shown, Told, Wanted, words::said},
    model::{Conclusion, Context, Progress, Repository, Sha, Time},
};

/// The conclusion that waits for a person.
const ASKS: &str = "action_required";
/// GitHub shows no more at a check.
const BUTTONS_MOST: usize = 3;
/// So many check runs with the longest summaries, every character of them escaped, are no longer than an answer may be.
const PAGE: usize = 20;

/// What we know of a check run: its id, how many of its annotations GitHub has, and which those are. Written as
/// `id/annotations/digest`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    id: u64,
    annotations: usize,
    /// `None`: GitHub has told how many it has, but not which.
    digest: Option<String>,
}

/// GitHub's answer to a write.
#[derive(Deserialize)]
struct Written {
    id: u64,
}

/// A check run as GitHub lists it.
#[derive(Deserialize)]
struct Listed {
    id: u64,
    name: String,
    status: String,
    conclusion: Option<String>,
    details_url: Option<String>,
    external_id: Option<String>,
    output: Output,
}

#[derive(Deserialize)]
struct Output {
    title: Option<String>,
    summary: Option<String>,
    #[serde(default)]
    annotations_count: usize,
}

/// Creates the check run, or updates the one that `known` names. A completed one may go back to `in_progress`: a
/// re-run keeps its check. But nobody can take annotations back: one that has others than are wanted gives way to a
/// new one of its name, which is all that GitHub shows from then on.
pub(super) async fn report(api: &Api, wanted: &Wanted<'_>, known: Option<&str>) -> Result<Told, ForgeError> {
    let known = known.and_then(|known| known.parse::<Known>().ok());
    if let Some(known) = known.filter(|known| known.goes_on(wanted)) {
        let path = format!("/repos/{}/check-runs/{}", wanted.repository.name, known.id);
        let answer = api.send(wanted.repository, &Call::patch(path, body(wanted, known.annotations))).await?;
        if answer.status != StatusCode::NOT_FOUND {
            return told(answer, wanted, known.annotations);
        }
    }
    create(api, wanted).await
}

/// What GitHub would show.
pub(super) fn expected(wanted: &Wanted<'_>) -> Shown {
    let report = wanted.report;
    let state = match report.progress {
        Progress::Done(conclusion) => word(conclusion),
        Progress::Asks => ASKS,
        Progress::Queued | Progress::Running => status(report.progress),
    };
    Shown {
        context: wanted.context.clone(),
        known: None,
        state: state.to_owned(),
        title: said(report.progress, &report.title),
        url: report.url.clone(),
        external_id: report.external_id.clone(),
        summary: summary(report),
        annotations: annotation::sent(&report.annotations).len(),
    }
}

/// Our App's newest check run of each name.
pub(super) async fn shown(api: &Api, app: u64, repository: &Repository, sha: &Sha) -> Result<Vec<Shown>, ForgeError> {
    #[derive(Deserialize)]
    struct Page {
        check_runs: Vec<Listed>,
    }
    let path = format!("/repos/{}/commits/{sha}/check-runs?filter=latest&app_id={app}&", repository.name);
    let listed = pages::all(api, repository, &path, PAGE, |page: Page| page.check_runs).await?;
    let mut newest = BTreeMap::<String, Listed>::new();
    for run in listed {
        if newest.get(&run.name).is_none_or(|other| other.id < run.id) {
            newest.insert(run.name.clone(), run);
        }
    }
    Ok(newest.into_values().map(Listed::shown).collect())
}

async fn create(api: &Api, wanted: &Wanted<'_>) -> Result<Told, ForgeError> {
    let path = format!("/repos/{}/check-runs", wanted.repository.name);
    let mut body = body(wanted, 0);
    body["head_sha"] = json!(wanted.sha.as_str());
    told(api.send(wanted.repository, &Call::post(path, body)).await?, wanted, 0)
}

fn told(answer: Answer, wanted: &Wanted<'_>, before: usize) -> Result<Told, ForgeError> {
    let Written { id } = answer.json()?;
    let all = annotation::sent(&wanted.report.annotations).len();
    let annotations = before.max(all.min(before + annotation::AT_ONCE));
    let digest = annotation::digest(&wanted.report.annotations, annotations);
    let known = Known { id, annotations, digest: Some(digest) }.to_string();
    Ok(if annotations < all { Told::Part { known } } else { Told::Whole { known: Some(known) } })
}

/// What both calls say. `output` is replaced as a whole by each, but for the annotations: those are appended, so only
/// the ones that GitHub has not are sent.
fn body(wanted: &Wanted<'_>, annotations: usize) -> Value {
    let report = wanted.report;
    let mut body = json!({
        "name": wanted.context.0,
        "external_id": report.external_id,
        "details_url": report.url,
        "status": status(report.progress),
        "actions": report.buttons.iter().take(BUTTONS_MOST).map(button::shown).collect::<Vec<_>>(),
        "output": { "title": said(report.progress, &report.title), "summary": summary(report) },
    });
    let next = annotation::batch(&report.annotations, annotations);
    if !next.is_empty() {
        body["output"]["annotations"] = Value::Array(next);
    }
    if let Some(started) = report.started {
        body["started_at"] = json!(rfc3339(started));
    }
    if report.progress == Progress::Asks {
        body["conclusion"] = json!(ASKS);
    }
    if let Progress::Done(conclusion) = report.progress {
        body["conclusion"] = json!(word(conclusion));
        if let Some(ended) = report.ended {
            body["completed_at"] = json!(rfc3339(ended));
        }
    }
    body
}

impl Listed {
    fn shown(self) -> Shown {
        let annotations = self.output.annotations_count;
        Shown {
            context: Context(self.name),
            known: Some(Known { id: self.id, annotations, digest: None }.to_string()),
            state: self.conclusion.unwrap_or(self.status),
            title: self.output.title.unwrap_or_default(),
            url: self.details_url.unwrap_or_default(),
            external_id: self.external_id.unwrap_or_default(),
            summary: self.output.summary.unwrap_or_default(),
            annotations,
        }
    }
}

impl Known {
    /// Whether what GitHub has is the beginning of what is wanted.
    fn goes_on(&self, wanted: &Wanted<'_>) -> bool {
        let all = &wanted.report.annotations;
        self.annotations <= annotation::sent(all).len()
            && self.digest.as_ref().is_none_or(|digest| *digest == annotation::digest(all, self.annotations))
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.id, self.annotations)?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "/{digest}"))
    }
}

impl FromStr for Known {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // an earlier release knew only ids, and told no annotations
        let (id, rest) = text.split_once('/').unwrap_or((text, "0"));
        let (annotations, digest) = rest.split_once('/').map_or((rest, None), |(many, which)| (many, Some(which)));
        Ok(Self { id: id.parse()?, annotations: annotations.parse()?, digest: digest.map(str::to_owned) })
    }
}

const fn status(progress: Progress) -> &'static str {
    match progress {
        Progress::Queued => "queued",
        Progress::Running => "in_progress",
        // GitHub shows buttons only at what is completed
        Progress::Asks | Progress::Done(_) => "completed",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_check_is_read_as_it_was_written() {
        let known = |annotations, digest: Option<&str>| Known { id: 7, annotations, digest: digest.map(str::to_owned) };
        for (text, known) in [
            ("7/50/ab", Some(known(50, Some("ab")))),
            ("7/50", Some(known(50, None))),
            ("7", Some(known(0, None))),
            ("7/", None),
            ("../7", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), known, "{text}");
        }
        assert_eq!(known(50, None).to_string(), "7/50");
        assert_eq!(known(50, Some("ab")).to_string(), "7/50/ab");
    }
}
