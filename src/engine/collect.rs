//! What is removed, and in which order: first no row names a blob any more, then, when it has been so for a while, the
//! blob goes. Whoever dies between any two lines leaves a blob that is found again; several may do it at once.

use std::time::{Duration, Instant};

use super::{Engine, EngineError, Result};
use crate::{
    blob::{self, BlobError, Blobs, Digest},
    model::{Aged, Limits, Over, RetentionRule, RunId, Time},
    store::{KeptGroup, KeptRow, RunRow, Standing, Store, Tx},
};

/// A removal that takes longer is given up.
const REMOVED_WITHIN: Duration = Duration::from_secs(10);
/// By then it is over, however late a store carries it out: others count on the blob again.
const REMOVED_BY: Duration = Duration::from_secs(60);

/// Removes what is over its time: the janitor's work, and that of `containerops gc`.
#[derive(Debug, Clone, Copy)]
pub struct Collector<'a> {
    /// Who says what is needed.
    pub store: &'a Store,
    /// Where blobs are.
    pub blobs: &'a Blobs,
    /// The present.
    pub now: Time,
}

/// A run whose logs and artifacts are over a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// Whose it is, and of which kind.
    pub group: KeptGroup,
    /// The run.
    pub run: RunId,
    /// Counts from 1 in its repository.
    pub number: i64,
    /// Which limit.
    pub over: Over,
}

/// What became of a blob that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collected {
    /// Somebody needs it.
    Needed,
    /// Nobody does, since then; it stays for its grace.
    Waits(Time),
    /// It is gone.
    Removed,
}

impl Collector<'_> {
    /// The runs that are over a limit of their repository, the oldest last of each group.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn over_limits(&self, rules: &[RetentionRule]) -> Result<Vec<Expired>> {
        let mut all = Vec::new();
        if rules.is_empty() {
            return Ok(all);
        }
        let mut tx = self.store.read().await?;
        for group in tx.kept_groups().await? {
            let limits = Limits::of(rules, group.forge, &group.name, &group.kind);
            if !limits.is_forever() {
                all.extend(over(&mut tx, &group, limits, self.now).await?);
            }
        }
        Ok(all)
    }

    /// Lets go of a run's logs and artifacts. False: something still needs them, or they are gone.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn prune(&self, expired: &Expired) -> Result<bool> {
        let mut tx = self.store.write().await?;
        // first the row, which others wait for, then the look at who needs it
        let pruned = tx.prune(expired.run, &expired.over.to_string(), self.now).await?;
        if !pruned || tx.is_run_needed(expired.run).await? {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Removes a blob, if nobody has needed it for so long. The first look only notes that nobody does.
    ///
    /// # Errors
    /// If the database or the store is away.
    pub async fn collect(&self, digest: Digest, grace: Duration) -> Result<Collected> {
        let name = digest.to_string();
        let mut tx = self.store.write().await?;
        let since = tx.unneeded_since(&name, self.now).await?;
        if tx.needs_blob(&name).await? {
            tx.forget_unneeded(&name).await?;
            tx.commit().await?;
            return Ok(Collected::Needed);
        }
        let (is_marked, standing) = (since.as_millis() < 0, Standing::of(since, self.now));
        if standing == Standing::Leaving || (!is_marked && self.now.since(since) < grace) {
            tx.commit().await?;
            return Ok(Collected::Waits(if is_marked { self.now } else { since }));
        }
        // whoever puts the same bytes from here on is told to do so again, until it is over
        let until = self.now.after(REMOVED_BY);
        tx.blob_leaves(&name, until).await?;
        tx.commit().await?;
        let began = Instant::now();
        self.remove(digest, began).await?;
        let mut tx = self.store.write().await?;
        tx.blob_removed(&name, until, self.now).await?;
        tx.commit().await?;
        Ok(Collected::Removed)
    }

    /// Never later than others may count on: this process may have stood still.
    async fn remove(&self, digest: Digest, began: Instant) -> Result<()> {
        let late = || blob::away("the place for blobs does not answer");
        if began.elapsed() > REMOVED_WITHIN {
            return Err(late().into());
        }
        Ok(tokio::time::timeout(REMOVED_WITHIN, self.blobs.delete(digest)).await.map_err(|_| late())??)
    }
}

async fn over(tx: &mut Tx, group: &KeptGroup, limits: Limits, now: Time) -> Result<Vec<Expired>> {
    let runs = tx.kept_runs(group).await?;
    let mut aged = Vec::with_capacity(runs.len());
    for KeptRow { id, ended, .. } in &runs {
        // only a limit on bytes has to count them
        let bytes = if limits.bytes.is_some() { tx.kept_bytes(*id).await? } else { 0 };
        aged.push(Aged { ended: *ended, bytes });
    }
    let over = limits.over(&aged, now);
    let expired = runs
        .iter()
        .zip(over)
        .filter_map(|(run, over)| Some(Expired { group: group.clone(), run: run.id, number: run.number, over: over? }));
    Ok(expired.collect())
}

impl Engine {
    /// A blob was put, and the transaction is about to write down who needs it.
    ///
    /// # Errors
    /// If it has been removed since it was put, or is being: whoever put it does so again.
    pub(super) async fn wanted(&self, tx: &mut Tx, digest: Digest) -> Result<(), EngineError> {
        let is_there = match tx.blob_wanted(&digest.to_string(), self.now()).await? {
            Standing::Safe => true,
            Standing::Unneeded => self.blobs.has(digest).await?,
            Standing::Leaving => false,
        };
        if is_there { Ok(()) } else { Err(BlobError::Missing(digest).into()) }
    }

    /// Until when a run's logs and artifacts are kept, by the rules of its repository.
    pub fn limits_of(&self, run: &RunRow) -> Limits {
        let event = &run.event;
        Limits::of(&self.settings.retention, event.repository.forge, &event.repository.name, event.name())
    }
}
