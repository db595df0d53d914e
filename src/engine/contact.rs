//! Contact with agents: when each spoke last, and what its silence means.
//!
//! An agent that has claimed speaks at least as often as its long poll ends. Whatever it says is noted in memory, and
//! written for all agents together every few seconds, so that a thousand heartbeats are not a thousand commits. What is
//! lost of that in a crash does no harm, because silence counts only while we could have heard: not from before our
//! own start, nor over a time in which this process stood still, its clock jumped, or its database was away.
//!
//! Silence alone ends nothing for long. First it is told, on the action's page and in its check; when it has lasted for
//! [`Settings::contact_timeout`](super::Settings), and the executor says that the pod runs all the same, the attempt is
//! given up and tried again. An agent of an attempt that was given up is told so at its next word, and kills its job.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Engine, Result, service};
use crate::{
    model::{ActionState, Infrastructure, JobId, Time, Verdict},
    store::{ActionRow, AttemptRow, JobRow},
};

/// Silence that is told. A heartbeat comes every 20 s; after a connection that died without a word, 35 s later.
const NOTEWORTHY: Duration = Duration::from_secs(90);
/// Between two looks at the clock that are further apart, this process, or its machine, stood still.
const STOOD_STILL: Duration = Duration::from_secs(30);
/// How the note of a silence begins.
const NOTE: &str = "no contact with the agent since ";

/// What agents said since it was written last, and since when they could have been heard.
pub(super) struct Contact {
    spoke: Mutex<HashMap<JobId, Time>>,
    listening: Mutex<Listening>,
}

/// Since when we have listened without a break, and when that was last known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Listening {
    since: Time,
    last: Time,
}

/// What is to be made of an agent's silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// Nothing: it spoke a moment ago, or we have not listened for long enough to say.
    None,
    /// It is to be told.
    Noteworthy,
    /// The agent hangs or is cut off, and has had all the time that it may have.
    TooLong,
}

impl Listening {
    const fn from(now: Time) -> Self {
        Self { since: now, last: now }
    }

    /// We still listen. After a break, or if the clock was set back, it is as if we had only begun.
    fn go_on(self, now: Time) -> Self {
        let broken = now < self.last || now.since(self.last) > STOOD_STILL;
        if broken { Self::from(now) } else { Self { last: now, ..self } }
    }
}

fn silence(heard: Time, listening: Listening, now: Time, longest: Duration) -> Silence {
    let span = now.since(heard.max(listening.go_on(now).since));
    if span > longest.max(NOTEWORTHY) {
        Silence::TooLong
    } else if span > NOTEWORTHY {
        Silence::Noteworthy
    } else {
        Silence::None
    }
}

impl Contact {
    pub(super) fn new(now: Time) -> Self {
        Self { spoke: Mutex::default(), listening: Mutex::new(Listening::from(now)) }
    }

    /// An agent has said something.
    pub(super) fn heard(&self, job: JobId, at: Time) {
        self.spoke().insert(job, at);
    }

    /// Since when everybody could be heard without a break.
    pub(super) fn listening_since(&self, now: Time) -> Time {
        self.listening().go_on(now).since
    }

    fn spoke(&self) -> MutexGuard<'_, HashMap<JobId, Time>> {
        self.spoke.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listening(&self) -> MutexGuard<'_, Listening> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Writes down who has spoken. Must be called every few seconds: where it was not, nobody could be heard.
    ///
    /// # Errors
    /// If the database is away. Nobody was answered then, so that nobody's silence counts until it is back.
    pub async fn keep_contact(&self) -> Result<usize> {
        let spoke = self.contact.spoke().clone();
        let written = self.write_contact(&spoke).await;
        let (now, mut listening) = (self.now(), self.contact.listening());
        *listening = if written.is_ok() { listening.go_on(now) } else { Listening::from(now) };
        drop(listening);
        written?;
        // only now, so that at no moment nobody knows of it
        self.contact.spoke().retain(|job, at| spoke.get(job) != Some(at));
        Ok(spoke.len())
    }

    async fn write_contact(&self, spoke: &HashMap<JobId, Time>) -> Result<()> {
        let mut tx = if spoke.is_empty() { self.store.read().await? } else { self.store.write().await? };
        let spoke: Vec<_> = spoke.iter().map(|(job, at)| (*job, *at)).collect();
        if !spoke.is_empty() {
            tx.jobs_spoke(&spoke).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Whether what an action says of its agent's silence, which is mostly nothing, is what there is to say.
    pub(super) fn contact_is_told(&self, action: &ActionRow, jobs: &[JobRow]) -> bool {
        match self.silent_job(jobs) {
            None => !is_stale(action),
            Some((_, Silence::TooLong)) => false,
            Some((job, _)) => job.heard.is_some_and(|heard| action.reason == note(heard)),
        }
    }

    /// Weighs the silence of an attempt whose pod runs, by the executor's account.
    pub(super) async fn weigh_silence(&self, action: &ActionRow, attempt: &AttemptRow, jobs: &[JobRow]) -> Result<()> {
        let Some((job, silence)) = self.silent_job(jobs) else {
            return if is_stale(action) { self.put_reason(action, "").await } else { Ok(()) };
        };
        let since = job.heard.unwrap_or(attempt.created);
        if silence == Silence::TooLong {
            let verdict = lost(since);
            tracing::warn!(attempt.id = %attempt.id, job.id = %job.id, %verdict, "attempt given up");
            return self.end_now(action, attempt, |_| Some(verdict.clone())).await;
        }
        let mut tx = self.store.write().await?;
        tx.job_silent(job.id, since).await?;
        tx.commit().await?;
        self.put_reason(action, &note(since)).await
    }

    /// The job whose agent should speak now, or a service that it waits for, if it is silent. An agent that never came
    /// is not the matter here; nor is a service that is ready, for the job decides then.
    fn silent_job(&self, jobs: &[JobRow]) -> Option<(JobRow, Silence)> {
        let awaited = service::awaited(jobs).filter(|job| job.ready.is_none());
        let silent = awaited.filter_map(|job| self.silence_of(job.clone())).collect::<Vec<_>>();
        let worst = silent.iter().position(|(_, silence)| *silence == Silence::TooLong).unwrap_or(0);
        silent.into_iter().nth(worst)
    }

    fn silence_of(&self, mut job: JobRow) -> Option<(JobRow, Silence)> {
        job.heard = job.heard.max(self.contact.spoke().get(&job.id).copied());
        let listening = *self.contact.listening();
        match silence(job.heard?, listening, self.now(), self.settings.contact_timeout) {
            Silence::None => None,
            silence @ (Silence::Noteworthy | Silence::TooLong) => Some((job, silence)),
        }
    }
}

/// Whether what an action says of its pod was true, and is not any more: it runs, and its agent speaks.
fn is_stale(action: &ActionRow) -> bool {
    action.state.0 == ActionState::Running && !action.reason.is_empty()
}

fn lost(since: Time) -> Verdict {
    let message = format!("no word since {} though its pod runs: it hangs, or is cut off", moment(since));
    Verdict::Infrastructure { kind: Infrastructure::AgentLost, message }
}

/// It names a moment and not a span, so that it stays the same for as long as it is true.
fn note(since: Time) -> String {
    format!("{NOTE}{}; its pod still runs, by the executor's account", moment(since))
}

fn moment(time: Time) -> String {
    let moment = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(900);

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    /// Listens from second 0 to `until`, without a break.
    fn listening(until: i64) -> Listening {
        (0..=until).step_by(5).fold(Listening::from(at(0)), |listening, now| listening.go_on(at(now)))
    }

    #[test]
    fn silence_is_told_and_then_is_too_long() {
        for (now, expected) in
            [(90, Silence::None), (91, Silence::Noteworthy), (900, Silence::Noteworthy), (901, Silence::TooLong)]
        {
            assert_eq!(silence(at(0), listening(now), at(now), LONGEST), expected, "after {now} s");
        }
        assert_eq!(silence(at(850), listening(900), at(900), LONGEST), Silence::None, "it spoke in between");
    }

    #[test]
    fn nobody_is_judged_by_a_time_in_which_we_heard_nobody() {
        let long_ago = at(-100_000);
        assert_eq!(silence(long_ago, listening(80), at(80), LONGEST), Silence::None, "from before our start");
        // a machine that slept for an hour, seen first by whoever judges
        assert_eq!(silence(at(0), listening(80), at(3680), LONGEST), Silence::None);
        let woken = listening(80).go_on(at(3680));
        assert_eq!(silence(at(0), woken, at(3690), LONGEST), Silence::None);
        assert_eq!(woken, Listening::from(at(3680)));
        assert_eq!(listening(80).go_on(at(10)), Listening::from(at(10)), "a clock that was set back");
    }

    #[test]
    fn no_setting_makes_us_impatient() {
        let impatient = Duration::ZERO;
        assert_eq!(silence(at(0), listening(90), at(90), impatient), Silence::None);
    }
}
