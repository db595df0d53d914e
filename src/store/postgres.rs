//! PostgreSQL: any number of processes on one database.
//!
//! What SQLite's single writer gives for free is given here by a lock: every transaction of [`Pools::write`] takes it
//! first and holds it until its commit, so they follow each other, and each statement sees all that was committed
//! before. Whoever stops in the middle of one (a process that is paused, a machine that is gone) loses its connection
//! and with it the lock, and nothing of what it began remains. What only adds rows, or changes one that it locks by
//! itself, goes beside ([`Pools::append`]).

pub(super) mod clean;
mod figures;
mod foreseen;
mod herald;
mod many;
mod presence;
mod stale;
mod tallied;
mod wanted;

use std::{str::FromStr as _, sync::Arc, time::Duration};

use sqlx::{
    Connection as _, Executor as _, PgConnection, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(super) use clean::{Clean, text};
pub(super) use figures::run_figures;
pub(super) use foreseen::{Foreseen, foresee};
pub(super) use many::{attempted, attempts, hurry_attempts, jobs_spoke, rest_actions};
pub(super) use stale::notice;
pub(super) use tallied::{add_to_days, flaky};
pub(super) use wanted::want;

use super::{Bell, Change, MIGRATIONS, NewDelivery, Result, StoreError, Taken};
use crate::model::{DeliveryId, SharedClock, Time};

/// Connections that this process holds if nobody says otherwise. PostgreSQL's own limit is 100.
pub const CONNECTIONS: u32 = 16;
/// The oldest release that is known to work, as the server counts.
const OLDEST: i64 = 150_000;
/// How long whoever asks waits for a connection: a restart of the database is waited out.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection that nobody uses is closed after this.
const IDLE: Duration = Duration::from_secs(300);
/// Statements that a connection remembers: more than there are.
const STATEMENTS: usize = 500;
/// Names the lock of writers among all advisory locks of a database.
const LOCK: i64 = 0x636f_0000_0000_0000;
/// The lock of whoever changes columns' collations.
const COLLATING: i64 = LOCK + (1 << 40);
/// What each connection is told first: a peer that is not heard is given up after half a minute.
const MANNERS: &str = "SET lock_timeout = '15s'; \
     SET statement_timeout = '60s'; SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; \
     SET tcp_keepalives_count = 3; SET client_min_messages = 'warning'; SET TIME ZONE 'UTC'";
/// A reader sees one moment, and changes nothing.
const READING: &str = "SET idle_in_transaction_session_timeout = '60s'; SET default_transaction_isolation = 'repeatable read'; SET default_transaction_read_only = on";
/// Each statement of a writer sees what was committed before it, whatever the server's own default. Whoever holds the
/// lock and does nothing for four seconds stands still, and is in the way.
const WRITING: &str = "SET idle_in_transaction_session_timeout = '4s'; SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off";
/// Migrations may take long, and wait for those of another process.
const MIGRATING: &str = "SET statement_timeout = 0; SET lock_timeout = '5min'; \
     SET idle_in_transaction_session_timeout = '5min'";

/// The connections of one process.
#[derive(Debug, Clone)]
pub(super) struct Pools {
    readers: PgPool,
    writers: PgPool,
    /// For what goes beside the writers' lock.
    beside: PgPool,
    /// Hears what other processes change.
    ears: PgPool,
    options: PgConnectOptions,
    lock: i64,
    /// This process, among all that share the database.
    me: i64,
    /// The same, for people.
    name: String,
    /// What the database calls now.
    clock: Arc<SharedClock>,
    /// Ends what goes on beside.
    over: CancellationToken,
}

/// What a database is.
struct Facts {
    version: i64,
    version_name: String,
    encoding: String,
    schema: Option<String>,
    schema_hash: i64,
    now: i64,
}

impl Pools {
    /// Opens it and brings its schema up to date.
    pub(super) async fn open(url: &str, connections: u32) -> Result<Self> {
        let options = options(url)?;
        migrate(&options).await?;
        Self::connect(options, connections).await
    }

    /// Leaves the schema alone, and changes nothing.
    pub(super) async fn open_to_read(url: &str) -> Result<Self> {
        let options = options(url)?;
        let facts = facts(&options).await?;
        let readers = pool(1, READING).connect_with(options.clone()).await?;
        let (writers, beside, ears) = (readers.clone(), readers.clone(), readers.clone());
        Ok(Self {
            readers,
            writers,
            beside,
            ears,
            options,
            lock: facts.lock(),
            me: 0,
            name: String::new(),
            clock: facts.clock(),
            over: CancellationToken::new(),
        })
    }

    /// A few connections for something small.
    pub(super) async fn open_beside(url: &str) -> Result<Self> {
        Self::open(url, 3).await
    }

    async fn connect(options: PgConnectOptions, connections: u32) -> Result<Self> {
        let facts = facts(&options).await?;
        let part = (connections / 4).max(1);
        let readers = pool(connections.saturating_sub(2 * part).max(1), READING).connect_with(options.clone()).await?;
        let writers = pool(part, WRITING).connect_lazy_with(options.clone());
        let beside = pool(part, WRITING).connect_lazy_with(options.clone());
        let ears = pool(1, WRITING).connect_lazy_with(options.clone());
        let me = presence::mint();
        let host = rustix::system::uname();
        let name = format!("{}, process {}", host.nodename().to_string_lossy(), std::process::id());
        Ok(Self {
            readers,
            writers,
            beside,
            ears,
            options,
            lock: facts.lock(),
            me,
            name,
            clock: facts.clock(),
            over: CancellationToken::new(),
        })
    }

    /// This process works with the database for longer: others hear of what it changes and it of theirs, and see whether
    /// it lives.
    pub(super) async fn stay(&self, bell: &Bell, changes: mpsc::Receiver<Change>) -> Result<DropGuard> {
        let over = &self.over;
        let connection = presence::begin(self).await?;
        tokio::spawn(over.clone().run_until_cancelled_owned(presence::go_on(self.clone(), connection, bell.clone())));
        herald::start(self, bell, changes, over);
        Ok(over.clone().drop_guard())
    }

    /// The number of a duty that this process has, or takes, because nobody has it who lives.
    pub(super) async fn duty(&self, name: &'static str) -> Result<Option<i64>> {
        let found = sqlx::query_as::<_, (i64, i64, bool)>(
            "SELECT number, holder, EXISTS (SELECT 1 FROM replicas WHERE id = holder) FROM duties WHERE name = $1",
        );
        match found.bind(name).fetch_optional(&self.beside).await? {
            Some((number, holder, _)) if holder == self.me => return Ok(Some(number)),
            Some((_, _, true)) => return Ok(None),
            Some((_, _, false)) | None => {}
        }
        let mut tx = self.write().await?;
        let taken = sqlx::query_as::<_, (i64,)>(
            "INSERT INTO duties (name, holder, number) VALUES ($1, $2, 1) ON CONFLICT (name) DO UPDATE SET \
             holder = excluded.holder, number = duties.number + 1 \
             WHERE NOT EXISTS (SELECT 1 FROM replicas WHERE id = duties.holder) RETURNING number",
        );
        let taken = taken.bind(name).bind(self.me).fetch_optional(&mut *tx).await?;
        tx.commit().await?;
        Ok(taken.map(|(number,)| number))
    }

    /// The clock that all of its servers have in common.
    pub(super) const fn clock(&self) -> &Arc<SharedClock> {
        &self.clock
    }

    /// This process, among all that share the database.
    pub(super) const fn me(&self) -> i64 {
        self.me
    }

    /// What its connections are doing.
    pub(super) fn usage(&self) -> Vec<(&'static str, &'static str, i64)> {
        let pools = [("readers", &self.readers), ("writer", &self.writers), ("beside", &self.beside)];
        pools.into_iter().flat_map(|(name, pool)| super::usage(name, pool)).collect()
    }

    pub(super) async fn read(&self) -> Result<Transaction<'static, Postgres>> {
        begin(&self.readers).await
    }

    pub(super) async fn write(&self) -> Result<Transaction<'static, Postgres>> {
        let mut tx = begin(&self.writers).await?;
        // a statement of its own: should nobody wait for it any more, the transaction is taken back all the same
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(self.lock).execute(&mut *tx).await?;
        Ok(tx)
    }

    /// A transaction beside the writers': for new rows that nobody else changes, and for rows that it locks itself.
    pub(super) async fn append(&self) -> Result<Transaction<'static, Postgres>> {
        begin(&self.beside).await
    }

    /// Whoever goes with a word need not be missed first.
    pub(super) async fn close(&self) {
        self.over.cancel();
        if self.me != 0 {
            let left = sqlx::query("DELETE FROM replicas WHERE id = $1").bind(self.me).execute(&self.beside);
            let _ = tokio::time::timeout(Duration::from_secs(1), left).await;
        }
        self.ears.close().await;
        self.beside.close().await;
        self.readers.close().await;
        self.writers.close().await;
    }
}

impl Facts {
    /// One lock for each schema: several servers may share a database.
    const fn lock(&self) -> i64 {
        LOCK + self.schema_hash
    }

    fn clock(&self) -> Arc<SharedClock> {
        Arc::new(SharedClock::showing(Time::from_millis(self.now)))
    }

    /// Errs if it cannot be used.
    fn fit(&self) -> Result<()> {
        let unfit = if self.version < OLDEST {
            format!("it is PostgreSQL {}, and this version needs 15 or newer", self.version_name)
        } else if self.encoding != "UTF8" {
            format!("its encoding is {}, and this version needs one that was made with ENCODING 'UTF8'", self.encoding)
        } else if self.schema.is_none() {
            "none of the schemas of its search_path is there: make it, or name another".to_owned()
        } else {
            return Ok(());
        };
        Err(StoreError::Unfit(unfit))
    }
}

/// What there is to say of a database.
pub(super) struct Look {
    /// What it is.
    pub(super) name: String,
    /// The version of its schema; 0: it has none yet.
    pub(super) schema: i64,
    /// Whether something may be written.
    pub(super) writable: bool,
}

/// Looks at a database without changing it.
pub(super) async fn look(url: &str) -> Result<Look> {
    let options = options(url)?;
    let facts = facts(&options).await?;
    let mut alone = within(PgConnection::connect_with(&options)).await?;
    let (is_made, may_make, writable): (bool, bool, bool) = sqlx::query_as(
        "SELECT to_regclass('_sqlx_migrations') IS NOT NULL, has_schema_privilege(current_schema(), 'CREATE'), \
         NOT pg_is_in_recovery() AND current_setting('default_transaction_read_only') = 'off'",
    )
    .fetch_one(&mut alone)
    .await?;
    let newest = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success";
    let schema = if is_made { sqlx::query_as::<_, (i64,)>(newest).fetch_one(&mut alone).await?.0 } else { 0 };
    alone.close().await?;
    let name = format!("PostgreSQL {}", facts.version_name);
    Ok(Look { name, schema, writable: writable && may_make })
}

/// Connects once and looks whom it has there.
async fn facts(options: &PgConnectOptions) -> Result<Facts> {
    let mut alone = within(PgConnection::connect_with(options)).await?;
    let (version, version_name, encoding, schema, schema_hash, now) = sqlx::query_as(
        "SELECT CAST(current_setting('server_version_num') AS BIGINT), current_setting('server_version'), \
         current_setting('server_encoding'), CAST(current_schema() AS TEXT), \
         CAST(hashtext(COALESCE(current_schema(), '')) AS BIGINT), \
         CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
    )
    .fetch_one(&mut alone)
    .await?;
    alone.close().await?;
    let facts = Facts { version, version_name, encoding, schema, schema_hash, now };
    facts.fit().map(|()| facts)
}

async fn within<T>(asked: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    let over = |_| sqlx::Error::PoolTimedOut;
    Ok(tokio::time::timeout(PATIENCE, asked).await.map_err(over)??)
}

fn options(url: &str) -> Result<PgConnectOptions> {
    // a password may stand in it: no word of the URL is shown
    let parsed = PgConnectOptions::from_str(url).map_err(|error| StoreError::Unfit(format!("its URL: {error}")))?;
    Ok(parsed.statement_cache_capacity(STATEMENTS).application_name("containerops"))
}

fn pool(most: u32, own: &'static str) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(PATIENCE)
        .idle_timeout(IDLE)
        // a connection that broke is found by its first statement, and another one is taken
        .test_before_acquire(false)
        .before_acquire(|_, about| Box::pin(std::future::ready(Ok(stale::is_fresh(about.age)))))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute(MANNERS).await?;
                connection.execute(own).await.map(drop)
            })
        })
}

/// Begins a transaction, on another connection if this one has broken since it was used last: after a restart of the
/// database all have.
async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>> {
    let mut tries = pool.options().get_max_connections() + 1;
    loop {
        match pool.begin().await {
            Err(error) if tries > 0 && has_broken(&error) => tries -= 1,
            begun => return Ok(begun?),
        }
    }
}

fn has_broken(error: &sqlx::Error) -> bool {
    // shut down, crashed, or gave us up
    let ended = |code: &str| ["57P01", "57P02", "57P03", "57P05", "25P03"].contains(&code);
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::BeginFailed)
        || error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| ended(&code))
}

/// In a pool of its own, closed afterwards: a failed migration must not leave its lock behind. Processes that start
/// together wait for each other.
async fn migrate(options: &PgConnectOptions) -> Result<()> {
    facts(options).await?;
    let migrating = pool(1, MIGRATING).connect_with(options.clone()).await?;
    let migrated = MIGRATIONS.run(&migrating).await;
    let collated = match migrated {
        Ok(()) => collate(&migrating).await,
        Err(error) => Err(error.into()),
    };
    migrating.close().await;
    collated
}

/// Text is compared byte by byte, as SQLite does, whatever the database's own collation: the order of names is the same
/// everywhere, and does not change when a system library does.
async fn collate(pool: &PgPool) -> Result<()> {
    const LEFT: &str = "SELECT quote_ident(CAST(table_name AS TEXT)), quote_ident(CAST(column_name AS TEXT)) \
         FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name) \
         WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND data_type = 'text' \
         AND collation_name IS DISTINCT FROM 'C' AND table_name <> '_sqlx_migrations' ORDER BY 1, 2";
    let left: Vec<(String, String)> = sqlx::query_as(LEFT).fetch_all(pool).await?;
    if left.is_empty() {
        return Ok(());
    }
    let mut tx = pool.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(COLLATING).execute(&mut *tx).await?;
    let columns: Vec<(String, String)> = sqlx::query_as(LEFT).fetch_all(&mut *tx).await?;
    for change in columns.chunk_by(|(one, _), (other, _)| one == other) {
        let columns = change.iter().map(|(_, column)| format!("ALTER COLUMN {column} TYPE TEXT COLLATE \"C\""));
        let sql = format!("ALTER TABLE {} {}", change[0].0, columns.collect::<Vec<_>>().join(", "));
        // names of our own migrations, quoted by the server
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *tx).await?;
    }
    Ok(tx.commit().await?)
}

/// Many deliveries in one statement.
pub(super) async fn insert_deliveries(
    tx: &mut Transaction<'static, Postgres>,
    deliveries: &[NewDelivery],
) -> Result<Vec<Taken>> {
    let ids: Vec<DeliveryId> = deliveries.iter().map(|new| DeliveryId::mint(new.received)).collect();
    let texts = |text: fn(&NewDelivery) -> String| deliveries.iter().map(|new| clean::text(text(new))).collect();
    let (hooks, names, events): (Vec<String>, Vec<String>, Vec<String>) =
        (texts(|new| new.hook.clone()), texts(|new| new.delivery.clone()), texts(|new| new.event.clone()));
    let forges: Vec<String> = texts(|new| new.forge.to_string());
    let phases: Vec<String> = texts(|new| new.state.phase().to_string());
    let json = |made: Vec<serde_json::Result<String>>| made.into_iter().collect::<serde_json::Result<Vec<_>>>();
    let headers = json(deliveries.iter().map(|new| serde_json::to_string(&new.headers)).collect());
    let states = json(deliveries.iter().map(|new| serde_json::to_string(&new.state)).collect());
    let unwritable = |error: serde_json::Error| sqlx::Error::Encode(error.into());
    let inserted: Vec<(DeliveryId,)> = sqlx::query_as(
        "INSERT INTO deliveries (id, forge, hook, delivery, event, headers, body, received, phase, state, due, tries, \
         trouble) SELECT id, forge, hook, delivery, event, headers, body, received, phase, state, received, 0, '' \
         FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], \
         $8::bigint[], $9::text[], $10::text[]) \
         AS new (id, forge, hook, delivery, event, headers, body, received, phase, state) \
         ON CONFLICT (forge, delivery, hook) DO NOTHING RETURNING id",
    )
    .bind(ids.iter().map(|id| id.as_i64()).collect::<Vec<_>>())
    .bind(forges)
    .bind(hooks)
    .bind(names)
    .bind(events)
    .bind(headers.map_err(unwritable)?)
    .bind(deliveries.iter().map(|new| &new.body[..]).collect::<Vec<&[u8]>>())
    .bind(deliveries.iter().map(|new| new.received.as_millis()).collect::<Vec<_>>())
    .bind(phases)
    .bind(states.map_err(unwritable)?)
    .fetch_all(&mut **tx)
    .await?;
    let inserted: std::collections::HashSet<DeliveryId> = inserted.into_iter().map(|(id,)| id).collect();
    let taken = |id: DeliveryId| if inserted.contains(&id) { Taken::New(id) } else { Taken::Again };
    Ok(ids.into_iter().map(taken).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_or_stores_text_in_another_way_is_refused_in_words() {
        let fits = |version, encoding: &str, schema: Option<&str>| {
            let (encoding, schema) = (encoding.to_owned(), schema.map(ToOwned::to_owned));
            let facts = Facts { version, version_name: "14.9".to_owned(), encoding, schema, schema_hash: 0, now: 0 };
            facts.fit().err().map(|error| error.to_string())
        };
        assert_eq!(fits(150_000, "UTF8", Some("public")), None);
        let unfit = |why: &str| Some(format!("the database cannot be used: {why}"));
        let old = unfit("it is PostgreSQL 14.9, and this version needs 15 or newer");
        assert_eq!(fits(149_999, "UTF8", Some("public")), old);
        let latin = "its encoding is LATIN1, and this version needs one that was made with ENCODING 'UTF8'";
        assert_eq!(fits(170_000, "LATIN1", Some("public")), unfit(latin));
        let none = unfit("none of the schemas of its search_path is there: make it, or name another");
        assert_eq!(fits(170_000, "UTF8", None), none);
    }
}
