//! Lines runs up: what [`line_up`] decides about a group is written in the transaction of the change that asked for it
//! (a run made, a run ended), so that no crash comes between, and no run waits for one that is gone.

use super::{
    Engine, Result,
    pause::questions,
    queue::{Member, Origin, Standing, Turn, line_up},
    vetting::is_held_back,
};
use crate::{
    model::{ActionState, QueuePlace, RepositoryId, RunId, RunState, Time, Waiting},
    store::{ActionRow, QueuedRun, RunRow, Tx},
};

/// How far back in a group it is looked whether an event came late: deliveries change places with their neighbours.
const LATE: i64 = 50;

impl Engine {
    /// Gives a new run its place in its group. By default it is the last; but where a run that is there already says
    /// that it came after this one's commit, the delivery was late, and its run stands before that one.
    pub(super) async fn take_turn(&self, tx: &mut Tx, run: &RunRow, queue: &str) -> Result<()> {
        let own = run.id.as_i64();
        let turn = match (run.rerun_of, tx.replay_of(run).await?) {
            // wanted now, whatever its code's age
            (Some(_), _) | (_, Some(_)) => own,
            (None, None) => late_turn(tx, run, queue).await?.unwrap_or(own),
        };
        Ok(tx.set_turn(run.id, turn).await?)
    }

    /// Lets go, ends and holds the runs of a group. Those that are to be settled because of it.
    pub(super) async fn line_up(
        &self,
        tx: &mut Tx,
        repository: RepositoryId,
        queue: &str,
        now: Time,
    ) -> Result<Vec<RunId>> {
        let runs = tx.queue(repository, queue).await?;
        let mut moved = Vec::new();
        for (run, turn) in turns(&runs) {
            match turn {
                Turn::Gone => continue,
                Turn::Go => tx.release_run(run.id, now).await?,
                Turn::Superseded(by) => tx.supersede_run(run.id, by).await?,
                Turn::Wait(place) => {
                    let words = Waiting::Queue(place).to_string();
                    if words == run.reason {
                        continue;
                    }
                    tx.set_run_reason(run.id, &words).await?;
                }
            }
            moved.push(run.id);
        }
        Ok(moved)
    }
}

/// What a run waits for that has not started, or that goes on only when people say so; `None` if it waits for nothing
/// but its own work.
///
/// # Errors
/// If the database is away.
pub async fn waiting(tx: &mut Tx, run: &RunRow) -> Result<Option<Waiting>> {
    if run.state.conclusion().is_none() && is_held_back(tx, run).await? {
        return Ok(None);
    }
    let question = questions(tx, run).await?.into_iter().next().map(Waiting::Approval);
    if run.state.0 != RunState::Queued || question.is_some() {
        return Ok(question);
    }
    if let Some(queue) = run.queue.as_deref().filter(|_| run.is_held()) {
        let runs = tx.queue(run.repository_id, queue).await?;
        return Ok(place_of(run, &runs).map(Waiting::Queue));
    }
    let source = Waiting::Source { trouble: run.source_note.clone() };
    let source = match run.source {
        None => Some(source),
        Some(_) => tx.checkout_trouble(run.id).await?.map(|trouble| Waiting::Source { trouble }),
    };
    if source.as_ref().is_some_and(Waiting::is_trouble) {
        return Ok(source);
    }
    let actions = tx.actions(run.id).await?;
    let mut queued = actions.into_iter().filter(|action| action.state.0 == ActionState::Queued);
    let said = queued.find(|action| !action.reason.is_empty());
    Ok(said.map(waiting_action).or(source))
}

fn waiting_action(action: ActionRow) -> Waiting {
    let message = action.reason;
    if action.held.is_some() { Waiting::Quota { message } } else { Waiting::Executor { message } }
}

fn place_of(run: &RunRow, runs: &[QueuedRun]) -> Option<QueuePlace> {
    turns(runs).into_iter().find_map(|(other, turn)| match turn {
        Turn::Wait(place) if other.id == run.id => Some(place),
        Turn::Wait(_) | Turn::Gone | Turn::Go | Turn::Superseded(_) => None,
    })
}

fn turns(runs: &[QueuedRun]) -> Vec<(&QueuedRun, Turn)> {
    let (known, members): (Vec<&QueuedRun>, Vec<Member>) =
        runs.iter().filter_map(|run| Some((run, member(run)?))).unzip();
    known.into_iter().zip(line_up(&members)).collect()
}

fn member(run: &QueuedRun) -> Option<Member> {
    let standing = match (run.released, &run.cancelled_by) {
        (None, None) => Standing::Held,
        (Some(_), None) => Standing::Live,
        // a held run that was cancelled ends in the transaction that is under way, and starts nothing
        (_, Some(_)) => Standing::Leaving,
    };
    let origin = match (run.rerun_of, run.replay_of) {
        (None, None) => Origin::Event,
        (Some(_), _) | (_, Some(_)) => Origin::Repeat,
    };
    Some(Member { number: run.number, concurrency: run.concurrency.0.clone()?, standing, origin })
}

/// The turn before that of the first run that came after this one's commit. A branch may return to a commit, so a run
/// whose own commit before is that of the newest is not late.
async fn late_turn(tx: &mut Tx, run: &RunRow, queue: &str) -> Result<Option<i64>> {
    let others = tx.newest_turns(run.repository_id, queue, LATE).await?;
    let mut first = None;
    for other in &others {
        if other.event.precedes(&run.event) {
            break;
        }
        if run.event.precedes(&other.event) {
            first = Some(other.turn - 1);
        }
    }
    Ok(first)
}
