//! What may happen next in a run: pure, so that it can be asked again after any crash and says the same.
//!
//! A stage opens when all that it needs has ended well or was skipped; after a failure it is skipped. In a stage of
//! `sequence` the next action is queued when the one before has ended; in a `parallel` one all are queued at once, and
//! with `fail-fast` the first failure stops the others.

use crate::model::{ActionId, ActionState, Conclusion, Plan, Sequencing, StagePlan};

/// A run, as far as its next moves depend on it.
#[derive(Debug)]
pub struct Seen<'a> {
    /// What it is to do.
    pub plan: &'a Plan,
    /// Its actions, in the plan's order.
    pub actions: Vec<Seat>,
    /// Why all of it is to stop.
    pub stop: Option<Stop<'a>>,
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
}

/// Why a whole run stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop<'a> {
    /// Somebody's wish.
    Cancelled(&'a str),
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
    let mut board = Board { seats: seen.actions.clone(), moves: Vec::new() };
    if let Some(stop) = seen.stop {
        board.stop_all(stop);
    }
    let mut stages: Vec<Passage> = Vec::with_capacity(seen.plan.stages.len());
    for (index, stage) in seen.plan.stages.iter().enumerate() {
        let gate = gate(stage, &stages);
        match &gate {
            Passage::NotYet => {}
            Passage::Open(_) => board.play(index, stage),
            Passage::Shut(_, reason) => board.skip_waiting(index, reason),
        }
        stages.push(board.beyond(index, stage, gate));
    }
    if let Some(ends) = stages.iter().map(Passage::end).collect::<Option<Vec<_>>>() {
        board.end_run(&ends, seen.stop);
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

/// Whether what comes after a stage may start.
enum Passage {
    /// The stage has not ended.
    NotYet,
    /// It ended well, or was left out.
    Open(Conclusion),
    /// It failed, or was skipped because something before it did; the words name the first that failed.
    Shut(Conclusion, String),
}

impl Passage {
    const fn end(&self) -> Option<Conclusion> {
        match self {
            Self::NotYet => None,
            Self::Open(end) | Self::Shut(end, _) => Some(*end),
        }
    }
}

/// The way into a stage: through all that it needs.
fn gate(stage: &StagePlan, before: &[Passage]) -> Passage {
    let mut open = Passage::Open(Conclusion::Success);
    for need in &stage.needs {
        match before.get(*need) {
            Some(Passage::Shut(_, reason)) => return Passage::Shut(Conclusion::Skipped, reason.clone()),
            Some(Passage::NotYet) | None => open = Passage::NotYet,
            Some(Passage::Open(_)) => {}
        }
    }
    open
}

struct Board {
    seats: Vec<Seat>,
    moves: Vec<Move>,
}

impl Board {
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

    /// Ends what has not started and stops what has. A queued action may have an attempt that the cluster is about to
    /// start, so its driver stops it, too.
    fn stop(&mut self, seat: &Seat, conclusion: Conclusion, by: &str) {
        match seat.state {
            ActionState::Waiting => self.end(seat.id, conclusion, by),
            ActionState::Queued | ActionState::Running => self.moves.push(Move::Stop(seat.id, by.to_owned())),
            ActionState::Ended(_) => {}
        }
    }

    fn stop_all(&mut self, stop: Stop<'_>) {
        let (conclusion, by) = match stop {
            Stop::Cancelled(by) => (Conclusion::Cancelled, by),
            Stop::Overdue => (Conclusion::TimedOut, "the run's time limit"),
        };
        for seat in self.seats.clone() {
            self.stop(&seat, conclusion, by);
        }
    }

    fn skip_waiting(&mut self, stage: usize, reason: &str) {
        for seat in self.of_stage(stage) {
            if seat.state == ActionState::Waiting {
                self.end(seat.id, Conclusion::Skipped, reason);
            }
        }
    }

    fn play(&mut self, stage: usize, plan: &StagePlan) {
        let seats = self.of_stage(stage);
        let failed = seats.iter().find(|seat| seat.state.conclusion().is_some_and(|end| !end.lets_go_on()));
        if let (Some(failed), true) = (failed, plan.fail_fast) {
            let name = plan.actions.get(failed.place).map_or("", |action| &action.name);
            return self.fail_fast(&seats, plan.sequencing, name);
        }
        let waiting = seats.iter().filter(|seat| seat.state == ActionState::Waiting);
        match plan.sequencing {
            Sequencing::Parallel => waiting.for_each(|seat| self.queue(seat.id)),
            Sequencing::Sequence => {
                let under_way = |seat: &&Seat| matches!(seat.state, ActionState::Queued | ActionState::Running);
                if !seats.iter().any(|seat| under_way(&seat)) {
                    waiting.take(1).for_each(|seat| self.queue(seat.id));
                }
            }
        }
    }

    fn fail_fast(&mut self, seats: &[Seat], sequencing: Sequencing, failed: &str) {
        for seat in seats {
            match sequencing {
                Sequencing::Sequence if seat.state == ActionState::Waiting => {
                    self.end(seat.id, Conclusion::Skipped, &format!("action `{failed}` did not succeed"));
                }
                Sequencing::Sequence => {}
                Sequencing::Parallel => {
                    self.stop(seat, Conclusion::Cancelled, &format!("fail-fast: action `{failed}` did not succeed"));
                }
            }
        }
    }

    /// The way beyond a stage, once all its actions have ended; one without actions lets through what its gate does.
    fn beyond(&self, index: usize, stage: &StagePlan, gate: Passage) -> Passage {
        let seats = self.of_stage(index);
        let Some(ends) = seats.iter().map(|seat| seat.state.conclusion()).collect::<Option<Vec<_>>>() else {
            return Passage::NotYet;
        };
        match gate {
            Passage::Shut(..) if ends.iter().all(|end| end.lets_go_on()) => gate,
            Passage::NotYet if ends.is_empty() => gate,
            Passage::NotYet | Passage::Open(_) | Passage::Shut(..) => {
                let end = if ends.is_empty() { Conclusion::Success } else { worst(ends) };
                if end.lets_go_on() {
                    Passage::Open(end)
                } else {
                    Passage::Shut(end, format!("stage `{}` ended: {end}", stage.name))
                }
            }
        }
    }

    fn end_run(&mut self, stages: &[Conclusion], stop: Option<Stop<'_>>) {
        let end = worst(stages.iter().copied());
        let (conclusion, reason) = match stop {
            // what was over before anybody's wish could reach it keeps its own end
            _ if end == Conclusion::Failure => (end, String::new()),
            Some(Stop::Cancelled(by)) => (Conclusion::Cancelled, format!("cancelled by {by}")),
            Some(Stop::Overdue) => (Conclusion::TimedOut, "over the run's time limit".to_owned()),
            None => (end, String::new()),
        };
        self.moves.push(Move::EndRun(conclusion, reason));
    }
}
