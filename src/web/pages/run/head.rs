//! What stands above a run's stages: what it is, who started it and how it stands, and what can be done with it.

use std::collections::BTreeSet;

use super::super::{
    Failure, Kept, Mark, Moment, Place, Route, Took,
    queue::WaitingView,
    receivers::{ReceiverView, receivers},
    rerun::address,
    run_url,
    runs::{event_words, first_line, web_link},
    trigger::{self, LinkView},
    vetting::VettingView,
};
use crate::{
    engine::{self, rerun::carry::ended_well},
    model::{DeliveryId, Event, EventKind, FlowChoice, ForgeKind, Late, Right, Time, Trust, What},
    store::{ReportRow, RepositoryRow, RunRow, Tx},
    web::{Web, access::Granted},
};

/// So many names of reports that a forge has not taken are shown: a forge that is away has taken none.
const UNTOLD_NAMES: usize = 3;
/// And so many reasons why.
const UNTOLD_REASONS: usize = 10;

pub(super) struct Head {
    pub(super) repository: String,
    pub(super) repository_url: String,
    pub(super) url: String,
    pub(super) mark: Mark,
    pub(super) ended: bool,
    pub(super) title: String,
    pub(super) flow: String,
    pub(super) number: i64,
    pub(super) reason: String,
    pub(super) waiting: Option<WaitingView>,
    pub(super) event: String,
    pub(super) event_url: Option<String>,
    pub(super) sha: String,
    pub(super) commit_url: Option<String>,
    pub(super) actor: String,
    pub(super) trust: String,
    pub(super) vetting: Option<VettingView>,
    pub(super) created: Moment,
    pub(super) took: Option<Took>,
    pub(super) source_note: String,
    pub(super) digest: String,
    pub(super) path: String,
    /// Whether whoever looks may stop it and run it again.
    pub(super) may_run: bool,
    pub(super) delivery_url: Option<String>,
    pub(super) replay_of: Option<DeliveryId>,
    pub(super) late: Option<Late>,
    pub(super) cancelled_by: Option<String>,
    pub(super) repeats: Option<RepeatsView>,
    pub(super) again: Vec<ButtonView>,
    pub(super) again_newest: Vec<ButtonView>,
    /// What the forge has not taken, by the reasons why.
    pub(super) untold: Vec<UntoldView>,
    /// How many that are.
    pub(super) untold_count: usize,
    /// Where the forge shows the states, if not where people look first.
    pub(super) ways: Vec<String>,
    pub(super) receivers: Vec<ReceiverView>,
    /// Until when its logs and artifacts are kept; empty: for ever.
    pub(super) kept: String,
    /// The job that has started it.
    pub(super) starter: Option<LinkView>,
}

/// Which run it repeats, and what of it.
pub(super) struct RepeatsView {
    pub(super) words: String,
    pub(super) url: String,
    pub(super) by: String,
}

/// Why the forge has not taken some reports.
pub(super) struct UntoldView {
    pub(super) names: Vec<String>,
    /// How many there are besides.
    pub(super) more: usize,
    pub(super) why: String,
}

/// Something that can be run again.
pub(super) struct ButtonView {
    pub(super) label: &'static str,
    pub(super) url: String,
}

impl Head {
    pub(super) async fn read(
        web: &Web,
        of: &Granted,
        route: &Route,
        tx: &mut Tx,
        (repository, run): (&RepositoryRow, &RunRow),
        now: Time,
    ) -> Result<Self, Failure> {
        let waiting = engine::waiting(tx, run).await?.map(|waiting| WaitingView::new(&waiting, route));
        let reports = tx.reports(run.repository_id, &run.sha).await?;
        let untold = untold(&reports, run);
        let keeps = of.may(Right::Maintain);
        let facts = &repository.facts.0;
        let url = run_url(route, run.number.cast_unsigned());
        Ok(Self {
            repository: repository.name.to_string(),
            repository_url: Route { place: Place::Runs, ..route.clone() }.to_string(),
            mark: Mark::from(&run.state.0),
            ended: run.state.conclusion().is_some(),
            title: first_line(&run.event.title),
            flow: run.flow.clone(),
            number: run.number,
            // what it waits for says more
            reason: if waiting.is_some() { String::new() } else { run.reason.clone() },
            waiting,
            event: event_words(&run.event),
            event_url: event_path(&run.event).and_then(|path| web_link(facts, &path)),
            sha: run.sha.short().to_owned(),
            commit_url: commit_path(route.forge, run.sha.as_str()).and_then(|path| web_link(facts, &path)),
            actor: run.event.actor.clone(),
            trust: trust_words(&run.event.trust),
            vetting: tx.vetting(run.id).await?.map(|row| VettingView::new(run, &row, of)),
            created: Moment(run.created),
            took: Took::of(run.started, run.ended, now),
            source_note: run.source_note.clone(),
            digest: run.digest.to_string(),
            path: run.path.clone(),
            may_run: of.may(Right::Run),
            delivery_url: run.delivery_id.filter(|_| keeps).map(|id| format!("/deliveries/{id}")),
            replay_of: tx.replay_of(run).await?.filter(|_| keeps),
            late: tx.late(run.delivery_id).await?,
            cancelled_by: run.cancelled_by.clone(),
            repeats: repeats(tx, route, run).await?,
            again: again(&url, run, FlowChoice::Same),
            again_newest: again(&url, run, FlowChoice::Newest),
            untold_count: untold.iter().map(|one| one.names.len() + one.more).sum(),
            untold,
            ways: ways(web, route.forge, &reports, run),
            receivers: receivers(tx, run.id).await?,
            kept: Kept::of(&web.engine, tx, run).await?.map(|kept| kept.words).unwrap_or_default(),
            starter: trigger::starter(web, of, tx, run).await?,
            url,
        })
    }
}

async fn repeats(tx: &mut Tx, route: &Route, run: &RunRow) -> Result<Option<RepeatsView>, Failure> {
    let (Some(repeats), Some(repeated)) = (&run.repeats, run.rerun_of) else { return Ok(None) };
    let number = tx.run_number(repeated).await?;
    let url = run_url(route, number.cast_unsigned());
    Ok(Some(RepeatsView { words: repeats.words(number), url, by: repeats.by.clone() }))
}

/// What of a run can be asked for once more.
fn again(url: &str, run: &RunRow, flow: FlowChoice) -> Vec<ButtonView> {
    let failed = run.state.conclusion().is_some_and(|end| !ended_well(end)) && run.plan.is_some();
    let everything = ButtonView { label: "Run again", url: address(url, &What::Everything, flow) };
    let failed = failed.then(|| ButtonView { label: "Run failed again", url: address(url, &What::Failed, flow) });
    failed.into_iter().chain([everything]).collect()
}

/// What the forge has not taken of this run's reports, and why. A newer run of the commit speaks for itself.
fn untold(reports: &[ReportRow], run: &RunRow) -> Vec<UntoldView> {
    let mut all: Vec<UntoldView> = Vec::new();
    for row in reports.iter().filter(|row| row.generation == run.id && !row.trouble.is_empty()) {
        let name = row.context.0.clone();
        let has_room = all.len() < UNTOLD_REASONS;
        match all.iter_mut().find(|one| one.why == row.trouble) {
            Some(one) if one.names.len() < UNTOLD_NAMES => one.names.push(name),
            Some(one) => one.more += 1,
            None if has_room => {
                all.push(UntoldView { names: vec![name], more: 0, why: row.trouble.clone() });
            }
            None => {}
        }
    }
    all
}

/// Where the forge shows this run's states, each way once.
fn ways(web: &Web, forge: ForgeKind, reports: &[ReportRow], run: &RunRow) -> Vec<String> {
    let Some(forge) = web.engine.forges.get(&forge) else { return Vec::new() };
    let known = reports.iter().filter(|row| row.generation == run.id).filter_map(|row| row.known.as_deref());
    let ways: BTreeSet<String> = known.filter_map(|known| forge.way(known)).collect();
    ways.into_iter().collect()
}

fn trust_words(trust: &Trust) -> String {
    match trust {
        Trust::Trusted => "trusted".to_owned(),
        Trust::Untrusted(reason) => format!("untrusted: the code {reason}"),
    }
}

/// The commit's page under the repository's.
fn commit_path(forge: ForgeKind, sha: &str) -> Option<String> {
    match forge {
        ForgeKind::Github | ForgeKind::Gitea => Some(format!("/commit/{sha}")),
        ForgeKind::Gitlab => Some(format!("/-/commit/{sha}")),
        ForgeKind::Git => None,
    }
}

/// The pull request's page under the repository's.
fn event_path(event: &Event) -> Option<String> {
    match (&event.kind, event.repository.forge) {
        (EventKind::PullRequest(pull), ForgeKind::Github) => Some(format!("/pull/{}", pull.number)),
        (EventKind::PullRequest(pull), ForgeKind::Gitea) => Some(format!("/pulls/{}", pull.number)),
        (EventKind::PullRequest(pull), ForgeKind::Gitlab) => Some(format!("/-/merge_requests/{}", pull.number)),
        (EventKind::PullRequest(_), ForgeKind::Git)
        | (EventKind::Push { .. } | EventKind::Tag { .. } | EventKind::MergeGroup { .. }, _)
        | (EventKind::Schedule { .. } | EventKind::Manual { .. } | EventKind::Flow { .. }, _) => None,
    }
}
