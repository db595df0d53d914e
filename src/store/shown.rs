//! What the page of a run shows of all its jobs, each in one statement: however many jobs there are, a page asks no
//! more often. Of what was carried over it shows what is where it ran.

use super::{ArtifactRow, CacheUseRow, Json, RepositoryRow, Result, Tx, rows};
use crate::model::{ForgeKind, JobId, RepositoryId, RepositoryName, RunId, RunState, Time};

/// So many outputs of a run are read at once.
const OUTPUTS: i64 = 3000;

/// A run's jobs as `j`, with their attempts and actions. Of what was carried over those are taken that ran.
macro_rules! jobs {
    () => {
        "actions a JOIN attempts t ON t.action_id = COALESCE(a.carried_from, a.id) JOIN jobs j ON j.attempt_id = t.id"
    };
}

/// The begin of an output's value.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ShownOutputRow {
    /// Who wrote it.
    pub job_id: JobId,
    /// Its key.
    pub name: String,
    /// No more of its value than was asked for.
    pub value: String,
    /// How many characters the whole value has.
    pub length: i64,
}

/// An output of one of a run's jobs.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct WholeOutputRow {
    /// Who wrote it.
    pub job_id: JobId,
    /// Its key.
    pub name: String,
    /// All of its value.
    pub value: String,
}

/// A time in which nothing was heard of one of a run's jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct ShownSilenceRow {
    /// Which.
    pub job_id: JobId,
    /// When it spoke last before.
    pub since: Time,
    /// When it spoke again; `None`: it has not, or not any more.
    pub until: Option<Time>,
}

/// What a job at these places of a run's plan has written, as later jobs get it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct WrittenRow {
    /// Its stage's place.
    pub stage: i64,
    /// Its action's place there.
    pub action: i64,
    /// Its own place there.
    pub job: i64,
    /// The output's key.
    pub name: String,
    /// No more of its value than was asked for.
    pub value: String,
    /// How many characters the whole value has.
    pub length: i64,
}

/// A run that a job has started.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct StartedRow {
    /// Who has started it.
    pub job_id: JobId,
    /// Whose it is.
    pub repository_id: RepositoryId,
    /// The repository's forge.
    pub forge: ForgeKind,
    /// The repository's name.
    pub name: RepositoryName,
    /// Counts from 1 in each repository.
    pub number: i64,
    /// The flow's name.
    pub flow: String,
    /// How far it is.
    pub state: Json<RunState>,
}

impl Tx {
    /// The outputs of all of a run's jobs, by name, of each value no more than so many characters.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn outputs_of_run(&mut self, run: RunId, characters: i64) -> Result<Vec<ShownOutputRow>> {
        rows!(
            self,
            ShownOutputRow,
            concat!(
                "SELECT o.job_id, o.name, SUBSTR(o.value, 1, $2) AS value, CAST(LENGTH(o.value) AS BIGINT) AS \
                 length FROM ",
                jobs!(),
                " JOIN outputs o ON o.job_id = j.id WHERE a.run_id = $1 ORDER BY o.job_id, o.name LIMIT $3"
            ),
            run,
            characters,
            OUTPUTS,
        )
    }

    /// The outputs of all jobs of the newest attempt at each of a run's actions.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn newest_outputs_of_run(&mut self, run: RunId) -> Result<Vec<WholeOutputRow>> {
        rows!(
            self,
            WholeOutputRow,
            concat!(
                "SELECT o.job_id, o.name, o.value FROM ",
                jobs!(),
                " JOIN outputs o ON o.job_id = j.id WHERE a.run_id = $1 AND NOT EXISTS (SELECT 1 FROM attempts l \
                 WHERE l.action_id = t.action_id AND l.number > t.number)"
            ),
            run,
        )
    }

    /// When the agents of a run's jobs were silent, first to last.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn silences_of_run(&mut self, run: RunId) -> Result<Vec<ShownSilenceRow>> {
        rows!(
            self,
            ShownSilenceRow,
            concat!(
                "SELECT s.job_id, s.since, s.until FROM ",
                jobs!(),
                " JOIN silences s ON s.job_id = j.id WHERE a.run_id = $1 ORDER BY s.since"
            ),
            run,
        )
    }

    /// The same, by the jobs' places in the plan; what a later attempt wrote comes later.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn written_of_run(&mut self, run: RunId, characters: i64) -> Result<Vec<WrittenRow>> {
        rows!(
            self,
            WrittenRow,
            concat!(
                "SELECT a.stage, a.place AS action, j.place AS job, o.name, SUBSTR(o.value, 1, $2) AS value, \
                 CAST(LENGTH(o.value) AS BIGINT) AS length FROM ",
                jobs!(),
                " JOIN outputs o ON o.job_id = j.id WHERE a.run_id = $1 ORDER BY t.number, a.stage, a.place LIMIT $3"
            ),
            run,
            characters,
            OUTPUTS,
        )
    }

    /// What all of a run's jobs have left, by name.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn artifacts_of_run(&mut self, run: RunId) -> Result<Vec<ArtifactRow>> {
        rows!(
            self,
            ArtifactRow,
            concat!(
                "SELECT f.* FROM ",
                jobs!(),
                " JOIN artifacts f ON f.job_id = j.id WHERE a.run_id = $1 ORDER BY f.job_id, f.name"
            ),
            run,
        )
    }

    /// What all of a run's jobs have found of caches, by name.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn cache_uses_of_run(&mut self, run: RunId) -> Result<Vec<CacheUseRow>> {
        rows!(
            self,
            CacheUseRow,
            concat!(
                "SELECT u.* FROM ",
                jobs!(),
                " JOIN cache_uses u ON u.job_id = j.id WHERE a.run_id = $1 ORDER BY u.job_id, u.name"
            ),
            run,
        )
    }

    /// The runs that a run's jobs have started; of several of one job the first is its own.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn started_of_run(&mut self, run: RunId) -> Result<Vec<StartedRow>> {
        rows!(
            self,
            StartedRow,
            concat!(
                "SELECT g.job_id, r.repository_id, p.forge, p.name, r.number, r.flow, r.state FROM ",
                jobs!(),
                " JOIN triggers g ON g.job_id = j.id JOIN runs r ON r.delivery_id = g.delivery_id JOIN \
                 repositories p ON p.id = r.repository_id WHERE a.run_id = $1 ORDER BY g.job_id, r.id"
            ),
            run,
        )
    }

    /// The repositories of the runs that a run's jobs have started.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn started_repositories(&mut self, run: RunId) -> Result<Vec<RepositoryRow>> {
        rows!(
            self,
            RepositoryRow,
            concat!(
                "SELECT * FROM repositories WHERE id IN (SELECT r.repository_id FROM ",
                jobs!(),
                " JOIN triggers g ON g.job_id = j.id JOIN runs r ON r.delivery_id = g.delivery_id WHERE \
                 a.run_id = $1)"
            ),
            run,
        )
    }
}
