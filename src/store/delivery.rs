//! Deliveries, after they are in.

use super::{Json, Result, Tx, execute, meant, row, rows};
use crate::model::{DeliveryId, DeliveryState, ForgeKind, Time};

/// A delivery, whole.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct DeliveryRow {
    /// Ours.
    pub id: DeliveryId,
    /// From where.
    pub forge: ForgeKind,
    /// Which hook sent it.
    pub hook: String,
    /// The forge's id for it.
    pub delivery: String,
    /// The forge's name for what happened.
    pub event: String,
    /// Name and value; secrets are hidden.
    pub headers: Json<Vec<(String, String)>>,
    /// The raw body.
    pub body: Vec<u8>,
    /// When it arrived.
    pub received: Time,
    /// What became of it.
    pub state: Json<DeliveryState>,
    /// How often intake has tried.
    pub tries: i64,
    /// Why intake has not managed yet; empty if it has not failed.
    pub trouble: String,
}

/// A delivery without its headers and body, for lists.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct DeliverySummary {
    /// Ours.
    pub id: DeliveryId,
    /// From where.
    pub forge: ForgeKind,
    /// The forge's id for it.
    pub delivery: String,
    /// The forge's name for what happened.
    pub event: String,
    /// When it arrived.
    pub received: Time,
    /// What became of it.
    pub state: Json<DeliveryState>,
    /// Why intake has not managed yet; empty if it has not failed.
    pub trouble: String,
}

impl Tx {
    /// Deliveries that wait for intake and may be tried now, those that wait longest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn due_deliveries(&mut self, now: Time, limit: i64) -> Result<Vec<DeliveryRow>> {
        rows!(
            self,
            DeliveryRow,
            "SELECT * FROM deliveries WHERE phase = 'pending' AND due <= $1 ORDER BY due, id LIMIT $2",
            now,
            limit,
        )
    }

    /// One delivery.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn delivery(&mut self, id: DeliveryId) -> Result<Option<DeliveryRow>> {
        row!(self, DeliveryRow, "SELECT * FROM deliveries WHERE id = $1", id)
    }

    /// The delivery that started runs for the same event, which came through another hook.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn twin_of(&mut self, delivery: &DeliveryRow) -> Result<Option<DeliveryId>> {
        let found: Option<(DeliveryId,)> = row!(
            self,
            (DeliveryId,),
            "SELECT id FROM deliveries WHERE forge = $1 AND delivery = $2 AND id <> $3 AND phase = 'started' LIMIT 1",
            delivery.forge,
            &delivery.delivery,
            delivery.id,
        )?;
        Ok(found.map(|(id,)| id))
    }

    /// The newest deliveries before `before`, newest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn deliveries(&mut self, before: Option<DeliveryId>, limit: i64) -> Result<Vec<DeliverySummary>> {
        rows!(
            self,
            DeliverySummary,
            "SELECT id, forge, delivery, event, received, state, trouble FROM deliveries WHERE id < $1 \
             ORDER BY id DESC LIMIT $2",
            before.map_or(i64::MAX, DeliveryId::as_i64),
            limit,
        )
    }

    /// A pending delivery is handled. Once: a second handler's transaction fails, and its runs with it.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if it was handled already.
    pub async fn delivery_handled(&mut self, id: DeliveryId, state: &DeliveryState) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE deliveries SET phase = $2, state = $3, trouble = '' WHERE id = $1 AND phase = 'pending'",
            id,
            state.phase(),
            Json(state),
        )?;
        meant("a delivery is handled", 1, met)
    }

    /// A pending delivery could not be handled yet: it is tried again at `due`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn delivery_postponed(&mut self, id: DeliveryId, due: Time, trouble: &str) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE deliveries SET due = $2, tries = tries + 1, trouble = $3 WHERE id = $1 AND phase = 'pending'",
            id,
            due,
            trouble,
        )?;
        meant("a delivery is postponed", 1, met)
    }
}
