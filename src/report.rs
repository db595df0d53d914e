//! Tells forges what they are to show: rows whose wanted state is not the acknowledged one, until it is.
//!
//! A row holds only the newest wish, so several changes become one call, and an older run cannot speak after a newer
//! one. Of each row one call at a time is under way, and the forge is told by its own name for what it shows: whatever
//! order answers come in, the last word stays. A call whose outcome nobody knows leaves doubt, and doubt is settled by
//! reading what the forge shows, now and once more when nothing can come late. What a forge takes in a minute and in
//! an hour is counted in rows before it is spent, and a part of it is kept for last words.

mod budget;
mod call;
mod choose;
mod look;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use crate::{
    forge::{Forge, ForgeError},
    model::{Clock, ForgeKind, ReportId, Time, backoff},
    store::{Patience, Store, StoreError, Tx},
};

use self::{call::Call, look::Look};

/// How many commits are read back at once.
const LOOKS: usize = 8;
/// A forge never wants more patience than this of us.
const LONGEST_PATIENCE: Duration = Duration::from_secs(3600);

/// Tells forges.
#[derive(Clone)]
pub struct Reporter {
    store: Store,
    forges: BTreeMap<ForgeKind, Arc<dyn Forge>>,
    clock: Clock,
    /// One for each commit that is read back now.
    looks: Arc<Semaphore>,
}

/// One call to a forge that is due, noted in the database as begun. If it is dropped, its outcome is unknown.
pub struct Errand(Kind);

enum Kind {
    Call(Box<Call>),
    Look(Box<Look>),
}

impl Reporter {
    /// Puts the parts together.
    pub fn new(store: Store, forges: BTreeMap<ForgeKind, Arc<dyn Forge>>, clock: Clock) -> Self {
        Self { store, forges, clock, looks: Arc::new(Semaphore::new(LOOKS)) }
    }

    /// The calls that are due and may be made now. Each is to be [run](Self::run), at its own pace.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn errands(&self) -> Result<Vec<Errand>, StoreError> {
        let now = self.clock.now();
        let lost = Time::from_millis(now.as_millis() - call::LEASE.as_millis() as i64);
        if !self.store.read().await?.reports_stir(now, lost).await? {
            return Ok(Vec::new());
        }
        let mut tx = self.store.write().await?;
        tx.calls_lost(lost).await?;
        let looks = self.choose_looks(&mut tx, now).await?;
        let calls = self.choose_calls(&mut tx, now).await?;
        tx.commit().await?;
        let looks = looks.into_iter().map(|look| Errand(Kind::Look(Box::new(look))));
        Ok(looks.chain(calls.into_iter().map(|call| Errand(Kind::Call(Box::new(call))))).collect())
    }

    /// Makes a call and notes what became of it. A forge's trouble postpones its rows.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn run(&self, errand: Errand) -> Result<(), StoreError> {
        match errand.0 {
            Kind::Call(call) => {
                let span = tracing::info_span!("report", run.id = %call.row.generation, trace_id = call.row.generation.trace(), context = %call.row.context);
                self.call(&call).instrument(span).await
            }
            Kind::Look(look) => self.look(&look).await,
        }
    }

    /// Runs every errand that is due, once. How many there were.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn tell(&self) -> Result<usize, StoreError> {
        let errands = self.errands().await?;
        let count = errands.len();
        let run: FuturesUnordered<_> = errands.into_iter().map(|errand| self.run(errand)).collect();
        run.fold(Ok(()), |all, one| async move { all.and(one) }).await?;
        Ok(count)
    }

    /// The forge wants no call of this account for a while, and for longer if it has said so before. Until when.
    async fn be_quiet(&self, tx: &mut Tx, account: &str, after: Duration, now: Time) -> Result<Time, StoreError> {
        let before = tx.patience(account).await?;
        let (until, strikes) = match before {
            // calls that were under way at the same time hear the same
            Some(before) if before.quiet_until > now => (before.quiet_until.max(now.after(after)), before.strikes),
            Some(before) => (now.after(patience(after, before.strikes)), before.strikes + 1),
            None => (now.after(after), 1),
        };
        tx.set_patience(account, Patience { quiet_until: until, strikes }).await?;
        Ok(until)
    }
}

fn patience(after: Duration, strikes: i64) -> Duration {
    let doublings = u32::try_from(strikes.clamp(0, 6)).unwrap_or(6);
    (after * (1 << doublings)).min(LONGEST_PATIENCE.max(after))
}

/// When to try again what has failed so often: up to a quarter later than the same for everybody, so that what failed
/// together does not come again together.
fn pause(id: ReportId, tries: i64) -> Duration {
    let part = u32::try_from((id.as_i64() ^ (tries * 7919)).rem_euclid(250)).unwrap_or(0);
    backoff(tries) * (1000 + part) / 1000
}

/// A forge's failure, once in the log.
fn log(what: &'static str, account: &str, error: &ForgeError) {
    tracing::warn!(account, %error, "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ() {
        let id = |n| ReportId::from_i64(n);
        for tries in 0..10 {
            let (least, most) = (backoff(tries), backoff(tries) * 5 / 4);
            assert!((0..300).all(|n| (least..=most).contains(&pause(id(n), tries))));
        }
        assert_ne!(pause(id(1), 3), pause(id(2), 3));
    }

    #[test]
    fn patience_doubles_up_to_an_hour_and_is_never_shorter_than_asked() {
        let seconds = |after, strikes| patience(Duration::from_secs(after), strikes).as_secs();
        assert_eq!([seconds(60, 0), seconds(60, 1), seconds(60, 3), seconds(60, 9)], [60, 120, 480, 3600]);
        assert_eq!(seconds(7200, 2), 7200);
    }
}
