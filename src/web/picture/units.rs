//! What of a stage becomes a node of its own: each action, unless there are too many.

use super::{Action, Stage};
use crate::web::pages::Mark;

/// A matrix of more cells is one node.
const CELLS: usize = 6;
/// A stage has no more nodes.
const OF_STAGE: usize = 12;
/// And all of them together have no more, unless there are more stages than that.
const OF_ALL: usize = 60;
/// States, those first that people look for.
const RANKS: [&str; 10] =
    ["failure", "timed_out", "error", "cancelled", "running", "queued", "waiting", "warning", "skipped", "success"];

/// A node in the making.
pub(super) struct Unit<'s> {
    /// Whom it stands for; at least one.
    pub(super) actions: Vec<&'s Action>,
    /// Whether it stands for whatever of its stage has no node.
    pub(super) is_rest: bool,
}

impl<'s> Unit<'s> {
    /// The state that people look for.
    pub(super) fn label(&self) -> &'static str {
        self.worst().map_or("none", |mark| mark.label)
    }

    /// The matrix that all of it is of.
    pub(super) fn matrix(&self) -> Option<&'s str> {
        if self.is_rest { None } else { self.actions.first().and_then(|action| action.matrix.as_deref()) }
    }

    fn worst(&self) -> Option<&'s Mark> {
        self.actions.iter().map(|action| &action.mark).min_by_key(|mark| rank(mark))
    }

    /// How many are in each state: `97 success · 2 failure`.
    pub(super) fn counts(&self) -> String {
        let mut counts: Vec<(&Mark, usize)> = Vec::new();
        for action in &self.actions {
            match counts.iter_mut().find(|(mark, _)| mark.word == action.mark.word) {
                Some((_, count)) => *count += 1,
                None => counts.push((&action.mark, 1)),
            }
        }
        counts.sort_by_key(|(mark, _)| rank(mark));
        let words: Vec<_> = counts.iter().map(|(mark, count)| format!("{count} {}", mark.word)).collect();
        words.join(" · ")
    }
}

fn rank(mark: &Mark) -> usize {
    RANKS.iter().position(|label| *label == mark.label).unwrap_or(RANKS.len())
}

/// The nodes of each stage.
pub(super) fn units(stages: &[Stage]) -> Vec<Vec<Unit<'_>>> {
    let all: Vec<Vec<Unit<'_>>> = stages.iter().map(of_stage).collect();
    let together = |most: usize| all.iter().map(|units| units.len().min(most)).sum::<usize>();
    let most = (1..=OF_STAGE).rev().find(|most| together(*most) <= OF_ALL).unwrap_or(1);
    all.into_iter().map(|units| with_rest(units, most)).collect()
}

fn of_stage(stage: &Stage) -> Vec<Unit<'_>> {
    let mut units = Vec::new();
    for group in stage.actions.chunk_by(|one, other| one.matrix.is_some() && one.matrix == other.matrix) {
        let single = |action| Unit { actions: vec![action], is_rest: false };
        if group.len() > CELLS {
            units.push(Unit { actions: group.iter().collect(), is_rest: false });
        } else {
            units.extend(group.iter().map(single));
        }
    }
    units
}

/// Those that people look for, in their order, and one for the rest.
fn with_rest(units: Vec<Unit<'_>>, most: usize) -> Vec<Unit<'_>> {
    if units.len() <= most {
        return units;
    }
    let mut by_rank: Vec<usize> = (0..units.len()).collect();
    by_rank.sort_by_key(|at| RANKS.iter().position(|label| *label == units[*at].label()));
    by_rank.truncate(most - 1);
    let (mut shown, mut rest) = (Vec::with_capacity(most), Vec::new());
    for (at, unit) in units.into_iter().enumerate() {
        if by_rank.contains(&at) {
            shown.push(unit);
        } else {
            rest.extend(unit.actions);
        }
    }
    shown.push(Unit { actions: rest, is_rest: true });
    shown
}
