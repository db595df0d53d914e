//! Jobs of type `trigger`: another flow is started, and the job waits for its end.
//!
//! The start is a delivery of our own with the job's id for a name, put in by the transaction that says that the job
//! runs: so it is put in once, whoever dies, and the run that intake makes of it is found by it. What follows is looked
//! at as often as the action is, and written when there is something to say.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use super::{
    Engine, EngineError, Result,
    kubectl::log,
    settle::Place,
    start::{branch_of, put_in},
    tell::run_url,
};
use crate::{
    model::{
        AllowedTrigger, AttemptId, Conclusion, DeliveryId, DeliveryState, Event, EventKind, JobState, Repository,
        RepositoryName, Start, Time, Trigger, Trust, Verdict, Wait,
    },
    store::{ActionRow, JobRow, RunSummary, Tx},
};

/// What is to be done with a job of this type.
enum Look {
    /// Nothing: it waits.
    Rest,
    /// Its run is there, and its log should say so.
    Tell(String),
    /// It is over.
    End(Verdict, Vec<String>),
    /// It is over before its run could begin, which would wait for it.
    Blocked(String),
}

/// Why nothing can be started.
type Refusal = String;

impl Engine {
    /// Takes a step with a job of this type, whose turn it is.
    pub(super) async fn step_trigger(
        &self,
        action: &ActionRow,
        place: &Place,
        job: &JobRow,
        trigger: &Trigger,
    ) -> Result<()> {
        if job.state.0 == JobState::Waiting {
            return self.put_in_trigger(action, place, job, trigger).await;
        }
        match self.look_at_trigger(place, job, trigger).await? {
            Look::Rest => Ok(()),
            Look::Tell(line) => self.tell_of_trigger(action, job, line).await,
            Look::End(verdict, lines) => self.end_trigger(action, place, job, verdict, lines).await,
            Look::Blocked(message) => {
                let left = self.stop_trigger(action, job, "the run that it would have waited for", self.now()).await?;
                let verdict = Verdict::NotTriggered { message };
                let line = format!("{verdict}; {left}");
                self.end_trigger(action, place, job, verdict, vec![line]).await
            }
        }
    }

    /// Whether an attempt's job whose turn it is waits for a run, so that there is nothing to do.
    pub(super) async fn trigger_rests(&self, attempt: AttemptId) -> Result<bool> {
        let Some((job, _)) = self.podless_turn(attempt).await? else { return Ok(false) };
        let place = Place::of(&mut self.store.read().await?, attempt).await?;
        let Some(trigger) = self.job_plan(&place, &job)?.trigger.clone() else { return Ok(false) };
        let running = job.state.0 == JobState::Running;
        Ok(running && matches!(self.look_at_trigger(&place, &job, &trigger).await?, Look::Rest))
    }

    async fn put_in_trigger(&self, action: &ActionRow, place: &Place, job: &JobRow, trigger: &Trigger) -> Result<()> {
        let start = match self.start_of(place, job, trigger).await? {
            Ok(start) => start,
            Err(refusal) => {
                let verdict = Verdict::NotTriggered { message: format!("nothing was started: {refusal}") };
                let line = verdict.to_string();
                return self.end_trigger(action, place, job, verdict, vec![line]).await;
            }
        };
        let (now, branch) = (self.now(), branch_of(&start.kind).unwrap_or_default());
        let at = start.sha.as_ref().map_or_else(String::new, |sha| format!(" at {}", sha.short()));
        let line = format!("starting {} of {} on branch {branch}{at}", trigger.flow, start.repository);
        let forge = place.run.event.repository.forge;
        let mut tx = self.hold(action, now).await?;
        self.started(&mut tx, place, job, now).await?;
        log::append(&mut tx, job.id, &[line], now).await?;
        // no forge gives its deliveries such ids, so that none is taken for a twin of this one
        let delivery = put_in(&mut tx, forge, &start, &format!("trigger {}", job.id), now).await?;
        tx.insert_trigger(job.id, delivery).await?;
        Ok(tx.commit().await?)
    }

    /// What is to be started, or why it may not be.
    async fn start_of(&self, place: &Place, job: &JobRow, trigger: &Trigger) -> Result<Result<Start, Refusal>> {
        let (event, plan) = (&place.run.event.0, place.flow()?);
        let home = &event.repository;
        if let Err(refusal) = may(&self.settings.triggers, event, trigger) {
            return Ok(Err(refusal));
        }
        let mut tx = self.store.read().await?;
        let inputs = match self.inputs_of_trigger(&mut tx, place, job, trigger).await? {
            Ok(inputs) => inputs,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let target = match trigger.repository.as_ref().filter(|name| **name != home.name) {
            None => None,
            Some(name) => match tx.repository_named(home.forge, name).await? {
                Some(row) => Some(row.facts.0),
                None => return Ok(Err(format!("nothing has happened in {name} yet, so that nobody knows it"))),
            },
        };
        let (branch, sha) = at(trigger, event, target.as_ref());
        let chain = [event.kind.way(), vec![plan.uri.clone()]].concat();
        Ok(Ok(Start {
            repository: target.map_or_else(|| home.name.clone(), |facts| facts.name),
            kind: EventKind::Manual { branch, inputs, chain },
            sha: sha.then(|| place.run.sha.clone()),
            path: None,
            flow: Some(trigger.flow.clone()),
            by: event.actor.clone(),
        }))
    }

    /// What the file gives, and what earlier jobs have said.
    async fn inputs_of_trigger(
        &self,
        tx: &mut Tx,
        place: &Place,
        job: &JobRow,
        trigger: &Trigger,
    ) -> Result<Result<BTreeMap<String, String>, Refusal>> {
        let mut inputs = trigger.inputs.clone();
        for subscription in &self.job_plan(place, job)?.subscriptions {
            match self.value_of(tx, place, subscription).await? {
                Some(value) => drop(inputs.insert(subscription.variable.clone(), value)),
                None if subscription.optional => {}
                None => {
                    let from = &subscription.from;
                    return Ok(Err(format!("{} did not write {}, which it needs", from.job, from.key)));
                }
            }
        }
        Ok(Ok(inputs))
    }

    /// What became of the start so far. Reads only.
    async fn look_at_trigger(&self, place: &Place, job: &JobRow, trigger: &Trigger) -> Result<Look> {
        let mut tx = self.store.read().await?;
        let Some((delivery, state)) = start_of_job(&mut tx, job).await? else {
            return Err(EngineError::Broken(format!("job {} runs and has started nothing", job.id)));
        };
        let child = match state {
            DeliveryState::Nothing { reason } | DeliveryState::Unreadable { reason } => {
                return Ok(failed(format!("nothing was started: {reason}")));
            }
            DeliveryState::Pending => None,
            DeliveryState::Started { .. } | DeliveryState::Obeyed { .. } => {
                tx.runs_of_delivery(delivery).await?.into_iter().next()
            }
        };
        if let Some(look) = child.as_ref().and_then(|child| end_of(child, trigger.wait)) {
            return Ok(look);
        }
        if let Some(after) = self.overdue_trigger(place, job, trigger)? {
            let verdict = Verdict::TimedOut { after };
            let line = format!("{verdict}; what was started goes on");
            return Ok(Look::End(verdict, vec![line]));
        }
        let Some(child) = child else { return Ok(Look::Rest) };
        if let Some(words) = blocked(&mut tx, place, &child).await? {
            return Ok(Look::Blocked(words));
        }
        let said =
            tx.podless(place.attempt.id).await?.iter().any(|row| row.job_id == job.id && !row.progress.is_empty());
        let url = url_of(self, &mut tx, &child).await?;
        Ok(if said { Look::Rest } else { Look::Tell(format!("waiting for {}: {url}", name_of(&child))) })
    }

    /// The limit that it is over.
    fn overdue_trigger(&self, place: &Place, job: &JobRow, trigger: &Trigger) -> Result<Option<Duration>> {
        let limit = place.timeout(self, job.place)?;
        let limit = if let Wait::Within(span) = trigger.wait { limit.min(span) } else { limit };
        let over = |started: Time| self.now().since(started) > limit;
        Ok(job.started.is_some_and(over).then_some(limit))
    }

    async fn tell_of_trigger(&self, action: &ActionRow, job: &JobRow, line: String) -> Result<()> {
        let now = self.now();
        let mut tx = self.hold(action, now).await?;
        log::append(&mut tx, job.id, &[line], now).await?;
        tx.podless_progress(job.id, "told").await?;
        Ok(tx.commit().await?)
    }

    async fn end_trigger(
        &self,
        action: &ActionRow,
        place: &Place,
        job: &JobRow,
        verdict: Verdict,
        lines: Vec<String>,
    ) -> Result<()> {
        let now = self.now();
        let record = log::record(self, job.id, &lines, &verdict, now).await?;
        let mut tx = self.hold(action, now).await?;
        self.started(&mut tx, place, job, now).await?;
        log::append(&mut tx, job.id, &lines, now).await?;
        tx.keep_record(job.id, &record).await?;
        let job = tx.job(job.id).await?.ok_or_else(|| EngineError::Broken(format!("job {} vanished", job.id)))?;
        self.end_job(&mut tx, &job, verdict, now).await?;
        Ok(tx.commit().await?)
    }

    /// Stops what a job has started, whose own run was stopped by somebody. What became of it, in words.
    pub(super) async fn stop_trigger(&self, action: &ActionRow, job: &JobRow, by: &str, now: Time) -> Result<String> {
        let nothing = || "nothing was started".to_owned();
        let mut tx = self.hold(action, now).await?;
        let Some((delivery, state)) = start_of_job(&mut tx, job).await? else { return Ok(nothing()) };
        if state == DeliveryState::Pending {
            let reason = "the job that wanted it was stopped".to_owned();
            tx.delivery_handled(delivery, &DeliveryState::Nothing { reason }).await?;
            tx.commit().await?;
            return Ok(nothing());
        }
        let Some(child) = tx.runs_of_delivery(delivery).await?.into_iter().next() else { return Ok(nothing()) };
        if tx.cancel_run(child.id, by).await? {
            self.settle(&mut tx, child.id, now).await?;
        }
        tx.commit().await?;
        Ok(format!("{} is stopped, too", name_of(&child)))
    }
}

/// Whether a run's jobs may start such a flow, or why not.
fn may(allowed: &[AllowedTrigger], event: &Event, trigger: &Trigger) -> Result<(), Refusal> {
    if let Trust::Untrusted(_) = event.trust {
        return Err("trigger jobs run for trusted events only".to_owned());
    }
    let home = &event.repository;
    let Some(to) = trigger.repository.as_ref().filter(|name| **name != home.name) else { return Ok(()) };
    let is_meant = |one: &AllowedTrigger| {
        one.from == home.name && one.to == *to && one.forge.is_none_or(|forge| forge == home.forge)
    };
    if allowed.iter().any(is_meant) {
        return Ok(());
    }
    let from: &RepositoryName = &home.name;
    Err(format!(
        "jobs of {from} may not start flows of {to}: the server's administrator can allow it, with {from}={to} in \
         CONTAINEROPS_TRIGGER_REPOSITORIES"
    ))
}

/// The branch, and whether it is at the run's own commit: without a branch in the file, where the run's own commit is on
/// one. A tag is on none that anybody knows.
fn at(trigger: &Trigger, event: &Event, target: Option<&Repository>) -> (String, bool) {
    match (&trigger.branch, target, branch_of(&event.kind)) {
        (Some(branch), _, _) => (branch.clone(), false),
        (None, Some(target), _) => (target.default_branch.clone(), false),
        (None, None, Some(branch)) => (branch.to_owned(), true),
        (None, None, None) => (event.repository.default_branch.clone(), false),
    }
}

async fn start_of_job(tx: &mut Tx, job: &JobRow) -> Result<Option<(DeliveryId, DeliveryState)>> {
    let Some(id) = tx.trigger(job.id).await? else { return Ok(None) };
    let missing = || EngineError::Broken(format!("delivery {id} vanished"));
    let delivery = tx.delivery(id).await?.ok_or_else(missing)?;
    Ok(Some((id, delivery.state.0)))
}

/// How a job ends by its run, if it does.
fn end_of(child: &RunSummary, wait: Wait) -> Option<Look> {
    let name = name_of(child);
    let reason = if child.reason.is_empty() { String::new() } else { format!(": {}", child.reason) };
    match (child.state.conclusion(), wait) {
        (_, Wait::No) => Some(Look::End(Verdict::success(), vec![format!("started {name}")])),
        (None, Wait::Yes | Wait::Within(_)) => None,
        (Some(end @ (Conclusion::Success | Conclusion::Warning)), _) => {
            Some(Look::End(Verdict::success(), vec![format!("{name}: {end}")]))
        }
        (Some(end), _) => Some(failed(format!("{name}: {end}{reason}"))),
    }
}

fn failed(message: String) -> Look {
    let verdict = Verdict::NotTriggered { message };
    let line = verdict.to_string();
    Look::End(verdict, vec![line])
}

/// Why a run can never start while this one waits for it: it waits in the group in which this one has its place.
async fn blocked(tx: &mut Tx, place: &Place, child: &RunSummary) -> Result<Option<String>> {
    let Some(child) = tx.run(child.id).await? else { return Ok(None) };
    let same = child.repository_id == place.run.repository_id && child.queue == place.run.queue;
    let limit = child.plan.0.as_ref().and_then(|plan| plan.concurrency.as_ref()?.limit).map_or(1, NonZeroU32::get);
    let words = || format!("{} #{} waits in the group that this run has its place in", child.flow, child.number);
    Ok((same && limit == 1 && child.is_held()).then(words))
}

fn name_of(child: &RunSummary) -> String {
    format!("{} #{} of {}", child.flow, child.number, child.name)
}

async fn url_of(engine: &Engine, tx: &mut Tx, child: &RunSummary) -> Result<String> {
    let missing = || EngineError::Broken(format!("run {} vanished", child.id));
    let run = tx.run(child.id).await?.ok_or_else(missing)?;
    Ok(run_url(&engine.settings.public_url, &run.event.repository, run.number))
}
