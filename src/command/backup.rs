//! `containerops backup`: everything that a server knows, as of one moment, into a folder; the server goes on meanwhile.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use super::{
    archive::{Archive, BlobsHeld, Manifest},
    serve,
};
use crate::{
    app,
    blob::{BlobError, Blobs, Digest},
    model::{Clock, Counted, Size},
    store::{Store, TABLES, Tx},
};

/// How many names are asked for at once.
const NAMES: i64 = 10_000;
/// After so many blobs it is said how far it is.
const SAID_EVERY: usize = 1000;
/// Something that rows name was not there.
const INCOMPLETE: u8 = 2;

/// Copy everything that a server knows into a folder, as of one moment: its database, logs, artifacts, caches and sources.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops backup /backups/2026-11-27
  kubectl exec deploy/containerops -- containerops backup /backups/today

The server may run, and runs go on. Secrets stay encrypted in it: keep the server's key file, without which they cannot be
read, in another place. Mirrors of repositories are not in it: they are fetched again.

Exit code: 0 if all of it is there, 2 if some blobs were not (they are listed), 1 if there is no backup.")]
pub struct Args {
    /// An empty folder, or one that is made
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Settings under the `CONTAINEROPS_*` variables [default: containerops.toml, if there is one]
    #[arg(long, env = "CONTAINEROPS_CONFIG")]
    config: Option<PathBuf>,
}

/// Copies.
///
/// # Errors
/// If the settings are wrong, the database or the blobs cannot be read, or the folder cannot be written.
pub fn run(args: Args) -> Result<ExitCode> {
    serve::log_to_stderr("warn", serve::Lines::ForPeople);
    serve::runtime()?.block_on(backup(args))
}

async fn backup(args: Args) -> Result<ExitCode> {
    let settings = serve::settings(args.config)?;
    let store = Store::open_to_read(&settings.database_url).await.context("opening the database")?;
    let blobs = app::blobs(&settings).await.context("opening the place for blobs")?;
    let archive = Archive::create(&args.folder)?;
    let mut manifest = Manifest::new(Store::schema(), Clock::System.now().as_millis());
    // one transaction, so all rows are of one moment; blobs that they name outlive it by a week
    let mut tx = store.read_as_of_now().await?;
    for (table, order) in TABLES {
        let columns = tx.columns(table).await?;
        let mut writer = archive.write(table)?;
        tx.dump((table, order), &columns, |row| writer.row(&row)).await.with_context(|| format!("table {table}"))?;
        manifest.tables.insert((*table).to_owned(), writer.finish(columns)?);
    }
    manifest.keys = tx.sealing_keys().await?;
    let names = needed(&mut tx).await?;
    drop(tx);
    store.close().await;
    let target = Blobs::open(&archive.blobs_url())?;
    manifest.blobs = copy(&blobs, &target, &names).await?;
    archive.finish(&manifest)?;
    told(&manifest, &args.folder)
}

/// The names of all blobs that rows need.
async fn needed(tx: &mut Tx) -> Result<Vec<Digest>> {
    let (mut all, mut behind) = (Vec::new(), String::new());
    loop {
        let some = tx.needed_blobs(&behind, NAMES).await?;
        let Some(last) = some.last() else { return Ok(all) };
        behind.clone_from(last);
        all.extend(some.iter().filter_map(|name| name.parse::<Digest>().ok()));
    }
}

/// Copies blobs; those that are not there, or are damaged, are noted.
pub(super) async fn copy(from: &Blobs, to: &Blobs, names: &[Digest]) -> Result<BlobsHeld> {
    let (mut held, mut digest) = (BlobsHeld::default(), Sha256::new());
    for (place, name) in names.iter().enumerate() {
        if place > 0 && place % SAID_EVERY == 0 {
            writeln!(io::stderr(), "{place} of {} blobs are copied ({})", names.len(), Size(held.bytes))?;
        }
        match copied(from, to, *name).await {
            Ok(length) => {
                digest.update(name.to_string());
                held.count += 1;
                held.bytes += length;
            }
            Err(BlobError::Missing(_) | BlobError::Damaged(_)) => held.lost.push(name.to_string()),
            Err(error) => return Err(error).with_context(|| format!("copying blob {name}")),
        }
    }
    held.digest = hex::encode(digest.finalize());
    Ok(held)
}

async fn copied(from: &Blobs, to: &Blobs, name: Digest) -> Result<u64, BlobError> {
    let blob = from.get(name).await?.ok_or(BlobError::Missing(name))?;
    to.put_stream(blob.bytes).await?;
    Ok(blob.length)
}

fn told(manifest: &Manifest, folder: &std::path::Path) -> Result<ExitCode> {
    let BlobsHeld { count, bytes, lost, .. } = &manifest.blobs;
    let (rows, blobs) = (Counted(manifest.rows(), "row"), Counted(*count, "blob"));
    writeln!(io::stdout(), "{}: {rows}, {blobs} ({})", folder.display(), Size(*bytes))?;
    writeln!(io::stdout(), "digest {}", manifest.digest()?)?;
    if !manifest.keys.is_empty() {
        writeln!(
            io::stderr(),
            "note: its secrets are encrypted by {}: keep the server's key file, too",
            keys(manifest)
        )?;
    }
    for name in lost {
        writeln!(io::stderr(), "not there, or damaged: blob {name}")?;
    }
    Ok(if lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

pub(super) fn keys(manifest: &Manifest) -> String {
    format!("the key{} {}", if manifest.keys.len() == 1 { "" } else { "s" }, manifest.keys.join(", "))
}
