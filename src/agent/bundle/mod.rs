//! Bundles: files on their way between jobs, as caches and artifacts.
//!
//! A bundle is a tar, cut into parts of [`PART_LENGTH`] bytes. Each part is compressed for itself and named by the digest
//! of what that gives, and goes to the server by itself. So nobody ever holds more than a few parts, however large the
//! whole is; what a broken connection costs is one part; every part is checked on both ways, before a byte of it is
//! used; and any file can be read out of the middle.
//!
//! What is unpacked is not trusted: [`unpack`](unpack::unpack) lets nothing out of its place.

pub mod find;
pub mod pack;
pub mod unpack;

pub(super) mod fetch;
pub(super) mod send;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How many bytes of the tar are in a part; the last one has what is left.
pub const PART_LENGTH: u64 = 4 << 20;
/// The most bytes that a part may have when it is compressed: zstd adds little to what cannot be compressed.
pub const PART_SIZE_MAX: usize = PART_LENGTH as usize + (64 << 10);
/// The most files, directories and links in one bundle.
pub const ENTRIES_MAX: u64 = 1_000_000;

/// A tar in parts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bundle {
    /// Bytes of the tar.
    pub length: u64,
    /// In its order.
    pub parts: Vec<Part>,
}

/// Some bytes of a tar, compressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The SHA-256 of the compressed bytes, hexadecimal.
    pub digest: String,
    /// How many compressed bytes.
    pub size: u64,
}

/// One thing in a bundle, for lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Entry {
    /// Its path in the bundle.
    pub path: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: EntryKind,
}

/// The kinds of [`Entry`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum EntryKind {
    /// A file.
    File {
        /// Bytes.
        size: u64,
        /// Permissions.
        mode: u32,
        /// Where in the tar its bytes begin.
        at: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Link {
        /// What it points to.
        to: String,
    },
}

impl Bundle {
    /// Compressed bytes in all.
    pub fn size(&self) -> u64 {
        self.parts.iter().map(|part| part.size).sum()
    }

    /// How many parts a tar of this length has.
    pub const fn parts_of(length: u64) -> u64 {
        length.div_ceil(PART_LENGTH)
    }

    /// The SHA-256 of the digests of its parts, hexadecimal: two bundles of one digest are the same.
    pub fn digest(&self) -> String {
        let mut all = Sha256::new();
        self.parts.iter().for_each(|part| all.update(part.digest.as_bytes()));
        hex::encode(all.finalize())
    }
}

impl Part {
    /// The part that these compressed bytes are.
    pub fn of(data: &[u8]) -> Self {
        Self { digest: hex::encode(Sha256::digest(data)), size: data.len() as u64 }
    }

    /// The bytes of the tar.
    ///
    /// # Errors
    /// If the data are not this part's, or more than a part may hold.
    pub fn open(&self, data: &[u8]) -> std::io::Result<Vec<u8>> {
        if *self != Self::of(data) {
            return Err(std::io::Error::other(format!("it does not match its digest {}", self.digest)));
        }
        zstd::bulk::decompress(data, PART_LENGTH as usize)
    }
}
