//! Deliveries that a forge could not make: found in its list of attempts, and asked for again.

use std::{collections::BTreeMap, time::Duration};

use super::{Engine, Result, Trouble};
use crate::{
    forge::{DeliveryAttempt, ForgeError, Recall},
    model::{Repository, Time},
    store::{Lost, NewRecovery, RecoveryRow, SweepRow},
};

/// How many pages are read in one round; what is left is read in the next.
const PAGES: usize = 10;
/// An attempt may be listed only when it is over, and one look must not miss what the one before came too early for.
const OVERLAP: Duration = Duration::from_secs(600);
/// GitHub delivers again what is at most three days old.
const KEPT: Duration = Duration::from_secs(3 * 24 * 3600);
/// How often one delivery is asked for: what fails so often fails for a reason of its own.
const ASKS_MOST: i64 = 5;
/// How many deliveries are asked for in a minute at the most, whoever dies and starts anew meanwhile. GitHub counts five
/// points for a write and takes 900 a minute; reports have a budget of their own, with other tokens.
const ASKS_A_MINUTE: i64 = 80;
/// How many in one round: two rounds are a minute.
const ASKS: i64 = ASKS_A_MINUTE / 2;
/// Under which name asks are counted.
const ACCOUNT: &str = "deliveries again";
/// The pause after the first ask for a delivery; each further one is four times as long.
const ASK_PAUSE: Duration = Duration::from_secs(120);

impl Engine {
    /// Looks through the attempts of a hook, from the newest to those that were looked through before, and writes down
    /// which deliveries failed.
    pub(super) async fn look_through(
        &self,
        recall: &dyn Recall,
        of: Option<&Repository>,
        mut sweep: SweepRow,
    ) -> Result<(), Trouble> {
        let now = self.now();
        let url = format!("{}/hooks/{}", self.settings.public_url, sweep.forge);
        let since = sweep.since.max(now.before(KEPT));
        if sweep.page.is_none() {
            sweep.upto = now;
        }
        let mut attempts = Vec::new();
        for _ in 0..PAGES {
            let page = recall.attempts(of, &url, sweep.page.as_deref()).await?;
            let older = page.oldest.is_some_and(|oldest| oldest >= since);
            sweep.page = page.next.filter(|_| older);
            attempts.extend(page.attempts);
            if sweep.page.is_none() {
                sweep.since = sweep.upto.before(OVERLAP).max(since);
                break;
            }
        }
        sweep.due = if sweep.page.is_some() { now } else { sweep.due.max(now.after(self.settings.sweep_interval)) };
        sweep.trouble.clear();
        self.write_failed(&sweep, &failed(attempts, since)).await
    }

    async fn write_failed(&self, sweep: &SweepRow, failed: &[DeliveryAttempt]) -> Result<(), Trouble> {
        let mut tx = self.store.write().await?;
        for DeliveryAttempt { id, delivery, at, .. } in failed {
            let of = Lost::Delivery { hook_of: &sweep.name, attempt: id };
            let forge = sweep.forge;
            tx.begin_recovery(&NewRecovery { forge, delivery, happened: *at, of, now: self.now() }).await?;
        }
        tx.keep_sweep(sweep).await?;
        Ok(tx.commit().await?)
    }

    /// Asks for the failed deliveries that are due. How many.
    pub(super) async fn ask_again(&self) -> Result<usize> {
        let mut asked = 0;
        for recovery in self.may_be_asked_for().await? {
            match self.ask(&recovery).await {
                Ok(()) => asked += 1,
                Err(Trouble::Engine(error)) => return Err(error),
                Err(Trouble::Forge(error)) => {
                    tracing::warn!(forge = %recovery.forge, delivery = recovery.delivery, %error, "not delivered again");
                    if let ForgeError::Limited { after, .. } = error {
                        self.be_patient(recovery.forge, after).await?;
                        break;
                    }
                }
            }
        }
        Ok(asked)
    }

    /// Those that are due, and within the budget.
    async fn may_be_asked_for(&self) -> Result<Vec<RecoveryRow>> {
        let now = self.now();
        let mut tx = self.store.read().await?;
        let room = ASKS_A_MINUTE - tx.spent(ACCOUNT, now).await?.minute;
        Ok(tx.due_recoveries(now, now.before(KEPT), ASKS_MOST, room.clamp(0, ASKS)).await?)
    }

    /// Writes down that it asks, and asks: what comes is known for what it is, whenever it comes. If it dies between the
    /// two, it asks when the pause is over.
    async fn ask(&self, recovery: &RecoveryRow) -> Result<(), Trouble> {
        let Some(recall) = self.recall(recovery.forge) else { return Ok(()) };
        let repository = match recovery.hook_of.parse() {
            Ok(name) => self.store.read().await?.repository_named(recovery.forge, &name).await?,
            Err(_) => None,
        };
        let pause = ASK_PAUSE * 4_u32.saturating_pow(u32::try_from(recovery.asks).unwrap_or(0).min(4));
        self.pay(recovery, recovery.asks + 1, self.now().after(pause)).await?;
        let answer = recall.deliver_again(repository.as_ref().map(|row| &row.facts.0), &recovery.attempt).await;
        if let Err(ForgeError::Limited { .. }) = answer {
            // it was not heard
            let mut tx = self.store.write().await?;
            tx.recovery_asked(recovery, recovery.asks, self.now()).await?;
            tx.commit().await?;
        }
        Ok(answer?)
    }

    async fn pay(&self, recovery: &RecoveryRow, asks: i64, due: Time) -> Result<()> {
        let mut tx = self.store.write().await?;
        tx.spend(ACCOUNT, self.now()).await?;
        tx.recovery_asked(recovery, asks, due).await?;
        Ok(tx.commit().await?)
    }
}

/// Of each delivery of which no attempt went well, the newest attempt, with the time of the oldest. Pure.
fn failed(newest_first: Vec<DeliveryAttempt>, since: Time) -> Vec<DeliveryAttempt> {
    let mut deliveries: BTreeMap<String, DeliveryAttempt> = BTreeMap::new();
    for attempt in newest_first {
        match deliveries.get_mut(&attempt.delivery) {
            None => {
                deliveries.insert(attempt.delivery.clone(), attempt);
            }
            Some(known) => {
                known.failed &= attempt.failed;
                known.at = known.at.min(attempt.at);
            }
        }
    }
    deliveries.into_values().filter(|delivery| delivery.failed && delivery.at >= since).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(delivery: &str, id: &str, at: i64, failed: bool) -> DeliveryAttempt {
        let at = Time::from_millis(at);
        DeliveryAttempt { id: id.to_owned(), delivery: delivery.to_owned(), at, failed }
    }

    #[test]
    fn a_delivery_has_failed_if_no_attempt_at_it_went_well() {
        let attempts = vec![
            attempt("again", "9", 90, false),
            attempt("lost", "8", 80, true),
            attempt("late", "7", 70, true),
            attempt("late", "6", 60, false),
            attempt("again", "5", 50, true),
            attempt("lost", "4", 40, true),
            attempt("old", "3", 9, true),
        ];
        assert_eq!(failed(attempts, Time::from_millis(10)), [attempt("lost", "8", 40, true)]);
    }
}
