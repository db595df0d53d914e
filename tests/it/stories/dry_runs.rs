//! A recorded delivery in thought: what it would do now, and whether that is what it did.

use std::time::Duration;

use containerops::{
    engine::dry_run::{FlowDraft, Would},
    model::{DeliveryId, PlanDigest},
    store::DeliveryFilter,
};
use insta::assert_snapshot;

use super::{RUN, SMALL, deliveries::id};
use crate::harness::{
    app::{Tester, WIDGET},
    github::fixture,
};

impl Tester {
    /// The flows that this delivery would run.
    async fn would_run(&self, delivery: DeliveryId) -> Vec<FlowDraft> {
        let would = self.dry_run(delivery).await.would;
        let Would::Run { flows, .. } = would else { panic!("it would not run: {would:?}") };
        flows
    }
}

/// One delivery of each event that starts something.
async fn one_of_each(t: &Tester) -> Vec<DeliveryId> {
    let flow = format!("on: [push, tag, pull_request]\n{SMALL}");
    t.commit("main", &flow);
    t.commit("idea", &format!("# an idea\n{flow}"));
    t.commit("gh-readonly-queue/main/pr-17", &flow);
    let deliveries = [
        t.github.push(WIDGET, "main"),
        t.github.tag(WIDGET, "main", "v1"),
        t.github.pull_request(WIDGET, t.github.open_pull_request(WIDGET, "main", WIDGET, "idea"), "opened"),
        t.github.merge_group(WIDGET, "gh-readonly-queue/main/pr-17", "main"),
    ];
    for delivery in deliveries {
        t.deliver(delivery).await;
    }
    t.settle().await;
    t.read_writes();
    t.delivery_list(&DeliveryFilter::default()).await.into_iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn a_recorded_delivery_planned_again_has_the_digest_of_its_run() {
    let t = Tester::start().await;
    let deliveries = one_of_each(&t).await;
    t.restart().await;
    let before = (t.runs().await, t.deliveries().await);
    for delivery in &deliveries {
        let flows = t.would_run(*delivery).await;
        let [flow] = flows.as_slice() else { panic!("{} flows", flows.len()) };
        let plan = flow.plan.as_ref().expect("a plan");
        assert_eq!((flow.is_as_started(), &plan.digest()), (Some(true), &flow.digest));
        let replay = id(t.replay(*delivery, "a").await);
        let run = t.newest_run().await;
        assert_eq!((run.delivery_id, &run.digest), (Some(replay), &flow.digest));
    }
    assert_eq!(before.0.lines().count() + 4, t.runs().await.lines().count());
    t.read_writes();
}

#[tokio::test]
async fn a_dry_run_writes_and_starts_nothing() {
    let t = Tester::start().await;
    let deliveries = one_of_each(&t).await;
    let before = (t.runs().await, t.deliveries().await, t.pods.placed());
    let written = t.github.calls("POST /repos").len();
    for delivery in deliveries {
        t.would_run(delivery).await;
    }
    t.settle().await;
    assert_eq!((t.runs().await, t.deliveries().await, t.pods.placed()), before);
    assert_eq!(t.github.calls("POST /repos").len(), written);
    assert_eq!(t.read_writes(), 0);
}

#[tokio::test]
async fn a_dry_run_names_what_is_broken_left_out_or_not_asked_for() {
    let t = Tester::start().await;
    let left_out = format!("on: {{push: {{branches: [next]}}}}\n{SMALL}");
    let unasked = format!("on: [tag]\n{SMALL}");
    let files = [("a", SMALL), ("b", "stages: no"), ("c", left_out.as_str()), ("d", unasked.as_str())];
    let files = files.map(|(name, text)| (format!(".containerops/{name}.yml"), text.as_bytes()));
    t.github.commit(WIDGET, "main", &files.each_ref().map(|(name, text)| (name.as_str(), *text)));
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    t.read_writes();
    let dry_run = t.dry_run(t.newest_delivery().await.id).await;
    assert!(dry_run.no_longer.is_empty());
    let Would::Run { flows, unasked, .. } = dry_run.would else { panic!("it would run") };
    let told: Vec<String> = flows
        .iter()
        .map(|flow| {
            let digest = if flow.digest.0.is_empty() { "no plan" } else { "a plan" };
            format!("{} {} ({}), {digest}, {:?}", flow.path, flow.state.label(), flow.reason, flow.is_as_started())
        })
        .chain(unasked.iter().map(|file| format!("{}: {}", file.path, file.reason)))
        .collect();
    assert_snapshot!(told.join("\n"), @r"
    .containerops/a.yml queued (), a plan, Some(true)
    .containerops/b.yml failure (the flow file has 1 error), no plan, Some(true)
    .containerops/c.yml skipped (`on: push: branches` [next] does not match `main`), no plan, Some(true)
    .containerops/d.yml: `on` does not name `push`
    ");
}

#[tokio::test]
async fn a_plan_that_is_no_longer_the_one_that_ran_is_told_apart() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let delivery = t.newest_delivery().await.id;
    t.database().sql("UPDATE runs SET digest = 'as an earlier release had it'").await;
    let flows = t.would_run(delivery).await;
    assert_eq!(flows[0].is_as_started(), Some(false));
    assert_eq!(
        flows[0].started.as_ref().map(|run| &run.digest),
        Some(&PlanDigest("as an earlier release had it".to_owned()))
    );
    t.read_writes();
}

#[tokio::test]
async fn a_dry_run_says_when_the_run_of_then_would_not_be_now() {
    let t = Tester::start().await;
    t.commit("main", SMALL);
    let sha = t.push("idea", &format!("# an idea\n{SMALL}")).await;
    let push = t.newest_delivery().await.id;
    let number = t.github.open_pull_request(WIDGET, "main", WIDGET, "idea");
    let dry_run = t.dry_run(push).await;
    let Would::Nothing { reason } = dry_run.would else { panic!("the pull request's run is the one") };
    assert_eq!(reason, format!("pull request #{number} is open from this branch: its run is the one"));
    assert_eq!(dry_run.no_longer.iter().map(|run| run.number).collect::<Vec<_>>(), [1]);
    assert_eq!(t.check(&sha, RUN).state, "queued");
}

#[tokio::test]
async fn a_forge_that_is_away_or_refuses_is_told_by_a_dry_run() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let delivery = t.newest_delivery().await.id;
    let mut told = Vec::new();
    for status in [503, 403, 404] {
        t.github.fail_next(1, status);
        told.push(format!("{:?}", t.dry_run(delivery).await.would));
    }
    t.github.limit_next(Duration::from_secs(40));
    told.push(format!("{:?}", t.dry_run(delivery).await.would));
    assert_snapshot!(told.join("\n"), @r#"
    Wait { trouble: "github is away: it answered 503 Service Unavailable: on demand" }
    Wait { trouble: "github refused (403): on demand" }
    Nothing { reason: "commit ade54be4 has neither .containerops.yml nor .containerops/*.yml" }
    Wait { trouble: "github asks us to wait 40 s: You have exceeded a secondary rate limit" }
    "#);
    t.read_writes();
}

#[tokio::test]
async fn a_forge_that_does_not_answer_is_not_waited_for() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    t.github.delay(Duration::from_secs(60));
    let would = t.dry_run_within(t.newest_delivery().await.id, Duration::from_millis(10)).await.would;
    let Would::Wait { trouble } = would else { panic!("{would:?}") };
    assert_snapshot!(trouble, @"github has not answered within 10 ms");
    t.read_writes();
}

#[tokio::test]
async fn a_dry_run_of_what_starts_nothing_says_why() {
    let t = Tester::start().await;
    t.deliver(t.github.signed("ping", &fixture("ping"))).await;
    t.deliver(t.github.signed("push", &serde_json::json!({"ref": 7}))).await;
    t.drain().await;
    let mut told = Vec::new();
    for delivery in t.delivery_list(&DeliveryFilter::default()).await {
        told.push(format!("{:?}", t.dry_run(delivery.id).await.would));
    }
    assert_snapshot!(told.join("\n"), @r#"
    Unreadable { reason: "the `push` payload is not of the expected shape: .: missing field `repository` at line 1 column 9" }
    Nothing { reason: "GitHub asks whether we are there" }
    "#);
}
