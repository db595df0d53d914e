//! Finds text in the logs of a repository, the newest runs first. One request looks for a few seconds and through so many
//! bytes; what it did not come to is left for the next, which goes on where it has stopped.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use serde::Deserialize;

use super::{
    Web,
    filter::word,
    log::{
        ansi,
        search::{Hits, Pattern, Search},
        window::Window,
    },
    pages::{Failure, PATIENCE, Place, Route, turn},
};
use crate::{
    engine::scan::Scanned,
    model::{JobId, JobPath, Plan, RepositoryId, RunId},
    store::{LoggedRow, RunFilter, RunSummary},
    web::pages::JobPlace,
};

/// How long one request looks.
const LOOKS: Duration = Duration::from_secs(4);
/// Through so many bytes at most, as far as whole logs allow.
const BYTES: u64 = 4 << 30;
/// So many logs that have it are enough for one answer.
const ENOUGH: usize = 25;
/// Of one log so many lines are shown, each between this many others.
const LINES: usize = 3;
const AROUND: u64 = 1;
/// So many runs are read at once, and so many logs are looked through side by side.
const RUNS: i64 = 50;
const BESIDE: usize = 4;
/// Nobody looks further back.
const DAYS_MAX: u64 = 36_500;

/// What somebody looks for, as an address has it. What is empty is as good as left out.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Asked {
    /// The text.
    #[serde(default)]
    pub(super) q: String,
    /// Whether that is a regular expression: anything but `false` and `0` says so.
    pub(super) regex: Option<String>,
    /// The branch whose runs count.
    pub(super) branch: Option<String>,
    /// The flow whose runs count.
    pub(super) flow: Option<String>,
    /// The state of runs that count.
    pub(super) state: Option<String>,
    /// How many days back.
    pub(super) days: Option<String>,
    /// Runs before this one: where an earlier answer has stopped.
    pub(super) before: Option<RunId>,
    /// And behind this job of the first of them.
    pub(super) past: Option<JobId>,
}

/// The same, understood.
pub(super) struct Quest {
    pub(super) pattern: Pattern,
    filter: RunFilter,
    days: Option<u64>,
    past: Option<JobId>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Logs that have it, newest runs first.
    pub(super) logs: Vec<FoundLog>,
    /// How many logs were looked through, of how many runs, and how many bytes.
    pub(super) searched: (u64, u64, u64),
    /// How many of these were too long for the time that there was.
    pub(super) partly: u64,
    /// Where to go on, if there is more.
    pub(super) next: Option<Next>,
}

/// Where a search goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Next {
    pub(super) before: Option<RunId>,
    pub(super) past: Option<JobId>,
}

/// A log that has it.
#[derive(Debug)]
pub(super) struct FoundLog {
    pub(super) run: RunSummary,
    pub(super) job: LoggedRow,
    pub(super) path: JobPath,
    /// How many lines have it.
    pub(super) count: u64,
    /// Whether all of the log was looked through.
    pub(super) is_whole: bool,
    pub(super) lines: Vec<FoundLine>,
}

/// A line that has it, and those around.
#[derive(Debug)]
pub(super) struct FoundLine {
    pub(super) number: u64,
    pub(super) around: Vec<(u64, Vec<u8>)>,
}

impl Asked {
    pub(super) fn is_regex(&self) -> bool {
        self.regex.as_deref().is_some_and(|regex| !matches!(regex, "" | "false" | "0"))
    }

    /// Reads it.
    pub(super) fn quest(&self, repository: RepositoryId) -> Result<Quest, Failure> {
        let pattern = Pattern::new(&self.q, self.is_regex());
        let state = match word(self.state.clone())? {
            Some(state) => Some(state.parse().map_err(|error| Failure::Words(format!("{error}")))?),
            None => None,
        };
        let days = match word(self.days.clone())? {
            Some(days) => Some(
                days.parse()
                    .ok()
                    .filter(|days| (1..=DAYS_MAX).contains(days))
                    .ok_or_else(|| Failure::Words(format!("`days` is a number from 1 to {DAYS_MAX}")))?,
            ),
            None => None,
        };
        let filter = RunFilter {
            repository: Some(repository),
            branch: word(self.branch.clone())?,
            flow: word(self.flow.clone())?,
            state,
            before: self.before,
            limit: RUNS,
            ..RunFilter::default()
        };
        let pattern = pattern.map_err(|unfit| Failure::Words(unfit.to_string()))?;
        Ok(Quest { pattern, filter, days, past: self.past })
    }

    /// The address that asks for the same, from there on.
    pub(super) fn address(&self, path: &str, next: Next) -> String {
        let text = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let all = [
            ("q", Some(self.q.clone())),
            ("regex", self.is_regex().then(|| "1".to_owned())),
            ("branch", text(&self.branch)),
            ("flow", text(&self.flow)),
            ("state", text(&self.state)),
            ("days", text(&self.days)),
            ("before", next.before.map(|run| run.to_string())),
            ("past", next.past.map(|job| job.to_string())),
        ];
        super::filter::address(path, all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }
}

impl Quest {
    /// Looks, when it is one's turn.
    pub(super) async fn look(mut self, web: &Web) -> Result<Findings, Failure> {
        let _turn = turn(&web.searches, PATIENCE).await?;
        let until = Instant::now() + LOOKS;
        let oldest = self.days.map(|days| web.engine.clock.now().before(Duration::from_secs(days * 24 * 3600)));
        let mut found = Findings::default();
        loop {
            let runs = web.engine.store.read().await?.runs(&self.filter).await?;
            let is_last = (runs.len() as i64) < RUNS;
            let count = runs.len();
            for (at, run) in runs.into_iter().enumerate() {
                if oldest.is_some_and(|oldest| run.created < oldest) {
                    return Ok(found);
                }
                let before = run.id;
                if let Some(past) = self.of_run(web, run, &mut found, until).await? {
                    found.next = Some(Next { before: self.filter.before, past: Some(past) });
                    return Ok(found);
                }
                self.filter.before = Some(before);
                let has_more = !is_last || at + 1 < count;
                if has_more && found.is_enough(Instant::now(), until) {
                    found.next = Some(Next { before: self.filter.before, past: None });
                    return Ok(found);
                }
            }
            if is_last {
                return Ok(found);
            }
        }
    }

    /// Looks through the logs of a run. `Some`: it has stopped behind this job.
    async fn of_run(
        &self,
        web: &Web,
        run: RunSummary,
        found: &mut Findings,
        until: Instant,
    ) -> Result<Option<JobId>, Failure> {
        let all = web.engine.store.read().await?.logs_of_run(run.id).await?;
        let behind = self.past.and_then(|past| all.iter().position(|job| job.id == past));
        let rest: Vec<LoggedRow> = all.into_iter().skip(behind.map_or(0, |at| at + 1)).collect();
        let last = rest.last().map(|job| job.id);
        found.searched.1 += 1;
        let look = |job: LoggedRow| async move {
            let search = Search { pattern: self.pattern.clone(), at: 0, keep: LINES };
            let scanned = web.engine.scan(job.id, search, Some(until)).await;
            scanned.map(|scanned| (job, scanned))
        };
        let mut looked = std::pin::pin!(stream::iter(rest).map(look).buffered(BESIDE));
        while let Some(one) = looked.next().await {
            let (job, scanned) = one?;
            let id = job.id;
            found.searched.0 += 1;
            found.searched.2 += job.length.cast_unsigned();
            found.partly += u64::from(!scanned.is_whole);
            if scanned.found.count > 0 {
                found.logs.extend(self.found(web, &run, job, scanned).await?);
            }
            if found.is_enough(Instant::now(), until) && Some(id) != last {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    async fn found(
        &self,
        web: &Web,
        run: &RunSummary,
        job: LoggedRow,
        scanned: Scanned<Hits>,
    ) -> Result<Option<FoundLog>, Failure> {
        let row = web.engine.store.read().await?.run(run.id).await?;
        let Some(path) = row.and_then(|row| path(row.plan.0.as_ref()?, &job)) else { return Ok(None) };
        let Scanned { found: hits, is_whole } = scanned;
        let mut lines = Vec::new();
        for hit in &hits.lines {
            let wanted = hit.number.saturating_sub(AROUND).max(1)..hit.number + AROUND + 1;
            let window = Window::read(&web.engine, job.id, wanted).await?;
            let around = window.lines.into_iter().map(|line| (line.number, line.text)).collect();
            lines.push(FoundLine { number: hit.number, around });
        }
        Ok(Some(FoundLog { run: run.clone(), job, path, count: hits.count, is_whole, lines }))
    }
}

impl Findings {
    fn is_enough(&self, now: Instant, until: Instant) -> bool {
        self.logs.len() >= ENOUGH || self.searched.2 >= BYTES || now >= until
    }
}

impl FoundLog {
    /// Where the log is, of the attempt that has it.
    pub(super) fn url(&self) -> String {
        let place = Place::Job(self.run.number.cast_unsigned(), self.path.clone(), JobPlace::Page);
        let route = Route { forge: self.run.forge, repository: self.run.name.clone(), place };
        format!("{route}?attempt={}&", self.job.attempt)
    }
}

impl FoundLine {
    /// The text of a line, as a terminal shows it.
    pub(super) fn text(text: &[u8]) -> String {
        ansi::plain(text).chars().take(500).collect()
    }
}

/// Where a job is in its run's plan.
fn path(plan: &Plan, job: &LoggedRow) -> Option<JobPath> {
    let at = |column: i64| usize::try_from(column).ok();
    let stage = plan.stages.get(at(job.stage)?)?;
    let action = stage.actions.get(at(job.action)?)?;
    let member = action.member(at(job.place)?)?;
    Some(JobPath { stage: stage.name.clone(), action: action.name.clone(), job: member.name.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_looks_through_so_much_and_no_longer() {
        let begun = Instant::now();
        let until = begun + LOOKS;
        let after = |bytes| Findings { searched: (1, 1, bytes), ..Findings::default() };
        assert!(!after(BYTES - 1).is_enough(begun, until));
        assert!(after(BYTES).is_enough(begun, until), "so many bytes are enough");
        assert!(after(1).is_enough(until, until), "and so much time, whatever it was good for");
        assert!(LOOKS < PATIENCE, "whoever waits for their turn waits longer than one looks");
    }
}
