//! A recorded delivery once more. A replay is a delivery of its own and goes through intake like any other; that it
//! says what it repeats is all that makes it different.

use super::{Engine, Result};
use crate::{model::DeliveryId, store::Replay};

impl Engine {
    /// Puts a delivery in again, to start new runs though its event has run already. `wish` names the wish: sent twice,
    /// it is one replay.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn replay(&self, delivery: DeliveryId, wish: &str) -> Result<Replay> {
        let mut tx = self.store.write().await?;
        let replay = tx.replay(delivery, wish, self.now()).await?;
        match replay {
            Replay::New(id) => self.note(&mut tx, &format!("put in as delivery {id}")).await?,
            Replay::Again(id) => self.note(&mut tx, &format!("it is in already, as delivery {id}")).await?,
            Replay::NotYet | Replay::Missing => {}
        }
        tx.commit().await?;
        if let Replay::New(new) = replay {
            tracing::info!(delivery.id = %new, delivery.replays = %delivery, "delivery replayed");
        }
        Ok(replay)
    }
}
