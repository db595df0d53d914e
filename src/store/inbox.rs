//! The inbox: deliveries are made durable before they are answered, and as many as wait share one commit.
//!
//! A commit costs a disk's flush, whatever is in it. One writer takes all that is queued, commits it, and then answers
//! everybody: nobody gets an answer for a row that is not in.

use tokio::sync::{mpsc, oneshot};

use super::{Bell, Change, Db, Json, Known, On, Result, Tallies, Tx, postgres};
use crate::{
    meters::Fact,
    model::{DeliveryId, DeliveryState, ForgeKind, Time},
};

/// Senders wait once so many deliveries are queued: memory stays bounded.
const QUEUE: usize = 256;
/// The most rows in one commit.
const BATCH_ROWS: usize = 128;
/// The most body bytes in one commit; one larger delivery still fits alone.
const BATCH_BYTES: usize = 32 << 20;

/// One authentic delivery, as it arrived.
#[derive(Debug)]
pub struct NewDelivery {
    /// From where.
    pub forge: ForgeKind,
    /// Which hook sent it; empty where the forge does not say.
    pub hook: String,
    /// The forge's id for it.
    pub delivery: String,
    /// The forge's name for what happened.
    pub event: String,
    /// Name and value; secrets are already hidden.
    pub headers: Vec<(String, String)>,
    /// The raw body.
    pub body: bytes::Bytes,
    /// When it arrived.
    pub received: Time,
    /// `Pending`, or `Unreadable`.
    pub state: DeliveryState,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is in.
    New(DeliveryId),
    /// It was in already: the forge sent it again.
    Again,
}

type Answer = oneshot::Sender<Result<Taken>>;

/// Where deliveries are committed.
#[derive(Debug, Clone)]
pub struct Inbox(mpsc::Sender<(NewDelivery, Answer)>);

impl Inbox {
    pub(super) fn open(db: &Db, bell: Bell) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(write(db.clone(), bell, receiver));
        Self(sender)
    }

    /// Returns when the delivery is durable.
    ///
    /// # Errors
    /// [`StoreError`](super::StoreError): then it is not in, and the forge must hear so.
    pub async fn take(&self, delivery: NewDelivery) -> Result<Taken> {
        let (answer, taken) = oneshot::channel();
        let closed = |_| super::StoreError::Database(sqlx::Error::PoolClosed);
        self.0.send((delivery, answer)).await.map_err(|_| sqlx::Error::PoolClosed)?;
        taken.await.map_err(closed)?
    }
}

async fn write(db: Db, bell: Bell, mut queue: mpsc::Receiver<(NewDelivery, Answer)>) {
    while let Some(first) = queue.recv().await {
        let mut bytes = first.0.body.len();
        let mut batch = vec![first];
        while batch.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            let Ok(next) = queue.try_recv() else { break };
            bytes += next.0.body.len();
            batch.push(next);
        }
        commit(&db, &bell, batch).await;
    }
}

/// Commits a batch, or, if that fails, its rows one by one, and answers each with its own fate.
async fn commit(db: &Db, bell: &Bell, batch: Vec<(NewDelivery, Answer)>) {
    let (deliveries, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    match insert(db, bell, &deliveries).await {
        Ok(taken) => answers.into_iter().zip(taken).for_each(|(answer, taken)| {
            // whoever asked may have gone; the row stays
            let _ = answer.send(Ok(taken));
        }),
        Err(_) => {
            for (delivery, answer) in deliveries.iter().zip(answers) {
                let alone = insert(db, bell, std::slice::from_ref(delivery)).await;
                let _ = answer.send(alone.map(|taken| taken[0]));
            }
        }
    }
}

async fn insert(db: &Db, bell: &Bell, deliveries: &[NewDelivery]) -> Result<Vec<Taken>> {
    let on = match db {
        Db::Sqlite { writer, .. } => On::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
        // rows that nobody has seen yet: they are in nobody's way
        Db::Postgres(pools) => On::Postgres(pools.append().await?),
    };
    let mut tx = Tx {
        on,
        changes: vec![Change::Delivery],
        unsettled: None,
        known: Known::default(),
        tallies: Tallies::default(),
        bell: bell.clone(),
        me: 0,
        facts: Vec::new(),
    };
    let taken = tx.insert_deliveries(deliveries).await?;
    tx.commit().await?;
    Ok(taken)
}

impl Tx {
    async fn insert_deliveries(&mut self, deliveries: &[NewDelivery]) -> Result<Vec<Taken>> {
        if let (On::Postgres(on), true) = (&mut self.on, deliveries.len() > 1) {
            let taken = postgres::insert_deliveries(on, deliveries).await?;
            deliveries.iter().zip(&taken).for_each(|(new, taken)| self.count(delivered(new, *taken)));
            return Ok(taken);
        }
        let mut taken = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            taken.push(self.insert_delivery(delivery).await?);
        }
        Ok(taken)
    }

    /// Puts a delivery in, unless it is in already.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn insert_delivery(&mut self, new: &NewDelivery) -> Result<Taken> {
        let id = DeliveryId::mint(new.received);
        let met = super::execute!(
            self,
            "INSERT INTO deliveries (id, forge, hook, delivery, event, headers, body, received, phase, state, due, \
             tries, trouble) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $8, 0, '') \
             ON CONFLICT (forge, delivery, hook) DO NOTHING",
            id,
            new.forge,
            &new.hook,
            &new.delivery,
            &new.event,
            Json(&new.headers),
            &new.body[..],
            new.received,
            new.state.phase(),
            Json(&new.state),
        )?;
        let taken = if met == 1 { Taken::New(id) } else { Taken::Again };
        self.count(delivered(new, taken));
        Ok(taken)
    }
}

fn delivered(new: &NewDelivery, taken: Taken) -> Fact {
    let outcome = match (taken, &new.state) {
        (Taken::Again, _) => "again",
        (Taken::New(_), DeliveryState::Unreadable { .. }) => "unreadable",
        (Taken::New(_), _) => "new",
    };
    Fact::Delivered { forge: new.forge, event: new.event.clone(), outcome }
}
