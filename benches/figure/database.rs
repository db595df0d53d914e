//! A database for each round: a file in the server's data directory, or a new one on the PostgreSQL that
//! `CONTAINEROPS_TEST_POSTGRES` names.

use std::path::Path;

use containerops::store::Store;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Removed when this is dropped.
pub(crate) struct Database {
    /// For `CONTAINEROPS_DATABASE_URL`; `None`: the file that a server has of itself.
    pub(crate) url: Option<String>,
    name: String,
}

impl Database {
    pub(crate) fn make() -> Self {
        let name = format!("figure_{:x}", getrandom::u64().expect("chance"));
        let Some(server) = server() else { return Self { url: None, name } };
        ask(&server, &format!("CREATE DATABASE {name}"));
        let mut url: url::Url = server.parse().expect("CONTAINEROPS_TEST_POSTGRES is a URL");
        url.set_path(&name);
        Self { url: Some(url.into()), name }
    }

    /// As a setting of a server.
    pub(crate) fn setting(&self) -> Option<(&'static str, &str)> {
        self.url.as_deref().map(|url| ("CONTAINEROPS_DATABASE_URL", url))
    }

    /// It, opened once more beside the server that has this data directory.
    pub(crate) async fn store(&self, data: &Path) -> Store {
        let file = || format!("sqlite:{}", data.join("containerops.db").display());
        Store::open(&self.url.clone().unwrap_or_else(file)).await.expect("the database opens")
    }

    /// As PostgreSQL tidies by itself what was written over days: what a figure writes within a minute it has not seen to
    /// when it is asked for.
    pub(crate) fn tidy(&self) {
        if let Some(url) = &self.url {
            ask(url, "VACUUM ANALYZE");
        }
    }

    /// What it is, for people.
    pub(crate) fn what() -> &'static str {
        if server().is_some() { "PostgreSQL with synchronous_commit=on" } else { "SQLite with synchronous=FULL" }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let (Some(server), Some(_)) = (server(), &self.url) {
            ask(&server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}

fn server() -> Option<String> {
    std::env::var("CONTAINEROPS_TEST_POSTGRES").ok()
}

/// On a thread of its own: whoever drops one may be within a runtime.
fn ask(server: &str, sql: &str) {
    let (server, sql) = (server.to_owned(), sql.to_owned());
    let asked = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&server).await.expect("the PostgreSQL answers");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("good SQL");
            connection.close().await.expect("it closes");
        });
    });
    asked.join().expect("it answers");
}
