//! What is looked for in a log, as its page shows it; and as a program asks for it.

use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Failure, route::encode};
use crate::{
    engine::{fault, scan::Scanned},
    model::{Counted, Grouped, JobId},
    web::{
        Web,
        log::search::{Hits, Pattern, Search, Unfit},
    },
};

/// How many logs are looked through at once.
pub(in crate::web) const SEARCHES: usize = 4;
/// How long one search may take; what it has found by then is shown.
pub(in crate::web) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a page waits for the line that people look for in a log that nobody has looked through yet.
const GLANCE: Duration = Duration::from_millis(300);

/// What somebody looks for.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    /// The text; empty: nothing.
    pub(super) text: String,
    /// Whether it is a regular expression.
    pub(super) is_regex: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Finding {
    /// What was looked for.
    pub(super) asked: Asked,
    /// Marks it in the lines; none if nothing is looked for, or nothing can be.
    pub(super) pattern: Option<Pattern>,
    /// How many lines have it, or why none can.
    pub(super) words: String,
    /// Which.
    pub(super) hits: Hits,
}

impl Asked {
    /// `q=…&`, for links that go on looking; empty without a text.
    pub(super) fn query(&self) -> String {
        encode_query(&self.text, self.is_regex)
    }

    /// Looks through a log, as seen from the line that is shown.
    pub(super) async fn find(self, web: &Web, job: JobId, at: Option<u64>) -> Result<Finding, Failure> {
        if self.text.is_empty() {
            return Ok(Finding::default());
        }
        let pattern = match Pattern::new(&self.text, self.is_regex) {
            Err(unfit) => return Ok(Finding::none(self, &unfit)),
            Ok(pattern) => pattern,
        };
        let look = Search { pattern: pattern.clone(), at: at.unwrap_or(0), keep: 0 };
        let Scanned { found: hits, is_whole } = look_through(web, job, look).await?;
        let words = words(&hits, is_whole);
        Ok(Finding { asked: self, pattern: Some(pattern), words, hits })
    }
}

/// What is looked for, as an address has it.
pub(super) fn encode_query(text: &str, is_regex: bool) -> String {
    match (text.is_empty(), is_regex) {
        (true, _) => String::new(),
        (false, is_regex) => format!("q={}&{}", encode(text), if is_regex { "regex=1&" } else { "" }),
    }
}

/// Waits until one may search.
pub(in crate::web) async fn turn(searches: &Semaphore, patience: Duration) -> Result<SemaphorePermit<'_>, Failure> {
    let turn = tokio::time::timeout(patience, searches.acquire()).await;
    turn.map_err(|_| Failure::Busy)?.map_err(|_| Failure::Busy)
}

/// Looks through a log, when it is one's turn, for as long as one may.
pub(in crate::web) async fn look_through(web: &Web, job: JobId, look: Search) -> Result<Scanned<Hits>, Failure> {
    let _turn = turn(&web.searches, PATIENCE).await?;
    Ok(web.engine.scan(job, look, Some(Instant::now() + PATIENCE)).await?)
}

/// The line behind `after` that reads like an error.
pub(super) async fn fault(web: &Web, job: JobId, after: u64) -> Result<Option<u64>, Failure> {
    let until = Some(Instant::now() + GLANCE);
    Ok(web.engine.scan(job, fault::After(after), until).await?.found.line())
}

impl Finding {
    fn none(asked: Asked, unfit: &Unfit) -> Self {
        Self { asked, words: format!("Nothing was looked for: {unfit}."), ..Self::default() }
    }
}

fn words(hits: &Hits, is_whole: bool) -> String {
    let of = match hits {
        Hits { count: 0, .. } => "No line has it".to_owned(),
        Hits { is_here: true, .. } => format!("{} of {}", Grouped(hits.up_to), Counted(hits.count, "line")),
        Hits { .. } => Counted(hits.count, "line").to_string(),
    };
    if is_whole { of } else { format!("{of}, as far as the log was searched in {} s", PATIENCE.as_secs()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn so_many_search_at_once_and_others_wait_for_their_turn() {
        let (searches, patience) = (Semaphore::new(SEARCHES), Duration::from_millis(20));
        let mut turns = Vec::new();
        for _ in 0..4 {
            turns.push(turn(&searches, patience).await.expect("there is room"));
        }
        assert!(matches!(turn(&searches, patience).await, Err(Failure::Busy)));
        turns.pop();
        drop(turn(&searches, patience).await.expect("there is room again"));
    }
}
