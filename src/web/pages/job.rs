//! One job's log. It opens where it matters: at the first error of a failed job, at the end of a running one, and at
//! the beginning of one that went well.

use askama::Template;
use axum::{
    http::Uri,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    Chrome, Failure, JobPlace, Mark, Place, Route, Took, find_run,
    mark::Moment,
    query, render,
    rows::{Rows, Shelf, process},
    run_url,
    search::{self, Finding},
    view::View,
};
use crate::{
    engine::whole::{State, Whole},
    model::{JobId, JobPath, JobPlan, JobState, Plan, Problem, Span, Time},
    store::{AttemptRow, JobRow, RunRow, SilenceRow, Tx},
    web::{
        Web,
        log::{ansi::Renderer, outline::Outline, place::Lines, window::WINDOW},
    },
};

/// How many of its agent's silences a job's page shows, the newest.
const SILENCES_SHOWN: i64 = 10;

#[derive(Debug, Default, Deserialize)]
pub(super) struct JobQuery {
    /// Which attempt; the newest without it.
    pub(super) attempt: Option<i64>,
    /// The line to open at, or some lines that are marked.
    pub(super) line: Option<Lines>,
    /// The first line to show.
    from: Option<u64>,
    /// A line whose part is not folded, besides that of the line to open at.
    open: Option<u64>,
    /// `no`: all lines, whatever belongs together.
    folds: Option<String>,
    /// The line behind which the next error is looked for.
    error_after: Option<u64>,
    /// What is looked for.
    #[serde(default)]
    q: String,
    /// Whether that is a regular expression.
    regex: Option<String>,
    /// `day`: times of day before lines, in UTC.
    times: Option<String>,
    /// `no`: long lines are not wrapped.
    wrap: Option<String>,
    /// Whether it opens at its end, whatever there is.
    end: Option<String>,
    /// Of the raw log: whether a browser is to keep it as a file.
    pub(super) download: Option<String>,
}

/// A job that was asked for, with all around it.
pub(super) struct Found {
    pub(super) run: RunRow,
    pub(super) image: String,
    pub(super) attempts: Vec<AttemptRow>,
    pub(super) attempt: i64,
    pub(super) job: JobRow,
    pub(super) silences: Vec<SilenceRow>,
    pub(super) problems: Vec<Problem>,
}

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    chrome: Chrome,
    repository: String,
    repository_url: String,
    run_url: String,
    raw_url: String,
    stream_url: String,
    url: String,
    /// `?attempt=2&`: what further parameters follow.
    query: String,
    attempt: i64,
    /// `open=120&`, for the pages before and after this one.
    opened: String,
    flow: String,
    number: i64,
    stage: String,
    action: String,
    job: String,
    image: String,
    mark: Mark,
    ended: bool,
    took: Option<Took>,
    /// What took how long of it.
    steps: Vec<(&'static str, Span)>,
    attempts: Vec<AttemptView>,
    silences: Vec<(Moment, Option<Moment>)>,
    problems: Vec<ProblemView>,
    fault: Option<u64>,
    /// Behind the line that is shown nothing reads like an error.
    no_more: bool,
    finding: Finding,
    rows: Vec<String>,
    earlier: Option<u64>,
    later: Option<u64>,
    total: u64,
    follow: Option<u64>,
    open_at: Option<u64>,
    /// The lines that somebody has chosen.
    chosen: Option<Lines>,
    /// Somebody has chosen a line that is not there.
    beyond: Option<u64>,
    view: View,
    /// Where the page shows other times, or long lines the other way, for browsers without a script.
    other_times: String,
    other_wrap: String,
    seal: Whole,
}

/// What the log says of a line of a file.
struct ProblemView {
    level: &'static str,
    place: String,
    title: String,
    message: String,
    line: u64,
}

struct AttemptView {
    number: i64,
    url: String,
    current: bool,
}

/// `GET …/{stage}/{action}/{job}`. Of a job that has not started, its run's page tells why.
pub(super) async fn page(web: &Web, route: &Route, run: u64, path: &JobPath, uri: &Uri) -> Result<Response, Failure> {
    let asked: JobQuery = query(uri)?;
    let found = match find(web, route, run, path, asked.attempt).await {
        Err(Failure::NotStarted) => return Ok(Redirect::temporary(&run_url(route, run)).into_response()),
        found => found?,
    };
    let at = |line: u64| redirect(route, run, path, (&asked, &found), line);
    let (fault, next) = (known_fault(web, &found.job).await?, next_fault(web, &asked, found.job.id).await?);
    let finding = asked.looked_for().find(web, found.job.id, asked.first()).await?;
    if let Some(line) = next.or(finding.hits.first.filter(|_| asked.has_no_place())) {
        return Ok(at(line));
    }
    let job = &found.job;
    let failed = job.state.verdict().is_some_and(|verdict| !verdict.conclusion().lets_go_on());
    // where nothing reads like an error, it is likely at the end
    let last = failed.then(|| job.log_lines().cast_unsigned());
    let open_at = asked.first().or(asked.error_after).or(fault).or(last).filter(|_| asked.end.is_none());
    let folds = if asked.is_flat() { Vec::new() } else { web.engine.store.read().await?.folds(job.id).await? };
    let lines = job.log_lines().cast_unsigned();
    let open: Vec<u64> = asked.open.into_iter().chain(open_at).collect();
    let outline = Outline::new(&folds, &open, lines);
    let outline = asked.from.map_or(outline.clone(), |from| outline.beginning_with(from));
    let shown = Shelf::read(web, job.id, &outline, first(&asked, open_at, job, &outline)).await?;
    let marks = Marks { here: asked.line.or(open_at.map(Lines::one)), view: asked.view(), finding };
    let page = LogPage::new(web, route, run, path, (found, marks), shown);
    let beyond = asked.first().filter(|line| *line > lines);
    let chosen = asked.line.filter(|chosen| chosen.first <= lines);
    let place = asked.place();
    let other = |view| format!("{}{place}", parameters(page.attempt, &page.finding.asked, view));
    let (other_times, other_wrap) = (other(page.view.other_times()), other(page.view.other_wrap()));
    let no_more = asked.error_after.is_some();
    // whoever goes on to the next page finds open what is open here
    let opened = asked.open.or(open_at).filter(|_| !folds.is_empty()).map(|line| format!("open={line}&"));
    let opened = opened.unwrap_or_default();
    let open_at = open_at.filter(|_| asked.from.is_none());
    render(&LogPage { fault, no_more, opened, open_at, chosen, beyond, other_times, other_wrap, ..page })
}

/// The line of a failed job's log that people look for. It is known of a sealed log; of others, it is looked for.
pub(in crate::web) async fn known_fault(web: &Web, job: &JobRow) -> Result<Option<u64>, Failure> {
    let failed = job.state.verdict().is_some_and(|verdict| !verdict.conclusion().lets_go_on());
    match &job.log_check {
        _ if !failed => Ok(None),
        Some(check) => Ok(check.fault),
        None => search::fault(web, job.id, 0).await,
    }
}

/// The error behind the line that was asked for.
async fn next_fault(web: &Web, asked: &JobQuery, job: JobId) -> Result<Option<u64>, Failure> {
    match asked.error_after {
        Some(after) => search::fault(web, job, after).await,
        None => Ok(None),
    }
}

/// The page again, at a line: a browser that runs no script goes there by itself.
fn redirect(route: &Route, run: u64, path: &JobPath, of: (&JobQuery, &Found), line: u64) -> Response {
    let (asked, found) = of;
    let url = Route { place: Place::Job(run, path.clone(), JobPlace::Page), ..route.clone() };
    let query = parameters(found.attempt, &asked.looked_for(), asked.view());
    Redirect::to(&format!("{url}{query}line={line}#L{line}")).into_response()
}

/// `?`, and what the page's own links keep: which attempt, what is looked for, and how lines are shown. Of the newest
/// attempt, too, the number is said: whoever is given the link shall see the same lines when there are newer ones.
pub(super) fn parameters(attempt: i64, asked: &search::Asked, view: View) -> String {
    format!("?attempt={attempt}&{}{view}", asked.query())
}

/// What is marked on a page, and how it is shown.
struct Marks {
    here: Option<Lines>,
    view: View,
    finding: Finding,
}

impl JobQuery {
    /// Whether it does not say what to show.
    const fn has_no_place(&self) -> bool {
        self.line.is_none() && self.from.is_none() && self.end.is_none()
    }

    /// Whether nothing is to be folded.
    fn is_flat(&self) -> bool {
        self.folds.as_deref() == Some("no")
    }

    /// What of the log is shown, for links to the same.
    fn place(&self) -> String {
        match (self.from, self.line) {
            (Some(from), _) => format!("from={from}"),
            (None, Some(line)) => format!("line={line}#L{}", line.first),
            (None, None) if self.end.is_some() => "end=1#end".to_owned(),
            (None, None) => String::new(),
        }
    }

    fn first(&self) -> Option<u64> {
        self.line.map(|lines| lines.first)
    }

    pub(super) fn view(&self) -> View {
        View { of_day: self.times.as_deref() == Some("day"), unwrapped: self.wrap.as_deref() == Some("no") }
    }

    pub(super) fn looked_for(&self) -> search::Asked {
        search::Asked { text: self.q.clone(), is_regex: self.regex.is_some() }
    }
}

/// The first line to show: a third of the page comes before the line that people come for.
fn first(asked: &JobQuery, open_at: Option<u64>, job: &JobRow, outline: &Outline) -> u64 {
    let lines = job.log_lines().cast_unsigned();
    let latest = || outline.back(lines + 1, WINDOW);
    match (asked.from, open_at, &job.state.0) {
        (Some(from), ..) => from.clamp(1, lines.max(1)),
        (None, None, _) if asked.end.is_some() => latest(),
        (None, Some(line), _) => outline.back(line, WINDOW / 3).min(latest()),
        (None, None, JobState::Ended(_)) => 1,
        (None, None, JobState::Waiting | JobState::Running) => latest(),
    }
}

impl LogPage {
    /// Whether the server still has to say that the log is what its agent wrote.
    fn is_pending(&self) -> bool {
        self.seal.state == State::Arrived
    }

    fn new(web: &Web, route: &Route, run: u64, path: &JobPath, of: (Found, Marks), shown: Shelf) -> Self {
        let (found, Marks { here, view, finding }) = of;
        let at = |place| Route { place: Place::Job(run, path.clone(), place), ..route.clone() }.to_string();
        let state = &found.job.state.0;
        let (mark, ended) = (Mark::from(state), state.verdict().is_some());
        let raw_url = format!("{}?attempt={}", at(JobPlace::Raw), found.attempt);
        let total = found.job.log_lines().cast_unsigned();
        let (url, query) = (at(JobPlace::Page), parameters(found.attempt, &finding.asked, view));
        let renderer = Renderer::marking(finding.pattern.clone());
        let raw = raw_url.clone();
        let started = found.job.started;
        let mut rows = Rows {
            renderer,
            started,
            raw,
            query: query.clone(),
            here,
            of_day: view.of_day,
            process: process(&found.job),
            // nothing came before the first line but the start
            last: started.filter(|_| shown.earlier.is_none()),
            ..Rows::default()
        };
        let attempt = |number: i64| AttemptView {
            number,
            url: format!("{}?attempt={number}", at(JobPlace::Page)),
            current: number == found.attempt,
        };
        Self {
            chrome: Chrome::new(web, format!("{}: {path}", mark.word), &mark),
            repository: route.repository.to_string(),
            repository_url: Route { place: Place::Runs, ..route.clone() }.to_string(),
            run_url: run_url(route, run),
            raw_url,
            stream_url: at(JobPlace::Stream),
            url,
            query,
            attempt: found.attempt,
            opened: String::new(),
            number: found.run.number,
            stage: path.stage.clone(),
            action: path.action.clone(),
            job: path.job.clone(),
            mark,
            ended,
            took: Took::of(found.job.started, found.job.ended, web.engine.clock.now()),
            steps: steps(&found.job),
            attempts: found.attempts.iter().map(|row| attempt(row.number)).collect(),
            silences: found.silences.iter().map(|row| (Moment(row.since), row.until.map(Moment))).collect(),
            problems: found.problems.into_iter().map(ProblemView::from).collect(),
            fault: None,
            no_more: false,
            finding,
            rows: shown.parts.into_iter().flat_map(|part| rows.of(part)).collect(),
            earlier: shown.earlier,
            later: shown.later,
            total,
            follow: (!ended && shown.later.is_none()).then_some(shown.resume),
            open_at: None,
            chosen: None,
            beyond: None,
            view,
            other_times: String::new(),
            other_wrap: String::new(),
            seal: Whole::of(&found.job),
            flow: found.run.flow,
            image: found.image,
        }
    }
}

/// How long its agent needed before the process started, how long the process ran, and how long its agent needed then.
fn steps(job: &JobRow) -> Vec<(&'static str, Span)> {
    let Some(record) = &job.record else { return Vec::new() };
    let between = |name, from: Option<Time>, to: Option<Time>| Some((name, Span(to?.since(from?))));
    let before = between("prepared in", job.started, record.started);
    let within = between("ran for", record.started, Some(record.ended));
    let after = between("kept in", record.started.and(Some(record.ended)), job.ended);
    [before, within, after].into_iter().flatten().collect()
}

impl From<Problem> for ProblemView {
    fn from(problem: Problem) -> Self {
        let Problem { remark, at } = problem;
        let place = if remark.path.is_empty() { String::new() } else { remark.place() };
        Self { level: remark.severity.as_str(), place, title: remark.title, message: remark.message, line: at }
    }
}

/// The job at this path, of this attempt or the newest.
pub(super) async fn find(
    web: &Web,
    route: &Route,
    number: u64,
    path: &JobPath,
    attempt: Option<i64>,
) -> Result<Found, Failure> {
    let mut tx = web.engine.store.read().await?;
    let (_, run) = find_run(&mut tx, route, number).await?;
    let plan = run.plan.0.as_ref().ok_or(Failure::Missing)?;
    let (stage, action, job) = places(plan, path).ok_or(Failure::Missing)?;
    let image = plan.job(stage, action, job).map(JobPlan::shown).unwrap_or_default();
    let attempts = attempts(&mut tx, &run, (stage, action)).await?;
    if attempts.is_empty() {
        return Err(Failure::NotStarted);
    }
    let chosen = attempts.iter().rfind(|row| attempt.is_none_or(|wanted| wanted == row.number));
    let chosen = chosen.ok_or(Failure::Missing)?;
    let jobs = tx.jobs(chosen.id).await?;
    let job = jobs.into_iter().find(|row| row.place == job as i64).ok_or(Failure::Missing)?;
    let silences = tx.silences(job.id, SILENCES_SHOWN).await?;
    let problems = tx.problems(job.id).await?;
    Ok(Found { image, attempt: chosen.number, attempts, job, run, silences, problems })
}

async fn attempts(tx: &mut Tx, run: &RunRow, place: (usize, usize)) -> Result<Vec<AttemptRow>, Failure> {
    let wanted = (place.0 as i64, place.1 as i64);
    let actions = tx.actions(run.id).await?;
    let action = actions.iter().find(|row| (row.stage, row.place) == wanted).ok_or(Failure::Missing)?;
    Ok(tx.attempts(action.origin()).await?)
}

fn places(plan: &Plan, path: &JobPath) -> Option<(usize, usize, usize)> {
    let stage = plan.stages.iter().position(|stage| stage.name == path.stage)?;
    let actions = &plan.stages[stage].actions;
    let action = actions.iter().position(|action| action.name == path.action)?;
    let job = actions[action].members().position(|job| job.name == path.job)?;
    Some((stage, action, job))
}
