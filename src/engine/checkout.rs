//! Snapshots that actions ask for besides the run's own: another commit, more history, submodules. Each is made once
//! for a run, as the run's own is; one that cannot be made is a mistake of the author's, and ends the jobs that need it.

use super::{Engine, EngineError, Result, settle::Place, source::Trouble};
use crate::{
    forge::mirror::{Checkout as Found, Snapshot},
    model::{Checkout, CheckoutOptions, Reference, backoff},
    store::{CheckoutRow, RunRow, Tx},
};

/// What an action's first job finds of its workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ready {
    /// It is being made.
    NotYet,
    /// The snapshot, if there is to be any.
    With(Option<String>),
    /// It can never be made.
    Broken(String),
}

/// What there is for an action's workspace.
pub(super) async fn ready(tx: &mut Tx, place: &Place) -> Result<Ready> {
    let Some(own) = place.run.source.clone() else { return Ok(Ready::NotYet) };
    let options = match &place.plan()?.checkout {
        Checkout::Commit => return Ok(Ready::With(Some(own))),
        Checkout::Nothing => return Ok(Ready::With(None)),
        Checkout::Of(options) => options,
    };
    let row = tx.checkout(place.run.id, &options.key()).await?;
    let row = row.ok_or_else(|| EngineError::Broken(format!("run {} wants no such checkout", place.run.id)))?;
    Ok(match (row.source, row.failure) {
        (Some(source), _) => Ready::With(Some(source)),
        (None, Some(failure)) => Ready::Broken(failure),
        (None, None) => Ready::NotYet,
    })
}

impl Engine {
    /// Makes every checkout that is due, once. How many there were.
    pub(super) async fn make_checkouts(&self) -> Result<usize> {
        let due = self.store.read().await?.checkouts_due(self.now()).await?;
        let count = due.len();
        futures::future::try_join_all(due.iter().map(|row| self.make_checkout(row))).await?;
        Ok(count)
    }

    async fn make_checkout(&self, row: &CheckoutRow) -> Result<()> {
        let run = self.store.read().await?.run(row.run_id).await?;
        let run = run.ok_or_else(|| EngineError::Broken(format!("there is no run {}", row.run_id)))?;
        let options = serde_json::from_str(&row.options).map_err(std::io::Error::other)?;
        match self.snapshot(&run, &again(options, row)).await {
            Ok((file, snapshot)) => self.keep_checkout(row, &run, &file, &snapshot).await,
            Err(Trouble::Later(reason)) => self.postpone_checkout(row, &run, &reason).await,
            Err(Trouble::Never(reason)) => {
                let mut tx = self.store.write().await?;
                tx.checkout_failed(row, &reason).await?;
                self.wake_agents(&mut tx, &run).await?;
                Ok(tx.commit().await?)
            }
        }
    }

    async fn keep_checkout(
        &self,
        row: &CheckoutRow,
        run: &RunRow,
        file: &std::path::Path,
        snapshot: &Snapshot,
    ) -> Result<()> {
        // until the row names it nobody else knows that the blob is needed
        let _kept = self.blobs.keep().await;
        let digest = match self.blobs.put_file(file).await {
            Ok(digest) => digest,
            Err(error) => return self.postpone_checkout(row, run, &error.to_string()).await,
        };
        let mut tx = self.store.write().await?;
        self.wanted(&mut tx, digest).await?;
        tx.checkout_made(row, &digest.to_string(), snapshot.checkout.sha()).await?;
        self.wake_agents(&mut tx, run).await?;
        Ok(tx.commit().await?)
    }

    async fn postpone_checkout(&self, row: &CheckoutRow, run: &RunRow, reason: &str) -> Result<()> {
        tracing::warn!(run.id = %row.run_id, options = row.options, reason, "checkout postponed");
        let now = self.now();
        let tries = i64::try_from(now.since(run.created).as_secs() / 10).unwrap_or(i64::MAX);
        let mut tx = self.store.write().await?;
        tx.checkout_postponed(row, now.after(backoff(tries)), &format!("a checkout is away: {reason}")).await?;
        self.settle(&mut tx, row.run_id, now).await?;
        Ok(tx.commit().await?)
    }
}

/// What is made again, as after the loss of a disk or for a re-run, is the commit that a branch stood for the first time.
fn again(options: CheckoutOptions, row: &CheckoutRow) -> CheckoutOptions {
    match (&options.reference, &row.sha) {
        (Reference::Named(_), Some(sha)) => CheckoutOptions { reference: Reference::Named(sha.to_string()), ..options },
        (Reference::Named(_), None) | (Reference::Event | Reference::Head, _) => options,
    }
}

/// The words for what a run's own snapshot holds.
pub(super) fn note(snapshot: &Snapshot, run: &RunRow) -> String {
    match &snapshot.checkout {
        Found::Commit(_) => format!("commit {}", run.sha.short()),
        Found::Merge(_) => format!("commit {} merged into its base", run.sha.short()),
        Found::Named(sha) => format!("commit {}", sha.short()),
    }
}
