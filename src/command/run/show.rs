//! Shows runs on a terminal as they go: every line of every log with its job's name, and how each ended.

use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{
    engine::Engine,
    model::{Conclusion, JobId, RunId, Span},
    store::{Change, JobRow, RunRow, RunSummary},
};

/// Rows are looked at at least this often.
const LOOK: Duration = Duration::from_millis(500);

/// Prints until all runs have ended; how each did.
pub(super) async fn until_ended(engine: &Engine, runs: &[RunSummary]) -> Result<Vec<Conclusion>> {
    let mut bell = engine.store.bell().listen();
    let mut shown = Shown::default();
    loop {
        let mut ends = Vec::new();
        for run in runs {
            ends.extend(shown.look(engine, run.id).await?);
        }
        if ends.len() == runs.len() {
            return Ok(ends);
        }
        bell.wait(LOOK, |change| matches!(change, Change::Run(_) | Change::Log(_))).await;
    }
}

/// What has been printed.
#[derive(Default)]
struct Shown {
    logs: BTreeMap<JobId, Printed>,
    ended: Vec<String>,
}

#[derive(Default)]
struct Printed {
    offset: u64,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
    ended: bool,
}

impl Shown {
    async fn look(&mut self, engine: &Engine, id: RunId) -> Result<Option<Conclusion>> {
        let mut tx = engine.store.read().await?;
        let run = tx.run(id).await?.context("the run is gone")?;
        let mut jobs = Vec::new();
        for action in tx.actions(id).await? {
            for attempt in tx.attempts(action.id).await? {
                let place = (action.stage, action.place);
                jobs.extend(tx.jobs(attempt.id).await?.into_iter().map(|job| (place, job)));
            }
        }
        drop(tx);
        for (place, job) in jobs {
            let name = name_of(&run, place, &job);
            self.look_at_job(engine, &name, &job).await?;
        }
        match run.state.conclusion() {
            Some(conclusion) => self.say_end(&run, conclusion).map(|()| Some(conclusion)),
            None => Ok(None),
        }
    }

    async fn look_at_job(&mut self, engine: &Engine, name: &str, job: &JobRow) -> Result<()> {
        let printed = self.logs.entry(job.id).or_default();
        while let Some(frame) = engine.frame_at_offset(job.id, printed.offset).await? {
            printed.offset = frame.end();
            printed.rest.extend_from_slice(&frame.text);
            print_lines(name, &mut printed.rest)?;
        }
        if let (Some(verdict), false) = (job.state.verdict(), printed.ended) {
            printed.ended = true;
            if !printed.rest.is_empty() {
                printed.rest.push(b'\n');
                print_lines(name, &mut printed.rest)?;
            }
            let span = job.started.zip(job.ended).map(|(from, to)| format!(" in {}", Span(to.since(from))));
            let line = format!("{verdict}{}\n", span.unwrap_or_default());
            print_lines(&format!("{name} {}", mark(verdict.conclusion())), &mut line.into_bytes())?;
        }
        Ok(())
    }

    fn say_end(&mut self, run: &RunRow, conclusion: Conclusion) -> Result<()> {
        if self.ended.contains(&run.flow) {
            return Ok(());
        }
        self.ended.push(run.flow.clone());
        let reason = if run.reason.is_empty() { String::new() } else { format!(": {}", run.reason) };
        let line = format!("{} {}: {conclusion}{reason}\n", mark(conclusion), run.flow);
        std::io::stdout().write_all(line.as_bytes()).context("standard output is closed")
    }
}

/// Prints all whole lines, and keeps the rest.
fn print_lines(name: &str, text: &mut Vec<u8>) -> Result<()> {
    let Some(end) = memchr::memrchr(b'\n', text) else { return Ok(()) };
    let rest = text.split_off(end + 1);
    let mut out = std::io::stdout().lock();
    for line in text.split_inclusive(|&b| b == b'\n') {
        write!(out, "{} ", paint(name)).and_then(|()| out.write_all(line)).context("standard output is closed")?;
    }
    *text = rest;
    out.flush().context("standard output is closed")
}

fn paint(name: &str) -> String {
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\u{1b}[36m{name}\u{1b}[0m |")
    } else {
        format!("{name} |")
    }
}

const fn mark(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Success => "✔",
        Conclusion::Warning => "!",
        Conclusion::Skipped | Conclusion::Cancelled => "–",
        Conclusion::Failure | Conclusion::TimedOut | Conclusion::Error => "✘",
    }
}

fn name_of(run: &RunRow, place: (i64, i64), job: &JobRow) -> String {
    let at = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
    let stage = run.plan.0.as_ref().and_then(|plan| plan.stages.get(at(place.0)));
    let action = stage.and_then(|stage| stage.actions.get(at(place.1)));
    let named = action.and_then(|action| action.jobs.get(at(job.place)));
    match (stage, action, named) {
        (Some(stage), Some(action), Some(job)) if stage.name == action.name && action.name == job.name => {
            stage.name.clone()
        }
        (Some(stage), Some(action), Some(job)) if action.name == job.name => format!("{}.{}", stage.name, action.name),
        (Some(stage), Some(action), Some(job)) => format!("{}.{}.{}", stage.name, action.name, job.name),
        _ => job.id.to_string(),
    }
}
