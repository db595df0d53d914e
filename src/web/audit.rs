//! The audit log, as far as somebody may read it: administrators all of it, maintainers that of a repository.

use serde::Deserialize;

use super::{
    Web,
    access::Visitor,
    pages::{Failure, Place, Route},
};
use crate::{
    model::{AuditId, ForgeKind, RepositoryName, Right},
    store::{AuditFilter, AuditRow},
};

/// Lines in one answer, unless fewer are asked for.
pub(super) const PAGE: i64 = 100;

/// `?forge=github&repository=acme/shop&before=…&limit=…`; a form sends what is not chosen as empty.
#[derive(Debug, Default, Deserialize)]
pub(super) struct AuditQuery {
    #[serde(default)]
    pub(super) forge: String,
    #[serde(default)]
    pub(super) repository: String,
    pub(super) before: Option<AuditId>,
    pub(super) limit: Option<i64>,
}

/// The lines that are asked for, newest first.
pub(super) async fn visible(web: &Web, visitor: &Visitor, asked: &AuditQuery) -> Result<Vec<AuditRow>, Failure> {
    let repository = match (asked.forge.as_str(), asked.repository.as_str()) {
        ("", "") => {
            visitor.administers(web)?;
            None
        }
        (forge, name) => {
            let forge: ForgeKind = forge.parse().map_err(|_| Failure::Query)?;
            let repository: RepositoryName = name.parse().map_err(|_| Failure::Query)?;
            let route = Route { forge, repository, place: Place::Runs };
            Some(visitor.at(web, &route, Right::Maintain).await?.repository.id)
        }
    };
    let limit = asked.limit.unwrap_or(PAGE).clamp(1, PAGE + 1);
    Ok(web.engine.store.read().await?.audit(&AuditFilter { repository, before: asked.before, limit }).await?)
}
