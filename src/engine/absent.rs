//! Agents that never came: their containers run, it is their turn, and nobody has asked for work.
//!
//! As with silence ([`contact`](super::contact)), nobody is missed for a time in which we could not have heard them.

use super::{Engine, Result, service, watch::About};
use crate::{
    executor::{ContainerEnd, Outside},
    model::{Infrastructure, JobState, Span, Time},
    store::{ActionRow, AttemptRow, JobRow},
};

impl Engine {
    /// Whether the agents of an attempt that runs need nobody's attention: none is missed, none fell silent, and none of
    /// those containers that have ended was its job's only witness.
    pub(super) fn agents_are_well(
        &self,
        action: &ActionRow,
        attempt: &AttemptRow,
        jobs: &[JobRow],
        ended: &[ContainerEnd],
    ) -> bool {
        if self.overstay(jobs) {
            return false;
        }
        let mut open = jobs.iter().filter(|job| job.state.verdict().is_none());
        if open.any(|job| ended.iter().any(|end| end.job == job.id)) {
            return false;
        }
        let is_missed = match unheard(attempt, jobs) {
            Unheard::None | Unheard::SinceNow => false,
            Unheard::Since(since) => self.is_missed(since),
        };
        !is_missed && self.contact_is_told(action, jobs)
    }

    /// Looks what the agents of an attempt that runs have to say, and ends it if that is nothing for too long.
    pub(super) async fn look_after_agents(&self, action: &ActionRow, attempt: &AttemptRow) -> Result<()> {
        let jobs = self.store.read().await?.jobs(attempt.id).await?;
        if self.overstay(&jobs) {
            return self.end_overstaying(action, attempt).await;
        }
        match unheard(attempt, &jobs) {
            Unheard::None => self.weigh_silence(action, attempt, &jobs).await,
            Unheard::SinceNow => {
                let mut tx = self.store.write().await?;
                tx.attempt_ran(attempt.id, self.now()).await?;
                Ok(tx.commit().await?)
            }
            Unheard::Since(since) if self.is_missed(since) => self.end_absent(action, attempt).await,
            Unheard::Since(_) => Ok(()),
        }
    }

    async fn end_absent(&self, action: &ActionRow, attempt: &AttemptRow) -> Result<()> {
        let span = Span(self.settings.patience.agent);
        let message = format!("its container runs, and no agent has asked for work within {span}");
        tracing::warn!(attempt.id = %attempt.id, agent_url = self.settings.agent_url, "no agent came");
        let absent = Outside::Infrastructure(Infrastructure::AgentAbsent, message);
        self.end_by_evidence(action, attempt, &[], Some(&absent), About::All).await
    }

    fn is_missed(&self, since: Time) -> bool {
        let now = self.now();
        now.since(since.max(self.contact.listening_since(now))) > self.settings.patience.agent
    }
}

/// Whether an attempt's container runs from now on without its agent having been heard.
pub(super) fn runs_since_now(attempt: &AttemptRow, jobs: &[JobRow]) -> bool {
    unheard(attempt, jobs) == Unheard::SinceNow
}

/// Whether the agent whose turn it is was never heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unheard {
    /// It was, or there is none.
    None,
    /// It was not, and from now on it is waited for.
    SinceNow,
    /// It was not, though it might have been since then.
    Since(Time),
}

fn unheard(attempt: &AttemptRow, jobs: &[JobRow]) -> Unheard {
    let is_unheard = |job: &&JobRow| job.session_hash.is_none() && job.state.0 == JobState::Waiting;
    let Some(turn) = service::awaited(jobs).find(is_unheard) else { return Unheard::None };
    let place = turn.service_after.unwrap_or(turn.place);
    let before = jobs.iter().take_while(|job| job.place < place).filter_map(|job| job.ended);
    before.chain(attempt.ran).max().map_or(Unheard::SinceNow, Unheard::Since)
}
