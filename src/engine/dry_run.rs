//! What a recorded delivery would do now: planned by the very functions of [`intake`](super::intake), written nowhere,
//! and held against the digests of the runs that the delivery started.

use std::time::Duration;

use super::{
    Engine, Result,
    draft::{Drafted, Drafts, Unasked},
    intake::Outcome,
    rerun::{Newest, meant_by},
};
use crate::{
    model::{Diagnostic, Event, Plan, PlanDigest, Rerun, RunState, Span, Wants},
    store::{DeliveryRow, RunDigest, RunRow},
};

/// What a delivery would do.
#[derive(Debug)]
pub struct DryRun {
    /// What intake would do with it now.
    pub would: Would,
    /// Runs that it started, of which nothing would become now.
    pub no_longer: Vec<RunDigest>,
}

/// The ways that a delivery may go.
#[derive(Debug)]
pub enum Would {
    /// Runs start.
    Run {
        /// What happened, in our words.
        event: Box<Event>,
        /// One run each.
        flows: Vec<FlowDraft>,
        /// The commit's other flow files.
        unasked: Vec<Unasked>,
    },
    /// These runs are repeated, wholly or in part.
    Rerun {
        /// Which.
        runs: Vec<RunDigest>,
    },
    /// Nothing starts.
    Nothing {
        /// Why.
        reason: String,
    },
    /// We cannot read it.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// Intake would try again later: the forge is away, asks for patience, or refuses us.
    Wait {
        /// What the forge said.
        trouble: String,
    },
}

/// The run that one flow file would be.
#[derive(Debug)]
pub struct FlowDraft {
    /// The file's path.
    pub path: String,
    /// The flow's name.
    pub flow: String,
    /// What would run; `None` if the file is broken or leaves the event out.
    pub plan: Option<Plan>,
    /// The secrets that its jobs ask for.
    pub wants: Wants,
    /// The plan's digest; empty without one.
    pub digest: PlanDigest,
    /// `Queued`, or how the run would have ended at once.
    pub state: RunState,
    /// Why it would have ended at once.
    pub reason: String,
    /// What is wrong with the file, or odd about it.
    pub diagnostics: Vec<Diagnostic>,
    /// The run that the delivery did start of this file.
    pub started: Option<RunDigest>,
}

impl FlowDraft {
    /// Whether the plan is the one of the run that the delivery started; `None` if it started none of this file.
    pub fn is_as_started(&self) -> Option<bool> {
        self.started.as_ref().map(|run| run.digest == self.digest)
    }
}

impl Engine {
    /// Plans a recorded delivery again. Asks the forge, for at most `limit`; writes and starts nothing.
    ///
    /// # Errors
    /// If the database is away; a forge's trouble is an answer.
    pub async fn dry_run(&self, delivery: &DeliveryRow, limit: Duration) -> Result<DryRun> {
        let mut started = self.store.read().await?.started_by(delivery.id).await?;
        let outcome = match tokio::time::timeout(limit, self.foresee(delivery)).await {
            Ok(foreseen) => foreseen.outcome,
            Err(_) => {
                let trouble = format!("{} has not answered within {}", delivery.forge, Span(limit));
                Outcome::Postponed { after: limit, trouble }
            }
        };
        let would = match outcome {
            Outcome::Runs(event, Drafts { runs, unasked }) => {
                let flows = runs.into_iter().map(|draft| flow_draft(draft, &mut started)).collect();
                Would::Run { event, flows, unasked }
            }
            Outcome::Rerun(rerun) => self.would_rerun(&rerun).await?,
            Outcome::Newest(newest) => self.would_repeat_by_newest(&newest).await?,
            Outcome::Said(said) => Would::Nothing { reason: said.comment.words() },
            Outcome::Vouched(rerun, _) => {
                Would::Nothing { reason: format!("{} approves what waits at {}", rerun.actor, rerun.sha.short()) }
            }
            Outcome::Closed(closing) => Would::Nothing { reason: closing.words() },
            Outcome::Audience(audience, _) => {
                Would::Nothing { reason: format!("other people may see {}", audience.repository) }
            }
            Outcome::Postponed { trouble, .. } => Would::Wait { trouble },
            Outcome::Unreadable { reason } => Would::Unreadable { reason },
            Outcome::Nothing { reason } => Would::Nothing { reason },
        };
        let no_longer = match would {
            Would::Run { .. } | Would::Nothing { .. } | Would::Unreadable { .. } => started,
            // repeated runs are not drafted, and of a forge that says nothing nothing is known
            Would::Rerun { .. } | Would::Wait { .. } => Vec::new(),
        };
        Ok(DryRun { would, no_longer })
    }

    async fn would_rerun(&self, rerun: &Rerun) -> Result<Would> {
        let meant = meant_by(&mut self.store.read().await?, rerun).await?;
        Ok(would_repeat(meant.into_iter().map(|(run, _)| run)))
    }

    async fn would_repeat_by_newest(&self, newest: &Newest) -> Result<Would> {
        let run = self.store.read().await?.run(newest.run).await?;
        Ok(would_repeat(run))
    }
}

fn would_repeat(runs: impl IntoIterator<Item = RunRow>) -> Would {
    let digest = |run: RunRow| RunDigest {
        id: run.id,
        forge: run.event.repository.forge,
        name: run.event.repository.name.clone(),
        number: run.number,
        flow: run.flow,
        path: run.path,
        digest: run.digest,
    };
    Would::Rerun { runs: runs.into_iter().map(digest).collect() }
}

/// A draft, with the run of its file taken out of those that were started.
fn flow_draft(draft: Drafted, started: &mut Vec<RunDigest>) -> FlowDraft {
    let Drafted { path, flow, plan, wants, diagnostics, state, reason, vet: _ } = draft;
    let at = started.iter().position(|run| run.path == path);
    let started = at.map(|at| started.remove(at));
    let digest = plan.as_ref().map_or_else(|| PlanDigest(String::new()), Plan::digest);
    FlowDraft { path, flow, plan, wants, digest, state, reason, diagnostics, started }
}
