//! What of a repeated run need not run again: pure.
//!
//! With the same plan an action is carried over just as it ended. With another plan only if that has it unchanged, and
//! nothing that comes before it is new or changed: an end is worth nothing where what led to it is another.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    engine::{Move, Pause, Seat, Seen, Standing, advance},
    model::{ActionId, ActionPath, ActionPlan, ActionState, Conclusion, Plan, Sequencing, StageKind, What},
};

use super::Refusal;

/// A stage's place in its plan, and an action's in its stage.
pub type Places = (usize, usize);

/// A run that is repeated: what it was to do, and how that ended.
#[derive(Debug)]
pub struct Past<'a> {
    /// Its plan.
    pub plan: &'a Plan,
    /// How each of its actions ended.
    pub ends: Vec<(Places, Conclusion)>,
    /// Who stopped all of it, if someone did.
    pub cancelled_by: Option<&'a str>,
}

/// An action of the new run that does not run, and the one whose end it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// In the new plan.
    pub to: Places,
    /// In the past one.
    pub from: Places,
}

/// Whatever of `past` is carried over into a run of `plan`; everything else of that plan runs.
///
/// # Errors
/// [`Refusal::NoSuchAction`] and [`Refusal::Barred`], if one action is asked for that the plan does not have, or that
/// would not start.
pub fn carried(past: &Past<'_>, plan: &Plan, what: &What) -> Result<Vec<Carried>, Refusal> {
    let again: BTreeSet<Places> = match what {
        What::Everything | What::Nothing => return Ok(Vec::new()),
        What::Failed => past.ends.iter().filter(|(_, end)| !ended_well(*end)).map(|(places, _)| *places).collect(),
        What::Action(path) => {
            if places_of(plan, path).is_empty() {
                return Err(Refusal::NoSuchAction(path.clone()));
            }
            past.meant_by(path).into_iter().flat_map(|places| past.with_followers(places)).collect()
        }
        What::Stage(name) => {
            let of_stage = places_of_stage(plan, name)?;
            of_stage.into_iter().flat_map(|places| past.with_followers(places)).collect()
        }
    };
    let fresh = fresh(past.plan, plan);
    let kept = past.ends.iter().map(|(from, _)| *from).filter(|from| !again.contains(from));
    let kept = kept.filter_map(|from| Some(Carried { to: past.twin(from, plan)?, from }));
    let all: Vec<Carried> = kept.filter(|carried| !fresh.contains(&carried.to)).collect();
    match what {
        What::Action(path) => past.barred(plan, &all, path).map_or(Ok(all), Err),
        What::Stage(name) => past.barred(plan, &all, &first_of_stage(plan, name)).map_or(Ok(all), Err),
        What::Everything | What::Failed | What::Nothing => Ok(all),
    }
}

/// Whether an action's end can stand when what failed runs again.
pub fn ended_well(end: Conclusion) -> bool {
    match end {
        Conclusion::Success | Conclusion::Warning => true,
        // what was left out by a condition is asked again: what that asks for may be another now
        Conclusion::Skipped
        | Conclusion::Failure
        | Conclusion::TimedOut
        | Conclusion::Cancelled
        | Conclusion::Error => false,
    }
}

impl Past<'_> {
    /// The actions that a path means: of a matrix the cells that did not end well, if there are any.
    fn meant_by(&self, path: &ActionPath) -> Vec<Places> {
        let all = places_of(self.plan, path);
        let failed = |places: &Places| self.ends.iter().any(|(of, end)| of == places && !ended_well(*end));
        let again: Vec<Places> = all.iter().copied().filter(failed).collect();
        if again.is_empty() { all } else { again }
    }

    /// An action, and those that would have started but for it.
    fn with_followers(&self, action: Places) -> BTreeSet<Places> {
        let (stage, place) = action;
        let after = following(self.plan, stage);
        let in_stage = self.plan.stages.get(stage);
        let follows = |(other, end): &(Places, Conclusion)| match (in_stage.map(|stage| stage.sequencing), end) {
            _ if *other == action => true,
            (_, Conclusion::Skipped) if after.contains(&other.0) => true,
            (Some(Sequencing::Sequence), Conclusion::Skipped) => other.0 == stage && other.1 > place,
            // one that failed stops those beside it
            (Some(_), Conclusion::Cancelled) => {
                let beside = in_stage.is_some_and(|stage| stage.step_of(other.1) == stage.step_of(place));
                other.0 == stage && beside && self.cancelled_by.is_none()
            }
            _ => false,
        };
        self.ends.iter().filter(|end| follows(end)).map(|(places, _)| *places).collect()
    }

    /// Where another plan has just this action.
    fn twin(&self, (stage, place): Places, plan: &Plan) -> Option<Places> {
        let (stage, action) = (self.plan.stages.get(stage)?, self.plan.action(stage, place)?);
        let path = ActionPath { stage: stage.name.clone(), action: action.name.clone() };
        let found = place_of(plan, &path)?;
        (plan.action(found.0, found.1) == Some(action)).then_some(found)
    }

    /// Why the one action that is to run would not.
    fn barred(&self, plan: &Plan, carried: &[Carried], path: &ActionPath) -> Option<Refusal> {
        let wanted = places_of(plan, path);
        let end = |to: Places| {
            let from = carried.iter().find(|carried| carried.to == to)?.from;
            self.ends.iter().find(|(places, _)| *places == from).map(|(_, end)| *end)
        };
        let seat = |(id, (stage, place)): (i64, Places)| {
            let end = end((stage, place));
            let state = end.map_or(ActionState::Waiting, ActionState::Ended);
            Seat { id: ActionId::from_i64(id), stage, place, state, stopping: false, carried: end.is_some() }
        };
        let actions: Vec<Seat> = (0..).zip(all(plan)).map(seat).collect();
        let is_wanted = |seat: &&Seat| wanted.contains(&(seat.stage, seat.place)) && !seat.carried;
        let ids: Vec<ActionId> = actions.iter().filter(is_wanted).map(|seat| seat.id).collect();
        let pauses = plan.stages.iter().enumerate().filter(|(_, stage)| stage.kind == StageKind::Pause);
        let pauses = pauses.map(|(stage, _)| Pause { stage, standing: Standing::Approved }).collect();
        let moves = advance(&Seen { plan, actions, pauses, stop: None, outputs: &BTreeMap::new() });
        moves.into_iter().find_map(|step| match step {
            Move::End(ended, _, reason) if ids.contains(&ended) => Some(Refusal::Barred { path: path.clone(), reason }),
            Move::End(..)
            | Move::Queue(_)
            | Move::Stop(..)
            | Move::Ask(_)
            | Move::Expire(_)
            | Move::Withdraw(_)
            | Move::EndRun(..) => None,
        })
    }
}

/// The actions of `plan` that `before` did not have just so, and those that come after such a one.
fn fresh(before: &Plan, plan: &Plan) -> BTreeSet<Places> {
    let mut fresh = BTreeSet::new();
    let mut touched: Vec<bool> = Vec::with_capacity(plan.stages.len());
    for (index, stage) in plan.stages.iter().enumerate() {
        let after = stage.needs.iter().any(|&need| touched.get(need).copied().unwrap_or_default());
        let mut here: Option<usize> = None;
        for (place, action) in stage.actions.iter().enumerate() {
            let behind = stage.sequencing == Sequencing::Sequence && here.is_some_and(|at| at < stage.step_of(place));
            if after || behind || !has(before, &stage.name, action) {
                fresh.insert((index, place));
                here.get_or_insert(stage.step_of(place));
            }
        }
        touched.push(after || here.is_some());
    }
    fresh
}

fn has(plan: &Plan, stage: &str, action: &ActionPlan) -> bool {
    plan.stages.iter().any(|other| other.name == stage && other.actions.contains(action))
}

/// The stages that need this one, and those that need them.
fn following(plan: &Plan, stage: usize) -> BTreeSet<usize> {
    let mut all = BTreeSet::from([stage]);
    for (index, later) in plan.stages.iter().enumerate().skip(stage + 1) {
        if later.needs.iter().any(|need| all.contains(need)) {
            all.insert(index);
        }
    }
    all.remove(&stage);
    all
}

/// Where a plan has the action of this name.
fn place_of(plan: &Plan, path: &ActionPath) -> Option<Places> {
    let stage = plan.stages.iter().position(|stage| stage.name == path.stage)?;
    let place = plan.stages[stage].actions.iter().position(|action| action.name == path.action)?;
    Some((stage, place))
}

/// Where a plan has the action of this name, or the cells of the matrix of this name.
fn places_of(plan: &Plan, path: &ActionPath) -> Vec<Places> {
    if let Some(places) = place_of(plan, path) {
        return vec![places];
    }
    let Some(stage) = plan.stages.iter().position(|stage| stage.name == path.stage) else { return Vec::new() };
    let actions = plan.stages[stage].actions.iter().enumerate();
    let cells = actions.filter(|(_, action)| action.matrix_name() == Some(path.action.as_str()));
    cells.map(|(place, _)| (stage, place)).collect()
}

/// All actions of the stage of this name.
fn places_of_stage(plan: &Plan, name: &str) -> Result<Vec<Places>, Refusal> {
    let stage = plan.stages.iter().position(|stage| stage.name == name && !stage.actions.is_empty());
    let stage = stage.ok_or_else(|| Refusal::NoSuchStage(name.to_owned()))?;
    Ok((0..plan.stages[stage].actions.len()).map(|place| (stage, place)).collect())
}

/// If that cannot start, none of its stage can.
fn first_of_stage(plan: &Plan, name: &str) -> ActionPath {
    let stage = plan.stages.iter().find(|stage| stage.name == name);
    let action = stage.and_then(|stage| stage.actions.first()).map_or_else(String::new, |first| first.name.clone());
    ActionPath { stage: name.to_owned(), action }
}

fn all(plan: &Plan) -> impl Iterator<Item = Places> {
    let stages = plan.stages.iter().enumerate();
    stages.flat_map(|(stage, plan)| (0..plan.actions.len()).map(move |place| (stage, place)))
}
