//! SQLite: a file, and one process.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Db, MIGRATIONS, Result, telling};

/// With NORMAL a commit is not on the disk when we answer.
pub(super) const FLUSHES: SqliteSynchronous = SqliteSynchronous::Full;
/// For what need not outlive the machine's crash.
pub(super) const FLUSHES_NOT: SqliteSynchronous = SqliteSynchronous::Off;
/// Readers of SQLite: pages and loops look at the same time, and WAL lets them.
const READERS: u32 = 8;
/// The writer's page cache, in KiB: the index of delivery ids is hit at random places, and its pages must not be read
/// again for every delivery. Memory is used as pages come in.
const WRITER_CACHE: &str = "-16384";
/// The write-ahead log is copied into the database after so many pages: a page that is written again and again is
/// then copied once. 16 MiB of it are read again at a start after a crash.
const CHECKPOINT: &str = "4096";
/// How long a statement waits for another process's lock (a backup, say) before it is an error.
const BUSY: Duration = Duration::from_secs(10);

pub(super) async fn open(path: &Path, flushes: SqliteSynchronous) -> Result<Db> {
    let options = options(path, flushes);
    let one = || pool(1);
    migrate(&options).await?;
    forget_leases(&options).await?;
    let for_writer = options.clone().pragma("cache_size", WRITER_CACHE).pragma("wal_autocheckpoint", CHECKPOINT);
    let writer = one().connect_with(for_writer).await?;
    let readers = pool(READERS).connect_with(options.read_only(true)).await?;
    Ok(Db::Sqlite { writer, readers })
}

pub(super) async fn open_to_read(path: &Path) -> Result<Db> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let readers = SqlitePoolOptions::new().max_connections(1).connect_with(options.busy_timeout(BUSY)).await?;
    Ok(Db::Sqlite { writer: readers.clone(), readers })
}

pub(super) async fn open_beside(path: &Path) -> Result<Db> {
    let options = options(path, FLUSHES);
    migrate(&options).await?;
    let writer = pool(1).connect_with(options).await?;
    Ok(Db::Sqlite { readers: writer.clone(), writer })
}

/// When the disk is full, SQLite takes a transaction back by itself. What was to take it back then fails, and the connection
/// counts as within a transaction for ever: it is let go, and another one finds the room that there is.
fn pool(most: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(most).before_acquire(|connection, _| {
        Box::pin(async move {
            if connection.is_in_transaction() {
                // what was dropped just now is taken back first
                connection.ping().await?;
            }
            Ok(!connection.is_in_transaction())
        })
    })
}

/// A SQLite database is one process's, so whoever held a lease or told a forge is gone: nobody need wait until that is
/// over. Should that process live on for a moment, the numbers of its leases and calls stop it.
async fn forget_leases(options: &SqliteConnectOptions) -> Result<()> {
    let mut alone = options.connect().await?;
    sqlx::query("UPDATE actions SET lease_until = 0 WHERE lease_until > 0").execute(&mut alone).await?;
    sqlx::query(telling::CALLS_LOST).bind(i64::MAX).bind(telling::LATE_MS).execute(&mut alone).await?;
    Ok(alone.close().await?)
}

fn options(path: &Path, flushes: SqliteSynchronous) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(flushes)
        .foreign_keys(true)
        .busy_timeout(BUSY)
}

/// Brings the schema up to date. Another process may be doing the same, and SQLite has no lock for all of it: whoever
/// comes second with a step fails, and goes on after it.
async fn migrate(options: &SqliteConnectOptions) -> Result<()> {
    for _ in MIGRATIONS.iter() {
        if try_migrate(options).await.is_ok() {
            return Ok(());
        }
    }
    try_migrate(options).await
}

/// In a pool of its own, closed afterwards: a failed migration must not leave its lock behind.
async fn try_migrate(options: &SqliteConnectOptions) -> Result<()> {
    let migrating = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    let migrated = MIGRATIONS.run(&migrating).await;
    migrating.close().await;
    Ok(migrated?)
}
