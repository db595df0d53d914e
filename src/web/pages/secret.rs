//! The secrets of a repository, as far as anybody may know of them: their names, whose they are, whom they are for, and
//! when they were set and used. Names say what a repository is connected with, so its maintainers alone see them. The
//! page takes values and shows none. It is a page of its own, which no script draws anew while somebody types.

use askama::Template;
use axum::{
    body::Bytes,
    extract::State,
    http::Uri,
    response::{IntoResponse as _, Redirect, Response},
};
use secrecy::SecretString;

use super::{Chrome, Failure, Mark, Moment, Place, Route, query, render};
use crate::{
    engine::{SECRET_EVENTS, SECRET_LENGTHS},
    model::{ForgeKind, RepositoryName, SecretLevel, SecretLimits, SecretName, SecretScope},
    store::{RepositoryRow, SecretRow, Tx},
    web::{
        Web,
        access::Visitor,
        secrets::{Keeper, SecretsQuery},
    },
};

/// One that jobs may have.
#[derive(Debug)]
pub(super) struct SecretView {
    pub(super) name: String,
    pub(super) scope: String,
    pub(super) limits: String,
    pub(super) changed: Moment,
    pub(super) by: String,
    used: Option<Moment>,
    /// The owner's name; empty: it is the repository's own.
    owner: String,
    /// Whether whoever looks may change it.
    kept: bool,
    /// The page with its form filled in, but for the value.
    edit: String,
}

#[derive(Template)]
#[template(path = "secrets.html")]
struct SecretsPage {
    chrome: Chrome,
    repository: String,
    repository_url: String,
    /// The page's own address.
    here: String,
    secrets: Vec<SecretView>,
    /// The owners whose secrets whoever looks may set.
    owners: Vec<String>,
    form: Form,
    shortest: usize,
    longest_kib: usize,
}

/// What stands in the form at first.
struct Form {
    name: String,
    owner: String,
    /// Each with whether it is chosen.
    events: Vec<(&'static str, bool)>,
    branches: String,
    images: String,
}

/// Those that a repository's jobs may have, the nearest first.
pub(super) async fn secrets(tx: &mut Tx, of: &RepositoryRow) -> Result<Vec<SecretView>, Failure> {
    let mut all = Vec::new();
    for scope in SecretScope::around(of.forge, &of.name) {
        all.extend(tx.secrets(&scope).await?.into_iter().map(|row| view(row, (of.forge, &of.name), false)));
    }
    Ok(all)
}

/// The page's address.
pub(super) fn address(forge: ForgeKind, repository: &RepositoryName) -> String {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    format!(
        "/secrets?{}",
        pairs.append_pair("forge", forge.as_str()).append_pair("repository", repository.as_str()).finish()
    )
}

fn view(row: SecretRow, (forge, repository): (ForgeKind, &RepositoryName), kept: bool) -> SecretView {
    let scope = row.scope();
    let owner = if row.level == SecretLevel::Owner { row.scope.to_string() } else { String::new() };
    let mut edit = url::form_urlencoded::Serializer::new(String::new());
    let of_owner = if owner.is_empty() { row.name.to_string() } else { format!("{owner}/{}", row.name) };
    edit.append_pair("name", &of_owner);
    SecretView {
        name: row.name.to_string(),
        scope: scope.to_string(),
        limits: row.limits.to_string(),
        changed: Moment(row.changed),
        by: row.changed_by,
        used: row.used.map(Moment),
        edit: format!("{}&{}#set", address(forge, repository), edit.finish()),
        owner,
        kept,
    }
}

/// `GET /secrets?forge=…&repository=…`.
pub(super) async fn page(visitor: Visitor, State(web): State<Web>, uri: Uri) -> Result<Response, Failure> {
    let asked: SecretsQuery = query(&uri)?;
    let keeper = of_repository(&web, visitor, &asked).await?;
    let rows = keeper.all(&mut web.engine.store.read().await?).await?;
    let of = (keeper.scope.forge, &keeper.scope.name);
    let is_admin = keeper.visitor.administers(&web).is_ok();
    let owners = SecretScope::around(of.0, of.1).into_iter().skip(1).map(|scope| scope.name.to_string());
    let form = Form::of(&asked.name, &rows);
    let may_keep = |row: &SecretRow| is_admin || row.level == SecretLevel::Repository;
    render(&SecretsPage {
        chrome: Chrome::new(&web, format!("Secrets of {}", of.1), &Mark::none()),
        repository: of.1.to_string(),
        repository_url: Route { forge: of.0, repository: of.1.clone(), place: Place::Runs }.to_string(),
        here: address(of.0, of.1),
        owners: if is_admin { owners.collect() } else { Vec::new() },
        form,
        shortest: SECRET_LENGTHS.0,
        longest_kib: SECRET_LENGTHS.1 >> 10,
        secrets: rows
            .into_iter()
            .map(|row| {
                let kept = may_keep(&row);
                view(row, of, kept)
            })
            .collect(),
    })
}

impl Form {
    /// About the secret of this name, which has its owner's before it unless it is the repository's own.
    fn of(asked: &str, rows: &[SecretRow]) -> Self {
        let (owner, name) = asked.rsplit_once('/').unwrap_or(("", asked));
        let level = if owner.is_empty() { SecretLevel::Repository } else { SecretLevel::Owner };
        let is_it = |row: &&SecretRow| {
            row.name.as_str() == name && row.level == level && (owner.is_empty() || row.scope.as_str() == owner)
        };
        let found = rows.iter().find(is_it);
        let limits = found.map(|row| row.limits.0.clone()).unwrap_or_default();
        let is_chosen = |event: &'static str| (event, limits.events.iter().any(|chosen| chosen == event));
        Self {
            name: found.map(|row| row.name.to_string()).unwrap_or_default(),
            owner: found.map(|_| owner.to_owned()).unwrap_or_default(),
            events: SECRET_EVENTS.map(is_chosen).to_vec(),
            branches: limits.branches.join(" "),
            images: limits.images.join(" "),
        }
    }
}

/// `POST /secrets?forge=…&repository=…`, with `name`, and `owner` if it is to be that owner's. With `remove` it is removed;
/// else it is set, with `value` or `lines`, `event` as often as it is chosen, `branches` and `images` with blanks between.
pub(super) async fn change(
    visitor: Visitor,
    State(web): State<Web>,
    uri: Uri,
    body: Bytes,
) -> Result<Response, Failure> {
    let keeper = of_repository(&web, visitor, &query(&uri)?).await?;
    let here = address(keeper.scope.forge, &keeper.scope.name);
    let fields = Fields(&body);
    let keeper = match fields.first("owner").as_str() {
        "" => keeper,
        owner => keeper.of_owner(&web, owner)?,
    };
    let name: SecretName = fields.first("name").trim().parse().map_err(|error| Failure::Words(format!("{error}")))?;
    if fields.first("remove").is_empty() {
        set(&web, &keeper, &name, &fields).await?;
    } else {
        let acting = keeper.does(&web, "remove a secret", &name);
        acting.came_to(acting.engine.remove_secret(&keeper.scope, &name).await).await?;
    }
    Ok(Redirect::to(&here).into_response())
}

async fn set(web: &Web, keeper: &Keeper, name: &SecretName, fields: &Fields<'_>) -> Result<(), Failure> {
    let limits = SecretLimits {
        events: fields.all("event").collect(),
        branches: fields.words("branches"),
        images: fields.words("images"),
    };
    let value = fields.value()?;
    let acting = keeper.does(web, "set a secret", name);
    let set = acting.engine.set_secret((&keeper.scope, name), limits, &value, &keeper.visitor.name()).await;
    acting.came_to(set).await.map(drop)
}

/// Those of a repository, which the page is about.
async fn of_repository(web: &Web, visitor: Visitor, asked: &SecretsQuery) -> Result<Keeper, Failure> {
    if asked.repository.is_empty() {
        return Err(Failure::Query);
    }
    asked.keeper(web, visitor).await
}

/// What a form has sent.
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn all<'f>(&'f self, wanted: &'f str) -> impl Iterator<Item = String> + 'f {
        let fields = url::form_urlencoded::parse(self.0).filter(move |(name, _)| name == wanted);
        fields.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
    }

    fn first(&self, wanted: &str) -> String {
        self.all(wanted).next().unwrap_or_default()
    }

    fn words(&self, wanted: &str) -> Vec<String> {
        self.first(wanted)
            .split([' ', ',', '\n', '\r', '\t'])
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// One line as it is, or many lines with newlines as programs write them and one at the end, which keys want.
    fn value(&self) -> Result<SecretString, Failure> {
        let (line, lines) = (self.first("value"), self.first("lines").replace("\r\n", "\n"));
        match (line.is_empty(), lines.trim_end_matches('\n')) {
            (false, "") => Ok(SecretString::from(line)),
            (true, lines) if lines.contains('\n') => Ok(SecretString::from(format!("{lines}\n"))),
            (true, line) => Ok(SecretString::from(line)),
            (false, _) => Err(Failure::Words("a secret has one value: of one line or of many".to_owned())),
        }
    }
}
