//! Brings a run up to date after anything in it changed: what may start is queued, what cannot any more is ended,
//! and the forge's reports are wanted. Always in the transaction of the change itself, so that no crash comes between.

use std::collections::BTreeMap;

use super::{
    Engine, EngineError, Move, Result, Seat, Seen, Stop, Tells, advance, notice,
    outcome::{cause_of, conclusion_of, conclusions, failure_before, given_up, reason_of},
    retry::again,
    service, tally, tell,
    turns::waiting,
    vetting::is_held_back,
};
use crate::{
    flow::{self, Before},
    model::{
        ActionPlan, ActionState, Answer, AttemptId, AttemptState, Conclusion, JobPlan, JobState, Output, Plan, RunId,
        RunState, Sequencing, Time, Verdict, Waiting,
    },
    store::{ActionRow, AttemptRow, Change, JobRow, RunRow, Tx},
};

impl Engine {
    /// Does all that is due in a run, and in those that waited for it. An ended run is left alone. In a lot that is done
    /// once, before its commit.
    pub(super) async fn settle(&self, tx: &mut Tx, id: RunId, now: Time) -> Result<()> {
        if tx.settles_later(id) {
            return Ok(());
        }
        self.settle_several(tx, vec![id], now).await
    }

    /// Lines up every group in which a run is held: what holds them is written together with its end, so that this
    /// finds nothing to do but after an upgrade that decides otherwise.
    pub(super) async fn settle_queues(&self, tx: &mut Tx, now: Time) -> Result<()> {
        for (repository, queue) in tx.queues(None).await? {
            let moved = self.line_up(tx, repository, &queue, now).await?;
            self.settle_several(tx, moved, now).await?;
        }
        Ok(())
    }

    pub(super) async fn settle_several(&self, tx: &mut Tx, mut due: Vec<RunId>, now: Time) -> Result<()> {
        while let Some(id) = due.pop() {
            let run = tx.run(id).await?.ok_or_else(|| EngineError::Broken(format!("there is no run {id}")))?;
            let was_open = run.state.conclusion().is_none();
            if was_open {
                due.extend(self.settle_open(tx, run, now).await?);
            }
            let story = tell::story(tx, id, &self.settings.public_url).await?;
            let masks = self.masks_of_run(tx, &story.run).await?;
            tell::want(tx, &story, &masks, now).await?;
            if let (Some(delivery), true) = (story.run.delivery_id, was_open && story.run.state.conclusion().is_some())
            {
                tx.hurry_trigger(delivery, now).await?;
            }
            if was_open && self.tracer.is_some() && story.run.state.conclusion().is_some() {
                tx.want_trace(id, now).await?;
            }
            if was_open && self.settings.tells != Tells::Nobody {
                notice::want(tx, &story, &masks, now).await?;
            }
        }
        Ok(())
    }

    /// Does what is due in an open run. The runs that are to be settled because of it.
    async fn settle_open(&self, tx: &mut Tx, mut run: RunRow, now: Time) -> Result<Vec<RunId>> {
        let mut moved = Vec::new();
        if run.cancelled_by.is_none() && is_held_back(tx, &run).await? {
            return Ok(moved);
        }
        if let (Some(queue), None) = (run.queue.clone(), run.turn) {
            self.take_turn(tx, &run, &queue).await?;
            moved = self.line_up(tx, run.repository_id, &queue, now).await?;
            moved.retain(|other| *other != run.id);
            run = tx.run(run.id).await?.ok_or_else(|| EngineError::Broken(format!("run {} vanished", run.id)))?;
        }
        if self.play(tx, &run, now).await? == Played::ToItsEnd
            && let Some(queue) = &run.queue
        {
            moved.extend(self.line_up(tx, run.repository_id, queue, now).await?);
        }
        Ok(moved)
    }

    async fn play(&self, tx: &mut Tx, run: &RunRow, now: Time) -> Result<Played> {
        let Some(plan) = &run.plan.0 else { return Ok(Played::On) };
        let stop = self.stop_of(run, plan, now);
        if run.is_held() && stop.is_none() {
            return Ok(Played::On);
        }
        let actions = tx.actions(run.id).await?;
        let mut played = Played::On;
        let pauses = self.pauses(tx, run, plan, now).await?;
        let outputs = asked_outputs(tx, run.id, plan).await?;
        for step in advance(&Seen { plan, actions: seats(&actions), pauses, stop, outputs: &outputs }) {
            if matches!(step, Move::EndRun(..)) {
                played = Played::ToItsEnd;
            }
            make(tx, run, step, now).await?;
        }
        if played == Played::On {
            self.note_pause(tx, run, now).await?;
        }
        if played == Played::On && run.state.0 == RunState::Queued {
            let words = waiting(tx, run).await?.filter(Waiting::is_trouble).map(|waiting| waiting.to_string());
            tx.set_run_reason(run.id, &words.unwrap_or_default()).await?;
        }
        Ok(played)
    }

    fn stop_of<'a>(&self, run: &'a RunRow, plan: &Plan, now: Time) -> Option<Stop<'a>> {
        if let Some(number) = run.superseded_by {
            return Some(Stop::Superseded(number));
        }
        if let Some(by) = &run.cancelled_by {
            return Some(Stop::Cancelled(by));
        }
        let limit = plan.timeout.unwrap_or(self.settings.run_timeout).min(self.settings.run_timeout);
        // what people take to answer is nobody's time
        let own = |started: Time| now.since(started).saturating_sub(run.paused_for(now));
        run.started.filter(|started| own(*started) > limit).map(|_| Stop::Overdue)
    }

    /// Ends one job, and whatever ends with it: jobs after a failed one, the attempt, the action.
    pub(super) async fn end_job(&self, tx: &mut Tx, job: &JobRow, verdict: Verdict, now: Time) -> Result<()> {
        let place = Place::of(tx, job.attempt_id).await?;
        self.end_job_of(tx, &place, job, verdict, now).await
    }

    /// The same, where what is above the job is known.
    pub(super) async fn end_job_of(
        &self,
        tx: &mut Tx,
        place: &Place,
        job: &JobRow,
        verdict: Verdict,
        now: Time,
    ) -> Result<()> {
        if !matches!(verdict, Verdict::Success { .. } | Verdict::Skipped { .. }) {
            let tail = super::tail::of(tx, job).await?;
            tx.keep_tail(job.id, &tail).await?;
        }
        tally::count(tx, place, job, &verdict, now);
        tally::use_time(tx, place, job, now);
        tx.set_job_state(job.id, &JobState::Ended(verdict), now).await?;
        self.settle_attempt(tx, place, now).await
    }

    /// Ends every job of an attempt that has not ended, by the same evidence for each.
    pub(super) async fn end_attempt(
        &self,
        tx: &mut Tx,
        attempt: AttemptId,
        evidence: impl Fn(&JobRow) -> Option<Verdict>,
        now: Time,
    ) -> Result<()> {
        // the end of one job may end others: each time the rows are asked anew
        loop {
            let open = |job: &JobRow| job.state.verdict().is_none();
            let jobs = tx.jobs(attempt).await?;
            let next = jobs.iter().filter(|job| open(job)).find_map(|job| Some((job, evidence(job)?)));
            let Some((job, verdict)) = next else { return Ok(()) };
            self.end_job(tx, job, verdict, now).await?;
        }
    }

    /// What follows from the ends of an attempt's jobs.
    async fn settle_attempt(&self, tx: &mut Tx, place: &Place, now: Time) -> Result<()> {
        let id = place.attempt.id;
        let jobs = tx.jobs(id).await?;
        let ends = skip_what_cannot_run(tx, place, jobs, now).await?;
        tx.ring(Change::Attempt(id));
        let Some(ends) = ends else {
            return self.settle(tx, place.run.id, now).await;
        };
        tx.set_attempt_state(id, &AttemptState::Ended, now).await?;
        self.end_or_retry(tx, place, &ends, now).await?;
        self.settle(tx, place.run.id, now).await
    }

    async fn end_or_retry(&self, tx: &mut Tx, place: &Place, ends: &[Verdict], now: Time) -> Result<()> {
        let plan = place.plan()?;
        let tries = place.attempt.number;
        let follows = again(plan, &attempts_of(tx, place, ends).await?).filter(|_| place.action.cancelled_by.is_none());
        if let Some(again) = follows {
            let due = if again.used == 0 { now } else { now.after(self.settings.patience.retry) };
            let reason = format!("{}; attempt {} of {} follows", cause_of(plan, ends, again), again.number, again.of);
            return Ok(tx.requeue_action(place.action.id, due, &reason, now).await?);
        }
        if conclusions(plan, ends).all(Conclusion::lets_go_on) {
            self.settle_caches(tx, place, now).await?;
        }
        let (conclusion, reason) = match (conclusion_of(plan, ends), &place.action.cancelled_by) {
            // it was to be stopped, and how it went down is no news
            (Conclusion::Error, Some(by)) => {
                let stopped = Verdict::stopped_by(by);
                (stopped.conclusion(), stopped.to_string())
            }
            (Conclusion::Error, None) if tries > 1 => (Conclusion::Error, given_up(tries, &reason_of(plan, ends))),
            (Conclusion::Failure | Conclusion::TimedOut, None) if tries > 1 => {
                (conclusion_of(plan, ends), format!("{} (attempt {tries} of {tries})", reason_of(plan, ends)))
            }
            (conclusion, _) => (conclusion, reason_of(plan, ends)),
        };
        Ok(tx.set_action_state(place.action.id, &ActionState::Ended(conclusion), &reason, now).await?)
    }
}

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Played {
    On,
    ToItsEnd,
}

/// An attempt, and everything above it.
pub(super) struct Place {
    pub(super) run: RunRow,
    pub(super) action: ActionRow,
    pub(super) attempt: AttemptRow,
}

impl Place {
    pub(super) async fn of(tx: &mut Tx, attempt: AttemptId) -> Result<Self> {
        let missing = |what: &str| EngineError::Broken(format!("attempt {attempt} has no {what}"));
        let attempt = tx.attempt(attempt).await?.ok_or_else(|| missing("row"))?;
        let action = tx.action(attempt.action_id).await?;
        let run = tx.run(action.run_id).await?.ok_or_else(|| missing("run"))?;
        Ok(Self { run, action, attempt })
    }

    pub(super) fn flow(&self) -> Result<&Plan> {
        let broken = || EngineError::Broken(format!("run {} has actions and no plan", self.run.id));
        self.run.plan.0.as_deref().ok_or_else(broken)
    }

    pub(super) fn plan(&self) -> Result<&ActionPlan> {
        let (stage, place) = places(&self.action);
        let broken = || EngineError::Broken(format!("action {} is not in its run's plan", self.action.id));
        self.flow()?.action(stage, place).ok_or_else(broken)
    }
}

impl Place {
    /// How what came before the attempt's action ended: the stages that it needs, and in a sequence the actions before.
    async fn before(&self, tx: &mut Tx) -> Result<Before> {
        let (plan, (own, place)) = (self.flow()?, places(&self.action));
        let mut needed = vec![false; plan.stages.len()];
        let mut next: Vec<usize> = plan.stages.get(own).map(|stage| stage.needs.clone()).unwrap_or_default();
        while let Some(stage) = next.pop() {
            if needed.get(stage) == Some(&false) {
                needed[stage] = true;
                next.extend(&plan.stages[stage].needs);
            }
        }
        let sequence = plan.stages.get(own).is_some_and(|stage| stage.sequencing == Sequencing::Sequence);
        let rows = tx.actions(self.run.id).await?;
        let failed = rows.iter().any(|row| {
            let (stage, at) = places(row);
            let is_before = needed.get(stage) == Some(&true) || (stage == own && sequence && at < place);
            let ended_badly = row.state.conclusion().is_some_and(|end| !end.lets_go_on());
            is_before && ended_badly
        });
        Ok(if failed { Before::Failure } else { Before::Success })
    }
}

/// An action's places in its plan.
pub(super) fn places(action: &ActionRow) -> (usize, usize) {
    (usize::try_from(action.stage).unwrap_or(usize::MAX), usize::try_from(action.place).unwrap_or(usize::MAX))
}

fn seats(actions: &[ActionRow]) -> Vec<Seat> {
    actions
        .iter()
        .map(|action| {
            let (stage, place) = places(action);
            let stopping = action.cancelled_by.is_some();
            let carried = action.carried_from.is_some();
            Seat { id: action.id, stage, place, state: action.state.0.clone(), stopping, carried }
        })
        .collect()
}

async fn make(tx: &mut Tx, run: &RunRow, step: Move, now: Time) -> Result<()> {
    match step {
        Move::Queue(id) => tx.requeue_action(id, now, "", now).await?,
        Move::End(id, conclusion, reason) => {
            tx.set_action_state(id, &ActionState::Ended(conclusion), &reason, now).await?;
        }
        Move::Stop(id, by) => {
            tx.cancel_action(id, &by).await?;
            if let Some(attempt) = tx.newest_attempt(id).await? {
                tx.ring(Change::Attempt(attempt.id));
            }
        }
        Move::Ask(stage) => {
            let approval = run.plan.0.as_ref().and_then(|plan| plan.stages.get(stage)?.approval.as_ref());
            let expires = approval.map_or(now, |approval| now.after(approval.expires));
            tx.ask_approval(run.id, stage, now, expires).await?;
        }
        Move::Expire(stage) => close(tx, run, stage, Answer::Expired, now).await?,
        Move::Withdraw(stage) => close(tx, run, stage, Answer::Withdrawn, now).await?,
        Move::EndRun(conclusion, reason) => {
            tx.set_run_state(run.id, &RunState::Ended(conclusion), &reason, now).await?;
            if matches!(conclusion, Conclusion::Success | Conclusion::Warning) {
                super::start::follow(tx, run, now).await?;
            }
        }
    }
    tx.ring(Change::Run(run.id));
    Ok(())
}

/// Ends a question that nobody has answered.
async fn close(tx: &mut Tx, run: &RunRow, stage: usize, answer: Answer, now: Time) -> Result<()> {
    tx.answer_approval(run.id, i64::try_from(stage).unwrap_or(i64::MAX), answer, "", "", now).await?;
    Ok(())
}

/// Skips the jobs after one that failed and may not, those whose services failed, and those whose conditions do not
/// hold; and services that no job needs any more. What the ends of all count for, once all have ended.
async fn skip_what_cannot_run(
    tx: &mut Tx,
    place: &Place,
    mut jobs: Vec<JobRow>,
    now: Time,
) -> Result<Option<Vec<Verdict>>> {
    let plan = place.plan()?;
    let stopping = place.action.cancelled_by.is_some();
    for (at, job) in plan.jobs.iter().enumerate() {
        let Some(row) = jobs.get(at) else { break };
        match &row.state.0 {
            JobState::Ended(_) => {}
            JobState::Waiting => {
                let failure = failure_before(plan, &jobs, at);
                let Some(reason) = why_not(tx, place, job, failure.as_ref(), stopping).await? else { return Ok(None) };
                let verdict = Verdict::Skipped { reason };
                tx.set_job_state(row.id, &JobState::Ended(verdict.clone()), now).await?;
                jobs[at].state.0 = JobState::Ended(verdict);
            }
            JobState::Running => return Ok(None),
        }
    }
    for row in jobs.iter_mut().filter(|row| row.is_service() && row.state.0 == JobState::Waiting) {
        let unneeded = || Verdict::Skipped { reason: "no job was left that needs it".to_owned() };
        let verdict = place.action.cancelled_by.as_deref().map_or_else(unneeded, Verdict::stopped_by);
        tx.set_job_state(row.id, &JobState::Ended(verdict.clone()), now).await?;
        row.state.0 = JobState::Ended(verdict);
    }
    // those that run are told to stop
    let ends: Vec<Verdict> = jobs.iter().filter_map(service::counted).collect();
    Ok((ends.len() == jobs.len()).then_some(ends))
}

/// Why a job does not run whose turn has come; `None`: it does.
async fn why_not(
    tx: &mut Tx,
    place: &Place,
    job: &JobPlan,
    failure: Option<&String>,
    stopping: bool,
) -> Result<Option<String>> {
    match (failure, &job.when) {
        // what is being stopped starts nothing, however it is asked
        (Some(reason), Some(when)) if stopping || !flow::asks_for_result(when) => Ok(Some(reason.clone())),
        (Some(reason), None) => Ok(Some(reason.clone())),
        (None, None) => Ok(None),
        (_, Some(when)) => {
            let before = if failure.is_some() { Before::Failure } else { place.before(tx).await? };
            let outputs = outputs_of(tx, place.run.id, place.flow()?, &when.outputs).await?;
            Ok((!flow::holds(when, before, &outputs)).then(|| when.to_string()))
        }
    }
}

/// Why a job whose turn has come is left out by its condition; `None`: it runs.
pub(super) async fn left_out(tx: &mut Tx, place: &Place, job: &JobRow) -> Result<Option<String>> {
    let at = usize::try_from(job.place).unwrap_or(usize::MAX);
    let Some(plan) = place.plan()?.jobs.get(at).filter(|plan| plan.when.is_some()) else { return Ok(None) };
    let plan = plan.clone();
    let rows = tx.jobs(place.attempt.id).await?;
    let failed = failure_before(place.plan()?, &rows, at);
    why_not(tx, place, &plan, failed.as_ref(), false).await
}

/// What was written of the outputs that the conditions of stages and actions ask for.
async fn asked_outputs(tx: &mut Tx, run: RunId, plan: &Plan) -> Result<BTreeMap<String, String>> {
    let of_actions = plan.stages.iter().flat_map(|stage| &stage.actions).filter_map(|action| action.when.as_ref());
    let whens = plan.stages.iter().filter_map(|stage| stage.when.as_ref()).chain(of_actions);
    let asked: Vec<Output> = whens.flat_map(|when| when.outputs.clone()).collect();
    outputs_of(tx, run, plan, &asked).await
}

async fn outputs_of(tx: &mut Tx, run: RunId, plan: &Plan, asked: &[Output]) -> Result<BTreeMap<String, String>> {
    let mut outputs = BTreeMap::new();
    for output in asked {
        let Some(places) = plan.find(&output.job) else { continue };
        if let Some(value) = tx.output_of(run, places, output).await? {
            outputs.insert(flow::output_name(output), value);
        }
    }
    Ok(outputs)
}

/// How all attempts at an action ended, first to last: the newest with these ends.
async fn attempts_of(tx: &mut Tx, place: &Place, newest: &[Verdict]) -> Result<Vec<Vec<Verdict>>> {
    let mut all = Vec::new();
    for attempt in tx.attempts(place.action.id).await?.iter().filter(|attempt| attempt.id != place.attempt.id) {
        let jobs = tx.jobs(attempt.id).await?;
        all.push(jobs.iter().filter_map(service::counted).collect());
    }
    all.push(newest.to_vec());
    Ok(all)
}
