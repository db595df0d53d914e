//! A machine's clock that was an hour ahead, and is set right.

use std::{sync::atomic::Ordering, time::Duration};

use containerops::{
    model::{Clock, Time},
    store::RunFilter,
};

use super::{ACTION, SMALL};
use crate::harness::app::{Tester, WIDGET};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_was_to_come_when_the_clock_was_set_back_does_not_wait_for_the_old_time() {
    let t = Tester::start().await;
    let running = t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    t.passes(MINUTE).await;
    // of a second run nothing but its delivery is there
    let delivered = t.commit("topic", SMALL);
    t.deliver(t.github.push(WIDGET, "topic")).await;
    set_back(&t, HOUR);
    t.restart().await;
    t.passes(MINUTE).await;
    t.run_the_job("test", 0).await;
    agent.exits(0).await;
    t.passes(MINUTE).await;
    for sha in [running, delivered] {
        assert_eq!(t.check(&sha, ACTION).state, "success", "{}", t.attempts().await);
    }
    t.read_writes();
}

#[tokio::test]
async fn a_clock_that_goes_on_or_is_set_back_by_little_brings_nothing_forward() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    t.passes(MINUTE).await;
    let before = dues(&t).await;
    set_back(&t, Duration::from_secs(2));
    t.app().engine.settle_overdue().await.expect("the database is there");
    assert_eq!(dues(&t).await, before);
    set_back(&t, HOUR);
    t.app().engine.settle_overdue().await.expect("the database is there");
    assert_ne!(dues(&t).await, before, "an hour is not little");
    t.read_writes();
}

/// When actions and places of the sweep are due.
async fn dues(t: &Tester) -> Vec<Time> {
    let mut tx = t.app().engine.store.read().await.expect("a view");
    let ever = t.clock.now().after(24 * HOUR);
    let sweeps = tx.due_sweeps(ever, 100).await.expect("rows");
    let run = tx.runs(&RunFilter { limit: 1, ..RunFilter::default() }).await.expect("runs").remove(0).id;
    let actions = tx.actions(run).await.expect("actions");
    sweeps.iter().map(|sweep| sweep.due).chain(actions.iter().map(|action| action.due)).collect()
}

fn set_back(t: &Tester, by: Duration) {
    let Clock::Set(time) = &t.clock else { panic!("the stories' clock stands") };
    time.fetch_sub(by.as_millis() as i64, Ordering::SeqCst);
}
