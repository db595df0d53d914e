//! The audit log's page.

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};

use super::{Chrome, Failure, Mark, Moment, query, render};
use crate::{
    store::AuditRow,
    web::{
        Web,
        access::Visitor,
        audit::{AuditQuery, PAGE, visible},
    },
};

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    chrome: Chrome,
    /// Whose; empty: all of it.
    repository: String,
    lines: Vec<Line>,
    older: Option<String>,
}

struct Line {
    at: Moment,
    who: String,
    way: String,
    address: String,
    what: String,
    repository: String,
    target: String,
    outcome: String,
}

/// `GET /audit`, and with `?forge=…&repository=…` that of a repository.
pub(super) async fn page(visitor: Visitor, State(web): State<Web>, uri: Uri) -> Result<Response, Failure> {
    let asked: AuditQuery = query(&uri)?;
    let rows = visible(&web, &visitor, &asked).await?;
    let more = rows.len() as i64 == asked.limit.unwrap_or(PAGE).clamp(1, PAGE);
    let older = rows.last().filter(|_| more).map(|last| {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        if !asked.forge.is_empty() {
            pairs.append_pair("forge", &asked.forge).append_pair("repository", &asked.repository);
        }
        format!("/audit?{}", pairs.append_pair("before", &last.id.to_string()).finish())
    });
    let chrome = Chrome::new(&web, "Audit log".to_owned(), &Mark::none());
    render(&AuditPage {
        chrome,
        repository: asked.repository,
        lines: rows.into_iter().map(Line::from).collect(),
        older,
    })
}

impl From<AuditRow> for Line {
    fn from(row: AuditRow) -> Self {
        Self {
            at: Moment(row.at),
            repository: row.name.map(|name| name.to_string()).unwrap_or_default(),
            who: row.who,
            way: row.way,
            address: row.address,
            what: row.what,
            target: row.target,
            outcome: row.outcome,
        }
    }
}
