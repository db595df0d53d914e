//! Where blobs are: a directory, or a bucket of a store that speaks S3.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use futures::TryStreamExt as _;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    local::LocalFileSystem,
    prefix::PrefixStore,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{BlobError, Blobs, INCOMING, UPLOAD_MOST, away, remove_old};

/// How a bucket is reached. The default is Amazon's own, with what the environment says of us.
#[derive(Debug, Clone, Default)]
pub struct S3 {
    /// `https://host[:port]`; `None`: Amazon's.
    pub endpoint: Option<String>,
    /// Where the bucket is; `None`: `AWS_REGION`, or `us-east-1`.
    pub region: Option<String>,
    /// Whether the bucket's name is in the path rather than in the host; `None`: with an endpoint of its own it is.
    pub path_style: Option<bool>,
    /// Who we are; `None`: what `AWS_*` variables say, or the machine's own role.
    pub keys: Option<Keys>,
}

/// Who we are at a store.
#[derive(Clone)]
pub struct Keys {
    /// The key's id.
    pub id: String,
    /// The key.
    pub secret: SecretString,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.id)
    }
}

/// A store that does not take a connection within this is away.
const CONNECT: Duration = Duration::from_secs(5);
/// One that neither takes nor gives a byte of what it was asked for within this is, too.
const SILENT: Duration = Duration::from_secs(30);
/// A call is begun again so often, and for so long; whoever wants it asks again later.
const RETRIES: usize = 6;
const RETRIED: Duration = Duration::from_secs(20);
/// Between two tries, at most.
const PAUSE: Duration = Duration::from_secs(3);
/// For the first look.
const FIRST_LOOK: Duration = Duration::from_secs(15);

const EXPECTED: &str = "`file:///path`, a path, or `s3://bucket` or `s3://bucket/prefix` is expected";

impl Blobs {
    /// The blobs at `url`: `file:///directory`, or a directory's path, which is made if it is not there; or
    /// `s3://bucket/prefix` at Amazon.
    ///
    /// # Errors
    /// As [`Blobs::open_with`].
    pub fn open(url: &str) -> Result<Self, BlobError> {
        Self::open_with(url, &S3::default())
    }

    /// The same, with a bucket's store reached as it is said.
    ///
    /// # Errors
    /// [`BlobError::Address`] for another scheme, [`BlobError::Away`] if the directory cannot be made.
    pub fn open_with(url: &str, s3: &S3) -> Result<Self, BlobError> {
        let wrong = || BlobError::Address { url: url.chars().take(200).collect(), expected: EXPECTED };
        let (store, incoming): (Arc<dyn ObjectStore>, _) = match url.split_once("://") {
            Some(("s3", place)) => (bucket(place, s3)?.ok_or_else(wrong)?, None),
            Some(("file", path)) if path.starts_with('/') => directory(path)?,
            Some(_) => return Err(wrong()),
            None => directory(url.strip_prefix("file:").unwrap_or(url))?,
        };
        Ok(Self { store, incoming, keeping: Arc::default(), next: Arc::default() })
    }

    /// Looks whether the place will have us.
    ///
    /// # Errors
    /// [`BlobError::Refused`], or [`BlobError::Away`], which may be otherwise in a moment.
    pub async fn look(&self) -> Result<(), BlobError> {
        if self.incoming.is_some() {
            return Ok(());
        }
        let folder = object_store::path::Path::from(INCOMING);
        let mut some = self.store.list(Some(&folder));
        match tokio::time::timeout(FIRST_LOOK, some.try_next()).await {
            Ok(looked) => looked.map(drop).map_err(|error| refused(&self.store, error)),
            Err(_) => Err(away(format!("{} does not answer", self.store))),
        }
    }
}

/// What a store answers to whom it will never serve. Everything else may pass.
fn refused(store: &dyn fmt::Display, error: object_store::Error) -> BlobError {
    let text = error.to_string();
    let why = if text.contains("NoSuchBucket") || matches!(error, object_store::Error::NotFound { .. }) {
        "there is no such bucket: make it, or correct CONTAINEROPS_BLOB_URL"
    } else if text.contains("SignatureDoesNotMatch") {
        "the secret access key is not that of the access key id: see CONTAINEROPS_S3_SECRET_ACCESS_KEY"
    } else if text.contains("RequestTimeTooSkewed") {
        "this machine's clock is wrong: set it by NTP"
    } else if is_denied(&error, &text) {
        "our key is unknown there, or may not list the bucket: it needs ListBucket, GetObject, PutObject and DeleteObject"
    } else {
        return away(error);
    };
    BlobError::Refused { place: store.to_string(), why: format!("{why} ({})", code(&text)) }
}

/// Lists are refused in other words than single objects.
fn is_denied(error: &object_store::Error, text: &str) -> bool {
    let said = ["403 Forbidden", "401 Unauthorized"].into_iter().any(|status| text.contains(status));
    said || matches!(error, object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. })
}

/// The word that the store has for it.
fn code(text: &str) -> &str {
    let found = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    found.map_or("no code given", |(code, _)| code)
}

type Place = (Arc<dyn ObjectStore>, Option<std::path::PathBuf>);

fn directory(path: &str) -> Result<Place, BlobError> {
    std::fs::create_dir_all(path).map_err(away)?;
    let store = LocalFileSystem::new_with_prefix(path).map_err(away)?.with_fsync(true);
    let incoming = Path::new(path).join(INCOMING);
    remove_old(&incoming, UPLOAD_MOST).map_err(away)?;
    Ok((Arc::new(store), Some(incoming)))
}

fn bucket(place: &str, s3: &S3) -> Result<Option<Arc<dyn ObjectStore>>, BlobError> {
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    if bucket.is_empty() || !bucket.bytes().all(is_name) {
        return Ok(None);
    }
    let store = reached(bucket, s3)?;
    match prefix.trim_matches('/') {
        "" => Ok(Some(Arc::new(store))),
        prefix => Ok(Some(Arc::new(PrefixStore::new(store, prefix)))),
    }
}

fn reached(bucket: &str, s3: &S3) -> Result<AmazonS3, BlobError> {
    let builder = match &s3.keys {
        None => AmazonS3Builder::from_env(),
        Some(keys) => AmazonS3Builder::new()
            .with_access_key_id(&keys.id)
            .with_secret_access_key(keys.secret.expose_secret())
            .with_region("us-east-1"),
    };
    let builder = match &s3.region {
        Some(region) => builder.with_region(region),
        None => builder,
    };
    let is_plain = s3.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let path_style = s3.path_style.unwrap_or(s3.endpoint.is_some());
    let builder = match s3.endpoint.as_deref().and_then(|endpoint| endpoint.split_once("://")) {
        Some((scheme, host)) if path_style => builder.with_endpoint(format!("{scheme}://{host}")),
        Some((scheme, host)) => builder.with_endpoint(format!("{scheme}://{bucket}.{host}")),
        None => builder,
    };
    let options = ClientOptions::new()
        .with_allow_http(is_plain)
        .with_connect_timeout(CONNECT)
        // a whole answer takes as long as whoever reads it
        .with_timeout_disabled()
        .with_read_timeout(SILENT);
    builder
        .with_bucket_name(bucket)
        .with_virtual_hosted_style_request(!path_style)
        .with_client_options(options)
        .with_retry(retries())
        .build()
        .map_err(away)
}

fn retries() -> RetryConfig {
    let backoff = BackoffConfig { max_backoff: PAUSE, ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRIED }
}
