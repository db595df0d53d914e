//! Runs that wait for each other: the groups of a repository, and each run's place in its group.

use super::{Change, Json, Result, Tx, execute, meant, rows};
use crate::model::{Concurrency, DeliveryId, Event, RepositoryId, RunId, RunState, Time};

/// An open run of a group.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct QueuedRun {
    /// Ours.
    pub id: RunId,
    /// Counts from 1 in each repository.
    pub number: i64,
    /// How it stands to the others.
    pub concurrency: Json<Option<Concurrency>>,
    /// How far it is.
    pub state: Json<RunState>,
    /// When it was let go; `None`: it is held.
    pub released: Option<Time>,
    /// The run that it repeats.
    pub rerun_of: Option<RunId>,
    /// The delivery whose replay started it.
    pub replay_of: Option<DeliveryId>,
    /// Who cancelled it.
    pub cancelled_by: Option<String>,
    /// Why it waits.
    pub reason: String,
}

/// A run of a group, open or not, as far as its age matters.
#[derive(Debug, sqlx::FromRow)]
pub struct TurnRow {
    /// Its place in the group's order.
    pub turn: i64,
    /// What happened.
    pub event: Json<Event>,
}

impl Tx {
    /// The open runs of a group, in the order in which they may go.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn queue(&mut self, repository: RepositoryId, queue: &str) -> Result<Vec<QueuedRun>> {
        rows!(
            self,
            QueuedRun,
            "SELECT id, number, concurrency, state, released, rerun_of, cancelled_by, reason, \
             (SELECT replays FROM deliveries WHERE deliveries.id = runs.delivery_id) AS replay_of FROM runs \
             WHERE repository_id = $1 AND queue = $2 AND queue IS NOT NULL AND turn IS NOT NULL AND phase <> 'ended' \
             ORDER BY turn, id",
            repository,
            queue,
        )
    }

    /// The groups in which a run is held, of one repository or of all.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn queues(&mut self, repository: Option<RepositoryId>) -> Result<Vec<(RepositoryId, String)>> {
        rows!(
            self,
            (RepositoryId, String),
            "SELECT DISTINCT repository_id, queue FROM runs WHERE ($1 IS NULL OR repository_id = $1) \
             AND queue IS NOT NULL AND phase <> 'ended' AND released IS NULL ORDER BY repository_id, queue",
            repository,
        )
    }

    /// The newest runs of a group that have their place, newest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn newest_turns(&mut self, repository: RepositoryId, queue: &str, limit: i64) -> Result<Vec<TurnRow>> {
        rows!(
            self,
            TurnRow,
            "SELECT turn, event FROM runs WHERE repository_id = $1 AND queue = $2 AND turn IS NOT NULL \
             ORDER BY turn DESC, id DESC LIMIT $3",
            repository,
            queue,
            limit,
        )
    }

    /// A run takes its place in its group.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn set_turn(&mut self, run: RunId, turn: i64) -> Result<()> {
        let met = execute!(self, "UPDATE runs SET turn = $2 WHERE id = $1 AND turn IS NULL", run, turn)?;
        meant("a run's turn", 1, met)
    }

    /// A held run may go.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if it is not held.
    pub async fn release_run(&mut self, run: RunId, now: Time) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE runs SET released = $2, reason = '' WHERE id = $1 AND released IS NULL AND phase <> 'ended'",
            run,
            now,
        )?;
        self.ring(Change::Run(run));
        meant("a held run goes", 1, met)
    }

    /// A newer run, the one with this number, takes the place of a run that is to end. One that somebody has cancelled
    /// already stays theirs.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if it has ended, or is being cancelled already.
    pub async fn supersede_run(&mut self, run: RunId, number: i64) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE runs SET superseded_by = $2, cancelled_by = $3 \
             WHERE id = $1 AND phase <> 'ended' AND cancelled_by IS NULL",
            run,
            number,
            format!("run #{number}, which supersedes it"),
        )?;
        self.ring(Change::Run(run));
        meant("a run is superseded", 1, met)
    }

    /// Says why a run that has not started waits.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn set_run_reason(&mut self, run: RunId, reason: &str) -> Result<()> {
        execute!(self, "UPDATE runs SET reason = $2 WHERE id = $1 AND phase = 'queued' AND reason <> $2", run, reason)?;
        self.ring(Change::Run(run));
        Ok(())
    }
}
