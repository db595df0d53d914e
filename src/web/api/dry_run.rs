//! `POST /deliveries/{id}/dry-run`: a delivery in thought.

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Answer, runs::run_url};
use crate::{
    engine::dry_run::{DryRun, FlowDraft, Would},
    flow,
    model::{DeliveryId, Diagnostic, Event, PlanDigest, RunId, RunState},
    store::RunDigest,
    web::{
        Web,
        access::{Maintain, OfDelivery},
        delivery,
    },
};

/// What a delivery would do now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DryRun)]
pub(super) struct Foreseen {
    delivery: DeliveryId,
    #[serde(flatten)]
    outcome: Outcome,
    /// Runs that it has started and would not start now.
    no_longer: Vec<StartedRun>,
}

/// What comes of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "would", rename_all = "lowercase")]
#[schema(as = DryRunOutcome)]
enum Outcome {
    /// Runs start.
    Run {
        /// What happened.
        event: Box<Event>,
        /// One run each.
        flows: Vec<Flow>,
        /// The commit's other flow files.
        unasked: Vec<Unasked>,
    },
    /// These runs are repeated, wholly or in part.
    Rerun {
        /// Which.
        runs: Vec<StartedRun>,
    },
    /// Nothing starts.
    Nothing {
        /// Why.
        reason: String,
    },
    /// It cannot be read.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// It would be tried again later.
    Wait {
        /// What the forge said.
        trouble: String,
    },
}

/// The run that one flow file would be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FlowDraft)]
struct Flow {
    #[schema(example = ".containerops.yml")]
    path: String,
    flow: String,
    /// Queued, or how the run would have ended at once.
    status: RunState,
    /// Why it would have ended at once.
    reason: String,
    diagnostics: Vec<Diagnostic>,
    /// What would run; `null` if the file is broken or leaves the event out.
    #[schema(value_type = Option<std::collections::HashMap<String, Value>>, required = true)]
    plan: Option<Value>,
    plan_digest: PlanDigest,
    /// The plan as a flow file.
    #[schema(required = true)]
    full_form: Option<String>,
    /// The run that the delivery did start of this file.
    #[schema(required = true)]
    started: Option<StartedRun>,
    /// Whether the plan is that run's.
    #[schema(required = true)]
    as_started: Option<bool>,
}

/// A flow file that was not asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnaskedFlow)]
struct Unasked {
    path: String,
    reason: String,
}

/// A run that a delivery has started.
#[derive(Debug, Serialize, ToSchema)]
struct StartedRun {
    id: RunId,
    number: i64,
    flow: String,
    path: String,
    plan_digest: PlanDigest,
    url: String,
}

/// What a delivery would do now: the plans and their digests.
///
/// It starts nothing. The forge is asked for the files.
#[utoipa::path(post, path = "/deliveries/{id}/dry-run", tag = "deliveries", operation_id = "dryRunDelivery", params(("id" = DeliveryId, Path, description = "The delivery's id")), responses((status = 200, description = "What would come of it", body = Foreseen)))]
pub(super) async fn dry_run(OfDelivery { id, .. }: OfDelivery<Maintain>, State(web): State<Web>) -> Answer<Foreseen> {
    let dry_run = delivery::dry_run(&web, id).await?;
    Ok(Json(Foreseen::of(id, dry_run)))
}

impl Foreseen {
    fn of(delivery: DeliveryId, DryRun { would, no_longer, .. }: DryRun) -> Self {
        let outcome = match would {
            Would::Run { event, flows, unasked } => {
                let unasked =
                    unasked.iter().map(|file| Unasked { path: file.path.clone(), reason: file.reason.clone() });
                Outcome::Run {
                    event: Box::new(event.shown()),
                    flows: flows.iter().map(Flow::of).collect(),
                    unasked: unasked.collect(),
                }
            }
            Would::Rerun { runs } => Outcome::Rerun { runs: runs.iter().map(StartedRun::of).collect() },
            Would::Nothing { reason } => Outcome::Nothing { reason },
            Would::Unreadable { reason } => Outcome::Unreadable { reason },
            Would::Wait { trouble } => Outcome::Wait { trouble },
        };
        Self { delivery, outcome, no_longer: no_longer.iter().map(StartedRun::of).collect() }
    }
}

impl Flow {
    fn of(draft: &FlowDraft) -> Self {
        Self {
            path: draft.path.clone(),
            flow: draft.flow.clone(),
            status: draft.state.clone(),
            reason: draft.reason.clone(),
            diagnostics: draft.diagnostics.clone(),
            plan: draft.plan.as_ref().and_then(|plan| serde_json::to_value(plan).ok()),
            plan_digest: draft.digest.clone(),
            full_form: draft.plan.as_ref().map(flow::full_form),
            started: draft.started.as_ref().map(StartedRun::of),
            as_started: draft.is_as_started(),
        }
    }
}

impl StartedRun {
    fn of(run: &RunDigest) -> Self {
        Self {
            id: run.id,
            number: run.number,
            flow: run.flow.clone(),
            path: run.path.clone(),
            plan_digest: run.digest.clone(),
            url: run_url(run.forge, &run.name, run.number),
        }
    }
}
