//! What may happen next in a run: pure, so that it can be asked again after any crash and says the same.
//!
//! A stage opens when all that it needs has ended well or was left out; after a failure it is skipped, and so is
//! whatever needs it in turn: a stage that was skipped for a failure opens nothing. A condition (`when`) that does not hold leaves out what
//! it stands at, once its turn has come; one that asks for `result` is asked after a failure too, but what runs by it
//! opens nothing that the failure bars. In a stage of
//! `sequence` the next action is queued when the one before has ended; in a `parallel` one all are queued at once, and
//! with `fail-fast` the first failure stops the others.

use std::collections::BTreeMap;

use crate::{
    flow::{self, Before},
    model::{ActionId, ActionPlan, ActionState, Conclusion, Plan, RUN_TIME_LIMIT, Sequencing, StagePlan, When},
};

/// Why what had not started by then never will.
const OVERDUE: &str = "over the run's time limit";

/// A run, as far as its next moves depend on it.
#[derive(Debug)]
pub struct Seen<'a> {
    /// What it is to do.
    pub plan: &'a Plan,
    /// Its actions, in the plan's order.
    pub actions: Vec<Seat>,
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
    for (index, stage) in seen.plan.stages.iter().enumerate() {
        let gate = gate(stage, &stages, seen.outputs);
        match &gate {
            Gate::Closed => {}
            Gate::Open { bars } => board.play(index, stage, before_of(bars.as_ref())),
            Gate::Shut(reason) | Gate::Left { reason, .. } => board.skip_waiting(index, reason),
        }
        stages.push(board.end_of(index, stage, gate));
    }
    if let Some(all) = stages.into_iter().collect::<Option<Vec<_>>>() {
        board.end_run(all.iter().map(|end| end.conclusion), seen.stop);
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

    fn name<'p>(&self, stage: &'p StagePlan) -> &'p str {
        stage.actions.get(self.place).map_or("", |action| &action.name)
    }
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

    /// Lets an action start, or leaves it out by its condition. Whether it may start.
    fn begin(&mut self, seat: &Seat, plan: &StagePlan, before: Before) -> bool {
        let left = plan.actions.get(seat.place).and_then(|action| left_out(action, before, self.outputs));
        match left {
            Some(reason) => self.end(seat.id, Conclusion::Skipped, &reason),
            None => self.queue(seat.id),
        }
        self.seats.iter().any(|now| now.id == seat.id && now.state == ActionState::Queued)
    }

    fn play_parallel(&mut self, stage: usize, plan: &StagePlan, before: Before) {
        let seats = self.of_stage(stage);
        let failed = seats.iter().find(|seat| plan.fail_fast && seat.has_failed() && !seat.carried);
        let Some(failed) = failed else {
            for seat in seats.iter().filter(|seat| seat.state == ActionState::Waiting) {
                self.begin(seat, plan, before);
            }
            return;
        };
        let by = format!("fail-fast: action `{}` did not succeed", failed.name(plan));
        for seat in &seats {
            self.stop(seat.id, Conclusion::Cancelled, &by, &format!("cancelled by {by}"));
        }
    }

    fn play_sequence(&mut self, stage: usize, plan: &StagePlan, before: Before) {
        let seats = self.of_stage(stage);
        if let Some(failed) = seats.iter().find(|seat| plan.fail_fast && seat.has_failed()) {
            let reason = format!("action `{}` did not succeed", failed.name(plan));
            let behind = seats.iter().filter(|seat| seat.place > failed.place && seat.state == ActionState::Waiting);
            let barred = behind.filter(|seat| !asks_for_result(plan.actions.get(seat.place)));
            barred.for_each(|seat| self.end(seat.id, Conclusion::Skipped, &reason));
        }
        let seats = self.of_stage(stage);
        let under_way = |seat: &Seat| matches!(seat.state, ActionState::Queued | ActionState::Running);
        if seats.iter().any(under_way) {
            return;
        }
        for seat in seats.iter().filter(|seat| seat.state == ActionState::Waiting) {
            let failed = seats.iter().any(|other| other.place < seat.place && other.has_failed());
            if self.begin(seat, plan, if failed { Before::Failure } else { before }) {
                return;
            }
        }
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
        Some(StageEnd { conclusion, bars: own.or(bars) })
    }

    fn end_run(&mut self, stages: impl Iterator<Item = Conclusion>, stop: Option<Stop<'_>>) {
        let end = worst(stages);
        let (conclusion, reason) = match stop {
            // what was over before anybody's wish could reach it keeps its own end
            _ if end == Conclusion::Failure => (end, String::new()),
            Some(Stop::Cancelled(_) | Stop::Superseded(_)) if end != Conclusion::Cancelled => (end, String::new()),
            Some(Stop::Cancelled(by)) => (end, format!("cancelled by {by}")),
            Some(Stop::Superseded(number)) => (end, superseded(number)),
            Some(Stop::Overdue) => (Conclusion::TimedOut, OVERDUE.to_owned()),
            None => (end, String::new()),
        };
        self.moves.push(Move::EndRun(conclusion, reason));
    }
}
