//! Shows runs on a terminal as they go: every change, every line of every log with its job's name, and how all ended.

mod page;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{
    engine::Engine,
    model::{ActionId, ActionState, Conclusion, JobId, JobState, RunId, Span, Time},
    store::{ActionRow, Change, JobRow, RunRow, RunSummary},
};

use page::{Page, mark};

/// Rows are looked at at least this often.
const LOOK: Duration = Duration::from_millis(500);
/// What an action waits for is worth a line once it has waited for this long.
const WORTH_A_LINE: Duration = Duration::from_secs(2);

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::command) enum Amount {
    /// Nothing at all: somebody else tells.
    Nothing,
    /// How things ended, and the last lines of what failed.
    Ends,
    /// Starts and logs, too, and what is waited for if it takes long.
    Logs,
    /// And whatever is waited for.
    All,
}

/// Prints until all runs have ended; how each did.
pub(in crate::command) async fn until_ended(
    engine: &Engine,
    runs: &[RunSummary],
    amount: Amount,
) -> Result<Vec<Conclusion>> {
    let mut bell = engine.store.bell().listen();
    let mut shown = Shown::new(amount);
    loop {
        let mut ends = Vec::new();
        for run in runs {
            ends.extend(match amount {
                Amount::Nothing => engine.store.read().await?.run(run.id).await?.and_then(|run| run.state.conclusion()),
                Amount::Ends | Amount::Logs | Amount::All => shown.look(engine, run.id).await?,
            });
        }
        if ends.len() == runs.len() {
            return Ok(ends);
        }
        bell.wait(LOOK, |change| matches!(change, Change::Run(_) | Change::Log(_))).await;
    }
}

/// What has been printed.
struct Shown {
    amount: Amount,
    page: Page,
    logs: BTreeMap<JobId, Printed>,
    waits: BTreeMap<ActionId, Wait>,
    ended: BTreeSet<RunId>,
}

#[derive(Default)]
struct Printed {
    offset: u64,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
    started: bool,
    ended: bool,
}

/// What an action waits for.
#[derive(Default)]
struct Wait {
    /// What it says, and since when it was seen to.
    reason: String,
    since: Option<Instant>,
    /// Everything that was printed of it: what comes and goes is told once.
    said: BTreeSet<String>,
    ended: bool,
}

impl Wait {
    /// Whether this is to be printed, now that it is what the action says.
    fn is_worth_a_line(&mut self, reason: &str, amount: Amount) -> bool {
        if self.reason != reason {
            reason.clone_into(&mut self.reason);
            self.since = Some(Instant::now());
        }
        let long_enough = match amount {
            Amount::Nothing | Amount::Ends => false,
            Amount::Logs => self.since.is_some_and(|since| since.elapsed() >= WORTH_A_LINE),
            Amount::All => true,
        };
        !reason.is_empty() && long_enough && self.said.insert(reason.to_owned())
    }
}

/// One look at a run.
struct Seen {
    run: RunRow,
    actions: Vec<(ActionRow, Vec<Attempt>)>,
}

/// The jobs of one attempt, which is counted from 1.
struct Attempt {
    number: usize,
    jobs: Vec<JobRow>,
}

impl Seen {
    async fn read(engine: &Engine, id: RunId) -> Result<Self> {
        let mut tx = engine.store.read().await?;
        let run = tx.run(id).await?.context("the run is gone")?;
        let mut actions = Vec::new();
        for action in tx.actions(id).await? {
            let mut attempts = Vec::new();
            for (index, attempt) in tx.attempts(action.id).await?.into_iter().enumerate() {
                attempts.push(Attempt { number: index + 1, jobs: tx.jobs(attempt.id).await? });
            }
            actions.push((action, attempts));
        }
        Ok(Self { run, actions })
    }
}

impl Shown {
    fn new(amount: Amount) -> Self {
        let (logs, waits, ended) = Default::default();
        Self { amount, page: Page::new(), logs, waits, ended }
    }

    async fn look(&mut self, engine: &Engine, id: RunId) -> Result<Option<Conclusion>> {
        let seen = Seen::read(engine, id).await?;
        for (action, attempts) in &seen.actions {
            for attempt in attempts {
                for job in &attempt.jobs {
                    let name = name_of_job(&seen.run, action, job);
                    self.look_at_job(engine, &name, attempt.number, job).await?;
                }
            }
            self.look_at_action(&seen.run, action, attempts)?;
        }
        match seen.run.state.conclusion() {
            Some(conclusion) => self.say_end(&seen, conclusion).map(|()| Some(conclusion)),
            None => Ok(None),
        }
    }

    async fn look_at_job(&mut self, engine: &Engine, name: &str, attempt: usize, job: &JobRow) -> Result<()> {
        let printed = self.logs.entry(job.id).or_default();
        if printed.ended || job.state.0 == JobState::Waiting {
            return Ok(());
        }
        let has_started = job.started.is_some() && !std::mem::replace(&mut printed.started, true);
        if has_started && self.amount != Amount::Ends {
            let again = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            self.page.note(name, "▶", &format!("started{again}"))?;
        }
        while self.amount != Amount::Ends
            && let Some(frame) = engine.frame_at_offset(job.id, printed.offset).await?
        {
            printed.offset = frame.end();
            printed.rest.extend_from_slice(&frame.text);
            self.page.lines(name, &mut printed.rest)?;
        }
        let Some(verdict) = job.state.verdict() else { return Ok(()) };
        printed.ended = true;
        self.page.last_line(name, &mut printed.rest)?;
        let conclusion = verdict.conclusion();
        if self.amount == Amount::Ends && is_bad(conclusion) {
            let mut tail = job.tail.lines.join("\n").into_bytes();
            self.page.last_line(name, &mut tail)?;
        }
        let tests = engine.store.read().await?.tests(job.id).await?.filter(|row| row.files > 0).map(|row| row.tests);
        let has_failed = tests.is_some_and(|tests| tests.failed() > 0);
        if self.amount != Amount::Ends || is_bad(conclusion) || has_failed {
            let tests = tests.map_or_else(String::new, |tests| format!(", {tests}"));
            let words = format!("{verdict}{}{tests}", span(job.started, job.ended));
            self.page.end(name, conclusion, &words)?;
        }
        Ok(())
    }

    /// Says why an action waits, and that one ended which never had a job.
    fn look_at_action(&mut self, run: &RunRow, action: &ActionRow, attempts: &[Attempt]) -> Result<()> {
        let wait = self.waits.entry(action.id).or_default();
        match action.state.0 {
            ActionState::Ended(conclusion) => {
                let is_news = attempts.is_empty() && !std::mem::replace(&mut wait.ended, true);
                if is_news && self.amount != Amount::Ends {
                    let words = words_for(conclusion, &action.reason);
                    self.page.end(&name_of_action(run, action), conclusion, &words)?;
                }
            }
            ActionState::Waiting | ActionState::Queued | ActionState::Running => {
                if wait.is_worth_a_line(&action.reason, self.amount) {
                    self.page.note(&name_of_action(run, action), "…", &action.reason)?;
                }
            }
        }
        Ok(())
    }

    /// A line for each action, if there are several, and one for the run.
    fn say_end(&mut self, seen: &Seen, conclusion: Conclusion) -> Result<()> {
        if !self.ended.insert(seen.run.id) {
            return Ok(());
        }
        if seen.actions.len() > 1 {
            let rows: Vec<_> = seen.actions.iter().map(|(action, _)| summary(&seen.run, action)).collect();
            self.page.table(&rows)?;
        }
        let run = &seen.run;
        let words = words_for(conclusion, &run.reason);
        let line = format!("{} {}: {words}{}", mark(conclusion), run.flow, span(run.started, run.ended));
        self.page.plain(&line, conclusion)
    }
}

/// An action's line in the summary: its conclusion, its name, and words.
fn summary(run: &RunRow, action: &ActionRow) -> (Conclusion, String, String) {
    let conclusion = action.state.conclusion().unwrap_or(Conclusion::Error);
    let words = words_for(conclusion, &action.reason) + &span(action.started, action.ended);
    (conclusion, name_of_action(run, action), words)
}

fn words_for(conclusion: Conclusion, reason: &str) -> String {
    if reason.is_empty() || reason == conclusion.as_str() {
        conclusion.to_string()
    } else {
        format!("{conclusion}: {reason}")
    }
}

fn span(from: Option<Time>, to: Option<Time>) -> String {
    from.zip(to).map(|(from, to)| format!(" in {}", Span(to.since(from)))).unwrap_or_default()
}

const fn is_bad(conclusion: Conclusion) -> bool {
    match conclusion {
        Conclusion::Success | Conclusion::Skipped => false,
        Conclusion::Warning
        | Conclusion::Cancelled
        | Conclusion::Failure
        | Conclusion::TimedOut
        | Conclusion::Error => true,
    }
}

fn at(place: i64) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// `stage.action`, or the one name that both have.
fn name_of_action(run: &RunRow, action: &ActionRow) -> String {
    let stage = run.plan.0.as_ref().and_then(|plan| plan.stages.get(at(action.stage)));
    match stage.and_then(|stage| Some((stage, stage.actions.get(at(action.place))?))) {
        Some((stage, action)) if stage.name == action.name => stage.name.clone(),
        Some((stage, action)) => format!("{}.{}", stage.name, action.name),
        None => action.id.to_string(),
    }
}

/// The action's, with the job's own if that is another one.
fn name_of_job(run: &RunRow, action: &ActionRow, job: &JobRow) -> String {
    let plan = run.plan.0.as_ref();
    let name = name_of_action(run, action);
    let action = plan.and_then(|plan| plan.action(at(action.stage), at(action.place)));
    match action.and_then(|action| Some((action, action.member(at(job.place))?))) {
        Some((action, job)) if action.name == job.name => name,
        Some((action, job)) if name == action.name => format!("{name}.{}.{}", action.name, job.name),
        Some((_, job)) => format!("{name}.{}", job.name),
        None => job.id.to_string(),
    }
}
