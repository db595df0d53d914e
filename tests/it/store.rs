//! The database's own promises.

use std::{sync::Arc, time::Duration};

use containerops::{
    model::{ActionId, ActionState, AttemptId, DeliveryId, DeliveryState, ForgeKind, JobId, JobState, Time},
    store::{Change, DeliveryFilter, NewDelivery, NewJob, Store, StoreError, Taken, Wanted},
};
use futures::future::join_all;

use crate::harness::{
    app::{Tester, WIDGET},
    database::Database,
    pods::Fault,
};

const NOW: Time = Time::from_millis(1_772_366_400_000);

/// A database of its own.
struct Scene {
    _folder: tempfile::TempDir,
    database: Arc<Database>,
    store: Store,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::of(folder.path()).await;
        let store = Store::open(&database.url).await.expect("a database");
        Self { _folder: folder, database, store }
    }

    /// The same database, past the store.
    async fn sql(&self, statement: &str) {
        self.database.sql(statement).await;
    }

    async fn take(&self, event: &str, delivery: &str) -> Result<Taken, StoreError> {
        self.store.inbox().take(new(event, delivery)).await
    }

    async fn count(&self) -> usize {
        let mut tx = self.store.read().await.expect("the database is there");
        let filter = DeliveryFilter { limit: 1000, ..DeliveryFilter::default() };
        tx.deliveries(&filter).await.expect("deliveries").len()
    }
}

fn new(event: &str, delivery: &str) -> NewDelivery {
    NewDelivery {
        forge: ForgeKind::Github,
        hook: "1".to_owned(),
        delivery: delivery.to_owned(),
        event: event.to_owned(),
        headers: Vec::new(),
        body: bytes::Bytes::from_static(b"{}"),
        received: NOW,
        state: DeliveryState::Pending,
    }
}

#[tokio::test]
async fn deliveries_that_wait_together_are_each_taken_once() {
    let scene = Scene::new().await;
    let names: Vec<String> = (0..300).map(|n| (n % 100).to_string()).collect();
    let taken = join_all(names.iter().map(|name| scene.take("push", name))).await;
    let new = taken.iter().filter(|taken| matches!(taken, Ok(Taken::New(_)))).count();
    let again = taken.iter().filter(|taken| matches!(taken, Ok(Taken::Again))).count();
    assert_eq!((new, again, scene.count().await), (100, 200, 100));
}

#[tokio::test]
async fn one_bad_delivery_does_not_take_others_with_it() {
    let scene = Scene::new().await;
    let bad = match scene.database.is_shared() {
        true => "ALTER TABLE deliveries ADD CONSTRAINT bad CHECK (event <> 'bad')",
        false => {
            "CREATE TRIGGER bad BEFORE INSERT ON deliveries WHEN NEW.event = 'bad' BEGIN SELECT RAISE(ABORT, 'bad'); END"
        }
    };
    scene.sql(bad).await;
    let deliveries = [("push", "1"), ("bad", "2"), ("push", "3"), ("push", "1")];
    let taken = join_all(deliveries.map(|(event, name)| scene.take(event, name))).await;
    let said: Vec<_> = taken.iter().map(|taken| taken.as_ref().map(|taken| *taken == Taken::Again).ok()).collect();
    assert_eq!(said, [Some(false), None, Some(false), Some(true)]);
    assert_eq!(scene.count().await, 2);
}

#[tokio::test]
async fn a_view_refuses_changes() {
    let scene = Scene::new().await;
    let mut view = scene.store.read().await.expect("the database is there");
    view.hurry_action(ActionId::from_i64(1)).await.expect_err("it is read-only");
}

#[tokio::test]
async fn what_is_not_committed_has_not_happened_and_does_not_ring() {
    let scene = Scene::new().await;
    let id = match scene.take("push", "1").await {
        Ok(Taken::New(id)) => id,
        other => panic!("{other:?}"),
    };
    let mut bell = scene.store.bell().listen();
    let mut tx = scene.store.write().await.expect("the database is there");
    tx.ring(Change::Delivery);
    tx.delivery_handled(id, &DeliveryState::Started { runs: 1 }).await.expect("it is pending");
    drop(tx);
    assert_eq!(state(&scene.store, id).await, DeliveryState::Pending);
    if !scene.database.is_shared() {
        // one that hears of other processes rings at some time for all that may have been before
        let rang = tokio::time::timeout(Duration::ZERO, bell.wait(Duration::MAX, |_| true)).await;
        assert!(rang.is_err(), "nothing rang");
    }
    let mut tx = scene.store.write().await.expect("the database is there");
    tx.ring(Change::Delivery);
    tx.commit().await.expect("a commit");
    bell.wait(Duration::MAX, |change| change == Change::Delivery).await;
}

#[tokio::test]
async fn a_delivery_is_handled_once() {
    let scene = Scene::new().await;
    let Ok(Taken::New(id)) = scene.take("push", "1").await else { panic!("it is new") };
    let mut tx = scene.store.write().await.expect("the database is there");
    tx.delivery_handled(id, &DeliveryState::Started { runs: 1 }).await.expect("it is pending");
    let again = tx.delivery_handled(id, &DeliveryState::Started { runs: 1 }).await;
    assert!(matches!(again, Err(StoreError::Rows { meant: 1, met: 0, .. })), "{again:?}");
}

#[tokio::test]
async fn a_database_is_opened_again_with_all_that_is_in_it() {
    let scene = Scene::new().await;
    let Ok(Taken::New(id)) = scene.take("push", "1").await else { panic!("it is new") };
    scene.store.close().await;
    let again = Store::open(&scene.database.url).await.expect("the same database");
    assert_eq!(state(&again, id).await, DeliveryState::Pending);
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_left_alone() {
    let scene = Scene::new().await;
    scene.store.close().await;
    let newer = match scene.database.is_shared() {
        true => "INSERT INTO _sqlx_migrations VALUES (99999999999999, 'from the future', now(), true, '\\x00', 1)",
        false => {
            "INSERT INTO _sqlx_migrations VALUES (99999999999999, 'from the future', CURRENT_TIMESTAMP, 1, x'00', 1)"
        }
    };
    scene.sql(newer).await;
    let refused = Store::open(&scene.database.url).await;
    assert!(matches!(refused, Err(StoreError::Unfit(_))), "{refused:?}");
}

#[tokio::test]
async fn a_url_of_no_known_database_is_refused_without_its_password() {
    let refused = Store::open("mysql://root:hunter2@db/ci").await.expect_err("unknown");
    assert_eq!(refused.to_string(), "`mysql` is no database that this version knows: sqlite:PATH and postgres://… are");
}

/// A service of whose only action nothing is placed, because the cluster was away.
async fn with_an_action_that_waits() -> Tester {
    let t = Tester::start().await;
    t.pods.fail_next(Fault::Away);
    t.commit("main", r#"stages: [{name: test, image: "rust:1", run: cargo test}]"#);
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.drain().await;
    t.read_writes();
    t
}

#[tokio::test]
async fn a_lease_is_held_by_one_and_its_number_fences_off_the_others() {
    let t = with_an_action_that_waits().await;
    let (run, store) = (t.newest_run().await.id, t.app().engine.store.clone());
    let (now, minute) = (t.clock.now(), Duration::from_secs(60));
    let mut tx = store.write().await.expect("the database is there");
    let id = tx.actions(run).await.expect("actions")[0].id;
    let first = tx.claim_action(id, now, now.after(minute), now).await.expect("no trouble").expect("it is free");
    assert!(tx.claim_action(id, now, now.after(minute), now).await.expect("no trouble").is_none(), "it is taken");
    let later = now.after(minute);
    let second = tx.claim_action(id, later, later.after(minute), now).await.expect("no trouble").expect("it is over");
    tx.hold_lease(id, first.fence, later).await.expect_err("the first has lost it");
    tx.release_action(id, first.fence).await.expect("that changes nothing");
    tx.hold_lease(id, second.fence, later.after(minute)).await.expect("the second has it");
    tx.release_action(id, second.fence).await.expect("it gives it back");
    assert!(tx.claim_action(id, later, later.after(minute), now).await.expect("no trouble").is_some());
}

#[tokio::test]
async fn whatever_a_transaction_asks_sees_what_it_has_changed_before() {
    let t = with_an_action_that_waits().await;
    let (run, store, now) = (t.newest_run().await.id, t.app().engine.store.clone(), t.clock.now());
    let mut tx = store.write().await.expect("the database is there");
    let id = tx.actions(run).await.expect("actions")[0].id;
    // read beforehand or one by one: it is the same
    let nobody = Wanted::JobOf("nobody's".to_owned());
    tx.foresee(&[&Wanted::Action(id), &nobody]).await.expect("it is read");
    let later = now.after(Duration::from_secs(3600));
    let is_due = async |tx: &mut containerops::store::Tx| {
        tx.due_actions(later, 10).await.expect("actions").iter().any(|due| due.id == id)
    };
    assert!(is_due(&mut tx).await, "nobody drives it");
    let claimed = tx.claim_action(id, later, later.after(Duration::from_secs(60)), later).await;
    let claimed = claimed.expect("no trouble").expect("it is free");
    assert!(!is_due(&mut tx).await, "the lease is seen before it is committed");
    let (attempt, job) = (AttemptId::mint(now), JobId::mint(now));
    let new = NewJob { id: job, token_hash: "a token's".to_owned(), service_after: None };
    let made = tx.insert_attempt(id, attempt, "process", &[new], now).await.expect("an attempt");
    assert_eq!(made.number, claimed.attempts + 1);
    assert_eq!(tx.newest_attempt(id).await.expect("an attempt").expect("the new one").id, attempt);
    assert!(tx.jobs_of_run(run).await.expect("jobs").iter().any(|row| row.id == job), "by a join");
    assert!(tx.bind_session(job, "a session's", now).await.expect("it is bound"));
    assert!(!tx.bind_session(job, "another's", now).await.expect("no trouble"), "it has one");
    tx.set_job_state(job, &JobState::Running, now).await.expect("it runs");
    tx.log_is_over(job).await.expect("a change past what is known");
    let row = tx.job_by_session("a session's").await.expect("no trouble").expect("the job");
    assert_eq!((row.id, row.log_over, &row.state.0), (job, 1, &JobState::Running));
    tx.set_action_state(id, &ActionState::Running, "", now).await.expect("it runs");
    tx.forget_given_secrets(Time::from_millis(0)).await.expect("rows of another table go");
    tx.cancel_action(id, "ada").await.expect("a change past what is known");
    let row = tx.action(id).await.expect("the action");
    assert_eq!((row.cancelled_by.as_deref(), &row.state.0), (Some("ada"), &ActionState::Running));
    tx.commit().await.expect("it is committed");
    let mut tx = store.read().await.expect("the database is there");
    let row = tx.job_by_token("a token's").await.expect("no trouble").expect("the job");
    assert_eq!((row.session_hash.as_deref(), row.log_over, &row.state.0), (Some("a session's"), 1, &JobState::Running));
    assert_eq!(row.started, Some(now));
    let row = tx.action(id).await.expect("the action");
    assert_eq!((row.attempts, row.cancelled_by.as_deref()), (made.number, Some("ada")));
}

async fn state(store: &Store, id: DeliveryId) -> DeliveryState {
    let mut tx = store.read().await.expect("the database is there");
    tx.delivery(id).await.expect("no trouble").expect("a delivery").state.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_processes_may_bring_a_database_up_to_date_at_once() {
    for _ in 0..3 {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("containerops.db").display());
        let open = (0..4).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { Store::open_beside(&url).await.map(drop) })
        });
        for opened in join_all(open).await {
            opened.expect("no panic").expect("it is up to date");
        }
    }
}
