//! Attempts and their jobs: pods and their containers.

use super::{Change, Check, Json, Result, Tx, execute, meant, row, rows, run::column};
use crate::{
    agent::protocol::{EndRecord, Held},
    model::{ActionId, AttemptId, AttemptState, JobId, JobState, Output, RunId, Time},
};

/// One attempt at an action.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct AttemptRow {
    /// Ours, and the pod's name.
    pub id: AttemptId,
    /// Whose.
    pub action_id: ActionId,
    /// Counts from 1.
    pub number: i64,
    /// Where it was placed.
    pub executor: String,
    /// How far it is.
    pub state: Json<AttemptState>,
    /// When it was decided.
    pub created: Time,
    /// When the executor took it.
    pub placed: Option<Time>,
    /// When its containers were first seen to run, if no agent was heard before.
    pub ran: Option<Time>,
    /// When its first job started.
    pub started: Option<Time>,
    /// When its last job ended.
    pub ended: Option<Time>,
}

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
    /// What its agent held back of the log when it was heard last.
    pub log_held: Option<Json<Held>>,
    /// What the log was found to be when it was sealed.
    pub log_check: Option<Json<Check>>,
    /// The last lines of a failed job, for reports.
    pub tail: Json<Tail>,
}

/// The end of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tail {
    /// The number of its first line, from 1.
    pub line: i64,
    /// Plain text, without colours.
    pub lines: Vec<String>,
}

impl JobRow {
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
    /// Begins an attempt: its row and its jobs' rows, and the action counts it.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn insert_attempt(
        &mut self,
        action: ActionId,
        attempt: AttemptId,
        executor: &str,
        jobs: &[NewJob],
        now: Time,
    ) -> Result<()> {
        let met = execute!(self, "UPDATE actions SET attempts = attempts + 1 WHERE id = $1", action)?;
        meant("an action's attempts", 1, met)?;
        execute!(
            self,
            "INSERT INTO attempts (id, action_id, number, executor, phase, state, created) \
             VALUES ($1, $2, (SELECT attempts FROM actions WHERE id = $2), $3, $4, $5, $6)",
            attempt,
            action,
            executor,
            AttemptState::Starting.phase(),
            Json(AttemptState::Starting),
            now,
        )?;
        for (place, job) in jobs.iter().enumerate() {
            execute!(
                self,
                "INSERT INTO jobs (id, attempt_id, place, phase, state, token_hash, log_length, log_newlines, log_open, \
                 tail) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, $7)",
                job.id,
                attempt,
                column(place),
                JobState::Waiting.phase(),
                Json(JobState::Waiting),
                &job.token_hash,
                Json(Tail::default()),
            )?;
        }
        Ok(())
    }

    /// An action's newest attempt.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn newest_attempt(&mut self, action: ActionId) -> Result<Option<AttemptRow>> {
        row!(self, AttemptRow, "SELECT * FROM attempts WHERE action_id = $1 ORDER BY number DESC LIMIT 1", action)
    }

    /// An action's attempts, first to last.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn attempts(&mut self, action: ActionId) -> Result<Vec<AttemptRow>> {
        rows!(self, AttemptRow, "SELECT * FROM attempts WHERE action_id = $1 ORDER BY number", action)
    }

    /// All attempts at a run's actions, of each first to last; those of one that was carried over are those of where
    /// it ran.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn attempts_of_run(&mut self, run: RunId) -> Result<Vec<AttemptRow>> {
        rows!(
            self,
            AttemptRow,
            "SELECT t.* FROM actions a JOIN attempts t ON t.action_id = COALESCE(a.carried_from, a.id) \
             WHERE a.run_id = $1 ORDER BY t.action_id, t.number",
            run,
        )
    }

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

    /// One attempt.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn attempt(&mut self, id: AttemptId) -> Result<Option<AttemptRow>> {
        row!(self, AttemptRow, "SELECT * FROM attempts WHERE id = $1", id)
    }

    /// Attempts that have ended and of which the executor may still hold something.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn ended_attempts(&mut self) -> Result<Vec<AttemptRow>> {
        rows!(self, AttemptRow, "SELECT * FROM attempts WHERE phase = 'ended' ORDER BY id LIMIT 64")
    }

    /// An attempt moved on; it never moves back.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if there is no such attempt.
    pub async fn set_attempt_state(&mut self, id: AttemptId, state: &AttemptState, now: Time) -> Result<()> {
        let (started, ended) = match state {
            AttemptState::Starting | AttemptState::Removed => (None, None),
            AttemptState::Running => (Some(now), None),
            AttemptState::Ended => (None, Some(now)),
        };
        let met = execute!(
            self,
            "UPDATE attempts SET phase = $2, state = $3, started = COALESCE(started, $4), ended = COALESCE(ended, $5) \
             WHERE id = $1",
            id,
            state.phase(),
            Json(state),
            started,
            ended,
        )?;
        self.ring(Change::Attempt(id));
        meant("an attempt moves", 1, met)
    }

    /// The executor took an attempt.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn attempt_placed(&mut self, id: AttemptId, now: Time) -> Result<()> {
        let met = execute!(self, "UPDATE attempts SET placed = COALESCE(placed, $2) WHERE id = $1", id, now)?;
        meant("an attempt is placed", 1, met)
    }

    /// An attempt's containers run.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn attempt_ran(&mut self, id: AttemptId, now: Time) -> Result<()> {
        let met = execute!(self, "UPDATE attempts SET ran = COALESCE(ran, $2) WHERE id = $1", id, now)?;
        meant("an attempt runs", 1, met)
    }

    /// The executor has seen something of an attempt: if it has not ended, whoever drives its action should look now.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn hurry_attempt(&mut self, attempt: AttemptId, now: Time) -> Result<()> {
        execute!(
            self,
            "UPDATE actions SET due = $2 WHERE phase IN ('queued', 'running') AND due > $2 AND id IN \
             (SELECT action_id FROM attempts WHERE id = $1 AND phase IN ('starting', 'running'))",
            attempt,
            now,
        )?;
        Ok(())
    }

    /// The same for all attempts that have not ended.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn hurry_attempts(&mut self, now: Time) -> Result<()> {
        execute!(
            self,
            "UPDATE actions SET due = $1 WHERE phase IN ('queued', 'running') AND due > $1 AND id IN \
             (SELECT action_id FROM attempts WHERE phase IN ('starting', 'running'))",
            now,
        )?;
        Ok(())
    }

    /// An attempt's jobs, in order.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn jobs(&mut self, attempt: AttemptId) -> Result<Vec<JobRow>> {
        rows!(self, JobRow, "SELECT * FROM jobs WHERE attempt_id = $1 ORDER BY place", attempt)
    }

    /// One job.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn job(&mut self, id: JobId) -> Result<Option<JobRow>> {
        row!(self, JobRow, "SELECT * FROM jobs WHERE id = $1", id)
    }

    /// The job whose agent may claim with this token.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn job_by_token(&mut self, hash: &str) -> Result<Option<JobRow>> {
        row!(self, JobRow, "SELECT * FROM jobs WHERE token_hash = $1", hash)
    }

    /// The job whose agent has this session.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn job_by_session(&mut self, hash: &str) -> Result<Option<JobRow>> {
        row!(self, JobRow, "SELECT * FROM jobs WHERE session_hash = $1", hash)
    }

    /// Binds a job to its agent's session, unless another has it. True if the session has it now.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn bind_session(&mut self, job: JobId, hash: &str, now: Time) -> Result<bool> {
        let met = execute!(
            self,
            "UPDATE jobs SET session_hash = $2, heard = $3 \
             WHERE id = $1 AND (session_hash IS NULL OR session_hash = $2)",
            job,
            hash,
            now,
        )?;
        Ok(met == 1)
    }

    /// A job moved. An ended job stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if it has ended.
    pub async fn set_job_state(&mut self, id: JobId, state: &JobState, now: Time) -> Result<()> {
        let started = (*state == JobState::Running).then_some(now);
        let ended = state.verdict().map(|_| now);
        let met = execute!(
            self,
            "UPDATE jobs SET phase = $2, state = $3, started = COALESCE(started, $4), ended = $5 \
             WHERE id = $1 AND phase <> 'ended'",
            id,
            state.phase(),
            Json(state),
            started,
            ended,
        )?;
        self.ring(Change::Log(id));
        meant("a job moves", 1, met)
    }

    /// Keeps the agent's record of the end.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_record(&mut self, id: JobId, record: &EndRecord) -> Result<()> {
        let met = execute!(self, "UPDATE jobs SET record = $2 WHERE id = $1", id, Json(record))?;
        meant("an end record", 1, met)
    }

    /// Keeps the end of a failed job's log.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_tail(&mut self, id: JobId, tail: &Tail) -> Result<()> {
        let met = execute!(self, "UPDATE jobs SET tail = $2 WHERE id = $1", id, Json(tail))?;
        meant("a log's tail", 1, met)
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

    /// The bodies of a job's events of one name, in the order of their coming.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn events(&mut self, job: JobId, name: &str) -> Result<Vec<String>> {
        let found: Vec<(String,)> = rows!(
            self,
            (String,),
            "SELECT body FROM job_events WHERE job_id = $1 AND name = $2 ORDER BY number",
            job,
            name,
        )?;
        Ok(found.into_iter().map(|(body,)| body).collect())
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
