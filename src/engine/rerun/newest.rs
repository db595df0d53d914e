//! Once more, by the newest flow file. The forge must be asked for that, and no request that people wait for asks a
//! forge: the wish becomes a row among the deliveries, durable before it is answered, and intake does the rest, as
//! patiently as with a webhook.

use serde::{Deserialize, Serialize};

use super::{Refusal, Repeat, Unwilling, allowed};
use crate::{
    engine::{
        Engine, EngineError, Result,
        circumstances::circumstances,
        draft::{Drafted, Vet, draft_one},
        tell,
        trust::digest,
    },
    executor::Executor,
    flow::{self, Given},
    forge::{FlowFile, Forge, ForgeError},
    model::{
        Admission, Conclusion, Context, DeliveryId, DeliveryState, Event, EventKind, ExternalId, FlowFrom, FlowSource,
        Grants, Plan, Progress, PullRequest, Rank, Repeats, Report, Rerun, RunId, Wish,
    },
    store::{DeliveryRow, NewDelivery, NewReport, RunRow, Taken, Tx},
};

/// The event of a delivery that is a wish of ours. No forge has one of this name, and a delivery with it is not taken.
pub const EVENT: &str = "rerun";
/// Stands where the forge's hook does.
const HOOK: &str = "containerops";

/// The body of such a delivery.
#[derive(Serialize, Deserialize)]
struct Asked {
    run: RunId,
    #[serde(flatten)]
    wish: Wish,
}

/// A re-run with what the forge said of it.
pub(in crate::engine) struct Newest {
    pub(in crate::engine) run: RunId,
    wish: Wish,
    found: Found,
    /// The button that asks for it; `None`: it was asked for here.
    pub(in crate::engine) button: Option<Rerun>,
}

enum Found {
    Draft(Box<Drafted>, FlowSource),
    /// There is none, for this reason.
    Nothing(String),
}

impl Engine {
    /// Keeps the wish for intake.
    pub(super) async fn ask_for_newest(&self, tx: &mut Tx, run: &RunRow, wish: &Wish) -> Result<DeliveryId, Unwilling> {
        allowed(tx, run, wish).await?;
        let (now, broken) = (self.now(), |error: String| Unwilling::Engine(EngineError::Broken(error)));
        let body = serde_json::to_vec(&Asked { run: run.id, wish: wish.clone() });
        let new = NewDelivery {
            forge: run.event.repository.forge,
            hook: HOOK.to_owned(),
            delivery: DeliveryId::mint(now).to_string(),
            event: EVENT.to_owned(),
            headers: Vec::new(),
            body: body.map_err(|error| broken(error.to_string()))?.into(),
            received: now,
            state: DeliveryState::Pending,
        };
        tx.ring(crate::store::Change::Delivery);
        match tx.insert_delivery(&new).await? {
            Taken::New(id) => {
                tx.delivery_is_about(id, &run.event.repository.name).await?;
                Ok(id)
            }
            Taken::Again => Err(broken("two wishes have one id".to_owned())),
        }
    }

    /// What the forge says to a wish that was kept. `None`: this is none, or its run is gone.
    pub(in crate::engine) async fn asked(&self, delivery: &DeliveryRow) -> Result<Option<Newest>, ForgeOr> {
        let Ok(Asked { run, wish }) = serde_json::from_slice(&delivery.body) else { return Ok(None) };
        self.newest(run, wish, None).await
    }

    /// Asks the forge for a run's newest flow file.
    pub(in crate::engine) async fn newest(
        &self,
        id: RunId,
        wish: Wish,
        button: Option<Rerun>,
    ) -> Result<Option<Newest>, ForgeOr> {
        let run = self.store.read().await.map_err(EngineError::from)?.run(id).await.map_err(EngineError::from)?;
        let Some(run) = run else { return Ok(None) };
        let Some(forge) = self.forges.get(&run.event.repository.forge) else { return Ok(None) };
        let found = find(forge.as_ref(), &run, self.executor.as_ref()).await?;
        Ok(Some(Newest { run: id, wish, found, button }))
    }

    /// Writes the run, as part of its delivery.
    pub(in crate::engine) async fn write_newest(
        &self,
        tx: &mut Tx,
        delivery: DeliveryId,
        new: &Newest,
    ) -> Result<RunId, Unwilling> {
        let gone = || EngineError::Broken(format!("there is no run {}", new.run));
        let run = tx.run(new.run).await?.ok_or_else(gone)?;
        allowed(tx, &run, &new.wish).await?;
        let (draft, source) = match &new.found {
            Found::Draft(draft, source) => (draft, source),
            Found::Nothing(reason) => return Err(Refusal::NoFlowFile(reason.clone()).into()),
        };
        let wish = new.wish.clone();
        let repeats = Repeats { what: wish.what, newest: Some(source.clone()), by: wish.by };
        // nobody has granted anything to a file that nobody has seen
        let grants = run.event.trusted().map_or_else(Grants::none, |event| Grants::of(event, &draft.wants));
        let repeat = Repeat { run: &run, repeats, draft, grants, delivery: Some(delivery) };
        let id = self.write_repeat(tx, &repeat).await?;
        self.close_contexts(tx, &run, id, draft).await?;
        Ok(id)
    }

    /// What the newest file does not have any more must not stay red for ever.
    async fn close_contexts(&self, tx: &mut Tx, run: &RunRow, new: RunId, draft: &Drafted) -> Result<()> {
        let (Some(before), Some(plan)) = (&run.plan.0, &draft.plan) else { return Ok(()) };
        let suffix = run.event.context_suffix();
        let known = contexts(&draft.flow, suffix, plan);
        let now = self.now();
        let url = tell::run_url(&self.settings.public_url, &run.event.repository, tx.run_number(new).await?);
        for context in contexts(&run.flow, suffix, before).iter().filter(|context| !known.contains(context)) {
            let report = Report {
                progress: Progress::Done(Conclusion::Skipped),
                title: "Skipped: the newest flow file does not have it".to_owned(),
                summary: format!("[The run by the newest flow file]({url})\n"),
                url: url.clone(),
                external_id: ExternalId { run: new, action: None }.to_string(),
                buttons: Vec::new(),
                started: None,
                ended: Some(now),
                annotations: Vec::new(),
            };
            let (repository, sha, rank) = (run.repository_id, &run.sha, Rank::Action);
            tx.want(&NewReport { repository, sha, context, generation: new, report: &report, rank, now }).await?;
        }
        Ok(())
    }
}

/// A question to the forge went wrong: there, or here.
pub(in crate::engine) enum ForgeOr {
    Forge(ForgeError),
    Ours(EngineError),
}

impl From<ForgeError> for ForgeOr {
    fn from(error: ForgeError) -> Self {
        Self::Forge(error)
    }
}

impl From<EngineError> for ForgeOr {
    fn from(error: EngineError) -> Self {
        Self::Ours(error)
    }
}

async fn find(forge: &dyn Forge, run: &RunRow, executor: &dyn Executor) -> Result<Found, ForgeError> {
    let event = &run.event.0;
    let branch = branch_of(event);
    let Some(sha) = forge.branch_head(&event.repository, branch).await? else {
        return Ok(Found::Nothing(format!("branch {branch} is gone, and its newest flow file with it")));
    };
    let files = forge.flow_files(&event.repository, &sha).await?;
    let at = format!("commit {}, the newest of {branch},", sha.short());
    let Some(file) = same_flow(files, run) else {
        return Ok(Found::Nothing(format!("{at} has neither {} nor another flow file `{}`", run.path, run.flow)));
    };
    let circumstances = circumstances(forge, event, std::slice::from_ref(&file)).await?;
    Ok(match draft_one(&file, event, &circumstances, &Given::default(), executor) {
        Ok(mut draft) => {
            draft.vet = event.trusted().is_none().then(|| Box::new(vet(&file)));
            Found::Draft(Box::new(draft), FlowSource { branch: branch.to_owned(), sha })
        }
        Err(reason) => Found::Nothing(format!("by {} at {at} nothing is to run: {reason}", file.path)),
    })
}

/// A newer flow file is none that anybody has approved.
fn vet(file: &FlowFile) -> Vet {
    Vet { admission: Admission::Waits, flow: FlowFrom::Base, digest: digest(file), base: None, head: None }
}

/// The branch whose newest commit has the newest flow file.
fn branch_of(event: &Event) -> &str {
    match &event.kind {
        EventKind::Push { branch }
        | EventKind::Schedule { branch, .. }
        | EventKind::Manual { branch, .. }
        | EventKind::Flow { branch, .. } => branch,
        // whoever opens a pull request from elsewhere does not choose by which file it is run
        EventKind::PullRequest(pull) if event.trusted().is_none() || is_elsewhere(event, pull) => &pull.base,
        EventKind::PullRequest(pull) => &pull.branch,
        EventKind::Tag { .. } | EventKind::MergeGroup { .. } => &event.repository.default_branch,
    }
}

fn is_elsewhere(event: &Event, pull: &PullRequest) -> bool {
    pull.head_repository.as_ref() != Some(&event.repository.name)
}

/// The file at the run's own path, or, if it was moved, the one of the same flow.
fn same_flow(files: Vec<FlowFile>, run: &RunRow) -> Option<FlowFile> {
    let named = |file: &FlowFile| {
        let flow = flow::read(&file.path, &run.event.repository.name, &file.content);
        flow.is_ok_and(|flow| flow.name() == run.flow)
    };
    let at = files.iter().position(|file| file.path == run.path).or_else(|| files.iter().position(named))?;
    files.into_iter().nth(at)
}

/// Every context of a flow.
fn contexts(flow: &str, suffix: &str, plan: &Plan) -> Vec<Context> {
    let of_stage = |stage: &crate::model::StagePlan| -> Vec<Context> {
        stage.actions.iter().map(|action| Context::of_action(flow, suffix, &stage.name, &action.name)).collect()
    };
    let actions = plan.stages.iter().flat_map(of_stage);
    std::iter::once(Context::of_run(flow, suffix)).chain(actions).collect()
}
