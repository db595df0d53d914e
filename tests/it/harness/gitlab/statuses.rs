//! Statuses: jobs that others run, in pipelines that GitLab finds or makes.

use std::sync::Arc;

use axum::{
    Form, Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use containerops::model::Sha;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    May, ModelGitlab, Quirks, World,
    projects::{no_permission, no_project},
    routes::{Page, Refusal, not_found, refuse},
};

/// A status.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) project: u64,
    pub(super) sha: Sha,
    pub(super) r#ref: String,
    pub(super) pipeline: u64,
    pub(super) name: String,
    pub(super) state: String,
    pub(super) description: String,
    pub(super) target_url: String,
    /// A newer one of its name has taken its place.
    pub(super) retried: bool,
}

/// What a project has run of a commit.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    pub(super) id: u64,
    pub(super) project: u64,
    pub(super) sha: Sha,
    pub(super) r#ref: String,
    pub(super) source: &'static str,
}

type Model = State<Arc<World>>;

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/api/v4/projects/{id}/statuses/{sha}", post(create))
        .route("/api/v4/projects/{id}/repository/commits/{sha}/statuses", get(list))
        .route("/api/v4/projects/{id}/pipelines", get(pipelines))
}

#[derive(Deserialize)]
struct Body {
    state: String,
    name: String,
    r#ref: Option<String>,
    target_url: Option<String>,
    description: Option<String>,
    pipeline_id: Option<u64>,
}

async fn create(
    State(world): Model,
    Path((id, sha)): Path<(String, Sha)>,
    Form(body): Form<Body>,
) -> Result<Response, Refusal> {
    let project = {
        let mut state = world.state();
        let (_, project) = state.project(&id).ok_or_else(no_project)?;
        let number = project.id;
        if project.may != May::Write {
            return Err(no_permission());
        }
        let is_here = project.trees.contains_key(&sha) && (project.owns(&sha) || state.quirks.takes_requests);
        if !is_here {
            return Err(not_found("404 Commit Not Found"));
        }
        body.check(state.quirks)?;
        let lock = (number, sha.clone());
        if state.locked.contains(&lock) {
            state.met += 1;
            return Err(refuse(409, "409 Conflict"));
        }
        state.locked.push(lock);
        number
    };
    let slow = world.state().slow.get(&sha).cloned();
    if let Some(slow) = slow {
        slow.notified().await;
    }
    // GitLab works at it, and others come meanwhile
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let answer = write(&world, project, &sha, body);
    world.state().locked.retain(|locked| *locked != (project, sha.clone()));
    answer
}

fn write(world: &World, project: u64, sha: &Sha, body: Body) -> Result<Response, Refusal> {
    let mut state = world.state();
    let name = body.r#ref.clone().ok_or_else(|| refuse(400, "the tests want a ref"))?;
    let pipeline = pipeline(&mut state, project, sha, &name, body.pipeline_id)?;
    let next = state.next_id();
    let same = |job: &&mut Job| {
        (job.project, &job.sha, job.pipeline, &job.name) == (project, sha, pipeline, &body.name) && !job.retried
    };
    let at = match state.jobs.iter_mut().find(same) {
        Some(job) if matches!(job.state.as_str(), "pending" | "running") => job.id,
        old => {
            if let Some(old) = old {
                old.retried = true;
            }
            let new = Job {
                id: next,
                project,
                sha: sha.clone(),
                r#ref: name,
                pipeline,
                name: body.name.clone(),
                state: "created".to_owned(),
                description: String::new(),
                target_url: String::new(),
                retried: false,
            };
            state.jobs.push(new);
            next
        }
    };
    let quirks = state.quirks;
    let path = state.projects.iter().find(|(_, one)| one.id == project).map(|(path, _)| path.clone());
    let job = state.jobs.iter_mut().find(|job| job.id == at).expect("a job");
    // these are written even if the state cannot be
    job.description = body.description.unwrap_or_default();
    job.target_url = body.target_url.unwrap_or_default();
    transition(job, &body.state, quirks)?;
    let line =
        format!("{} {} of {}: {} ({})", job.state, job.name, path.unwrap_or_default(), job.description, job.r#ref);
    let mut answer = shown(job);
    if !quirks.tells_pipeline {
        answer.as_object_mut().expect("an object").remove("pipeline_id");
    }
    state.written.push_back(line);
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// The pipeline that is named, the newest of the commit and its ref, or a new one.
fn pipeline(
    state: &mut super::State,
    project: u64,
    sha: &Sha,
    name: &str,
    wanted: Option<u64>,
) -> Result<u64, Refusal> {
    let here = state.pipelines.iter().filter(|one| one.project == project && one.sha == *sha);
    if let Some(wanted) = wanted {
        return here.map(|one| one.id).find(|id| *id == wanted).ok_or_else(|| not_found("404 Pipeline Not Found"));
    }
    if let Some(newest) = here.filter(|one| one.r#ref == name).map(|one| one.id).max() {
        return Ok(newest);
    }
    let id = state.next_id();
    state.pipelines.push(Pipeline { id, project, sha: sha.clone(), r#ref: name.to_owned(), source: "external" });
    Ok(id)
}

fn transition(job: &mut Job, to: &str, quirks: Quirks) -> Result<(), Refusal> {
    let from = job.state.clone();
    let event = match to {
        "pending" => "enqueue",
        "running" => "run",
        "success" => "success",
        "failed" => "drop",
        "canceled" => "cancel",
        _ => "skip",
    };
    let goes = match (from.as_str(), to) {
        ("pending", "pending") | ("running", "running") => !quirks.cannot_transition,
        ("created", "pending") | ("created" | "pending", "running" | "skipped") => true,
        ("created" | "pending", "success") => !quirks.needs_running,
        ("running", "success") => true,
        ("created" | "pending" | "running", "failed" | "canceled") => true,
        _ => false,
    };
    if goes {
        to.clone_into(&mut job.state);
        return Ok(());
    }
    let why = format!(
        "Cannot transition status via :{event} from :{from} (Reason(s): Status cannot transition via \"{event}\")"
    );
    Err(refuse(400, why))
}

impl Body {
    fn check(&self, quirks: Quirks) -> Result<(), Refusal> {
        let known = matches!(self.state.as_str(), "pending" | "running" | "success" | "failed" | "canceled")
            || self.state == "skipped" && quirks.has_skipped;
        if !known {
            return Err(refuse(400, "state does not have a valid value"));
        }
        let texts = [&self.description, &self.target_url, &self.r#ref];
        if texts.into_iter().flatten().any(|text| text.chars().count() > 255) {
            return Err(refuse(400, "is too long (maximum is 255 characters)"));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Filter {
    r#ref: Option<String>,
    name: Option<String>,
    sha: Option<Sha>,
}

async fn list(
    State(world): Model,
    Path((id, sha)): Path<(String, Sha)>,
    Query(filter): Query<Filter>,
    Query(page): Query<Page>,
) -> Result<Response, Refusal> {
    let state = world.state();
    let (_, project) = state.project(&id).ok_or_else(no_project)?;
    if !project.trees.contains_key(&sha) {
        return Err(not_found("404 Commit Not Found"));
    }
    let here = state.jobs.iter().filter(|job| job.project == project.id && job.sha == sha && !job.retried);
    let here = here.filter(|job| filter.name.as_ref().is_none_or(|name| job.name == *name));
    let here = here.filter(|job| filter.r#ref.as_ref().is_none_or(|name| job.r#ref == *name));
    Ok(page.of(&here.map(shown).collect::<Vec<_>>()))
}

fn shown(job: &Job) -> Value {
    json!({
        "id": job.id, "sha": job.sha, "ref": job.r#ref, "status": job.state, "name": job.name,
        "target_url": job.target_url, "description": job.description, "pipeline_id": job.pipeline,
        "allow_failure": false, "author": {"id": super::BOT, "username": "containerops"},
    })
}

async fn pipelines(
    State(world): Model,
    Path(id): Path<String>,
    Query(filter): Query<Filter>,
    Query(page): Query<Page>,
) -> Result<Response, Refusal> {
    let state = world.state();
    let (_, project) = state.project(&id).ok_or_else(no_project)?;
    let here = state.pipelines.iter().rev().filter(|one| one.project == project.id);
    let here = here.filter(|one| filter.sha.as_ref().is_none_or(|sha| one.sha == *sha));
    let here = here.filter(|one| filter.r#ref.as_ref().is_none_or(|name| one.r#ref == *name));
    let all: Vec<Value> =
        here.map(|one| json!({"id": one.id, "sha": one.sha, "ref": one.r#ref, "source": one.source})).collect();
    Ok(page.of(&all))
}

impl ModelGitlab {
    /// What was written to statuses since this was asked last, as lines: `state context of project: title (ref)`.
    pub(crate) fn story(&self) -> String {
        self.state().written.drain(..).collect::<Vec<_>>().join("\n")
    }

    /// What GitLab shows of a commit now, as lines; what was written is read by it.
    pub(crate) fn statuses(&self, project: &str, sha: &Sha) -> String {
        self.story();
        let state = self.state();
        let id = state.projects[project].id;
        let here = state.jobs.iter().filter(|job| job.project == id && job.sha == *sha && !job.retried);
        let mut lines: Vec<String> =
            here.map(|job| format!("{} {}: {} ({})\n", job.state, job.name, job.description, job.r#ref)).collect();
        lines.sort_by(|a, b| a.split_once(' ').cmp(&b.split_once(' ')));
        lines.concat()
    }

    /// In how many pipelines a commit's statuses are.
    pub(crate) fn pipelines_of(&self, sha: &Sha) -> usize {
        self.state().pipelines.iter().filter(|one| one.sha == *sha && one.source == "external").count()
    }

    /// GitLab's own CI makes a pipeline of a branch's newest commit.
    pub(crate) fn runs_its_own(&self, project: &str, branch: &str) {
        let mut state = self.state();
        let (id, own) = (state.next_id(), &state.projects[project]);
        let (project, sha) = (own.id, own.tip(branch));
        state.pipelines.push(Pipeline { id, project, sha, r#ref: branch.to_owned(), source: "push" });
    }

    /// Somebody removes all pipelines, and their statuses with them.
    pub(crate) fn remove_pipelines(&self) {
        let mut state = self.state();
        state.pipelines.clear();
        state.jobs.clear();
    }
}
