//! Hides secrets once more in whatever agents say, before any of it is kept. Agents have hidden them already, so there is
//! nothing to do but after a mistake of theirs, or where one is not what it says it is.
//!
//! What is hidden are the secrets that any job of the run gets, for what one job writes others may say again. They are read
//! when a run is first heard of. What a job was given is kept for its run as it was given, so that it stays hidden when the
//! secret is replaced or removed and the server starts again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Engine, EngineError, Result,
    secret::{Given, around},
    settle::Place,
};
use crate::{
    agent::{
        mask::Masks,
        protocol::{CHUNK_TEXT_MAX, Cause, EndRecord},
    },
    model::{Annotation, AttemptId, Report, RunId, SecretScope},
    store::{ChunkRow, NewChunk, RunRow, Tx},
};

/// So many runs are remembered; what is forgotten is read again.
const RUNS_MAX: usize = 256;
/// The same of their attempts.
const ATTEMPTS_MAX: usize = 4096;
/// Fast, as agents have it.
const ZSTD_LEVEL: i32 = 1;

/// Whether a chunk begins with a line or within one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Line {
    Begins,
    GoesOn,
}

/// What is to be hidden of whom.
#[derive(Default)]
pub(super) struct Hidden {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    runs: BTreeMap<RunId, OfRun>,
    attempts: BTreeMap<AttemptId, RunId>,
}

#[derive(Clone, Default)]
struct OfRun {
    values: Vec<SecretString>,
    masks: Arc<Masks>,
    /// How many rows of what the run's jobs were given are among them.
    given: i64,
}

impl OfRun {
    /// With what it has not yet.
    fn add(&mut self, values: impl Iterator<Item = SecretString>) {
        let before = self.values.len();
        for value in values {
            if self.values.iter().all(|known| known.expose_secret() != value.expose_secret()) {
                self.values.push(value);
            }
        }
        if self.values.len() > before {
            self.masks = Arc::new(Masks::new(self.values.iter().map(|value| value.expose_secret())));
        }
    }
}

impl Engine {
    /// What must not be kept of an attempt's words.
    pub(super) async fn masks_of(&self, attempt: AttemptId) -> Result<Arc<Masks>> {
        let run = self.hidden.with(|known| known.attempts.get(&attempt).copied());
        if let Some(masks) = run.filter(|_| !self.store.is_shared()).and_then(|run| self.hidden.of(run)) {
            return Ok(masks.1);
        }
        self.masks_within(&mut self.store.read().await?, attempt).await
    }

    /// The same, as `tx` sees it.
    pub(super) async fn masks_within(&self, tx: &mut Tx, attempt: AttemptId) -> Result<Arc<Masks>> {
        let run = self.hidden.with(|known| known.attempts.get(&attempt).copied());
        if let Some(run) = run
            && let Some(masks) = self.still_hidden(tx, run).await?
        {
            return Ok(masks);
        }
        let broken = || EngineError::Broken(format!("attempt {attempt} is of no run"));
        let action = tx.attempt(attempt).await?.ok_or_else(broken)?.action_id;
        let run = tx.action(action).await?.run_id;
        let run = tx.run(run).await?.ok_or_else(broken)?;
        let masks = self.masks_of_run(tx, &run).await?;
        self.hidden.is_of(attempt, run.id);
        Ok(masks)
    }

    /// What must not be kept, or told, of a run.
    pub(super) async fn masks_of_run(&self, tx: &mut Tx, run: &RunRow) -> Result<Arc<Masks>> {
        if let Some(known) = self.still_hidden(tx, run.id).await? {
            return Ok(known);
        }
        let mut of_run = OfRun::default();
        if let Some(grants) = run.grants.as_deref().filter(|grants| !grants.is_empty()) {
            let repository = &run.event.repository;
            let (names, scopes) = (grants.names(), SecretScope::around(repository.forge, &repository.name));
            let rows = around(tx, &scopes).await?;
            let granted = rows.iter().filter(|row| names.contains(&row.name));
            // one that cannot be opened is given to nobody either
            of_run.add(granted.filter_map(|row| self.vault.reveal(row).ok()));
        }
        let given = tx.given_secrets(run.id).await?;
        of_run.given = i64::try_from(given.len()).unwrap_or(i64::MAX);
        of_run.add(given.iter().filter_map(|given| self.vault.reveal(&given.secret).ok()));
        let masks = Arc::clone(&of_run.masks);
        self.hidden.with(|known| {
            forget_old(&mut known.runs, RUNS_MAX);
            known.runs.insert(run.id, of_run);
        });
        Ok(masks)
    }

    /// What is known of a run, if that is all: another server may have given its jobs something since.
    async fn still_hidden(&self, tx: &mut Tx, run: RunId) -> Result<Option<Arc<Masks>>> {
        let Some((given, masks)) = self.hidden.of(run) else { return Ok(None) };
        let is_all = !self.store.is_shared() || tx.count_given_secrets(run).await? == given;
        Ok(is_all.then_some(masks))
    }

    /// From now on these are hidden, too: a job is about to be given them, and they may be others tomorrow.
    pub(super) async fn hide_from_now(&self, tx: &mut Tx, place: &Place, given: &Given) -> Result<()> {
        let run = &place.run;
        self.hidden.is_of(place.attempt.id, run.id);
        for row in &given.rows {
            tx.give_secret(run.id, row, self.now()).await?;
        }
        if !given.rows.is_empty() {
            self.masks_of_run(tx, run).await?;
            let rows = tx.count_given_secrets(run.id).await?;
            self.hidden.with(|known| {
                let known = known.runs.entry(run.id).or_default();
                known.add(given.variables.values().cloned());
                known.given = rows;
            });
        }
        Ok(())
    }

    /// Hides what is left of secrets in a chunk, and in the end of the log before it if one stands across the border.
    /// Each byte becomes a star, so that no offset and no line moves. The text as one zstd frame, if it has changed.
    pub(super) async fn hide_chunk(
        &self,
        tx: &mut Tx,
        masks: &Masks,
        (chunk, line): (&NewChunk<'_>, Line),
        text: &mut [u8],
    ) -> Result<Option<Vec<u8>>> {
        if masks.is_empty() {
            return Ok(None);
        }
        let before = match line {
            Line::Begins => Vec::new(),
            Line::GoesOn => before(tx, chunk, masks.reach()).await?,
        };
        if before.is_empty() && !masks.is_in(text) {
            return Ok(None);
        }
        let from: usize = before.iter().map(|(_, text)| text.len()).sum();
        let mut whole = before.iter().flat_map(|(_, text)| text).copied().collect::<Vec<u8>>();
        whole.extend_from_slice(text);
        let hidden = masks.blot(&mut whole);
        if hidden == 0 {
            return Ok(None);
        }
        let mut at = 0;
        for (row, old) in &before {
            let new = &whole[at..at + old.len()];
            if new != old.as_slice() {
                tx.rewrite_log(row, &pack(new)?).await?;
            }
            at += old.len();
        }
        tracing::warn!(job.id = %chunk.job, bytes = hidden, "an agent let a secret pass into a log");
        tx.log_hides(chunk.job, hidden).await?;
        text.copy_from_slice(&whole[from..]);
        Ok(Some(pack(text)?))
    }
}

impl Hidden {
    /// An attempt is one of this run.
    fn is_of(&self, attempt: AttemptId, run: RunId) {
        self.with(|known| {
            forget_old(&mut known.attempts, ATTEMPTS_MAX);
            known.attempts.insert(attempt, run);
        });
    }

    /// How many rows are known of what a run's jobs were given, and what is to be hidden.
    fn of(&self, run: RunId) -> Option<(i64, Arc<Masks>)> {
        self.with(|known| known.runs.get(&run).map(|run| (run.given, Arc::clone(&run.masks))))
    }

    fn with<T>(&self, of: impl FnOnce(&mut Known) -> T) -> T {
        of(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The chunks before this one that may hold the beginning of a secret which goes on in it, with their texts.
async fn before(tx: &mut Tx, chunk: &NewChunk<'_>, reach: usize) -> Result<Vec<(ChunkRow, Vec<u8>)>> {
    let from = chunk.start.saturating_sub(i64::try_from(reach).unwrap_or(i64::MAX)).max(0);
    let most = i64::try_from(reach).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    for row in tx.chunks_from_offset(chunk.job, from, most).await? {
        let unpacked = row.data.as_deref().and_then(|data| zstd::bulk::decompress(data, CHUNK_TEXT_MAX).ok());
        match unpacked {
            // no secret goes over the end of a line
            Some(text) if text.ends_with(b"\n") => found.clear(),
            Some(text) => found.push((row, text)),
            None => found.clear(),
        }
    }
    Ok(found)
}

fn pack(text: &[u8]) -> Result<Vec<u8>> {
    Ok(zstd::bulk::compress(text, ZSTD_LEVEL)?)
}

fn forget_old<K: Ord, V>(known: &mut BTreeMap<K, V>, most: usize) {
    while known.len() >= most {
        known.pop_first();
    }
}

/// An end record without secrets in what it says.
pub(super) fn record(masks: &Masks, record: &EndRecord) -> EndRecord {
    let mut hidden = record.clone();
    if masks.is_empty() {
        return hidden;
    }
    hidden.result = hidden.result.map(|result| masks.hide_str(&result));
    match &mut hidden.cause {
        Cause::CannotStart { message }
        | Cause::NotKept { message }
        | Cause::NotReady { message }
        | Cause::NotPrepared { message }
        | Cause::Cancelled { by: message } => *message = masks.hide_str(message),
        Cause::Exit { .. } | Cause::Signal { .. } | Cause::TimedOut | Cause::Terminated => {}
    }
    hidden
}

/// A report without secrets in it.
pub(super) fn report(masks: &Masks, report: Report) -> Report {
    if masks.is_empty() {
        return report;
    }
    let hidden = |annotation: Annotation| Annotation {
        title: masks.hide_str(&annotation.title),
        message: masks.hide_str(&annotation.message),
        ..annotation
    };
    let annotations = report.annotations.into_iter().map(hidden);
    Report {
        title: masks.hide_str(&report.title),
        summary: masks.hide_str(&report.summary),
        annotations: annotations.collect(),
        ..report
    }
}
