//! Repositories.

use super::Problem;
use crate::{
    model::{ForgeKind, RepositoryName, Right},
    store::RepositoryRow,
    web::{
        Web,
        access::{Granted, Visitor},
        pages::Failure,
    },
};

/// The repository of this name, if the visitor may do this with it; on which forge need be said only if they see several.
pub(super) async fn find(
    web: &Web,
    visitor: &Visitor,
    (forge, name): (Option<ForgeKind>, &RepositoryName),
    right: Right,
) -> Result<Granted, Problem> {
    let mut tx = web.engine.store.read().await?;
    let found: Vec<RepositoryRow> = match forge {
        Some(forge) => tx.repository_named(forge, name).await?.into_iter().collect(),
        None => tx.repositories_named(name).await?,
    };
    drop(tx);
    let mut seen = Vec::new();
    for row in found {
        if let Ok(granted) = visitor.with(web, row, Right::See).await {
            seen.push(granted);
        }
    }
    match (seen.pop(), seen.is_empty()) {
        (Some(one), true) => {
            one.allows(right)?;
            Ok(one)
        }
        (None, _) => Err(Failure::Missing.into()),
        (Some(_), false) => {
            Err(Failure::Words(format!("several forges have a repository {name}: name one by `forge`")).into())
        }
    }
}
