//! Tells forges what they are to show: rows whose wanted state is not the acknowledged one, until it is.
//!
//! A row holds only the newest wish, so several changes become one call, and an older run cannot speak after a newer
//! one. Telling a forge the same again changes nothing there, so a crash after the call and before the row is harmless.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream};

use crate::{
    forge::{Acknowledged, Forge, ForgeError, Wanted},
    model::{Clock, ForgeKind, Time, backoff},
    store::{ReportRow, Store, StoreError},
};

/// How many calls are under way at once.
const AT_ONCE: usize = 8;
/// How many rows are read at once.
const BATCH: i64 = 64;
/// A forge that refuses is asked again seldom: permissions may be mended.
const REFUSED_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Tells forges.
#[derive(Clone)]
pub struct Reporter {
    store: Store,
    forges: BTreeMap<ForgeKind, Arc<dyn Forge>>,
    clock: Clock,
    /// Until when a forge asked us to be quiet. A hint: whoever forgets it is told again.
    quiet: Arc<Mutex<BTreeMap<ForgeKind, Time>>>,
}

impl Reporter {
    /// Puts the parts together.
    pub fn new(store: Store, forges: BTreeMap<ForgeKind, Arc<dyn Forge>>, clock: Clock) -> Self {
        Self { store, forges, clock, quiet: Arc::default() }
    }

    /// Tells every report that is due, once. How many there were.
    ///
    /// # Errors
    /// If the database is away; a forge's trouble postpones its row.
    pub async fn tell(&self) -> Result<usize, StoreError> {
        let due = self.store.read().await?.due_reports(self.clock.now(), BATCH).await?;
        let count = due.len();
        let told = stream::iter(due).map(|row| self.tell_one(row)).buffer_unordered(AT_ONCE);
        told.fold(Ok(()), |all, one| async move { all.and(one) }).await?;
        Ok(count)
    }

    async fn tell_one(&self, row: ReportRow) -> Result<(), StoreError> {
        let repository = self.store.read().await?.repository(row.repository_id).await?;
        let Some(forge) = self.forges.get(&repository.forge) else {
            let due = self.clock.now().after(REFUSED_PAUSE);
            return self.postpone(&row, due, &format!("{} is not configured", repository.forge)).await;
        };
        if let Some(until) = self.quiet_until(repository.forge) {
            return self.postpone(&row, until, &format!("{} asked us to wait", repository.forge)).await;
        }
        let wanted =
            Wanted { repository: &repository.facts, sha: &row.sha, context: &row.context, report: &row.wanted };
        match forge.report(&wanted, row.known.as_deref()).await {
            Ok(acknowledged) => self.acknowledge(&row, &acknowledged).await,
            Err(error) => self.failed(&row, repository.forge, &error).await,
        }
    }

    async fn acknowledge(&self, row: &ReportRow, acknowledged: &Acknowledged) -> Result<(), StoreError> {
        let mut tx = self.store.write().await?;
        tx.acknowledge(row, acknowledged.known.as_deref(), self.clock.now()).await?;
        tx.commit().await
    }

    async fn failed(&self, row: &ReportRow, forge: ForgeKind, error: &ForgeError) -> Result<(), StoreError> {
        let now = self.clock.now();
        let pause = match error {
            ForgeError::Away { .. } => backoff(row.tries),
            ForgeError::Refused { .. } => REFUSED_PAUSE,
            ForgeError::Limited { after, .. } => {
                let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
                quiet.insert(forge, now.after(*after));
                *after
            }
        };
        tracing::warn!(report.id = %row.id, %forge, %error, "report not taken");
        self.postpone(row, now.after(pause), &error.to_string()).await
    }

    async fn postpone(&self, row: &ReportRow, due: Time, trouble: &str) -> Result<(), StoreError> {
        let mut tx = self.store.write().await?;
        tx.report_postponed(row.id, due, trouble).await?;
        tx.commit().await
    }

    fn quiet_until(&self, forge: ForgeKind) -> Option<Time> {
        let quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        quiet.get(&forge).copied().filter(|until| *until > self.clock.now())
    }
}
