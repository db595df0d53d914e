//! What the model says of the App and of the token, for whoever examines them.

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use serde_json::{Value, json};

use super::{ModelGithub, World, hooks};

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/app", get(async |State(world): State<Arc<World>>| Json(world.state().app())))
        .route("/app/hook/config", get(app_hook).patch(hooks::set_app_hook))
        .route("/user", get(user))
        .route("/rate_limit", get(async || Json(json!({}))))
}

async fn app_hook(State(world): State<Arc<World>>) -> Json<Value> {
    Json(world.state().hook())
}

async fn user(State(world): State<Arc<World>>) -> impl IntoResponse {
    let scopes = world.state().scopes.clone().unwrap_or_default();
    (StatusCode::OK, [("x-oauth-scopes", scopes)], Json(json!({"login": "ada"})))
}

impl super::State {
    fn app(&self) -> Value {
        self.about_app.clone().unwrap_or_else(|| {
            json!({
                "slug": "containerops", "installations_count": 1,
                "permissions": {
                    "checks": "write", "contents": "read", "pull_requests": "write", "metadata": "read",
                    "merge_queues": "read", "issues": "read",
                },
                "events": [
                    "push", "pull_request", "check_run", "check_suite", "merge_group", "issue_comment",
                    "pull_request_review", "pull_request_review_comment",
                ],
            })
        })
    }

    fn hook(&self) -> Value {
        let url = self.hook_url.clone().unwrap_or_else(|| "https://ci.example.com/hooks/github".to_owned());
        json!({"url": url, "content_type": "json", "insecure_ssl": "0", "secret": "********"})
    }
}

impl ModelGithub {
    /// The App is as this says.
    pub(crate) fn app_is(&self, about: Value) {
        self.state().about_app = Some(about);
    }

    /// The App's webhook goes here.
    pub(crate) fn hook_goes_to(&self, url: &str) {
        self.state().hook_url = Some(url.to_owned());
    }

    /// The token is a classic one with these scopes.
    pub(crate) fn token_has(&self, scopes: &str) {
        self.state().scopes = Some(scopes.to_owned());
    }
}
