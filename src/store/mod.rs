//! Every SQL statement. SQL is the queue and the truth: loops ask it what is due, and nothing that matters lives
//! only in memory.
//!
//! One SQL text serves both databases ([`Db`]); a transaction ([`Tx`]) is the only thing that runs statements, so what
//! belongs together is together. After a commit the [`Bell`] rings: a hint for whoever waits, never the truth.

mod action;
mod approval;
mod artifact;
mod attempt;
mod audit;
mod bell;
mod blob;
mod budget;
mod bundle;
mod cache;
mod checkout;
mod contact;
mod delivery;
mod examine;
mod hook;
mod inbox;
mod job;
mod listed;
mod log;
mod meter;
mod notice;
mod people;
mod podless;
mod problem;
mod queue;
mod recovery;
mod replay;
mod reply;
mod report;
mod repository;
mod rerun;
mod run;
mod secret;
mod shown;
mod starter;
mod statistics;
mod sweep;
mod telling;
mod tested;
mod timeline;
mod trace;
mod trigger;
mod types;
mod vetting;

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::meters::{Fact, Meters};

pub use action::ActionRow;
pub use approval::ApprovalRow;
pub use artifact::ArtifactRow;
pub use attempt::AttemptRow;
pub use audit::{AuditFilter, AuditRow};
pub use bell::{Bell, Change, Listener};
pub use budget::{Patience, Spent};
pub use cache::{CacheRow, CacheUseRow, KeptCacheRow};
pub use checkout::CheckoutRow;
pub use contact::SilenceRow;
pub use delivery::{DeliveryFilter, DeliveryRow, DeliveryShown, DeliverySummary, RunDigest};
pub use examine::examine;
pub use hook::{Came, HookRow};
pub use inbox::{Inbox, NewDelivery, Taken};
pub use job::{JobRow, NewJob, OutputRow, Tail};
pub use listed::{RunFilter, RunSummary};
pub use log::{Check, ChunkRow, LoggedRow, NewChunk};
pub use notice::{NewNotice, NoticeRow};
pub use people::{NewToken, PersonRow, TokenRow};
pub use podless::PodlessRow;
pub use queue::{QueuedRun, TurnRow};
pub use recovery::{Lost, NewRecovery, RecoveryRow};
pub use replay::Replay;
pub use reply::ReplyRow;
pub use report::{NewReport, ReportRow};
pub use repository::{ListedRepository, RepositoryRow};
pub use run::{NewRun, Pin, Pins, RunRow};
pub use secret::{GivenRow, SecretRow};
pub use shown::{ShownOutputRow, ShownSilenceRow, StartedRow, WholeOutputRow, WrittenRow};
pub use starter::{StarterOf, StarterRow};
pub use statistics::{BadgeAsked, BadgeRow, EndedJob, JobFigures, RunFigure, RunsAsked};
pub use sweep::{HeadRow, SweepRow};
pub use telling::{Acknowledgement, Doubt};
pub use tested::{TestsRead, TestsRow};
pub use timeline::{AttemptTimes, JobTimes, QueuedRow};
pub use trace::TraceRow;
pub use trigger::TriggerPlace;
pub use types::Json;
pub use vetting::{NewVetting, Vetting, VettingRow, Vote};

/// The schema's history; it only grows.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");
/// Readers of SQLite: pages and loops look at the same time, and WAL lets them.
const SQLITE_READERS: u32 = 8;
/// The writer's page cache, in KiB: the index of delivery ids is hit at random places, and its pages must not be read
/// again for every delivery. Memory is used as pages come in.
const SQLITE_WRITER_CACHE: &str = "-16384";
/// The write-ahead log is copied into the database after so many pages: a page that is written again and again is
/// then copied once. 16 MiB of it are read again at a start after a crash.
const SQLITE_CHECKPOINT: &str = "4096";
/// How long a statement waits for another process's lock (a backup, say) before it is an error.
const SQLITE_BUSY: Duration = Duration::from_secs(10);

/// The database did not do what we asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is away, full, locked, or answers nonsense.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// Its schema could not be brought up to date.
    #[error("the database's schema: {0}")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// The URL names no database that we know.
    #[error("`{0}` is no database that this version knows: sqlite:PATH is")]
    UnknownDatabase(String),
    /// A statement met another number of rows than it meant: someone else was faster, or a bug of ours.
    #[error("{what}: meant {meant} rows, met {met}")]
    Rows {
        /// Which statement.
        what: &'static str,
        /// How many rows it meant.
        meant: u64,
        /// How many it met.
        met: u64,
    },
}

/// What every statement returns.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The database, its inbox and its bell.
#[derive(Debug, Clone)]
pub struct Store {
    db: Db,
    inbox: Inbox,
    bell: Bell,
}

/// Which database. PostgreSQL will be the other arm.
#[derive(Debug, Clone)]
enum Db {
    /// One writer, because SQLite has one lock; readers see the last commit and block nobody.
    Sqlite { writer: SqlitePool, readers: SqlitePool },
}

/// A transaction: a consistent view, and changes that happen together or not at all.
#[derive(Debug)]
pub struct Tx {
    on: On,
    changes: Vec<Change>,
    bell: Bell,
    /// What is counted once it is committed.
    facts: Vec<Fact>,
}

#[derive(Debug)]
enum On {
    Sqlite(Transaction<'static, Sqlite>),
}

/// Runs one statement and returns how many rows it met.
macro_rules! execute {
    ($tx:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        match &mut $tx.on {
            $crate::store::On::Sqlite(on) => sqlx::query($sql)$(.bind($bind))*.execute(&mut **on).await
                .map(|done| done.rows_affected()).map_err($crate::store::StoreError::from),
        }
    };
}

/// All rows of one query.
macro_rules! rows {
    ($tx:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        match &mut $tx.on {
            $crate::store::On::Sqlite(on) => sqlx::query_as::<_, $row>($sql)$(.bind($bind))*.fetch_all(&mut **on).await
                .map_err($crate::store::StoreError::from),
        }
    };
}

/// The first row of one query, if there is one.
macro_rules! row {
    ($tx:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        match &mut $tx.on {
            $crate::store::On::Sqlite(on) => sqlx::query_as::<_, $row>($sql)$(.bind($bind))*.fetch_optional(&mut **on)
                .await.map_err($crate::store::StoreError::from),
        }
    };
}
use {execute, row, rows};

/// Errs unless a statement met as many rows as it meant.
fn meant(what: &'static str, meant: u64, met: u64) -> Result<()> {
    if meant == met { Ok(()) } else { Err(StoreError::Rows { what, meant, met }) }
}

impl Store {
    /// Opens the database of `sqlite:PATH`, makes it if it is not there, and brings its schema up to date. One of
    /// `sqlite-scratch:PATH` is not flushed to the disk: it is for what need not outlive the machine's crash.
    ///
    /// # Errors
    /// [`StoreError`], if the URL is unknown, the file cannot be opened, or it is of a newer release.
    pub async fn open(url: &str) -> Result<Self> {
        let (path, flushes) = match (url.strip_prefix("sqlite:"), url.strip_prefix(SCRATCH)) {
            // with NORMAL a commit is not on the disk when we answer
            (Some(path), _) => (path, SqliteSynchronous::Full),
            (None, Some(path)) => (path, SqliteSynchronous::Off),
            (None, None) => return Err(StoreError::UnknownDatabase(scheme(url))),
        };
        let bell = Bell::new();
        let db = open_sqlite(Path::new(path.trim_start_matches("//")), flushes).await?;
        let inbox = Inbox::open(&db, bell.clone());
        Ok(Self { db, inbox, bell })
    }

    /// Opens the database of `sqlite:PATH` for whoever only reads, also beside a server that runs. Its schema is left
    /// alone, and whatever would change something is refused.
    ///
    /// # Errors
    /// [`StoreError`], if the URL is unknown or there is no such file.
    pub async fn open_to_read(url: &str) -> Result<Self> {
        let path = url.strip_prefix("sqlite:").ok_or_else(|| StoreError::UnknownDatabase(scheme(url)))?;
        let options = SqliteConnectOptions::new().filename(path.trim_start_matches("//")).read_only(true);
        let readers =
            SqlitePoolOptions::new().max_connections(1).connect_with(options.busy_timeout(SQLITE_BUSY)).await?;
        let (db, bell) = (Db::Sqlite { writer: readers.clone(), readers }, Bell::new());
        Ok(Self { inbox: Inbox::open(&db, bell.clone()), db, bell })
    }

    /// Opens the database of `sqlite:PATH` beside a server that may be running, to change something small. What that
    /// server holds is left alone; where there is no database yet, one is made.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_beside(url: &str) -> Result<Self> {
        let path = url.strip_prefix("sqlite:").ok_or_else(|| StoreError::UnknownDatabase(scheme(url)))?;
        let bell = Bell::new();
        let options = sqlite_options(Path::new(path.trim_start_matches("//")), SqliteSynchronous::Full);
        migrate(&options).await?;
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        let db = Db::Sqlite { readers: writer.clone(), writer };
        Ok(Self { inbox: Inbox::open(&db, bell.clone()), db, bell })
    }

    /// A consistent view; changes are refused.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn read(&self) -> Result<Tx> {
        let on = match &self.db {
            Db::Sqlite { readers, .. } => On::Sqlite(readers.begin().await?),
        };
        Ok(Tx { on, changes: Vec::new(), bell: self.bell.clone(), facts: Vec::new() })
    }

    /// A transaction that may change things. On SQLite only one exists at a time: keep it short.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn write(&self) -> Result<Tx> {
        let on = match &self.db {
            Db::Sqlite { writer, .. } => On::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
        };
        Ok(Tx { on, changes: Vec::new(), bell: self.bell.clone(), facts: Vec::new() })
    }

    /// Where deliveries are committed, many at once.
    pub const fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Rings after commits.
    pub const fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Counts what happens.
    pub const fn meters(&self) -> &Meters {
        self.bell.meters()
    }

    /// How many connections there are: of which pool, in which state.
    pub fn connections(&self) -> Vec<(&'static str, &'static str, i64)> {
        match &self.db {
            Db::Sqlite { writer, readers } => {
                let of = |name, pool: &SqlitePool| {
                    usage(name, pool.size(), pool.num_idle(), pool.options().get_max_connections())
                };
                [of("writer", writer), of("readers", readers)].concat()
            }
        }
    }

    /// Closes all connections, so that the file is whole and nobody holds it.
    pub async fn close(&self) {
        match &self.db {
            Db::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

impl Tx {
    /// Makes the changes durable, then rings for them.
    ///
    /// # Errors
    /// [`StoreError::Database`]; nothing has changed then.
    pub async fn commit(self) -> Result<()> {
        match self.on {
            On::Sqlite(on) => on.commit().await?,
        }
        for change in self.changes {
            self.bell.ring(change);
        }
        self.facts.iter().for_each(|fact| self.bell.meters().count(fact));
        Ok(())
    }

    /// Counts this once the transaction is committed.
    pub(super) fn count(&mut self, fact: Fact) {
        self.facts.push(fact);
    }

    /// Rings for `change` once this transaction is committed.
    pub fn ring(&mut self, change: Change) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }
}

/// What a pool's connections are doing.
fn usage(pool: &'static str, size: u32, idle: usize, most: u32) -> Vec<(&'static str, &'static str, i64)> {
    let idle = i64::try_from(idle).unwrap_or(i64::MAX).min(i64::from(size));
    vec![(pool, "used", i64::from(size) - idle), (pool, "idle", idle), (pool, "most", i64::from(most))]
}

/// How the URL of a database begins that is not flushed to the disk.
const SCRATCH: &str = "sqlite-scratch:";

/// What stands before the colon, which is all of a database URL that a message may show: the rest may be a password.
fn scheme(url: &str) -> String {
    url.split_once(':').map_or("(no scheme)", |(scheme, _)| scheme).chars().take(20).collect()
}

/// A SQLite database is one process's, so whoever held a lease or told a forge is gone: nobody need wait until that is
/// over. Should that process live on for a moment, the numbers of its leases and calls stop it.
async fn forget_leases(options: &SqliteConnectOptions) -> Result<()> {
    let mut alone = options.connect().await?;
    sqlx::query("UPDATE actions SET lease_until = 0 WHERE lease_until > 0").execute(&mut alone).await?;
    sqlx::query(telling::CALLS_LOST).bind(i64::MAX).bind(telling::LATE_MS).execute(&mut alone).await?;
    Ok(alone.close().await?)
}

fn sqlite_options(path: &Path, flushes: SqliteSynchronous) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(flushes)
        .foreign_keys(true)
        .busy_timeout(SQLITE_BUSY)
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

async fn open_sqlite(path: &Path, flushes: SqliteSynchronous) -> Result<Db> {
    let options = sqlite_options(path, flushes);
    let one = || SqlitePoolOptions::new().max_connections(1);
    migrate(&options).await?;
    forget_leases(&options).await?;
    let for_writer =
        options.clone().pragma("cache_size", SQLITE_WRITER_CACHE).pragma("wal_autocheckpoint", SQLITE_CHECKPOINT);
    let writer = one().connect_with(for_writer).await?;
    listed::fill_in(&writer).await?;
    let readers =
        SqlitePoolOptions::new().max_connections(SQLITE_READERS).connect_with(options.read_only(true)).await?;
    Ok(Db::Sqlite { writer, readers })
}
