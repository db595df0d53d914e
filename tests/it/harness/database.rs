//! Where a test's data are: in a file, or, where `CONTAINEROPS_TEST_POSTGRES` names a server, in a database of its own
//! there. The same tests hold on both.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use containerops::store::Store;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tokio::sync::OnceCell;
use url::Url;

/// Until connections that were closed are gone.
const GONE: Duration = Duration::from_millis(5);

/// Databases whose tests are over: to empty one is quicker than to make one.
static FREE: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// Empties a database, whatever refers to what.
const EMPTY: &str = "DO $$ DECLARE t text; BEGIN SET LOCAL session_replication_role = replica; \
     FOR t IN SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_sqlx_migrations' \
     LOOP EXECUTE 'DELETE FROM ' || t; END LOOP; END $$";

/// A database of one data directory. On a PostgreSQL it is another test's when nobody has it any more.
#[derive(Debug)]
pub(crate) struct Database {
    /// As the setting has it.
    pub(crate) url: String,
    /// The server, and the database's name there.
    on: Option<(Url, String)>,
    /// Whether it may have become another than ours are.
    odd: AtomicBool,
}

impl Database {
    /// That of this data directory: the same for as long as somebody has it.
    pub(crate) async fn of(data: &Path) -> Arc<Self> {
        static KNOWN: Mutex<Option<HashMap<PathBuf, Weak<Database>>>> = Mutex::new(None);
        let known = |new: Option<&Arc<Self>>| {
            let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
            let known = known.get_or_insert_default();
            if let Some(new) = new {
                known.retain(|_, database| database.strong_count() > 0);
                known.insert(data.to_owned(), Arc::downgrade(new));
            }
            known.get(data).and_then(Weak::upgrade)
        };
        if let Some(found) = known(None) {
            return found;
        }
        let new = Arc::new(match server() {
            None => {
                let url = format!("sqlite:{}", data.join("containerops.db").display());
                Self { url, on: None, odd: AtomicBool::new(false) }
            }
            Some(server) => Self::on(server).await,
        });
        known(Some(&new));
        new
    }

    /// A new one on this server.
    pub(crate) async fn on(server: Url) -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let name = free.clone().unwrap_or_else(name);
        let new = Self { url: at(&server, &name).into(), on: Some((server, name)), odd: AtomicBool::new(false) };
        let Some((server, name)) = &new.on else { return new };
        if free.is_some() {
            new.forsaken().await;
            ask(&at(server, name), EMPTY).await;
        } else {
            let template = template(server).await;
            ask(server, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        }
        new
    }

    /// Ends all connections to it, as they end with the process that has them. A file has none.
    pub(crate) async fn forsaken(&self) {
        let Some((server, name)) = &self.on else { return };
        let all = format!("FROM pg_stat_activity WHERE datname = '{name}'");
        let mut asking = PgConnection::connect(server.as_str()).await.expect("the server answers");
        loop {
            let ended = sqlx::query(AssertSqlSafe(format!("SELECT pg_terminate_backend(pid) {all}")));
            if ended.execute(&mut asking).await.expect("good SQL").rows_affected() == 0 {
                return;
            }
            tokio::time::sleep(GONE).await;
        }
    }

    /// Does to it what no code of ours does.
    pub(crate) async fn sql(&self, statement: &str) {
        self.odd.store(true, Ordering::Relaxed);
        let (statement, what) = (sqlx::raw_sql(AssertSqlSafe(statement)), "good SQL");
        if self.on.is_some() {
            let mut connection = PgConnection::connect(&self.url).await.expect("the database is there");
            statement.execute(&mut connection).await.expect(what);
        } else {
            let mut connection = SqliteConnection::connect(&self.url).await.expect("the database is there");
            statement.execute(&mut connection).await.expect(what);
        }
    }

    /// All rows of all tables as text, bytes in hexadecimal and as text; nothing of a file, which is among its directory's.
    pub(crate) async fn bytes(&self) -> Vec<u8> {
        if self.on.is_none() {
            return Vec::new();
        }
        let mut connection = PgConnection::connect(&self.url).await.expect("the database is there");
        let all = "SELECT query_to_xml('SELECT * FROM ' || quote_ident(tablename), true, false, '')::text FROM pg_tables \
             WHERE schemaname = 'public'";
        let tables: Vec<(String,)> = sqlx::query_as(all).fetch_all(&mut connection).await.expect("good SQL");
        let bodies = "SELECT body FROM deliveries";
        let bodies: Vec<(Vec<u8>,)> = sqlx::query_as(bodies).fetch_all(&mut connection).await.expect("good SQL");
        tables
            .into_iter()
            .flat_map(|(text,)| text.into_bytes())
            .chain(bodies.into_iter().flat_map(|(body,)| body))
            .collect()
    }

    /// Whether it is on a PostgreSQL.
    pub(crate) const fn is_shared(&self) -> bool {
        self.on.is_some()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((server, name)) = self.on.take() else { return };
        if !self.odd.load(Ordering::Relaxed) && !std::thread::panicking() {
            return FREE.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        }
        // what is left of a test that failed goes with the server
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut asking = PgConnection::connect(server.as_str()).await.map_err(std::io::Error::other)?;
                let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                sqlx::query(AssertSqlSafe(drop)).execute(&mut asking).await.map_err(std::io::Error::other)
            })
        });
        let _ = dropping.join();
    }
}

/// The server that tests may use; `None`: data are in files.
pub(crate) fn server() -> Option<Url> {
    let url = std::env::var("CONTAINEROPS_TEST_POSTGRES").ok()?;
    Some(url.parse().expect("CONTAINEROPS_TEST_POSTGRES is a URL"))
}

/// A database with our schema and nothing in it, made once.
async fn template(server: &Url) -> &'static str {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let made = TEMPLATE.get_or_init(|| async {
        let name = name();
        ask(server, &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")).await;
        let store = Store::open_beside(at(server, &name).as_str()).await.expect("the schema can be made");
        store.close().await;
        name
    });
    made.await
}

fn name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("co_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn at(server: &Url, name: &str) -> Url {
    let mut url = server.clone();
    url.set_path(name);
    url
}

async fn ask(server: &Url, statement: &str) {
    let mut asking = PgConnection::connect(server.as_str()).await.expect("the server answers");
    sqlx::query(AssertSqlSafe(statement)).execute(&mut asking).await.expect("good SQL");
    asking.close().await.expect("it lets us go");
}
