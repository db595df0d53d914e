//! Reports as commit statuses: jobs of a pipeline of source `external`.
//!
//! GitLab finds the pipeline by the commit and its ref, so the ref is always told, and the pipeline once it is known.
//! A job ends only after it has run, so `running` comes before the end; what has ended and is told again becomes a new
//! job, which hides the old one.

use std::sync::atomic::{AtomicBool, Ordering};

use gitlab::api::{
    common::SortOrder,
    projects::{
        pipelines::Pipelines,
        repository::commits::{CommitStatusState, CommitStatuses, CreateCommitStatus},
    },
};
use serde::Deserialize;

use super::{
    Gitlab,
    api::Api,
    note,
    slot::Slot,
    way::{self, Known, Place, Way},
};
use crate::{
    forge::{
        ForgeError, Shown, Told, Wanted,
        words::{bytes, said},
    },
    model::{Conclusion, Context, Event, Progress, Repository, Sha},
};

/// GitLab takes no longer text.
const LONGEST: usize = 255;
/// So many statuses of a commit are read back.
const MOST_SHOWN: usize = 3000;
/// A part of what GitLab says to a job that is where it is to be.
const THERE_ALREADY: &str = "Cannot transition status";

/// A part of what it says to a state that it does not have.
const NO_STATE: &str = "valid value";

/// A status as GitLab lists it.
#[derive(Debug, Deserialize)]
struct Status {
    #[serde(default)]
    id: u64,
    name: String,
    status: String,
    description: Option<String>,
    target_url: Option<String>,
    /// Old instances do not say.
    pipeline_id: Option<u64>,
}

/// GitLab's answer to a new status.
#[derive(Debug, Deserialize)]
struct Posted {
    pipeline_id: Option<u64>,
}

/// Whether the instance has the state `skipped`; learned from its first no.
#[derive(Debug)]
pub(super) struct HasSkipped(AtomicBool);

impl Default for HasSkipped {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

/// Tells one state, in the best way there is.
pub(super) async fn report(gitlab: &Gitlab, wanted: &Wanted<'_>, known: Option<&str>) -> Result<Told, ForgeError> {
    let known = known.and_then(Known::read);
    let mut slot = gitlab.slots.turn(&wanted.repository.name, wanted.sha).await?;
    let ways = way::ways(wanted.event);
    let (first, mut why) = begin(ways, known.as_ref(), &slot);
    for (at, way) in ways.iter().enumerate().skip(first) {
        let mut next = known.clone().filter(|known| known.way == *way).unwrap_or_else(|| Known::new(way.clone()));
        next.source = wanted.event.and_then(way::fork).and_then(|pull| pull.head_repository.clone());
        next.why.clone_from(&why);
        match tell(gitlab, &mut slot, wanted, next).await {
            Err(error) if at + 1 < ways.len() && leads_nowhere(&error) => why = error.to_string(),
            told => {
                slot.way = told.is_ok().then(|| (way.clone(), why));
                return told;
            }
        }
    }
    Err(super::api::refused(0, "there is no way to show it".to_owned()))
}

/// Which way is tried first: the one that has worked.
fn begin(ways: &[Way], known: Option<&Known>, slot: &Slot) -> (usize, String) {
    let of_known = known.map(|known| (&known.way, known.why.clone()));
    let worked = of_known.or_else(|| slot.way.as_ref().map(|(way, why)| (way, why.clone())));
    let found = worked.and_then(|(way, why)| Some((ways.iter().position(|one| one == way)?, why)));
    found.unwrap_or_default()
}

/// Whether there is no such commit for us, or nothing that we may write. A token that is no good is so everywhere.
const fn leads_nowhere(error: &ForgeError) -> bool {
    matches!(error, ForgeError::Refused { status: 400 | 403 | 404, .. })
}

async fn tell(gitlab: &Gitlab, slot: &mut Slot, wanted: &Wanted<'_>, mut known: Known) -> Result<Told, ForgeError> {
    let Some(place) = way::place(&known.way, wanted.repository, wanted.event) else {
        known.state = note::write(gitlab, slot, wanted, expected(&gitlab.has_skipped, wanted)).await?;
        return Ok(Told::Whole { known: Some(known.text()) });
    };
    let state = gitlab.has_skipped.state(wanted.report.progress);
    let ends = matches!(state, CommitStatusState::Success | CommitStatusState::Failed);
    if ends && known.state != word(CommitStatusState::Running) {
        post(gitlab, slot, wanted, &place, &mut known, CommitStatusState::Running).await?;
        return Ok(Told::Part { known: known.text() });
    }
    match post(gitlab, slot, wanted, &place, &mut known, state).await {
        Err(ForgeError::Refused { message, .. })
            if state == CommitStatusState::Skipped && message.contains(NO_STATE) =>
        {
            gitlab.has_skipped.0.store(false, Ordering::Relaxed);
            // the call that follows on this one says that it has succeeded
            Box::pin(tell(gitlab, slot, wanted, known)).await
        }
        posted => posted.map(|()| Told::Whole { known: Some(known.text()) }),
    }
}

/// Posts a status. What GitLab will not do because the job is there already is done.
async fn post(
    gitlab: &Gitlab,
    slot: &mut Slot,
    wanted: &Wanted<'_>,
    place: &Place,
    known: &mut Known,
    state: CommitStatusState,
) -> Result<(), ForgeError> {
    let key = (place.project.clone(), place.r#ref.clone());
    let of_slot = || slot.pipelines.get(&key).copied().filter(|pipeline| *pipeline != 0);
    known.pipeline = of_slot().or(known.pipeline);
    let mut answer = posted(&gitlab.api, wanted, place, state, known.pipeline).await;
    if let (Err(ForgeError::Refused { message, .. }), Some(_)) = (&answer, known.pipeline)
        && message.contains("ipeline")
    {
        // it was deleted, or belongs to a ref that has gone
        (known.pipeline, answer) = (None, posted(&gitlab.api, wanted, place, state, None).await);
    }
    let pipeline = match answer {
        Ok(posted) => posted.pipeline_id,
        Err(ForgeError::Refused { status: 400, message, .. }) if message.contains(THERE_ALREADY) => {
            let there = found(&gitlab.api, wanted, place).await?;
            let equal = there.filter(|there| there.status == word(state));
            equal.ok_or_else(|| super::api::refused(400, message))?.pipeline_id
        }
        Err(error) => return Err(error),
    };
    word(state).clone_into(&mut known.state);
    if let Some(pipeline) = pipeline {
        slot.pipelines.insert(key.clone(), pipeline);
    } else if !slot.pipelines.contains_key(&key) {
        // it costs a call, which is made once
        let read = newest_pipeline(&gitlab.api, wanted, place).await;
        slot.pipelines.insert(key.clone(), read.unwrap_or(0));
    }
    known.pipeline = slot.pipelines.get(&key).copied().filter(|pipeline| *pipeline != 0).or(known.pipeline);
    Ok(())
}

async fn posted(
    api: &Api,
    wanted: &Wanted<'_>,
    place: &Place,
    state: CommitStatusState,
    pipeline: Option<u64>,
) -> Result<Posted, ForgeError> {
    let mut call = CreateCommitStatus::builder();
    call.project(place.project.as_str()).commit(wanted.sha.as_str()).state(state);
    call.name(wanted.context.0.as_str()).description(description(wanted));
    if let Some(name) = &place.r#ref {
        call.ref_(name.as_str());
    }
    if let Some(url) = url(wanted) {
        call.target_url(url);
    }
    if let Some(pipeline) = pipeline {
        call.pipeline_id(pipeline);
    }
    api.get(call.build()).await
}

/// The newest status of this context.
async fn found(api: &Api, wanted: &Wanted<'_>, place: &Place) -> Result<Option<Status>, ForgeError> {
    let mut call = CommitStatuses::builder();
    call.project(place.project.as_str()).commit(wanted.sha.as_str()).name(wanted.context.0.as_str());
    if let Some(name) = &place.r#ref {
        call.ref_(name.as_str());
    }
    let (all, _): (Vec<Status>, _) = api.list(call.build(), MOST_SHOWN).await?;
    Ok(all.into_iter().filter(|status| status.name == wanted.context.0).max_by_key(|status| status.id))
}

/// The pipeline that a status without a number went to: the newest of the commit and its ref. That it cannot be read
/// does no harm.
async fn newest_pipeline(api: &Api, wanted: &Wanted<'_>, place: &Place) -> Option<u64> {
    #[derive(Deserialize)]
    struct Pipeline {
        id: u64,
    }
    let of_status = found(api, wanted, place).await.ok().flatten().and_then(|status| status.pipeline_id);
    if of_status.is_some() {
        return of_status;
    }
    let mut call = Pipelines::builder();
    call.project(place.project.as_str()).sha(wanted.sha.as_str()).sort(SortOrder::Descending);
    if let Some(name) = &place.r#ref {
        call.ref_(name.as_str());
    }
    let (all, _): (Vec<Pipeline>, _) = api.list(call.build(), 1).await.ok()?;
    all.into_iter().map(|pipeline| pipeline.id).max()
}

/// What GitLab would show.
pub(super) fn expected(has_skipped: &HasSkipped, wanted: &Wanted<'_>) -> Shown {
    Shown {
        context: wanted.context.clone(),
        known: None,
        state: word(has_skipped.state(wanted.report.progress)).to_owned(),
        title: description(wanted),
        url: url(wanted).unwrap_or_default(),
        external_id: String::new(),
        summary: String::new(),
        annotations: 0,
    }
}

/// What it shows: the newest status of each context wherever it may be, the best way first.
pub(super) async fn shown(
    gitlab: &Gitlab,
    repository: &Repository,
    sha: &Sha,
    events: &[Event],
) -> Result<Option<Vec<Shown>>, ForgeError> {
    let mut all = Vec::new();
    let mut places = Vec::new();
    for event in events.iter().map(Some).chain([None]) {
        for way in way::ways(event) {
            let Some(place) = way::place(way, repository, event) else {
                let Some(event) = event else { continue };
                match note::shown(gitlab, event, sha).await? {
                    Some(noted) => all.extend(noted),
                    None => return Ok(None),
                }
                continue;
            };
            if !places.contains(&place.project) {
                let known = Known { source: Some(place.project.clone()), ..Known::new(way.clone()) };
                all.extend(statuses(&gitlab.api, &place, sha, &known).await?);
                places.push(place.project);
            }
        }
    }
    Ok(Some(newest(all)))
}

async fn statuses(api: &Api, place: &Place, sha: &Sha, known: &Known) -> Result<Vec<Shown>, ForgeError> {
    let call = CommitStatuses::builder().project(place.project.as_str()).commit(sha.as_str()).build();
    let mut listed: Vec<Status> = match api.list(call, MOST_SHOWN).await {
        Ok((listed, _)) => listed,
        // a fork that we may not see
        Err(ForgeError::Refused { status: 403 | 404, .. }) if known.way != Way::Here => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    listed.sort_by_key(|status| std::cmp::Reverse(status.id));
    let shown = |status: Status| Shown {
        known: Some(Known { pipeline: status.pipeline_id, state: status.status.clone(), ..known.clone() }.text()),
        context: Context(status.name),
        state: status.status,
        title: status.description.unwrap_or_default(),
        url: status.target_url.unwrap_or_default(),
        external_id: String::new(),
        summary: String::new(),
        annotations: 0,
    };
    Ok(listed.into_iter().map(shown).collect())
}

/// The first of each context.
fn newest(all: Vec<Shown>) -> Vec<Shown> {
    let mut seen = std::collections::BTreeSet::new();
    all.into_iter().filter(|shown| seen.insert(shown.context.clone())).collect()
}

fn description(wanted: &Wanted<'_>) -> String {
    bytes(&said(wanted.report.progress, &wanted.report.title), LONGEST)
}

/// The page, if GitLab takes its URL: names of nested groups may be long.
fn url(wanted: &Wanted<'_>) -> Option<String> {
    Some(wanted.report.url.clone()).filter(|url| !url.is_empty() && url.len() <= LONGEST)
}

impl HasSkipped {
    fn state(&self, progress: Progress) -> CommitStatusState {
        match progress {
            Progress::Queued | Progress::Asks => CommitStatusState::Pending,
            Progress::Running => CommitStatusState::Running,
            Progress::Done(Conclusion::Success | Conclusion::Warning) => CommitStatusState::Success,
            Progress::Done(Conclusion::Failure | Conclusion::TimedOut | Conclusion::Error) => CommitStatusState::Failed,
            Progress::Done(Conclusion::Cancelled) => CommitStatusState::Canceled,
            Progress::Done(Conclusion::Skipped) if self.0.load(Ordering::Relaxed) => CommitStatusState::Skipped,
            Progress::Done(Conclusion::Skipped) => CommitStatusState::Success,
        }
    }
}

/// GitLab's word, which the crate keeps for itself.
const fn word(state: CommitStatusState) -> &'static str {
    match state {
        CommitStatusState::Pending => "pending",
        CommitStatusState::Running => "running",
        CommitStatusState::Success => "success",
        CommitStatusState::Failed => "failed",
        CommitStatusState::Canceled => "canceled",
        CommitStatusState::Skipped => "skipped",
        _ => "",
    }
}
