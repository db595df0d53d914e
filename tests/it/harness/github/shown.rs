//! What the model shows of a commit, as the real API lists it.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::get,
};
use containerops::model::{Report, Sha};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ModelGithub, World, Write, app::APP};

#[derive(Deserialize)]
struct Page {
    #[serde(default = "thirty")]
    per_page: usize,
    #[serde(default = "first")]
    page: usize,
    app_id: Option<u64>,
    filter: Option<String>,
}

fn thirty() -> usize {
    30
}

fn first() -> usize {
    1
}

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/repos/{owner}/{name}/commits/{sha}/check-runs", get(check_runs))
        .route("/repos/{owner}/{name}/commits/{sha}/status", get(status))
}

async fn check_runs(
    State(world): State<Arc<World>>,
    Path((_, _, sha)): Path<(String, String, String)>,
    Query(page): Query<Page>,
) -> Json<Value> {
    let state = world.state();
    let of_commit = state.checks.iter().filter(|(_, check)| check.sha == sha && page.app_id.is_none_or(|id| id == APP));
    let all: Vec<Value> = if page.filter.as_deref() == Some("all") {
        of_commit.map(listed).collect()
    } else {
        let newest: BTreeMap<_, _> = of_commit.map(|(id, check)| (&check.context, (id, check))).collect();
        newest.into_values().map(listed).collect()
    };
    Json(json!({"total_count": all.len(), "check_runs": page.of(all)}))
}

fn listed((id, check): (&u64, &Write)) -> Value {
    let (status, conclusion) = match check.state.as_str() {
        open @ ("queued" | "in_progress") => (open, None),
        end => ("completed", Some(end)),
    };
    // GitHub gives texts back with its own line ends
    let summary = check.summary.replace('\n', "\r\n");
    let annotations = check.annotations.len();
    json!({
        "id": id, "name": check.context, "head_sha": check.sha, "status": status, "conclusion": conclusion,
        "details_url": check.url, "external_id": check.external_id,
        "output": {"title": check.title, "summary": summary, "text": null, "annotations_count": annotations},
    })
}

async fn status(
    State(world): State<Arc<World>>,
    Path((_, _, sha)): Path<(String, String, String)>,
    Query(page): Query<Page>,
) -> Json<Value> {
    let state = world.state();
    let of_commit = state.statuses.iter().filter(|status| status.sha == sha);
    let newest: BTreeMap<_, _> = of_commit.map(|status| (&status.context, status)).collect();
    let listed = |status: &Write| json!({"context": status.context, "state": status.state, "description": status.title, "target_url": status.url});
    let all: Vec<Value> = newest.into_values().map(listed).collect();
    Json(json!({"state": "pending", "total_count": all.len(), "statuses": page.of(all)}))
}

impl Page {
    fn of(&self, all: Vec<Value>) -> Vec<Value> {
        assert!((1..=100).contains(&self.per_page), "GitHub gives no more than 100 at once");
        all.into_iter().skip((self.page - 1) * self.per_page).take(self.per_page).collect()
    }
}

impl ModelGithub {
    /// How many check runs of this name there are on a commit, also those that GitHub does not show any more.
    pub(crate) fn checks_of_name(&self, sha: &str, context: &str) -> usize {
        let state = self.state();
        state.checks.values().filter(|check| check.sha == sha && check.context == context).count()
    }

    /// Somebody else writes over what a context shows.
    pub(crate) fn somebody_writes(&self, sha: &str, context: &str, to: &str) {
        let mut state = self.state();
        for check in state.checks.values_mut().filter(|check| check.sha == sha && check.context == context) {
            to.clone_into(&mut check.state);
        }
    }

    /// Somebody else tells a check what this report says.
    pub(crate) fn somebody_tells(&self, sha: &str, context: &str, report: &Report) {
        let mut state = self.state();
        for check in state.checks.values_mut().filter(|check| check.sha == sha && check.context == context) {
            check.state = report.progress.to_string();
            check.title.clone_from(&report.title);
            check.summary.clone_from(&report.summary);
            check.url.clone_from(&report.url);
            check.external_id.clone_from(&report.external_id);
        }
    }

    /// Somebody else posts a status.
    pub(crate) fn somebody_posts(&self, sha: &Sha, context: &str, to: &str) {
        let mut state = self.state();
        let one = state.statuses.iter().find(|status| status.sha == sha.as_str()).expect("there is one").clone();
        let (context, to) = (context.to_owned(), to.to_owned());
        state.statuses.push(Write { context, state: to, title: "by hand".to_owned(), ..one });
    }

    /// A context of a commit has so many statuses already.
    pub(crate) fn has_statuses(&self, sha: &Sha, context: &str, count: usize) {
        let mut state = self.state();
        let of_context = |status: &&Write| status.sha == sha.as_str() && status.context == context;
        let one = state.statuses.iter().find(of_context).expect("there is one").clone();
        let missing = count - state.statuses.iter().filter(of_context).count();
        state.statuses.splice(0..0, std::iter::repeat_n(one, missing));
    }

    /// Nothing goes wrong any more.
    pub(crate) fn mend(&self) {
        self.state().faults.clear();
    }

    /// What GitHub shows of a context now, whoever wrote it: a check, else the newest status.
    pub(crate) fn now_shows(&self, sha: &str, context: &str) -> Write {
        let state = self.state();
        let checks = state.checks.values().rev();
        let mut all = checks.chain(state.statuses.iter().rev());
        let found = all.find(|write| write.sha == sha && write.context == context);
        found.unwrap_or_else(|| panic!("nothing is shown of {context}")).clone()
    }
}
