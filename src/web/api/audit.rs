//! `GET /audit`: what was changed, by whom, when, and from where.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    asked::{Asked, Cursor, Limit, List, Page, cut},
    schema::At,
};
use crate::{
    model::{AuditId, ForgeKind, RepositoryName},
    store::AuditRow,
    web::{
        Web,
        access::Known,
        audit::{AuditQuery, visible},
        mistake::Mistake,
    },
};

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LinesQuery {
    /// Those of one repository, for who maintains it: its forge, with `repository`.
    forge: Option<ForgeKind>,
    /// Its name there, with `forge`.
    repository: Option<RepositoryName>,
    /// Those before this line.
    before: Option<AuditId>,
    /// The `next` of an earlier answer: what follows it.
    #[param(value_type = Option<AuditId>)]
    cursor: Option<Cursor<AuditId>>,
    /// At most as many.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 100)]
    limit: Limit,
}

/// Lines of the audit log, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditPage)]
pub(super) struct Lines {
    audit: Vec<Line>,
    /// The `cursor` of what follows; `null`: nothing does.
    #[schema(required = true)]
    next: Option<String>,
}

/// One change that somebody asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditLine)]
struct Line {
    id: AuditId,
    at: At,
    #[schema(example = "github/alice")]
    who: String,
    /// How: by a page, the API, a token, a comment.
    #[schema(example = "token `deploy`")]
    way: String,
    /// The address.
    from: String,
    #[schema(example = "cancel")]
    what: String,
    #[schema(required = true)]
    forge: Option<ForgeKind>,
    #[schema(required = true)]
    repository: Option<RepositoryName>,
    #[schema(example = "ci #7")]
    target: String,
    #[schema(example = "done")]
    outcome: String,
}

impl List for Lines {
    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// The audit log, newest first.
///
/// All of it is for administrators, that of a repository for who maintains it.
#[utoipa::path(get, path = "/audit", tag = "server", operation_id = "listAudit", params(LinesQuery), responses((status = 200, description = "A page of lines", body = Lines)))]
pub(super) async fn list(
    Known(visitor): Known,
    State(web): State<Web>,
    Asked(query): Asked<LinesQuery>,
) -> Result<Page<Lines>, Problem> {
    match (&query.forge, &query.repository) {
        (Some(_), None) => return Err(Mistake::of_query("repository", "goes with `forge`").into()),
        (None, Some(_)) => return Err(Mistake::of_query("forge", "goes with `repository`").into()),
        (Some(_), Some(_)) | (None, None) => {}
    }
    let asked = AuditQuery {
        forge: query.forge.map(|forge| forge.to_string()).unwrap_or_default(),
        repository: query.repository.map(|name| name.to_string()).unwrap_or_default(),
        before: query.cursor.map(|cursor| cursor.0).or(query.before),
        limit: Some(query.limit.0 + 1),
    };
    let mut rows = visible(&web, &visitor, &asked).await?;
    let next = cut(&mut rows, query.limit, |row| row.id);
    Ok(Page(Lines { audit: rows.iter().map(Line::of).collect(), next }))
}

impl Line {
    fn of(row: &AuditRow) -> Self {
        Self {
            id: row.id,
            at: At(row.at),
            who: row.who.clone(),
            way: row.way.clone(),
            from: row.address.clone(),
            what: row.what.clone(),
            forge: row.forge,
            repository: row.name.clone(),
            target: row.target.clone(),
            outcome: row.outcome.clone(),
        }
    }
}
