//! The audit log: what was changed, by whom, when, and from where.

use super::{Result, Tx, execute, row, rows};
use crate::model::{AuditId, Deed, ForgeKind, RepositoryId, RepositoryName, Time};

/// The longest text of a column: names and reasons come from outside.
const LONGEST: usize = 500;

/// A change, or the wish for one.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct AuditRow {
    /// Ours.
    pub id: AuditId,
    /// When.
    pub at: Time,
    /// Who.
    pub who: String,
    /// By what way.
    pub way: String,
    /// From which address; may be empty.
    pub address: String,
    /// What they wanted.
    pub what: String,
    /// The repository's forge, if it is about one.
    pub forge: Option<ForgeKind>,
    /// The repository's name, if it is about one.
    pub name: Option<RepositoryName>,
    /// What it was done to.
    pub target: String,
    /// What became of it.
    pub outcome: String,
}

/// Which changes a list shows.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Those of one repository.
    pub repository: Option<RepositoryId>,
    /// Those before this one.
    pub before: Option<AuditId>,
    /// At most so many.
    pub limit: i64,
}

impl Tx {
    /// Writes down a change, as part of it, or why it was refused.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn note(&mut self, deed: &Deed, outcome: &str, now: Time) -> Result<()> {
        let cut = |text: &str| -> String { text.chars().take(LONGEST).collect() };
        execute!(
            self,
            "INSERT INTO audit (id, at, who, way, address, what, repository_id, target, outcome) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            AuditId::mint(now),
            now,
            cut(&deed.who),
            cut(&deed.way),
            cut(&deed.from),
            deed.what,
            deed.repository,
            cut(&deed.target),
            cut(outcome),
        )?;
        Ok(())
    }

    /// Changes, newest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn audit(&mut self, filter: &AuditFilter) -> Result<Vec<AuditRow>> {
        rows!(
            self,
            AuditRow,
            "SELECT a.id, a.at, a.who, a.way, a.address, a.what, r.forge, r.name, a.target, a.outcome FROM audit a \
             LEFT JOIN repositories r ON r.id = a.repository_id \
             WHERE ($1 IS NULL OR a.repository_id = $1) AND a.id < $2 ORDER BY a.id DESC LIMIT $3",
            filter.repository,
            filter.before.map_or(i64::MAX, AuditId::as_i64),
            filter.limit,
        )
    }

    /// Forgets all but the newest `kept`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn forget_audit(&mut self, kept: i64) -> Result<()> {
        let first: Option<(i64,)> =
            row!(self, (i64,), "SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET $1", kept)?;
        if let Some((id,)) = first {
            execute!(self, "DELETE FROM audit WHERE id <= $1", id)?;
        }
        Ok(())
    }
}
