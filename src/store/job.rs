//! Jobs of attempts: what agents ask for, and what they leave.

use super::{
    Change, Check, Json, Result, StoreError, Tx, execute,
    known::{Column, Kept, fetch, json, words},
    row, rows,
    run::column,
};
use crate::{
    agent::protocol::{EndRecord, Held},
    meters::Fact,
    model::{AttemptId, JobId, JobState, Output, RunId, Time},
};

/// One job of one attempt.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct JobRow {
    /// Ours.
    pub id: JobId,
    /// Whose.
    pub attempt_id: AttemptId,
    /// Its place in the action's plan.
    pub place: i64,
    /// How far it is.
    pub state: Json<JobState>,
    /// The hash of the token by which its agent claims it.
    pub token_hash: String,
    /// The hash of its agent's session, once it has claimed.
    pub session_hash: Option<String>,
    /// When its agent spoke last.
    pub heard: Option<Time>,
    /// When it was told to start.
    pub started: Option<Time>,
    /// When it had ended.
    pub ended: Option<Time>,
    /// The agent's own record of the end.
    pub record: Option<Json<EndRecord>>,
    /// The log's bytes so far.
    pub log_length: i64,
    /// The log's newlines so far.
    pub log_newlines: i64,
    /// 1 if the log's last byte is no newline.
    pub log_open: i64,
    /// The blob of the whole log, once it is sealed.
    pub log_blob: Option<String>,
    /// How many bytes its agent was told that the log may have.
    pub log_limit: Option<i64>,
    /// 1 if more came than the limit, and was not kept.
    pub log_over: i64,
    /// How many bytes of secrets were hidden in the log that its agent had let pass.
    pub log_hidden: i64,
    /// What its agent held back of the log when it was heard last.
    pub log_held: Option<Json<Held>>,
    /// What the log was found to be when it was sealed.
    pub log_check: Option<Json<Check>>,
    /// The last lines of a failed job, for reports.
    pub tail: Json<Tail>,
    /// Of a service: after how many of the action's jobs it starts. `None`: it is a job.
    pub service_after: Option<i64>,
    /// When a service was ready.
    pub ready: Option<Time>,
}

/// The end of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tail {
    /// The number of its first line, from 1.
    pub line: i64,
    /// Plain text, without colours.
    pub lines: Vec<String>,
}

impl Kept for JobRow {
    type Id = JobId;
    type Above = AttemptId;

    const TABLE: &'static str = "jobs";
    const COLUMNS: &'static [Column<Self>] = &[
        Column::number("id", |row| Some(row.id.as_i64())),
        Column::fixed_number("attempt_id", |row| Some(row.attempt_id.as_i64())),
        Column::fixed_number("place", |row| Some(row.place)),
        Column::text("phase", |row| words(row.state.phase())),
        Column::text("state", |row| json(&row.state.0)),
        Column::fixed_text("token_hash", |row| words(&row.token_hash)),
        Column::text("session_hash", |row| Ok(row.session_hash.clone())),
        Column::number("heard", |row| row.heard.map(Time::as_millis)),
        Column::number("started", |row| row.started.map(Time::as_millis)),
        Column::number("ended", |row| row.ended.map(Time::as_millis)),
        Column::text("record", |row| row.record.as_ref().map_or(Ok(None), |record| json(&record.0))),
        Column::fixed_number("log_length", |row| Some(row.log_length)),
        Column::fixed_number("log_newlines", |row| Some(row.log_newlines)),
        Column::fixed_number("log_open", |row| Some(row.log_open)),
        Column::number("log_limit", |row| row.log_limit),
        Column::text("tail", |row| json(&row.tail.0)),
        Column::fixed_number("service_after", |row| row.service_after),
        Column::number("ready", |row| row.ready.map(Time::as_millis)),
    ];

    fn id(&self) -> JobId {
        self.id
    }

    fn above(&self) -> AttemptId {
        self.attempt_id
    }
}

impl JobRow {
    /// A job that waits for its turn.
    pub(super) fn made(new: &NewJob, attempt: AttemptId, place: i64) -> Self {
        Self {
            id: new.id,
            attempt_id: attempt,
            place,
            state: Json(JobState::Waiting),
            token_hash: new.token_hash.clone(),
            session_hash: None,
            heard: None,
            started: None,
            ended: None,
            record: None,
            log_length: 0,
            log_newlines: 0,
            log_open: 0,
            log_blob: None,
            log_limit: None,
            log_over: 0,
            log_hidden: 0,
            log_held: None,
            log_check: None,
            tail: Json(Tail::default()),
            service_after: new.service_after,
            ready: None,
        }
    }

    /// Whether it runs beside jobs, and is none.
    pub const fn is_service(&self) -> bool {
        self.service_after.is_some()
    }

    /// How many lines its log has so far, counting a last one without a newline.
    pub const fn log_lines(&self) -> i64 {
        self.log_newlines + self.log_open
    }
}

/// A job to be made.
#[derive(Debug)]
pub struct NewJob {
    /// Its id, which its token was made from.
    pub id: JobId,
    /// SHA-256 of its token, hexadecimal.
    pub token_hash: String,
    /// Of a service: after how many jobs it starts.
    pub service_after: Option<i64>,
}

/// One output.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct OutputRow {
    /// Who wrote it.
    pub job_id: JobId,
    /// Its key.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Tx {
    /// All jobs of these attempts, of each in order.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn jobs_of_run(&mut self, run: RunId) -> Result<Vec<JobRow>> {
        rows!(
            self,
            JobRow,
            "SELECT j.* FROM actions a JOIN attempts t ON t.action_id = COALESCE(a.carried_from, a.id) \
             JOIN jobs j ON j.attempt_id = t.id WHERE a.run_id = $1 ORDER BY j.attempt_id, j.place",
            run,
        )
    }

    /// An attempt's jobs, in order.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn jobs(&mut self, attempt: AttemptId) -> Result<Vec<JobRow>> {
        if let Some(known) = self.known.jobs.of(attempt) {
            return Ok(known);
        }
        let sql = "SELECT * FROM jobs WHERE attempt_id = $1 ORDER BY place";
        let found: Vec<JobRow> = fetch(&mut self.on, sql, attempt).await?;
        Ok(self.known.all(attempt, found, |known| &mut known.jobs))
    }

    /// One job.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn job(&mut self, id: JobId) -> Result<Option<JobRow>> {
        if let Some(known) = self.known.jobs.get(id) {
            return Ok(Some(known.clone()));
        }
        let found: Vec<JobRow> = fetch(&mut self.on, "SELECT * FROM jobs WHERE id = $1", id).await?;
        Ok(self.known.one(found, |known| &mut known.jobs))
    }

    /// The job whose agent may claim with this token.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn job_by_token(&mut self, hash: &str) -> Result<Option<JobRow>> {
        if let Some(known) = self.known.jobs.find(|job| job.token_hash == hash) {
            return Ok(Some(known.clone()));
        }
        let sql = "SELECT * FROM jobs WHERE token_hash = $1";
        let found: Vec<JobRow> = fetch(&mut self.on, sql, hash.to_owned()).await?;
        Ok(self.known.one(found, |known| &mut known.jobs))
    }

    /// The job whose agent has this session.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn job_by_session(&mut self, hash: &str) -> Result<Option<JobRow>> {
        let has = |job: &JobRow| job.session_hash.as_deref() == Some(hash);
        if let Some(known) = self.known.jobs.find(has) {
            return Ok(Some(known.clone()));
        }
        let sql = "SELECT * FROM jobs WHERE session_hash = $1";
        let found: Vec<JobRow> = fetch(&mut self.on, sql, hash.to_owned()).await?;
        Ok(self.known.one(found, |known| &mut known.jobs).filter(has))
    }

    /// Binds a job to its agent's session, unless another has it. True if the session has it now.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn bind_session(&mut self, job: JobId, hash: &str, now: Time) -> Result<bool> {
        let Some(row) = self.job(job).await? else { return Ok(false) };
        if row.session_hash.as_deref().is_some_and(|other| other != hash) {
            return Ok(false);
        }
        let row = self.meant_job(job, "a job's session").await?;
        (row.session_hash, row.heard) = (Some(hash.to_owned()), Some(now));
        Ok(true)
    }

    /// A job moved. An ended job stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if it has ended.
    pub async fn set_job_state(&mut self, id: JobId, state: &JobState, now: Time) -> Result<()> {
        let what = "a job moves";
        if self.job(id).await?.is_none_or(|job| job.state.verdict().is_some()) {
            return Err(StoreError::Rows { what, meant: 1, met: 0 });
        }
        let row = self.meant_job(id, what).await?;
        if *state == JobState::Running {
            row.started = row.started.or(Some(now));
        }
        row.ended = state.verdict().map(|_| now);
        row.state = Json(state.clone());
        self.ring(Change::Log(id));
        if let Some(verdict) = state.verdict() {
            self.count(Fact::JobEnded(verdict.name()));
        }
        Ok(())
    }

    /// A job that is about to change.
    async fn meant_job(&mut self, id: JobId, what: &'static str) -> Result<&mut JobRow> {
        self.change_job(id).await?.ok_or(StoreError::Rows { what, meant: 1, met: 0 })
    }

    /// A service is ready; when it was first counts.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn service_ready(&mut self, id: JobId, at: Time) -> Result<()> {
        let row = self.meant_job(id, "a service is ready").await?;
        row.ready = row.ready.or(Some(at));
        Ok(())
    }

    /// The limit of its log that a job's agent is told, once and for all: the one it was told before, if it was.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn promise_log_limit(&mut self, id: JobId, limit: i64) -> Result<()> {
        let row = self.meant_job(id, "a log's limit").await?;
        row.log_limit = row.log_limit.or(Some(limit));
        Ok(())
    }

    /// Keeps the agent's record of the end.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_record(&mut self, id: JobId, record: &EndRecord) -> Result<()> {
        self.meant_job(id, "an end record").await?.record = Some(Json(record.clone()));
        Ok(())
    }

    /// Keeps the end of a failed job's log.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_tail(&mut self, id: JobId, tail: &Tail) -> Result<()> {
        self.meant_job(id, "a log's tail").await?.tail = Json(tail.clone());
        Ok(())
    }

    /// Keeps one output; a later value replaces an earlier one.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_output(&mut self, job: JobId, name: &str, value: &str) -> Result<()> {
        execute!(
            self,
            "INSERT INTO outputs (job_id, name, value) VALUES ($1, $2, $3) \
             ON CONFLICT (job_id, name) DO UPDATE SET value = excluded.value",
            job,
            name,
            value,
        )?;
        Ok(())
    }

    /// A job's outputs, by name.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn outputs(&mut self, job: JobId) -> Result<Vec<OutputRow>> {
        rows!(self, OutputRow, "SELECT * FROM outputs WHERE job_id = $1 ORDER BY name", job)
    }

    /// Keeps one event of a job, unless it has `most` already.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_event(&mut self, job: JobId, name: &str, body: &str, most: i64, now: Time) -> Result<bool> {
        let met = execute!(
            self,
            "INSERT INTO job_events (job_id, number, name, received, body) \
             SELECT $1, n, $2, $3, $4 FROM (SELECT COUNT(*) + 1 AS n FROM job_events WHERE job_id = $1) AS events \
             WHERE n <= $5",
            job,
            name,
            now,
            body,
            most,
        )?;
        Ok(met == 1)
    }

    /// When a job's first event of this name came.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn event_came(&mut self, job: JobId, name: &str) -> Result<Option<Time>> {
        let sql = "SELECT received FROM job_events WHERE job_id = $1 AND name = $2 ORDER BY number LIMIT 1";
        let found: Option<(Time,)> = row!(self, (Time,), sql, job, name)?;
        Ok(found.map(|(time,)| time))
    }

    /// The bodies of a job's events of one name, in the order of their coming.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn events(&mut self, job: JobId, name: &str) -> Result<Vec<String>> {
        if self.known.silent.contains(&job) {
            return Ok(Vec::new());
        }
        let found: Vec<(String,)> = rows!(
            self,
            (String,),
            "SELECT body FROM job_events WHERE job_id = $1 AND name = $2 ORDER BY number",
            job,
            name,
        )?;
        Ok(found.into_iter().map(|(body,)| body).collect())
    }

    /// Names and bodies of all events of a job, in the order of their coming.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn all_events(&mut self, job: JobId) -> Result<Vec<(String, String)>> {
        rows!(self, (String, String), "SELECT name, body FROM job_events WHERE job_id = $1 ORDER BY number", job)
    }

    /// The value of one output in one run, from the newest attempt that wrote it; of an action that was carried over
    /// the one that it wrote where it ran. The places are the plan's.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn output_of(
        &mut self,
        run: RunId,
        places: (usize, usize, usize),
        output: &Output,
    ) -> Result<Option<String>> {
        let (stage, action, job) = places;
        let found: Option<(String,)> = row!(
            self,
            (String,),
            "SELECT o.value FROM actions a JOIN attempts t ON t.action_id = COALESCE(a.carried_from, a.id) \
             JOIN jobs j ON j.attempt_id = t.id JOIN outputs o ON o.job_id = j.id \
             WHERE a.run_id = $1 AND a.stage = $2 AND a.place = $3 AND j.place = $4 AND o.name = $5 \
             ORDER BY t.number DESC LIMIT 1",
            run,
            column(stage),
            column(action),
            column(job),
            &output.key,
        )?;
        Ok(found.map(|(value,)| value))
    }
}
