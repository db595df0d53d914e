//! Logs grow, chunk by chunk, as agents send them; and what is known of an end that comes late.

use super::{Engine, Result, hide, log::length_of, turn::Denied};
use crate::{
    agent::protocol::{Chunk, EndRecord, LogAnswer},
    executor::ContainerEnd,
    model::AttemptId,
    store::{JobRow, NewChunk, Tx},
};

/// What a log may have over its limit: the agent's own line about what it left out, and lines that it only ends.
const SLACK: u64 = 64 << 10;

impl Engine {
    /// Appends to a job's log; what the log has already is not appended again. A log grows after the job's verdict,
    /// too, as long as it is not sealed: what an agent says late is better late than lost.
    ///
    /// What is over the log's limit is taken and thrown away, so that the job goes on: our own agents keep to the limit,
    /// but older ones do not know it, and hostile ones do not mind. The log's page says so.
    ///
    /// # Errors
    /// [`Denied`]; [`Denied::Gap`] says from where to send.
    pub async fn append_log(&self, session: &str, offset: u64, body: &[u8]) -> Result<LogAnswer, Denied> {
        let job = self.job_of_session(session).await?;
        let (index, frame) = Chunk::parts(body)?;
        let mut chunk = Chunk::decode(body)?;
        let end = offset.saturating_add(chunk.text.len() as u64);
        if job.log_over > 0 || is_told(&job, end) || end <= length_of(&job) {
            return Ok(LogAnswer { length: length_of(&job).max(end) });
        }
        let masks = self.masks_of(job.attempt_id).await?;
        let mut tx = self.store.write().await?;
        if offset <= length_of(&job) && end > self.longest(&job) {
            tx.log_is_over(job.id).await?;
            tx.commit().await?;
            return Ok(LogAnswer { length: end });
        }
        let mut new = NewChunk {
            job: job.id,
            start: i64::try_from(offset).unwrap_or(i64::MAX),
            length: i64::try_from(chunk.text.len()).unwrap_or(i64::MAX),
            newlines: i64::try_from(memchr::memchr_iter(b'\n', &chunk.text).count()).unwrap_or(i64::MAX),
            open: chunk.text.last() != Some(&b'\n'),
            pieces: index,
            data: frame,
        };
        let line = if job.log_open > 0 { hide::Line::GoesOn } else { hide::Line::Begins };
        let hidden = self.hide_chunk(&mut tx, &masks, (&new, line), &mut chunk.text).await?;
        new.data = hidden.as_deref().unwrap_or(frame);
        if !tx.append_log(&new).await? {
            let now = tx.job(job.id).await?.map_or(0, |job| length_of(&job));
            return Err(Denied::Gap(LogAnswer { length: now }));
        }
        tx.commit().await?;
        Ok(LogAnswer { length: end })
    }

    /// How many bytes a log may have, whatever its agent thinks.
    fn longest(&self, job: &JobRow) -> u64 {
        job.log_limit.map_or(self.settings.log_limit, i64::cast_unsigned).saturating_add(SLACK)
    }

    /// Keeps the record of a job that had its verdict without it, for what it says of the log.
    pub(super) async fn note_late_record(&self, tx: &mut Tx, job: &JobRow, record: &EndRecord) -> Result<()> {
        match &job.record {
            None => Ok(tx.keep_record(job.id, record).await?),
            Some(_) => Ok(()),
        }
    }

    /// Keeps the records that containers left behind, for what they say of the logs.
    pub(super) async fn keep_records(&self, attempt: AttemptId, containers: &[ContainerEnd]) -> Result<()> {
        let masks = self.masks_of(attempt).await?;
        let mut tx = self.store.write().await?;
        for job in tx.jobs(attempt).await?.iter().filter(|job| job.record.is_none()) {
            let container = containers.iter().find(|end| end.job == job.id);
            let record = container.and_then(|end| end.end_record.as_deref());
            if let Some(record) = record.and_then(|text| super::watch::record_of(text, job)) {
                let record = hide::record(&masks, &record);
                tx.keep_record(job.id, &record).await?;
                if let Some(at) = record.ready.filter(|_| job.is_service()) {
                    tx.service_ready(job.id, at).await?;
                }
            }
        }
        Ok(tx.commit().await?)
    }
}

/// Whether nothing up to `end` is wanted any more: the log is sealed, or its agent has told that it ends before.
fn is_told(job: &JobRow, end: u64) -> bool {
    job.log_check.is_some() || job.record.as_ref().is_some_and(|record| end > record.log.length)
}
