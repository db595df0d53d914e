//! Once more: a new run that repeats another, wholly or in part.
//!
//! It has the same commit, snapshot, images by digest and plan, unless the newest flow file is asked for. What need
//! not run again is *carried over*: it has ended when the new run is made, as it ended where it ran, and its outputs
//! and logs are those. Only the newest run of a commit's contexts may be repeated in part, and only once it has ended:
//! else the new run would speak for actions of which another one knows better.
//!
//! - [`carry`]: what is carried over, pure;
//! - `newest`: by the newest flow file, which is a forge's to tell and thus intake's work;
//! - `pressed`: what a forge's button means;
//! - `waive`: not once more, because somebody says that it is not needed.

pub mod carry;
mod newest;
mod pressed;
mod waive;

use std::collections::BTreeMap;

use self::carry::{Carried, Past, Places, ended_well};
use super::{
    Engine, EngineError, Result,
    draft::Drafted,
    settle::places,
    vetting::{self, Again},
};
use crate::{
    model::{ActionPath, Conclusion, DeliveryId, FlowChoice, Grants, Plan, Repeats, RunId, RunState, What, Wish},
    store::{ActionRow, NewRun, RunRow, StoreError, Tx, Vetting},
};

pub use newest::EVENT;
pub(super) use newest::{ForgeOr, Newest};
pub(super) use pressed::{Pressed, meant_by, refused, unknown};

/// Why something is not run again. Each says what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A part of it cannot be known yet.
    #[error("run #{0} still runs: a part of it can run again when it has ended")]
    StillRuns(i64),
    /// A newer run knows better.
    #[error("run #{newer} is newer and speaks for this commit: what is left of run #{number} runs again from there")]
    Outdated {
        /// The run that was asked for.
        number: i64,
        /// The one that is meant.
        newer: i64,
    },
    /// All of it ended well.
    #[error("nothing failed in run #{0}; everything can run again")]
    NothingFailed(i64),
    /// There are no actions to choose from.
    #[error(
        "run #{0} has no actions, for its flow file was broken or left it out: everything can run again, or the newest \
         flow file be used"
    )]
    NoPlan(i64),
    /// The plan has none of that name.
    #[error("there is no action {0}")]
    NoSuchAction(ActionPath),
    /// The plan has none of that name.
    #[error("there is no stage {0} with actions")]
    NoSuchStage(String),
    /// Only a person with the right to can say so, where the code is talked about.
    #[error("run #{0} can be skipped by a comment alone")]
    NotHere(i64),
    /// It would be skipped at once.
    #[error("action {path} would not start: {reason}; the failed actions can run again together")]
    Barred {
        /// Which.
        path: ActionPath,
        /// Why.
        reason: String,
    },
    /// The newest commit has none for it.
    #[error("{0}")]
    NoFlowFile(String),
    /// The same was asked for twice.
    #[error("run #{0} has done so since")]
    DoneSince(i64),
}

/// A run is not repeated.
#[derive(Debug, thiserror::Error)]
pub enum Unwilling {
    /// For a reason that whoever asked can do something about.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Not their doing.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<StoreError> for Unwilling {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// What became of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// This run.
    Run(RunId),
    /// The forge must be asked first: the wish is kept as this delivery, whose page tells what came of it.
    Asked(DeliveryId),
}

/// A new run, but for its place in the database.
struct Repeat<'a> {
    run: &'a RunRow,
    repeats: Repeats,
    draft: &'a Drafted,
    grants: Grants,
    delivery: Option<DeliveryId>,
}

impl Engine {
    /// Runs something of a run again, as a new run.
    ///
    /// # Errors
    /// [`Unwilling`].
    pub async fn rerun(&self, id: RunId, wish: &Wish) -> Result<Begun, Unwilling> {
        let mut tx = self.store.write().await?;
        let run = tx.run(id).await?.ok_or_else(|| EngineError::Broken(format!("there is no run {id}")))?;
        let begun = match wish.flow {
            FlowChoice::Same => Begun::Run(self.repeat_same(&mut tx, &run, wish, None).await?),
            FlowChoice::Newest => Begun::Asked(self.ask_for_newest(&mut tx, &run, wish).await?),
        };
        match begun {
            Begun::Run(id) => {
                let number = tx.run_number(id).await?;
                self.note(&mut tx, &format!("runs again as #{number}")).await?;
            }
            Begun::Asked(delivery) => self.note(&mut tx, &format!("put in as delivery {delivery}")).await?,
        }
        tx.commit().await?;
        Ok(begun)
    }

    /// Repeats a run by its own plan.
    pub(super) async fn repeat_same(
        &self,
        tx: &mut Tx,
        run: &RunRow,
        wish: &Wish,
        delivery: Option<DeliveryId>,
    ) -> Result<RunId, Unwilling> {
        allowed(tx, run, wish).await?;
        let repeats = Repeats { what: wish.what.clone(), newest: None, by: wish.by.clone() };
        // what it was granted once is good for the same flow at the same commit
        let grants = run.grants.as_deref().cloned().unwrap_or_default();
        self.write_repeat(tx, &Repeat { run, repeats, draft: &as_it_was(run), grants, delivery }).await
    }

    async fn write_repeat(&self, tx: &mut Tx, new: &Repeat<'_>) -> Result<RunId, Unwilling> {
        let (now, Repeat { run, draft, .. }) = (self.now(), new);
        let actions = tx.actions(run.id).await?;
        let plan = draft.plan.as_ref().filter(|_| draft.state == RunState::Queued);
        let carried = plan.map_or(Ok(Vec::new()), |plan| chosen(run, &actions, plan, &new.repeats.what))?;
        let id = tx
            .insert_run(&NewRun {
                repository: run.repository_id,
                delivery: new.delivery,
                rerun_of: Some(run.id),
                repeats: Some(&new.repeats),
                flow: &draft.flow,
                path: &draft.path,
                event: &run.event,
                plan: draft.plan.as_ref(),
                wants: &draft.wants,
                grants: &new.grants,
                diagnostics: &draft.diagnostics,
                state: draft.state.clone(),
                reason: &draft.reason,
                pins: &run.pins,
                source: run.source.as_deref(),
                source_note: if run.source.is_some() { &run.source_note } else { "" },
                now,
            })
            .await?;
        let by_place: BTreeMap<Places, &ActionRow> = actions.iter().map(|row| (places(row), row)).collect();
        for Carried { to, from } in carried {
            if let Some(row) = by_place.get(&from) {
                tx.carry_action(id, to, row).await?;
            }
        }
        if run.event.trusted().is_none() {
            let again = Again { of: run, vet: draft.vet.as_deref() };
            if self.vet_again(tx, id, again).await? == Vetting::Waits {
                tx.set_run_reason(id, &vetting::why(&run.event).unwrap_or_default()).await?;
                self.outdate(tx, &run.event, &[id], now).await?;
            }
        }
        tracing::info!(run.id = %id, rerun_of = %run.id, what = ?new.repeats.what, by = new.repeats.by, "run repeated");
        self.settle(tx, id, now).await?;
        Ok(id)
    }
}

/// Refuses what cannot be told from a run's rows, or would make the newest run speak of what it does not know.
async fn allowed(tx: &mut Tx, run: &RunRow, wish: &Wish) -> Result<(), Unwilling> {
    match wish.what {
        What::Everything => return Ok(()),
        What::Nothing => return Err(Refusal::NotHere(run.number).into()),
        What::Failed | What::Action(_) | What::Stage(_) => {}
    }
    if run.state.conclusion().is_none() {
        return Err(Refusal::StillRuns(run.number).into());
    }
    if let Some(newer) = tx.newer_than(run).await? {
        let newer = tx.run_number(newer).await?;
        return Err(Refusal::Outdated { number: run.number, newer }.into());
    }
    let ended_well = match &run.plan.0 {
        None if run.state.0 == RunState::Ended(Conclusion::Skipped) => true,
        None if wish.flow == FlowChoice::Same => return Err(Refusal::NoPlan(run.number).into()),
        None => false,
        Some(_) => tx.actions(run.id).await?.iter().all(|row| row.state.conclusion().is_some_and(ended_well)),
    };
    if ended_well && wish.what == What::Failed {
        return Err(Refusal::NothingFailed(run.number).into());
    }
    Ok(())
}

fn chosen(run: &RunRow, actions: &[ActionRow], plan: &Plan, what: &What) -> Result<Vec<Carried>, Refusal> {
    let Some(before) = &run.plan.0 else { return Ok(Vec::new()) };
    let ends = actions.iter().filter_map(|row| Some((places(row), row.state.conclusion()?))).collect();
    carry::carried(&Past { plan: before, ends, cancelled_by: run.cancelled_by.as_deref() }, plan, what)
}

/// What the run itself was made of.
fn as_it_was(run: &RunRow) -> Drafted {
    let state = match &run.plan.0 {
        Some(_) if run.state.0 != RunState::Ended(Conclusion::Skipped) || run.is_waived() => RunState::Queued,
        // a broken file stays broken, and a run that was left out stays so, at the same commit
        Some(_) | None => run.state.0.clone(),
    };
    Drafted {
        path: run.path.clone(),
        flow: run.flow.clone(),
        plan: run.plan.0.as_deref().cloned(),
        wants: run.wants.as_deref().cloned().unwrap_or_default(),
        diagnostics: run.diagnostics.0.clone(),
        reason: if state == RunState::Queued { String::new() } else { run.reason.clone() },
        state,
        vet: None,
    }
}
