//! Which PostgreSQL can be used, and how one is reached.

use containerops::store::Store;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use url::Url;

use crate::harness::{
    database::{self, Database},
    required,
};

/// The server that tests may use, and the file with whom its certificate is from.
fn server() -> Option<(Url, String)> {
    required("postgres", "CONTAINEROPS_TEST_POSTGRES")?;
    Some((database::server().expect("it is set"), required("postgres", "CONTAINEROPS_TEST_POSTGRES_CA")?))
}

/// Why a database cannot be opened: never with a word of its password.
async fn refusal(url: &Url) -> String {
    let words = Store::open(url.as_str()).await.expect_err("it must be refused").to_string();
    assert!(!words.contains("hunter2"), "{words}");
    words
}

#[tokio::test]
async fn a_database_that_cannot_hold_our_text_is_refused_and_nothing_is_made_in_it() {
    let Some((server, _)) = server() else { return };
    let name = format!("co_ascii_{}", std::process::id());
    let mut asking = PgConnection::connect(server.as_str()).await.expect("the server answers");
    let make = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'");
    asking.execute(AssertSqlSafe(make)).await.expect("good SQL");
    let mut url = server.clone();
    url.set_path(&name);
    let encoding = "its encoding is SQL_ASCII, and this version needs one that was made with ENCODING 'UTF8'";
    assert_eq!(refusal(&url).await, format!("the database cannot be used: {encoding}"));
    let mut there = PgConnection::connect(url.as_str()).await.expect("it is there");
    let tables = "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(sqlx::query_as::<_, (i64,)>(tables).fetch_one(&mut there).await.expect("good SQL").0, 0);
    there.close().await.expect("it lets us go");
    url.set_path("/there_is_none");
    url.set_password(Some("hunter2")).expect("it has a host");
    assert!(refusal(&url).await.contains("\"there_is_none\" does not exist"));
    asking.execute(AssertSqlSafe(format!("DROP DATABASE {name}"))).await.expect("good SQL");
}

#[tokio::test]
async fn who_insists_on_tls_gets_it_and_only_from_whom_it_names() {
    let Some((server, authority)) = server() else { return };
    let database = Database::on(server).await;
    let with = |query: &str| {
        let mut url = Url::parse(&database.url).expect("a URL");
        url.set_query(Some(query));
        url.set_password(Some("hunter2")).expect("it has a host");
        url
    };
    let safe = with(&format!("sslmode=verify-full&sslrootcert={authority}"));
    let store = Store::open(safe.as_str()).await.expect("its certificate is good");
    store.close().await;
    let mut asking = PgConnection::connect(safe.as_str()).await.expect("the same");
    let is_safe = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(sqlx::query_as::<_, (bool,)>(is_safe).fetch_one(&mut asking).await.expect("good SQL").0);
    asking.close().await.expect("it lets us go");
    // whom this machine believes, but nobody of the tests
    let strange = refusal(&with("sslmode=verify-full")).await;
    assert!(strange.contains("certificate"), "{strange}");
    let missing = refusal(&with("sslmode=verify-full&sslrootcert=/nowhere.pem")).await;
    assert!(missing.contains("No such file"), "{missing}");
}
