//! Which servers of a database live. Each holds a lock of its own for as long as its connection lasts, and writes down
//! every second that it is there: so one that was killed is missed at once, and one that stands still after a few
//! seconds. Whoever notices it takes its leases and calls from it, so that they need not run out first. Should it go on
//! all the same, the numbers of its leases and calls stop it, as they do everybody who comes too late.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, PgConnection, postgres::PgConnectOptions};

use super::{MANNERS, PATIENCE, Pools, within};
use crate::{
    model::Time,
    store::{Bell, Change, Result, telling},
};

/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(1);
/// Who gives no sign for so long stands still.
const SILENT_MS: i64 = 5000;
/// What was longer on its way says nothing of the time.
const AT_ONCE: Duration = Duration::from_millis(500);
/// After a reconnection nobody is judged for so many beats: all may have lost their connections.
const MERCY: u32 = 5;
/// What the database calls now, in milliseconds.
const NOW: &str = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";

/// Since when the database runs. A lock that a server had before it started anew says nothing of that server.
const EPOCH: &str = "CAST(EXTRACT(EPOCH FROM pg_postmaster_start_time()) * 1000 AS BIGINT)";

/// A number that no other server has, and none has had.
pub(super) fn mint() -> i64 {
    (getrandom::u64().unwrap_or_default() >> 2).cast_signed() + 1
}

/// Says that this server is there, and takes over from those that have gone without a word.
pub(super) async fn begin(pools: &Pools) -> Result<PgConnection> {
    let connection = appear(pools).await?;
    bury(pools, Dead::Gone).await?;
    Ok(connection)
}

/// Goes on until the connections are closed.
pub(super) async fn go_on(pools: Pools, mut connection: PgConnection, bell: Bell) {
    let mut mercy = 0;
    loop {
        tokio::select! {
            () = pools.writers.close_event() => return drop(connection.close().await),
            () = tokio::time::sleep(BEAT) => {}
        }
        let beaten = tokio::time::timeout(PATIENCE, beat(&mut connection, &pools)).await;
        if !matches!(beaten, Ok(Ok(()))) {
            match appear(&pools).await {
                Ok(new) => (connection, mercy) = (new, MERCY),
                Err(error) => tracing::warn!(%error, "the database does not hear that this server is there"),
            }
            continue;
        }
        mercy = u32::saturating_sub(mercy, 1);
        match if mercy == 0 { bury(&pools, Dead::Silent).await } else { Ok(0) } {
            Ok(0) => {}
            Ok(_) => bell.ring(Change::All),
            Err(error) => tracing::warn!(%error, "nobody takes over from servers that have gone: tried again"),
        }
    }
}

/// The lock first, so that a row without one is a dead server's.
async fn appear(pools: &Pools) -> Result<PgConnection> {
    let mut connection = connect(&pools.options).await?;
    sqlx::query("SELECT pg_advisory_lock($1)").bind(pools.me).execute(&mut connection).await?;
    beat(&mut connection, pools).await?;
    Ok(connection)
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection> {
    let mut connection = within(PgConnection::connect_with(options)).await?;
    connection.execute(MANNERS).await?;
    // a sign of life that a crash loses is a sign of life no more
    connection.execute("SET synchronous_commit = off").await?;
    Ok(connection)
}

/// Says that this server is there, and hears what time it is.
async fn beat(connection: &mut PgConnection, pools: &Pools) -> sqlx::Result<()> {
    let asked = Instant::now();
    let sql = format!(
        "INSERT INTO replicas (id, name, started, heard, epoch) VALUES ($1, $2, {NOW}, {NOW}, {EPOCH}) \
         ON CONFLICT (id) DO UPDATE SET heard = excluded.heard, epoch = excluded.epoch RETURNING {NOW}"
    );
    // only our own words stand in it
    let beat = sqlx::query_as::<_, (i64,)>(sqlx::AssertSqlSafe(sql)).bind(pools.me).bind(&pools.name);
    let (now,) = beat.fetch_one(connection).await?;
    if asked.elapsed() < AT_ONCE {
        pools.clock.hears(Time::from_millis(now));
    }
    Ok(())
}

/// Who counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dead {
    /// Whoever has lost its connection.
    Gone,
    /// Whoever gives no sign of life, too.
    Silent,
}

/// Takes over from the dead. How many they were. A call of one that stands still may yet reach its forge, so it runs out
/// like any other; that of one that is gone cannot be made any more.
async fn bury(pools: &Pools, dead: Dead) -> Result<usize> {
    let silent = if dead == Dead::Silent { SILENT_MS } else { i64::MAX / 2 };
    let sql = format!(
        "SELECT id, name, is_gone FROM (SELECT id, name, heard, \
         pg_try_advisory_xact_lock(id) AND epoch = {EPOCH} AS is_gone FROM replicas WHERE id <> $1) AS others \
         WHERE is_gone OR heard < {NOW} - $2"
    );
    // only our own words stand in it
    let find =
        || sqlx::query_as::<_, (i64, String, bool)>(sqlx::AssertSqlSafe(sql.clone())).bind(pools.me).bind(silent);
    if find().fetch_all(&pools.beside).await?.is_empty() {
        return Ok(0);
    }
    let mut tx = pools.write().await?;
    let found = find().fetch_all(&mut *tx).await?;
    let all: Vec<i64> = found.iter().map(|(id, ..)| *id).collect();
    let gone: Vec<i64> = found.iter().filter(|(.., is_gone)| *is_gone).map(|(id, ..)| *id).collect();
    let leases = sqlx::query("UPDATE actions SET lease_until = 0 WHERE lease_until > 0 AND holder = ANY($1)");
    leases.bind(&all).execute(&mut *tx).await?;
    let calls = format!("{} AND holder = ANY($3)", telling::CALLS_LOST);
    let calls = sqlx::query(sqlx::AssertSqlSafe(calls)).bind(i64::MAX).bind(telling::LATE_MS).bind(&gone);
    calls.execute(&mut *tx).await?;
    sqlx::query("DELETE FROM replicas WHERE id = ANY($1)").bind(&all).execute(&mut *tx).await?;
    tx.commit().await?;
    for (_, name, is_gone) in &found {
        tracing::info!(replica = name, is_gone, "a server is gone, or stands still: others take over from it");
    }
    Ok(found.len())
}
