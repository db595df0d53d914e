//! One call that tells a forge one state, and what becomes of it.

use std::{sync::Arc, time::Duration};

use super::{Reporter, log, look::next_look, pause};
use crate::{
    forge::{Allowance, Forge, ForgeError, Told, Wanted},
    meters::TellEnd,
    model::Time,
    store::{Acknowledgement, Doubt, ReportRow, RepositoryRow, StoreError, Tx},
};

/// A call that was begun so long ago will not be heard of any more: longer than all limits of one call together.
pub(super) const LEASE: Duration = Duration::from_secs(3 * 60);
/// A forge that refuses is asked again seldom: permissions may be mended.
const REFUSED_PAUSE: Duration = Duration::from_secs(15 * 60);
/// The longest of these pauses.
const LONGEST_REFUSED_PAUSE: Duration = Duration::from_secs(24 * 3600);
/// After so many refusals, which take some days, only a new run is told again.
const REFUSALS: i64 = 10;

/// A call that is noted as begun.
pub(super) struct Call {
    pub(super) forge: Arc<dyn Forge>,
    pub(super) allowance: Allowance,
    pub(super) repository: RepositoryRow,
    pub(super) row: ReportRow,
}

impl Reporter {
    pub(super) async fn call(&self, call: &Call) -> Result<(), StoreError> {
        let Call { forge, repository, row, .. } = call;
        let event = self.store.read().await?.event_of(row.generation).await?;
        let wanted = Wanted {
            repository: &repository.facts,
            sha: &row.sha,
            event: event.as_ref(),
            context: &row.context,
            report: &row.wanted,
        };
        let told = forge.report(&wanted, row.known.as_deref()).await;
        self.store.meters().told(repository.forge, end_of(&told));
        let now = self.clock.now();
        let mut tx = self.store.write().await?;
        match told {
            Ok(told) => call.taken(&mut tx, told, now).await?,
            Err(error) => self.not_taken(&mut tx, call, &error, now).await?,
        }
        tx.commit().await
    }

    async fn not_taken(&self, tx: &mut Tx, call: &Call, error: &ForgeError, now: Time) -> Result<(), StoreError> {
        let (row, account) = (&call.row, &call.allowance.account);
        log("report not taken", account, error);
        match error {
            // it may have been done, though we did not hear of it
            ForgeError::Away { .. } => {
                tx.not_told(row, now.after(pause(row.id, row.tries)), Doubt::Yes, &error.to_string()).await
            }
            ForgeError::Limited { after, .. } => {
                let until = self.be_quiet(tx, account, *after, now).await?;
                tx.put_off(row, until, &error.to_string()).await
            }
            ForgeError::Refused { .. } => {
                let (due, trouble) = match refused_pause(row.tries) {
                    Some(pause) => (now.after(pause), error.to_string()),
                    None => (Time::from_millis(i64::MAX), format!("{error}; given up after {REFUSALS} tries")),
                };
                tx.not_told(row, due, Doubt::No, &trouble).await
            }
        }
    }
}

impl Call {
    async fn taken(&self, tx: &mut Tx, told: Told, now: Time) -> Result<(), StoreError> {
        let row = &self.row;
        tx.patience_over(&self.allowance.account, now).await?;
        match told {
            Told::Whole { known } => {
                let look_at = next_look(row, now, now);
                tx.acknowledge(row, &Acknowledgement { known: known.as_deref(), told_at: now, look_at, now }).await
            }
            Told::Part { known } => tx.told_in_part(row, &known).await,
            Told::Full { reason } => tx.full(row, self.allowance.states.unwrap_or(row.calls), &reason).await,
        }
    }
}

/// What a call came to, to be counted.
const fn end_of(told: &Result<Told, ForgeError>) -> TellEnd {
    match told {
        Ok(Told::Whole { .. }) => TellEnd::Taken,
        Ok(Told::Part { .. }) => TellEnd::Partly,
        Ok(Told::Full { .. }) => TellEnd::Full,
        Err(ForgeError::Away { .. }) => TellEnd::Away,
        Err(ForgeError::Limited { .. }) => TellEnd::Limited,
        Err(ForgeError::Refused { .. }) => TellEnd::Refused,
    }
}

/// How long to wait after so many refusals; `None`: there is no use.
fn refused_pause(before: i64) -> Option<Duration> {
    let doublings = u32::try_from(before.clamp(0, 16)).unwrap_or(16);
    (before + 1 < REFUSALS).then(|| (REFUSED_PAUSE * (1 << doublings)).min(LONGEST_REFUSED_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_tried_seldom_and_not_for_ever() {
        let minutes: Vec<_> = (0..10).map(|before| refused_pause(before).map(|pause| pause.as_secs() / 60)).collect();
        let expected = [15, 30, 60, 120, 240, 480, 960, 1440, 1440].map(Some);
        assert_eq!(minutes[..9], expected);
        assert_eq!(minutes[9], None);
    }
}
