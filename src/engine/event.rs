//! The original's events: a component may POST to the URLs in `CO_COMPONENT_START` … `CO_COMPONENT_STOP`. All are kept;
//! a `CO_TASK_STATUS` with `status: false` makes its job a failure, whatever the exit code, and what it and `CO_TASK_RESULT`
//! carry as `output` are outputs of the job. A component that has told its status and then posts `CO_COMPONENT_STOP` is
//! ended, if it does not end by itself: the original's slept for ever after it.

use std::time::Duration;

use serde_json::Value;

use super::{Engine, Result, settle::Place, turn::Denied};
use crate::{
    agent::mask::Masks,
    model::{JobId, JobState, Time},
    store::{Change, Tx},
};

/// The events, by the names of their variables.
pub const NAMES: [&str; 5] =
    ["CO_COMPONENT_START", "CO_TASK_START", "CO_TASK_RESULT", "CO_TASK_STATUS", "CO_COMPONENT_STOP"];
/// The event whose `INFO.status` is a verdict.
const STATUS: &str = "CO_TASK_STATUS";
/// The other event that may carry outputs: the original's manual named this one, its code the other.
const RESULT: &str = "CO_TASK_RESULT";
/// The event after which nothing is left to do.
const STOP: &str = "CO_COMPONENT_STOP";
/// The output that is the whole of an event's `output`.
const CONTENT: &str = "CO_JSON_CONTENT";
/// Who ends a job that has said that it is done.
pub(super) const ITSELF: &str = "its own CO_COMPONENT_STOP";
/// A component that ends after its last event by itself is not to be disturbed.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// The most events of one job; the original's components post every line of their output as one.
const EVENTS_MAX: i64 = 10_000;

/// The body of an event, as far as it matters here. The original sends `EVENT`, `EVENT_ID` and `RUN_ID`, too.
#[derive(serde::Deserialize)]
struct Posted {
    #[serde(rename = "INFO")]
    info: Info,
}

#[derive(serde::Deserialize)]
struct Info {
    #[serde(default)]
    status: Option<bool>,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    output: Value,
}

impl Info {
    fn result(&self) -> String {
        let text = if self.result.is_null() { String::new() } else { text_of(&self.result) };
        text.chars().take(200).collect()
    }

    /// The outputs that it carries: all of it, and what its fields hold. It comes as JSON in a text.
    fn outputs(&self) -> Vec<(String, String)> {
        let text = if self.output.is_null() { String::new() } else { text_of(&self.output) };
        let mut outputs = Vec::new();
        if let Ok(Value::Object(fields)) = serde_json::from_str(&text) {
            outputs.extend(fields.into_iter().map(|(name, value)| {
                let text = text_of(&value);
                (name, text)
            }));
        }
        if !text.is_empty() {
            outputs.push((CONTENT.to_owned(), text));
        }
        outputs
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Engine {
    /// The event variables of a job: URLs with a token that is good for this job's events alone.
    pub(super) fn event_urls(&self, job: JobId) -> Vec<(&'static str, String)> {
        use secrecy::ExposeSecret as _;
        let token = self.key.event_token(job);
        let url = |name| {
            format!("{}/agent/v1/events/{name}?job={job}&token={}", self.settings.agent_url, token.expose_secret())
        };
        NAMES.into_iter().map(|name| (name, url(name))).collect()
    }

    /// Keeps one event of a running job. A repeated one is kept again: the original's components repeat.
    ///
    /// # Errors
    /// [`Denied::Unknown`] for a wrong token, an unknown name or a job that does not run (any more);
    /// [`Denied::Event`] for a body that is none; [`Denied::TooMuch`].
    pub async fn take_event(&self, name: &str, job: JobId, token: &str, body: &str) -> Result<(), Denied> {
        if !NAMES.contains(&name) || !self.key.is_event_token(job, token) {
            return Err(Denied::Unknown);
        }
        let posted = serde_json::from_str::<Posted>(body).map_err(|error| error.to_string());
        if name == STATUS {
            let status =
                posted.as_ref().map(|posted| posted.info.status).map_err(|error| Denied::Event(error.clone()))?;
            status.ok_or_else(|| Denied::Event("`status` is missing".to_owned()))?;
        }
        let attempt = self.store.read().await?.job(job).await?.ok_or(Denied::Unknown)?.attempt_id;
        let masks = self.masks_of(attempt).await?;
        let kept = hidden(&masks, body, posted.as_ref().ok());
        let mut tx = self.store.write().await?;
        let row = tx.job(job).await?.filter(|row| row.state.0 == JobState::Running).ok_or(Denied::Unknown)?;
        if !tx.keep_event(row.id, name, &kept, EVENTS_MAX, self.now()).await? {
            return Err(Denied::TooMuch);
        }
        if let (STATUS | RESULT, Ok(posted)) = (name, posted) {
            let place = Place::of(&mut tx, row.attempt_id).await?;
            let wanted = &self.job_plan(&place, &row)?.outputs;
            for (key, value) in posted.info.outputs().iter().filter(|(key, _)| wanted.contains(key)) {
                tx.keep_output(row.id, key, &masks.hide_str(value)).await?;
            }
        }
        if name == STOP || name == STATUS {
            // its agent may be waiting for a word
            tx.ring(Change::Attempt(row.attempt_id));
        }
        tx.ring(Change::Log(row.id));
        Ok(tx.commit().await?)
    }

    /// Whether the session's job has said by an event that it failed.
    ///
    /// # Errors
    /// [`Denied::Unknown`].
    pub async fn has_refused(&self, session: &str) -> Result<bool, Denied> {
        let job = self.job_of_session(session).await?;
        Ok(refusal(&mut self.store.read().await?, job.id).await?.is_some())
    }
}

/// A body without secrets. What it says of the job's end stays, whatever the secrets are.
fn hidden(masks: &Masks, body: &str, posted: Option<&Posted>) -> String {
    let hidden = masks.hide_str(body);
    let status = |body: &str| serde_json::from_str::<Posted>(body).ok().map(|posted| posted.info.status);
    match posted {
        Some(posted) if status(&hidden) != Some(posted.info.status) => {
            let result = masks.hide_str(&posted.info.result());
            serde_json::json!({"INFO": {"status": posted.info.status, "result": result}}).to_string()
        }
        Some(_) | None => hidden,
    }
}

/// How long it is until a job is ended because it has said that it is done: it has told its status, and to stop.
pub(super) async fn stops_in(tx: &mut Tx, job: JobId, now: Time) -> Result<Option<Duration>> {
    let (Some(told), Some(stopped)) = (tx.event_came(job, STATUS).await?, tx.event_came(job, STOP).await?) else {
        return Ok(None);
    };
    Ok(Some(STOP_GRACE.saturating_sub(now.since(told.max(stopped)))))
}

/// What the job's own `CO_TASK_STATUS` said against it, if it did: the words of the first that was false.
pub(super) async fn refusal(tx: &mut Tx, job: JobId) -> Result<Option<String>> {
    let posted = tx.events(job, STATUS).await?;
    let infos = posted.iter().filter_map(|body| serde_json::from_str::<Posted>(body).ok());
    let refused = infos.map(|posted| posted.info).find(|info| info.status == Some(false));
    Ok(refused.map(|info| info.result()))
}
