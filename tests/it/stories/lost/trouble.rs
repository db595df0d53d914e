//! The sweep goes on, whatever stands in its way.

use super::{MINUTE, changed, dropped_push, in_service, trouble};
use crate::{
    harness::app::{GRACE, INTERVAL, WIDGET},
    restart::CutShort,
    stories::{RUN, SMALL},
};

#[tokio::test]
async fn a_repository_that_is_gone_or_renamed_holds_up_no_other() {
    let t = in_service().await;
    for name in ["acme/gone", "acme/old"] {
        t.github.commit(name, "main", &[(".containerops.yml", SMALL.as_bytes())]);
        t.deliver(t.github.push(name, "main")).await;
        t.settle().await;
        t.sweep().await;
    }
    t.github.remove_repository("acme/gone");
    t.github.moved("acme/old", &format!("/repos/{WIDGET}"));
    t.commit("main", &changed("large"));
    t.sweep_after(INTERVAL).await;
    assert_eq!(t.sweep_after(GRACE).await, 1);
    assert_eq!(trouble(&t, "acme/gone").await, "github refused (404): Not Found");
    assert!(trouble(&t, "acme/old").await.starts_with("github refused (301)"));
    assert_eq!(trouble(&t, WIDGET).await, "");
    t.read_writes();
}

#[tokio::test]
async fn a_limit_is_obeyed_by_all_looks() {
    let t = in_service().await;
    t.github.commit("acme/other", "main", &[(".containerops.yml", SMALL.as_bytes())]);
    t.deliver(t.github.push("acme/other", "main")).await;
    t.settle().await;
    let (sha, _) = dropped_push(&t, "main", &changed("lost"));
    t.github.limit_next(10 * MINUTE);
    let before = t.github.calls("").len();
    for _ in 0..9 {
        t.sweep_after(MINUTE).await;
    }
    assert_eq!(t.github.calls("").len() - before, 1, "one call, which was told to wait");
    t.sweep_after(2 * MINUTE).await;
    t.redelivered().await;
    assert_eq!(t.newest_run().await.sha, sha);
    t.read_writes();
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let t = in_service().await;
    let (sha, _) = dropped_push(&t, "main", &changed("lost"));
    t.github.cut_next();
    t.sweep_after(INTERVAL).await;
    t.sweep_after(INTERVAL).await;
    t.redelivered().await;
    assert_eq!(t.newest_run().await.sha, sha);
    assert_eq!(t.runs().await.lines().count(), 2);
    t.read_writes();
}

#[tokio::test]
async fn what_was_asked_for_is_recovered_though_we_died_before_we_heard_that_it_comes() {
    let t = in_service().await;
    let (lost, _) = dropped_push(&t, "main", &changed("lost"));
    t.github.cut_at("/attempts");
    t.sweep_after(INTERVAL).await;
    t.restart().await;
    assert_eq!(t.redelivered().await, 1);
    assert!(t.check(&lost, RUN).summary.starts_with("recovered, "));
}

#[tokio::test]
async fn what_is_lost_is_found_once_wherever_the_plug_is_pulled() {
    let t = in_service().await;
    let (lost, _) = dropped_push(&t, "main", &changed("lost"));
    let large = t.commit("idea", &changed("large"));
    for _ in 0..8 {
        t.clock.advance(GRACE);
        t.app().engine.recover().await.expect("no trouble");
        t.restart().await;
        t.redelivered().await;
        t.restart().await;
        t.app().engine.intake().await.expect("no trouble");
        t.restart().await;
    }
    t.settle().await;
    assert_eq!(t.runs().await.lines().count(), 3);
    for sha in [lost, large] {
        assert!(t.check(&sha, RUN).summary.starts_with("recovered, "));
    }
}

#[tokio::test]
async fn what_is_lost_is_found_once_though_every_look_is_cut_short() {
    for polls in [1, 2, 3, 5, 8, 13, 21, 34] {
        let t = in_service().await;
        let (lost, _) = dropped_push(&t, "main", &changed("lost"));
        let large = t.commit("idea", &changed("large"));
        for _ in 0..4 {
            t.clock.advance(GRACE);
            let app = t.app();
            let _ = CutShort(Box::pin(app.engine.recover()), polls).await;
            drop(app);
            t.restart().await;
            t.redelivered().await;
            t.sweep().await;
        }
        assert_eq!(t.runs().await.lines().count(), 3, "after {polls} polls");
        for sha in [lost, large] {
            assert!(t.check(&sha, RUN).summary.starts_with("recovered, "), "after {polls} polls");
        }
    }
}
