//! The original's events: a component may POST to the URLs in `CO_COMPONENT_START` … `CO_COMPONENT_STOP`. All are kept;
//! a `CO_TASK_STATUS` with `status: false` makes its job a failure, whatever the exit code.

use super::{Engine, Result, turn::Denied};
use crate::{
    model::{JobId, JobState},
    store::{Change, Tx},
};

/// The events, by the names of their variables.
pub const NAMES: [&str; 5] =
    ["CO_COMPONENT_START", "CO_TASK_START", "CO_TASK_RESULT", "CO_TASK_STATUS", "CO_COMPONENT_STOP"];
/// The event whose `INFO.status` is a verdict.
const STATUS: &str = "CO_TASK_STATUS";
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
    status: bool,
    #[serde(default)]
    result: String,
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
        if name == STATUS {
            serde_json::from_str::<Posted>(body).map_err(|error| Denied::Event(error.to_string()))?;
        }
        let mut tx = self.store.write().await?;
        let row = tx.job(job).await?.filter(|row| row.state.0 == JobState::Running).ok_or(Denied::Unknown)?;
        if !tx.keep_event(row.id, name, body, EVENTS_MAX, self.now()).await? {
            return Err(Denied::TooMuch);
        }
        tx.ring(Change::Log(row.id));
        Ok(tx.commit().await?)
    }
}

/// What the job's own `CO_TASK_STATUS` said against it, if it did: the words of the first that was false.
pub(super) async fn refusal(tx: &mut Tx, job: JobId) -> Result<Option<String>> {
    let posted = tx.events(job, STATUS).await?;
    let infos = posted.iter().filter_map(|body| serde_json::from_str::<Posted>(body).ok());
    let refused = infos.map(|posted| posted.info).find(|info| !info.status);
    Ok(refused.map(|info| info.result.chars().take(200).collect()))
}
