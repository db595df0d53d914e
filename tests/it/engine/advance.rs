//! Runs of any shape, with any ends, in any order.

use std::collections::BTreeMap;

use containerops::{
    engine::{
        Move, Pause, Seat, Seen, Standing, Stop, advance,
        rerun::carry::{Past, carried},
        worst,
    },
    model::{
        ActionId, ActionPath, ActionPlan, ActionState, Cell, Checkout, Conclusion, Plan, Sequencing, StageKind,
        StagePlan, What, When,
    },
};
use proptest::{collection::vec, prelude::*, sample::Index};

/// More steps than any of these runs can take.
const STEPS: usize = 500;

/// A run that is played: its plan, its board, and what somebody wants.
struct Played {
    plan: Plan,
    seats: Vec<Seat>,
    pauses: Vec<Pause>,
    stop: Option<Stop<'static>>,
    ended: Option<Conclusion>,
}

impl Played {
    fn new(plan: Plan) -> Self {
        let places = plan.stages.iter().enumerate();
        let places = places.flat_map(|(stage, plan)| (0..plan.actions.len()).map(move |place| (stage, place)));
        let seat = |(id, (stage, place))| Seat {
            id: ActionId::from_i64(id),
            stage,
            place,
            state: ActionState::Waiting,
            stopping: false,
            carried: false,
        };
        let seats = (1..).zip(places).map(seat).collect();
        Self { plan, seats, pauses: Vec::new(), stop: None, ended: None }
    }

    fn moves(&self) -> Vec<Move> {
        advance(&Seen {
            plan: &self.plan,
            actions: self.seats.clone(),
            pauses: self.pauses.clone(),
            stop: self.stop,
            outputs: &std::collections::BTreeMap::new(),
        })
    }

    /// Makes all moves that are due, each of which must be one that may be made.
    fn advance(&mut self) {
        let moves = self.moves();
        assert_eq!(moves, self.moves(), "what is seen alone decides");
        for step in moves {
            self.make(step);
        }
        if self.ended.is_none() {
            assert_eq!(self.moves(), [], "no move is made twice");
        }
    }

    fn make(&mut self, step: Move) {
        assert_eq!(self.ended, None, "nothing moves after the end: {step:?}");
        match step {
            Move::Queue(id) => {
                self.assert_may_start(id);
                self.seat(id).state = ActionState::Queued;
            }
            Move::End(id, conclusion, reason) => {
                assert!(!reason.is_empty(), "whoever never starts is told why");
                assert_eq!(self.seat(id).state, ActionState::Waiting);
                self.seat(id).state = ActionState::Ended(conclusion);
            }
            Move::Stop(id, _) => {
                assert!(!self.seat(id).stopping && self.under_way().contains(&id));
                self.seat(id).stopping = true;
            }
            Move::Ask(stage) => {
                assert!(self.stop.is_none() && self.pauses.iter().all(|pause| pause.stage != stage), "each asks once");
                self.pauses.push(Pause { stage, standing: Standing::Open });
            }
            Move::Expire(stage) => self.answer(stage, Standing::Expired),
            Move::Withdraw(stage) => self.answer(stage, Standing::Withdrawn),
            Move::EndRun(conclusion, _) => {
                let open = |pause: &Pause| matches!(pause.standing, Standing::Open | Standing::Late);
                assert!(!self.pauses.iter().any(open), "nobody is asked any more");
                assert!(self.seats.iter().all(|seat| seat.state.conclusion().is_some()), "it ends when all have");
                self.ended = Some(conclusion);
            }
        }
    }

    fn assert_may_start(&mut self, id: ActionId) {
        assert_eq!((self.seat(id).state.clone(), self.stop), (ActionState::Waiting, None));
        let stage = self.seat(id).stage;
        for need in self.needed_by(stage) {
            let asked = self.pauses.iter().find(|pause| pause.stage == need).map(|pause| &pause.standing);
            assert!(asked.is_none_or(|asked| *asked == Standing::Approved), "stage {stage} needs {need}: {asked:?}");
            for seat in self.seats.iter().filter(|seat| seat.stage == need) {
                let end = seat.state.conclusion();
                assert!(end.is_some_and(Conclusion::lets_go_on), "stage {stage} needs {need}, which is {end:?}");
            }
        }
        let turns = self.plan.stages[stage].sequencing == Sequencing::Sequence;
        let step = |seat: &Seat| self.plan.stages[stage].step_of(seat.place);
        let own = self.seats.iter().find(|seat| seat.id == id).map(step);
        let busy = |seat: &&Seat| seat.stage == stage && seat.state == ActionState::Running && Some(step(seat)) != own;
        assert!(
            !(turns && self.seats.iter().any(|seat| busy(&seat))),
            "in a sequence one runs at a time, or one matrix"
        );
    }

    /// All that a stage needs, and all that those need.
    fn needed_by(&self, stage: usize) -> Vec<usize> {
        let mut all = self.plan.stages[stage].needs.clone();
        let further: Vec<_> = all.iter().flat_map(|&need| self.needed_by(need)).collect();
        all.extend(further);
        all
    }

    fn seat(&mut self, id: ActionId) -> &mut Seat {
        self.seats.iter_mut().find(|seat| seat.id == id).expect("a seat")
    }

    fn under_way(&self) -> Vec<ActionId> {
        let live = |seat: &&Seat| matches!(seat.state, ActionState::Queued | ActionState::Running);
        self.seats.iter().filter(live).map(|seat| seat.id).collect()
    }

    /// Something happens to one of the actions that are under way: it starts, or it ends.
    fn happens(&mut self, which: Index, conclusion: Conclusion) {
        let under_way = self.under_way();
        if under_way.is_empty() {
            return self.somebody_answers(which, conclusion);
        }
        let id = *which.get(&under_way);
        let seat = self.seat(id);
        seat.state = match (seat.stopping, seat.state == ActionState::Queued) {
            (true, _) => ActionState::Ended(Conclusion::Cancelled),
            (false, true) => ActionState::Running,
            (false, false) => ActionState::Ended(conclusion),
        };
    }
}

impl Played {
    fn answer(&mut self, stage: usize, standing: Standing) {
        let pause = self.pauses.iter_mut().find(|pause| pause.stage == stage).expect("a question");
        assert!(matches!(pause.standing, Standing::Open | Standing::Late), "the first answer counts");
        pause.standing = standing;
    }

    fn somebody_answers(&mut self, which: Index, conclusion: Conclusion) {
        let mut open: Vec<&mut Pause> =
            self.pauses.iter_mut().filter(|pause| pause.standing == Standing::Open).collect();
        let at = which.index(open.len());
        open[at].standing = match conclusion {
            Conclusion::Failure => Standing::Rejected("rejected by ada".to_owned()),
            Conclusion::TimedOut => Standing::Late,
            Conclusion::Success
            | Conclusion::Warning
            | Conclusion::Error
            | Conclusion::Cancelled
            | Conclusion::Skipped => Standing::Approved,
        };
    }
}

fn stage(index: usize) -> impl Strategy<Value = StagePlan> {
    let sequencing = prop_oneof![Just(Sequencing::Sequence), Just(Sequencing::Parallel)];
    let needs = proptest::sample::subsequence((0..index).collect::<Vec<_>>(), 0..=index);
    let all = (sequencing, needs, any::<bool>(), 0..4_usize, any::<[bool; 4]>(), any::<bool>());
    all.prop_map(move |(sequencing, needs, fail_fast, actions, cells, asks)| StagePlan {
        name: format!("s{index}"),
        title: String::new(),
        kind: match (actions, asks) {
            (0, true) => StageKind::Pause,
            (0, false) => StageKind::Start,
            _ => StageKind::Normal,
        },
        approval: None,
        sequencing,
        needs,
        fail_fast,
        when: None,
        actions: (0..actions).zip(cells).map(|(place, cell)| action(place, cell)).collect(),
    })
}

/// An action, or one of the cells of the stage's matrix.
fn action(place: usize, is_cell: bool) -> ActionPlan {
    ActionPlan {
        services: Vec::new(),
        runtime: None,
        node: Default::default(),
        name: format!("a{place}"),
        title: String::new(),
        allow_failure: false,
        when: None,
        jobs: Vec::new(),
        cell: is_cell.then(|| Cell { of: "m".to_owned(), label: place.to_string() }),
        matrix: BTreeMap::new(),
        caches: Vec::new(),
        checkout: Checkout::Commit,
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let stages = (1..6_usize).prop_flat_map(|count| (0..count).map(stage).collect::<Vec<_>>());
    stages.prop_map(|stages| Plan {
        flow: "ci".to_owned(),
        uri: "acme/widget/ci".to_owned(),
        title: String::new(),
        timeout: None,
        concurrency: None,
        inputs: std::collections::BTreeMap::new(),
        receivers: Vec::new(),
        stages,
    })
}

fn conclusion() -> impl Strategy<Value = Conclusion> {
    prop_oneof![
        6 => Just(Conclusion::Success),
        1 => Just(Conclusion::Warning),
        1 => Just(Conclusion::Failure),
        1 => Just(Conclusion::TimedOut),
        1 => Just(Conclusion::Error),
    ]
}

proptest! {
    #[test]
    fn every_run_ends_and_every_action_once(
        plan in plan(),
        happenings in vec((any::<Index>(), conclusion()), STEPS),
        stopped_at in proptest::option::of(0..20_usize),
    ) {
        let mut run = Played::new(plan);
        run.advance();
        for (step, (which, conclusion)) in happenings.into_iter().enumerate() {
            if run.ended.is_some() {
                break;
            }
            if stopped_at == Some(step) {
                run.stop = Some(Stop::Cancelled("ada"));
            } else {
                run.happens(which, conclusion);
            }
            run.advance();
        }
        prop_assert!(run.ended.is_some(), "it ends");
        let red = run.seats.iter().any(|seat| seat.state.conclusion() == Some(Conclusion::Failure));
        prop_assert!(!red || run.ended == Some(Conclusion::Failure), "a failure is never hidden");
    }
}

#[test]
fn the_worst_end_counts_and_a_skip_the_least() {
    use Conclusion::{Cancelled, Error, Failure, Skipped, Success, TimedOut, Warning};
    let order = [Skipped, Success, Warning, Cancelled, Error, TimedOut, Failure];
    for (place, end) in order.into_iter().enumerate() {
        assert_eq!(worst(order[..=place].iter().copied()), end);
    }
    assert_eq!(worst([]), Success);
}

#[test]
fn a_sequence_of_cells_heeds_conditions() {
    let when = |due: Option<&str>| {
        let text = due.unwrap_or("branch == \"x\"").to_owned();
        Some(When { due: due.map(str::to_owned), text, outputs: Vec::new() })
    };
    let (never, failure) = (when(None), when(Some("result == \"failure\"")));
    let all = [(true, never.clone()), (true, None), (true, None), (false, None), (false, failure), (false, None)];
    let actions = (0..).zip(all).map(|(place, (cell, when))| ActionPlan { when, ..action(place, cell) }).collect();
    let stage = StagePlan {
        name: "s".to_owned(),
        title: String::new(),
        kind: StageKind::Normal,
        sequencing: Sequencing::Sequence,
        needs: Vec::new(),
        fail_fast: true,
        when: None,
        approval: None,
        actions,
    };
    let plan = Plan {
        flow: "ci".to_owned(),
        uri: "acme/widget/ci".to_owned(),
        title: String::new(),
        timeout: None,
        concurrency: None,
        inputs: BTreeMap::new(),
        receivers: Vec::new(),
        stages: vec![stage],
    };
    let mut run = Played::new(plan);
    run.advance();
    let ids = |all: &[i64]| all.iter().map(|id| ActionId::from_i64(*id)).collect::<Vec<_>>();
    assert_eq!(run.under_way(), ids(&[2, 3]), "the cells together, but for the one that is left out");
    run.seat(ActionId::from_i64(2)).state = ActionState::Ended(Conclusion::Failure);
    run.advance();
    assert!(run.seat(ActionId::from_i64(3)).stopping, "fail-fast stops the cell beside");
    assert_eq!(run.under_way(), ids(&[3]), "what asks for the result waits for all cells");
    run.seat(ActionId::from_i64(3)).state = ActionState::Ended(Conclusion::Cancelled);
    run.advance();
    assert_eq!(run.under_way(), ids(&[5]), "only what asks for the result runs");
    run.seat(ActionId::from_i64(5)).state = ActionState::Ended(Conclusion::Success);
    run.advance();
    assert_eq!(run.ended, Some(Conclusion::Failure));
}

/// Plays a run to its end.
fn played(mut run: Played, happenings: &[(Index, Conclusion)]) -> Played {
    run.advance();
    for (which, conclusion) in happenings {
        if run.ended.is_some() {
            break;
        }
        run.happens(*which, *conclusion);
        run.advance();
    }
    run
}

proptest! {
    // two whole runs for each case
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_repeated_run_ends_and_what_is_carried_over_never_moves(
        plan in plan(),
        first in vec((any::<Index>(), conclusion()), STEPS),
        second in vec((any::<Index>(), conclusion()), STEPS),
        one in proptest::option::of(any::<Index>()),
    ) {
        let past = played(Played::new(plan.clone()), &first);
        let ends: Vec<_> =
            past.seats.iter().map(|seat| ((seat.stage, seat.place), seat.state.conclusion().expect("it ended"))).collect();
        prop_assume!(!ends.is_empty());
        let what = one.map_or(What::Failed, |one| {
            let (stage, place) = one.get(&ends).0;
            let stage = &plan.stages[stage];
            What::Action(ActionPath { stage: stage.name.clone(), action: stage.actions[place].name.clone() })
        });
        let before = Past { plan: &plan, ends, cancelled_by: None };
        let Ok(carried) = carried(&before, &plan, &what) else {
            prop_assert!(matches!(what, What::Action(_)), "what failed can always run again");
            return Ok(());
        };
        let mut again = Played::new(plan.clone());
        for seat in &mut again.seats {
            if let Some(kept) = carried.iter().find(|kept| kept.to == (seat.stage, seat.place)) {
                let end = before.ends.iter().find(|(places, _)| *places == kept.from).expect("an end").1;
                prop_assert!(what != What::Failed || matches!(end, Conclusion::Success | Conclusion::Warning));
                (seat.state, seat.carried) = (ActionState::Ended(end), true);
            }
        }
        let kept: Vec<_> = again.seats.iter().filter(|seat| seat.carried).map(|seat| (seat.id, seat.state.clone())).collect();
        let mut again = played(again, &second);
        prop_assert!(again.ended.is_some(), "it ends");
        for (id, state) in kept {
            prop_assert_eq!(&again.seat(id).state, &state);
        }
    }
}
