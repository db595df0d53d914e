//! Deliveries, after they are in.

use super::{Json, Result, Tx, execute, meant, row, rows};
use crate::meters::Fact;
use crate::model::{
    Clock, DeliveryId, DeliveryPhase, DeliveryState, ForgeKind, PlanDigest, RepositoryName, RunId, Time,
};

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
    /// The delivery that it repeats, if somebody asked for that.
    pub replays: Option<DeliveryId>,
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
    /// How often intake has tried.
    pub tries: i64,
    /// When intake tries again, if it is pending.
    pub due: Time,
    /// Why intake has not managed yet; empty if it has not failed.
    pub trouble: String,
    /// The delivery that it repeats, if somebody asked for that.
    pub replays: Option<DeliveryId>,
    /// Whose event it is, once that is known.
    pub repository: Option<RepositoryName>,
}

/// A delivery with the beginning of its body.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct DeliveryShown {
    /// All that lists show.
    #[sqlx(flatten)]
    pub summary: DeliverySummary,
    /// Which hook sent it.
    pub hook: String,
    /// Name and value; secrets are hidden.
    pub headers: Json<Vec<(String, String)>>,
    /// The body's first bytes.
    pub start: Vec<u8>,
    /// How many bytes the body has.
    pub length: i64,
}

/// Which deliveries a list shows.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Those that are so far.
    pub phase: Option<DeliveryPhase>,
    /// Those of one forge.
    pub forge: Option<ForgeKind>,
    /// Those about one repository.
    pub repository: Option<RepositoryName>,
    /// Those taken before this one.
    pub before: Option<DeliveryId>,
    /// At most so many.
    pub limit: i64,
}

/// A run by its names, and the digest of its plan.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RunDigest {
    /// Ours.
    pub id: RunId,
    /// The repository's forge.
    pub forge: ForgeKind,
    /// The repository's name.
    pub name: RepositoryName,
    /// Counts from 1 in each repository.
    pub number: i64,
    /// The flow's name.
    pub flow: String,
    /// The flow file's path.
    pub path: String,
    /// The plan's digest; empty without one.
    pub digest: PlanDigest,
}

/// A list's statement. What its index begins with is named without an `OR`, so that a rare state or repository is found
/// without reading all the others.
macro_rules! select {
    ($indexed:literal) => {
        concat!(
            "SELECT id, forge, delivery, event, received, state, tries, due, trouble, replays, repository ",
            "FROM deliveries WHERE ",
            $indexed,
            " AND ($2 IS NULL OR forge = $2) AND id < $4 ORDER BY id DESC LIMIT $5"
        )
    };
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

    /// The delivery that started runs for the same event, which came through another hook. None of a replay, which is
    /// there to run the event once more.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn twin_of(&mut self, delivery: &DeliveryRow) -> Result<Option<DeliveryId>> {
        if delivery.replays.is_some() {
            return Ok(None);
        }
        // an event has few deliveries, but a phase many: this keeps SQLite from looking through the phase's index
        let found: Option<(DeliveryId,)> = row!(
            self,
            (DeliveryId,),
            "SELECT id FROM deliveries WHERE forge = $1 AND delivery = $2 AND id <> $3 AND phase || '' = 'started' \
             LIMIT 1",
            delivery.forge,
            &delivery.delivery,
            delivery.id,
        )?;
        Ok(found.map(|(id,)| id))
    }

    /// Deliveries, newest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn deliveries(&mut self, filter: &DeliveryFilter) -> Result<Vec<DeliverySummary>> {
        rows!(
            self,
            DeliverySummary,
            match (&filter.repository, filter.phase) {
                (Some(_), _) => select!("repository = $3 AND ($1 IS NULL OR phase = $1)"),
                (None, Some(_)) => select!("phase = $1 AND ($3 IS NULL OR repository = $3)"),
                (None, None) => select!("($1 IS NULL OR phase = $1) AND ($3 IS NULL OR repository = $3)"),
            },
            filter.phase.map(DeliveryPhase::as_str),
            filter.forge,
            &filter.repository,
            filter.before.map_or(i64::MAX, DeliveryId::as_i64),
            filter.limit,
        )
    }

    /// One delivery with at most so many bytes of its body.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn delivery_shown(&mut self, id: DeliveryId, most: i64) -> Result<Option<DeliveryShown>> {
        row!(
            self,
            DeliveryShown,
            "SELECT id, forge, delivery, event, received, state, tries, due, trouble, replays, repository, hook, \
             headers, substr(body, 1, CAST($2 AS INTEGER)) AS start, CAST(length(body) AS BIGINT) AS length FROM deliveries WHERE id = $1",
            id,
            most,
        )
    }

    /// Bytes of a delivery's body, from `offset` on; empty at its end, and if there is no such delivery.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn delivery_body(&mut self, id: DeliveryId, offset: i64, most: i64) -> Result<Vec<u8>> {
        let found: Option<(Vec<u8>,)> = row!(
            self,
            (Vec<u8>,),
            "SELECT substr(body, CAST($2 + 1 AS INTEGER), CAST($3 AS INTEGER)) FROM deliveries WHERE id = $1",
            id,
            offset,
            most
        )?;
        Ok(found.map(|(bytes,)| bytes).unwrap_or_default())
    }

    /// The runs that a delivery started with their plans' digests, in the order of their making.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn started_by(&mut self, id: DeliveryId) -> Result<Vec<RunDigest>> {
        rows!(
            self,
            RunDigest,
            "SELECT r.id, p.forge, p.name, r.number, r.flow, r.path, r.digest FROM runs r \
             JOIN repositories p ON p.id = r.repository_id WHERE r.delivery_id = $1 ORDER BY r.id",
            id,
        )
    }

    /// It is known whose event a delivery tells.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn delivery_is_about(&mut self, id: DeliveryId, repository: &RepositoryName) -> Result<()> {
        let met = execute!(self, "UPDATE deliveries SET repository = $2 WHERE id = $1", id, repository)?;
        meant("a delivery's repository", 1, met)
    }

    /// A pending delivery is handled. Once: a second handler's transaction fails, and its runs with it.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if it was handled already.
    pub async fn delivery_handled(&mut self, id: DeliveryId, state: &DeliveryState) -> Result<()> {
        let handled: Option<(ForgeKind, Time)> = row!(
            self,
            (ForgeKind, Time),
            "UPDATE deliveries SET phase = $2, state = $3, trouble = '' WHERE id = $1 AND phase = 'pending' \
             RETURNING forge, received",
            id,
            state.phase(),
            Json(state),
        )?;
        meant("a delivery is handled", 1, handled.iter().len() as u64)?;
        if let Some((forge, received)) = handled {
            // when it was handled is when this is committed
            let after = Clock::System.now().since(received);
            self.count(Fact::Handled { forge, outcome: state.phase(), after });
        }
        Ok(())
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
