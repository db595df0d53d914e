//! How far telling a forge is: calls that are under way, and what became of them.
//!
//! A call is noted before it is made, so whoever comes after a crash knows that something may have been said which
//! nobody heard acknowledged.

use std::time::Duration;

use super::{
    Change, Json, ReportRow, RepositoryRow, Result, Tx, execute,
    report::{PACE, millis},
    row, rows,
};
use crate::model::{ReportId, RepositoryId, Sha, Time};

/// A call that was given up may still be carried out for so long. GitHub ends its own work after ten seconds.
pub(super) const LATE_MS: i64 = 2 * 60 * 1000;
/// Calls that nobody will hear of any more: those begun before `$1`.
pub(super) const CALLS_LOST: &str = "UPDATE reports SET called_at = NULL, doubt = 1, look_at = 0, \
     late_until = called_at + $2 WHERE called_at <= $1";
/// Whether anybody knows what became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It was not carried out.
    No,
    /// It may have been, or may be in a moment.
    Yes,
}

/// A forge has taken a state.
#[derive(Debug, Clone, Copy)]
pub struct Acknowledgement<'a> {
    /// What later calls need.
    pub known: Option<&'a str>,
    /// When it was.
    pub told_at: Time,
    /// When to read it back.
    pub look_at: Option<Time>,
    /// Now.
    pub now: Time,
}

impl Tx {
    /// Whether a call, a look or the end of a call is due: cheap, for whoever asks again and again.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn reports_stir(&mut self, now: Time, lost: Time) -> Result<bool> {
        let untold: Option<(ReportId,)> = row!(
            self,
            (ReportId,),
            "SELECT id FROM reports WHERE wanted_digest <> acknowledged AND called_at IS NULL AND doubt = 0 \
             AND due <= $1 LIMIT 1",
            now,
        )?;
        let unseen: Option<(ReportId,)> = row!(
            self,
            (ReportId,),
            "SELECT id FROM reports WHERE look_at IS NOT NULL AND look_at <= $1 AND called_at IS NULL LIMIT 1",
            now,
        )?;
        let unheard: Option<(ReportId,)> = row!(
            self,
            (ReportId,),
            "SELECT id FROM reports WHERE called_at IS NOT NULL AND called_at <= $1 LIMIT 1",
            lost
        )?;
        Ok(untold.or(unseen).or(unheard).is_some())
    }

    /// Gives up calls begun before `lost`: nobody knows what became of them.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn calls_lost(&mut self, lost: Time) -> Result<()> {
        execute!(self, CALLS_LOST, lost, LATE_MS).map(drop)
    }

    /// The repositories whose forge is to be told something now.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn repositories_untold(&mut self, now: Time) -> Result<Vec<RepositoryRow>> {
        rows!(
            self,
            RepositoryRow,
            "SELECT * FROM repositories WHERE id IN (SELECT repository_id FROM reports \
             WHERE wanted_digest <> acknowledged AND called_at IS NULL AND doubt = 0 AND due <= $1) ORDER BY id",
            now,
        )
    }

    /// A repository's reports that may be told now: last words first, of runs before those of actions, and those that
    /// wait longest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn untold_reports(&mut self, repository: RepositoryId, now: Time, limit: i64) -> Result<Vec<ReportRow>> {
        rows!(
            self,
            ReportRow,
            "SELECT * FROM reports WHERE repository_id = $1 AND wanted_digest <> acknowledged AND called_at IS NULL \
             AND doubt = 0 AND due <= $2 ORDER BY final DESC, rank, wanted_at, id LIMIT $3",
            repository,
            now,
            limit,
        )
    }

    /// The same where one call about a commit is made at a time: the first of each commit that no call is about now.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn untold_commits(&mut self, repository: RepositoryId, now: Time, limit: i64) -> Result<Vec<ReportRow>> {
        rows!(
            self,
            ReportRow,
            "SELECT * FROM (SELECT r.*, ROW_NUMBER() OVER (PARTITION BY sha ORDER BY final DESC, rank, wanted_at, id) AS place \
             FROM reports r WHERE repository_id = $1 AND wanted_digest <> acknowledged AND called_at IS NULL \
             AND doubt = 0 AND due <= $2 AND NOT EXISTS (SELECT 1 FROM reports b WHERE b.called_at IS NOT NULL \
             AND b.repository_id = r.repository_id AND b.sha = r.sha)) AS firsts \
             WHERE place = 1 ORDER BY final DESC, rank, wanted_at, id LIMIT $3",
            repository,
            now,
            limit,
        )
    }

    /// How many contexts of each repository are still to be told their last word.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn open_reports(&mut self) -> Result<Vec<(RepositoryRow, i64)>> {
        self.counted("SELECT repository_id, COUNT(*) FROM reports WHERE final = 0 OR wanted_digest <> acknowledged GROUP BY repository_id").await
    }

    /// How many calls about each repository are under way.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn calls_under_way(&mut self) -> Result<Vec<(RepositoryRow, i64)>> {
        self.counted("SELECT repository_id, COUNT(*) FROM reports WHERE called_at IS NOT NULL GROUP BY repository_id")
            .await
    }

    async fn counted(&mut self, sql: &'static str) -> Result<Vec<(RepositoryRow, i64)>> {
        let counts: Vec<(RepositoryId, i64)> = rows!(self, (RepositoryId, i64), sql)?;
        let mut counted = Vec::with_capacity(counts.len());
        for (id, count) in counts {
            counted.push((self.repository(id).await?, count));
        }
        Ok(counted)
    }

    /// Notes that a call is begun.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn call_begun(&mut self, id: ReportId, now: Time) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE reports SET called_at = $2, calls = calls + 1, holder = $3 WHERE id = $1 AND called_at IS NULL",
            id,
            now,
            self.me,
        )?;
        super::meant("a call is begun", 1, met)
    }

    /// The forge has taken what `told` wanted. If something newer is wanted by now, the row stays due. Says nothing if
    /// another call has begun since.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn acknowledge(&mut self, told: &ReportRow, taken: &Acknowledgement<'_>) -> Result<()> {
        execute!(
            self,
            "UPDATE reports SET acknowledged = $3, told = $4, known = $5, told_at = $6, called_at = NULL, doubt = 0, \
             tries = 0, trouble = '', \
             look_at = CASE WHEN wanted_digest = $3 OR $7 < look_at THEN $7 ELSE look_at END, \
             due = CASE WHEN wanted_digest = $3 THEN due WHEN final = 1 THEN $8 ELSE $8 + $9 END \
             WHERE id = $1 AND calls = $2",
            told.id,
            told.calls,
            &told.wanted_digest,
            Json(told.wanted.headline()),
            taken.known,
            taken.told_at,
            taken.look_at,
            taken.now,
            millis(PACE),
        )?;
        self.ring(Change::Report);
        self.count_told(told, taken.told_at).await
    }

    /// The forge has taken a part of what `told` wanted, and may be told the rest.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn told_in_part(&mut self, told: &ReportRow, known: &str) -> Result<()> {
        self.ring(Change::Report);
        execute!(
            self,
            "UPDATE reports SET known = $3, called_at = NULL, doubt = 0 WHERE id = $1 AND calls = $2",
            told.id,
            told.calls,
            known,
        )
        .map(drop)
    }

    /// A call or a look has failed: the next is made at `due`, and after doubt that is a look.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn not_told(&mut self, row: &ReportRow, due: Time, doubt: Doubt, trouble: &str) -> Result<()> {
        let doubt = i64::from(doubt == Doubt::Yes);
        // what was begun last may be carried out late; a look changes nothing there
        let late = row.called_at.map_or(row.late_until, |begun| begun.after(Duration::from_millis(LATE_MS as u64)));
        execute!(
            self,
            "UPDATE reports SET called_at = NULL, doubt = $3, due = $4, tries = tries + 1, trouble = $5, \
             look_at = CASE WHEN $3 = 1 THEN $4 ELSE look_at END, late_until = CASE WHEN $3 = 1 THEN $6 ELSE late_until END \
             WHERE id = $1 AND calls = $2",
            row.id,
            row.calls,
            doubt,
            due,
            trouble,
            late,
        )
        .map(drop)
    }

    /// Nothing is told until `due`, though nothing has failed.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn put_off(&mut self, row: &ReportRow, due: Time, trouble: &str) -> Result<()> {
        execute!(
            self,
            "UPDATE reports SET called_at = NULL, due = $3, trouble = $4 WHERE id = $1 AND calls = $2",
            row.id,
            row.calls,
            due,
            trouble,
        )
        .map(drop)
    }

    /// Everything that could be told of a repository now waits until `due`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn put_off_all(&mut self, repository: RepositoryId, now: Time, due: Time, trouble: &str) -> Result<()> {
        execute!(
            self,
            "UPDATE reports SET due = $3, trouble = $4 WHERE repository_id = $1 AND wanted_digest <> acknowledged \
             AND called_at IS NULL AND doubt = 0 AND due <= $2",
            repository,
            now,
            due,
            trouble,
        )
        .map(drop)
    }

    /// Says why what could be told of a repository now is not: all of it, or only what is not the last word.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn say_why(&mut self, repository: RepositoryId, now: Time, most_final: i64, trouble: &str) -> Result<()> {
        execute!(
            self,
            "UPDATE reports SET trouble = $4 WHERE repository_id = $1 AND wanted_digest <> acknowledged \
             AND called_at IS NULL AND doubt = 0 AND due <= $2 AND final <= $3 AND trouble <> $4",
            repository,
            now,
            most_final,
            trouble,
        )
        .map(drop)
    }

    /// The forge takes no further state of this context; so many it has.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn full(&mut self, row: &ReportRow, states: i64, trouble: &str) -> Result<()> {
        execute!(
            self,
            "UPDATE reports SET called_at = NULL, doubt = 0, due = $3, look_at = NULL, trouble = $4, \
             calls = CASE WHEN calls < $5 THEN $5 ELSE calls END WHERE id = $1 AND calls = $2",
            row.id,
            row.calls,
            Time::from_millis(i64::MAX),
            trouble,
            states,
        )
        .map(drop)
    }

    /// Reports whose forge is to be looked at now.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn reports_to_look_at(&mut self, now: Time, limit: i64) -> Result<Vec<ReportRow>> {
        rows!(
            self,
            ReportRow,
            "SELECT * FROM reports WHERE look_at IS NOT NULL AND look_at <= $1 AND called_at IS NULL \
             ORDER BY look_at, id LIMIT $2",
            now,
            limit,
        )
    }

    /// The next look at what was to be looked at of this commit.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn look_later(&mut self, repository: RepositoryId, sha: &Sha, now: Time, next: Time) -> Result<()> {
        execute!(
            self,
            "UPDATE reports SET look_at = $4 WHERE repository_id = $1 AND sha = $2 AND look_at <= $3",
            repository,
            sha,
            now,
            next,
        )
        .map(drop)
    }

    /// The forge shows something else than it should: it is told again at `due`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn found_different(&mut self, row: &ReportRow, known: Option<&str>, due: Time, look: Time) -> Result<()> {
        self.ring(Change::Report);
        execute!(
            self,
            "UPDATE reports SET acknowledged = '', known = $3, doubt = 0, due = $4, look_at = $5, repairs = repairs + $6 \
             WHERE id = $1 AND calls = $2",
            row.id,
            row.calls,
            known,
            due,
            look,
            i64::from(row.is_acknowledged() && !row.is_in_doubt()),
        )
        .map(drop)
    }

    /// The forge will not be looked at for this again.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn look_no_more(&mut self, row: &ReportRow, trouble: &str) -> Result<()> {
        execute!(
            self,
            "UPDATE reports SET look_at = NULL, doubt = 0, trouble = $3 WHERE id = $1 AND calls = $2",
            row.id,
            row.calls,
            trouble,
        )
        .map(drop)
    }
}
