//! `/repositories` and `/repository`: where flows are.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Answer, Problem,
    asked::{Asked, Cursor, Limit, List, Page},
    policy::{Policy, Whose},
    run::Run,
    schema::At,
};
use crate::{
    model::{ForgeKind, HookState, ManualInput, RepositoryId, RepositoryName, Right, Visibility},
    store::{RepositoryRow, Tx},
    web::{
        Web,
        access::{Granted, OfRepository, See, Visitor},
        pages::{Failure, Place, Route},
        start::startable,
    },
};

/// How many repositories are looked through for those that somebody may see.
const LOOKED_AT: usize = 1000;
/// Groups in one answer.
const QUEUES: usize = 50;

/// Which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RepositoriesQuery {
    /// The `next` of an earlier answer: what follows it.
    #[param(value_type = Option<RepositoryId>, inline)]
    cursor: Option<Cursor<RepositoryId>>,
    /// At most as many.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 100)]
    limit: Limit,
}

/// Repositories, in the order in which they became known.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RepositoryPage)]
pub(super) struct Repositories {
    /// There may be fewer than asked for, and more all the same: `next` says so.
    repositories: Vec<Brief>,
    /// The `cursor` of what follows; `null`: nothing does.
    #[schema(required = true)]
    next: Option<String>,
}

/// A repository in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RepositorySummary)]
struct Brief {
    forge: ForgeKind,
    repository: RepositoryName,
    #[schema(example = "main")]
    default_branch: String,
    /// Its page on its forge; empty where it has none.
    web_url: String,
    visibility: Visibility,
    /// Its page here.
    #[schema(example = "/github/acme/shop")]
    url: String,
}

/// A repository, with what its page shows besides its runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RepositoryDetails)]
pub(super) struct Whole {
    #[serde(flatten)]
    brief: Brief,
    /// The groups in which runs wait; at most 50.
    queues: Vec<Queue>,
    /// The flows that can be started by hand; `null`: not by you.
    #[schema(required = true)]
    starts: Option<Vec<Startable>>,
    /// How its webhook is, for who maintains it; `null` also if nobody has looked.
    #[schema(required = true)]
    hook: Option<Hook>,
    /// What becomes of untrusted code, for who maintains it.
    #[schema(required = true)]
    policy: Option<Policy>,
}

/// A group in which runs wait.
#[derive(Debug, Serialize, ToSchema)]
struct Queue {
    group: String,
    /// The numbers of the runs that are under way.
    live: Vec<i64>,
    /// The numbers of those that wait, in order.
    waiting: Vec<i64>,
}

/// A flow that can be started by hand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StartableFlow)]
struct Startable {
    flow: String,
    inputs: Vec<ManualInput>,
}

/// How a webhook is.
#[derive(Debug, Serialize, ToSchema)]
struct Hook {
    /// What is to be said of it.
    state: HookState,
    looked: At,
}

impl List for Repositories {
    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// The repositories that you may see.
#[utoipa::path(get, path = "/repositories", tag = "repositories", operation_id = "listRepositories", params(RepositoriesQuery), responses((status = 200, description = "A page of repositories", body = Repositories)))]
pub(super) async fn list(
    visitor: Visitor,
    State(web): State<Web>,
    Asked(query): Asked<RepositoriesQuery>,
) -> Result<Page<Repositories>, Problem> {
    let limit = usize::try_from(query.limit.0).unwrap_or_default();
    let (mut seen, mut looked, mut after) = (Vec::new(), 0, query.cursor.map(|cursor| cursor.0));
    loop {
        let rows = web.engine.store.read().await?.repositories_after(after, query.limit.0 + 1).await?;
        let is_end = rows.len() <= limit;
        for row in rows {
            if seen.len() == limit || looked == LOOKED_AT {
                let next = after.map(|last| Cursor(last).to_string());
                return Ok(Page(Repositories { repositories: seen, next }));
            }
            looked += 1;
            after = Some(row.id);
            if visitor.may(&web, &row, Right::See).await {
                seen.push(Brief::of(&row));
            }
        }
        if is_end {
            return Ok(Page(Repositories { repositories: seen, next: None }));
        }
    }
}

/// One repository.
#[utoipa::path(get, path = "/repository", tag = "repositories", operation_id = "getRepository", params(Whose), responses((status = 200, description = "The repository", body = Whole)))]
pub(super) async fn show(OfRepository { granted, .. }: OfRepository<See>, State(web): State<Web>) -> Answer<Whole> {
    let row = &granted.repository;
    let mut tx = web.engine.store.read().await?;
    let queues = queues(&mut tx, row.id).await?;
    let (mut starts, mut hook) = (None, None);
    if granted.may(Right::Run) {
        let flows = startable(&mut tx, row).await?.into_iter();
        starts = Some(flows.map(|one| Startable { flow: one.flow, inputs: one.inputs }).collect());
    }
    if granted.may(Right::Maintain) {
        hook = tx.hook(row.id).await?.map(|hook| Hook { state: hook.state.0, looked: At(hook.looked) });
    }
    drop(tx);
    let policy = if granted.may(Right::Maintain) && row.forge != ForgeKind::Git {
        Some(Policy::of(&web.engine.rule(row).await?))
    } else {
        None
    };
    Ok(Json(Whole { brief: Brief::of(row), queues, starts, hook, policy }))
}

/// A run, by its number in its repository.
#[utoipa::path(get, path = "/repository/runs/{number}", tag = "repositories", operation_id = "getRunByNumber",
    params(("number" = i64, Path, description = "The run's number", minimum = 1, example = 7), Whose), responses((status = 200, description = "The run", body = Run)))]
pub(super) async fn run(
    OfRepository { granted, .. }: OfRepository<See>,
    State(web): State<Web>,
    Path(number): Path<String>,
) -> Answer<Run> {
    let number: i64 = number.parse().map_err(|_| Failure::Missing)?;
    let mut tx = web.engine.store.read().await?;
    let run = tx.run_numbered(granted.repository.id, number).await?.ok_or(Failure::Missing)?;
    Ok(Json(Run::of(&web.engine, &mut tx, &run).await?))
}

impl Brief {
    fn of(row: &RepositoryRow) -> Self {
        let route = Route { forge: row.forge, repository: row.name.clone(), place: Place::Runs };
        Self {
            forge: row.forge,
            repository: row.name.clone(),
            default_branch: row.facts.default_branch.clone(),
            web_url: row.facts.web_url.clone(),
            visibility: row.facts.visibility,
            url: route.to_string(),
        }
    }
}

async fn queues(tx: &mut Tx, repository: RepositoryId) -> Result<Vec<Queue>, Problem> {
    let mut all = Vec::new();
    for (_, group) in tx.queues(Some(repository)).await?.into_iter().take(QUEUES) {
        let runs = tx.queue(repository, &group).await?;
        let (live, waiting): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| run.released.is_some());
        let numbers = |runs: Vec<crate::store::QueuedRun>| runs.iter().map(|run| run.number).collect();
        all.push(Queue { group, live: numbers(live), waiting: numbers(waiting) });
    }
    Ok(all)
}

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
