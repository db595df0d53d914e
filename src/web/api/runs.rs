//! `GET /runs`: the runs that somebody may see, newest first.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    asked::{Asked, Cursor, Limit, List, Page, cut},
    schema::At,
};
use crate::{
    model::{Event, ForgeKind, RepositoryName, Right, RunId, RunState, Sha, StateFilter},
    store::RunSummary,
    web::{
        Web,
        access::Visitor,
        filter::{self, Filter},
        mistake::Mistake,
        pages::{Failure, Place, Route, RunPlace, visible},
    },
};

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunsQuery {
    /// The forge, with `repository`.
    #[param(value_type = Option<ForgeKind>)]
    forge: Option<String>,
    /// Those of one repository, with `forge`.
    #[param(value_type = Option<RepositoryName>)]
    repository: Option<String>,
    /// Those of a branch's code; a fork's is `owner:branch`.
    #[param(example = "main", max_length = 300)]
    branch: Option<String>,
    /// Those of a tag.
    #[param(example = "v1.0", max_length = 300)]
    tag: Option<String>,
    /// Those of a pull request, by its number.
    #[param(example = "12", pattern = "^[#!]?[0-9]{1,9}$")]
    pull: Option<String>,
    /// Those that somebody did, or whose pull request is theirs.
    #[param(example = "ada", max_length = 300)]
    author: Option<String>,
    /// Those of one kind of event.
    #[param(example = "push")]
    event: Option<String>,
    /// Those of one flow, by its name.
    #[param(example = "ci", max_length = 300)]
    flow: Option<String>,
    /// Those in a state; `open`: whatever has not ended.
    #[param(value_type = Option<StateFilter>)]
    state: Option<String>,
    /// Those that were made before this run: an earlier form of `cursor`.
    #[param(value_type = Option<RunId>)]
    before: Option<String>,
    /// Those that were made after this run: the nearest to it, newest first all the same.
    #[param(value_type = Option<RunId>)]
    after: Option<String>,
    /// The `next` of an earlier answer: what follows it.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<RunId>>,
    /// At most as many.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 100)]
    limit: Limit,
}

impl RunsQuery {
    /// Understood as a page's address is.
    fn filter(self) -> Result<Filter, Failure> {
        let Self { forge, repository, branch, tag, pull, author, event, flow, state, before, after, .. } = self;
        let asked =
            filter::RunsQuery { forge, repository, branch, tag, pull, author, event, flow, state, before, after };
        Filter::try_from(asked)
    }
}

/// Runs, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RunPage)]
pub(super) struct Runs {
    /// There may be fewer than asked for, and more all the same: `next` says so.
    runs: Vec<RunInShort>,
    /// The `cursor` of what follows; `null`: nothing does.
    #[schema(required = true)]
    next: Option<String>,
}

/// A run in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RunSummary)]
pub(super) struct RunInShort {
    id: RunId,
    forge: ForgeKind,
    repository: RepositoryName,
    /// Counts from 1 in each repository.
    #[schema(minimum = 1)]
    number: i64,
    /// The flow's name.
    #[schema(example = "ci")]
    flow: String,
    sha: Sha,
    event: Event,
    status: RunState,
    /// Why it waits, or was skipped; empty if there is nothing to say.
    reason: String,
    /// Its page.
    #[schema(example = "/github/acme/shop/runs/7")]
    url: String,
    created: At,
    /// When its first job started.
    #[schema(required = true)]
    started: Option<At>,
    /// When nothing would start any more.
    #[schema(required = true)]
    ended: Option<At>,
}

impl List for Runs {
    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// Runs, newest first
///
/// Those of all repositories that you may see, or of one, by what people look for.
#[utoipa::path(get, path = "/runs", tag = "runs", operation_id = "listRuns", params(RunsQuery), responses((status = 200, description = "A page of runs", body = Runs)))]
pub(super) async fn list(
    visitor: Visitor,
    State(web): State<Web>,
    Asked(query): Asked<RunsQuery>,
) -> Result<Page<Runs>, Problem> {
    let (limit, cursor) = (query.limit, query.cursor.as_ref().map(|cursor| cursor.0));
    let mut filter = query.filter()?;
    filter.before = cursor.or(filter.before);
    let repository = match (filter.forge, &filter.repository) {
        (Some(forge), Some(name)) => {
            let route = Route { forge, repository: name.clone(), place: Place::Runs };
            Some(visitor.at(&web, &route, Right::See).await?.repository.id)
        }
        (Some(_) | None, None) => None,
        // a name alone may be on several forges
        (None, Some(_)) => return Err(Mistake::of_query("forge", "goes with `repository`").into()),
    };
    let (mut rows, looked) = visible(&web, &visitor, &filter.rows(repository, limit.0 + 1)).await?;
    let next = cut(&mut rows, limit, |row| row.id).or(looked.map(|last| Cursor(last).to_string()));
    Ok(Page(Runs { runs: rows.iter().map(RunInShort::of).collect(), next }))
}

impl RunInShort {
    pub(super) fn of(row: &RunSummary) -> Self {
        Self {
            id: row.id,
            forge: row.forge,
            repository: row.name.clone(),
            number: row.number,
            flow: row.flow.clone(),
            sha: row.sha.clone(),
            event: row.event.0.clone(),
            status: row.state.0.clone(),
            reason: row.reason.clone(),
            url: run_url(row.forge, &row.name, row.number),
            created: At(row.created),
            started: row.started.map(At),
            ended: row.ended.map(At),
        }
    }
}

/// The run's page.
pub(super) fn run_url(forge: ForgeKind, repository: &RepositoryName, number: i64) -> String {
    let place = Place::Run(number.cast_unsigned(), RunPlace::Page);
    Route { forge, repository: repository.clone(), place }.to_string()
}
