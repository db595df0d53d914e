//! One run: its head, what is wrong with its file, and its stages.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use askama::Template;
use axum::response::Response;

use super::{
    Chrome, Failure, JobPlace, Mark, Moment, Place, Route, Took, find_run,
    pause::PauseView,
    queue::WaitingView,
    receivers::{ReceiverView, receivers},
    render,
    rerun::address,
    run_url,
    runs::{event_words, first_line, web_link},
    tested::TestsView,
    timeline::{Extent, TimelineView},
    trigger::{self, LinkView},
    vetting::VettingView,
};
use crate::{
    engine::{self, rerun::carry::ended_well, title::carried_words, worst},
    model::{
        ActionId, ActionPath, ActionPlan, ActionState, Answer, CacheHit, Conclusion, DeliveryId, Diagnostic, Event,
        EventKind, FlowChoice, ForgeKind, JobPath, JobPlan, JobState, Late, Right, Sequencing, Service, Severity, Size,
        Span, StageKind, StagePlan, Time, Trust, What,
    },
    store::{ActionRow, ApprovalRow, CacheUseRow, JobRow, ReportRow, RunRow, Tx},
    web::{Web, access::Granted, log::ansi::Renderer},
};

/// A longer output is cut on the page.
const OUTPUT_SHOWN: usize = 300;

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    chrome: Chrome,
    repository: String,
    repository_url: String,
    url: String,
    mark: Mark,
    ended: bool,
    title: String,
    flow: String,
    number: i64,
    reason: String,
    waiting: Option<WaitingView>,
    event: String,
    event_url: Option<String>,
    sha: String,
    commit_url: Option<String>,
    actor: String,
    trust: String,
    vetting: Option<VettingView>,
    created: Moment,
    took: Option<Took>,
    source_note: String,
    digest: String,
    path: String,
    /// Whether whoever looks may stop it and run it again.
    may_run: bool,
    delivery_url: Option<String>,
    replay_of: Option<DeliveryId>,
    late: Option<Late>,
    cancelled_by: Option<String>,
    repeats: Option<RepeatsView>,
    again: Vec<ButtonView>,
    again_newest: Vec<ButtonView>,
    /// What the forge has not taken: under which name, and why.
    untold: Vec<(String, String)>,
    /// Where the forge shows the states, if not where people look first.
    ways: Vec<String>,
    receivers: Vec<ReceiverView>,
    /// The job that has started it.
    starter: Option<LinkView>,
    diagnostics: Vec<DiagnosticView>,
    stages: Vec<StageView>,
    timeline: TimelineView,
}

/// Which run it repeats, and what of it.
struct RepeatsView {
    words: String,
    url: String,
    by: String,
}

/// Something that can be run again.
struct ButtonView {
    label: &'static str,
    url: String,
}

/// A diagnostic, with its line and a mark below the fault.
#[derive(Template)]
#[template(path = "diagnostic.html")]
pub(super) struct DiagnosticView {
    label: &'static str,
    message: String,
    line: usize,
    column: usize,
    before: String,
    fault: String,
    after: String,
    caret: String,
    hint: Option<String>,
}

struct StageView {
    name: String,
    pause: Option<PauseView>,
    title: String,
    how: &'static str,
    mark: Mark,
    groups: Vec<GroupView>,
}

/// One action, or the cells of one matrix.
struct GroupView {
    matrix: Option<MatrixView>,
    actions: Vec<ActionView>,
}

struct MatrixView {
    name: String,
    cells: usize,
    mark: Mark,
}

struct ActionView {
    name: String,
    title: String,
    mark: Mark,
    reason: String,
    allow_failure: bool,
    took: Option<Took>,
    jobs: Vec<JobView>,
    attempts: Vec<AttemptView>,
    carried: Option<CarriedView>,
    /// What it found of its caches.
    caches: Vec<String>,
    /// Where the button is that runs it again.
    again: Option<String>,
}

/// Where an action ran that was carried over.
struct CarriedView {
    words: String,
    url: String,
}

struct AttemptView {
    number: i64,
    url: String,
    /// How it ended, if it was not the last.
    end: String,
}

struct JobView {
    name: String,
    /// Of a service: how it stands.
    service: Option<String>,
    image: String,
    mark: Mark,
    url: Option<String>,
    took: Option<Took>,
    outputs: Vec<(String, String)>,
    tests: Option<TestsView>,
    artifacts: Vec<ArtifactView>,
    /// The run that it has started.
    started: Option<LinkView>,
    /// As HTML.
    tail: Vec<String>,
}

/// What a job has left.
struct ArtifactView {
    name: String,
    /// `None`: it has expired.
    url: Option<String>,
    size: Size,
}

/// How many of a failed job's last lines the run shows: they say why, or the log does.
const TAIL_SHOWN: usize = 12;

/// Where the views are made: the run's route and the present, and the runs whose actions were carried over.
struct Making<'a> {
    web: &'a Web,
    of: &'a Granted,
    route: &'a Route,
    run: u64,
    now: Time,
    ended: bool,
    carried: BTreeMap<ActionId, i64>,
}

/// `GET …/runs/{n}`.
pub(super) async fn page(web: &Web, of: &Granted, route: &Route, number: u64) -> Result<Response, Failure> {
    let mut tx = web.engine.store.read().await?;
    let (repository, run) = find_run(&mut tx, route, number).await?;
    let waiting = engine::waiting(&mut tx, &run).await?.map(|waiting| WaitingView::new(&waiting, route));
    let late = tx.late(run.delivery_id).await?;
    let carried = tx.carried_over(run.id).await?;
    let replay_of = tx.replay_of(&run).await?;
    let reports = tx.reports(run.repository_id, &run.sha).await?;
    let (untold, ways) = (untold(&reports, &run), ways(web, route.forge, &reports, &run));
    let receivers = receivers(&mut tx, run.id).await?;
    let starter = trigger::starter(web, of, &mut tx, &run).await?;
    let (may_run, keeps) = (of.may(Right::Run), of.may(Right::Maintain));
    let ended = run.state.conclusion().is_some();
    let making = Making { web, of, route, run: number, now: web.engine.clock.now(), ended, carried };
    let stages = making.stages(&mut tx, &run).await?;
    let timeline = TimelineView::read(&mut tx, route, &run, making.now, Extent::Some).await?;
    let vetting = tx.vetting(run.id).await?.map(|row| VettingView::new(&run, &row, of));
    let repeats = repeats(&mut tx, route, &run).await?;
    let facts = &repository.facts.0;
    let url = run_url(route, number);
    let mark = Mark::from(&run.state.0);
    let title = format!("{}: {} #{} of {}", mark.word, run.flow, run.number, repository.name);
    render(&RunPage {
        chrome: Chrome::new(web, title, &mark).live(ended),
        repository: repository.name.to_string(),
        repository_url: Route { place: Place::Runs, ..route.clone() }.to_string(),
        repeats,
        again: again(&url, &run, FlowChoice::Same),
        again_newest: again(&url, &run, FlowChoice::Newest),
        url,
        mark,
        ended,
        title: first_line(&run.event.title),
        number: run.number,
        event: event_words(&run.event),
        event_url: event_path(&run.event).and_then(|path| web_link(facts, &path)),
        sha: run.sha.short().to_owned(),
        commit_url: commit_path(route.forge, run.sha.as_str()).and_then(|path| web_link(facts, &path)),
        actor: run.event.actor.clone(),
        trust: trust_words(&run.event.trust),
        vetting,
        created: Moment(run.created),
        took: Took::of(run.started, run.ended, making.now),
        digest: run.digest.to_string(),
        may_run,
        delivery_url: run.delivery_id.filter(|_| keeps).map(|id| format!("/deliveries/{id}")),
        untold,
        ways,
        receivers,
        starter,
        replay_of: replay_of.filter(|_| keeps),
        late,
        diagnostics: run.diagnostics.iter().map(DiagnosticView::from).collect(),
        stages,
        timeline,
        flow: run.flow,
        // what it waits for says more
        reason: if waiting.is_some() { String::new() } else { run.reason },
        waiting,
        source_note: run.source_note,
        path: run.path,
        cancelled_by: run.cancelled_by,
    })
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

impl Making<'_> {
    async fn stages(&self, tx: &mut Tx, run: &RunRow) -> Result<Vec<StageView>, Failure> {
        let Some(plan) = &run.plan.0 else { return Ok(Vec::new()) };
        let rows = tx.actions(run.id).await?;
        let approvals = tx.approvals(run.id).await?;
        let mut stages = Vec::with_capacity(plan.stages.len());
        for (at, stage) in plan.stages.iter().enumerate() {
            let mut groups: Vec<GroupView> = Vec::with_capacity(stage.actions.len());
            let mut states = Vec::new();
            let mut cells: Vec<&ActionState> = Vec::new();
            for (place, action) in stage.actions.iter().enumerate() {
                let row = rows.iter().find(|row| (row.stage, row.place) == (at as i64, place as i64));
                let Some(row) = row else { continue };
                states.push(&row.state.0);
                let view = self.action(tx, &stage.name, action, row).await?;
                let matrix = action.matrix_name();
                match groups.last_mut() {
                    Some(GroupView { matrix: Some(of), actions }) if matrix == Some(of.name.as_str()) => {
                        cells.push(&row.state.0);
                        (of.cells, of.mark) = (cells.len(), stage_mark(&cells));
                        actions.push(view);
                    }
                    Some(_) | None => {
                        cells = vec![&row.state.0];
                        let of = |name: &str| MatrixView { name: name.to_owned(), cells: 1, mark: stage_mark(&cells) };
                        groups.push(GroupView { matrix: matrix.map(of), actions: vec![view] });
                    }
                }
            }
            let approval = approvals.iter().find(|row| row.stage == at as i64);
            let mark = match (stage.kind, approval) {
                (StageKind::Pause, approval) => pause_mark(approval, run),
                (StageKind::Start | StageKind::Normal | StageKind::End, _) if stage.actions.is_empty() => {
                    Mark::from(&run.state.0)
                }
                (StageKind::Start | StageKind::Normal | StageKind::End, _) => stage_mark(&states),
            };
            let pause = PauseView::new(stage, approval, self.of);
            let (name, title) = (stage.name.clone(), stage.title.clone());
            stages.push(StageView { name, pause, title, how: stage_words(stage), mark, groups });
        }
        Ok(stages)
    }

    async fn action(
        &self,
        tx: &mut Tx,
        stage: &str,
        plan: &ActionPlan,
        row: &ActionRow,
    ) -> Result<ActionView, Failure> {
        let attempts = tx.attempts(row.origin()).await?;
        let job_rows = match attempts.last() {
            Some(attempt) => tx.jobs(attempt.id).await?,
            None => Vec::new(),
        };
        let mut jobs = Vec::with_capacity(plan.jobs.len());
        for (place, job) in plan.members().enumerate() {
            let path = JobPath { stage: stage.to_owned(), action: plan.name.clone(), job: job.name.clone() };
            let found = job_rows.iter().find(|row| row.place == place as i64);
            let view = match found {
                Some(found) => self.job(tx, path, job, found).await?,
                None => unstarted(job, row),
            };
            let service = plan.service(place).map(|service| service_words(service, found));
            jobs.push(JobView { service, ..view });
        }
        let first = plan.jobs.first().map(|job| job.name.clone()).unwrap_or_default();
        let url = self.job_url(JobPath { stage: stage.to_owned(), action: plan.name.clone(), job: first });
        let of_stage = ActionPath { stage: stage.to_owned(), action: plan.name.clone() };
        let again = || address(&run_url(self.route, self.run), &What::Action(of_stage), FlowChoice::Same);
        let mut views = Vec::new();
        for attempt in attempts.iter().filter(|_| attempts.len() > 1) {
            let end = end_of_attempt(&tx.jobs(attempt.id).await?);
            views.push(AttemptView { number: attempt.number, url: format!("{url}?attempt={}", attempt.number), end });
        }
        let took = row.ended.zip(row.started).map(|(ended, started)| ended.since(started));
        let caches = tx.cache_uses(row.origin()).await?.iter().map(|used| cache_words(used, took)).collect();
        let said_below = jobs.iter().any(|job| job.mark.word == row.reason);
        Ok(ActionView {
            name: plan.shown(),
            title: plan.title.clone(),
            mark: Mark::from(&row.state.0),
            reason: if said_below { String::new() } else { row.reason.clone() },
            caches,
            allow_failure: plan.allow_failure,
            took: Took::of(row.started, row.ended, self.now),
            jobs,
            carried: self.carried.get(&row.id).map(|&number| CarriedView {
                words: carried_words(number),
                url: run_url(self.route, number.cast_unsigned()),
            }),
            again: (self.ended && self.of.may(Right::Run)).then(again),
            attempts: views,
        })
    }

    async fn job(&self, tx: &mut Tx, path: JobPath, plan: &JobPlan, row: &JobRow) -> Result<JobView, Failure> {
        let shown = |value: &str| -> String { value.chars().take(OUTPUT_SHOWN).collect() };
        let outputs = tx.outputs(row.id).await?;
        let last = &row.tail.lines[row.tail.lines.len().saturating_sub(TAIL_SHOWN)..];
        let artifacts = tx.artifacts(row.id).await?.into_iter().map(|artifact| ArtifactView {
            url: artifact.bundle_id.map(|_| self.artifact_url(path.clone(), &artifact.name)),
            size: Size(artifact.length.cast_unsigned()),
            name: artifact.name,
        });
        Ok(JobView {
            artifacts: artifacts.collect(),
            tests: TestsView::read(tx, row.id).await?,
            started: if plan.trigger.is_some() { trigger::started(self.web, self.of, tx, row.id).await? } else { None },
            name: plan.name.clone(),
            service: None,
            image: plan.shown(),
            mark: Mark::from(&row.state.0),
            url: (row.started.is_some() || row.log_length > 0).then(|| self.job_url(path)),
            took: Took::of(row.started, row.ended, self.now),
            outputs: outputs.iter().map(|output| (output.name.clone(), shown(&output.value))).collect(),
            tail: last.iter().map(|line| html(line)).collect(),
        })
    }

    fn artifact_url(&self, path: JobPath, name: &str) -> String {
        Route { place: Place::Artifact(self.run, path, name.to_owned()), ..self.route.clone() }.to_string()
    }

    fn job_url(&self, path: JobPath) -> String {
        Route { place: Place::Job(self.run, path, JobPlace::Page), ..self.route.clone() }.to_string()
    }
}

/// What an action found of a cache, and how much shorter it was than one that found nothing.
fn cache_words(used: &CacheUseRow, took: Option<Duration>) -> String {
    let CacheUseRow { name, hit, length, miss_ms, .. } = used;
    if hit == CacheHit::Miss.as_str() {
        return format!("{name}: missed");
    }
    let how = if hit == CacheHit::Exact.as_str() { "hit" } else { "hit, of another key" };
    let miss = miss_ms.map(|ms| Duration::from_millis(ms.cast_unsigned()));
    let saved = miss.zip(took).and_then(|(miss, took)| miss.checked_sub(took)).filter(|saved| !saved.is_zero());
    let saved = saved.map_or_else(String::new, |saved| format!(", {} saved", Span(saved)));
    format!("{name}: {how}, {}{saved}", Size(length.cast_unsigned()))
}

/// What the forge has not taken of this run's reports, and why. A newer run of the commit speaks for itself.
fn untold(reports: &[ReportRow], run: &RunRow) -> Vec<(String, String)> {
    let of_run = reports.iter().filter(|row| row.generation == run.id && !row.trouble.is_empty());
    of_run.map(|row| (row.context.0.clone(), row.trouble.clone())).collect()
}

/// Where the forge shows this run's states, each way once.
fn ways(web: &Web, forge: ForgeKind, reports: &[ReportRow], run: &RunRow) -> Vec<String> {
    let Some(forge) = web.engine.forges.get(&forge) else { return Vec::new() };
    let known = reports.iter().filter(|row| row.generation == run.id).filter_map(|row| row.known.as_deref());
    let ways: BTreeSet<String> = known.filter_map(|known| forge.way(known)).collect();
    ways.into_iter().collect()
}

/// Whatever a job printed, without what it would do to the page.
fn html(line: &str) -> String {
    Renderer::default().line(line.as_bytes())
}

/// What a service is, and whether jobs can use it.
fn service_words(service: &Service, row: Option<&JobRow>) -> String {
    let took = |row: &JobRow| Some(row.ready?.since(row.started?));
    match row {
        Some(row) if row.ready.is_some() => {
            format!("service, ready after {}", Span(took(row).unwrap_or_default()))
        }
        Some(row) if row.state.0 == JobState::Running => format!("service, waits for {}", service.ready.check),
        Some(_) | None => "service".to_owned(),
    }
}

/// A job of an action that has no attempt.
fn unstarted(job: &JobPlan, action: &ActionRow) -> JobView {
    let mark = match &action.state.0 {
        ActionState::Ended(_) => Mark { label: "skipped", word: "not started".to_owned() },
        ActionState::Waiting | ActionState::Queued | ActionState::Running => Mark::from(&action.state.0),
    };
    let (name, image) = (job.name.clone(), job.shown());
    let (outputs, artifacts, tail) = (Vec::new(), Vec::new(), Vec::new());
    let (url, took, started, tests) = (None, None, None, None);
    JobView { name, service: None, image, mark, url, took, outputs, tests, artifacts, started, tail }
}

/// A stage is as its actions are together.
fn stage_mark(states: &[&ActionState]) -> Mark {
    let ends: Vec<Conclusion> = states.iter().filter_map(|state| state.conclusion()).collect();
    if ends.len() == states.len() {
        return Mark::from(&ActionState::Ended(worst(ends)));
    }
    let some = |wanted: &ActionState| states.contains(&wanted);
    let state = if some(&ActionState::Running) || !ends.is_empty() {
        ActionState::Running
    } else if some(&ActionState::Queued) {
        ActionState::Queued
    } else {
        ActionState::Waiting
    };
    Mark::from(&state)
}

/// A stage that waits for people is as they have answered.
fn pause_mark(row: Option<&ApprovalRow>, run: &RunRow) -> Mark {
    let ended = run.state.conclusion().is_some();
    let (label, word) = match row.map(|row| row.answer.as_ref().map(|answer| answer.0)) {
        None if ended => ("skipped", "not asked"),
        None => ("waiting", "waiting"),
        Some(None) => ("queued", "waits for approval"),
        Some(Some(Answer::Approved)) => ("success", "approved"),
        Some(Some(Answer::Rejected)) => ("failure", "rejected"),
        Some(Some(Answer::Expired)) => ("timed_out", "approval expired"),
        Some(Some(Answer::Withdrawn)) => ("cancelled", "withdrawn"),
    };
    Mark { label, word: word.to_owned() }
}

fn stage_words(stage: &StagePlan) -> &'static str {
    match (stage.kind, stage.sequencing, stage.actions.len()) {
        (StageKind::Start, ..) => "start of the flow",
        (StageKind::End, ..) => "end of the flow",
        (StageKind::Pause, ..) => "waits for a person",
        (StageKind::Normal, _, 0 | 1) => "",
        (StageKind::Normal, Sequencing::Parallel, _) => "all at once",
        (StageKind::Normal, Sequencing::Sequence, _) => "one after another",
    }
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

/// The words for how an attempt ended that another followed.
fn end_of_attempt(jobs: &[JobRow]) -> String {
    let bad = |job: &JobRow| job.state.verdict().filter(|end| !end.conclusion().lets_go_on()).cloned();
    jobs.iter().find_map(bad).map_or_else(String::new, |end| end.to_string())
}

impl From<&Diagnostic> for DiagnosticView {
    fn from(d: &Diagnostic) -> Self {
        let at = d.column.saturating_sub(1);
        let part = |skip: usize, take: usize| d.source.chars().skip(skip).take(take).collect::<String>();
        // tabs stay tabs, so that the caret stands under its character
        let blank: String = part(0, at).chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        Self {
            label: match d.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: d.message.clone(),
            line: d.line,
            column: d.column,
            before: part(0, at),
            fault: part(at, d.length),
            after: part(at + d.length, usize::MAX),
            caret: format!("{blank}{}", "^".repeat(d.length.clamp(1, 200))),
            hint: d.hint.clone(),
        }
    }
}
