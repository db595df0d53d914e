//! A backup as it lies in a folder: `backup.json` says what it holds, `tables/NAME.jsonl.zst` has a table's rows, one in a
//! line, and `blobs` is a place for blobs like any other. What says that it is whole is written last.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::store::{Dumped, TableColumn};

/// What this release writes, and reads.
const FORMAT: u32 = 1;
const MANIFEST: &str = "backup.json";
/// Rows are texts that compress well; more costs time and saves little.
const LEVEL: i32 = 3;
/// No row is longer: a delivery's body has 26 MiB, and more as text.
const LINE_MAX: u64 = 256 << 20;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// By which release it was made.
    pub(super) release: String,
    /// The newest migration of the database that it is of.
    pub(super) schema: i64,
    /// When the snapshot was taken, UTC milliseconds.
    pub(super) taken: i64,
    pub(super) tables: BTreeMap<String, Table>,
    pub(super) blobs: BlobsHeld,
    /// By which keys its secrets are encrypted.
    pub(super) keys: Vec<String>,
}

/// What of a table is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) columns: Vec<TableColumn>,
    pub(super) rows: u64,
    /// Of its rows, in whatever order.
    pub(super) digest: String,
}

/// Which blobs are in a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BlobsHeld {
    pub(super) count: u64,
    pub(super) bytes: u64,
    /// Of their names, in order.
    pub(super) digest: String,
    /// Those that rows name and that were not there, or whose bytes did not match their names.
    pub(super) lost: Vec<String>,
}

/// The digest of a table: the sum of the digests of its rows, so that their order is nothing, for databases have orders
/// of their own for texts.
#[derive(Debug, Clone, Default)]
pub(super) struct Sum {
    bytes: [u8; 32],
    pub(super) rows: u64,
}

impl Sum {
    pub(super) fn add(&mut self, line: &str) {
        let digest = Sha256::digest(line.as_bytes());
        let mut carry = 0_u16;
        for (sum, byte) in self.bytes.iter_mut().zip(digest.iter()) {
            carry += u16::from(*sum) + u16::from(*byte);
            *sum = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        self.rows += 1;
    }

    pub(super) fn hex(&self) -> String {
        hex::encode(self.bytes)
    }
}

impl Manifest {
    /// The digest of all that it holds.
    pub(super) fn digest(&self) -> Result<String> {
        let tables: BTreeMap<_, _> =
            self.tables.iter().map(|(name, table)| (name, (table.rows, &table.digest))).collect();
        let all = serde_json::to_string(&(tables, &self.blobs.digest))?;
        Ok(hex::encode(Sha256::digest(all)))
    }

    pub(super) fn rows(&self) -> u64 {
        self.tables.values().map(|table| table.rows).sum()
    }

    pub(super) fn new(schema: i64, taken: i64) -> Self {
        let release = env!("CARGO_PKG_VERSION").to_owned();
        let (tables, blobs) = (BTreeMap::new(), BlobsHeld::default());
        Self { format: FORMAT, release, schema, taken, tables, blobs, keys: Vec::new() }
    }
}

/// A folder with a backup in it.
#[derive(Debug, Clone)]
pub(super) struct Archive(PathBuf);

impl Archive {
    /// A new one.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        if folder.exists() {
            let mut entries = folder.read_dir().with_context(|| format!("reading {}", folder.display()))?;
            ensure!(entries.next().is_none(), "{} is not empty: a backup has a folder of its own", folder.display());
        }
        std::fs::create_dir_all(folder.join("tables")).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self(folder.to_owned()))
    }

    /// One that is there, and whole.
    pub(super) fn open(folder: &Path) -> Result<(Self, Manifest)> {
        let file = folder.join(MANIFEST);
        if !file.exists() {
            bail!("{} is no backup, or one that was never finished: it has no {MANIFEST}", folder.display());
        }
        let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let format: u32 = serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|value| u32::try_from(value["format"].as_u64()?).ok())
            .with_context(|| format!("{} is no list of a backup", file.display()))?;
        ensure!(format <= FORMAT, "{} is of a newer release: this one reads format {FORMAT}", folder.display());
        let manifest = serde_json::from_str(&text).with_context(|| format!("reading {}", file.display()))?;
        Ok((Self(folder.to_owned()), manifest))
    }

    /// Where its blobs are.
    pub(super) fn blobs_url(&self) -> String {
        self.0.join("blobs").display().to_string()
    }

    pub(super) fn write(&self, table: &str) -> Result<Writer> {
        let path = self.table(table);
        let file = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
        Ok(Writer { encoder: zstd::Encoder::new(file, LEVEL)?, sum: Sum::default() })
    }

    /// Gives every row of a table to whoever takes them. What they are together is for the caller to compare.
    pub(super) fn lines(&self, table: &str) -> Result<impl Iterator<Item = Result<String>> + use<>> {
        let path = self.table(table);
        let file = File::open(&path).with_context(|| format!("reading {}", path.display()))?;
        let mut reader = BufReader::new(zstd::Decoder::new(file)?);
        Ok(std::iter::from_fn(move || line(&mut reader, &path).transpose()))
    }

    /// Says that it is whole.
    pub(super) fn finish(&self, manifest: &Manifest) -> Result<()> {
        let (half, whole) = (self.0.join("backup.json.half"), self.0.join(MANIFEST));
        let mut file = File::create(&half)?;
        file.write_all(serde_json::to_string_pretty(manifest)?.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&half, &whole)?;
        Ok(File::open(&self.0)?.sync_all()?)
    }

    fn table(&self, name: &str) -> PathBuf {
        self.0.join("tables").join(format!("{name}.jsonl.zst"))
    }
}

fn line(reader: &mut impl std::io::BufRead, path: &Path) -> Result<Option<String>> {
    let mut line = Vec::new();
    let read = std::io::Read::take(&mut *reader, LINE_MAX).read_until(b'\n', &mut line);
    let read = read.with_context(|| format!("{} is damaged", path.display()))?;
    if read == 0 {
        return Ok(None);
    }
    let text = String::from_utf8(line).ok().and_then(|text| text.strip_suffix('\n').map(str::to_owned));
    text.map(Some).with_context(|| format!("{} is damaged: a row is cut or too long", path.display()))
}

/// A table that is being written down.
pub(super) struct Writer {
    encoder: zstd::Encoder<'static, File>,
    sum: Sum,
}

impl Writer {
    pub(super) fn row(&mut self, row: &Dumped) -> Result<()> {
        let line = serde_json::to_string(row)?;
        self.sum.add(&line);
        Ok(writeln!(self.encoder, "{line}")?)
    }

    pub(super) fn finish(self, columns: Vec<TableColumn>) -> Result<Table> {
        self.encoder.finish()?.sync_all()?;
        Ok(Table { columns, rows: self.sum.rows, digest: self.sum.hex() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_does_not_care_for_order_and_sees_every_row() {
        let sum = |lines: &[&str]| {
            let mut sum = Sum::default();
            lines.iter().for_each(|line| sum.add(line));
            sum.hex()
        };
        assert_eq!(sum(&["a", "b", "c"]), sum(&["c", "a", "b"]));
        assert_ne!(sum(&["a", "b"]), sum(&["a"]));
        assert_ne!(sum(&["a", "a"]), sum(&["b", "b"]));
        assert_eq!(sum(&[]), "0".repeat(64));
    }
}
