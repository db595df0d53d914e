//! Takes the reports of a job's tests, and keeps what they say: counts, and the tests that failed. A report ends no job:
//! what is wrong with one is said in words.

use super::{
    Engine, EngineError, Result,
    bundle::{check_bundle, check_entries},
    junit::{Found, Reader},
    problem,
    settle::Place,
    turn::Denied,
};
use crate::{
    agent::protocol::{
        Bundle, EntryKind, NewReports, PART_LENGTH, REPORT_FILES_MAX, REPORT_MAX, REPORT_NOTES_MAX, REPORTS_MAX,
        REPORTS_TAR_MAX, ReportsAnswer,
    },
    model::{Counted, Span},
    store::{Change, JobRow, TestsRow},
};

/// Reports of so many jobs are read at once.
pub(super) const AT_ONCE: usize = 2;

impl Engine {
    /// Keeps what the reports of a job say; the words for its log.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn keep_reports(&self, session: &str, new: &NewReports) -> Result<ReportsAnswer, Denied> {
        let job = self.job_of_session(session).await?;
        // before anything is looked up: what comes several times at once is read once
        let _turn = self.reports_at_once.acquire().await.map_err(std::io::Error::other).map_err(EngineError::from)?;
        check(new).map_err(Denied::Bundle)?;
        let digest = new.bundle.digest();
        if let Some(words) = self.reports_there(&job, &digest).await? {
            return words;
        }
        let reader = self.reader(&job, new).await?;
        let found = self.read_reports(reader, new).await?;
        let tests = TestsRow { job_id: job.id, digest, files: found.files, tests: found.tests, notes: found.notes };
        let mut tx = self.store.write().await?;
        // it may have come twice at once
        if tx.tests(job.id).await?.is_none() {
            let place = Place::of(&mut tx, job.attempt_id).await?;
            tx.insert_tests(&tests, &found.failed).await?;
            tx.ring(Change::Run(place.run.id));
            tx.commit().await?;
        }
        Ok(ReportsAnswer { words: words(&tests) })
    }

    /// What is answered if they have come before.
    async fn reports_there(&self, job: &JobRow, digest: &str) -> Result<Option<Result<ReportsAnswer, Denied>>, Denied> {
        let there = self.store.read().await?.tests(job.id).await?;
        Ok(there.map(|there| match there.digest == digest {
            true => Ok(ReportsAnswer { words: words(&there) }),
            false => Err(Denied::Bundle("it is there already".to_owned())),
        }))
    }

    /// A reader for a job that may bring these.
    async fn reader(&self, job: &JobRow, new: &NewReports) -> Result<Reader, Denied> {
        let denied = |why: &str| Denied::Bundle(why.to_owned());
        let masks = self.masks_of(job.attempt_id).await?;
        let mut tx = self.store.read().await?;
        let place = Place::of(&mut tx, job.attempt_id).await?;
        if job.state.verdict().is_some() || self.job_plan(&place, job)?.reports.is_empty() {
            return Err(denied("nobody asked for it"));
        }
        if !tx.has_put(job.id, &new.bundle).await? {
            return Err(denied("it has parts that this job did not put"));
        }
        Ok(Reader::new(workspace(job, &place), masks))
    }

    /// Reads all files: one at a time, and no more of the tar in memory than a part and a file.
    async fn read_reports(&self, mut reader: Reader, new: &NewReports) -> Result<Found, Denied> {
        new.notes.iter().for_each(|note| reader.note(note));
        let mut tar = Tar { engine: self, bundle: &new.bundle, part: None };
        for entry in &new.entries {
            let EntryKind::File { size, at, .. } = entry.kind else { continue };
            let bytes = tar.read(at, size).await?;
            let path = entry.path.clone();
            let read = tokio::task::spawn_blocking(move || {
                reader.read(&path, &bytes);
                reader
            });
            reader = read.await.map_err(std::io::Error::other).map_err(EngineError::from)?;
        }
        Ok(reader.end())
    }
}

/// The bytes of a bundle's tar, the last part of it in memory: small files stand side by side in one.
struct Tar<'a> {
    engine: &'a Engine,
    bundle: &'a Bundle,
    part: Option<(u64, Vec<u8>)>,
}

impl Tar<'_> {
    async fn read(&mut self, at: u64, size: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        while (bytes.len() as u64) < size {
            let (from, left) = (at + bytes.len() as u64, size - bytes.len() as u64);
            let part = self.part(from / PART_LENGTH).await?;
            let some = part.get((from % PART_LENGTH) as usize..).unwrap_or_default();
            let some = &some[..some.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            if some.is_empty() {
                return Err(EngineError::Broken(format!("a bundle ends before byte {from}")));
            }
            bytes.extend_from_slice(some);
        }
        Ok(bytes)
    }

    async fn part(&mut self, number: u64) -> Result<&[u8]> {
        if self.part.as_ref().is_none_or(|(there, _)| *there != number) {
            let missing = || EngineError::Broken(format!("a bundle has no part {number}"));
            let part = self.bundle.parts.get(usize::try_from(number).unwrap_or(usize::MAX)).ok_or_else(missing)?;
            self.part = Some((number, self.engine.part(part).await?));
        }
        Ok(self.part.as_ref().map_or(&[], |(_, bytes)| bytes.as_slice()))
    }
}

/// What an agent says is a job's word as well: nothing may be more than it can be.
fn check(new: &NewReports) -> Result<(), String> {
    check_bundle(&new.bundle, REPORTS_TAR_MAX)?;
    check_entries(&new.entries, &new.bundle)?;
    let sizes = || {
        new.entries.iter().map(|entry| match entry.kind {
            EntryKind::File { size, .. } => size,
            EntryKind::Directory | EntryKind::Link { .. } => 0,
        })
    };
    let is_too_much = new.entries.len() > REPORT_FILES_MAX
        || new.notes.len() > REPORT_NOTES_MAX
        || sizes().any(|size| size > REPORT_MAX)
        || sizes().sum::<u64>() > REPORTS_MAX;
    if is_too_much { Err("it is more than reports may have".to_owned()) } else { Ok(()) }
}

fn workspace(job: &JobRow, place: &Place) -> problem::Place {
    let repository = place.run.event.repository.name.to_string();
    problem::Place::new(&job.attempt_id.to_string(), repository.rsplit('/').next().unwrap_or_default())
}

/// For the job's log.
fn words(row: &TestsRow) -> Vec<String> {
    let took = if row.tests.millis > 0 { format!(" in {}", Span(row.tests.took())) } else { String::new() };
    let counts = || format!("reports: {}: {}{took}", Counted(row.files, "file"), row.tests);
    let notes = row.notes.iter().map(|note| format!("reports: {note}"));
    (row.files > 0).then(counts).into_iter().chain(notes).collect()
}
