//! What organisations and repositories may use, and do: a page for administrators, and lines for a repository's own.

use askama::Template;
use axum::{
    body::Bytes,
    extract::State,
    http::Uri,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{Chrome, Failure, Mark, Moment, query, render};
use crate::{
    engine::QuotaUse,
    model::{Counted, ForgeKind, LIMITS, Quota, QuotaScope, QuotaValue, RepositoryName, Size, cpu_text},
    store::{RepositoryRow, Tx},
    web::{Web, access::Visitor},
};

/// The page's address.
const HERE: &str = "/admin/quotas";
/// More lines than this would be read by nobody.
const MOST: usize = 500;

/// What is used of something, and how much of it may be.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) what: &'static str,
    /// `3 of 10`.
    pub(super) words: String,
    /// How wide, of a hundred; `None`: it is not limited.
    pub(super) part: Option<i64>,
    /// Whether all of it is in use.
    pub(super) full: bool,
}

/// Somebody's line.
struct Line {
    name: String,
    forge: &'static str,
    kind: &'static str,
    /// How far it is below the first.
    depth: usize,
    waiting: i64,
    bars: Vec<Bar>,
    priority: String,
    set: Option<(Moment, String)>,
    /// The page with its form filled in.
    edit: String,
}

#[derive(Template)]
#[template(path = "quotas.html")]
struct QuotasPage {
    chrome: Chrome,
    here: &'static str,
    month: String,
    lines: Vec<Line>,
    more: usize,
    form: Form,
    forges: Vec<&'static str>,
}

/// Which scope the form is about.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    level: String,
    #[serde(default)]
    forge: String,
    #[serde(default)]
    name: String,
}

/// What stands in the form at first.
struct Form {
    level: String,
    forge: String,
    name: String,
    /// In words, if the form is about one that is there.
    about: String,
    /// Each limit's name, label, value, and what it may look like.
    fields: Vec<Field>,
}

struct Field {
    name: &'static str,
    label: &'static str,
    value: String,
    example: &'static str,
}

/// `GET /admin/quotas`, and with `?level=…&forge=…&name=…` with that quota in the form.
pub(super) async fn page(visitor: Visitor, State(web): State<Web>, uri: Uri) -> Result<Response, Failure> {
    visitor.administers(&web)?;
    let asked: Asked = query(&uri)?;
    let (month, mut all) = web.engine.quota_uses(&mut web.engine.store.read().await?).await?;
    let form = Form::of(&asked, &all);
    let more = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    render(&QuotasPage {
        chrome: Chrome::new(&web, "Quotas".to_owned(), &Mark::none()),
        here: HERE,
        month: month.to_string(),
        lines: all.iter().map(Line::of).collect(),
        more,
        form,
        forges: web.engine.forges.keys().map(|forge| forge.as_str()).collect(),
    })
}

/// `POST /admin/quotas` with `level`, `forge`, `name` and the limits; an empty one limits nothing. With `remove` all are
/// taken away.
pub(super) async fn change(visitor: Visitor, State(web): State<Web>, body: Bytes) -> Result<Response, Failure> {
    visitor.administers(&web)?;
    let field = |wanted: &str| {
        let mut fields = url::form_urlencoded::parse(&body);
        fields.find(|(name, _)| name == wanted).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let words = |error: crate::model::NameError| Failure::Words(error.to_string());
    let scope = QuotaScope::of(&field("level"), &field("forge"), &field("name")).map_err(words)?;
    let mut quota = Quota::default();
    for name in LIMITS.into_iter().filter(|_| field("remove").is_empty()) {
        let text = field(name);
        if !text.is_empty() {
            quota.set(name, Some(QuotaValue::read(name, &text).map_err(words)?));
        }
    }
    let acting = visitor.does(&web, "set a quota", scope.to_string());
    acting.came_to(acting.engine.set_quota(&scope, &quota, &visitor.name()).await).await?;
    Ok(Redirect::to(HERE).into_response())
}

/// What a repository counts for, as far as it is limited: the repository itself first.
pub(super) async fn of_repository(
    web: &Web,
    tx: &mut Tx,
    row: &RepositoryRow,
) -> Result<Vec<(String, Vec<Bar>)>, Failure> {
    if tx.quotas().await?.is_empty() {
        return Ok(Vec::new());
    }
    let scopes = QuotaScope::around(row.forge, &row.name);
    let (_, all) = web.engine.quota_uses(tx).await?;
    let own = scopes.iter().rev().filter_map(|scope| all.iter().find(|known| known.scope == *scope));
    let named = own.map(|known| {
        let bars = bars(known).into_iter().filter(|bar| bar.part.is_some()).collect::<Vec<_>>();
        (known.scope.short().to_owned(), bars)
    });
    Ok(named.filter(|(_, bars)| !bars.is_empty()).collect())
}

fn bars(known: &QuotaUse) -> Vec<Bar> {
    let QuotaUse { quota, uses, minutes, stored, .. } = known;
    let bytes = |bytes: i64| Size(bytes.unsigned_abs()).to_string();
    let plain = |number: i64| number.to_string();
    let mut all = vec![
        bar("Actions", uses.actions, quota.actions, plain),
        bar("CPU", uses.cpu, quota.cpu, cpu_text),
        bar("Memory", uses.memory, quota.memory, bytes),
        bar("Minutes", *minutes, quota.minutes, plain),
    ];
    all.extend(stored.map(|stored| bar("Storage", stored, quota.storage, bytes)));
    all
}

fn bar(what: &'static str, used: i64, limit: Option<i64>, text: impl Fn(i64) -> String) -> Bar {
    let words = match limit {
        Some(limit) => format!("{} of {}", text(used), text(limit)),
        None => text(used),
    };
    let part = limit.map(|limit| used.saturating_mul(100).checked_div(limit).unwrap_or(100).clamp(0, 100));
    Bar { what, words, part, full: limit.is_some_and(|limit| used >= limit) }
}

impl Line {
    fn of(known: &QuotaUse) -> Self {
        let scope = &known.scope;
        let name = scope.name().map_or("", RepositoryName::as_str);
        let kind = match scope {
            QuotaScope::Server => "the whole server",
            QuotaScope::Owner(..) => "organisation",
            QuotaScope::Repository(..) => "repository",
        };
        let mut edit = url::form_urlencoded::Serializer::new(String::new());
        edit.append_pair("level", scope.level());
        edit.append_pair("forge", scope.forge().map_or("", ForgeKind::as_str)).append_pair("name", name);
        Self {
            name: if name.is_empty() { "Everything".to_owned() } else { name.to_owned() },
            forge: scope.forge().map_or("", ForgeKind::title),
            kind,
            depth: if name.is_empty() { 0 } else { name.split('/').count().min(4) },
            waiting: known.waiting,
            bars: bars(known),
            priority: known.quota.priority.map(|priority| priority.to_string()).unwrap_or_default(),
            set: known.set.clone().map(|(at, by)| (Moment(at), by)),
            edit: format!("{HERE}?{}#set", edit.finish()),
        }
    }

    fn waits(&self) -> String {
        format!("{} wait{}", Counted(self.waiting.unsigned_abs(), "action"), if self.waiting == 1 { "s" } else { "" })
    }
}

impl Form {
    fn of(asked: &Asked, all: &[QuotaUse]) -> Self {
        let scope = QuotaScope::of(&asked.level, &asked.forge, &asked.name).ok();
        let known = scope.as_ref().and_then(|scope| all.iter().find(|known| known.scope == *scope));
        let quota = known.map(|known| known.quota).unwrap_or_default();
        let value = |name| quota.get(name).map(|value| QuotaValue(name, value).to_string()).unwrap_or_default();
        let field = |name, label, example| Field { name, label, value: value(name), example };
        Self {
            level: scope.as_ref().map_or("owner", QuotaScope::level).to_owned(),
            forge: scope.as_ref().and_then(QuotaScope::forge).map_or("", ForgeKind::as_str).to_owned(),
            name: scope.as_ref().and_then(QuotaScope::name).map_or("", RepositoryName::as_str).to_owned(),
            about: scope.map(|scope| scope.to_string()).unwrap_or_default(),
            fields: vec![
                field("actions", "Actions at once", "20"),
                field("cpu", "CPU", "16 or 2500m"),
                field("memory", "Memory", "32Gi"),
                field("storage", "Storage", "100Gi"),
                field("minutes", "Minutes a month", "10000"),
                field("priority", "Priority", "10"),
            ],
        }
    }
}
