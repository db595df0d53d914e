//! A recorded delivery once more.

use std::time::Duration;

use containerops::{
    engine::dry_run::{DryRun, Would},
    model::DeliveryId,
    store::{DeliveryFilter, DeliverySummary, Replay},
};
use insta::assert_snapshot;

use super::{ACTION, RUN, SMALL};
use crate::harness::{
    app::{Tester, WIDGET},
    github::signed,
};

impl Tester {
    /// The newest delivery.
    pub(super) async fn newest_delivery(&self) -> DeliverySummary {
        self.delivery_list(&DeliveryFilter::default()).await.swap_remove(0)
    }

    pub(super) async fn delivery_list(&self, filter: &DeliveryFilter) -> Vec<DeliverySummary> {
        let filter = DeliveryFilter { limit: 100, ..filter.clone() };
        let mut tx = self.app().engine.store.read().await.expect("the database is there");
        tx.deliveries(&filter).await.expect("deliveries")
    }

    /// Wishes for a replay; a second later all that is due is done.
    pub(super) async fn replay(&self, delivery: DeliveryId, wish: &str) -> Replay {
        let replay = self.app().engine.replay(delivery, wish).await.expect("the database is there");
        self.settle().await;
        replay
    }

    /// What this delivery would do now.
    pub(super) async fn dry_run(&self, delivery: DeliveryId) -> DryRun {
        self.dry_run_within(delivery, Duration::from_secs(20)).await
    }

    pub(super) async fn dry_run_within(&self, delivery: DeliveryId, limit: Duration) -> DryRun {
        let engine = self.app().engine;
        let row = engine.store.read().await.expect("the database is there").delivery(delivery).await;
        let row = row.expect("the database is there").expect("a delivery");
        engine.dry_run(&row, limit).await.expect("the database is there")
    }
}

pub(super) fn id(replay: Replay) -> DeliveryId {
    match replay {
        Replay::New(id) | Replay::Again(id) => id,
        Replay::NotYet | Replay::Missing => panic!("{replay:?}"),
    }
}

#[tokio::test]
async fn a_replay_is_a_new_run_of_an_event_that_has_run() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.run_the_job("test", 1).await;
    let original = t.newest_delivery().await;
    let replay = id(t.replay(original.id, "a").await);
    assert_snapshot!(t.deliveries().await, @r"
    push: started 1
    push: started 1
    ");
    let shown = t.newest_delivery().await;
    assert_eq!((shown.id, shown.replays), (replay, Some(original.id)));
    assert_eq!((shown.event, shown.delivery, shown.forge), (original.event, original.delivery, original.forge));
    let run = t.newest_run().await;
    assert_eq!((run.number, run.delivery_id, run.rerun_of), (2, Some(replay), None));
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 5 s
    success containerops/ci/push/test/test: success in 5 s
    ");
    let said = format!("Replay of [delivery {0}](https://ci.example.com/deliveries/{0})", original.id);
    for context in [RUN, ACTION] {
        let summary = t.check(&sha, context).summary;
        assert!(summary.contains(&said), "{summary}");
    }
}

#[tokio::test]
async fn a_replay_has_the_headers_and_the_body_of_the_original() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let original = t.newest_delivery().await.id;
    let replay = id(t.replay(original, "a").await);
    let mut tx = t.app().engine.store.read().await.expect("the database is there");
    let before = tx.delivery(original).await.expect("the database is there").expect("a delivery");
    let after = tx.delivery(replay).await.expect("the database is there").expect("a delivery");
    assert_eq!((before.headers, before.body), (after.headers, after.body));
    t.read_writes();
}

#[tokio::test]
async fn one_wish_is_one_replay_and_another_wish_another() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let original = t.newest_delivery().await.id;
    let engine = t.app().engine;
    let (first, second) = tokio::join!(engine.replay(original, "a"), engine.replay(original, "a"));
    let (first, second) = (first.expect("no trouble"), second.expect("no trouble"));
    assert_eq!(id(first), id(second));
    t.settle().await;
    assert_eq!(t.replay(original, "a").await, Replay::Again(id(first)), "also when it has run");
    assert_ne!(id(t.replay(original, "b").await), id(first));
    assert_snapshot!(t.runs().await, @r"
    #1 push queued
    #2 push queued
    #3 push queued
    ");
    t.read_writes();
}

#[tokio::test]
async fn while_a_replay_waits_another_wish_means_it() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let original = t.newest_delivery().await.id;
    t.github.limit_next(Duration::from_secs(50));
    let first = id(t.replay(original, "a").await);
    assert_eq!(t.replay(original, "b").await, Replay::Again(first));
    assert_eq!(t.replay(first, "c").await, Replay::Again(first));
    t.later(Duration::from_secs(60)).await;
    assert_eq!(t.newest_run().await.number, 2);
    t.read_writes();
}

#[tokio::test]
async fn a_replay_of_a_replay_names_the_original() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let original = t.newest_delivery().await.id;
    let first = id(t.replay(original, "a").await);
    let second = id(t.replay(first, "b").await);
    assert_ne!(first, second);
    assert_eq!(t.newest_delivery().await.replays, Some(original));
    let mut tx = t.app().engine.store.read().await.expect("the database is there");
    assert_eq!(tx.replays_of(original, 10).await.expect("replays"), [second, first]);
    t.read_writes();
}

#[tokio::test]
async fn what_waits_cannot_be_replayed_and_what_is_not_there_neither() {
    let t = Tester::start().await;
    t.commit("main", SMALL);
    t.deliver(t.github.push(WIDGET, "main")).await;
    let waiting = t.newest_delivery().await.id;
    let nothing = DeliveryId::from_i64(7);
    let engine = t.app().engine;
    assert_eq!(engine.replay(waiting, "a").await.expect("no trouble"), Replay::NotYet);
    assert_eq!(engine.replay(nothing, "a").await.expect("no trouble"), Replay::Missing);
    t.settle().await;
    assert_eq!(t.runs().await, "#1 push queued\n");
    t.read_writes();
}

#[tokio::test]
async fn what_started_nothing_or_could_not_be_read_is_looked_at_again() {
    let t = Tester::start().await;
    t.github.commit(WIDGET, "main", &[("README.md", b"no CI here")]);
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.deliver(signed("ping", "1", b"{}".to_vec())).await;
    t.send("github", signed("push", "2", b"payload=%7B%7D".to_vec())).await;
    t.settle().await;
    for delivery in t.delivery_list(&DeliveryFilter::default()).await {
        assert!(matches!(t.replay(delivery.id, "a").await, Replay::New(_)));
    }
    let said: Vec<String> = t.deliveries().await.lines().map(str::to_owned).collect();
    let (originals, replays) = said.split_at(3);
    assert_eq!(originals, replays.iter().rev().cloned().collect::<Vec<_>>());
}

#[tokio::test]
async fn the_forges_wish_to_run_again_is_replayed_too() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.run_the_job("test", 1).await;
    let first = t.newest_run().await.id;
    t.deliver(t.github.rerequested(WIDGET, RUN)).await;
    t.settle().await;
    t.run_the_job("test", 1).await;
    let asked = t.newest_delivery().await.id;
    assert_eq!(t.newest_run().await.delivery_id, Some(asked));
    let replay = id(t.replay(asked, "a").await);
    let run = t.newest_run().await;
    assert_eq!((run.number, run.rerun_of, run.delivery_id), (3, Some(first), Some(replay)));
    t.run_the_job("test", 0).await;
    assert!(t.check(&sha, RUN).summary.contains(&format!("Replay of [delivery {asked}]")));
    let Would::Rerun { runs } = t.dry_run(replay).await.would else { panic!("it would repeat a run") };
    assert_eq!(runs.iter().map(|run| run.number).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_late_telling_of_an_event_is_not_run_after_its_replay() {
    let t = Tester::start().await;
    t.commit("main", SMALL);
    let of_the_app = t.github.push(WIDGET, "main");
    let mut of_the_repository = of_the_app.clone();
    of_the_repository.headers.insert("x-github-hook-id", "7".parse().expect("a header"));
    t.deliver(of_the_app.clone()).await;
    t.settle().await;
    t.replay(t.newest_delivery().await.id, "a").await;
    t.deliver(of_the_repository).await;
    t.deliver(of_the_app).await;
    t.settle().await;
    assert_snapshot!(t.runs().await, @r"
    #1 push queued
    #2 push queued
    ");
    t.read_writes();
}

#[tokio::test]
async fn a_replay_of_old_code_waits_for_the_newest_and_does_not_end_it() {
    let t = Tester::start().await;
    let flow = format!("concurrency: {{group: deploy, policy: cancel}}\n{SMALL}");
    t.push("main", &flow).await;
    t.run_the_job("test", 0).await;
    let old = t.newest_delivery().await.id;
    t.push("main", &format!("{flow}\n# newer")).await;
    t.replay(old, "a").await;
    assert_snapshot!(t.runs().await, @r"
    #1 push success
    #2 push queued
    #3 push queued: 1 run ahead in group deploy
    ");
    t.read_writes();
}
