//! The log of a job that has no agent: the server writes its lines itself, and its end record.

use sha2::{Digest as _, Sha256};

use crate::{
    agent::protocol::{Cause, Chores, Chunk, EndRecord, LogSeal, Piece, Stream},
    engine::{Engine, EngineError, Result, log::length_of},
    model::{JobId, Time, Verdict},
    store::{NewChunk, Tx},
};

/// A line longer than this tells nobody more.
const LINE_MAX: usize = 4000;

/// Appends lines to a job's log, in the transaction of what they tell of.
pub(in crate::engine) async fn append(tx: &mut Tx, job: JobId, lines: &[String], now: Time) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let row = tx.job(job).await?.ok_or_else(|| EngineError::Broken(format!("job {job} vanished")))?;
    let text = text_of(lines);
    let (newlines, length) = (lines.len() as i64, text.len() as i64);
    let piece = Piece { length: text.len() as u64, time: now, stream: Stream::Out };
    let body = Chunk { pieces: vec![piece], text }.encode();
    let body = body.map_err(|error| EngineError::Broken(format!("a log's lines: {error}")))?;
    let (pieces, data) = Chunk::parts(&body).map_err(|error| EngineError::Broken(error.to_string()))?;
    let start = length_of(&row).cast_signed();
    let chunk = NewChunk { job, start, length, newlines, open: false, pieces, data };
    match tx.append_log(&chunk).await? {
        true => Ok(()),
        false => Err(EngineError::Broken(format!("the log of job {job} does not end where it did"))),
    }
}

/// The record of a job's end, whose log will end with these lines: what an agent would have made.
pub(in crate::engine) async fn record(
    engine: &Engine,
    job: JobId,
    lines: &[String],
    verdict: &Verdict,
    now: Time,
) -> Result<EndRecord> {
    let (mut sha256, mut length, mut newlines) = (Sha256::new(), 0, 0);
    while let Some(frame) = engine.frame_at_offset(job, length).await? {
        sha256.update(&frame.text);
        length = frame.end();
        newlines += memchr::memchr_iter(b'\n', &frame.text).count() as u64;
    }
    let text = text_of(lines);
    sha256.update(&text);
    let log = LogSeal {
        length: length + text.len() as u64,
        lines: newlines + lines.len() as u64,
        sha256: hex::encode(sha256.finalize()),
        ..LogSeal::default()
    };
    let row = engine.store.read().await?.job(job).await?;
    Ok(EndRecord {
        job,
        cause: cause(verdict),
        started: row.and_then(|row| row.started),
        ended: now,
        result: None,
        memory_peak: None,
        memory_limit: None,
        oom_kills: 0,
        log,
        ready: None,
        chores: Chores::default(),
    })
}

fn cause(verdict: &Verdict) -> Cause {
    if matches!(verdict, Verdict::Success { .. }) {
        return Cause::Exit { code: 0 };
    }
    if let Verdict::Cancelled { by } = verdict {
        return Cause::Cancelled { by: by.clone() };
    }
    match matches!(verdict, Verdict::TimedOut { .. }) {
        true => Cause::TimedOut,
        false => Cause::CannotStart { message: verdict.to_string() },
    }
}

/// One line each, whatever the cluster's words have in them.
fn text_of(lines: &[String]) -> Vec<u8> {
    let line = |line: &String| {
        let plain = line.trim_end().replace(['\n', '\r'], " ");
        let cut: String = plain.chars().take(LINE_MAX).collect();
        cut + "\n"
    };
    lines.iter().map(line).collect::<String>().into_bytes()
}
