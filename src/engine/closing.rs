//! What waits for approval does not wait for ever: it ends with its pull request, or when nobody has answered for long.

use std::time::Duration;

use super::{Engine, Result, vetting::is_held_back};
use crate::{
    model::{Audience, Closing, DeliveryState, RepositoryId, Time, Visibility},
    store::{DeliveryRow, RunRow, Tx},
};

/// What nobody has answered for in this time ends. A re-run of it waits anew.
pub const WAITS: Duration = Duration::from_secs(30 * 24 * 3600);
/// Why, in words.
const EXPIRED: &str = "the server: nobody has approved it within 30 days";

impl Engine {
    /// A pull request is open no longer: nothing of it waits for approval any more. What somebody has approved goes on.
    pub(super) async fn close(&self, tx: &mut Tx, of: &DeliveryRow, closing: &Closing) -> Result<DeliveryState> {
        let nothing = |why: &str| Ok(DeliveryState::Nothing { reason: format!("{}, and {why}", closing.words()) });
        // by now it may be open again
        if of.replays.is_some() {
            return nothing("a replay of that ends nothing");
        }
        let repository = &closing.repository;
        let Some(known) = tx.repository_named(repository.forge, &repository.name).await? else {
            return nothing("nothing of it waited");
        };
        tx.pull_closed(known.id, &closing.line(), of.id).await?;
        // what a newer delivery has brought came after it was opened again
        let is_older = |run: &RunRow| run.delivery_id.is_none_or(|from| from < of.id);
        let mut ended = Vec::new();
        for run in waiting(tx, known.id, &closing.line()).await?.into_iter().filter(is_older) {
            self.end_waiting(tx, &run, &closing.by(), self.now()).await?;
            ended.push(format!("#{}", run.number));
        }
        match ended.is_empty() {
            true => nothing("nothing of it waited"),
            false => {
                Ok(DeliveryState::Obeyed { what: format!("{}: {} waits no longer", closing.words(), ended.join(", ")) })
            }
        }
    }

    /// Ends what nobody has answered for.
    pub(super) async fn expire_vettings(&self) -> Result<()> {
        let now = self.now();
        let due = self.store.read().await?.expired_vettings(now.before(WAITS)).await?;
        for id in due {
            let mut tx = self.store.write().await?;
            if let Some(run) = tx.run(id).await?.filter(|run| run.cancelled_by.is_none()) {
                self.end_waiting(&mut tx, &run, EXPIRED, now).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// Ends all that waits in a repository.
    pub(super) async fn end_all_waiting(&self, tx: &mut Tx, repository: RepositoryId, by: &str) -> Result<()> {
        for id in tx.waiting_vettings(repository).await? {
            if let Some(run) = tx.run(id).await?.filter(|run| run.cancelled_by.is_none()) {
                self.end_waiting(tx, &run, by, self.now()).await?;
            }
        }
        Ok(())
    }

    async fn end_waiting(&self, tx: &mut Tx, run: &RunRow, by: &str, now: Time) -> Result<()> {
        tx.cancel_run(run.id, by).await?;
        self.settle(tx, run.id, now).await
    }

    /// Other people may see a repository. That it is hidden counts at once; that it is not, only if its forge says so now.
    pub(super) async fn keep_audience(
        &self,
        tx: &mut Tx,
        of: &DeliveryRow,
        (audience, now): (&Audience, Visibility),
    ) -> Result<DeliveryState> {
        let name = &audience.repository;
        let Some(known) = tx.repository_named(of.forge, name).await? else {
            return Ok(DeliveryState::Nothing { reason: format!("nothing has happened in {name} yet") });
        };
        tx.repository_is(known.id, now).await?;
        let who = if now == Visibility::Public { "everybody" } else { "only whom its forge lets" };
        Ok(DeliveryState::Obeyed { what: format!("{who} may see {name} from now on") })
    }
}

/// The open runs of a line that wait for an answer.
async fn waiting(tx: &mut Tx, repository: RepositoryId, line: &str) -> Result<Vec<RunRow>> {
    let mut found = Vec::new();
    for id in tx.open_vettings(repository, line).await? {
        let Some(run) = tx.run(id).await?.filter(|run| run.cancelled_by.is_none()) else { continue };
        if is_held_back(tx, &run).await? {
            found.push(run);
        }
    }
    Ok(found)
}
