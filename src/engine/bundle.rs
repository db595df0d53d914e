//! What agents put and fetch: parts of bundles, and the artifacts that are made of them. A job fetches only what it was
//! told of, and names only parts that it has put itself: to know a digest is no right to its bytes.

use bytes::Bytes;

use super::{Engine, EngineError, Result, settle::Place, turn::Denied};
use crate::{
    agent::mask::Masks,
    agent::protocol::{
        self, ARTIFACT_ENTRIES_MAX, Bundle, Entry, EntryKind, NewArtifact, PART_LENGTH, PART_SIZE_MAX, REPORTS_TAR_MAX,
    },
    blob::{Blob, Digest},
    model::{ArtifactId, BundleId, Download, JobId, JobPlan, Time},
    store::{ArtifactRow, Change, JobRow, Tx},
};

/// A path on Linux has no more bytes.
const PATH_MAX: usize = 4096;
/// A job may put so much more than its artifacts may have: what it puts anew after a failure, and other bundles.
const PUT_SLACK: u64 = 2;

impl Engine {
    /// Keeps a part that a job puts.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn put_part(&self, session: &str, digest: &str, data: Bytes) -> Result<(), Denied> {
        let job = self.job_of_session(session).await?;
        if job.state.verdict().is_some() {
            return Err(Denied::Bundle("the job has ended".to_owned()));
        }
        if data.len() > PART_SIZE_MAX || Digest::of(&data).to_string() != digest {
            return Err(Denied::Bundle("the part does not match its digest".to_owned()));
        }
        let put = self.store.read().await?.put_size(job.id).await?;
        let most = self.settings.artifact_limit.max(self.settings.cache_limit).max(REPORTS_TAR_MAX);
        if put > most.saturating_mul(PUT_SLACK) {
            return Err(Denied::Bundle("the job has put more than it may".to_owned()));
        }
        let size = data.len() as u64;
        // until the row names it nobody else knows that the blob is needed
        let _kept = self.blobs.keep().await;
        let put = self.blobs.put_stream(futures::stream::iter([Ok(data)])).await.map_err(EngineError::from)?;
        let mut tx = self.store.write().await?;
        self.wanted(&mut tx, put).await?;
        tx.part_put(job.id, digest, size).await?;
        Ok(tx.commit().await?)
    }

    /// A part that this job was told of.
    ///
    /// # Errors
    /// [`Denied`].
    pub(super) async fn part_of(&self, job: JobId, digest: &str) -> Result<Option<Blob>, Denied> {
        let Ok(name) = digest.parse::<Digest>() else { return Ok(None) };
        if !self.store.read().await?.may_fetch(job, digest).await? {
            return Ok(None);
        }
        Ok(self.blobs.get(name).await.map_err(EngineError::from)?)
    }

    /// Keeps an artifact of a job.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn keep_artifact(&self, session: &str, new: &NewArtifact) -> Result<(), Denied> {
        let now = self.now();
        let job = self.job_of_session(session).await?;
        check(new, self.settings.artifact_limit).map_err(Denied::Bundle)?;
        let masks = self.masks_of(job.attempt_id).await?;
        if new.entries.iter().any(|entry| has_secret(&masks, entry)) {
            return Err(Denied::Bundle("a file's name, or where a link leads, has a secret in it".to_owned()));
        }
        let listing = listing(&new.entries).await?;
        let _kept = self.blobs.keep().await;
        let listing = self.blobs.put_stream(futures::stream::iter([Ok(listing)])).await.map_err(EngineError::from)?;
        let mut tx = self.store.write().await?;
        self.wanted(&mut tx, listing).await?;
        let digest = new.bundle.digest();
        if let Some(there) = tx.artifact(job.id, &new.name).await? {
            // it says it again; or its attempt was given up, and says something else
            return if there.digest == digest { Ok(()) } else { Err(Denied::Bundle("it is there already".to_owned())) };
        }
        let artifact = self.artifact(&mut tx, &job, new, listing, now).await?;
        let size = new.bundle.parts.iter().map(|part| part.size).sum::<u64>().cast_signed();
        let place = Place::of(&mut tx, job.attempt_id).await?;
        let of = tx.repository(place.run.repository_id).await?;
        Self::make_room(&mut tx, &of, size).await?.map_err(Denied::Bundle)?;
        tx.insert_artifact(&artifact).await?;
        let run = place.run;
        if tx.artifacts_length(run.id).await? > self.settings.artifact_limit.saturating_mul(ARTIFACTS_OF_RUN) {
            return Err(Denied::Bundle(format!(
                "the run's artifacts have more than {ARTIFACTS_OF_RUN} times the limit"
            )));
        }
        tx.ring(Change::Run(run.id));
        Ok(tx.commit().await?)
    }

    async fn artifact(
        &self,
        tx: &mut Tx,
        job: &JobRow,
        new: &NewArtifact,
        listing: Digest,
        now: Time,
    ) -> Result<ArtifactRow, Denied> {
        let place = Place::of(tx, job.attempt_id).await?;
        let planned = self.job_plan(&place, job)?.artifacts.iter().find(|artifact| artifact.name == new.name);
        let Some(planned) = planned.filter(|_| job.state.verdict().is_none()) else {
            return Err(Denied::Bundle("nobody asked for it".to_owned()));
        };
        let bundle = BundleId::mint(now);
        let files = files(&new.entries);
        if !tx.insert_bundle(bundle, job.id, &new.bundle, files).await? {
            return Err(Denied::Bundle("it has parts that this job did not put".to_owned()));
        }
        Ok(ArtifactRow {
            id: ArtifactId::mint(now),
            job_id: job.id,
            name: new.name.clone(),
            digest: new.bundle.digest(),
            bundle_id: Some(bundle),
            listing: Some(listing.to_string()),
            length: new.bundle.length.cast_signed(),
            files: files.cast_signed(),
            created: now,
            expires: now.after(planned.keep.unwrap_or(self.settings.artifact_keep)),
        })
    }

    /// The artifacts that a job is to bring, with the right to fetch them; or why one that it needs is not there.
    pub(super) async fn downloads(
        &self,
        tx: &mut Tx,
        place: &Place,
        plan: &JobPlan,
        job: JobId,
    ) -> Result<Result<Vec<protocol::Download>, String>> {
        let mut found = Vec::new();
        for wanted in &plan.downloads {
            match self.download(tx, place, wanted, job).await? {
                Ok(download) => found.push(download),
                Err(_) if wanted.optional => {}
                Err(words) => return Ok(Err(words)),
            }
        }
        Ok(Ok(found))
    }

    async fn download(
        &self,
        tx: &mut Tx,
        place: &Place,
        wanted: &Download,
        job: JobId,
    ) -> Result<Result<protocol::Download, String>> {
        let Some(places) = place.flow()?.find(&wanted.from) else { return Ok(Err(missing(wanted, "left no"))) };
        let Some(artifact) = tx.artifact_of(place.run.id, places, &wanted.name).await? else {
            return Ok(Err(missing(wanted, "left no")));
        };
        let Some(id) = artifact.bundle_id else { return Ok(Err(missing(wanted, "has no longer an"))) };
        let broken = || EngineError::Broken(format!("artifact {} has no bundle", artifact.id));
        let bundle = tx.bundle(id).await?.ok_or_else(broken)?;
        tx.grant(job, id).await?;
        let (name, to) = (wanted.name.clone(), wanted.to.clone());
        Ok(Ok(protocol::Download { name, from: wanted.from.to_string(), to, bundle }))
    }
}

/// All artifacts of a run together may have so many times what one may.
const ARTIFACTS_OF_RUN: u64 = 4;

fn missing(wanted: &Download, left: &str) -> String {
    format!(
        "{} {left} artifact {}, which it takes; with `optional: true` it would run without",
        wanted.from, wanted.name
    )
}

fn files(entries: &[Entry]) -> u64 {
    entries.iter().filter(|entry| !matches!(entry.kind, EntryKind::Directory)).count() as u64
}

/// What an agent says of an artifact is a job's word as well: nothing in it may be more than it can be.
fn check(new: &NewArtifact, limit: u64) -> Result<(), String> {
    check_bundle(&new.bundle, limit)?;
    if new.entries.len() as u64 > ARTIFACT_ENTRIES_MAX {
        return Err(format!("it has more than {ARTIFACT_ENTRIES_MAX} files"));
    }
    check_entries(&new.entries, &new.bundle)
}

/// Whether a bundle may have these entries.
pub(super) fn check_entries(entries: &[Entry], bundle: &Bundle) -> Result<(), String> {
    for Entry { path, kind } in entries {
        let clean = path.len() <= PATH_MAX && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let inside = match kind {
            EntryKind::File { size, at, .. } => at.checked_add(*size).is_some_and(|end| end <= bundle.length),
            EntryKind::Directory => true,
            EntryKind::Link { to } => to.len() <= PATH_MAX,
        };
        if !clean || !inside {
            return Err(format!("it has an entry that cannot be: {}", path.chars().take(200).collect::<String>()));
        }
    }
    Ok(())
}

/// Lists of files are pages.
fn has_secret(masks: &Masks, Entry { path, kind }: &Entry) -> bool {
    let to = match kind {
        EntryKind::Link { to } => to.as_str(),
        EntryKind::File { .. } | EntryKind::Directory => "",
    };
    masks.is_in(path.as_bytes()) || masks.is_in(to.as_bytes())
}

/// Whether a bundle fits itself, and the limit.
pub(super) fn check_bundle(bundle: &Bundle, limit: u64) -> Result<(), String> {
    if bundle.length > limit {
        return Err(format!("it has more than {limit} bytes, which is the most"));
    }
    let sized = bundle.parts.iter().all(|part| part.size <= PART_SIZE_MAX as u64);
    if bundle.parts.len() as u64 != Bundle::parts_of(bundle.length) || !sized {
        return Err(format!("its parts are not those of a bundle, {PART_LENGTH} bytes each"));
    }
    Ok(())
}

/// The list of files as it is stored.
async fn listing(entries: &[Entry]) -> Result<Bytes> {
    let json = serde_json::to_vec(entries).map_err(std::io::Error::other)?;
    let packed = tokio::task::spawn_blocking(move || zstd::bulk::compress(&json, 3)).await;
    Ok(Bytes::from(packed.map_err(std::io::Error::other)??))
}
