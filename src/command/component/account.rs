//! What became of a component: read from the rows of its run, and printed for people or programs.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::{
    agent::cout::{Finder, Unfinished},
    engine::Engine,
    model::Verdict,
    store::{JobRow, RunSummary},
};

/// All of it.
pub(super) struct Account {
    verdict: Option<Verdict>,
    reason: String,
    seconds: Option<f64>,
    log: Vec<u8>,
    outputs: BTreeMap<String, String>,
    events: Vec<(String, String)>,
}

/// Reads it, once the run has ended.
pub(super) async fn read(engine: Engine, runs: Vec<RunSummary>) -> Result<Account> {
    let mut tx = engine.store.read().await?;
    let [run] = runs.as_slice() else { bail!("there is no run") };
    let action = tx.actions(run.id).await?.into_iter().next().context("the run has no action")?;
    let mut jobs = Vec::new();
    for attempt in tx.attempts(action.id).await? {
        jobs.extend(tx.jobs(attempt.id).await?);
    }
    let reason = action.reason;
    let Some(job) = jobs.pop() else {
        let (seconds, log, outputs, events) = Default::default();
        return Ok(Account { verdict: None, reason, seconds, log, outputs, events });
    };
    let written = tx.outputs(job.id).await?;
    let events = tx.all_events(job.id).await?;
    drop(tx);
    let log = log_of(&engine, &job).await?;
    let mut outputs = found_in(&log);
    outputs.extend(written.into_iter().map(|output| (output.name, output.value)));
    let seconds = job.started.zip(job.ended).map(|(from, to)| to.since(from).as_secs_f64());
    Ok(Account { verdict: job.state.verdict().cloned(), reason, seconds, log, outputs, events })
}

async fn log_of(engine: &Engine, job: &JobRow) -> Result<Vec<u8>> {
    let (mut log, mut offset) = (Vec::new(), 0);
    while let Some(frame) = engine.frame_at_offset(job.id, offset).await? {
        offset = frame.end();
        log.extend_from_slice(&frame.text);
    }
    Ok(log)
}

/// Every output in a log, whatever its name.
fn found_in(log: &[u8]) -> BTreeMap<String, String> {
    let mut finder = Finder::of_all();
    let mut unfinished = Unfinished::default();
    finder.read(&mut unfinished, log);
    finder.end(&mut unfinished);
    finder.into_outputs()
}

impl Account {
    /// What the log did not say already.
    pub(super) fn print(&self) -> Result<()> {
        let mut text = String::new();
        for (name, value) in &self.outputs {
            text.push_str(&format!("output  {name} = {value}\n"));
        }
        for (name, body) in &self.events {
            text.push_str(&format!("event   {name} {body}\n"));
        }
        io::stdout().write_all(text.as_bytes()).context("standard output is closed")
    }

    /// One object.
    pub(super) fn print_json(&self, image: &str) -> Result<()> {
        // a body is JSON mostly, and else a text
        let event = |(name, body): &(String, String)| json!({"name": name, "body": serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.clone()))});
        let object = json!({
            "image": image,
            "conclusion": self.verdict.as_ref().map(|verdict| verdict.conclusion().as_str()),
            "verdict": self.verdict,
            "words": self.verdict.as_ref().map_or_else(|| self.reason.clone(), ToString::to_string),
            "seconds": self.seconds,
            "outputs": self.outputs,
            "events": self.events.iter().map(event).collect::<Vec<_>>(),
            "log": String::from_utf8_lossy(&self.log),
        });
        writeln!(io::stdout(), "{object:#}").context("standard output is closed")
    }
}
