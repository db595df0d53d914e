//! Durability: the service is dropped without ceremony after every step of the walk of one push, and within every step,
//! and assembled again on the same data. The end is always the same: one run, one attempt of each action, every byte
//! of every log, and GitHub shows what is true.

use std::{
    cell::Cell,
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use containerops::{agent::protocol::Cause, app::App, model::Sha};
use insta::assert_snapshot;

use crate::harness::{
    app::{Tester, WIDGET},
    pods::Fault,
};

const FLOW: &str = r#"
stages:
  - name: build
    actions:
      - name: build
        jobs:
          - {name: compile, image: "cc:1", run: make, outputs: [VERSION]}
          - {name: check, image: "cc:1", run: make check}
  - name: ship
    image: "tar:1"
    run: tar
    subscriptions: [{"build.build.compile[VERSION]": VERSION}]
"#;
/// Longer than a lease: whoever comes after a crash has to wait for it.
const AFTER_THE_LEASE: Duration = Duration::from_secs(61);

/// One round of one of the service's loops: how much there was to do.
type Tick = for<'a> fn(&'a App) -> Pin<Box<dyn Future<Output = usize> + 'a>>;

const INTAKE: Tick = |app| Box::pin(async { app.engine.intake().await.expect("no trouble") });
const SOURCES: Tick = |app| Box::pin(async { app.engine.make_sources().await.expect("no trouble") });
const DRIVE: Tick = |app| Box::pin(async { app.engine.drive().await.expect("no trouble") });
const SWEEP: Tick = |app| Box::pin(async { app.engine.sweep().await.expect("no trouble") });
const SEAL: Tick = |app| Box::pin(async { app.engine.seal_logs().await.expect("no trouble") });
const TELL: Tick = |app| Box::pin(async { app.reporter.tell().await.expect("no trouble") });

/// Where somebody pulls the plug.
enum Plug {
    Never,
    /// After the step of this number.
    After(usize),
    /// After every step.
    AfterEach,
    /// Within every step, when it has been polled so often.
    Within(usize),
}

/// The walk of one push, step by step.
struct Walk {
    t: Tester,
    plug: Plug,
    steps: Cell<usize>,
}

impl Walk {
    async fn new(plug: Plug) -> Self {
        Self { t: Tester::start().await, plug, steps: Cell::new(0) }
    }

    /// A step is over.
    async fn step(&self) {
        let step = self.steps.replace(self.steps.get() + 1);
        let pulled = match self.plug {
            Plug::Never | Plug::Within(_) => false,
            Plug::After(wanted) => step == wanted,
            Plug::AfterEach => true,
        };
        if pulled {
            self.t.restart().await;
        }
    }

    /// A round of a loop, which is begun again if it was cut short.
    async fn tick(&self, tick: Tick) {
        if let Plug::Within(polls) = self.plug {
            let app = self.t.app();
            if CutShort(tick(&app), polls).await.is_none() {
                drop(app);
                self.t.restart().await;
                self.t.clock.advance(AFTER_THE_LEASE);
            }
        }
        tick(&self.t.app()).await;
        self.step().await;
    }

    async fn whole(&self) -> String {
        let sha = self.t.commit("main", FLOW);
        self.deliver().await;
        self.run(&sha).await
    }

    /// The same walk once more, from the wish to replay its delivery on. Until then nobody pulls a plug.
    async fn replayed(plug: Plug) -> (String, usize) {
        let mut walk = Self::new(Plug::Never).await;
        let sha = walk.t.commit("main", FLOW);
        walk.deliver().await;
        walk.run(&sha).await;
        (walk.plug, walk.steps) = (plug, Cell::new(0));
        walk.replay().await;
        let end = walk.run(&sha).await;
        (end, walk.steps.get())
    }

    /// From the delivery to the end of its run.
    async fn run(&self, sha: &Sha) -> String {
        let t = &self.t;
        for tick in [INTAKE, SOURCES, DRIVE, TELL] {
            self.tick(tick).await;
        }
        self.compile().await;
        self.check().await;
        for tick in [DRIVE, SWEEP, SEAL, TELL] {
            self.tick(tick).await;
        }
        let ship = t.claims("ship").await;
        self.step().await;
        assert_eq!(ship.work.environments["VERSION"], "1.2.3");
        ship.reports(&ship.record(Cause::Exit { code: 0 })).await;
        self.step().await;
        for tick in [SWEEP, TELL] {
            self.tick(tick).await;
        }
        self.end(sha).await
    }

    /// Whoever heard no answer to his wish sends it again.
    async fn replay(&self) {
        let original = self.t.newest_run().await.delivery_id.expect("a delivery");
        if let Plug::Within(polls) = self.plug {
            let app = self.t.app();
            let _ = CutShort(Box::pin(app.engine.replay(original, "a wish")), polls).await;
            self.t.restart().await;
        }
        for _ in 0..2 {
            self.t.app().engine.replay(original, "a wish").await.expect("no trouble");
            self.step().await;
        }
    }

    /// The forge sends again what it heard no answer to.
    async fn deliver(&self) {
        let delivery = self.t.github.push(WIDGET, "main");
        if let Plug::Within(polls) = self.plug {
            let _ = CutShort(Box::pin(self.t.send("github", delivery.clone())), polls).await;
            self.t.restart().await;
        }
        self.t.deliver(delivery).await;
        self.step().await;
    }

    async fn compile(&self) {
        let agent = self.t.claims("build.build.compile").await;
        self.step().await;
        agent.claims_again().await;
        let agent = agent.says("compiling…\n").await;
        self.step().await;
        let agent = agent.says("half a line").await.says(" and its end\n").await;
        self.step().await;
        let outputs = [("VERSION", "1.2.3")];
        let agent = agent.writes(&outputs).await;
        self.step().await;
        let end = agent.record(Cause::Exit { code: 0 });
        agent.reports(&end).await;
        self.step().await;
        agent.says_all_again(&outputs, &end).await;
    }

    async fn check(&self) {
        let agent = self.t.claims("build.build.check").await.says("all is well\n").await;
        self.step().await;
        agent.reports(&agent.record(Cause::Exit { code: 0 })).await;
        self.step().await;
    }

    /// All that is left to do, and what has come of it.
    async fn end(&self, sha: &Sha) -> String {
        let t = &self.t;
        t.later(AFTER_THE_LEASE).await;
        t.app().engine.sweep_forgotten().await.expect("no trouble");
        assert!(t.pods.placed().is_empty(), "nothing is left of any pod");
        assert_eq!(t.pods.most_placed(), 1, "no attempt was placed twice");
        let checks: String = t
            .checks(sha)
            .lines()
            .filter_map(|line| line.split_once(':'))
            .fold(String::new(), |all, (state, _)| all + state + "\n");
        [t.deliveries().await, t.runs().await, t.attempts().await, t.logs().await, checks].concat()
    }
}

/// A future that is dropped after so many polls.
struct CutShort<F>(F, usize);

impl<F: Future + Unpin> Future for CutShort<F> {
    type Output = Option<F::Output>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.1 == 0 {
            return Poll::Ready(None);
        }
        self.1 -= 1;
        pin!(&mut self.0).poll(context).map(Some)
    }
}

#[tokio::test]
async fn the_walk_ends_the_same_wherever_the_plug_is_pulled() {
    let walk = Walk::new(Plug::Never).await;
    let end = walk.whole().await;
    assert_snapshot!(end, @r"
    push: started 1
    #1 push success
    build/build 1: success (37 bytes) success (12 bytes)
    ship/ship 1: success (0 bytes)
    compiling…
    half a line and its end
    all is well
    success containerops/ci/push
    success containerops/ci/push/build/build
    success containerops/ci/push/ship/ship
    ");
    let each = Walk::new(Plug::AfterEach).await;
    assert_eq!(each.whole().await, end, "after each step");
    for step in 0..walk.steps.get() {
        assert_eq!(Walk::new(Plug::After(step)).await.whole().await, end, "after step {step}");
    }
}

#[tokio::test]
async fn the_walk_ends_the_same_though_every_step_is_cut_short() {
    let end = Walk::new(Plug::Never).await.whole().await;
    for polls in [1, 2, 3, 5, 8, 13, 21, 34] {
        assert_eq!(Walk::new(Plug::Within(polls)).await.whole().await, end, "after {polls} polls");
    }
}

#[tokio::test]
async fn what_was_done_outside_and_not_written_down_is_not_done_twice() {
    let end = Walk::new(Plug::Never).await.whole().await;
    let walk = Walk::new(Plug::AfterEach).await;
    walk.t.pods.fail_next(Fault::LostAnswer);
    let sha = walk.t.commit("main", FLOW);
    walk.deliver().await;
    for tick in [INTAKE, SOURCES, DRIVE] {
        walk.tick(tick).await;
    }
    walk.t.later(AFTER_THE_LEASE).await;
    walk.t.github.cut_next();
    walk.compile().await;
    walk.tick(TELL).await;
    walk.check().await;
    walk.t.later(AFTER_THE_LEASE).await;
    walk.t.run_the_job("ship", 0).await;
    assert_eq!(walk.end(&sha).await, end);
}

#[tokio::test]
async fn a_replay_ends_the_same_wherever_the_plug_is_pulled() {
    let (end, steps) = Walk::replayed(Plug::Never).await;
    assert_snapshot!(end, @r"
    push: started 1
    push: started 1
    #1 push success
    #2 push success
    build/build 1: success (37 bytes) success (12 bytes)
    ship/ship 1: success (0 bytes)
    compiling…
    half a line and its end
    all is well
    success containerops/ci/push
    success containerops/ci/push/build/build
    success containerops/ci/push/ship/ship
    ");
    assert_eq!(Walk::replayed(Plug::AfterEach).await.0, end, "after each step");
    // the rest of the steps are those of any walk
    for step in 0..steps.min(7) {
        assert_eq!(Walk::replayed(Plug::After(step)).await.0, end, "after step {step}");
    }
    for polls in [1, 2, 3, 5, 13] {
        assert_eq!(Walk::replayed(Plug::Within(polls)).await.0, end, "after {polls} polls");
    }
}
