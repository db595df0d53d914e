//! Drives actions: a queued one becomes an attempt on the executor, and is watched until its jobs have ended.
//!
//! Who drives holds a lease with a fencing number. Every step looks first and then does the one thing that is next, so
//! that a step that was cut short is simply taken again, by whoever claims the action then.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{FutureExt as _, future::join_all};
use tracing::{Instrument as _, field::Empty};

use super::{
    Engine, EngineError, Result,
    absent::runs_since_now,
    keys::KeyRing,
    pin::{Unpinned, merged},
    placement::PLACING,
    remains::news_of,
    settle::{Place, places},
};
use crate::{
    executor::{Changed, ExecutorError, Observation},
    model::{ActionId, ActionState, AttemptId, Infrastructure, JobId, Moments, Service, Time, Verdict},
    store::{ActionRow, AttemptRow, Attempted, Change, JobRow, NewJob, Pins, RunRow, SecretRow, Tx, Wanted},
};

/// A lease outlives the longest single step: a registry's and an executor's time limits together.
const LEASE: Duration = Duration::from_secs(60);
/// From one step to the next an action is left alone for this long, unless something hurries it or the step itself says
/// when: what waits must not be asked without pause.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// What goes its way is left alone for about this long, each for another span, so that a thousand are not looked at
/// together.
const REST: Duration = Duration::from_secs(10);
const REST_SPREAD_MS: u64 = 8192;
/// An executor that is away is asked again ever more seldom, by how long it has been asked: within these bounds.
const AWAY_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// Changes on the executor closer together than this are one.
const BURST: Duration = Duration::from_millis(50);
/// How many actions are looked at in one go.
const BATCH: i64 = 1000;

/// An action whose lease is ours, with what is above and below it.
struct Taken {
    action: ActionRow,
    attempt: Option<AttemptRow>,
    run: RunRow,
}

/// What a step has done with the lease on which it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lease {
    Held,
    GivenBack,
}

/// An attempt that is about to be.
struct Begun {
    action: ActionRow,
    attempt: AttemptId,
    executor: &'static str,
    jobs: Vec<NewJob>,
    podless: Vec<JobId>,
    pins: Pins,
}

impl Begun {
    /// Writes it down; the attempt with its jobs, and the run if that knows more of its images now.
    async fn write(&self, tx: &mut Tx, now: Time) -> Result<(AttemptRow, Vec<JobRow>, Option<RunRow>)> {
        let Self { action, attempt, executor, jobs, podless, pins } = self;
        tx.hold_lease(action.id, action.fence, now.after(LEASE)).await?;
        let mut pinned = None;
        if !pins.is_empty() {
            let all = merged(tx.run(action.run_id).await?, pins.clone());
            tx.set_pins(action.run_id, &all).await?;
            pinned = tx.run(action.run_id).await?;
        }
        let row = tx.insert_attempt(action.id, *attempt, executor, jobs, now).await?;
        for job in podless {
            tx.insert_podless(*attempt, *job).await?;
        }
        Ok((row, tx.jobs(*attempt).await?, pinned))
    }
}

/// An action that someone should take a step with.
#[derive(Debug)]
pub struct Due {
    /// Which.
    pub id: ActionId,
    /// How far it is, if it was attempted.
    attempted: Option<Box<Attempted>>,
}

/// What came of a look at an action.
#[derive(Debug, Clone)]
pub enum Driven {
    /// It was taken a step further.
    Stepped,
    /// It goes its way.
    Rests(Resting),
    /// Someone else drives it, or it could not be driven now.
    Left,
}

/// An action that goes its way.
#[derive(Debug, Clone)]
pub struct Resting {
    id: ActionId,
    /// When it was due, before the look.
    read: Time,
    /// What the look has told of its attempt, if that is new.
    news: Option<Box<News>>,
}

/// What is to be noted of an attempt that goes its way.
#[derive(Debug, Clone)]
struct News {
    attempt: AttemptId,
    moments: Option<Moments>,
    /// Its container runs: from now on its agent is waited for.
    runs: bool,
}

impl Driven {
    /// The action, if it can be left alone.
    pub fn rests(self) -> Option<Resting> {
        match self {
            Self::Rests(resting) => Some(resting),
            Self::Stepped | Self::Left => None,
        }
    }
}

impl Engine {
    /// Lets those start whose turn it is, and takes one step with every action that is due. How many had something to do.
    ///
    /// # Errors
    /// If the database is away; an action's own trouble is its own.
    pub async fn drive(&self) -> Result<usize> {
        let let_in = self.let_in().await?;
        let due = self.actions_due(|_| true).await?;
        let driven = join_all(due.into_iter().map(|due| self.drive_one(due))).await;
        let stepped = driven.iter().filter(|driven| matches!(driven, Driven::Stepped)).count();
        let resting: Vec<_> = driven.into_iter().filter_map(Driven::rests).collect();
        self.let_rest(&resting).await?;
        Ok(let_in + stepped)
    }

    /// The actions that someone should take a step with now, of those that are free. What the looks at them need is read
    /// for all together.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn actions_due(&self, is_free: impl Fn(ActionId) -> bool + Send) -> Result<Vec<Due>> {
        let mut tx = self.store.read().await?;
        let mut due = tx.due_actions(self.now(), BATCH).await?;
        due.retain(|due| is_free(due.id));
        let before: Vec<ActionId> = due.iter().filter(|due| due.attempts > 0).map(|due| due.id).collect();
        let attempted = tx.attempted(&before).await?;
        let mut attempted: BTreeMap<_, _> = attempted.into_iter().map(|each| (each.action.id, each)).collect();
        let due = due.into_iter().map(|due| Due { id: due.id, attempted: attempted.remove(&due.id).map(Box::new) });
        Ok(due.collect())
    }

    /// Takes one step with one action.
    pub async fn drive_one(&self, due: Due) -> Driven {
        let id = due.id;
        // whatever is logged meanwhile is about this action
        let span = tracing::info_span!("drive", action.id = %id, run.id = Empty, trace_id = Empty);
        match self.step(due).instrument(span).await {
            Ok(driven) => driven,
            Err(error) => {
                tracing::error!(action.id = %id, %error, "action not driven");
                Driven::Left
            }
        }
    }

    /// Leaves actions alone that go their way: a change on the executor, an agent's word or a person's wish hurries
    /// them, and all the same they are looked at several times a minute. What was seen of their moments is kept. One
    /// transaction serves them all.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn let_rest(&self, resting: &[Resting]) -> Result<()> {
        if resting.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let mut tx = self.store.write().await?;
        let until: Vec<_> = resting.iter().map(|each| (each.id, each.read, now.after(rest_of(each.id)))).collect();
        tx.rest_actions(&until).await?;
        let news: Vec<&News> = resting.iter().filter_map(|each| each.news.as_deref()).collect();
        tx.know_attempts(&news.iter().map(|news| news.attempt).collect::<Vec<_>>()).await?;
        for News { attempt, moments, runs } in news {
            if let Some(moments) = moments {
                tx.keep_moments(*attempt, moments).await?;
            }
            if *runs {
                tx.attempt_ran(*attempt, now).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// Stops the runs and ends the questions that are over their time, which passes without anybody's doing, and lines up the queues.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn settle_overdue(&self) -> Result<()> {
        let mut tx = self.store.read().await?;
        let mut overdue = tx.overdue_runs(self.now(), self.settings.run_timeout).await?;
        overdue.extend(tx.expired_approvals(self.now()).await?);
        drop(tx);
        for run in overdue {
            let mut tx = self.store.write().await?;
            self.settle(&mut tx, run, self.now()).await?;
            tx.commit().await?;
        }
        self.expire_vettings().await?;
        let mut tx = self.store.write().await?;
        self.settle_queues(&mut tx, self.now()).await?;
        self.follow_clock(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Nothing waits longer than it was to because the clock was set back.
    async fn follow_clock(&self, tx: &mut Tx) -> Result<()> {
        let now = self.now();
        if let Some(by) = tx.note_time(now).await? {
            tracing::warn!(seconds = by.as_secs(), "the clock was set back: what was to come is brought forward");
            tx.bring_forward(now, by).await?;
            tx.ring(Change::All);
        }
        Ok(())
    }

    /// Hurries whatever the executor sees change, for as long as it is polled; first of all everything, because nobody
    /// has watched before.
    pub async fn hear_executor(&self) {
        let mut changed = Changed::All;
        loop {
            if let Err(error) = self.hurry(&changed).await {
                tracing::error!(%error, "a change on the executor is not passed on: it is looked for later");
            }
            changed = self.executor.changed().await;
            // pods change in bursts: one look serves them all
            tokio::time::sleep(BURST).await;
        }
    }

    /// The driver of each changed attempt should look now.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn hurry(&self, changed: &Changed) -> Result<()> {
        let now = self.now();
        let mut tx = self.store.write().await?;
        match changed {
            Changed::All => tx.hurry_all(now).await?,
            Changed::Some(attempts) => tx.hurry_some(&attempts.iter().copied().collect::<Vec<_>>(), now).await?,
        }
        tx.ring(Change::Executor);
        Ok(tx.commit().await?)
    }

    /// Gives back every lease that a step held that was cut off. Nobody takes a step meanwhile.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn release_leases(&self) -> Result<()> {
        let held = self.leases.all();
        if held.is_empty() {
            return Ok(());
        }
        let mut tx = self.store.write().await?;
        for (id, fence) in &held {
            tx.release_action(*id, *fence).await?;
        }
        tx.commit().await?;
        held.into_iter().for_each(|(id, fence)| self.leases.gave(id, fence));
        Ok(())
    }

    async fn step(&self, due: Due) -> Result<Driven> {
        if let Some(attempted) = due.attempted
            && let Some(resting) = self.is_under_way(*attempted).await?
        {
            return Ok(Driven::Rests(resting));
        }
        let Some(taken) = self.take(due.id).await? else { return Ok(Driven::Left) };
        let (id, fence) = (taken.action.id, taken.action.fence);
        let span = tracing::Span::current();
        let run = taken.action.run_id;
        span.record("run.id", tracing::field::display(run)).record("trace_id", run.trace());
        // apart: a thousand actions are driven together, and few of them come here
        let stepped = Box::pin(self.next_step(taken)).await;
        if !matches!(stepped, Ok(Lease::GivenBack)) {
            self.in_lot(Wanted::Action(id), move |tx| {
                async move { tx.release_action(id, fence).await.map_err(EngineError::from) }.boxed()
            })
            .await?;
        }
        self.leases.gave(id, fence);
        stepped.map(|_| Driven::Stepped)
    }

    /// Takes the lease of an action; `None`: somebody else has it.
    async fn take(&self, id: ActionId) -> Result<Option<Taken>> {
        let (now, leases) = (self.now(), Arc::clone(&self.leases));
        self.in_lot(Wanted::Action(id), move |tx| {
            let leases = Arc::clone(&leases);
            async move {
                let claimed = tx.claim_action(id, now, now.after(LEASE), now.after(LOOK_AGAIN)).await?;
                let Some(action) = claimed else { return Ok(None) };
                // noted before it is committed: whoever asked may be cut off meanwhile
                leases.took(id, action.fence);
                let attempt = if action.attempts > 0 { tx.newest_attempt(id).await? } else { None };
                let run = tx.run(action.run_id).await?;
                let run = run.ok_or_else(|| EngineError::Broken(format!("action {id} has no run")))?;
                Ok(Some(Taken { action, attempt, run }))
            }
            .boxed()
        })
        .await
    }

    /// Whether an action goes its way and needs nobody: a look that writes nothing, for most looks find just that.
    /// Says when it was due, as it was read before the look. What cannot be observed is left alone, too.
    async fn is_under_way(&self, attempted: Attempted) -> Result<Option<Resting>> {
        let Attempted { action, attempt, jobs, has_podless } = attempted;
        let goes_on = attempt.state.0.is_under_way() && attempt.placed.is_some();
        if action.cancelled_by.is_some() || !goes_on {
            return Ok(None);
        }
        let rests = |news: Option<News>| Resting { id: action.id, read: action.due, news: news.map(Box::new) };
        if has_podless && self.podless_turn(attempt.id).await?.is_some() {
            return Ok(self.trigger_rests(attempt.id).await?.then(|| rests(None)));
        }
        let looked = self.executor.look(attempt.id).await;
        let moments = looked.as_ref().ok().and_then(|sight| news_of(&attempt, &sight.moments));
        let is_seen_to_run = matches!(&looked, Ok(sight) if matches!(sight.observation, Observation::Running | Observation::PartlyEnded { .. }));
        let runs = is_seen_to_run && runs_since_now(&attempt, &jobs);
        let needs_nobody = match looked.map(|sight| sight.observation) {
            Ok(Observation::Running) => self.agents_are_well(&action, &attempt, &jobs, &[]),
            Ok(Observation::PartlyEnded { containers }) => self.agents_are_well(&action, &attempt, &jobs, &containers),
            Ok(Observation::Waiting { message, hopeless: None }) => message.is_empty() || message == action.reason,
            Ok(Observation::Waiting { .. } | Observation::Absent | Observation::Ended { .. }) => false,
            Err(error) => {
                tracing::debug!(attempt.id = %attempt.id, %error, "attempt not observed");
                true
            }
        };
        let is_news = runs || moments.is_some();
        Ok(needs_nobody.then(|| rests(is_news.then_some(News { attempt: attempt.id, moments, runs }))))
    }

    async fn next_step(&self, Taken { action, attempt, run }: Taken) -> Result<Lease> {
        match attempt {
            Some(attempt) if attempt.state.0.is_under_way() => match attempt.placed {
                None if action.cancelled_by.is_none() => {
                    let jobs = self.store.read().await?.jobs(attempt.id).await?;
                    match self.key_ring(&run, plan_of(&action, &run)?).await? {
                        Ok(ring) => self.place(&action, &run, &attempt, &jobs, &ring).await,
                        Err(verdict) => self.end_so(&action, &attempt, verdict).await,
                    }
                }
                None | Some(_) => self.go_on_with(&action, &run, &attempt).await.map(|()| Lease::Held),
            },
            Some(earlier) if !self.is_gone(&earlier).await => Ok(Lease::Held),
            Some(_) | None => self.begin(&action, &run).await,
        }
    }

    /// Looks after an attempt that is placed: after its pod, if it has one, and whatever is done without.
    async fn go_on_with(&self, action: &ActionRow, run: &RunRow, attempt: &AttemptRow) -> Result<()> {
        if let Some(by) = &action.cancelled_by {
            self.tell_podless(action, attempt.id, by).await?;
        }
        let has_pod = plan_of(action, run)?.members().any(|job| !job.is_podless());
        if has_pod || action.cancelled_by.is_some() {
            self.watch(action, attempt).await?;
        }
        match action.cancelled_by {
            Some(_) => Ok(()),
            None => self.step_podless(action, attempt.id).await,
        }
    }

    /// Makes the next attempt, unless someone wants none.
    async fn begin(&self, action: &ActionRow, run: &RunRow) -> Result<Lease> {
        let now = self.now();
        if let Some(by) = &action.cancelled_by {
            let mut tx = self.store.write().await?;
            tx.hold_lease(action.id, action.fence, now).await?;
            let stopped = Verdict::stopped_by(by);
            let state = ActionState::Ended(stopped.conclusion());
            tx.set_action_state(action.id, &state, &stopped.to_string(), now).await?;
            self.settle(&mut tx, run.id, now).await?;
            tx.commit().await?;
            return Ok(Lease::Held);
        }
        if action.admitted.is_none() {
            return Ok(Lease::Held);
        }
        let plan = plan_of(action, run)?;
        let ring = match self.key_ring(run, plan).await? {
            Ok(ring) => ring,
            Err(verdict) => return self.end_unplaced(action, run, &verdict).await.map(|()| Lease::Held),
        };
        let pins = match self.pin_images(action, run, &ring.of(run, plan).0).await {
            Ok(pins) => pins,
            Err(Unpinned::Wait(reason)) => return self.say(action, &reason).await.map(|()| Lease::Held),
            Err(Unpinned::Never(verdict)) => {
                return self.end_unplaced(action, run, &verdict).await.map(|()| Lease::Held);
            }
        };
        let jobs = self.new_jobs(action, run, now)?;
        let podless = plan.jobs.iter().zip(&jobs).filter(|(plan, _)| plan.is_podless());
        let begun = Arc::new(Begun {
            action: action.clone(),
            attempt: AttemptId::mint(now),
            executor: self.executor.kind().as_str(),
            podless: podless.map(|(_, job)| job.id).collect(),
            jobs,
            pins,
        });
        let (attempt, jobs, pinned) = self
            .in_lot(Wanted::Action(action.id), move |tx| {
                let begun = Arc::clone(&begun);
                async move { begun.write(tx, now).await }.boxed()
            })
            .await?;
        self.place(action, pinned.as_ref().unwrap_or(run), &attempt, &jobs, &ring).await
    }

    pub(super) fn new_jobs(&self, action: &ActionRow, run: &RunRow, now: crate::model::Time) -> Result<Vec<NewJob>> {
        use secrecy::ExposeSecret as _;
        let plan = plan_of(action, run)?;
        let services = plan.services.iter().map(|service| i64::try_from(service.after).ok());
        let new = |service_after| {
            let id = JobId::mint(now);
            NewJob { id, token_hash: super::hash(self.key.job_token(id).expose_secret()), service_after }
        };
        Ok(std::iter::repeat_n(None, plan.jobs.len()).chain(services).map(new).collect())
    }

    /// Ends an action before it has an attempt to end.
    async fn end_unplaced(&self, action: &ActionRow, run: &RunRow, verdict: &Verdict) -> Result<()> {
        let now = self.now();
        let attempt = AttemptId::mint(now);
        let jobs = self.new_jobs(action, run, now)?;
        let mut tx = self.store.write().await?;
        tx.hold_lease(action.id, action.fence, now.after(LEASE)).await?;
        tx.insert_attempt(action.id, attempt, self.executor.kind().as_str(), &jobs, now).await?;
        self.end_attempt(&mut tx, attempt, |_| Some(verdict.clone()), now).await?;
        Ok(tx.commit().await?)
    }

    /// Asks the executor to place an attempt. Safe to repeat: its name is the attempt's id, its tokens are the same.
    async fn place(
        &self,
        action: &ActionRow,
        run: &RunRow,
        attempt: &AttemptRow,
        jobs: &[JobRow],
        ring: &KeyRing,
    ) -> Result<Lease> {
        let (keys, secret) = ring.of(run, plan_of(action, run)?);
        let tenant = self.tenant(run).await?;
        let placement = self.placement(action, run, attempt, jobs, tenant, keys)?;
        // without a container there is nothing to place
        let started = match placement.containers.is_empty() {
            true => Ok(()),
            false => self.executor.start(&placement).await,
        };
        match started {
            Ok(()) => self.placed(action, attempt.id, secret.cloned()).await.map(|()| Lease::GivenBack),
            Err(ExecutorError::NoRoom { message, .. })
                if self.now().since(attempt.created) > self.settings.patience.room =>
            {
                self.end_so(action, attempt, Verdict::Infrastructure { kind: Infrastructure::Quota, message }).await
            }
            Err(ExecutorError::Away { message, .. } | ExecutorError::NoRoom { message, .. }) => {
                self.say(action, &message).await?;
                let (now, (shortest, longest)) = (self.now(), AWAY_PAUSE);
                let pause = (now.since(attempt.created) / 4).clamp(shortest, longest);
                let mut tx = self.store.write().await?;
                tx.postpone_action(action.id, action.fence, now.after(pause)).await?;
                tx.commit().await?;
                Ok(Lease::Held)
            }
            Err(ExecutorError::Refused { message, .. }) => {
                self.end_so(action, attempt, Verdict::Refused { message }).await
            }
        }
    }

    /// Ends an attempt of which nothing runs.
    async fn end_so(&self, action: &ActionRow, attempt: &AttemptRow, verdict: Verdict) -> Result<Lease> {
        self.end_now(action, attempt, |_| Some(verdict.clone())).await.map(|()| Lease::Held)
    }

    /// An attempt is placed, which ends the step and its lease.
    async fn placed(&self, action: &ActionRow, attempt: AttemptId, used: Option<SecretRow>) -> Result<()> {
        let (id, run, fence, now) = (action.id, action.run_id, action.fence, self.now());
        let used = Arc::new(used);
        self.in_lot(Wanted::Action(id), move |tx| {
            let used = Arc::clone(&used);
            async move {
                tx.hold_lease(id, fence, Time::from_millis(0)).await?;
                tx.attempt_placed(attempt, now).await?;
                if let Some(secret) = used.as_ref() {
                    tx.secret_used(secret, now).await?;
                }
                tx.ring(Change::Run(run));
                Ok(())
            }
            .boxed()
        })
        .await
    }

    pub(super) async fn end_now(
        &self,
        action: &ActionRow,
        attempt: &AttemptRow,
        evidence: impl Fn(&JobRow) -> Option<Verdict>,
    ) -> Result<()> {
        let now = self.now();
        let mut tx = self.hold(action, now).await?;
        self.end_attempt(&mut tx, attempt.id, evidence, now).await?;
        Ok(tx.commit().await?)
    }

    /// A transaction that is nobody else's: it errs if the lease was lost.
    pub(super) async fn hold(&self, action: &ActionRow, now: Time) -> Result<Tx> {
        let mut tx = self.store.write().await?;
        tx.hold_lease(action.id, action.fence, now.after(LEASE)).await?;
        Ok(tx)
    }

    /// Says why an action waits: on its page, in its check.
    pub(super) async fn say(&self, action: &ActionRow, reason: &str) -> Result<()> {
        if action.reason == reason || reason.is_empty() {
            return Ok(());
        }
        self.put_reason(action, reason).await
    }

    /// The same, where nothing may be what there is to say.
    pub(super) async fn put_reason(&self, action: &ActionRow, reason: &str) -> Result<()> {
        let mut tx = self.hold(action, self.now()).await?;
        tx.set_action_reason(action, reason).await?;
        self.settle(&mut tx, action.run_id, self.now()).await?;
        Ok(tx.commit().await?)
    }
}

pub(super) fn plan_of<'a>(action: &ActionRow, run: &'a RunRow) -> Result<&'a crate::model::ActionPlan> {
    let (stage, place) = places(action);
    let found = run.plan.0.as_ref().and_then(|plan| plan.action(stage, place));
    found.ok_or_else(|| EngineError::Broken(format!("action {} is not in its run's plan", action.id)))
}

fn rest_of(id: ActionId) -> Duration {
    REST + Duration::from_millis(id.as_i64().unsigned_abs() % REST_SPREAD_MS)
}

impl Place {
    /// Whether the job at this place wants a `CO_RESULT` of itself.
    pub(super) fn is_strict(&self, place: i64) -> bool {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        self.plan().is_ok_and(|plan| plan.member(place).is_some_and(|job| job.strict))
    }

    /// The service at this place; `None`: it is a job's.
    pub(super) fn service(&self, place: i64) -> Result<Option<&Service>> {
        Ok(self.plan()?.service(usize::try_from(place).unwrap_or(usize::MAX)))
    }

    /// The limit of a job's time; a service has that of all jobs together.
    pub(super) fn timeout(&self, engine: &Engine, place: i64) -> Result<Duration> {
        if self.service(place)?.is_some() {
            return Ok(engine.time_for(self.plan()?) + PLACING);
        }
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let job = self.plan()?.jobs.get(place);
        let own = job.and_then(|job| job.timeout);
        Ok(own.unwrap_or(engine.settings.job_timeout).min(engine.settings.job_timeout))
    }
}
