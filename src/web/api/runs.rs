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
        filter::Filter,
        mistake::Mistake,
        pages::{Place, Route, RunPlace, visible},
    },
};

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunsQuery {
    /// Those of one repository: its forge, with `repository`.
    forge: Option<ForgeKind>,
    /// Its name there, with `forge`.
    repository: Option<RepositoryName>,
    /// Those of this branch's code, of pushes and of pull requests; a fork's is `owner:branch`.
    branch: Option<String>,
    /// Those of this tag.
    tag: Option<String>,
    /// Those of the pull request with this number.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 2147483647)]
    pull: Option<Limit<0x7fff_ffff>>,
    /// Those that somebody started, and of pull requests that they opened, whatever the case of the name.
    author: Option<String>,
    /// Those of this kind of event.
    #[param(inline)]
    event: Option<EventName>,
    /// Those of the flow of this name.
    flow: Option<String>,
    /// Those in this state. `success` are those with a warning, too, and `failure` all that ended badly.
    #[param(inline)]
    state: Option<StateFilter>,
    /// Those that were made before this run.
    before: Option<RunId>,
    /// The `next` of an earlier answer: what follows it.
    #[param(value_type = Option<RunId>)]
    cursor: Option<Cursor<RunId>>,
    /// At most as many.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 100)]
    limit: Limit,
}

/// A kind of event.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum EventName {
    Push,
    Tag,
    PullRequest,
    MergeGroup,
    Schedule,
    Manual,
    Flow,
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
/// Those of all repositories that you may see, or of one, that are all that is asked. `before` is an earlier form of `cursor`.
#[utoipa::path(get, path = "/runs", tag = "runs", operation_id = "listRuns", params(RunsQuery), responses((status = 200, description = "A page of runs", body = Runs)))]
pub(super) async fn list(
    visitor: Visitor,
    State(web): State<Web>,
    Asked(query): Asked<RunsQuery>,
) -> Result<Page<Runs>, Problem> {
    let repository = match (query.forge, &query.repository) {
        (Some(forge), Some(name)) => {
            let route = Route { forge, repository: name.clone(), place: Place::Runs };
            Some(visitor.at(&web, &route, Right::See).await?.repository.id)
        }
        (None, None) => None,
        // a name alone may be on several forges
        (Some(_), None) => return Err(Mistake::of_query("repository", "goes with `forge`").into()),
        (None, Some(_)) => return Err(Mistake::of_query("forge", "goes with `repository`").into()),
    };
    let before = query.cursor.map(|cursor| cursor.0).or(query.before);
    let filter = Filter {
        branch: query.branch,
        tag: query.tag,
        pull: query.pull.and_then(|pull| u32::try_from(pull.0).ok()),
        author: query.author,
        event: query.event.map(EventName::as_str),
        flow: query.flow,
        state: query.state,
        before,
        ..Filter::default()
    };
    let (mut rows, looked) = visible(&web, &visitor, &filter.rows(repository, query.limit.0 + 1)).await?;
    let next = cut(&mut rows, query.limit, |row| row.id).or(looked.map(|last| Cursor(last).to_string()));
    Ok(Page(Runs { runs: rows.iter().map(RunInShort::of).collect(), next }))
}

impl EventName {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Tag => "tag",
            Self::PullRequest => "pull_request",
            Self::MergeGroup => "merge_group",
            Self::Schedule => "schedule",
            Self::Manual => "manual",
            Self::Flow => "flow",
        }
    }
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
            event: row.event.0.clone().shown(),
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
