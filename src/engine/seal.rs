//! Logs of ended jobs become one blob each: the frames one after another. The rows stay as the index into it.
//!
//! Before that a log is read once more, as anyone else would read it, and what it is found to be is kept with it: its
//! digest, what is missing, and what it says of lines of files. A page says "complete" only by that.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

use super::{
    Engine, Result, fault,
    fold::Folds,
    problem::{Finder, Place, find_files},
    settle,
};
use crate::{
    model::{Fold, JobId, Problem, RunId},
    store::{Check, JobRow},
};

/// How many logs are sealed in one go.
const BATCH: i64 = 16;
/// Logs that are read within this time are sealed together.
const TOGETHER: Duration = Duration::from_millis(100);
/// The most holes of one log that are listed.
const HOLES_MAX: usize = 16;

/// A log that was read and is to be sealed.
struct Sealing {
    job: JobRow,
    run: RunId,
    blob: String,
    check: Check,
    problems: Vec<Problem>,
    folds: Vec<Fold>,
}

impl Engine {
    /// Seals every log that is due: one that grows no more, because its agent has said its last word or is gone. How
    /// many there were.
    ///
    /// # Errors
    /// If the database or the blobs are away; the rows stay then.
    pub async fn seal_logs(&self) -> Result<usize> {
        let due = self.store.read().await?.logs_to_seal(BATCH).await?;
        // until the rows name them nobody else knows that the blobs are needed
        let _kept = self.blobs.keep().await;
        let (mut read, mut sealed, mut began) = (Vec::new(), 0, Instant::now());
        for job in due {
            match self.read_log(job).await {
                Ok(log) => read.push(log),
                Err(error) => {
                    self.seal_lot(&mut read).await?;
                    return Err(error);
                }
            }
            // short ones together; none waits for a long one
            if began.elapsed() > TOGETHER {
                sealed += self.seal_lot(&mut read).await?;
                began = Instant::now();
            }
        }
        Ok(sealed + self.seal_lot(&mut read).await?)
    }

    /// Seals logs that were read: all together, or, if one may not be sealed yet, each alone.
    async fn seal_lot(&self, read: &mut Vec<Sealing>) -> Result<usize> {
        let lot = std::mem::take(read);
        if let Ok(sealed) = self.seal_all(&lot).await {
            return Ok(sealed);
        }
        let mut sealed = 0;
        for log in &lot {
            sealed += self.seal_all(std::slice::from_ref(log)).await?;
        }
        Ok(sealed)
    }

    /// Reads a log as anyone else would, and makes its blob.
    async fn read_log(&self, job: JobRow) -> Result<Sealing> {
        let place = settle::Place::of(&mut self.store.read().await?, job.attempt_id).await?;
        let repository = place.run.event.repository.name.to_string();
        let name = repository.rsplit('/').next().unwrap_or_default();
        let finder = Finder::new(Place::new(&job.attempt_id.to_string(), name));
        let (mut check, mut problems, folds) = self.check(job.id, finder).await?;
        if !problems.is_empty() {
            let names = self.mirrors.names(&place.run.event.repository, &place.run.sha).await;
            // without them remarks stay where the tools have put them
            find_files(&mut problems, &names.unwrap_or_default());
        }
        check.fault = self.fault(&job).await?;
        let blob = match &job.log_blob {
            Some(blob) => blob.clone(),
            None => self.blob_of(job.id).await?,
        };
        Ok(Sealing { job, run: place.run.id, blob, check, problems, folds })
    }

    /// Writes down what logs were found to be, in one transaction, and settles each of their runs once. How many were
    /// sealed: one that has grown meanwhile is not, and its time comes again.
    async fn seal_all(&self, logs: &[Sealing]) -> Result<usize> {
        if logs.is_empty() {
            return Ok(0);
        }
        let mut tx = self.store.write().await?;
        tx.put_off_settling();
        let mut count = 0;
        for Sealing { job, run, blob, check, problems, folds } in logs {
            if let Ok(digest) = blob.parse() {
                self.wanted(&mut tx, digest).await?;
            }
            if !tx.seal_log(job, blob, check).await? {
                continue;
            }
            count += 1;
            if !problems.is_empty() {
                tx.keep_problems(job.id, problems).await?;
            }
            if !folds.is_empty() {
                tx.keep_folds(job.id, folds).await?;
            }
            // what waited for the last log to be read can be told now
            tx.settles_later(*run);
        }
        let unsettled = tx.unsettled();
        self.settle_several(&mut tx, unsettled, self.now()).await?;
        tx.commit().await?;
        Ok(count)
    }

    /// What a log is, by reading all of it: a part at a time, so that a log of any size takes the memory of one.
    async fn check(&self, job: JobId, mut finder: Finder) -> Result<(Check, Vec<Problem>, Vec<Fold>)> {
        let (mut sha256, mut folds) = (Sha256::new(), Folds::default());
        let (mut at, mut holes) = (0, Vec::<[u64; 2]>::new());
        while let Some(frame) = self.frame_at_offset(job, at).await? {
            sha256.update(&frame.text);
            finder.read(&frame.text);
            folds.read(&frame);
            if frame.is_hole {
                note(&mut holes, at, frame.end());
            }
            at = frame.end();
        }
        Ok((Check { sha256: hex::encode(sha256.finalize()), holes, fault: None }, finder.end(), folds.end()))
    }

    /// The line of a failed job's log that people look for.
    async fn fault(&self, job: &JobRow) -> Result<Option<u64>> {
        let failed = job.state.verdict().is_some_and(|verdict| !verdict.conclusion().lets_go_on());
        if !failed {
            return Ok(None);
        }
        Ok(self.scan(job.id, fault::After(0), None).await?.found.line())
    }

    /// Makes one blob of a log's frames.
    async fn blob_of(&self, job: JobId) -> Result<String> {
        let mut file = tempfile::NamedTempFile::new_in(&self.settings.scratch)?;
        let mut offset = 0;
        loop {
            let chunks = self.store.read().await?.chunks_from_offset(job, offset, 1).await?;
            let Some(chunk) = chunks.into_iter().next() else { break };
            let mut frame = chunk.data.unwrap_or_default();
            // frames are found by the sizes of those before them, also of one that is damaged
            frame.resize(usize::try_from(chunk.size).unwrap_or(0), 0);
            file.write_all(&frame)?;
            offset = chunk.start + chunk.length;
        }
        file.flush()?;
        Ok(self.blobs.put_file(file.path()).await?.to_string())
    }
}

/// Adds a hole, or makes the last one larger.
fn note(holes: &mut Vec<[u64; 2]>, from: u64, to: u64) {
    if let Some(last) = holes.last_mut().filter(|last| last[1] == from) {
        last[1] = to;
    } else if holes.len() < HOLES_MAX {
        holes.push([from, to]);
    }
}
