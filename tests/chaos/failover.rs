//! How long it takes until others have gone on with what a server held that was killed: its duties, the actions that it
//! drove, and its calls to the forge. Asked of the database itself, and not of the servers.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// Longer than this is not waited for: it is a fault.
const LIMIT: Duration = Duration::from_secs(30);
/// The rounds that are due again within a second; those of others may wait for minutes.
const DUTIES: &str = "('intake', 'comments', 'schedules', 'sources', 'sweep', 'seal')";

/// What a server held when it was killed.
#[derive(Debug)]
pub(crate) struct Held {
    database: PgConnection,
    killed: Instant,
    holder: i64,
    /// Actions and their leases' numbers, reports and their calls' numbers.
    rest: Vec<(Rest, i64, i64)>,
}

/// What else a server holds than its duties.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Action,
    Call,
}

impl Rest {
    /// What this server holds.
    const fn held(self) -> &'static str {
        match self {
            Self::Action => "SELECT id, fence FROM actions WHERE holder = $1 AND lease_until > 0 AND phase <> 'ended'",
            Self::Call => "SELECT id, calls FROM reports WHERE holder = $1 AND called_at IS NOT NULL",
        }
    }

    /// Nothing has become of it yet.
    const fn same(self) -> &'static str {
        match self {
            // one that goes its way is looked at without a lease: that of the dead need only be over
            Self::Action => {
                "SELECT 1 FROM actions WHERE id = $1 AND fence = $2 AND lease_until > 0 AND phase <> 'ended'"
            }
            Self::Call => "SELECT 1 FROM reports WHERE id = $1 AND calls = $2 AND called_at IS NOT NULL",
        }
    }
}

impl Held {
    /// Of the process with this id, which was killed just now. `None`: nothing, or nobody can say, because the database
    /// itself starts anew.
    pub(crate) async fn by(database: &str, process: u32) -> Option<Self> {
        let killed = Instant::now();
        let mut database = PgConnection::connect(database).await.ok()?;
        let found = sqlx::query_as("SELECT id FROM replicas WHERE name LIKE $1 ORDER BY started DESC LIMIT 1");
        let found = found.bind(format!("%, process {process}")).fetch_optional(&mut database);
        let (holder,): (i64,) = found.await.ok()??;
        let mut rest = Vec::new();
        for what in [Rest::Action, Rest::Call] {
            let held = sqlx::query_as::<_, (i64, i64)>(what.held()).bind(holder).fetch_all(&mut database).await.ok()?;
            rest.extend(held.into_iter().map(|(id, number)| (what, id, number)));
        }
        let mut held = Self { database, killed, holder, rest };
        (held.is_held().await.ok()?).then_some(held)
    }

    /// How long it was until others had all of it.
    pub(crate) async fn until_others_have_it(mut self) -> Option<Duration> {
        while self.killed.elapsed() < LIMIT {
            // the database was started anew meanwhile
            if !self.is_held().await.ok()? {
                return Some(self.killed.elapsed());
            }
            tokio::time::sleep(LOOK).await;
        }
        Some(LIMIT)
    }

    async fn is_held(&mut self) -> sqlx::Result<bool> {
        let duties = format!("SELECT name FROM duties WHERE holder = $1 AND name IN {DUTIES}");
        // only our own words stand in it
        let duties = sqlx::query(sqlx::AssertSqlSafe(duties)).bind(self.holder);
        if duties.fetch_optional(&mut self.database).await?.is_some() {
            return Ok(true);
        }
        for (what, id, number) in &self.rest {
            if sqlx::query(what.same()).bind(id).bind(number).fetch_optional(&mut self.database).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
