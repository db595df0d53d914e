//! Every SQL statement. SQL is the queue and the truth: loops ask it what is due, and nothing that matters lives
//! only in memory.
//!
//! One SQL text serves both databases ([`Db`]); a transaction ([`Tx`]) is the only thing that runs statements, so what
//! belongs together is together. After a commit the [`Bell`] rings: a hint for whoever waits, never the truth.

mod action;
mod approval;
mod artifact;
mod attempt;
mod attempted;
mod audit;
mod bell;
mod blob;
mod budget;
mod bundle;
mod cache;
mod checkout;
mod contact;
mod delivery;
mod dump;
mod duty;
mod examine;
mod gc;
mod hook;
mod inbox;
mod job;
mod known;
mod listed;
mod log;
mod meter;
mod notice;
mod people;
mod podless;
mod postgres;
mod problem;
mod queue;
mod quota;
mod recovery;
mod replay;
mod reply;
mod report;
mod repository;
mod rerun;
mod retention;
mod run;
mod secret;
mod set_back;
mod shown;
mod sqlite;
mod starter;
mod statistics;
mod stored;
mod sweep;
mod tally;
mod telling;
mod tested;
mod timeline;
mod trace;
mod trigger;
mod types;
mod url;
mod vetting;

use std::sync::Arc;

use sqlx::{Postgres, Sqlite, SqlitePool, Transaction};
use tokio_util::sync::DropGuard;

use crate::{
    meters::{Fact, Meters},
    model::{Clock, RunId},
};

pub use action::{ActionRow, DueAction};
pub use approval::ApprovalRow;
pub use artifact::ArtifactRow;
pub use attempt::AttemptRow;
pub use attempted::Attempted;
pub use audit::{AuditFilter, AuditRow};
pub use bell::{Bell, Change, Listener};
pub use blob::Standing;
pub use budget::{Patience, Spent};
pub use cache::{CacheRow, CacheUseRow, KeptCacheRow};
pub use checkout::CheckoutRow;
pub use contact::SilenceRow;
pub use delivery::{DeliveryFilter, DeliveryRow, DeliveryShown, DeliverySummary, RunDigest};
pub use dump::{Dumped, Kind, TABLES, TableColumn};
pub use examine::examine;
pub use gc::Leftovers;
pub use hook::{Came, HookRow};
pub use inbox::{Inbox, NewDelivery, Taken};
pub use job::{JobRow, NewJob, OutputRow, Tail};
pub use known::Wanted;
pub use listed::{RunFilter, RunSummary};
pub use log::{Check, ChunkRow, LoggedRow, NewChunk};
pub use notice::{NewNotice, NoticeRow};
pub use people::{NewToken, PersonRow, TokenRow};
pub use podless::PodlessRow;
pub use postgres::CONNECTIONS;
pub use queue::{QueuedRun, TurnRow};
pub use quota::{QuotaRow, UsedRow, UsingRow, WaitingRow};
pub use recovery::{Lost, NewRecovery, RecoveryRow};
pub use replay::Replay;
pub use reply::ReplyRow;
pub use report::{NewReport, ReportRow};
pub use repository::{ListedRepository, RepositoryRow};
pub use retention::{KeptGroup, KeptRow, Pruned};
pub use run::{NewRun, Pin, Pins, RunRow};
pub use secret::{GivenRow, SecretRow};
pub use shown::{ShownOutputRow, ShownSilenceRow, StartedRow, WholeOutputRow, WrittenRow};
pub use starter::{StarterOf, StarterRow};
pub use statistics::{BadgeAsked, BadgeRow, JobFigures, RunFigure, RunsAsked};
pub use stored::{CacheSize, StoredRow};
pub use sweep::{HeadRow, SweepRow};
pub use tally::EndedJob;
pub use telling::{Acknowledgement, Doubt};
pub use tested::{TestsRead, TestsRow};
pub use timeline::{AttemptTimes, JobTimes, QueuedRow};
pub use trace::TraceRow;
pub use trigger::TriggerPlace;
pub use types::Json;
pub use vetting::{NewVetting, Vetting, VettingRow, Vote};

use known::Known;
use tally::Tallies;
use url::Url;

/// The schema's history; it only grows.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");
/// The database did not do what we asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is away, full, locked, or answers nonsense.
    #[error("the database: {0}")]
    Database(#[source] sqlx::Error),
    /// Its schema could not be brought up to date.
    #[error("the database's schema: {0}")]
    Schema(#[source] sqlx::migrate::MigrateError),
    /// The URL names no database that we know.
    #[error("`{0}` is no database that this version knows: sqlite:PATH and postgres://… are")]
    UnknownDatabase(String),
    /// It is none that can be used; the words say why.
    #[error("the database cannot be used: {0}")]
    Unfit(String),
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

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        postgres::notice(&error);
        Self::Database(error)
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        if let sqlx::migrate::MigrateError::VersionMissing(found) = error {
            return Self::Unfit(format!(
                "its schema is of a newer release (version {found}; this release knows {}): start that release, or a newer one",
                Store::schema()
            ));
        }
        Self::Schema(error)
    }
}

/// What every statement returns.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The database, its inbox and its bell.
#[derive(Debug, Clone)]
pub struct Store {
    db: Db,
    inbox: Inbox,
    bell: Bell,
    /// What goes on beside it ends with the last of it.
    _beside: Option<Arc<DropGuard>>,
}

/// Which database.
#[derive(Debug, Clone)]
enum Db {
    /// One writer, because SQLite has one lock; readers see the last commit and block nobody.
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    /// Shared by any number of processes.
    Postgres(Arc<postgres::Pools>),
}

/// A transaction: a consistent view, and changes that happen together or not at all.
#[derive(Debug)]
pub struct Tx {
    on: On,
    changes: Vec<Change>,
    /// The runs that are to be settled before the commit; `None`: each is settled at once.
    unsettled: Option<Vec<RunId>>,
    known: Known,
    tallies: Tallies,
    bell: Bell,
    /// Which process this is, among those that share the database; 0: it is alone.
    me: i64,
    /// What is counted once it is committed.
    facts: Vec<Fact>,
}

#[derive(Debug)]
enum On {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// Runs one statement and returns how many rows it met.
macro_rules! execute {
    ($tx:expr, $sql:expr $(, $bind:expr)* $(,)?) => {{
        match ($tx.about($sql).await, &mut $tx.on) {
            (Err(error), _) => Err(error),
            (Ok(()), $crate::store::On::Sqlite(on)) => sqlx::query($sql)$(.bind($bind))*.execute(&mut **on).await
                .map(|done| done.rows_affected()).map_err($crate::store::StoreError::from),
            (Ok(()), $crate::store::On::Postgres(on)) => {
                sqlx::query($sql)$(.bind($crate::store::postgres::Clean($bind)))*.execute(&mut **on).await
                    .map(|done| done.rows_affected()).map_err($crate::store::StoreError::from)
            }
        }
    }};
}

/// All rows of one query.
macro_rules! rows {
    ($tx:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        match ($tx.about($sql).await, &mut $tx.on) {
            (Err(error), _) => Err(error),
            (Ok(()), $crate::store::On::Sqlite(on)) => sqlx::query_as::<_, $row>($sql)$(.bind($bind))*
                .fetch_all(&mut **on).await.map_err($crate::store::StoreError::from),
            (Ok(()), $crate::store::On::Postgres(on)) => sqlx::query_as::<_, $row>($sql)
                $(.bind($crate::store::postgres::Clean($bind)))*.fetch_all(&mut **on).await
                .map_err($crate::store::StoreError::from),
        }
    };
}

/// The first row of one query, if there is one.
macro_rules! row {
    ($tx:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        match ($tx.about($sql).await, &mut $tx.on) {
            (Err(error), _) => Err(error),
            (Ok(()), $crate::store::On::Sqlite(on)) => sqlx::query_as::<_, $row>($sql)$(.bind($bind))*
                .fetch_optional(&mut **on).await.map_err($crate::store::StoreError::from),
            (Ok(()), $crate::store::On::Postgres(on)) => sqlx::query_as::<_, $row>($sql)
                $(.bind($crate::store::postgres::Clean($bind)))*.fetch_optional(&mut **on)
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
    /// Opens the database of `sqlite:PATH`, which is made if it is not there, or of `postgres://…`, and brings its schema
    /// up to date. One of `sqlite-scratch:PATH` is not flushed to the disk: it is for what need not outlive the machine's
    /// crash.
    ///
    /// # Errors
    /// [`StoreError`], if the URL is unknown, the database cannot be opened, or it is of a newer release.
    pub async fn open(url: &str) -> Result<Self> {
        Self::open_with(url, CONNECTIONS).await
    }

    /// The same, with so many connections to a PostgreSQL at the most, one more to hear of changes not counted.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_with(url: &str, connections: u32) -> Result<Self> {
        let store = match Url::of(url)? {
            Url::Sqlite(path) => Self::of(sqlite::open(path, sqlite::FLUSHES).await?, Bell::new()),
            Url::Scratch(path) => Self::of(sqlite::open(path, sqlite::FLUSHES_NOT).await?, Bell::new()),
            Url::Postgres(url) => {
                let pools = postgres::Pools::open(url, connections).await?;
                let (bell, changes) = Bell::shared();
                let beside = pools.stay(&bell, changes).await?;
                Self { _beside: Some(Arc::new(beside)), ..Self::of(Db::Postgres(Arc::new(pools)), bell) }
            }
        };
        store.fill_in().await?;
        Ok(store)
    }

    /// Opens a database for whoever only reads, also beside a server that runs. Its schema is left alone, and whatever
    /// would change something is refused.
    ///
    /// # Errors
    /// [`StoreError`], if the URL is unknown or there is no such database.
    pub async fn open_to_read(url: &str) -> Result<Self> {
        let db = match Url::of(url)? {
            Url::Sqlite(path) | Url::Scratch(path) => sqlite::open_to_read(path).await?,
            Url::Postgres(url) => Db::Postgres(Arc::new(postgres::Pools::open_to_read(url).await?)),
        };
        Ok(Self::of(db, Bell::new()))
    }

    /// Opens a database beside a server that may be running, to change something small. What that server holds is left
    /// alone; where there is no database yet, one is made.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_beside(url: &str) -> Result<Self> {
        let db = match Url::of(url)? {
            Url::Sqlite(path) | Url::Scratch(path) => sqlite::open_beside(path).await?,
            Url::Postgres(url) => Db::Postgres(Arc::new(postgres::Pools::open_beside(url).await?)),
        };
        Ok(Self::of(db, Bell::new()))
    }

    /// Whether there is a database of ours at this URL already.
    ///
    /// # Errors
    /// [`StoreError`], if the URL is unknown or nobody answers.
    pub async fn is_made(url: &str) -> Result<bool> {
        Ok(match Url::of(url)? {
            Url::Sqlite(path) | Url::Scratch(path) => path.exists(),
            Url::Postgres(url) => postgres::look(url).await?.schema > 0,
        })
    }

    fn of(db: Db, bell: Bell) -> Self {
        Self { inbox: Inbox::open(&db, bell.clone()), db, bell, _beside: None }
    }

    /// A consistent view; changes are refused.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn read(&self) -> Result<Tx> {
        Ok(self.tx(match &self.db {
            Db::Sqlite { readers, .. } => On::Sqlite(readers.begin().await?),
            Db::Postgres(pools) => On::Postgres(pools.read().await?),
        }))
    }

    /// A transaction that may change things. Only one exists at a time, among all processes that share the database:
    /// keep it short.
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Rows`], if it is for a duty that this server has lost.
    pub async fn write(&self) -> Result<Tx> {
        let on = match &self.db {
            Db::Sqlite { writer, .. } => On::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Db::Postgres(pools) => On::Postgres(pools.write().await?),
        };
        let tx = Tx { known: Known::of_writer(), ..self.tx(on) };
        tx.still_on_duty().await
    }

    fn tx(&self, on: On) -> Tx {
        let me = match &self.db {
            Db::Sqlite { .. } => 0,
            Db::Postgres(pools) => pools.me(),
        };
        Tx {
            on,
            changes: Vec::new(),
            unsettled: None,
            known: Known::default(),
            tallies: Tallies::default(),
            bell: self.bell.clone(),
            me,
            facts: Vec::new(),
        }
    }

    /// The version of its schema: that of the newest migration.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn version(&self) -> Result<i64> {
        let mut tx = self.read().await?;
        let newest: Option<(i64,)> =
            row!(tx, (i64,), "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success")?;
        Ok(newest.map_or(0, |(version,)| version))
    }

    /// The clock that all servers of the database have in common; that of this machine, if it is alone.
    pub fn clock(&self) -> Clock {
        match &self.db {
            Db::Sqlite { .. } => Clock::System,
            Db::Postgres(pools) => Clock::Shared(Arc::clone(pools.clock())),
        }
    }

    /// Whether other processes may work with the same database.
    pub const fn is_shared(&self) -> bool {
        matches!(self.db, Db::Postgres(_))
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
            Db::Sqlite { writer, readers } => [usage("writer", writer), usage("readers", readers)].concat(),
            Db::Postgres(pools) => pools.usage(),
        }
    }

    /// Closes all connections, so that a file is whole and nobody holds it.
    pub async fn close(&self) {
        match &self.db {
            Db::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Db::Postgres(pools) => pools.close().await,
        }
    }
}

impl Tx {
    /// Makes the changes durable, then rings for them.
    ///
    /// # Errors
    /// [`StoreError::Database`]; nothing has changed then, unless the connection broke while it was said.
    pub async fn commit(mut self) -> Result<()> {
        Box::pin(self.write_tallies()).await?;
        Box::pin(self.write_down()).await?;
        match self.on {
            On::Sqlite(on) => on.commit().await?,
            On::Postgres(on) => on.commit().await?,
        }
        for change in self.changes {
            self.bell.ring(change);
        }
        self.facts.iter().for_each(|fact| self.bell.meters().count(fact));
        Ok(())
    }

    /// From now on runs are not settled at once: [`Self::unsettled`] says which are to be, in the end.
    pub fn put_off_settling(&mut self) {
        self.unsettled = Some(Vec::new());
    }

    /// Whether a run is settled later, with all that changes in this transaction.
    pub fn settles_later(&mut self, run: RunId) -> bool {
        let Some(unsettled) = &mut self.unsettled else { return false };
        if !unsettled.contains(&run) {
            unsettled.push(run);
        }
        true
    }

    /// The runs whose settling was put off, and from now on none is.
    pub fn unsettled(&mut self) -> Vec<RunId> {
        self.unsettled.take().unwrap_or_default()
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
fn usage<D: sqlx::Database>(name: &'static str, pool: &sqlx::Pool<D>) -> Vec<(&'static str, &'static str, i64)> {
    let (size, most) = (i64::from(pool.size()), i64::from(pool.options().get_max_connections()));
    let idle = i64::try_from(pool.num_idle()).unwrap_or(i64::MAX).min(size);
    vec![(name, "used", size - idle), (name, "idle", idle), (name, "most", most)]
}
