//! What may happen next in a run: pure, so that it can be asked again after any crash and says the same.
//!
//! A stage opens when all that it needs has ended well or was left out; after a failure it is skipped, and so is
//! whatever needs it in turn: a stage that was skipped for a failure opens nothing. A condition (`when`) that does not hold leaves out what
//! it stands at, once its turn has come; one that asks for `result` is asked after a failure too, but what runs by it
//! opens nothing that the failure bars. In a stage of
//! `sequence` the next action is queued when the one before has ended, a matrix' cells as one; in a `parallel` one all are
//! queued at once. With `fail-fast` the first failure stops what runs beside it, and what would come after it is skipped.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    flow::{self, Before},
    model::{
        ActionId, ActionPlan, ActionState, Conclusion, Plan, RUN_TIME_LIMIT, Sequencing, StageKind, StagePlan, When,
    },
};

/// How a stage ends that nobody has answered in time.
const EXPIRED: &str = "approval expired";
/// Why what had not started by then never will.
const OVERDUE: &str = "over the run's time limit";

/// A run, as far as its next moves depend on it.
#[derive(Debug)]
pub struct Seen<'a> {
    /// What it is to do.
    pub plan: &'a Plan,
    /// Its actions, in the plan's order.
    pub actions: Vec<Seat>,
    /// Its stages that wait, or have waited, for a person.
    pub pauses: Vec<Pause>,
    /// Why all of it is to stop.
    pub stop: Option<Stop<'a>>,
    /// What was written of the outputs that conditions ask for.
    pub outputs: &'a BTreeMap<String, String>,
}

/// One action of a run.
#[derive(Debug, Clone)]
pub struct Seat {
    /// Which.
    pub id: ActionId,
    /// Its stage's place in the plan.
    pub stage: usize,
    /// Its own place in the stage.
    pub place: usize,
    /// How far it is.
    pub state: ActionState,
    /// Whether its attempt is already to be stopped.
    pub stopping: bool,
    /// Whether its end is an earlier run's: it stops nothing that is to run again beside it.
    pub carried: bool,
}

/// A stage that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Its place in the plan.
    pub stage: usize,
    /// How that stands.
    pub standing: Standing,
}

/// How a question to people stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It waits.
    Open,
    /// It waits, and it is too late for an answer.
    Late,
    /// What needs the stage may start.
    Approved,
    /// It may not: by whom, and why.
    Rejected(String),
    /// Nobody answered in time.
    Expired,
    /// The run was stopped meanwhile.
    Withdrawn,
}

/// Why a whole run stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop<'a> {
    /// Somebody's wish.
    Cancelled(&'a str),
    /// The newer run of this number takes its place.
    Superseded(i64),
    /// It is over its time.
    Overdue,
}

/// One thing that happens now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// The action may start.
    Queue(ActionId),
    /// The action ends without (another) attempt.
    End(ActionId, Conclusion, String),
    /// The action's attempt is to be stopped; it ends by itself then.
    Stop(ActionId, String),
    /// The stage at this place of the plan asks people from now on.
    Ask(usize),
    /// Nobody has answered that in time.
    Expire(usize),
    /// It need not be answered any more.
    Withdraw(usize),
    /// Nothing will start any more.
    EndRun(Conclusion, String),
}

/// All moves that are due, each once; none if the run waits for something.
pub fn advance(seen: &Seen<'_>) -> Vec<Move> {
    let mut board = Board { seats: seen.actions.clone(), moves: Vec::new(), outputs: seen.outputs };
    if let Some(stop) = seen.stop {
        board.stop_all(stop);
    }
    let mut stages: Vec<Option<StageEnd>> = Vec::with_capacity(seen.plan.stages.len());
    let mut asked: Vec<bool> = Vec::with_capacity(seen.plan.stages.len());
    for (index, stage) in seen.plan.stages.iter().enumerate() {
        let behind = stage.needs.iter().any(|&need| asked.get(need) == Some(&true));
        let gate = match gate(stage, &stages, seen.outputs) {
            Gate::Open { .. } | Gate::Closed if behind => Gate::Closed,
            gate @ (Gate::Open { .. } | Gate::Closed | Gate::Shut(_) | Gate::Left { .. }) => gate,
        };
        match &gate {
            Gate::Closed => {}
            Gate::Open { bars } => board.play(index, stage, before_of(bars.as_ref())),
            Gate::Shut(reason) | Gate::Left { reason, .. } => board.skip_waiting(index, reason),
        }
        // what was carried over has ended, and yet nothing behind it starts before people have said so
        let held = behind && matches!(gate, Gate::Closed);
        let asks = stage.kind == StageKind::Pause && matches!(gate, Gate::Open { .. });
        let end = match stage.kind {
            StageKind::Pause => board.end_of_pause(index, seen, gate),
            StageKind::Start | StageKind::Normal | StageKind::End => board.end_of(index, stage, gate),
        };
        asked.push(held || (asks && end.is_none()));
        stages.push(end.filter(|_| !held));
    }
    if let Some(all) = stages.into_iter().collect::<Option<Vec<_>>>() {
        board.end_run(&all, seen.stop);
    }
    board.moves
}

/// The worst of several ends; skipped only if all are.
pub fn worst(conclusions: impl IntoIterator<Item = Conclusion>) -> Conclusion {
    const fn weight(conclusion: Conclusion) -> u8 {
        match conclusion {
            Conclusion::Skipped => 0,
            Conclusion::Success => 1,
            Conclusion::Warning => 2,
            Conclusion::Cancelled => 3,
            Conclusion::Error => 4,
            Conclusion::TimedOut => 5,
            Conclusion::Failure => 6,
        }
    }
    conclusions.into_iter().max_by_key(|&conclusion| weight(conclusion)).unwrap_or(Conclusion::Success)
}

impl Seat {
    fn has_failed(&self) -> bool {
        self.state.conclusion().is_some_and(|end| !end.lets_go_on())
    }

    fn name(&self, stage: &StagePlan) -> String {
        stage.actions.get(self.place).map(ActionPlan::shown).unwrap_or_default()
    }
}

/// The end of a stage that waits for people, in a run that is stopped.
fn stopped(stop: Stop<'_>, name: &str) -> StageEnd {
    let conclusion = match stop {
        Stop::Cancelled(_) | Stop::Superseded(_) => Conclusion::Cancelled,
        Stop::Overdue => Conclusion::TimedOut,
    };
    StageEnd { conclusion, bars: Some(format!("stage `{name}` ended: {conclusion}")), words: None }
}

fn asks_for_result(action: Option<&ActionPlan>) -> bool {
    action.and_then(|action| action.when.as_ref()).is_some_and(flow::asks_for_result)
}

/// Why an action whose turn has come is left out: its own condition does not hold, or none of its jobs' will.
fn left_out(action: &ActionPlan, before: Before, outputs: &BTreeMap<String, String>) -> Option<String> {
    if let Some(when) = action.when.as_ref().filter(|when| !flow::holds(when, before, outputs)) {
        return Some(when.to_string());
    }
    let never = |when: &When| when.due.is_none();
    let all = !action.jobs.is_empty() && action.jobs.iter().all(|job| job.when.as_ref().is_some_and(never));
    let first = action.jobs.first().filter(|_| all)?;
    Some(first.when.as_ref().map_or_else(String::new, ToString::to_string))
}

fn superseded(by: i64) -> String {
    format!("superseded by run #{by}")
}

/// Whether a stage's actions may start.
enum Gate {
    /// Not yet.
    Closed,
    /// By its own wish in spite of what bars others.
    Open { bars: Option<String> },
    /// Never, because of a failure before it.
    Shut(String),
    /// Never, because its condition does not hold.
    Left { reason: String, bars: Option<String> },
}

/// How a stage ended.
struct StageEnd {
    conclusion: Conclusion,
    /// Why nothing that needs it may start: its own failure, or the one that it was skipped for.
    bars: Option<String>,
    /// What people said, or did not, if that is how it ended.
    words: Option<String>,
}

fn gate(stage: &StagePlan, before: &[Option<StageEnd>], outputs: &BTreeMap<String, String>) -> Gate {
    let needs = || stage.needs.iter().map(|&need| before.get(need).and_then(Option::as_ref));
    let bars = needs().flatten().find_map(|end| end.bars.clone());
    let asks = stage.when.as_ref().is_some_and(flow::asks_for_result);
    match (&stage.when, bars) {
        (_, Some(reason)) if !asks => Gate::Shut(reason),
        _ if needs().any(|end| end.is_none()) => Gate::Closed,
        (Some(when), bars) if !flow::holds(when, before_of(bars.as_ref()), outputs) => {
            Gate::Left { reason: when.to_string(), bars }
        }
        (_, bars) => Gate::Open { bars },
    }
}

fn before_of(bars: Option<&String>) -> Before {
    if bars.is_some() { Before::Failure } else { Before::Success }
}

struct Board<'b> {
    seats: Vec<Seat>,
    moves: Vec<Move>,
    outputs: &'b BTreeMap<String, String>,
}

impl Board<'_> {
    fn of_stage(&self, stage: usize) -> Vec<Seat> {
        self.seats.iter().filter(|seat| seat.stage == stage).cloned().collect()
    }

    fn set(&mut self, id: ActionId, state: ActionState) {
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.id == id) {
            seat.state = state;
        }
    }

    fn end(&mut self, id: ActionId, conclusion: Conclusion, reason: &str) {
        self.set(id, ActionState::Ended(conclusion));
        self.moves.push(Move::End(id, conclusion, reason.to_owned()));
    }

    fn queue(&mut self, id: ActionId) {
        self.set(id, ActionState::Queued);
        self.moves.push(Move::Queue(id));
    }

    /// Ends what has not started, for this reason, and has stopped what has. A queued action may have an attempt that the cluster is about to
    /// start, so its driver stops it, too.
    fn stop(&mut self, id: ActionId, conclusion: Conclusion, by: &str, reason: &str) {
        let Some(seat) = self.seats.iter_mut().find(|seat| seat.id == id) else { return };
        match seat.state {
            ActionState::Waiting => self.end(id, conclusion, reason),
            ActionState::Queued | ActionState::Running if !seat.stopping => {
                seat.stopping = true;
                self.moves.push(Move::Stop(id, by.to_owned()));
            }
            ActionState::Queued | ActionState::Running | ActionState::Ended(_) => {}
        }
    }

    fn stop_all(&mut self, stop: Stop<'_>) {
        for seat in self.seats.clone() {
            match stop {
                Stop::Cancelled(by) => self.stop(seat.id, Conclusion::Cancelled, by, &format!("cancelled by {by}")),
                Stop::Superseded(number) => {
                    let by = format!("run #{number}, which supersedes it");
                    self.stop(seat.id, Conclusion::Cancelled, &by, &superseded(number));
                }
                Stop::Overdue => self.stop(seat.id, Conclusion::TimedOut, RUN_TIME_LIMIT, OVERDUE),
            }
        }
    }

    fn skip_waiting(&mut self, stage: usize, reason: &str) {
        for seat in self.of_stage(stage) {
            if seat.state == ActionState::Waiting {
                self.end(seat.id, Conclusion::Skipped, reason);
            }
        }
    }

    fn play(&mut self, stage: usize, plan: &StagePlan, before: Before) {
        match plan.sequencing {
            Sequencing::Parallel => self.play_parallel(stage, plan, before),
            Sequencing::Sequence => self.play_sequence(stage, plan, before),
        }
    }

    /// Lets an action start, or leaves it out by its condition.
    fn begin(&mut self, seat: &Seat, plan: &StagePlan, before: Before) {
        let left = plan.actions.get(seat.place).and_then(|action| left_out(action, before, self.outputs));
        match left {
            Some(reason) => self.end(seat.id, Conclusion::Skipped, &reason),
            None => self.queue(seat.id),
        }
    }

    fn play_parallel(&mut self, stage: usize, plan: &StagePlan, before: Before) {
        let seats = self.of_stage(stage);
        let failed = seats.iter().find(|seat| plan.fail_fast && seat.has_failed() && !seat.carried);
        match failed {
            Some(failed) => self.stop_beside(failed, &seats, plan),
            None => self.begin_waiting(&seats, plan, before),
        }
    }

    /// In a sequence, too, the cells of a matrix run all at once.
    fn play_sequence(&mut self, stage: usize, plan: &StagePlan, before: Before) {
        let seats = self.of_stage(stage);
        let step = |seat: &Seat| plan.step_of(seat.place);
        if let Some(failed) = seats.iter().find(|seat| plan.fail_fast && seat.has_failed()) {
            let fresh = seats.iter().find(|seat| seat.has_failed() && !seat.carried && step(seat) == step(failed));
            let beside: Vec<Seat> = seats.iter().filter(|seat| step(seat) == step(failed)).cloned().collect();
            if let Some(fresh) = fresh {
                self.stop_beside(fresh, &beside, plan);
            }
            let reason = format!("action `{}` did not succeed", failed.name(plan));
            let behind = seats.iter().filter(|seat| step(seat) > step(failed) && seat.state == ActionState::Waiting);
            let barred = behind.filter(|seat| !asks_for_result(plan.actions.get(seat.place)));
            barred.for_each(|seat| self.end(seat.id, Conclusion::Skipped, &reason));
        }
        // a step of which all is left out makes way for the next
        loop {
            let seats = self.of_stage(stage);
            let Some(next) = seats.iter().find(|seat| seat.state.conclusion().is_none()).map(step) else { return };
            if seats.iter().any(|seat| step(seat) == next && seat.state == ActionState::Waiting) {
                let failed = seats.iter().any(|seat| step(seat) < next && seat.has_failed());
                let due: Vec<Seat> = seats.into_iter().filter(|seat| step(seat) == next).collect();
                self.begin_waiting(&due, plan, if failed { Before::Failure } else { before });
            } else {
                return;
            }
        }
    }

    /// `fail-fast`: what runs at once with one that failed is stopped, and told because of whom.
    fn stop_beside(&mut self, failed: &Seat, seats: &[Seat], plan: &StagePlan) {
        let by = format!("fail-fast: action `{}` did not succeed", failed.name(plan));
        for seat in seats {
            self.stop(seat.id, Conclusion::Cancelled, &by, &format!("cancelled by {by}"));
        }
    }

    fn begin_waiting(&mut self, seats: &[Seat], plan: &StagePlan, before: Before) {
        let waiting = seats.iter().filter(|seat| seat.state == ActionState::Waiting);
        waiting.for_each(|seat| self.begin(seat, plan, before));
    }

    /// How a stage ended, once all its actions have; one without actions ends when its gate is decided.
    fn end_of(&self, index: usize, stage: &StagePlan, gate: Gate) -> Option<StageEnd> {
        let ends: Option<Vec<_>> = self.of_stage(index).iter().map(|seat| seat.state.conclusion()).collect();
        let ends = ends?;
        let (conclusion, bars) = match gate {
            Gate::Closed if ends.is_empty() => return None,
            Gate::Open { bars } if ends.is_empty() => (Conclusion::Success, bars),
            Gate::Shut(reason) if ends.is_empty() => (Conclusion::Skipped, Some(reason)),
            Gate::Left { bars, .. } if ends.is_empty() => (Conclusion::Skipped, bars),
            Gate::Shut(reason) => (worst(ends), Some(reason)),
            Gate::Open { bars } | Gate::Left { bars, .. } => (worst(ends), bars),
            Gate::Closed => (worst(ends), None),
        };
        let own = (!conclusion.lets_go_on()).then(|| format!("stage `{}` ended: {conclusion}", stage.name));
        Some(StageEnd { conclusion, bars: own.or(bars), words: None })
    }

    /// How a stage ended that waits for people; `None` while it does.
    fn end_of_pause(&mut self, index: usize, seen: &Seen<'_>, gate: Gate) -> Option<StageEnd> {
        let plain = |conclusion, bars| Some(StageEnd { conclusion, bars, words: None });
        let standing = seen.pauses.iter().find(|pause| pause.stage == index).map(|pause| &pause.standing);
        let name = &seen.plan.stages.get(index)?.name;
        let ended = |conclusion, words: &str| {
            let bars = Some(format!("stage `{name}`: {words}"));
            Some(StageEnd { conclusion, bars, words: Some(words.to_owned()) })
        };
        match (standing, gate, seen.stop) {
            (Some(Standing::Approved), Gate::Open { bars } | Gate::Left { bars, .. }, _) => {
                plain(Conclusion::Success, bars)
            }
            (Some(Standing::Approved), Gate::Closed | Gate::Shut(_), _) => plain(Conclusion::Success, None),
            (Some(Standing::Rejected(words)), ..) => ended(Conclusion::Failure, words),
            (Some(Standing::Expired), ..) => ended(Conclusion::TimedOut, EXPIRED),
            (Some(Standing::Withdrawn), _, None) => ended(Conclusion::Cancelled, "withdrawn"),
            (Some(Standing::Late), _, None) => {
                self.moves.push(Move::Expire(index));
                ended(Conclusion::TimedOut, EXPIRED)
            }
            (Some(Standing::Open), _, None) => None,
            (Some(Standing::Open | Standing::Late), _, Some(stop)) => {
                self.moves.push(Move::Withdraw(index));
                Some(stopped(stop, name))
            }
            (Some(Standing::Withdrawn), _, Some(stop)) => Some(stopped(stop, name)),
            (None, Gate::Closed, _) => None,
            (None, Gate::Shut(reason), _) => plain(Conclusion::Skipped, Some(reason)),
            (None, Gate::Left { bars, .. }, _) => plain(Conclusion::Skipped, bars),
            (None, Gate::Open { .. }, Some(stop)) => Some(stopped(stop, name)),
            (None, Gate::Open { bars }, None) if self.holds_nothing(index, seen.plan) => {
                plain(Conclusion::Skipped, bars)
            }
            (None, Gate::Open { .. }, None) => {
                self.moves.push(Move::Ask(index));
                None
            }
        }
    }

    /// Whether all that needs a stage was done by an earlier run, which asked for itself.
    fn holds_nothing(&self, index: usize, plan: &Plan) -> bool {
        let mut held = BTreeSet::from([index]);
        for (at, stage) in plan.stages.iter().enumerate() {
            if stage.needs.iter().any(|need| held.contains(need)) {
                held.insert(at);
            }
        }
        let mut seats = self.seats.iter().filter(|seat| held.contains(&seat.stage)).peekable();
        seats.peek().is_some() && seats.all(|seat| seat.carried)
    }

    fn end_run(&mut self, stages: &[StageEnd], stop: Option<Stop<'_>>) {
        let end = worst(stages.iter().map(|stage| stage.conclusion));
        let said = stages.iter().find(|stage| stage.conclusion == end).and_then(|stage| stage.words.clone());
        let (conclusion, reason) = match stop {
            // what was over before anybody's wish could reach it keeps its own end
            _ if end == Conclusion::Failure => (end, said.unwrap_or_default()),
            Some(Stop::Cancelled(_) | Stop::Superseded(_)) if end != Conclusion::Cancelled => (end, String::new()),
            Some(Stop::Cancelled(by)) => (end, format!("cancelled by {by}")),
            Some(Stop::Superseded(number)) => (end, superseded(number)),
            Some(Stop::Overdue) => (Conclusion::TimedOut, OVERDUE.to_owned()),
            None => (end, said.unwrap_or_default()),
        };
        self.moves.push(Move::EndRun(conclusion, reason));
    }
}
