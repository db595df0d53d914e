//! The loops: each asks the database what is due, does it, and asks again.

use std::{
    collections::HashSet,
    fmt::Display,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use anyhow::Result;
use futures::{FutureExt as _, future::BoxFuture};
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};

use super::{App, GRACE, Part};
use crate::{
    engine::{
        Engine, EngineError,
        drive::{Driven, Resting},
    },
    model::ActionId,
    notify::AT_ONCE,
    store::{Change, StoreError},
};

/// A loop looks at the database at least this often, whatever it was not told.
const LOOK: Duration = Duration::from_secs(1);
/// Looks for what is to be driven or told are at least so far apart, and so are those of a round: one look serves a crowd of
/// changes.
const TOGETHER: Duration = Duration::from_millis(10);
/// Time limits are whole seconds: looking more often would change nothing.
const SETTLE: Duration = Duration::from_secs(5);
/// What is forgotten has time.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// What lies on the disk has more time.
const TIDY: Duration = Duration::from_secs(600);
/// What webhooks did not bring is late already; each place has its own interval.
const RECOVER: Duration = Duration::from_secs(30);
/// A round may fetch a large repository, or wait for a forge; after so long it is stuck.
const STUCK: Duration = Duration::from_secs(30 * 60);
/// The same of a loop that waits for nobody but the database.
const QUICK: Duration = Duration::from_secs(2 * 60);
/// After trouble with the database a loop waits this long, so that a full disk does not fill the log.
const TROUBLE: Duration = Duration::from_secs(2);

impl App {
    /// Starts all of them; they end when `stopped` says so.
    pub(super) fn start_loops(&self, stopped: &watch::Receiver<bool>) -> JoinSet<()> {
        let mut loops = JoinSet::new();
        for round in ROUNDS.into_iter().filter(|round| self.does.has(round.part)) {
            loops.spawn(keep_going(round, self.clone(), stopped.clone()));
        }
        if self.does.has(Part::Report) {
            loops.spawn(keep_telling(self.clone(), stopped.clone()));
            loops.spawn(keep_notifying(self.clone(), stopped.clone()));
        }
        if !self.does.has(Part::Engine) {
            return loops;
        }
        loops.spawn(keep_driving(self.engine.clone(), stopped.clone()));
        let (app, mut stopped) = (self.clone(), stopped.clone());
        loops.spawn(async move {
            tokio::select! {
                () = app.engine.hear_executor() => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        });
        loops
    }
}

/// Whose a round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Each server's.
    Each,
    /// One server's for all of them: what it does would else be done by each.
    One,
}

/// Something that is done again and again.
struct Round {
    /// For log lines, and as a duty.
    name: &'static str,
    whose: Whose,
    part: Part,
    /// How long to wait when there was nothing to do.
    pause: Duration,
    /// Which changes end the wait early.
    wakes: fn(Change) -> bool,
    /// Does what is due, and says how much that was.
    tick: fn(App) -> BoxFuture<'static, Result<usize>>,
}

/// All but driving and telling, where each action and each call goes at its own pace.
const ROUNDS: [Round; 12] = [
    Round {
        name: "traces",
        whose: Whose::One,
        part: Part::Report,
        pause: LOOK,
        wakes: |change| matches!(change, Change::Run(_)),
        tick: |app| async move { Ok(app.engine.send_traces().await?) }.boxed(),
    },
    Round {
        name: "intake",
        whose: Whose::One,
        part: Part::Engine,
        pause: LOOK,
        wakes: |change| change == Change::Delivery,
        tick: |app| async move { Ok(app.engine.intake().await?) }.boxed(),
    },
    Round {
        name: "comments",
        whose: Whose::One,
        part: Part::Report,
        pause: LOOK,
        wakes: |change| change == Change::Delivery,
        tick: |app| async move { Ok(app.engine.reply_to_comments().await?) }.boxed(),
    },
    Round {
        name: "schedules",
        whose: Whose::One,
        part: Part::Engine,
        pause: LOOK,
        wakes: |_| false,
        tick: |app| async move { Ok(app.engine.start_scheduled().await?) }.boxed(),
    },
    Round {
        name: "recover",
        whose: Whose::One,
        part: Part::Engine,
        pause: RECOVER,
        wakes: |_| false,
        // its pace is what a forge's limits allow, whatever there is to do
        tick: |app| async move { Ok(app.engine.recover().await.map(|_| 0)?) }.boxed(),
    },
    Round {
        name: "sources",
        whose: Whose::One,
        part: Part::Engine,
        pause: LOOK,
        wakes: |change| matches!(change, Change::Run(_)),
        tick: |app| async move { Ok(app.engine.make_sources().await?) }.boxed(),
    },
    Round {
        name: "sweep",
        whose: Whose::One,
        part: Part::Engine,
        pause: LOOK,
        wakes: |change| matches!(change, Change::Attempt(_)),
        tick: |app| async move { Ok(app.engine.sweep().await?) }.boxed(),
    },
    Round {
        name: "seal",
        whose: Whose::One,
        part: Part::Engine,
        pause: LOOK,
        wakes: |change| matches!(change, Change::Attempt(_)),
        tick: |app| async move { Ok(app.engine.seal_logs().await?) }.boxed(),
    },
    Round {
        name: "contact",
        whose: Whose::Each,
        // whoever answers agents has heard them
        part: Part::Web,
        pause: SETTLE,
        wakes: |_| false,
        tick: |app| async move { Ok(app.engine.keep_contact().await.map(|_| 0)?) }.boxed(),
    },
    Round {
        name: "settle",
        whose: Whose::One,
        part: Part::Engine,
        pause: SETTLE,
        wakes: |_| false,
        tick: |app| async move { Ok(app.engine.settle_overdue().await.map(|()| 0)?) }.boxed(),
    },
    Round {
        name: "forgotten",
        whose: Whose::One,
        part: Part::Engine,
        pause: FORGOTTEN,
        wakes: |_| false,
        tick: |app| async move { Ok(app.engine.sweep_forgotten().await?) }.boxed(),
    },
    Round {
        name: "janitor",
        whose: Whose::One,
        part: Part::Engine,
        pause: TIDY,
        wakes: |_| false,
        tick: |app| async move { Ok(app.engine.tidy().await.map(|()| 0)?) }.boxed(),
    },
];

/// Repeats a round: at once while there is something to do, else when a change wakes it or the pause is over.
async fn keep_going(round: Round, app: App, mut stopped: watch::Receiver<bool>) {
    let mut bell = app.engine.store.bell().listen();
    let meters = app.engine.store.meters();
    let beat = meters.pulse().begins(round.name, STUCK);
    let mut looked: Option<Instant> = None;
    while !*stopped.borrow() {
        beat.beats();
        apart(looked).await;
        looked = Some(Instant::now());
        let ticked = tokio::select! {
            // a round that panics is begun again, like one that fails
            ticked = AssertUnwindSafe(done(&round, &app)).catch_unwind() => ticked,
            // what takes longer than a stop may is begun again at the next start: it may be cut off anywhere
            () = over(stopped.clone()) => break,
        };
        meters.round(round.name, outcome(&ticked));
        let pause = match ticked {
            Ok(Ok(0)) => round.pause,
            Ok(Ok(_)) => continue,
            Ok(Err(error)) if is_late(&error) => {
                tracing::debug!(loop.name = round.name, %error, "somebody else was faster");
                LOOK
            }
            Ok(Err(error)) => {
                tracing::error!(loop.name = round.name, error = format!("{error:#}"), "round failed");
                TROUBLE
            }
            Err(_) => {
                tracing::error!(loop.name = round.name, "round panicked");
                TROUBLE
            }
        };
        tokio::select! {
            () = bell.wait(pause, round.wakes) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }
}

/// How much there was to do, as far as it is this server's.
async fn done(round: &Round, app: &App) -> Result<usize> {
    let tick = (round.tick)(app.clone());
    match round.whose {
        Whose::Each => tick.await,
        Whose::One => app.engine.store.on_duty(round.name, tick).await?.unwrap_or(Ok(0)),
    }
}

/// Whether another server has done meanwhile what was to be done.
fn is_late(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(EngineError::Store(StoreError::Rows { .. })))
}

/// Returns when a round that is under way has had its time since everything was told to stop.
async fn over(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
    tokio::time::sleep(GRACE).await;
}

fn outcome<E>(ticked: &Result<Result<usize>, E>) -> &'static str {
    match ticked {
        Ok(Ok(_)) => "well",
        Ok(Err(error)) if is_late(error) => "late",
        Ok(Err(_)) => "failed",
        Err(_) => "panicked",
    }
}

/// Waits until a look is far enough from the one before.
async fn apart(looked: Option<Instant>) {
    tokio::time::sleep(looked.map_or(Duration::ZERO, |at| TOGETHER.saturating_sub(at.elapsed()))).await;
}

/// Drives every action at its own pace: a registry that does not answer holds up no action but its own. At the end the
/// steps that were begun are taken to theirs, so that no lease stays behind.
///
/// Each step is a task of its own: one that has the database's writer must go on while this loop waits for it.
async fn keep_driving(engine: Engine, mut stopped: watch::Receiver<bool>) {
    let moved = |change| matches!(change, Change::Run(_) | Change::Attempt(_) | Change::Executor);
    let mut bell = engine.store.bell().listen();
    let (mut under_way, mut steps, mut resting) = (HashSet::new(), JoinSet::new(), Vec::new());
    let beat = engine.store.meters().pulse().begins("drive", QUICK);
    let mut looked: Option<Instant> = None;
    while !*stopped.borrow() {
        beat.beats();
        // steps end in lots, and one look serves all of a lot
        apart(looked).await;
        while let Some(ended) = steps.try_join_next() {
            has_stepped(ended, &mut under_way, &mut resting);
        }
        looked = Some(Instant::now());
        engine.store.meters().round("drive", "well");
        // those that are not written down are looked at again, no more
        if let Err(error) = engine.let_rest(&std::mem::take(&mut resting)).await {
            tracing::error!(loop.name = "drive", %error, "round failed");
        }
        let let_in = engine.let_in().await.unwrap_or_else(|error| {
            tracing::error!(loop.name = "drive", %error, "nobody was let in");
            0
        });
        let due = engine.actions_due(|id| !under_way.contains(&id)).await.unwrap_or_else(|error| {
            tracing::error!(loop.name = "drive", %error, "round failed");
            Vec::new()
        });
        for action in due {
            let (engine, id) = (engine.clone(), action.id);
            under_way.insert(id);
            steps.spawn(async move {
                // an action whose step panics is looked at again, and holds up no other
                let driven = AssertUnwindSafe(engine.drive_one(action)).catch_unwind().await;
                (id, driven.unwrap_or(Driven::Left))
            });
        }
        if let_in > 0 {
            // more may be let in, or told what they wait for
            continue;
        }
        loop {
            tokio::select! {
                Some(ended) = steps.join_next() => {
                    if has_stepped(ended, &mut under_way, &mut resting) {
                        break;
                    }
                }
                () = bell.wait(LOOK, moved) => break,
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
        }
    }
    // a step that is cut off is taken again, by whoever claims the action next: and that is not to wait for the lease
    if tokio::time::timeout(GRACE, async { while steps.join_next().await.is_some() {} }).await.is_err() {
        steps.shutdown().await;
    }
    if let Err(error) = engine.release_leases().await {
        tracing::warn!(%error, "leases were not given back, and end by themselves");
    }
}

/// A step is over. True: it was one, so that the next one may be due.
fn has_stepped(
    ended: Result<(ActionId, Driven), JoinError>,
    under_way: &mut HashSet<ActionId>,
    resting: &mut Vec<Resting>,
) -> bool {
    // no step panics: it is caught where it is taken
    let Ok((id, driven)) = ended else { return false };
    under_way.remove(&id);
    match driven {
        Driven::Stepped => true,
        Driven::Rests(action) => {
            resting.push(action);
            false
        }
        Driven::Left => false,
    }
}

/// A call is over, and what it was for is written down. What has ended keeps its memory until it is taken from its set.
fn has_ended<E: Display>(name: &'static str, done: Result<Result<(), E>, JoinError>) {
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(loop.name = name, %error, "round failed"),
        Err(error) => tracing::error!(loop.name = name, %error, "call failed"),
    }
}

/// Tells forges, each call at its own pace: a forge that does not answer holds up no other. Calls that are under way at
/// the end get a moment; what is not heard by then is asked for at the next start.
async fn keep_telling(app: App, mut stopped: watch::Receiver<bool>) {
    let mut bell = app.engine.store.bell().listen();
    let mut calls = JoinSet::new();
    let beat = app.engine.store.meters().pulse().begins("report", QUICK);
    let mut looked: Option<Instant> = None;
    while !*stopped.borrow() {
        beat.beats();
        // calls end in crowds, and one look serves all that have ended
        apart(looked).await;
        while let Some(done) = calls.try_join_next() {
            has_ended("report", done);
        }
        looked = Some(Instant::now());
        app.engine.store.meters().round("report", "well");
        match app.reporter.errands().await {
            Ok(errands) => {
                for errand in errands {
                    let reporter = app.reporter.clone();
                    // a task of its own: it must go on with the database's writer while this loop waits for it
                    calls.spawn(async move { reporter.run(errand).await });
                }
            }
            Err(error) => tracing::error!(loop.name = "report", %error, "round failed"),
        }
        tokio::select! {
            Some(done) = calls.join_next() => has_ended("report", done),
            () = bell.wait(LOOK, |change| change == Change::Report) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }
    let _ = tokio::time::timeout(GRACE, async { while calls.join_next().await.is_some() {} }).await;
}

/// Tells receivers, each at its own pace, and no more at once than is polite. A claim that is under way at the end comes
/// again by the same name.
async fn keep_notifying(app: App, mut stopped: watch::Receiver<bool>) {
    let mut bell = app.engine.store.bell().listen();
    let mut sending = JoinSet::new();
    let beat = app.engine.store.meters().pulse().begins("notify", QUICK);
    while !*stopped.borrow() {
        beat.beats();
        while let Some(done) = sending.try_join_next() {
            has_ended("notify", done);
        }
        app.engine.store.meters().round("notify", "well");
        match app.notifier.due(AT_ONCE.saturating_sub(sending.len())).await {
            Ok(due) => {
                for notice in due {
                    let notifier = app.notifier.clone();
                    sending.spawn(async move { notifier.send(&notice).await });
                }
            }
            Err(error) => tracing::error!(loop.name = "notify", %error, "round failed"),
        }
        tokio::select! {
            Some(done) = sending.join_next() => has_ended("notify", done),
            () = bell.wait(LOOK, |change| change == Change::Notice) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }
    let _ = tokio::time::timeout(GRACE, async { while sending.join_next().await.is_some() {} }).await;
}
