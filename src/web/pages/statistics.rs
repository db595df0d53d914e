//! `GET /{forge}/{repository}/statistics`: how its runs went, as numbers, charts and tables.

use askama::Template;
use axum::{http::Uri, response::Response};

use super::{Chrome, Failure, Mark, Place, Route, query, render};
use crate::web::{
    Web,
    access::Granted,
    chart::Chart,
    filter::address,
    statistics::{Asked, Job, Spread, Statistics, StatisticsQuery, Window, charts, gather, rate, span},
};

/// So many flows are offered.
const FLOWS: usize = 50;
/// So many jobs stand in a table.
const JOBS: usize = 15;

#[derive(Template)]
#[template(path = "statistics.html")]
struct StatisticsPage {
    chrome: Chrome,
    name: String,
    runs_url: String,
    here: String,
    /// Each with its address, and whether it is this one.
    windows: Vec<(String, String, bool)>,
    days: i64,
    flow: String,
    branch: String,
    default_branch: String,
    flows: Vec<String>,
    facts: Vec<(&'static str, String)>,
    charts: Vec<Chart>,
    rows: Vec<DayRow>,
    /// Of which branches the jobs were counted, in words; `None`: nobody has counted them for that one.
    jobs_of: Option<&'static str>,
    slowest: Vec<JobRow>,
    failing: Vec<JobRow>,
    /// Runs in all, whatever became of them.
    runs: usize,
    is_narrowed: bool,
}

struct DayRow {
    date: String,
    runs: usize,
    succeeded: usize,
    failed: usize,
    took: [String; 3],
    waited: String,
}

struct JobRow {
    job: String,
    flow: String,
    ran: i64,
    failed: i64,
    rate: String,
    flaky: i64,
    mean: String,
    longest: String,
    total: String,
    /// The run in which it failed last, and its page.
    last: Option<(i64, String)>,
}

pub(super) async fn page(web: &Web, of: &Granted, route: &Route, uri: &Uri) -> Result<Response, Failure> {
    let asked = Asked::try_from(query::<StatisticsQuery>(uri)?)?;
    let (row, now) = (&of.repository, web.engine.clock.now());
    let mut tx = web.engine.store.read().await?;
    let found = gather(&mut tx, row, &asked, now).await?;
    let flows = tx.flows_run(row.id, FLOWS).await?;
    drop(tx);
    let runs_url = Route { place: Place::Runs, ..route.clone() }.to_string();
    let of = &found.statistics;
    let rows = of.days.iter().rev().filter(|day| day.ends.runs > 0).map(|day| DayRow {
        date: day.date.clone(),
        runs: day.ends.runs,
        succeeded: day.ends.succeeded,
        failed: day.ends.failed,
        took: spread(day.duration),
        waited: spread(day.queue)[0].clone(),
    });
    render(&StatisticsPage {
        chrome: Chrome::new(web, format!("Statistics of {}", row.name), &Mark::none()),
        name: row.name.to_string(),
        here: uri.path().to_owned(),
        windows: windows(&asked, uri.path()),
        days: asked.window.days(),
        flow: asked.flow.clone().unwrap_or_default(),
        branch: asked.branch.clone().unwrap_or_default(),
        default_branch: row.facts.default_branch.clone(),
        flows,
        facts: facts(&found.statistics),
        charts: charts(of),
        rows: rows.collect(),
        jobs_of: found.jobs_of,
        slowest: table(of.jobs.iter(), &runs_url, |a, b| b.mean.cmp(&a.mean)),
        failing: table(of.jobs.iter().filter(|job| job.failed > 0 || job.flaky > 0), &runs_url, |a, b| {
            (b.failed, b.flaky).cmp(&(a.failed, a.flaky))
        }),
        runs: of.ends.runs,
        is_narrowed: asked.flow.is_some() || asked.branch.is_some(),
        runs_url,
    })
}

fn windows(asked: &Asked, path: &str) -> Vec<(String, String, bool)> {
    let link = |window: Window| {
        let words = format!("{} days", window.days());
        (words, address(path, Asked { window, ..asked.clone() }.fields()), window == asked.window)
    };
    Window::ALL.into_iter().map(link).collect()
}

fn facts(of: &Statistics) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(words) = of.success_rate.map(rate) {
        let counted = of.ends.succeeded + of.ends.failed;
        facts.push(("Success rate", format!("{words}: {} of {counted}", of.ends.succeeded)));
    }
    facts.push(("Runs", of.ends.runs.to_string()));
    let [p50, p90, p99] = spread(of.duration);
    if of.duration.is_some() {
        facts.extend([("Half take up to (p50)", p50), ("90 % up to (p90)", p90), ("99 % up to (p99)", p99)]);
    }
    if of.queue.is_some() {
        let [p50, p90, _] = spread(of.queue);
        facts.push(("Wait to start (p50)", p50));
        facts.push(("Wait to start (p90)", p90));
    }
    facts
}

fn spread(of: Option<Spread>) -> [String; 3] {
    of.map_or_else(|| [0; 3].map(|_| "–".to_owned()), |of| [of.p50, of.p90, of.p99].map(span))
}

fn table<'a>(
    jobs: impl Iterator<Item = &'a Job>,
    runs_url: &str,
    order: impl Fn(&Job, &Job) -> std::cmp::Ordering,
) -> Vec<JobRow> {
    let mut jobs: Vec<&Job> = jobs.collect();
    jobs.sort_by(|a, b| order(a, b));
    jobs.into_iter().take(JOBS).map(|job| job_row(job, runs_url)).collect()
}

fn job_row(job: &Job, runs_url: &str) -> JobRow {
    let words = |ms: i64| span(ms.max(0).cast_unsigned());
    JobRow {
        job: short_name(&job.job),
        flow: job.flow.clone(),
        ran: job.ran,
        failed: job.failed,
        rate: rate(job.failure_rate),
        flaky: job.flaky,
        mean: words(job.mean),
        longest: words(job.longest),
        total: words(job.total),
        last: job.failed_in.map(|number| (number, format!("{runs_url}/runs/{number}"))),
    }
}

/// Where stage, action and job have one name, it is said once.
fn short_name(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [stage, action, job] if stage == action && action == job => (*job).to_owned(),
        [stage, action, job] if stage == action => format!("{stage}/{job}"),
        [stage, action, job] if action == job => format!("{stage}/{job}"),
        _ => path.to_owned(),
    }
}
