//! Where a run's time went: a row for each attempt at an action and below it one for each of its jobs, drawn here, and
//! all of it once more as a table. What is large has a page of its own, and its run says only the sum.

mod axis;
mod bar;

use askama::Template;
use axum::{http::Uri, response::Response};
use serde::Deserialize;

use self::{
    axis::{Tick, ticks},
    bar::{Bar, bars, word},
};
use super::{
    Chrome, Failure, JobPlace, Mark, Place, Route, RunPlace, find_run, query, render, run_url, runs::first_line,
};
use crate::{
    engine::timeline::{JobPhases, OfAttempt, PullTimes, RunTimeline, Summary, now_words, plain_image},
    model::{ActionPlan, JobPath, Phase, PhaseKind, Plan, Size, Span, Time},
    store::{QueuedRow, RunRow, Tx},
    web::Web,
};

/// A run's own page draws no more rows than that.
const DRAWN: usize = 40;
/// More rows say their durations in the table alone.
const SPOKEN: usize = 60;
/// So many rows are on one page.
const ROWS: usize = 120;

/// So many of those that wait are named.
const NOW_SHOWN: usize = 5;
/// So many images that were pulled.
const PULLS_SHOWN: usize = 20;

/// The section of a run's page, and the middle of its own.
#[derive(Template)]
#[template(path = "timeline.html", whitespace = "minimize")]
pub(super) struct TimelineView {
    /// Where the time went, in one sentence; empty: there is none yet.
    words: String,
    total: Span,
    open: bool,
    /// What it waits for now.
    now: Vec<NowView>,
    legend: Vec<LegendView>,
    ticks: Vec<Tick>,
    /// The marks as a path.
    grid: String,
    rows: Vec<RowView>,
    columns: Vec<&'static str>,
    pulls: Vec<String>,
    /// Where all of it is, if it is not here.
    page: Option<String>,
    attempts: usize,
    part: Part,
}

/// Which rows are here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Part {
    first: usize,
    last: usize,
    of: usize,
    /// The parts before and after this one.
    before: Option<usize>,
    after: Option<usize>,
}

/// `?part=2`.
#[derive(Debug, Deserialize)]
struct PartQuery {
    /// Counts from 1.
    #[serde(default)]
    part: usize,
}

/// What an attempt does that does not run yet.
struct NowView {
    name: String,
    words: String,
}

struct LegendView {
    kind: &'static str,
    word: &'static str,
    /// How much of the run's time went into it.
    total: Option<Span>,
}

struct RowView {
    name: String,
    url: Option<String>,
    /// Whether it is of a job, below its action's.
    is_job: bool,
    bars: Vec<Bar>,
    /// What the bars say; empty: only the table does.
    words: String,
    node: String,
    total: Span,
    /// As the table's columns.
    cells: Vec<String>,
}

#[derive(Template)]
#[template(path = "timeline_page.html")]
struct TimelinePage {
    chrome: Chrome,
    repository: String,
    repository_url: String,
    url: String,
    mark: Mark,
    title: String,
    flow: String,
    number: i64,
    timeline: TimelineView,
}

/// `GET …/runs/{n}/timeline`.
pub(super) async fn page(web: &Web, route: &Route, number: u64, uri: &Uri) -> Result<Response, Failure> {
    let PartQuery { part } = query(uri)?;
    let mut tx = web.engine.store.read().await?;
    let (repository, run) = find_run(&mut tx, route, number).await?;
    let timeline = TimelineView::read(&mut tx, route, &run, web.engine.clock.now(), Extent::Part(part)).await?;
    let mark = Mark::from(&run.state.0);
    let title = format!("{}: timeline of {} #{} of {}", mark.word, run.flow, run.number, repository.name);
    render(&TimelinePage {
        chrome: Chrome::new(web, title, &mark).live(run.state.conclusion().is_some()),
        repository: repository.name.to_string(),
        repository_url: Route { place: Place::Runs, ..route.clone() }.to_string(),
        url: run_url(route, number),
        mark,
        title: first_line(&run.event.title),
        flow: run.flow,
        number: run.number,
        timeline,
    })
}

/// How much of a timeline is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// What has room on the run's own page.
    Some,
    /// This part of all of it, counted from 1.
    Part(usize),
}

impl TimelineView {
    /// A run's time up to now.
    pub(super) async fn read(
        tx: &mut Tx,
        route: &Route,
        run: &RunRow,
        now: Time,
        extent: Extent,
    ) -> Result<Self, Failure> {
        let times = RunTimeline::read(tx, run, now).await?;
        let attempts = times.attempts.len() + times.queued.len();
        let whole = times.to.since(times.from);
        let summary = Summary::of(&times.phases);
        let making = Making { route, run, times: &times, now, extent };
        let kinds = making.kinds();
        let rows = if extent == Extent::Some && attempts > DRAWN { Vec::new() } else { making.rows(&kinds) };
        let drawn = match extent {
            Extent::Some => attempts <= DRAWN && rows.len() <= DRAWN,
            Extent::Part(_) => true,
        };
        let (rows, part) = part_of(if drawn { rows } else { Vec::new() }, extent);
        let ticks = ticks(whole);
        let place = Place::Run(run.number.cast_unsigned(), RunPlace::Timeline);
        Ok(Self {
            words: if attempts == 0 { String::new() } else { summary.to_string() },
            total: Span(whole),
            open: times.open,
            now: making.now(),
            legend: kinds.iter().map(|kind| legend(*kind, &summary)).collect(),
            grid: ticks.iter().map(|tick| format!("M{} 0V16", tick.at)).collect(),
            ticks,
            columns: kinds.iter().map(|kind| word(*kind)).collect(),
            rows,
            pulls: if drawn { making.pulls() } else { Vec::new() },
            page: (!drawn).then(|| Route { place, ..route.clone() }.to_string()),
            attempts,
            part,
        })
    }
}

impl TimelineView {
    /// Whether there is nothing to tell yet.
    fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

/// The rows of a part. What a row says is in the table alone if there are many of them.
fn part_of(mut rows: Vec<RowView>, extent: Extent) -> (Vec<RowView>, Part) {
    let of = rows.len();
    if of > SPOKEN {
        rows.iter_mut().for_each(|row| row.words.clear());
    }
    let Extent::Part(wanted) = extent else { return (rows, Part::default()) };
    let starts = starts(&rows.iter().map(|row| row.is_job).collect::<Vec<_>>());
    let at = wanted.max(1).min(starts.len());
    let (first, end) = (starts[at - 1], starts.get(at).copied().unwrap_or(of));
    let (before, after) = ((at > 1).then(|| at - 1), (at < starts.len()).then_some(at + 1));
    let rows = rows.drain(first..end).collect();
    (rows, Part { first: first + 1, last: end, of, before, after })
}

/// Where parts begin. Jobs stay with their action, if it has not too many of them.
fn starts(is_job: &[bool]) -> Vec<usize> {
    let mut starts = vec![0];
    let mut at = 0;
    while at + ROWS < is_job.len() {
        at = (at + 1..=at + ROWS).rev().find(|&row| !is_job[row]).unwrap_or(at + ROWS);
        starts.push(at);
    }
    starts
}

fn legend(kind: PhaseKind, summary: &Summary) -> LegendView {
    let total = summary.0.iter().find(|(one, _)| *one == kind).map(|(_, span)| Span(*span));
    LegendView { kind: kind.as_str(), word: word(kind), total }
}

fn queued_words(row: &QueuedRow, span: Span) -> String {
    let reason = if row.reason.is_empty() { String::new() } else { format!(": {}", row.reason) };
    format!("waits for an attempt for {span}{reason}")
}

/// What views are made of.
struct Making<'a> {
    route: &'a Route,
    run: &'a RunRow,
    times: &'a RunTimeline,
    now: Time,
    extent: Extent,
}

impl Making<'_> {
    fn plan(&self) -> Option<&Plan> {
        self.run.plan.0.as_deref()
    }

    /// The kinds that occur, in the order in which they come.
    fn kinds(&self) -> Vec<PhaseKind> {
        let of_attempts = self
            .times
            .attempts
            .iter()
            .flat_map(|one| one.times.phases.iter().chain(one.times.jobs.iter().flat_map(|job| &job.phases)));
        let asked = self.times.approvals.iter().map(|(_, phase)| phase);
        let queued = self.times.queued.iter().map(|(_, phase)| phase);
        let all: Vec<PhaseKind> = of_attempts.chain(asked).chain(queued).map(|phase| phase.kind).collect();
        PhaseKind::ALL.into_iter().filter(|kind| all.contains(kind)).collect()
    }

    /// What waits now, most of all on something from outside.
    fn now(&self) -> Vec<NowView> {
        let waits = |one: &&OfAttempt| one.times.phases.last().is_some_and(|phase| phase.kind < PhaseKind::Keep);
        let view = |one: &OfAttempt| {
            Some(NowView { name: self.name(one), words: now_words(&one.times, &one.row.reason, self.now)? })
        };
        let queued = self.times.queued.iter().map(|(row, phase)| NowView {
            name: self.action_name(row.stage, row.place),
            words: queued_words(row, Span(phase.span())),
        });
        queued.chain(self.times.attempts.iter().filter(waits).filter_map(view)).take(NOW_SHOWN).collect()
    }

    fn rows(&self, kinds: &[PhaseKind]) -> Vec<RowView> {
        let mut rows = Vec::new();
        let mut approvals = self.times.approvals.iter().peekable();
        let mut queued = self.times.queued.iter().peekable();
        for one in &self.times.attempts {
            let is_before = |(row, _): &&(QueuedRow, Phase)| (row.stage, row.place) < (one.row.stage, one.row.place);
            while let Some((row, phase)) = queued.next_if(is_before) {
                rows.push(self.queued(row, *phase, kinds));
            }
            while let Some((stage, phase)) = approvals.next_if(|(stage, _)| *stage <= one.row.stage) {
                rows.push(self.approval(*stage, *phase, kinds));
            }
            self.attempt(one, kinds, &mut rows);
        }
        rows.extend(queued.map(|(row, phase)| self.queued(row, *phase, kinds)));
        rows.extend(approvals.map(|(stage, phase)| self.approval(*stage, *phase, kinds)));
        rows
    }

    /// What waits for an attempt: why, and for how long.
    fn queued(&self, row: &QueuedRow, phase: Phase, kinds: &[PhaseKind]) -> RowView {
        let view = self.row(self.action_name(row.stage, row.place), None, &[phase], kinds);
        RowView { words: queued_words(row, view.total), ..view }
    }

    fn approval(&self, stage: i64, phase: Phase, kinds: &[PhaseKind]) -> RowView {
        let stage = self.plan().and_then(|plan| plan.stages.get(usize::try_from(stage).ok()?));
        self.row(stage.map_or_else(String::new, |stage| stage.name.clone()), None, &[phase], kinds)
    }

    /// Its row, and those of its jobs if there are several.
    fn attempt(&self, one: &OfAttempt, kinds: &[PhaseKind], rows: &mut Vec<RowView>) {
        let plan = self.action(one.row.stage, one.row.place);
        let is_one = plan.is_none_or(|plan| plan.members().count() < 2);
        let url = plan.filter(|_| is_one).and_then(|plan| self.job_url(one, plan, 0));
        let node = one.times.node.clone().unwrap_or_default();
        rows.push(RowView { node, ..self.row(self.name(one), url, &one.times.phases, kinds) });
        for job in one.times.jobs.iter().filter(|job| !is_one && !job.phases.is_empty()) {
            rows.extend(plan.and_then(|plan| self.job(one, plan, job, kinds)));
        }
    }

    fn job(&self, one: &OfAttempt, plan: &ActionPlan, job: &JobPhases, kinds: &[PhaseKind]) -> Option<RowView> {
        let place = usize::try_from(job.place).ok()?;
        let name = plan.member(place)?.name.clone();
        Some(RowView { is_job: true, ..self.row(name, self.job_url(one, plan, place), &job.phases, kinds) })
    }

    fn row(&self, name: String, url: Option<String>, phases: &[Phase], kinds: &[PhaseKind]) -> RowView {
        let summary = Summary::of(phases);
        let of = |kind: &PhaseKind| summary.0.iter().find(|(one, _)| one == kind).map(|(_, span)| Span(*span));
        RowView {
            name,
            url,
            is_job: false,
            bars: bars(phases, self.times.from, self.times.to),
            words: summary.to_string(),
            node: String::new(),
            total: Span(summary.total()),
            cells: kinds.iter().map(|kind| of(kind).map_or_else(String::new, |span| span.to_string())).collect(),
        }
    }

    /// `stage / action`, and which attempt it was if there were several.
    fn name(&self, one: &OfAttempt) -> String {
        let same = |other: &&OfAttempt| (other.row.stage, other.row.place) == (one.row.stage, one.row.place);
        let name = self.action_name(one.row.stage, one.row.place);
        match self.times.attempts.iter().filter(same).count() {
            0 | 1 => name,
            _ => format!("{name}, attempt {}", one.row.number),
        }
    }

    fn action_name(&self, stage: i64, place: i64) -> String {
        let planned = self.plan().and_then(|plan| plan.stages.get(usize::try_from(stage).ok()?));
        let stage_name = planned.map_or("", |stage| stage.name.as_str());
        let action = self.action(stage, place).map_or_else(String::new, ActionPlan::shown);
        if action == stage_name { action } else { format!("{stage_name} / {action}") }
    }

    fn action(&self, stage: i64, place: i64) -> Option<&ActionPlan> {
        let at = |at: i64| usize::try_from(at).unwrap_or(usize::MAX);
        self.plan()?.action(at(stage), at(place))
    }

    fn job_url(&self, one: &OfAttempt, plan: &ActionPlan, place: usize) -> Option<String> {
        let stage = self.plan()?.stages.get(usize::try_from(one.row.stage).ok()?)?.name.clone();
        one.times.jobs.iter().find(|job| job.place == place as i64 && !job.phases.is_empty())?;
        let path = JobPath { stage, action: plan.name.clone(), job: plan.member(place)?.name.clone() };
        let place = Place::Job(self.run.number.cast_unsigned(), path, JobPlace::Page);
        let url = Route { place, ..self.route.clone() }.to_string();
        // on a page of many they are seen from there
        let run = format!("{}/", run_url(self.route, self.run.number.cast_unsigned()));
        let url =
            if self.extent != Extent::Some { url.strip_prefix(&run).map_or(url.clone(), str::to_owned) } else { url };
        Some(if one.row.number == 1 { url } else { format!("{url}?attempt={}", one.row.number) })
    }

    /// Each image that was pulled, the slowest first.
    fn pulls(&self) -> Vec<String> {
        let of = |one| move |pull| (one, pull);
        let mut all: Vec<(&OfAttempt, &PullTimes)> =
            self.times.attempts.iter().flat_map(|one| one.times.pulls.iter().map(of(one))).collect();
        let span = |pull: &PullTimes| pull.ended.unwrap_or(self.now).since(pull.started);
        all.sort_by_key(|(_, pull)| std::cmp::Reverse(span(pull)));
        let words = |(one, pull): &(&OfAttempt, &PullTimes)| {
            let size = pull.bytes.map_or_else(String::new, |bytes| format!(", {}", Size(bytes)));
            format!("{} in {}{size} for {}", plain_image(&pull.image), Span(span(pull)), self.name(one))
        };
        all.iter().take(PULLS_SHOWN).map(words).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{ROWS, starts};

    #[test]
    fn parts_are_small_and_keep_jobs_with_their_action() {
        let of = |actions: usize, jobs: usize| -> Vec<bool> {
            (0..actions).flat_map(|_| (0..=jobs).map(|row| row > 0)).collect()
        };
        for (rows, expected) in [
            (of(0, 0), vec![0]),
            (of(ROWS, 0), vec![0]),
            (of(ROWS + 1, 0), vec![0, ROWS]),
            (of(100, 3), vec![0, 120, 240, 360]),
            (of(50, 6), vec![0, 119, 238]),
            // one action that has more than fit
            (of(1, 300), vec![0, ROWS, 2 * ROWS]),
        ] {
            assert_eq!(starts(&rows), expected, "{} rows", rows.len());
        }
    }
}
