//! What a run waits for, and the lines that runs form.

use super::{Failure, Route, run_url};
use crate::{
    model::{QueuePlace, RepositoryId, Waiting},
    store::Tx,
};

/// More runs than this are counted, not named.
const NAMED: usize = 20;
/// Lines on one page.
const QUEUES: usize = 50;

/// What a run waits for.
pub(super) struct WaitingView {
    /// In words, what is nowhere else on the page.
    pub(super) words: String,
    /// The runs before it, if it is those that it waits for.
    pub(super) ahead: Named,
}

/// Runs by their numbers.
#[derive(Default)]
pub(super) struct Named {
    pub(super) runs: Vec<RunLink>,
    /// How many more there are.
    pub(super) more: usize,
}

/// A run, to click on.
pub(super) struct RunLink {
    pub(super) number: i64,
    pub(super) url: String,
}

/// A group with runs that wait.
pub(super) struct QueueView {
    pub(super) group: String,
    pub(super) live: Named,
    pub(super) waiting: Named,
}

impl WaitingView {
    pub(super) fn new(waiting: &Waiting, route: &Route) -> Self {
        match waiting {
            Waiting::Queue(place) => Self { words: place_words(place), ahead: Named::new(route, &place.ahead) },
            // the stage that asks has a form with all of it
            Waiting::Approval(question) => Self { words: format!("Waiting {question}"), ahead: Named::default() },
            Waiting::Source { .. } | Waiting::Quota { .. } | Waiting::Executor { .. } => {
                Self { words: format!("Waiting: {waiting}"), ahead: Named::default() }
            }
        }
    }
}

impl Named {
    fn new(route: &Route, numbers: &[i64]) -> Self {
        let link = |&number: &i64| RunLink { number, url: run_url(route, number.cast_unsigned()) };
        let runs: Vec<RunLink> = numbers.iter().take(NAMED).map(link).collect();
        Self { more: numbers.len() - runs.len(), runs }
    }
}

/// The groups of a repository in which runs wait, each in its order.
pub(super) async fn queues(tx: &mut Tx, route: &Route, repository: RepositoryId) -> Result<Vec<QueueView>, Failure> {
    let mut views = Vec::new();
    for (_, group) in tx.queues(Some(repository)).await?.into_iter().take(QUEUES) {
        let (live, waiting): (Vec<_>, Vec<_>) =
            tx.queue(repository, &group).await?.into_iter().partition(|run| run.released.is_some());
        let named = |runs: Vec<crate::store::QueuedRun>| {
            Named::new(route, &runs.iter().map(|run| run.number).collect::<Vec<_>>())
        };
        views.push(QueueView { group, live: named(live), waiting: named(waiting) });
    }
    Ok(views)
}

fn place_words(place: &QueuePlace) -> String {
    let QueuePlace { group, limit, position, length, .. } = place;
    let at_once = limit.map_or_else(String::new, |limit| format!(", where {limit} may run at once"));
    format!("Waiting: place {position} of {length} in group {group}{at_once}")
}
