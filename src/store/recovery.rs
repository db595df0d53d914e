//! Deliveries that came late because the sweep has asked for them, or has made them itself.

use super::{Result, Tx, execute, meant, row, rows};
use crate::model::{DeliveryId, ForgeKind, Late, RepositoryId, Sha, Time};

/// A delivery that the forge could not make, and is asked for again.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RecoveryRow {
    /// Which forge.
    pub forge: ForgeKind,
    /// The delivery's id there.
    pub delivery: String,
    /// The repository whose hook it is; empty for the hook of the whole forge.
    pub hook_of: String,
    /// The forge's word for the attempt that failed.
    pub attempt: String,
    /// How often it was asked for.
    pub asks: i64,
}

/// A recovery that begins.
#[derive(Debug)]
pub struct NewRecovery<'a> {
    /// Which forge.
    pub forge: ForgeKind,
    /// The delivery's id.
    pub delivery: &'a str,
    /// When what it tells of happened.
    pub happened: Time,
    /// What it is of.
    pub of: Lost<'a>,
    /// Now.
    pub now: Time,
}

/// What was lost.
#[derive(Debug)]
pub enum Lost<'a> {
    /// A delivery that failed.
    Delivery {
        /// The repository whose hook it is; empty for the hook of the whole forge.
        hook_of: &'a str,
        /// The forge's word for the attempt that failed.
        attempt: &'a str,
    },
    /// A head that nothing told of.
    Head {
        /// Whose.
        repository: RepositoryId,
        /// Its name.
        name: &'a str,
        /// Where it is.
        sha: &'a Sha,
        /// When it was last known to be elsewhere.
        after: Time,
        /// When it was first seen there.
        noticed: Time,
    },
}

impl Tx {
    /// Begins a recovery, unless it has begun, or its delivery is in.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn begin_recovery(&mut self, new: &NewRecovery<'_>) -> Result<()> {
        let (hook_of, attempt, head) = match new.of {
            Lost::Delivery { hook_of, attempt } => (hook_of, attempt, None),
            Lost::Head { repository, name, sha, after, noticed } => {
                ("", "", Some((repository, name, sha.as_str(), after, noticed)))
            }
        };
        let nowhere = Time::from_millis(0);
        execute!(
            self,
            "INSERT INTO recoveries (forge, delivery, happened, hook_of, attempt, asks, due, repository_id, name, sha, \
             after, noticed) SELECT $1, $2, $3, $4, $5, 0, $6, $7, $8, $9, $10, $11 \
             WHERE NOT EXISTS (SELECT 1 FROM deliveries WHERE forge = $1 AND delivery = $2) \
             ON CONFLICT (forge, delivery) DO UPDATE SET attempt = excluded.attempt",
            new.forge,
            new.delivery,
            new.happened,
            hook_of,
            attempt,
            new.now,
            head.map(|head| head.0),
            head.map_or("", |head| head.1),
            head.map_or("", |head| head.2),
            head.map_or(nowhere, |head| head.3),
            head.map_or(nowhere, |head| head.4),
        )?;
        Ok(())
    }

    /// Deliveries to be asked for now, the oldest first: not those that have come, that happened before `oldest`, or
    /// that were asked for `most` times.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn due_recoveries(&mut self, now: Time, oldest: Time, most: i64, limit: i64) -> Result<Vec<RecoveryRow>> {
        rows!(
            self,
            RecoveryRow,
            "SELECT forge, delivery, hook_of, attempt, asks FROM recoveries r WHERE attempt <> '' AND due <= $1 \
             AND happened >= $2 AND asks < $3 \
             AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.forge = r.forge AND d.delivery = r.delivery) \
             ORDER BY happened LIMIT $4",
            now,
            oldest,
            most,
            limit,
        )
    }

    /// A delivery is asked for, so many times by now; if it does not come, it is asked for again at `due`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn recovery_asked(&mut self, recovery: &RecoveryRow, asks: i64, due: Time) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE recoveries SET asks = $3, due = $4 WHERE forge = $1 AND delivery = $2",
            recovery.forge,
            &recovery.delivery,
            asks,
            due,
        )?;
        meant("a recovery is asked for", 1, met)
    }

    /// When the head of a delivery that the sweep has made was last known to be elsewhere; `None` for any other
    /// delivery.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn made_of_head(&mut self, forge: ForgeKind, delivery: &str) -> Result<Option<Time>> {
        let found: Option<(Time,)> = row!(
            self,
            (Time,),
            "SELECT after FROM recoveries WHERE forge = $1 AND delivery = $2 AND attempt = ''",
            forge,
            delivery,
        )?;
        Ok(found.map(|(after,)| after))
    }

    /// The newest delivery that the sweep has made of this head and that has started runs, and when the sweep had
    /// noticed the head.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn head_recovered(
        &mut self,
        repository: RepositoryId,
        name: &str,
        sha: &Sha,
    ) -> Result<Option<(DeliveryId, Time)>> {
        row!(
            self,
            (DeliveryId, Time),
            "SELECT d.id, r.noticed FROM recoveries r \
             JOIN deliveries d ON d.forge = r.forge AND d.delivery = r.delivery AND d.phase = 'started' \
             AND d.replays IS NULL \
             WHERE r.repository_id = $1 AND r.name = $2 AND r.sha = $3 ORDER BY r.noticed DESC LIMIT 1",
            repository,
            name,
            sha,
        )
    }

    /// How late a delivery was that the sweep has brought; `None` for one that came by itself, and for no delivery.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn late(&mut self, delivery: Option<DeliveryId>) -> Result<Option<Late>> {
        let found: Option<(Time, Time)> = row!(
            self,
            (Time, Time),
            "SELECT d.received, r.happened FROM deliveries d \
             JOIN recoveries r ON r.forge = d.forge AND r.delivery = d.delivery AND (r.attempt = '' OR r.asks > 0) \
             WHERE d.id = $1 AND d.replays IS NULL",
            delivery,
        )?;
        Ok(found.map(|(received, happened)| Late(received.since(happened))))
    }
}
