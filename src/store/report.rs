//! What forges are to be told: one row per (repository, commit, context). The row is wanted state and acknowledged
//! state; as long as they differ it is due.

use super::{Change, Json, Result, Tx, execute, meant, rows};
use crate::model::{Context, Report, ReportId, RepositoryId, RunId, Sha, Time};

/// One context of one commit.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ReportRow {
    /// Ours.
    pub id: ReportId,
    /// Where.
    pub repository_id: RepositoryId,
    /// On which commit.
    pub sha: Sha,
    /// Under which name.
    pub context: Context,
    /// What the forge is to show.
    pub wanted: Json<Report>,
    /// Digest of `wanted`.
    pub wanted_digest: String,
    /// Digest of what the forge has taken; empty at first.
    pub acknowledged: String,
    /// What the forge calls it.
    pub known: Option<String>,
    /// How often telling has failed since it last worked.
    pub tries: i64,
    /// What the forge said then.
    pub trouble: String,
    /// When the present state was first wanted.
    pub wanted_at: Time,
    /// When the forge took what it has.
    pub told_at: Option<Time>,
}

/// What a forge is to show now.
#[derive(Debug)]
pub struct NewReport<'a> {
    /// Where.
    pub repository: RepositoryId,
    /// On which commit.
    pub sha: &'a Sha,
    /// Under which name.
    pub context: &'a Context,
    /// The run that speaks.
    pub generation: RunId,
    /// What.
    pub report: &'a Report,
    /// Now.
    pub now: Time,
}

impl Tx {
    /// Wants a state shown. An older run does not overwrite a newer one's; an equal state changes nothing.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn want(&mut self, new: &NewReport<'_>) -> Result<()> {
        let met = execute!(
            self,
            "INSERT INTO reports (id, repository_id, sha, context, generation, wanted, wanted_digest, acknowledged, \
             due, tries, trouble, wanted_at) VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8, 0, '', $8) \
             ON CONFLICT (repository_id, sha, context) DO UPDATE SET generation = excluded.generation, \
             wanted = excluded.wanted, wanted_digest = excluded.wanted_digest, wanted_at = excluded.wanted_at, \
             due = CASE WHEN reports.tries = 0 THEN excluded.due ELSE reports.due END \
             WHERE reports.generation <= excluded.generation AND reports.wanted_digest <> excluded.wanted_digest",
            ReportId::mint(new.now),
            new.repository,
            new.sha,
            new.context,
            new.generation,
            Json(new.report),
            digest(new.report),
            new.now,
        )?;
        if met == 1 {
            self.ring(Change::Report);
        }
        Ok(())
    }

    /// Rows whose forge does not show what is wanted and may be told now; those that wait longest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn due_reports(&mut self, now: Time, limit: i64) -> Result<Vec<ReportRow>> {
        rows!(
            self,
            ReportRow,
            "SELECT * FROM reports WHERE wanted_digest <> acknowledged AND due <= $1 ORDER BY wanted_at, id LIMIT $2",
            now,
            limit,
        )
    }

    /// The reports on one commit, by context.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn reports(&mut self, repository: RepositoryId, sha: &Sha) -> Result<Vec<ReportRow>> {
        rows!(
            self,
            ReportRow,
            "SELECT * FROM reports WHERE repository_id = $1 AND sha = $2 ORDER BY context",
            repository,
            sha,
        )
    }

    /// The forge has taken what `told` wanted. If something newer is wanted by now, the row stays due.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn acknowledge(&mut self, told: &ReportRow, known: Option<&str>, now: Time) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE reports SET acknowledged = $2, known = $3, told_at = $4, tries = 0, trouble = '', due = $4 \
             WHERE id = $1",
            told.id,
            &told.wanted_digest,
            known,
            now,
        )?;
        self.ring(Change::Report);
        meant("a report is acknowledged", 1, met)
    }

    /// The forge did not take it: it is told again at `due`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn report_postponed(&mut self, id: ReportId, due: Time, trouble: &str) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE reports SET due = $2, tries = tries + 1, trouble = $3 WHERE id = $1",
            id,
            due,
            trouble,
        )?;
        meant("a report is postponed", 1, met)
    }
}

fn digest(report: &Report) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(serde_json::to_vec(report).unwrap_or_default()))
}
