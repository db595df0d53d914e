//! Which statistics somebody wants.

use serde::Deserialize;

use super::{Statistics, Window};
use crate::{
    model::Time,
    store::{RepositoryRow, RunsAsked, Tx},
    web::{filter::word, pages::Failure},
};

/// `?days=30&flow=ci&branch=main`
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct StatisticsQuery {
    /// 7, 30 (the default) or 90.
    days: Option<String>,
    /// Of one flow.
    flow: Option<String>,
    /// Of one branch.
    branch: Option<String>,
}

/// The same, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::web) struct Asked {
    pub(in crate::web) window: Window,
    pub(in crate::web) flow: Option<String>,
    pub(in crate::web) branch: Option<String>,
}

/// What was found.
pub(in crate::web) struct Gathered {
    pub(in crate::web) statistics: Statistics,
    /// Of which branches the jobs were counted, in words; `None`: nobody has counted them for that one.
    pub(in crate::web) jobs_of: Option<&'static str>,
}

impl TryFrom<StatisticsQuery> for Asked {
    type Error = Failure;
    fn try_from(query: StatisticsQuery) -> Result<Self, Failure> {
        let window = match word(query.days)? {
            Some(days) => {
                Window::of(&days).ok_or_else(|| Failure::Words("`days` is one of 7, 30 and 90".to_owned()))?
            }
            None => Window::Month,
        };
        Ok(Self { window, flow: word(query.flow)?, branch: word(query.branch)? })
    }
}

impl Asked {
    /// For an address.
    pub(in crate::web) fn fields(&self) -> Vec<(&'static str, String)> {
        let days = (self.window != Window::Month).then(|| self.window.days().to_string());
        let all = [("days", days), ("flow", self.flow.clone()), ("branch", self.branch.clone())];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Asks the store for all of it.
pub(in crate::web) async fn gather(
    tx: &mut Tx,
    repository: &RepositoryRow,
    asked: &Asked,
    now: Time,
) -> Result<Gathered, Failure> {
    let of = RunsAsked {
        repository: repository.id,
        since: asked.window.since(now),
        flow: asked.flow.clone(),
        branch: asked.branch.clone(),
    };
    let runs = tx.run_figures(&of).await?;
    let jobs_of = match &asked.branch {
        None => Some("on all branches"),
        Some(branch) if *branch == repository.facts.default_branch => Some("on the default branch"),
        Some(_) => None,
    };
    let jobs = if jobs_of.is_some() { tx.job_figures(&of).await? } else { Vec::new() };
    Ok(Gathered { statistics: Statistics::of(&runs, jobs, asked.window, now), jobs_of })
}
