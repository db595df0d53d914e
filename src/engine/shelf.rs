//! Reads artifacts: lists of files, and any bytes of a tar. A part at a time, each checked before a byte of it is given.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::{Stream, TryStreamExt as _, stream};

use super::{Engine, EngineError, Result};
use crate::{
    agent::protocol::{Bundle, Entry, PART_LENGTH, PART_SIZE_MAX, Part},
    blob::Digest,
    store::ArtifactRow,
};

/// A list of as many files as there may be, with the longest names.
const LISTING_MAX: usize = 512 << 20;

impl Engine {
    /// What is in an artifact; `None` once it has expired.
    ///
    /// # Errors
    /// If its list is away or damaged.
    pub async fn entries_of(&self, artifact: &ArtifactRow) -> Result<Option<Vec<Entry>>> {
        let Some(listing) = &artifact.listing else { return Ok(None) };
        let data = self.whole_blob(listing, usize::MAX).await?;
        let entries = tokio::task::spawn_blocking(move || {
            let json = zstd::bulk::Decompressor::upper_bound(&data).unwrap_or(LISTING_MAX).min(LISTING_MAX);
            Ok::<_, EngineError>(
                serde_json::from_slice(&zstd::bulk::decompress(&data, json)?).map_err(std::io::Error::other)?,
            )
        });
        Ok(Some(entries.await.map_err(std::io::Error::other)??))
    }

    /// The bundle of an artifact; `None` once it has expired.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn bundle_of(&self, artifact: &ArtifactRow) -> Result<Option<Bundle>> {
        match artifact.bundle_id {
            Some(id) => Ok(self.store.read().await?.bundle(id).await?),
            None => Ok(None),
        }
    }

    /// These bytes of a bundle's tar.
    pub fn tar_of(&self, bundle: Bundle, bytes: Range<u64>) -> impl Stream<Item = Result<Bytes>> + Send + use<> {
        stream::try_unfold((self.clone(), bundle, bytes), async |(engine, bundle, bytes)| {
            if bytes.is_empty() {
                return Ok(None);
            }
            let number = bytes.start / PART_LENGTH;
            let begin = number * PART_LENGTH;
            let missing = || EngineError::Broken(format!("a bundle has no part {number}"));
            let part = bundle.parts.get(usize::try_from(number).unwrap_or(usize::MAX)).ok_or_else(missing)?;
            let data = engine.part(part).await?;
            let end = bytes.end.min(begin + data.len() as u64);
            let (from, to) = ((bytes.start - begin) as usize, end.saturating_sub(begin) as usize);
            let some = data.get(from..to).filter(|some| !some.is_empty()).ok_or_else(missing)?;
            Ok(Some((Bytes::copy_from_slice(some), (engine, bundle, end..bytes.end))))
        })
    }

    pub(super) async fn part(&self, part: &Part) -> Result<Vec<u8>> {
        let data = self.whole_blob(&part.digest, PART_SIZE_MAX).await?;
        let part = part.clone();
        let opened = tokio::task::spawn_blocking(move || part.open(&data)).await;
        Ok(opened.map_err(std::io::Error::other)??)
    }

    /// A small blob.
    async fn whole_blob(&self, digest: &str, most: usize) -> Result<Bytes> {
        let broken = || EngineError::Broken(format!("blob {digest} is not there, or is too large"));
        let name: Digest = digest.parse().map_err(|_| broken())?;
        let blob = self.blobs.get(name).await?.filter(|blob| blob.length <= most as u64).ok_or_else(broken)?;
        let data: BytesMut = blob.bytes.try_collect().await?;
        Ok(data.freeze())
    }
}
