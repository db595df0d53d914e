//! Blobs: the big things (logs, snapshots of sources, caches, artifacts), each named by the SHA-256 of its bytes.
//!
//! What is promised: a blob is there wholly or not at all; once [`Blobs::put_stream`] has returned it survives a power
//! cut; putting the same bytes again changes nothing; and bytes that no longer match their name are never passed off
//! as good. Blobs are streamed, so memory does not grow with their size.

mod digest;
mod open;

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::{GetResult, GetResultPayload, ObjectStore, ObjectStoreExt, WriteMultipart, path};
use sha2::Digest as _;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio_util::io::ReaderStream;

pub use digest::{Digest, DigestError};
pub use open::{Keys, S3};

/// A place that holds blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// Where uploads of a disk are, which crashes may leave behind; `None`: it is no disk.
    incoming: Option<PathBuf>,
    /// Between a blob's being put and its being written down as needed it is not removed.
    keeping: Arc<RwLock<()>>,
    /// With which byte the names begin that [`Blobs::some`] gives next.
    next: Arc<AtomicU8>,
}

/// While this lives, no blob is removed.
#[derive(Debug)]
pub struct Keeping(#[expect(dead_code, reason = "it is held, not read")] OwnedRwLockReadGuard<()>);

/// While this lives, nobody puts a blob and is about to write down that it is needed.
#[derive(Debug)]
pub struct Removing(#[expect(dead_code, reason = "it is held, not read")] OwnedRwLockWriteGuard<()>);

/// A blob that is being read.
pub struct Blob {
    /// How many bytes it has.
    pub length: u64,
    /// The bytes. The last item is [`BlobError::Damaged`] if all of them together do not match the digest.
    pub bytes: BoxStream<'static, Result<Bytes, BlobError>>,
}

/// A blob that lies somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub digest: Digest,
    /// How many bytes it has.
    pub length: u64,
    /// When it was put last, in milliseconds, by the place's clock.
    pub put: i64,
}

/// A place for blobs did not do what we asked.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The address of the place is none that we know: the operator's mistake.
    #[error("`{url}` is no place for blobs: {expected}")]
    Address {
        /// As it was given.
        url: String,
        /// What is known.
        expected: &'static str,
    },
    /// The place will not have us: the operator's mistake, or its owner's.
    #[error("{place} refuses: {why}")]
    Refused {
        /// Which.
        place: String,
        /// What to do.
        why: String,
    },
    /// The place cannot be reached or written, or what was to be stored cannot be read: try again.
    #[error("blobs cannot be read or written: {0}")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No such blob.
    #[error("there is no blob {0}")]
    Missing(Digest),
    /// The blob's bytes are not those that its name promises.
    #[error("blob {0} is damaged: its bytes do not match its name")]
    Damaged(Digest),
}

/// How much is read from a file at once: each read is a hop to another thread, which this makes rare.
const READ_SIZE: usize = 256 << 10;
/// How many parts of an upload may be on their way at once; with 5 MiB each, that bounds its memory.
const PARTS_IN_FLIGHT: usize = 4;

/// What is no longer than this is in memory until its name is known, where a name cannot be changed without a copy.
const SMALL: usize = 8 << 20;
/// Where bytes are until their name is known.
const INCOMING: &str = "incoming";
/// No upload takes as long as this: what is older was left there by a crash.
const UPLOAD_MOST: Duration = Duration::from_secs(24 * 3600);

impl Blobs {
    /// Hold this from before a blob is put until the row that needs it is committed: whoever looks whether a blob is
    /// needed looks before or after both. It holds for one process, as a SQLite database and its blobs are one's.
    pub async fn keep(&self) -> Keeping {
        Keeping(Arc::clone(&self.keeping).read_owned().await)
    }

    /// Hold this while looking whether a blob is needed and removing it. `None`: someone is putting one just now, and
    /// need not wait for us.
    pub fn removing(&self) -> Option<Removing> {
        Arc::clone(&self.keeping).try_write_owned().ok().map(Removing)
    }

    /// Some of all blobs, `about` so many if there are so many; the next call goes on behind them, and after the last
    /// from the first again.
    ///
    /// # Errors
    /// [`BlobError::Away`].
    pub async fn some(&self, about: usize) -> Result<Vec<Digest>, BlobError> {
        let mut some = Vec::new();
        for _ in 0..=u8::MAX {
            let byte = self.next.fetch_add(1, Ordering::Relaxed);
            let folder = path::Path::from(format!("sha256/{byte:02x}"));
            let found: Vec<_> = self.store.list(Some(&folder)).try_collect().await.map_err(away)?;
            let names = found.iter().filter_map(|about| about.location.filename());
            some.extend(names.filter_map(|rest| format!("{byte:02x}{rest}").parse::<Digest>().ok()));
            if some.len() >= about {
                break;
            }
        }
        Ok(some)
    }

    /// Every blob, with its length and when it was put last, as far as the place says.
    pub fn all(&self) -> BoxStream<'static, Result<Found, BlobError>> {
        let all = self.store.list(Some(&path::Path::from("sha256")));
        let found = |about: object_store::ObjectMeta| {
            let (rest, folder) = (about.location.filename()?, about.location.parts().rev().nth(1)?);
            let digest = format!("{}{rest}", folder.as_ref()).parse().ok()?;
            Some(Found { digest, length: about.size, put: about.last_modified.timestamp_millis() })
        };
        all.map_err(away).try_filter_map(move |about| std::future::ready(Ok(found(about)))).boxed()
    }

    /// Removes what crashes have left of uploads.
    ///
    /// # Errors
    /// [`BlobError::Away`].
    pub async fn forget_halves(&self) -> Result<(), BlobError> {
        if let Some(incoming) = self.incoming.clone() {
            let removed = tokio::task::spawn_blocking(move || remove_old(&incoming, UPLOAD_MOST)).await;
            return removed.map_err(away)?.map_err(away);
        }
        let halves: Vec<_> = self.store.list(Some(&path::Path::from(INCOMING))).try_collect().await.map_err(away)?;
        for half in halves {
            let put = std::time::SystemTime::from(half.last_modified);
            if put.elapsed().is_ok_and(|age| age > UPLOAD_MOST) {
                self.store.delete(&half.location).await.map_err(away)?;
            }
        }
        Ok(())
    }

    /// Stores the file at `path`.
    ///
    /// # Errors
    /// [`BlobError::Away`]; nothing is stored then.
    pub async fn put_file(&self, path: &Path) -> Result<Digest, BlobError> {
        let open = async || {
            let file = tokio::fs::File::open(path).await.map_err(away)?;
            Ok::<_, BlobError>(ReaderStream::with_capacity(file, READ_SIZE).map_err(away))
        };
        if self.incoming.is_some() {
            return self.put_stream(open().await?).await;
        }
        // a file is read twice rather than copied by the place from name to name
        let digest = digest_of(open().await?).await?;
        match self.upload(&location(digest), open().await?, Some(digest)).await? {
            found if found == digest => Ok(digest),
            found => Err(BlobError::Damaged(found)),
        }
    }

    /// Stores all bytes of `bytes`. If the same are stored already they are replaced, which heals damaged ones.
    ///
    /// # Errors
    /// Whatever `bytes` yields, or [`BlobError::Away`]; nothing is stored then.
    pub async fn put_stream(
        &self,
        bytes: impl futures::Stream<Item = Result<Bytes, BlobError>> + Send,
    ) -> Result<Digest, BlobError> {
        let mut bytes = std::pin::pin!(bytes);
        let mut first = BytesMut::new();
        if self.incoming.is_none() {
            while first.len() <= SMALL {
                let Some(chunk) = bytes.next().await else { return self.put_small(first.freeze()).await };
                first.extend_from_slice(&chunk?);
            }
        }
        // the name is known only after the last byte, so the bytes wait under another one
        let incoming = path::Path::from(format!("{INCOMING}/{:032x}", random()?));
        let first = stream::iter((!first.is_empty()).then(|| Ok(first.freeze())));
        let digest = self.upload(&incoming, first.chain(bytes), None).await?;
        self.store.rename(&incoming, &location(digest)).await.map_err(away)?;
        Ok(digest)
    }

    async fn put_small(&self, bytes: Bytes) -> Result<Digest, BlobError> {
        let digest = Digest::of(&bytes);
        self.store.put(&location(digest), bytes.into()).await.map_err(away)?;
        Ok(digest)
    }

    /// Uploads bytes under a name, unless they turn out to be others than `meant`.
    async fn upload(
        &self,
        name: &path::Path,
        bytes: impl futures::Stream<Item = Result<Bytes, BlobError>> + Send,
        meant: Option<Digest>,
    ) -> Result<Digest, BlobError> {
        let upload = self.store.put_multipart(name).await.map_err(away)?;
        let mut writer = WriteMultipart::new(upload);
        let digest = match write_all(&mut writer, bytes).await {
            Ok(digest) if meant.is_none_or(|meant| meant == digest) => digest,
            done => {
                // the first error is the one to tell; what is left over is under a name that nobody asks for
                let _ = writer.abort().await;
                return done;
            }
        };
        writer.finish().await.map_err(away)?;
        Ok(digest)
    }

    /// Whether there is such a blob.
    ///
    /// # Errors
    /// [`BlobError::Away`].
    pub async fn has(&self, digest: Digest) -> Result<bool, BlobError> {
        match self.store.head(&location(digest)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(away(error)),
        }
    }

    /// Asks the store for something, to see whether it answers.
    ///
    /// # Errors
    /// [`BlobError::Away`].
    pub async fn answer(&self) -> Result<(), BlobError> {
        // a directory that is not there is an empty one to a store
        match self.incoming.as_ref().and_then(|incoming| incoming.parent()) {
            Some(folder) => tokio::fs::read_dir(folder).await.map(drop).map_err(away),
            None => self.store.list_with_delimiter(None).await.map(drop).map_err(away),
        }
    }

    /// Opens a blob for reading from its beginning to its end; `None` if there is none.
    ///
    /// # Errors
    /// [`BlobError::Away`]; the stream may also end with [`BlobError::Damaged`].
    pub async fn get(&self, digest: Digest) -> Result<Option<Blob>, BlobError> {
        match self.store.get(&location(digest)).await {
            Ok(found) => Ok(Some(Blob { length: found.meta.size, bytes: verified(chunks(found), digest).boxed() })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(away(error)),
        }
    }

    /// The bytes of a blob in `range`, cut at the blob's end. They are all in memory and cannot be verified alone, so
    /// ask for no more than is needed.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Away`].
    pub async fn range(&self, digest: Digest, range: Range<u64>) -> Result<Bytes, BlobError> {
        let at = location(digest);
        let length = self.store.head(&at).await.map_err(|error| missing_or_away(digest, error))?.size;
        let range = range.start.min(length)..range.end.min(length);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        self.store.get_range(&at, range).await.map_err(|error| missing_or_away(digest, error))
    }

    /// Removes a blob. None there is a success.
    ///
    /// # Errors
    /// [`BlobError::Away`].
    pub async fn delete(&self, digest: Digest) -> Result<(), BlobError> {
        match self.store.delete(&location(digest)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(away(error)),
        }
    }
}

/// For [`BlobError::Away`] from whatever went wrong; streams given to [`Blobs::put_stream`] need it too.
pub fn away(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BlobError {
    BlobError::Away(error.into())
}

fn missing_or_away(digest: Digest, error: object_store::Error) -> BlobError {
    if matches!(error, object_store::Error::NotFound { .. }) { BlobError::Missing(digest) } else { away(error) }
}

/// Removes the files of a directory that nobody has changed for so long. None there is a success.
///
/// # Errors
/// If the directory cannot be read; a file that cannot be removed stays for the next time.
pub fn remove_old(directory: &Path, age: Duration) -> io::Result<()> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let changed = entry.metadata().and_then(|about| about.modified());
        // another process may finish or remove one meanwhile
        if changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|elapsed| elapsed > age)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// Two levels, so that no directory gets too many entries.
fn location(digest: Digest) -> path::Path {
    let digits = digest.to_string();
    let (first, rest) = digits.split_at(2);
    path::Path::from(format!("sha256/{first}/{rest}"))
}

fn random() -> Result<u128, BlobError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| away(error.to_string()))?;
    Ok(u128::from_le_bytes(bytes))
}

async fn digest_of(bytes: impl futures::Stream<Item = Result<Bytes, BlobError>> + Send) -> Result<Digest, BlobError> {
    let mut hasher = sha2::Sha256::new();
    let mut bytes = std::pin::pin!(bytes);
    while let Some(chunk) = bytes.try_next().await? {
        hasher.update(&chunk);
    }
    Ok(Digest::finish(hasher))
}

async fn write_all(
    writer: &mut WriteMultipart,
    bytes: impl futures::Stream<Item = Result<Bytes, BlobError>> + Send,
) -> Result<Digest, BlobError> {
    let mut hasher = sha2::Sha256::new();
    let mut bytes = std::pin::pin!(bytes);
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk?;
        hasher.update(&chunk);
        writer.wait_for_capacity(PARTS_IN_FLIGHT).await.map_err(away)?;
        writer.put(chunk);
    }
    Ok(Digest::finish(hasher))
}

/// The bytes as the place gives them. Files are read here, because `object_store` would read them in steps of 8 KiB.
fn chunks(found: GetResult) -> BoxStream<'static, Result<Bytes, BlobError>> {
    match found.payload {
        GetResultPayload::File(file, _) => {
            ReaderStream::with_capacity(tokio::fs::File::from_std(file), READ_SIZE).map_err(away).boxed()
        }
        GetResultPayload::Stream(bytes) => bytes.map_err(away).boxed(),
    }
}

/// The same bytes, and an error after the last if they are not those of `digest`.
fn verified(
    bytes: BoxStream<'static, Result<Bytes, BlobError>>,
    digest: Digest,
) -> impl futures::Stream<Item = Result<Bytes, BlobError>> + Send {
    stream::try_unfold(Some((bytes, sha2::Sha256::new())), move |state| async move {
        let Some((mut bytes, mut hasher)) = state else { return Ok(None) };
        match bytes.try_next().await? {
            Some(chunk) => {
                hasher.update(&chunk);
                Ok(Some((chunk, Some((bytes, hasher)))))
            }
            None if Digest::finish(hasher) == digest => Ok(None),
            None => Err(BlobError::Damaged(digest)),
        }
    })
}
