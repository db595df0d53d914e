//! Comments that are to be answered.

use super::{Json, Result, Tx, execute, meant, rows};
use crate::model::{CommentPlace, DeliveryId, Time};

/// A comment that is to be answered.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ReplyRow {
    /// What brought the comment.
    pub delivery_id: DeliveryId,
    /// Where it is.
    pub place: Json<CommentPlace>,
    /// Why something was not done; empty if all of it was.
    pub words: String,
    /// How often it was tried.
    pub tries: i64,
}

impl Tx {
    /// A comment is to be answered.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn insert_reply(
        &mut self,
        delivery: DeliveryId,
        place: &CommentPlace,
        words: &str,
        now: Time,
    ) -> Result<()> {
        let met = execute!(
            self,
            "INSERT INTO replies (delivery_id, place, words, due, tries) VALUES ($1, $2, $3, $4, 0)",
            delivery,
            Json(place),
            words,
            now,
        )?;
        meant("a reply", 1, met)
    }

    /// Answers that are due, at most so many.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn due_replies(&mut self, now: Time, limit: i64) -> Result<Vec<ReplyRow>> {
        rows!(
            self,
            ReplyRow,
            "SELECT delivery_id, place, words, tries FROM replies WHERE due <= $1 ORDER BY due, delivery_id LIMIT $2",
            now,
            limit,
        )
    }

    /// Takes a reply for itself until `until`; false: somebody else has it, or gave it. Whoever comes next looks first
    /// whether it was given.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn claim_reply(&mut self, reply: &ReplyRow, until: Time) -> Result<bool> {
        let met = execute!(
            self,
            "UPDATE replies SET due = $3, tries = tries + 1 WHERE delivery_id = $1 AND tries = $2",
            reply.delivery_id,
            reply.tries,
            until,
        )?;
        Ok(met == 1)
    }

    /// A comment was answered, or never will be.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn reply_done(&mut self, delivery: DeliveryId) -> Result<()> {
        execute!(self, "DELETE FROM replies WHERE delivery_id = $1", delivery)?;
        Ok(())
    }

    /// An answer is tried again.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn reply_later(&mut self, delivery: DeliveryId, due: Time) -> Result<()> {
        execute!(self, "UPDATE replies SET due = $2 WHERE delivery_id = $1", delivery, due)?;
        Ok(())
    }
}
