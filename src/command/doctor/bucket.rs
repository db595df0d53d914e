//! The bucket that blobs are in, if they are in one: a folder is on the disk.

use crate::{app, blob::BlobError, model::Finding, settings::Settings};

const ABOUT: &str = "bucket";

/// What is to be said of it.
pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    if !settings.blob_url.starts_with("s3:") {
        return Vec::new();
    }
    let looked = match app::open_blobs(settings) {
        Ok(blobs) => blobs.look().await,
        Err(error) => Err(error),
    };
    vec![match looked {
        Ok(()) => Finding::ok(ABOUT, format!("{} lets us look into it", settings.blob_url)),
        Err(error @ (BlobError::Address { .. } | BlobError::Refused { .. })) => {
            Finding::error(ABOUT, error.to_string(), "correct CONTAINEROPS_BLOB_URL or the CONTAINEROPS_S3_* settings")
        }
        Err(error) => {
            let advice =
                "see whether CONTAINEROPS_S3_ENDPOINT can be reached: until then no log is kept here, and agents wait";
            Finding::error(ABOUT, error.to_string(), advice)
        }
    }]
}
