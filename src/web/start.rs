//! Starting flows by hand: what the page's form and the API share.

use std::collections::BTreeMap;

use super::{Web, access::Granted, pages::Failure};
use crate::{
    model::{DeliveryId, ManualInput, Right, Starter, Wanted},
    store::{RepositoryRow, Tx},
};

/// As many as a flow file may have.
const MOST_INPUTS: usize = 50;
/// Longer inputs no flow takes.
const MOST_BYTES: usize = 10_000;
/// No forge takes a longer branch.
const MOST_NAME: usize = 1024;

/// A flow that can be started by hand.
#[derive(Debug)]
pub(super) struct Startable {
    pub(super) flow: String,
    pub(super) inputs: Vec<ManualInput>,
}

/// The flows of the default branch that can be started by hand.
pub(super) async fn startable(tx: &mut Tx, repository: &RepositoryRow) -> Result<Vec<Startable>, Failure> {
    let rows = tx.starters(repository.id, &repository.facts.default_branch).await?;
    let manual = rows.into_iter().filter_map(|row| match row.starter.0 {
        Starter::Manual(inputs) => Some(Startable { flow: row.flow, inputs }),
        Starter::Schedule(_) | Starter::Flow(_) => None,
    });
    Ok(manual.collect())
}

/// Keeps the wish; the delivery tells what comes of it.
pub(super) async fn start(web: &Web, of: &Granted, wanted: &Wanted, wish: &str) -> Result<DeliveryId, Failure> {
    of.allows(Right::Run)?;
    check(&wanted.inputs)?;
    for name in [&wanted.branch, &wanted.flow].into_iter().flatten() {
        if name.is_empty() || name.chars().count() > MOST_NAME || name.chars().any(char::is_control) {
            return Err(Failure::Words(format!("a branch or a flow is named with 1 to {MOST_NAME} characters")));
        }
    }
    let flow = wanted.flow.as_deref().unwrap_or("all flows");
    let on = wanted.branch.as_deref().map_or_else(String::new, |branch| format!(" on {branch}"));
    let acting = of.does(web, "start", format!("{flow}{on}"));
    acting.came_to(acting.engine.start_by_hand(&of.repository, wanted, wish).await).await
}

fn check(inputs: &BTreeMap<String, String>) -> Result<(), Failure> {
    if inputs.len() > MOST_INPUTS {
        return Err(Failure::Words(format!("a flow has at most {MOST_INPUTS} inputs")));
    }
    match inputs.iter().find(|(name, value)| name.len() + value.len() > MOST_BYTES) {
        Some((name, _)) => {
            let name: String = name.chars().take(80).collect();
            Err(Failure::Words(format!("input `{name}` has more than {MOST_BYTES} bytes")))
        }
        None => Ok(()),
    }
}
