//! What starts flows besides what happens on a forge: clocks, people, and other flows.
//!
//! What files say of that is kept as rows when a push to their branch is handled, together with it. Each start is a
//! delivery of our own, put in by the transaction of what caused it; intake reads the branch and its files, and makes
//! runs of it, as of any other delivery. So a start outlives any crash, and none is made twice.

use sha2::{Digest as _, Sha256};

use super::{Engine, EngineError, Result};
use crate::{
    flow::{self, Flow},
    forge::{FlowFile, Forge, ForgeError},
    model::{
        DeliveryId, DeliveryState, Event, EventKind, ForgeKind, Repository, RepositoryName, Sha, Start, Starter, Time,
        Trust, Wanted,
    },
    store::{Change, Json, NewDelivery, RepositoryRow, RunRow, StarterOf, StarterRow, Taken, Tx},
};

/// The events of deliveries that are starts of ours. No forge has one of these names, and a delivery with one is not taken.
pub const EVENTS: [&str; 3] = ["schedule", "manual", "flow"];
/// Stands where the forge's hook does.
pub(super) const HOOK: &str = "containerops";
/// How many schedules are looked at in one transaction each.
const BATCH: i64 = 64;
/// A flow that succeeds starts no more others.
const MOST_FOLLOWERS: i64 = 100;

/// What the files at a branch's new commit say of starts.
#[derive(Debug)]
pub(super) struct Kept {
    repository: Repository,
    branch: String,
    sha: Sha,
    before: Sha,
    starters: Vec<(String, String, String, Starter)>,
    /// Files that cannot be read: what they said before stays.
    broken: Vec<String>,
}

impl Kept {
    /// What a push's files say; `None` for other events.
    pub(super) fn of(event: &Event, files: &[FlowFile]) -> Option<Self> {
        let EventKind::Push { branch } = &event.kind else { return None };
        let (mut starters, mut broken) = (Vec::new(), Vec::new());
        for file in files {
            match flow::read(&file.path, &event.repository.name, &file.content) {
                Ok(flow) => starters.extend(starters_of(&flow, &file.path, branch, &event.repository)),
                Err(_) => broken.push(file.path.clone()),
            }
        }
        let nowhere = || "0".repeat(event.sha.as_str().len()).parse().unwrap_or_else(|_| event.sha.clone());
        Some(Self {
            repository: event.repository.clone(),
            branch: branch.clone(),
            sha: event.sha.clone(),
            before: event.base_sha.clone().unwrap_or_else(nowhere),
            starters,
            broken,
        })
    }
}

/// The ways in which a file on a branch has its flow started. A schedule counts on its own branch only, so that no side
/// branch changes what runs by the clock.
fn starters_of(
    flow: &Flow,
    path: &str,
    branch: &str,
    repository: &Repository,
) -> Vec<(String, String, String, Starter)> {
    let here = |starter: &Starter| match starter {
        Starter::Schedule(schedule) => schedule.branch.as_deref().unwrap_or(&repository.default_branch) == branch,
        Starter::Manual(_) | Starter::Flow(_) => true,
    };
    let with_names = |starter| (path.to_owned(), flow.name().to_owned(), flow.uri().to_owned(), starter);
    flow.starters().into_iter().filter(here).map(with_names).collect()
}

impl Engine {
    /// Writes what a push's files say of starts, as part of its delivery.
    pub(super) async fn keep_starters(&self, tx: &mut Tx, kept: &Kept) -> Result<()> {
        let known = tx.repository_named(kept.repository.forge, &kept.repository.name).await?;
        if known.is_none() && kept.starters.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let repository = tx.repository_seen(&kept.repository, now).await?;
        let before = tx.starters(repository, &kept.branch).await?;
        // what the rows are of came after this push: it is told late
        if before.iter().any(|row| row.before == kept.sha) {
            return Ok(());
        }
        for row in before.iter().filter(|row| !kept.says(row)) {
            tx.forget_starter(row).await?;
        }
        for (path, flow, uri, starter) in &kept.starters {
            let row = StarterRow {
                repository_id: repository,
                branch: kept.branch.clone(),
                path: path.clone(),
                flow: flow.clone(),
                uri: uri.clone(),
                due: due(starter, before.iter().find(|row| row.path == *path && *row.starter == *starter), now),
                starter: Json(starter.clone()),
                sha: kept.sha.clone(),
                before: kept.before.clone(),
            };
            tx.keep_starter(&row).await?;
        }
        Ok(())
    }

    /// Starts what schedules have come due, each once, however often it came while nobody looked. How many.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn start_scheduled(&self) -> Result<usize> {
        let now = self.now();
        let due = self.store.read().await?.due_starters(now, BATCH).await?;
        let mut started = 0;
        for of in due {
            let Starter::Schedule(schedule) = &of.row.starter.0 else { continue };
            let (words, branch) = (schedule.words(), of.row.branch.clone());
            let next = flow::next_time(schedule, now);
            let start = Start {
                repository: of.facts.name.clone(),
                kind: EventKind::Schedule { branch, cron: words },
                sha: None,
                path: Some(of.row.path.clone()),
                flow: None,
                by: "schedule".to_owned(),
            };
            let id = named(&[&of.row.path, &of.row.branch, &of.row.starter.name()], &of.row, of.row.due);
            let mut tx = self.store.write().await?;
            tx.take_starter(&of.row, next).await?;
            self.put_in(&mut tx, of.facts.forge, &start, &id).await?;
            tx.commit().await?;
            started += 1;
        }
        Ok(started)
    }

    /// Keeps the wish to start flows by hand. `wish` names it: sent twice, it is one start.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn start_by_hand(&self, of: &RepositoryRow, wanted: &Wanted, wish: &str) -> Result<DeliveryId> {
        let branch = wanted.branch.clone().unwrap_or_else(|| of.facts.default_branch.clone());
        let start = Start {
            repository: of.name.clone(),
            kind: EventKind::Manual { branch, inputs: wanted.inputs.clone(), chain: Vec::new() },
            sha: None,
            path: None,
            flow: wanted.flow.clone(),
            by: wanted.by.clone(),
        };
        let mut tx = self.store.write().await?;
        // no forge gives its deliveries such ids, so that none is taken for a twin of this one
        let id = self.put_in(&mut tx, of.forge, &start, &format!("start {wish}")).await?;
        self.note(&mut tx, &format!("put in as delivery {id}")).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Puts a start in as a delivery. The same one is put in once.
    async fn put_in(&self, tx: &mut Tx, forge: ForgeKind, start: &Start, id: &str) -> Result<DeliveryId> {
        put_in(tx, forge, start, id, self.now()).await
    }

    /// The event that a start is, and what it is about; or why nothing comes of it.
    pub(super) async fn begun(&self, forge: &dyn Forge, start: &Start) -> Result<Event, Failed> {
        let row = self.known(forge.kind(), &start.repository).await?;
        let Some(row) = row else {
            return Err(Failed::Nothing(format!(
                "nothing has happened in {} yet, so that nobody knows it",
                start.repository
            )));
        };
        let facts = row.facts.0;
        let branch = branch_of(&start.kind).unwrap_or(&facts.default_branch);
        let sha = match &start.sha {
            Some(sha) => sha.clone(),
            None => forge
                .branch_head(&facts, branch)
                .await?
                .ok_or_else(|| Failed::Nothing(format!("there is no branch {branch} in {}", start.repository)))?,
        };
        let message = match forge.message(&facts, &sha).await {
            Err(ForgeError::Refused { .. }) => None,
            other => other?,
        };
        let title = message.as_deref().and_then(|message| message.lines().next()).unwrap_or_default();
        Ok(Event {
            title: title.chars().take(200).collect(),
            repository: facts,
            kind: start.kind.clone(),
            sha,
            base_sha: None,
            actor: start.by.chars().take(100).collect(),
            trust: Trust::Trusted,
            message: None,
        })
    }

    async fn known(&self, forge: ForgeKind, name: &RepositoryName) -> Result<Option<RepositoryRow>> {
        Ok(self.store.read().await?.repository_named(forge, name).await?)
    }
}

/// Why nothing comes of a start now.
pub(super) enum Failed {
    /// Nothing ever will.
    Nothing(String),
    Forge(ForgeError),
    Ours(EngineError),
}

impl From<ForgeError> for Failed {
    fn from(error: ForgeError) -> Self {
        Self::Forge(error)
    }
}

impl From<EngineError> for Failed {
    fn from(error: EngineError) -> Self {
        Self::Ours(error)
    }
}

/// Starts the flows that follow a run which has just ended well, in the transaction of its end.
pub(super) async fn follow(tx: &mut Tx, run: &RunRow, now: Time) -> Result<()> {
    let event = &run.event.0;
    let (Some(plan), Some(branch), Some(_)) = (&run.plan.0, followed_branch(&event.kind), event.trusted()) else {
        return Ok(());
    };
    let chain = event.kind.way();
    for of in tx.followers(&plan.uri, MOST_FOLLOWERS).await? {
        let Some(sha) = follows(&of, run, &plan.uri, branch) else { continue };
        let start = Start {
            repository: of.facts.name.clone(),
            kind: EventKind::Flow { branch: of.row.branch.clone(), after: plan.uri.clone(), chain: chain.clone() },
            sha,
            path: Some(of.row.path.clone()),
            flow: None,
            by: event.actor.clone(),
        };
        let id = named(&[&of.row.path, &run.id.to_string()], &of.row, None);
        put_in(tx, of.facts.forge, &start, &id, now).await?;
    }
    Ok(())
}

/// Whether a flow follows a run, and at which commit: in the same repository at the run's own, on its branch; in another at
/// the newest of the default branch, after runs of the default branch. A `uri` may be anything, so only one that begins
/// with its repository's name counts elsewhere.
fn follows(of: &StarterOf, run: &RunRow, uri: &str, branch: &str) -> Option<Option<Sha>> {
    if of.row.repository_id == run.repository_id {
        return (of.row.branch == branch).then(|| Some(run.sha.clone()));
    }
    let home = &run.event.repository;
    let own = uri.strip_prefix(home.name.as_str()).is_some_and(|rest| rest.starts_with('/'));
    let on_default = of.row.branch == of.facts.default_branch && branch == home.default_branch;
    (own && on_default).then_some(None)
}

/// The branch whose success others follow: that of a pull request or a merge group is not there yet.
fn followed_branch(kind: &EventKind) -> Option<&str> {
    match kind {
        EventKind::Push { .. } => branch_of(kind),
        EventKind::Schedule { .. } | EventKind::Manual { .. } | EventKind::Flow { .. } => branch_of(kind),
        EventKind::Tag { .. } | EventKind::PullRequest(_) | EventKind::MergeGroup { .. } => None,
    }
}

pub(super) fn branch_of(kind: &EventKind) -> Option<&str> {
    match kind {
        EventKind::Push { branch }
        | EventKind::Schedule { branch, .. }
        | EventKind::Manual { branch, .. }
        | EventKind::Flow { branch, .. }
        | EventKind::MergeGroup { branch, .. } => Some(branch),
        EventKind::PullRequest(pull) => Some(&pull.branch),
        EventKind::Tag { .. } => None,
    }
}

impl Kept {
    /// Whether what was kept before is still said, or nobody can read whether it is.
    fn says(&self, row: &StarterRow) -> bool {
        let said = |(path, _, _, starter): &(String, String, String, Starter)| {
            *path == row.path && starter.kind() == row.starter.kind() && starter.name() == row.starter.name()
        };
        self.broken.contains(&row.path) || self.starters.iter().any(said)
    }
}

/// When a schedule comes next; a time that has come and was not taken yet stays due.
fn due(starter: &Starter, before: Option<&StarterRow>, now: Time) -> Option<Time> {
    let Starter::Schedule(schedule) = starter else { return None };
    before.and_then(|row| row.due).or_else(|| flow::next_time(schedule, now))
}

pub(super) async fn put_in(tx: &mut Tx, forge: ForgeKind, start: &Start, id: &str, now: Time) -> Result<DeliveryId> {
    let body = serde_json::to_vec(start).map_err(|error| EngineError::Broken(error.to_string()))?;
    let [schedule, manual, flow] = EVENTS;
    let event = match &start.kind {
        EventKind::Schedule { .. } => schedule,
        EventKind::Flow { .. } => flow,
        EventKind::Manual { .. }
        | EventKind::Push { .. }
        | EventKind::Tag { .. }
        | EventKind::PullRequest(_)
        | EventKind::MergeGroup { .. } => manual,
    };
    let new = NewDelivery {
        forge,
        hook: HOOK.to_owned(),
        delivery: id.to_owned(),
        event: event.to_owned(),
        headers: Vec::new(),
        body: body.into(),
        received: now,
        state: DeliveryState::Pending,
    };
    tx.ring(Change::Delivery);
    match tx.insert_delivery(&new).await? {
        Taken::New(id) => {
            tx.delivery_is_about(id, &start.repository).await?;
            tracing::info!(delivery.id = %id, repository = %start.repository, event, by = start.by, "start put in");
            Ok(id)
        }
        Taken::Again => {
            let found = tx.delivery_named(forge, id, HOOK).await?;
            found.ok_or_else(|| EngineError::Broken(format!("delivery {id} is there and is not")))
        }
    }
}

/// The id of a start: the same for one cause, however often it is looked at.
fn named(parts: &[&str], row: &StarterRow, due: Option<Time>) -> String {
    let due = due.map_or(0, Time::as_millis);
    let what = format!("{}\n{due}\n{}", row.repository_id, parts.join("\n"));
    hex::encode(&Sha256::digest(what)[..16])
}
