//! The spans of a run, by the conventions for CI/CD: the run's own above all, below it what its delivery came to, its
//! stages, their actions, and each attempt's jobs. Pure.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    engine::tell::{Chapter, Story},
    model::{Conclusion, EventKind, JobState, Time},
    store::{AttemptRow, JobRow},
};

/// OTLP's kinds of spans.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
/// OTLP's status of what went wrong.
const FAILED: u8 = 2;

/// The id of a span.
fn span_id(of: &str) -> String {
    hex::encode(&Sha256::digest(format!("containerops span {of}"))[..8])
}

/// Attributes as OTLP's JSON has them; those that say nothing are left out.
pub(super) fn attributes(all: &[(&str, Value)]) -> Value {
    let of = |value: &Value| match value {
        Value::Number(number) => Some(json!({"intValue": number.to_string()})),
        Value::Bool(is) => Some(json!({"boolValue": is})),
        Value::String(text) if !text.is_empty() => Some(json!({"stringValue": text})),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    all.iter().filter_map(|(key, value)| Some(json!({"key": key, "value": of(value)?}))).collect()
}

/// A stretch of time that has a name.
struct Span<'a> {
    name: String,
    id: String,
    parent: Option<String>,
    kind: u8,
    from: Time,
    to: Time,
    /// Whether it went wrong, and in which words.
    wrong: Option<String>,
    attributes: Vec<(&'a str, Value)>,
}

impl Span<'_> {
    fn value(self, trace: &str) -> Value {
        let nanos = |time: Time| (i128::from(time.as_millis()) * 1_000_000).to_string();
        let status = self.wrong.map_or_else(|| json!({}), |message| json!({"code": FAILED, "message": message}));
        json!({
            "traceId": trace,
            "spanId": self.id,
            "parentSpanId": self.parent.unwrap_or_default(),
            "name": self.name,
            "kind": self.kind,
            "startTimeUnixNano": nanos(self.from),
            "endTimeUnixNano": nanos(self.to.max(self.from)),
            "attributes": attributes(&self.attributes),
            "status": status,
        })
    }
}

/// All spans of a run that has ended, and whose delivery came then.
pub(super) fn spans(story: &Story, came: Option<Time>) -> Vec<Value> {
    let (run, trace) = (&story.run, story.run.id.trace());
    let root = span_id(&run.id.to_string());
    let mut all = vec![of_run(story, came, &root)];
    if let Some(came) = came.filter(|came| *came <= run.created) {
        let id = span_id(&format!("{} delivery", run.id));
        let attributes = vec![("containerops.delivery.id", json!(run.delivery_id.map(|id| id.to_string())))];
        let (name, parent) = ("delivery".to_owned(), Some(root.clone()));
        all.push(Span { name, id, parent, kind: INTERNAL, from: came, to: run.created, wrong: None, attributes });
    }
    let mut at = 0;
    while let Some(first) = story.actions.get(at) {
        let same = story.actions[at..].iter().take_while(|action| action.action.stage == first.action.stage).count();
        of_stage(story, &story.actions[at..at + same], &root, &mut all);
        at += same;
    }
    all.into_iter().map(|span| span.value(&trace)).collect()
}

fn of_run(story: &Story, came: Option<Time>, id: &str) -> Span<'static> {
    let (run, repository) = (&story.run, &story.repository);
    let end = run.state.conclusion().unwrap_or(Conclusion::Error);
    let (kind, name) = head(&run.event.kind);
    Span {
        name: format!("RUN {}", run.flow),
        id: id.to_owned(),
        parent: None,
        kind: SERVER,
        from: came.map_or(run.created, |came| came.min(run.created)),
        to: run.ended.unwrap_or(run.created),
        wrong: wrong(end, &run.reason),
        attributes: vec![
            ("cicd.pipeline.name", run.flow.clone().into()),
            ("cicd.pipeline.action.name", "RUN".into()),
            ("cicd.pipeline.run.id", run.id.to_string().into()),
            ("cicd.pipeline.run.url.full", story.url.clone().into()),
            ("cicd.pipeline.result", result(end).into()),
            ("vcs.provider.name", repository.forge.as_str().into()),
            ("vcs.repository.name", repository.name.to_string().into()),
            ("vcs.repository.url.full", repository.web_url.clone().into()),
            ("vcs.ref.head.name", name.into()),
            ("vcs.ref.head.type", kind.into()),
            ("vcs.ref.head.revision", run.sha.to_string().into()),
            ("containerops.run.number", run.number.into()),
        ],
    }
}

/// What is built: `branch` or `tag`, and its name.
fn head(event: &EventKind) -> (&'static str, String) {
    match event {
        EventKind::Tag { tag } => ("tag", tag.clone()),
        EventKind::PullRequest(pull) => ("branch", pull.branch.clone()),
        EventKind::Push { branch }
        | EventKind::MergeGroup { branch, .. }
        | EventKind::Schedule { branch, .. }
        | EventKind::Manual { branch, .. }
        | EventKind::Flow { branch, .. } => ("branch", branch.clone()),
    }
}

/// A stage with its actions: from the first that began to the last that ended. One of which nothing began has no span.
fn of_stage(story: &Story, actions: &[Chapter], root: &str, all: &mut Vec<Span<'static>>) {
    let (begun, ended) = (actions.iter().filter_map(begun), actions.iter().filter_map(|one| one.action.ended));
    let (Some(from), Some(to), Some(first)) = (begun.min(), ended.max(), actions.first()) else { return };
    let id = span_id(&format!("{} stage {}", story.run.id, first.action.stage));
    let worst = actions.iter().filter_map(|one| one.action.state.conclusion()).find(|end| !end.lets_go_on());
    all.push(Span {
        name: first.stage.clone(),
        id: id.clone(),
        parent: Some(root.to_owned()),
        kind: INTERNAL,
        from,
        to,
        wrong: worst.and_then(|end| wrong(end, "")),
        attributes: vec![("containerops.stage", first.stage.clone().into())],
    });
    for action in actions {
        of_action(story, action, &id, all);
    }
}

fn of_action(story: &Story, chapter: &Chapter, stage: &str, all: &mut Vec<Span<'static>>) {
    let (row, Some(from)) = (&chapter.action, begun(chapter)) else { return };
    let end = row.state.conclusion().unwrap_or(Conclusion::Error);
    let id = span_id(&row.id.to_string());
    all.push(Span {
        name: chapter.shown.clone(),
        id: id.clone(),
        parent: Some(stage.to_owned()),
        kind: INTERNAL,
        from,
        to: row.ended.unwrap_or(from),
        wrong: wrong(end, &row.reason),
        attributes: vec![
            ("cicd.pipeline.task.name", format!("{}/{}", chapter.stage, chapter.name).into()),
            ("cicd.pipeline.task.run.id", row.id.to_string().into()),
            ("cicd.pipeline.task.run.result", result(end).into()),
            ("containerops.action.attempts", row.attempts.into()),
        ],
    });
    if chapter.carried.is_some() {
        // its jobs ran in another run, and are in its trace
        return;
    }
    for (attempt, jobs) in chapter.earlier.iter().chain(&chapter.attempt) {
        for (job, name) in jobs.iter().zip(&chapter.names) {
            all.extend(of_job(story, chapter, (attempt, job, name), &id));
        }
    }
}

fn of_job(
    story: &Story,
    chapter: &Chapter,
    (attempt, job, name): (&AttemptRow, &JobRow, &str),
    action: &str,
) -> Option<Span<'static>> {
    let (from, JobState::Ended(verdict)) = (job.started?, &job.state.0) else { return None };
    let end = verdict.conclusion();
    let (stage, of) = (&chapter.stage, &chapter.name);
    Some(Span {
        name: name.to_owned(),
        id: span_id(&job.id.to_string()),
        parent: Some(action.to_owned()),
        kind: INTERNAL,
        from,
        to: job.ended.unwrap_or(from),
        wrong: wrong(end, verdict.name()),
        attributes: vec![
            ("cicd.pipeline.task.name", format!("{stage}/{of}/{name}").into()),
            ("cicd.pipeline.task.run.id", job.id.to_string().into()),
            (
                "cicd.pipeline.task.run.url.full",
                format!("{}/{stage}/{of}/{name}?attempt={}", story.url, attempt.number).into(),
            ),
            ("cicd.pipeline.task.run.result", result(end).into()),
            ("error.type", if end.lets_go_on() { Value::Null } else { verdict.name().into() }),
            ("containerops.attempt.id", attempt.id.to_string().into()),
            ("containerops.attempt.number", attempt.number.into()),
            ("cicd.worker.name", attempt.moments.node.clone().into()),
        ],
    })
}

/// When an action began, if it did: when its first attempt was queued for.
fn begun(chapter: &Chapter) -> Option<Time> {
    let first = chapter.earlier.first().or(chapter.attempt.as_ref()).filter(|_| chapter.carried.is_none());
    first.map(|(attempt, _)| attempt.queued.unwrap_or(attempt.created))
}

fn wrong(end: Conclusion, words: &str) -> Option<String> {
    (!end.lets_go_on()).then(|| if words.is_empty() { end.as_str().to_owned() } else { words.to_owned() })
}

/// The conventions' word for an end.
const fn result(end: Conclusion) -> &'static str {
    match end {
        Conclusion::Success | Conclusion::Warning => "success",
        Conclusion::Failure => "failure",
        Conclusion::Error => "error",
        Conclusion::TimedOut => "timeout",
        Conclusion::Cancelled => "cancellation",
        Conclusion::Skipped => "skip",
    }
}
