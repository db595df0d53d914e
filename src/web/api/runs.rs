//! Lists of runs.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::Deserialize;
use serde_json::json;

use super::{Answer, PAGE, summary};
use crate::{
    model::Right,
    web::{
        Web,
        access::Visitor,
        filter::{Filter, RunsQuery},
        pages::{Failure, Place, Route, visible},
    },
};

/// How many are wanted.
#[derive(Debug, Deserialize)]
pub(super) struct Most {
    limit: Option<i64>,
}

/// Newest first, by the words of the pages' addresses: `?forge=github&repository=acme/shop&branch=main&state=failure&limit=20`.
pub(super) async fn list(
    visitor: Visitor,
    State(web): State<Web>,
    asked: Result<Query<RunsQuery>, QueryRejection>,
    most: Result<Query<Most>, QueryRejection>,
) -> Answer {
    let (Query(asked), Query(most)) = (asked.map_err(|_| Failure::Query)?, most.map_err(|_| Failure::Query)?);
    let filter = Filter::try_from(asked)?;
    let repository = match (filter.forge, &filter.repository) {
        (Some(forge), Some(name)) => {
            let route = Route { forge, repository: name.clone(), place: Place::Runs };
            Some(visitor.at(&web, &route, Right::See).await?.repository.id)
        }
        (Some(_) | None, None) => None,
        (None, Some(name)) => {
            return Err(
                Failure::Words(format!("several forges may have a repository {name}: name one by `forge`")).into()
            );
        }
    };
    let limit = most.limit.unwrap_or(PAGE).clamp(1, PAGE);
    let (rows, _) = visible(&web, &visitor, &filter.rows(repository, limit)).await?;
    Ok(Json(json!({"runs": rows.iter().map(summary).collect::<Vec<_>>()})))
}
