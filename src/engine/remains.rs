//! What is left of ended attempts: it is removed, once it has told what only it can tell.

use std::time::Duration;

use futures::future::join_all;

use super::{
    Engine, EngineError, Result,
    timeline::{Facts, JobFacts, timeline},
};
use crate::{
    executor::{Observation, Sight},
    model::{AttemptState, Moments, Phase, PhaseKind},
    store::{AttemptRow, JobRow},
};

/// How long the next attempt waits until nothing is left of the one before: longer than a pod has to end.
const GONE_WITHIN: Duration = Duration::from_secs(30);
/// How long an executor may take to tell when a container ran that an agent has already spoken from: a kubelet writes
/// a pod's state after what happened, and on a busy node late.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

impl Engine {
    /// Removes what is left of ended attempts. How many were removed.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn sweep(&self) -> Result<usize> {
        let ended = self.store.read().await?.ended_attempts().await?;
        let taken = join_all(ended.iter().map(|attempt| self.take_away_told(attempt))).await;
        let taken = ended.iter().zip(taken).filter(|(_, taken)| matches!(taken, Ok(true)));
        let gone: Vec<&AttemptRow> = taken.map(|(attempt, _)| attempt).collect();
        self.note_gone(&gone).await?;
        Ok(gone.len())
    }

    /// Whether nothing is left of an attempt, so that the next one does not run beside it. A node that does not answer
    /// cannot confirm that; so after [`GONE_WITHIN`] the next one begins all the same, and the agent of the one before
    /// is told to leave when it can be reached again.
    pub(super) async fn is_gone(&self, earlier: &AttemptRow) -> bool {
        let patience_is_over = earlier.ended.is_none_or(|ended| self.now().since(ended) > GONE_WITHIN);
        if patience_is_over {
            return true;
        }
        let removed = match earlier.state.0 {
            AttemptState::Removed => true,
            AttemptState::Starting | AttemptState::Running | AttemptState::Ended => {
                let sight = self.executor.look(earlier.id).await.ok();
                let taken = self.take_away(earlier, sight.as_ref()).await;
                taken.is_ok() && self.note_gone(&[earlier]).await.is_ok()
            }
        };
        removed && matches!(self.executor.observe(earlier.id).await, Ok(Observation::Absent))
    }

    /// Keeps what is new of an attempt's moments.
    pub(super) async fn keep_moments(&self, attempt: &AttemptRow, told: &Moments) -> Result<()> {
        let Some(moments) = news_of(attempt, told) else { return Ok(()) };
        let mut tx = self.store.write().await?;
        tx.keep_moments(attempt.id, &moments).await?;
        Ok(tx.commit().await?)
    }

    /// Takes an attempt away unless its executor may soon tell more of its moments. Whether it did.
    async fn take_away_told(&self, attempt: &AttemptRow) -> Result<bool> {
        let sight = self.executor.look(attempt.id).await.ok();
        if let Some(sight) = sight.as_ref().filter(|sight| tells(sight))
            && attempt.ended.is_some_and(|ended| self.now().since(ended) < TOLD_WITHIN)
            && is_behind(attempt, sight, &self.store.read().await?.jobs(attempt.id).await?)
        {
            return Ok(false);
        }
        self.take_away(attempt, sight.as_ref()).await?;
        Ok(true)
    }

    /// Keeps what was seen of an attempt last, and takes it away.
    async fn take_away(&self, attempt: &AttemptRow, sight: Option<&Sight>) -> Result<()> {
        if let Some(sight) = sight {
            // first: when it is gone, nobody tells of it any more
            self.keep_moments(attempt, &sight.moments).await?;
        }
        self.executor.remove(attempt.id).await.map_err(|error| {
            tracing::warn!(attempt.id = %attempt.id, %error, "attempt not removed yet");
            EngineError::Broken(error.to_string())
        })
    }

    /// Writes down that nothing is left of these attempts, of all in one transaction.
    async fn note_gone(&self, gone: &[&AttemptRow]) -> Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        let (mut tx, mut told) = (self.store.write().await?, Vec::new());
        for attempt in gone {
            tx.set_attempt_state(attempt.id, &AttemptState::Removed, self.now()).await?;
            // one that was removed before was counted then
            if attempt.state.0 != AttemptState::Removed {
                // by all that was told of it
                told.push((tx.attempt(attempt.id).await?, tx.jobs(attempt.id).await?));
            }
        }
        tx.commit().await?;
        for (whole, jobs) in told {
            whole.into_iter().for_each(|whole| self.count_phases(&whole, &jobs));
        }
        Ok(())
    }

    /// Counts what an attempt's time went into, once nothing more is told of it.
    fn count_phases(&self, attempt: &AttemptRow, jobs: &[JobRow]) {
        let facts: Vec<_> = jobs.iter().map(JobFacts::from).collect();
        let phases = timeline(&Facts::from(attempt), &facts, self.now()).phases;
        for kind in PhaseKind::ALL {
            let spans = phases.iter().filter(|phase| phase.kind == kind).map(Phase::span);
            let took: Duration = spans.sum();
            if took > Duration::ZERO {
                self.store.meters().phase(self.executor.kind().as_str(), kind, took);
            }
        }
    }
}

/// Whether an executor still has an attempt, and tells of moments at all.
fn tells(sight: &Sight) -> bool {
    sight.moments.made.is_some() && sight.observation != Observation::Absent
}

/// Whether an executor that tells has not told yet of a container whose agent was told to start.
fn is_behind(attempt: &AttemptRow, sight: &Sight, jobs: &[JobRow]) -> bool {
    let is_told =
        |job: &JobRow| [&attempt.moments.0, &sight.moments].iter().any(|known| known.container(job.id).is_some());
    let has_spoken = |job: &&JobRow| job.heard.is_some() && job.started.is_some();
    !jobs.iter().filter(has_spoken).all(is_told)
}

/// All that is known of an attempt's moments, if some of it was told only now.
pub(super) fn news_of(attempt: &AttemptRow, told: &Moments) -> Option<Moments> {
    let mut known = attempt.moments.0.clone();
    known.learn(told).then_some(known)
}
