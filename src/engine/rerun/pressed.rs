//! What a forge's re-run buttons mean. They are pressed at checks, and a check is its newest run's.

use super::{ForgeOr, Newest, Refusal, Unwilling};
use crate::{
    engine::{Engine, EngineError, Result, settle::places},
    model::{
        ActionId, ActionPath, Button, Conclusion, EventKind, ExternalId, FlowChoice, Rerun, RunState, Time, What, Wish,
    },
    store::{DeliveryRow, RunRow, Tx},
};

/// What became of a pressed button.
pub(in crate::engine) enum Pressed {
    /// So many new runs.
    Runs(usize),
    /// What runs was stopped.
    Stopped(String),
    /// None, and it will stay so.
    Nothing(String),
    /// None yet: it depends on what still runs.
    Later(String),
}

impl Engine {
    /// Repeats whatever a forge's button means.
    pub(in crate::engine) async fn press(&self, tx: &mut Tx, delivery: &DeliveryRow, rerun: &Rerun) -> Result<Pressed> {
        if rerun.button == Some(Button::Cancel) {
            return self.press_cancel(tx, rerun).await;
        }
        let mut runs = 0;
        let mut refusal = None;
        for (run, wish) in meant_by(tx, rerun).await? {
            let repeated = match done_since(tx, &run, &wish, rerun, delivery.received).await? {
                true => Err(Refusal::DoneSince(run.number).into()),
                false => self.repeat_same(tx, &run, &wish, Some(delivery.id)).await,
            };
            match repeated {
                Ok(_) => runs += 1,
                Err(Unwilling::Refused(why)) => refusal = Some(why),
                Err(Unwilling::Engine(error)) => return Err(error),
            }
        }
        Ok(match refusal {
            _ if runs > 0 => Pressed::Runs(runs),
            Some(refusal) => refused(&refusal),
            None => Pressed::Nothing(unknown(rerun)),
        })
    }

    /// Stops the check's run; or, if no check is named, what a merge queue tried and wants no more.
    async fn press_cancel(&self, tx: &mut Tx, rerun: &Rerun) -> Result<Pressed> {
        let is_meant =
            |run: &RunRow| rerun.external_id.is_some() || matches!(run.event.kind, EventKind::MergeGroup { .. });
        let (mut stopped, mut over) = (Vec::new(), Vec::new());
        for (run, _) in meant_by(tx, rerun).await?.into_iter().filter(|(run, _)| is_meant(run)) {
            if tx.cancel_run(run.id, &rerun.actor).await? {
                self.settle(tx, run.id, self.now()).await?;
                stopped.push(format!("#{}", run.number));
            } else {
                over.push(format!("#{}", run.number));
            }
        }
        Ok(match (stopped.is_empty(), over.is_empty()) {
            (false, _) => Pressed::Stopped(format!("{} was cancelled", stopped.join(", "))),
            (true, false) => Pressed::Nothing(format!("{} had ended, or was being cancelled", over.join(", "))),
            (true, true) => Pressed::Nothing(unknown(rerun)),
        })
    }

    /// What the forge says to a button that wants the newest flow file; `None` if the check is none of ours.
    pub(in crate::engine) async fn pressed_for_newest(&self, rerun: &Rerun) -> Result<Option<Newest>, ForgeOr> {
        let mut tx = self.store.read().await.map_err(EngineError::from)?;
        let meant = meant_by(&mut tx, rerun).await?.into_iter().next();
        drop(tx);
        match meant {
            Some((run, wish)) => self.newest(run.id, wish, Some(rerun.clone())).await,
            None => Ok(None),
        }
    }
}

/// A part of a run that still runs is not refused to a forge's button: nobody could read it there.
pub(in crate::engine) fn refused(refusal: &Refusal) -> Pressed {
    match refusal {
        Refusal::StillRuns(number) => {
            Pressed::Later(format!("run #{number} still runs; when it has ended, this begins"))
        }
        Refusal::Outdated { .. }
        | Refusal::NothingFailed(_)
        | Refusal::NoPlan(_)
        | Refusal::NoSuchAction(_)
        | Refusal::NoSuchStage(_)
        | Refusal::NotHere(_)
        | Refusal::Barred { .. }
        | Refusal::NoFlowFile(_)
        | Refusal::DoneSince(_) => Pressed::Nothing(refusal.to_string()),
    }
}

/// Why a button means nothing to us.
pub(in crate::engine) fn unknown(rerun: &Rerun) -> String {
    let what = if rerun.button == Some(Button::Cancel) { "stop" } else { "run again" };
    format!("there is no run of ours at commit {} to {what}", rerun.sha.short())
}

/// One check's newest run and what of it, or everything of the newest of each context at the commit.
pub(in crate::engine) async fn meant_by(tx: &mut Tx, rerun: &Rerun) -> Result<Vec<(RunRow, Wish)>> {
    let Rerun { repository, sha, external_id, button, actor } = rerun;
    let Some(known) = tx.repository_named(repository.forge, &repository.name).await? else {
        return Ok(Vec::new());
    };
    let wish = |what| Wish { what, flow: FlowChoice::Same, by: actor.clone() };
    let Some(external_id) = external_id else {
        let newest = tx.newest_runs_of(known.id, sha).await?;
        return Ok(newest.into_iter().map(|run| (run, wish(What::Everything))).collect());
    };
    let Ok(id) = external_id.parse::<ExternalId>() else { return Ok(Vec::new()) };
    // an id is only good for the repository and commit that it was made for
    let run = tx.run(id.run).await?.filter(|run| run.repository_id == known.id && run.sha == *sha);
    let Some(run) = run else { return Ok(Vec::new()) };
    let path = match id.action {
        Some(action) => path_of(tx, &run, action).await?,
        None => None,
    };
    let newest = match tx.newer_than(&run).await? {
        Some(newer) => tx.run(newer).await?.unwrap_or_else(|| run.clone()),
        None => run.clone(),
    };
    let (what, flow) = match (button, path) {
        (Some(Button::Failed), _) => (What::Failed, FlowChoice::Same),
        (Some(Button::Everything), _) => (What::Everything, FlowChoice::Same),
        (Some(Button::Newest), _) => (What::Failed, FlowChoice::Newest),
        // that is no re-run, and intake knows it
        (Some(Button::Approve), _) => return Ok(Vec::new()),
        (Some(Button::Cancel), _) => (What::Nothing, FlowChoice::Same),
        (None, Some(path)) => (What::Action(path), FlowChoice::Same),
        (None, None) => (of_whole_run(&run), FlowChoice::Same),
    };
    Ok(vec![(newest, Wish { what, flow, by: actor.clone() })])
}

/// A forge's own re-run button at a run's check: what failed, if the check showed that something did.
fn of_whole_run(run: &RunRow) -> What {
    match (&run.plan.0, &run.state.0) {
        (None, _) | (Some(_), RunState::Ended(Conclusion::Success | Conclusion::Warning | Conclusion::Skipped)) => {
            What::Everything
        }
        (Some(_), RunState::Queued | RunState::Running | RunState::Ended(_)) => What::Failed,
    }
}

/// The name of a run's action as its check has it, which for a cell is its matrix'; `None` if it is not this run's.
async fn path_of(tx: &mut Tx, run: &RunRow, id: ActionId) -> Result<Option<ActionPath>> {
    let actions = tx.actions(run.id).await?;
    let Some((stage, place)) = actions.iter().find(|row| row.id == id).map(places) else { return Ok(None) };
    let stage = run.plan.0.as_ref().and_then(|plan| plan.stages.get(stage));
    let named = stage.and_then(|stage| Some((stage, stage.actions.get(place)?)));
    Ok(named.map(|(stage, action)| ActionPath {
        stage: stage.name.clone(),
        action: action.matrix_name().unwrap_or(&action.name).to_owned(),
    }))
}

/// Whether the one action that is meant was run again since the button was pressed: forges press the buttons of all
/// failed checks at once, and one of them may have repeated what the next one means.
async fn done_since(tx: &mut Tx, run: &RunRow, wish: &Wish, rerun: &Rerun, pressed: Time) -> Result<bool> {
    let What::Action(path) = &wish.what else { return Ok(false) };
    if rerun.button.is_some() || run.rerun_of.is_none() || run.created < pressed {
        return Ok(false);
    }
    for row in tx.actions(run.id).await? {
        if row.carried_from.is_none() && path_of(tx, run, row.id).await?.as_ref() == Some(path) {
            return Ok(true);
        }
    }
    Ok(false)
}
