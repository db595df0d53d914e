//! Where the time of a real pod went: what the cluster tells of it, kept when the pod is gone.

use std::time::Duration;

use containerops::{
    engine::timeline::RunTimeline,
    model::{Clock, Conclusion, Phase, PhaseKind, Span},
};

use crate::harness::{image::Image, server::Server};

/// Bytes that no node has seen before, so that they must be pulled.
fn noise() -> Vec<u8> {
    let mut seed = Clock::System.now().as_millis().unsigned_abs() | 1;
    let next = |_| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()[3]
    };
    (0..4 << 20).map(next).collect()
}

#[tokio::test]
async fn every_phase_of_a_pod_is_known_when_it_is_gone_and_they_add_up() {
    let Some(server) = Server::start("timeline").await else { return };
    let (image, _) = Image::with_shell().file("noise", 0o644, &noise()).push("timeline").await;
    let flow = format!(
        r#"
stages:
  - name: go
    services: [{{name: web, image: busybox, run: "sleep 1; exec httpd -f -p 8080 -h /", ready: {{tcp: 8080}}}}]
    jobs:
      - {{name: one, image: "{image}", run: "sleep 1.5"}}
      - {{name: two, image: busybox, run: "sleep 0.5"}}
"#
    );
    let story = server.end(server.push(&flow).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
    server.until_nothing_is_left().await;

    let mut tx = server.app().engine.store.read().await.expect("the database");
    let times = RunTimeline::read(&mut tx, &story.run, Clock::System.now()).await.expect("the database");
    let [attempt] = times.attempts.as_slice() else { panic!("one attempt: {times:?}") };
    let moments = &attempt.row.moments.0;
    assert!(moments.node.is_some() && moments.made <= moments.scheduled && moments.scheduled.is_some(), "{moments:?}");
    let mut names: Vec<_> = moments.containers.iter().map(|ran| ran.container.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["install", "job-0", "job-1", "service-0"], "{moments:?}");
    let pull = moments.pull("job-0").expect("its image was pulled");
    assert!(pull.ended.is_some_and(|ended| ended > pull.started), "{pull:?}");

    let phases = &attempt.times.phases;
    let total: Duration = phases.iter().map(Phase::span).sum();
    let took = attempt.row.ended.zip(attempt.row.queued).map(|(ended, queued)| ended.since(queued));
    assert_eq!(Some(total), took, "{phases:?}");
    let spent = |phases: &[Phase], kind| -> Duration {
        phases.iter().filter(|phase| phase.kind == kind).map(Phase::span).sum()
    };
    assert!(!spent(phases, PhaseKind::Pull).is_zero(), "{phases:?}");
    assert!(spent(phases, PhaseKind::Run) >= Duration::from_millis(2000), "{phases:?}");
    let [one, two, web] = attempt.times.jobs.as_slice() else { panic!("two jobs and a service: {:?}", attempt.times) };
    assert!(!spent(&one.phases, PhaseKind::Pull).is_zero(), "{one:?}");
    assert!(spent(&two.phases, PhaseKind::Wait) >= Duration::from_millis(1500), "it waits for its turn: {two:?}");
    assert!(!spent(&web.phases, PhaseKind::Init).is_zero(), "until it is ready: {web:?}");
    let whole: Duration = times.phases.iter().map(Phase::span).sum();
    assert_eq!(Some(whole), story.run.ended.map(|ended| ended.since(story.run.created)), "{}", Span(whole));
}
