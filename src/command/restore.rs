//! `containerops restore`: a backup into a server that has nothing yet, on either database.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail, ensure};
use futures::TryStreamExt as _;

use super::{
    archive::{Archive, Manifest, Sum, Table},
    backup, serve,
};
use crate::{
    app,
    blob::{Blobs, Digest},
    engine::Vault,
    model::{Counted, Size},
    settings::Settings,
    store::{Dumped, Store, TABLES, Tx},
};

/// Put a backup into a server that has nothing yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops restore /backups/2026-11-27 --check     is it whole? Nothing is changed
  containerops restore /backups/2026-11-27
  CONTAINEROPS_DATABASE_URL=postgres://ci@db/ci containerops restore /backups/2026-11-27

Stop the server first, and give it the key file of the old one (CONTAINEROPS_SECRET_KEY_FILE): secrets and the tokens of
jobs that run depend on it. The database must be empty; blobs may be there. All rows come in one transaction, so a restore
that is broken off has changed no row and can be begun again.

Exit code: 0 if all of it is there and equal, 1 if not.")]
pub struct Args {
    /// The folder that `containerops backup` has made
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Read all of the backup and compare its digests, and change nothing
    #[arg(long)]
    check: bool,
    /// Settings under the `CONTAINEROPS_*` variables [default: containerops.toml, if there is one]
    #[arg(long, env = "CONTAINEROPS_CONFIG")]
    config: Option<PathBuf>,
}

/// Restores, or checks.
///
/// # Errors
/// If the backup is not whole, the database is not empty, or something cannot be written.
pub fn run(args: Args) -> Result<ExitCode> {
    serve::log_to_stderr("warn", serve::Lines::ForPeople);
    let (archive, manifest) = Archive::open(&args.folder)?;
    serve::runtime()?.block_on(async {
        if manifest.schema > Store::schema() {
            bail!("the backup is of a newer release ({}): restore it by that one", manifest.release);
        }
        check_rows(&archive, &manifest)?;
        let held = Blobs::open(&archive.blobs_url())?;
        let names = names(&held, &manifest).await?;
        if args.check {
            check_blobs(&held, &names).await?;
            return told(&manifest, "is whole");
        }
        restore(&serve::settings(args.config)?, (&archive, &manifest), (&held, &names)).await?;
        told(&manifest, "is restored, and equal")
    })
}

async fn restore(
    settings: &Settings,
    (archive, manifest): (&Archive, &Manifest),
    (held, names): (&Blobs, &[Digest]),
) -> Result<()> {
    std::fs::create_dir_all(&settings.data).with_context(|| format!("making {}", settings.data.display()))?;
    let store = Store::open_beside(&settings.database_url).await.context("opening the database")?;
    if let Some(table) = store.read().await?.first_filled().await? {
        bail!("the database has something in it already ({table}): a backup is restored into an empty one alone");
    }
    let target = app::blobs(settings).await.context("opening the place for blobs")?;
    // rows last: until they are there, the blobs are nobody's, and the restore can be begun again
    let copied = backup::copy(held, &target, names).await?;
    ensure!(copied.digest == manifest.blobs.digest, "blobs of the backup are damaged: {}", copied.lost.join(", "));
    let mut tx = store.write_at_length().await?;
    for (table, order) in TABLES {
        let Some(about) = manifest.tables.get(*table) else { continue };
        let meant = fill(&mut tx, archive, (table, about)).await.with_context(|| format!("table {table}"))?;
        let put = sum(&mut tx, (table, order), about).await?;
        ensure!(put.hex() == meant.hex() && put.rows == about.rows, "table {table} is not what it was");
    }
    tx.commit().await?;
    store.close().await;
    warn_of_keys(settings, manifest)
}

/// What was put into it.
async fn fill(tx: &mut Tx, archive: &Archive, (table, about): (&'static str, &Table)) -> Result<Sum> {
    let mut sum = Sum::default();
    for line in archive.lines(table)? {
        let row: Dumped = serde_json::from_str(&line?).context("a row is no JSON object")?;
        let row = tx.fitted(row);
        tx.undump(table, &about.columns, &row).await?;
        sum.add(&serde_json::to_string(&row)?);
    }
    Ok(sum)
}

async fn sum(tx: &mut Tx, table: (&'static str, &'static str), about: &Table) -> Result<Sum> {
    let mut sum = Sum::default();
    let add = |row: Dumped| {
        sum.add(&serde_json::to_string(&row)?);
        Ok::<_, anyhow::Error>(())
    };
    tx.dump(table, &about.columns, add).await?;
    Ok(sum)
}

/// Reads every row of the backup, before anything is changed by one.
fn check_rows(archive: &Archive, manifest: &Manifest) -> Result<()> {
    let known = |name: &String| TABLES.iter().any(|(table, _)| table == name);
    if let Some(unknown) = manifest.tables.keys().find(|name| !known(name)) {
        bail!("the backup has a table {unknown}, which this release does not know");
    }
    for (name, about) in &manifest.tables {
        let mut sum = Sum::default();
        for line in archive.lines(name)? {
            sum.add(&line?);
        }
        ensure!(sum.hex() == about.digest && sum.rows == about.rows, "table {name} of the backup is damaged");
    }
    Ok(())
}

/// The names of the blobs that lie in a backup: just those that it says.
async fn names(held: &Blobs, manifest: &Manifest) -> Result<Vec<Digest>> {
    let mut names: Vec<Digest> = held.all().map_ok(|found| found.digest).try_collect().await?;
    names.sort();
    let count = names.len() as u64;
    ensure!(count == manifest.blobs.count, "the backup has {count} blobs, and had {}", manifest.blobs.count);
    Ok(names)
}

async fn check_blobs(held: &Blobs, names: &[Digest]) -> Result<()> {
    for name in names {
        let blob = held.get(*name).await?.with_context(|| format!("blob {name} is gone"))?;
        blob.bytes.try_for_each(|_| std::future::ready(Ok(()))).await?;
    }
    Ok(())
}

fn warn_of_keys(settings: &Settings, manifest: &Manifest) -> Result<()> {
    let vault = Vault::open(&settings.secret_key_file).ok();
    let lacks = |id: &&String| !vault.as_ref().is_some_and(|vault| vault.has_key(id));
    if manifest.keys.iter().any(|id| lacks(&id)) {
        let file = settings.secret_key_file.display();
        writeln!(
            io::stderr(),
            "warning: secrets are encrypted by {}, and {file} has not all of them: put the old server's key file there",
            backup::keys(manifest)
        )?;
    }
    Ok(())
}

fn told(manifest: &Manifest, what: &str) -> Result<ExitCode> {
    let (rows, blobs) = (Counted(manifest.rows(), "row"), Counted(manifest.blobs.count, "blob"));
    writeln!(io::stdout(), "the backup {what}: {rows}, {blobs} ({})", Size(manifest.blobs.bytes))?;
    writeln!(io::stdout(), "digest {}", manifest.digest()?)?;
    for name in &manifest.blobs.lost {
        writeln!(io::stderr(), "note: blob {name} was lost before the backup was made")?;
    }
    Ok(ExitCode::SUCCESS)
}
