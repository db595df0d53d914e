//! `containerops gc`: what the server removes by itself in its own time, at once; or what that would be.

use std::{
    collections::HashSet,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures::TryStreamExt as _;

use super::serve;
use crate::{
    app,
    blob::{Blobs, Digest, Found},
    engine::{
        collect::{Collected, Collector, Expired},
        janitor::{CACHE_KEPT, SOURCE_KEPT, UNNEEDED_KEPT},
    },
    model::{Counted, RetentionRule, Size},
    store::{Leftovers, Store},
};

/// So many runs and lost blobs are named; of the others it is said how many there are.
const NAMED: usize = 20;
/// After so many blobs it is said how far it is.
const SAID_EVERY: u64 = 10_000;
/// How many names are asked for at once.
const NAMES: i64 = 10_000;
/// Rows name blobs that are not there.
const LOST: u8 = 2;

/// Remove what is over its time: logs and artifacts of runs over a limit of CONTAINEROPS_RETENTION, artifacts that have
/// expired, caches that nobody finds, and blobs that no row names. The server does the same by itself, a part at a time.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops gc --dry-run    what would be removed, and why; nothing is changed
  containerops gc              remove it, whether the server runs or not

A blob that no row names is removed when it has been so for a week of looking, for its row may come back out of a backup.
Blobs that rows name and that are not there are listed: what was in them is lost.

Exit code: 0 if all is well, 2 if blobs are lost, 1 if it could not be done.")]
pub struct Args {
    /// Say what would be removed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Settings under the `CONTAINEROPS_*` variables [default: containerops.toml, if there is one]
    #[arg(long, env = "CONTAINEROPS_CONFIG")]
    config: Option<PathBuf>,
}

/// How it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Dry,
    Real,
}

/// Removes, or says what it would.
///
/// # Errors
/// If the settings are wrong, or the database or the blobs are away.
pub fn run(args: Args) -> Result<ExitCode> {
    serve::log_to_stderr("warn", serve::Lines::ForPeople);
    serve::runtime()?.block_on(gc(args))
}

async fn gc(args: Args) -> Result<ExitCode> {
    let settings = serve::settings(args.config)?;
    let mode = if args.dry_run { Mode::Dry } else { Mode::Real };
    let store = match mode {
        Mode::Dry => Store::open_to_read(&settings.database_url).await,
        // one of our own making would have no rows, and all blobs would be nobody's
        Mode::Real => match Store::open_to_read(&settings.database_url).await {
            Ok(there) => {
                there.close().await;
                Store::open_beside(&settings.database_url).await
            }
            Err(error) => Err(error),
        },
    };
    let store = store.context("opening the database: is it there? Call this with the server's own settings")?;
    let blobs = app::blobs(&settings).await.context("opening the place for blobs")?;
    let collector = Collector { store: &store, blobs: &blobs, now: store.clock().now() };
    runs(&collector, &settings.retention, mode).await?;
    leftovers(&collector, mode).await?;
    let there = unneeded(&collector, mode).await?;
    let lost = lost(&store, &blobs, &there).await?;
    store.close().await;
    Ok(if lost == 0 { ExitCode::SUCCESS } else { ExitCode::from(LOST) })
}

/// Logs and artifacts of runs over a limit.
async fn runs(collector: &Collector<'_>, rules: &[RetentionRule], mode: Mode) -> Result<()> {
    let over = collector.over_limits(rules).await?;
    let (mut done, mut bytes) = (Vec::new(), 0);
    for expired in &over {
        let mut tx = collector.store.read().await?;
        let (size, needed) = (tx.kept_bytes(expired.run).await?, tx.is_run_needed(expired.run).await?);
        drop(tx);
        if !needed && (mode == Mode::Dry || collector.prune(expired).await?) {
            bytes += size;
            done.push((expired, size));
        }
    }
    say(mode, "logs and artifacts of", Counted(done.len() as u64, "run"), Some(bytes))?;
    for (Expired { group, number, over, .. }, size) in done.iter().take(NAMED) {
        writeln!(io::stdout(), "  {}/{} #{number} ({}, {}): {over}", group.forge, group.name, group.kind, Size(*size))?;
    }
    and_more(done.len())?;
    match over.len() - done.len() {
        0 => Ok(()),
        kept => Ok(writeln!(io::stdout(), "kept: {}, for an open run still needs them", Counted(kept as u64, "run"))?),
    }
}

async fn leftovers(collector: &Collector<'_>, mode: Mode) -> Result<()> {
    let (now, caches, sources) = (collector.now, collector.now.before(CACHE_KEPT), collector.now.before(SOURCE_KEPT));
    let found: Leftovers = collector.store.read().await?.leftovers(now, caches, sources).await?;
    if mode == Mode::Real {
        let mut more = true;
        while more {
            let mut tx = collector.store.write().await?;
            let done =
                tx.forget_sources(sources).await? + tx.expire_artifacts(now).await? + tx.forget_caches(caches).await?;
            tx.forget_checkouts(sources).await?;
            tx.forget_bundles().await?;
            tx.commit().await?;
            more = done > 0;
        }
    }
    let count = |n: i64, what| Counted(n.cast_unsigned(), what);
    say(mode, "the bytes of", count(found.artifacts, "expired artifact"), Some(found.artifact_bytes.cast_unsigned()))?;
    say(mode, "", count(found.caches, "cache of no use"), Some(found.cache_bytes.cast_unsigned()))?;
    say(mode, "", count(found.sources, "snapshot of an old commit"), None)
}

/// Blobs that no row names. Those that stay are returned.
async fn unneeded(collector: &Collector<'_>, mode: Mode) -> Result<HashSet<Digest>> {
    let (mut there, mut looked) = (HashSet::new(), 0_u64);
    let (mut removed, mut waiting) = ((0, 0), (0, 0));
    let mut all = collector.blobs.all();
    while let Some(found) = all.try_next().await.context("listing blobs")? {
        match look(collector, found, mode).await? {
            Collected::Needed => {
                there.insert(found.digest);
            }
            Collected::Waits(_) => waiting = (waiting.0 + 1, waiting.1 + found.length),
            Collected::Removed => removed = (removed.0 + 1, removed.1 + found.length),
        }
        looked += 1;
        if looked.is_multiple_of(SAID_EVERY) {
            writeln!(io::stderr(), "{} are looked at", Counted(looked, "blob"))?;
        }
    }
    say(mode, "", Counted(removed.0, "blob that no row names"), Some(removed.1))?;
    if waiting.0 > 0 {
        let (blobs, days) = (Counted(waiting.0, "blob"), UNNEEDED_KEPT.as_secs() / 86_400);
        writeln!(io::stdout(), "kept: {blobs} that no row names ({}), until that is {days} days so", Size(waiting.1))?;
    }
    Ok(there)
}

async fn look(collector: &Collector<'_>, found: Found, mode: Mode) -> Result<Collected> {
    let name = found.digest.to_string();
    let mut tx = collector.store.read().await?;
    let needed = tx.needs_blob(&name).await?;
    let since = tx.known_unneeded(&name).await?;
    drop(tx);
    match (needed, since, mode) {
        (true, None, _) | (true, Some(_), Mode::Dry) => Ok(Collected::Needed),
        (false, Some(since), Mode::Dry) if since.as_millis() >= 0 && collector.now.since(since) >= grace() => {
            Ok(Collected::Removed)
        }
        (false, since, Mode::Dry) => Ok(Collected::Waits(since.unwrap_or(collector.now))),
        (_, _, Mode::Real) => Ok(collector.collect(found.digest, grace()).await?),
    }
}

const fn grace() -> Duration {
    UNNEEDED_KEPT
}

/// Blobs that rows name and that are not there. How many.
async fn lost(store: &Store, blobs: &Blobs, there: &HashSet<Digest>) -> Result<usize> {
    let (mut lost, mut behind) = (0, String::new());
    loop {
        let mut tx = store.read().await?;
        let some = tx.needed_blobs(&behind, NAMES).await?;
        let Some(last) = some.last() else { break };
        behind.clone_from(last);
        for name in &some {
            let Ok(digest) = name.parse::<Digest>() else { continue };
            // one that came since they were listed is no loss
            if there.contains(&digest) || blobs.has(digest).await? {
                continue;
            }
            let why = tx.why_needed(name).await?;
            if let Some(why) = why.filter(|_| lost < NAMED) {
                writeln!(io::stdout(), "LOST: blob {name}, {why}")?;
            }
            lost += 1;
        }
    }
    if lost > 0 {
        writeln!(io::stdout(), "{} that rows name are not there", Counted(lost as u64, "blob"))?;
    }
    Ok(lost)
}

fn say(mode: Mode, whose: &str, count: Counted, bytes: Option<u64>) -> Result<()> {
    let done = if mode == Mode::Dry { "would remove" } else { "removed" };
    let whose = if whose.is_empty() { String::new() } else { format!("{whose} ") };
    let bytes = bytes.map_or_else(String::new, |bytes| format!(" ({})", Size(bytes)));
    Ok(writeln!(io::stdout(), "{done}: {whose}{count}{bytes}")?)
}

fn and_more(all: usize) -> Result<()> {
    match all.saturating_sub(NAMED) {
        0 => Ok(()),
        more => Ok(writeln!(io::stdout(), "  and {more} more")?),
    }
}
