//! Replays: deliveries that repeat another. Intake takes them like any other.

use super::{Change, Json, Result, RunRow, Tx, execute, meant, row, rows};
use crate::model::{DeliveryId, DeliveryState, Time};

/// What became of the wish to replay a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// It is in, as this delivery.
    New(DeliveryId),
    /// It was in already: the same wish came twice, or the last replay still waits for intake.
    Again(DeliveryId),
    /// The delivery itself still waits for intake.
    NotYet,
    /// There is no such delivery.
    Missing,
}

impl Tx {
    /// Puts a delivery in once more, with its headers and its body, as a replay of the original. `wish` names the wish:
    /// however often it is sent, it makes one replay.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn replay(&mut self, id: DeliveryId, wish: &str, now: Time) -> Result<Replay> {
        let Some((original, phase)) = self.original_of(id).await? else { return Ok(Replay::Missing) };
        if phase == DeliveryState::Pending.phase() {
            return Ok(Replay::NotYet);
        }
        let hook = format!("replay {wish}");
        if let Some(earlier) = self.replay_of_wish(original, &hook).await? {
            return Ok(Replay::Again(earlier));
        }
        let new = DeliveryId::mint(now);
        let met = execute!(
            self,
            "INSERT INTO deliveries (id, forge, hook, delivery, event, headers, body, received, phase, state, due, \
             tries, trouble, replays, repository) SELECT $1, forge, $2, delivery, event, headers, body, $3, $4, $5, $3, 0, \
             '', id, repository FROM deliveries WHERE id = $6",
            new,
            &hook,
            now,
            DeliveryState::Pending.phase(),
            Json(DeliveryState::Pending),
            original,
        )?;
        self.ring(Change::Delivery);
        meant("a delivery is replayed", 1, met)?;
        Ok(Replay::New(new))
    }

    /// The newest replays of a delivery, newest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn replays_of(&mut self, id: DeliveryId, limit: i64) -> Result<Vec<DeliveryId>> {
        let found: Vec<(DeliveryId,)> = rows!(
            self,
            (DeliveryId,),
            "SELECT id FROM deliveries WHERE replays = $1 ORDER BY id DESC LIMIT $2",
            id,
            limit,
        )?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }

    /// The delivery whose replay started a run, if one did.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn replay_of(&mut self, run: &RunRow) -> Result<Option<DeliveryId>> {
        let found: Option<(DeliveryId,)> = row!(
            self,
            (DeliveryId,),
            "SELECT replays FROM deliveries WHERE id = $1 AND replays IS NOT NULL",
            run.delivery_id,
        )?;
        Ok(found.map(|(id,)| id))
    }

    /// The original of a delivery, which may be itself, and how far that is.
    async fn original_of(&mut self, id: DeliveryId) -> Result<Option<(DeliveryId, String)>> {
        row!(
            self,
            (DeliveryId, String),
            "SELECT o.id, o.phase FROM deliveries d JOIN deliveries o ON o.id = COALESCE(d.replays, d.id) \
             WHERE d.id = $1",
            id,
        )
    }

    async fn replay_of_wish(&mut self, original: DeliveryId, hook: &str) -> Result<Option<DeliveryId>> {
        let found: Option<(DeliveryId,)> = row!(
            self,
            (DeliveryId,),
            "SELECT id FROM deliveries WHERE replays = $1 AND (hook = $2 OR phase = 'pending') ORDER BY id DESC LIMIT 1",
            original,
            hook,
        )?;
        Ok(found.map(|(id,)| id))
    }
}
