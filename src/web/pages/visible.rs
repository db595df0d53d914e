//! Who sees which runs: lists hold those alone that whoever looks may see, and no page of them is short of some because
//! of others.

use std::collections::BTreeMap;

use super::Failure;
use crate::{
    model::{RepositoryId, Right, RunId},
    store::{RunFilter, RunSummary},
    web::{Web, access::Visitor},
};

/// How many runs are looked through for those that somebody may see. Only their ids are.
const LOOKED_AT: usize = 100_000;
/// How many are read at once: at first, for most see most, and then.
const FIRST: i64 = 200;
const STEP: i64 = 5_000;

/// What somebody sees, found out once for each repository.
struct Sight<'a> {
    web: &'a Web,
    visitor: &'a Visitor,
    known: BTreeMap<RepositoryId, bool>,
}

impl<'a> Sight<'a> {
    const fn new(web: &'a Web, visitor: &'a Visitor) -> Self {
        Self { web, visitor, known: BTreeMap::new() }
    }

    async fn sees(&mut self, id: RepositoryId) -> Result<bool, Failure> {
        if let Some(known) = self.known.get(&id) {
            return Ok(*known);
        }
        let row = self.web.engine.store.read().await?.repository(id).await?;
        let sees = self.visitor.may(self.web, &row, Right::See).await;
        self.known.insert(id, sees);
        Ok(sees)
    }
}

/// The runs that a visitor may see, newest first. Where so many were looked through that it must be enough, the last of
/// those. A filter's repository is one that they may see.
pub(in crate::web) async fn visible(
    web: &Web,
    visitor: &Visitor,
    filter: &RunFilter,
) -> Result<(Vec<RunSummary>, Option<RunId>), Failure> {
    if filter.repository.is_some() || visitor.is_admin(web) {
        return Ok((web.engine.store.read().await?.runs(filter).await?, None));
    }
    let (mut ids, further) = look(web, visitor, filter).await?;
    if filter.after.is_some() {
        ids.reverse();
    }
    Ok((web.engine.store.read().await?.run_summaries(&ids).await?, further))
}

async fn look(web: &Web, visitor: &Visitor, filter: &RunFilter) -> Result<(Vec<RunId>, Option<RunId>), Failure> {
    let most = usize::try_from(filter.limit).unwrap_or_default();
    let mut sight = Sight::new(web, visitor);
    let (mut seen, mut looked) = (Vec::new(), 0);
    let mut step = RunFilter { limit: FIRST, ..filter.clone() };
    loop {
        let rows = web.engine.store.read().await?.run_places(&step).await?;
        let (count, last) = (rows.len(), rows.last().map(|(id, _)| *id));
        for (id, of) in rows {
            if sight.sees(of).await? {
                seen.push(id);
            }
            if seen.len() == most {
                return Ok((seen, None));
            }
        }
        looked += count;
        if (count as i64) < step.limit {
            return Ok((seen, None));
        }
        if looked >= LOOKED_AT {
            return Ok((seen, last));
        }
        match filter.after {
            Some(_) => step.after = last,
            None => step.before = last,
        }
        step.limit = STEP;
    }
}
