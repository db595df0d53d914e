//! What organisations and repositories may use, what they use, and who waits for that.

use super::{Change, Result, Tx, execute, meant, row, rows};
use crate::model::{ActionId, ForgeKind, Quota, QuotaScope, RepositoryId, RepositoryName, RunId, Time};

/// A quota as it is kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct QuotaRow {
    /// How wide its scope is.
    level: String,
    forge: String,
    name: String,
    actions: Option<i64>,
    cpu: Option<i64>,
    memory: Option<i64>,
    storage: Option<i64>,
    minutes: Option<i64>,
    priority: Option<i64>,
    /// When it was set last.
    pub changed: Time,
    /// By whom.
    pub changed_by: String,
}

impl QuotaRow {
    /// What it is of; `None`: another release knows what.
    pub fn scope(&self) -> Option<QuotaScope> {
        QuotaScope::of(&self.level, &self.forge, &self.name).ok()
    }

    /// What it says.
    pub const fn quota(&self) -> Quota {
        let Self { actions, cpu, memory, storage, minutes, priority, .. } = *self;
        Quota { actions, cpu, memory, storage, minutes, priority }
    }
}

/// A repository, and what its actions use just now.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct UsingRow {
    /// Ours.
    pub repository_id: RepositoryId,
    /// Its forge.
    pub forge: ForgeKind,
    /// Its name there.
    pub name: RepositoryName,
    /// How many actions.
    pub actions: i64,
    /// CPU, in thousandths.
    pub cpu: i64,
    /// Memory, in bytes.
    pub memory: i64,
}

/// A repository, and what it has used.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct UsedRow {
    /// Ours.
    pub repository_id: RepositoryId,
    /// Its forge.
    pub forge: ForgeKind,
    /// Its name there.
    pub name: RepositoryName,
    /// Which month the next is about.
    pub month: i64,
    /// Milliseconds of its jobs in that month.
    pub millis: i64,
    /// Milliseconds of its actions, less the older they are.
    pub recent: i64,
    /// As of when.
    pub recent_at: Time,
}

/// An action that waits for its turn.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct WaitingRow {
    /// Ours.
    pub id: ActionId,
    /// Whose.
    pub run_id: RunId,
    /// Its repository.
    pub repository_id: RepositoryId,
    /// That one's forge.
    pub forge: ForgeKind,
    /// That one's name.
    pub name: RepositoryName,
    /// What it will use: 1, or 0.
    pub places: i64,
    /// CPU, in thousandths.
    pub cpu: i64,
    /// Memory, in bytes.
    pub memory: i64,
    /// Since when it waits.
    pub queued: Option<Time>,
    /// Whether it was told to wait.
    pub held: Option<i64>,
    /// What it was told.
    pub reason: String,
}

/// How a scope stands in columns.
fn columns(scope: &QuotaScope) -> (&'static str, &'static str, &str) {
    let forge = scope.forge().map_or("", ForgeKind::as_str);
    (scope.level(), forge, scope.name().map_or("", RepositoryName::as_str))
}

impl Tx {
    /// All quotas, the widest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn quotas(&mut self) -> Result<Vec<QuotaRow>> {
        rows!(
            self,
            QuotaRow,
            "SELECT * FROM quotas ORDER BY CASE level WHEN 'server' THEN 0 ELSE 1 END, forge, name, level"
        )
    }

    /// Sets what a scope may use, in the place of what was said before. Those who wait are asked again.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn put_quota(&mut self, scope: &QuotaScope, quota: &Quota, by: &str, now: Time) -> Result<()> {
        let (level, forge, name) = columns(scope);
        let met = execute!(
            self,
            "INSERT INTO quotas (level, forge, name, actions, cpu, memory, storage, minutes, priority, changed, \
             changed_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (level, forge, name) DO UPDATE SET actions = excluded.actions, cpu = excluded.cpu, \
             memory = excluded.memory, storage = excluded.storage, minutes = excluded.minutes, \
             priority = excluded.priority, changed = excluded.changed, changed_by = excluded.changed_by",
            level,
            forge,
            name,
            quota.actions,
            quota.cpu,
            quota.memory,
            quota.storage,
            quota.minutes,
            quota.priority,
            now,
            by,
        )?;
        self.ring(Change::Executor);
        meant("a quota", 1, met)
    }

    /// Forgets what a scope may use. False: nothing was said of it.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn remove_quota(&mut self, scope: &QuotaScope) -> Result<bool> {
        let (level, forge, name) = columns(scope);
        let met =
            execute!(self, "DELETE FROM quotas WHERE level = $1 AND forge = $2 AND name = $3", level, forge, name)?;
        self.ring(Change::Executor);
        Ok(met == 1)
    }

    /// Whether anybody waits for a turn that could be theirs.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn has_waiting(&mut self) -> Result<bool> {
        let found: Option<(i64,)> =
            row!(self, (i64,), "SELECT id FROM actions WHERE phase = 'queued' AND admitted IS NULL LIMIT 1")?;
        Ok(found.is_some())
    }

    /// Who waits for a turn, of each repository the oldest.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn waiting_actions(&mut self, now: Time, of_each: i64, limit: i64) -> Result<Vec<WaitingRow>> {
        rows!(
            self,
            WaitingRow,
            "SELECT w.id, w.run_id, w.repository_id, p.forge, p.name, w.places, w.cpu, w.memory, w.queued, w.held, \
             w.reason FROM (SELECT a.*, r.repository_id, ROW_NUMBER() OVER (PARTITION BY r.repository_id \
             ORDER BY a.queued, a.id) AS line FROM actions a JOIN runs r ON r.id = a.run_id \
             WHERE a.phase = 'queued' AND a.admitted IS NULL AND a.due <= $1 AND a.cancelled_by IS NULL) w \
             JOIN repositories p ON p.id = w.repository_id WHERE w.line <= $2 ORDER BY w.line, w.queued, w.id LIMIT $3",
            now,
            of_each,
            limit,
        )
    }

    /// How many wait for a turn, by repository.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn lines(&mut self) -> Result<Vec<(ForgeKind, RepositoryName, i64)>> {
        rows!(
            self,
            (ForgeKind, RepositoryName, i64),
            "SELECT p.forge, p.name, COUNT(*) FROM actions a JOIN runs r ON r.id = a.run_id \
             JOIN repositories p ON p.id = r.repository_id \
             WHERE a.phase = 'queued' AND a.admitted IS NULL GROUP BY p.id, p.forge, p.name ORDER BY p.forge, p.name",
        )
    }

    /// What runs just now, by repository.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn using(&mut self) -> Result<Vec<UsingRow>> {
        rows!(
            self,
            UsingRow,
            "SELECT p.id AS repository_id, p.forge, p.name, CAST(SUM(a.places) AS BIGINT) AS actions, \
             CAST(SUM(a.cpu) AS BIGINT) AS cpu, CAST(SUM(a.memory) AS BIGINT) AS memory \
             FROM actions a JOIN runs r ON r.id = a.run_id JOIN repositories p ON p.id = r.repository_id \
             WHERE a.phase <> 'ended' AND a.admitted IS NOT NULL GROUP BY p.id, p.forge, p.name",
        )
    }

    /// What was used, by those repositories of which something is known.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn used(&mut self) -> Result<Vec<UsedRow>> {
        self.write_tallies().await?;
        rows!(
            self,
            UsedRow,
            "SELECT u.repository_id, p.forge, p.name, u.month, u.millis, u.recent, u.recent_at FROM uses u \
             JOIN repositories p ON p.id = u.repository_id",
        )
    }

    /// It is an action's turn.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if it does not wait for that.
    pub async fn admit_action(&mut self, id: ActionId, now: Time) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE actions SET admitted = $2, reason = CASE WHEN held IS NULL THEN reason ELSE '' END, held = NULL \
             WHERE id = $1 AND phase = 'queued' AND admitted IS NULL",
            id,
            now,
        )?;
        meant("an action's turn", 1, met)
    }

    /// An action waits for its turn, for this reason.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn hold_action(&mut self, id: ActionId, reason: &str) -> Result<()> {
        execute!(
            self,
            "UPDATE actions SET reason = $2, held = 1 WHERE id = $1 AND phase = 'queued' AND admitted IS NULL",
            id,
            reason,
        )
        .map(drop)
    }

    /// What a repository has used lately is this much, as of now.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn set_recent(&mut self, repository: RepositoryId, recent: i64, now: Time) -> Result<()> {
        self.write_tallies().await?;
        execute!(
            self,
            "INSERT INTO uses (repository_id, month, millis, recent, recent_at) VALUES ($1, 0, 0, $2, $3) \
             ON CONFLICT (repository_id) DO UPDATE SET recent = excluded.recent, recent_at = excluded.recent_at",
            repository,
            recent,
            now,
        )
        .map(drop)
    }
}
