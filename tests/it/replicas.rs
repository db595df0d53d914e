//! Several servers on one PostgreSQL: what one does the others see, what one has they leave alone, and what it leaves
//! behind they take over.

use std::{sync::Arc, time::Duration};

use containerops::{
    model::{DeliveryState, ForgeKind, Quota, QuotaScope, Time},
    store::{Change, DeliveryFilter, Listener, NewDelivery, Store, StoreError, Taken},
};
use futures::future::join_all;
use serde_json::Value;
use tokio::time::timeout;

use crate::harness::{
    app::Tester,
    database::{self, Database},
    required,
    service::Service,
};

/// The longest that anything here may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
const NOW: Time = Time::from_millis(1_772_366_400_000);

/// A database on the tests' PostgreSQL; `None` where there is none.
async fn shared() -> Option<Arc<Database>> {
    required("postgres", "CONTAINEROPS_TEST_POSTGRES")?;
    Some(Arc::new(Database::on(database::server().expect("it is set")).await))
}

async fn open(database: &Database) -> Store {
    Store::open(&database.url).await.expect("the database can be opened")
}

fn new(delivery: &str, event: &str) -> NewDelivery {
    NewDelivery {
        forge: ForgeKind::Github,
        hook: "1".to_owned(),
        delivery: delivery.to_owned(),
        event: event.to_owned(),
        headers: vec![("x-odd".to_owned(), "a\0b".to_owned())],
        body: bytes::Bytes::from_static(b"{\"a\": \"\0\"}"),
        received: NOW,
        state: DeliveryState::Pending,
    }
}

/// Returns once `bell` hears what `from` changes: a server listens to others a moment after it was opened.
async fn hears(from: &Store, bell: &mut Listener) {
    let change = Change::Run(containerops::model::RunId::from_i64(1));
    let heard = async {
        loop {
            let mut tx = from.write().await.expect("the database answers");
            tx.ring(change);
            tx.commit().await.expect("a commit");
            let rang = bell.wait(Duration::MAX, |heard| heard == change);
            if timeout(Duration::from_millis(100), rang).await.is_ok() {
                return;
            }
        }
    };
    timeout(LIMIT, heard).await.expect("it hears");
}

#[tokio::test]
async fn what_one_server_changes_rings_in_the_others() {
    let Some(database) = shared().await else { return };
    let (one, other) = (open(&database).await, open(&database).await);
    let mut bell = other.bell().listen();
    hears(&one, &mut bell).await;
    let before = other.bell().runs();
    let taken = one.inbox().take(new("1", "push")).await.expect("it is taken");
    assert!(matches!(taken, Taken::New(_)));
    timeout(LIMIT, bell.wait(LIMIT, |change| change == Change::Delivery)).await.expect("it rings");
    let (run, mut tx) = (containerops::model::RunId::from_i64(7), one.write().await.expect("the database answers"));
    tx.ring(Change::Run(run));
    tx.commit().await.expect("a commit");
    timeout(LIMIT, bell.wait(LIMIT, |change| change == Change::Run(run))).await.expect("it rings");
    assert_ne!(other.bell().runs(), before, "a page that shows runs is not what it was");
}

#[tokio::test]
async fn a_server_that_lost_its_connection_hears_again() {
    let Some(database) = shared().await else { return };
    let (one, other) = (open(&database).await, open(&database).await);
    let mut bell = other.bell().listen();
    hears(&one, &mut bell).await;
    database.forsaken().await;
    timeout(LIMIT, bell.wait(LIMIT, |_| false)).await.expect("everything may have changed meanwhile");
    one.inbox().take(new("1", "push")).await.expect("it is taken on another connection");
    timeout(LIMIT, bell.wait(LIMIT, |change| change == Change::Delivery)).await.expect("it rings");
}

#[tokio::test]
async fn a_duty_is_one_servers_until_it_is_gone_and_then_it_writes_nothing_more() {
    let Some(database) = shared().await else { return };
    let (one, other) = (open(&database).await, open(&database).await);
    let write = async |store: &Store| -> Result<(), StoreError> { store.write().await?.commit().await };
    let have = async |store: &Store| store.on_duty("intake", write(store)).await.expect("the database answers");
    assert!(matches!(have(&one).await, Some(Ok(()))));
    assert!(have(&other).await.is_none(), "the first one has it");
    assert!(matches!(have(&one).await, Some(Ok(()))), "and keeps it");
    let late = one.on_duty("intake", async {
        // it stands still, until nobody counts on it any more and another has begun
        database.sql("DELETE FROM replicas").await;
        assert!(matches!(have(&other).await, Some(Ok(()))), "another takes it");
        write(&one).await
    });
    let late = late.await.expect("the database answers").expect("it had it");
    assert!(matches!(late, Err(StoreError::Rows { .. })), "{late:?}");
    write(&one).await.expect("what is no duty goes on");
}

#[tokio::test]
async fn a_server_that_goes_leaves_its_duties_at_once() {
    let Some(database) = shared().await else { return };
    let (one, other) = (open(&database).await, open(&database).await);
    assert!(one.on_duty("seal", async {}).await.expect("the database answers").is_some());
    one.close().await;
    assert!(other.on_duty("seal", async {}).await.expect("the database answers").is_some());
}

#[tokio::test]
async fn a_delivery_with_characters_that_postgresql_refuses_is_taken_once_all_the_same() {
    let Some(database) = shared().await else { return };
    let store = open(&database).await;
    // alone, and in a lot
    let one = store.inbox().take(new("a\0b", "pu\0sh")).await.expect("it is taken");
    assert!(matches!(one, Taken::New(_)));
    let lot = join_all((0..50).map(|n| store.inbox().take(new(&format!("a\0{}", n % 25), "pu\0sh")))).await;
    let new = lot.iter().filter(|taken| matches!(taken, Ok(Taken::New(_)))).count();
    let again = lot.iter().filter(|taken| matches!(taken, Ok(Taken::Again))).count();
    assert_eq!((new, again), (25, 25));
    let mut tx = store.read().await.expect("the database answers");
    let all = tx.deliveries(&DeliveryFilter { limit: 100, ..DeliveryFilter::default() }).await.expect("deliveries");
    assert!(all.iter().all(|delivery| delivery.event == "pu\u{fffd}sh"), "{all:?}");
}

#[tokio::test]
async fn servers_that_start_together_bring_the_schema_up_to_date_once() {
    let Some(database) = shared().await else { return };
    database.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    let opened = join_all((0..4).map(|_| Store::open(&database.url))).await;
    for store in opened {
        store.expect("it is up to date");
    }
    // whatever collation the database has, ours compare byte by byte
    let store = open(&database).await;
    let mut tx = store.write().await.expect("the database answers");
    for (delivery, name) in [("1", "acme/Z"), ("2", "acme/a"), ("3", "acme/B")] {
        let Ok(Taken::New(id)) = tx.insert_delivery(&new(delivery, "push")).await else { panic!("it is new") };
        tx.delivery_is_about(id, &name.parse().expect("a name")).await.expect("it is there");
    }
    tx.commit().await.expect("a commit");
}

#[tokio::test]
async fn all_servers_of_a_database_have_the_same_key() {
    let Some(database) = shared().await else { return };
    let store = open(&database).await;
    store.agree("secret key", "one", "copy it").await.expect("the first one decides");
    store.agree("secret key", "one", "copy it").await.expect("it is the same");
    let refused = store.agree("secret key", "another", "copy it").await.expect_err("another one");
    let said = refused.to_string();
    assert_eq!(said, "the database cannot be used: its other servers have another secret key: copy it");
}

#[tokio::test]
async fn two_servers_never_give_one_place_away_twice() {
    if required("postgres", "CONTAINEROPS_TEST_POSTGRES").is_none() {
        return;
    }
    let t = Tester::start().await;
    let (one, other) = (t.app(), t.another().await);
    let cells: Vec<String> = (1..=40).map(|cell| cell.to_string()).collect();
    let set = async |limit: i64| {
        let quota = Quota { actions: Some(limit), ..Quota::default() };
        one.engine.set_quota(&QuotaScope::Server, &quota, "root").await.expect("the database answers");
    };
    set(0).await;
    let flow = r#"stages: [{name: test, actions: [{name: test, matrix: {N: [CELLS]}, image: "rust:1", run: make}]}]"#;
    t.push("main", &flow.replace("CELLS", &cells.join(", "))).await;
    assert!(t.pods.placed().is_empty());
    for limit in [1, 2, 9, 20] {
        set(limit).await;
        let tries = [&one, &other, &one, &other].map(|app| app.engine.drive());
        join_all(tries).await.into_iter().for_each(|driven| assert!(driven.is_ok()));
        futures::try_join!(one.drain(), other.drain()).expect("the database answers");
        t.settle().await;
        assert_eq!(t.pods.placed().len(), usize::try_from(limit).expect("few"));
    }
    t.read_writes();
}

#[tokio::test]
async fn each_server_may_do_a_part_and_all_of_them_the_whole() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if required("postgres", "CONTAINEROPS_TEST_POSTGRES").is_some() {
        timeout(LIMIT, parts()).await.expect("it comes to an end");
    }
}

async fn parts() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let web = Service::start_only(&data, "web", &[]).await;
    let agents = [("CONTAINEROPS_AGENT_URL", web.url("")), ("CONTAINEROPS_PUBLIC_URL", web.url(""))];
    let engine = Service::start_only(&data, "engine", &agents).await;
    let report = Service::start_only(&data, "report", &agents).await;
    let up = folder.path().join("up");
    assert!(std::process::Command::new("mkfifo").arg(&up).status().expect("mkfifo").success());
    let flow = format!("stages: [{{name: test, image: any, run: \"echo > {}; echo hello\"}}]", up.display());
    web.push(&folder.path().join("ada"), &flow).await;
    tokio::fs::read(&up).await.expect("the job is up");
    let log = "/git/acme/widget/runs/1/test/test/test";
    web.followed(log).await;
    let text = web.get(&format!("{log}/log.txt")).await.text().await.expect("a log");
    assert!(text.ends_with("hello\n"), "{text}");
    let runs: Value = web.get("/api/v1/runs").await.json().await.expect("JSON");
    assert_eq!(runs["runs"][0]["status"]["conclusion"], "success", "{runs}");
    for other in [&engine, &report] {
        other.get("/readyz").await;
        assert!(other.text("/").await.is_none(), "it has no pages");
    }
}

/// What the next release may do to the schema while this one runs.
const NEWER: &str = "ALTER TABLE deliveries ADD COLUMN novelty TEXT; ALTER TABLE runs ADD COLUMN novelty TEXT; \
     ALTER TABLE actions ADD COLUMN novelty TEXT NOT NULL DEFAULT ''; ALTER TABLE attempts ADD COLUMN novelty BIGINT; \
     ALTER TABLE jobs ADD COLUMN novelty BIGINT; ALTER TABLE reports ADD COLUMN novelty TEXT; \
     ALTER TABLE repositories ADD COLUMN novelty TEXT; CREATE TABLE novelties (id BIGINT NOT NULL PRIMARY KEY); \
     INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
     VALUES (9999, 'novelty', now(), true, '\\x00', 0)";

#[tokio::test]
async fn a_run_goes_on_while_a_newer_release_brings_the_schema_up_to_date() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if required("postgres", "CONTAINEROPS_TEST_POSTGRES").is_some() {
        timeout(LIMIT, upgrade()).await.expect("it comes to an end");
    }
}

async fn upgrade() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let service = Service::start(&data).await;
    let database = Database::of(&data).await;
    let fifo = |name: &str| {
        let path = folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        path
    };
    let (up, go) = (fifo("up"), fifo("go"));
    let script = format!("echo > {}; cat {}; echo hello", up.display(), go.display());
    let flow =
        format!("stages: [{{name: test, image: any, run: \"{script}\"}}, {{name: then, image: any, run: echo on}}]");
    service.push(&folder.path().join("ada"), &flow).await;
    tokio::fs::read(&up).await.expect("the job is up");
    database.sql(NEWER).await;
    tokio::fs::write(&go, "").await.expect("the job goes on");
    while service.text("/git/acme/widget/runs/1/then/then/then/log.txt").await.is_none_or(|log| !log.ends_with("on\n"))
    {
        tokio::task::yield_now().await;
    }
    loop {
        let runs: Option<Value> = service.text("/api/v1/runs").await.and_then(|text| serde_json::from_str(&text).ok());
        match runs.as_ref().and_then(|runs| runs["runs"][0]["status"]["conclusion"].as_str()) {
            Some(conclusion) => break assert_eq!(conclusion, "success"),
            None => tokio::task::yield_now().await,
        }
    }
    // an older release that starts now says why it cannot
    let refused = Store::open(&database.url).await.expect_err("the schema is a newer one").to_string();
    let newest = Store::schema();
    let words = format!(
        "the database cannot be used: its schema is of a newer release (version 9999; this release knows {newest}): start \
         that release, or a newer one"
    );
    assert_eq!(refused, words);
}
