//! What receivers are to be told of runs that ended, until they have it.

use super::{Change, Result, Tx, execute, meant, row, rows};
use crate::model::{RepositoryId, RunId, RunState, Time};

/// What one receiver is to be told of one run.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct NoticeRow {
    /// The run that ended.
    pub run_id: RunId,
    /// The receiver's place in the run's plan.
    pub place: i64,
    /// `mail` or `webhook`.
    pub way: String,
    /// Where to.
    pub address: String,
    /// What is new about it: `failure`, `fixed`, `success` or `always`.
    pub news: String,
    /// The subject of a mail.
    pub subject: String,
    /// The text of a mail, or the JSON of a webhook.
    pub body: String,
    /// `due`, `sent`, or `given_up`.
    pub phase: String,
    /// When to try next.
    pub due: Time,
    /// How often it was begun.
    pub tries: i64,
    /// Why the last try failed; empty if none has.
    pub trouble: String,
    /// When the run had ended.
    pub created: Time,
    /// When it was taken, or given up.
    pub ended: Option<Time>,
}

/// A notice to be kept.
#[derive(Debug)]
pub struct NewNotice<'a> {
    /// The run that ended.
    pub run: RunId,
    /// The receiver's place in its plan.
    pub place: usize,
    /// `mail` or `webhook`.
    pub way: &'a str,
    /// Where to.
    pub address: &'a str,
    /// What is new about it.
    pub news: &'a str,
    /// The subject of a mail.
    pub subject: &'a str,
    /// All of it.
    pub body: &'a str,
    /// Now.
    pub now: Time,
}

impl Tx {
    /// Keeps a notice; one that is there already stays as it is.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn insert_notice(&mut self, new: &NewNotice<'_>) -> Result<()> {
        execute!(
            self,
            "INSERT INTO notices (run_id, place, way, address, news, subject, body, phase, due, tries, trouble, \
             created) VALUES ($1, $2, $3, $4, $5, $6, $7, 'due', $8, 0, '', $8) ON CONFLICT (run_id, place) DO NOTHING",
            new.run,
            super::run::column(new.place),
            new.way,
            new.address,
            new.news,
            new.subject,
            new.body,
            new.now,
        )?;
        self.ring(Change::Notice);
        Ok(())
    }

    /// All that receivers are told of a run.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn notices(&mut self, run: RunId) -> Result<Vec<NoticeRow>> {
        rows!(self, NoticeRow, "SELECT * FROM notices WHERE run_id = $1 ORDER BY place", run)
    }

    /// The notices to be sent now.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn due_notices(&mut self, now: Time, limit: i64) -> Result<Vec<NoticeRow>> {
        rows!(
            self,
            NoticeRow,
            "SELECT * FROM notices WHERE phase = 'due' AND due <= $1 ORDER BY due, run_id, place LIMIT $2",
            now,
            limit,
        )
    }

    /// Takes a notice to send it: nobody else does before `until`. `None`: somebody else has, or it is sent.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn claim_notice(&mut self, notice: &NoticeRow, now: Time, until: Time) -> Result<Option<NoticeRow>> {
        row!(
            self,
            NoticeRow,
            "UPDATE notices SET due = $4, tries = tries + 1 \
             WHERE run_id = $1 AND place = $2 AND phase = 'due' AND due <= $3 RETURNING *",
            notice.run_id,
            notice.place,
            now,
            until,
        )
    }

    /// What became of a try: `phase` is `due` (again, at `due`), `sent` or `given_up`. Who has claimed it since decides.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if somebody has.
    pub async fn notice_tried(
        &mut self,
        notice: &NoticeRow,
        phase: &str,
        trouble: &str,
        due: Time,
        ended: Option<Time>,
    ) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE notices SET phase = $4, trouble = $5, due = $6, ended = $7 \
             WHERE run_id = $1 AND place = $2 AND tries = $3 AND phase = 'due'",
            notice.run_id,
            notice.place,
            notice.tries,
            phase,
            trouble,
            due,
            ended,
        )?;
        self.ring(Change::Run(notice.run_id));
        meant("a notice", 1, met)
    }

    /// How the newest runs before this one ended, of the same flow and line of events, newest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn ends_before(
        &mut self,
        run: RunId,
        repository: RepositoryId,
        flow: &str,
        line: &str,
        limit: i64,
    ) -> Result<Vec<RunState>> {
        let found: Vec<(super::Json<RunState>,)> = rows!(
            self,
            (super::Json<RunState>,),
            "SELECT state FROM runs WHERE repository_id = $2 AND flow = $3 AND line = $4 AND id < $1 \
             AND phase = 'ended' ORDER BY id DESC LIMIT $5",
            run,
            repository,
            flow,
            line,
            limit,
        )?;
        Ok(found.into_iter().map(|(state,)| state.0).collect())
    }
}
