//! Webhooks of a repository on Gitea or Forgejo.
//!
//! What its API calls an edit leaves the secret as it was, and no answer tells what it is. So a hook whose secret must
//! be ours is made anew, and the old one removed: for a moment there are two, and never none.

use http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Answer, Api, Call, refused};
use crate::{
    forge::{ForgeError, Hook, hook::is_same_url},
    model::{HookFault, RepositoryName},
};

/// More hooks than any repository has.
const MOST: usize = 500;
/// What a hook is asked to tell: each by its own name, for `pull_request` stands for all of its kind in a wish, and for
/// one of them in an answer.
const EVENTS: [&str; 7] =
    ["push", "create", "delete", "pull_request", "pull_request_sync", "pull_request_comment", "issue_comment"];
/// What must be among its events; the others come beside these, or are of no use alone.
const NEEDED: [&str; 4] = ["push", "pull_request", "pull_request_sync", "pull_request_comment"];

#[derive(Deserialize)]
struct Item {
    id: u64,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    active: bool,
    events: Option<Vec<String>>,
    config: Option<Config>,
    #[serde(default)]
    branch_filter: String,
    #[serde(default)]
    authorization_header: String,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    url: String,
    #[serde(default)]
    content_type: String,
}

/// The repository's hooks that deliver to `url`.
pub(super) async fn hooks(api: &Api, of: &RepositoryName, url: &str) -> Result<Vec<Hook>, ForgeError> {
    let listed = api.pages::<Item>(&format!("/repos/{of}/hooks?"), MOST).await;
    let (items, _) = listed.map_err(|error| with_remedy(error, of))?;
    let is_ours = |item: &Item| item.config.as_ref().is_some_and(|config| is_same_url(&config.url, url));
    let mut ours: Vec<Hook> = items.into_iter().filter(is_ours).map(seen).collect();
    ours.sort_by_key(|hook| hook.faults.len());
    Ok(ours)
}

/// Registers one.
pub(super) async fn add(
    api: &Api,
    of: &RepositoryName,
    url: &str,
    secret: Option<&SecretString>,
) -> Result<(), ForgeError> {
    create(api, of, url, secret, &Value::Null).await
}

/// Registers one in another's place.
pub(super) async fn replace(
    api: &Api,
    of: &RepositoryName,
    url: &str,
    hook: &Hook,
    secret: Option<&SecretString>,
) -> Result<(), ForgeError> {
    create(api, of, url, secret, &hook.told).await?;
    remove(api, of, &hook.id).await
}

/// Removes one; it may be gone already.
pub(super) async fn remove(api: &Api, of: &RepositoryName, id: &str) -> Result<(), ForgeError> {
    let answer = api.send(&Call::delete(format!("/repos/{of}/hooks/{id}")).without_redirects()).await?;
    if answer.status == StatusCode::NOT_FOUND { Ok(()) } else { answer.checked().map(drop) }
}

async fn create(
    api: &Api,
    of: &RepositoryName,
    url: &str,
    secret: Option<&SecretString>,
    kept: &Value,
) -> Result<(), ForgeError> {
    let secret = secret.ok_or_else(|| refused(0, "there is no CONTAINEROPS_GITEA_WEBHOOK_SECRET".to_owned()))?;
    let text = |name: &str| kept[name].as_str().unwrap_or_default();
    let mut body = json!({
        "type": "gitea",
        "active": true,
        "events": EVENTS,
        "config": { "url": url, "content_type": "json", "http_method": "post", "secret": secret.expose_secret() },
    });
    // what a proxy before us may want
    if !text("authorization_header").is_empty() {
        body["authorization_header"] = json!(text("authorization_header"));
    }
    let call = Call::post(format!("/repos/{of}/hooks"), body).without_redirects();
    api.send(&call).await.and_then(Answer::checked).map(drop).map_err(|error| with_remedy(error, of))
}

fn seen(item: Item) -> Hook {
    let told = json!({"authorization_header": item.authorization_header});
    Hook { id: item.id.to_string(), faults: faults(&item), told }
}

fn faults(item: &Item) -> Vec<HookFault> {
    let mut faults = Vec::new();
    if !item.active {
        faults.push(HookFault::disabled("the webhook is switched off"));
    }
    if !matches!(item.r#type.as_str(), "gitea" | "forgejo" | "") {
        faults.push(HookFault::wrong(format!("the webhook sends what {} would", item.r#type)));
    }
    if item.config.as_ref().is_some_and(|config| !matches!(config.content_type.as_str(), "json" | "")) {
        faults.push(HookFault::wrong("the webhook sends forms, and not JSON"));
    }
    let events = item.events.clone().unwrap_or_default();
    let missing: Vec<&str> = NEEDED.into_iter().filter(|needed| !events.iter().any(|event| event == needed)).collect();
    if !missing.is_empty() {
        faults.push(HookFault::wrong(format!("the webhook does not tell of: {}", missing.join(", "))));
    }
    if !matches!(item.branch_filter.as_str(), "" | "*" | "**") {
        faults.push(HookFault::wrong(format!("the webhook tells only of branches that are `{}`", item.branch_filter)));
    }
    faults
}

/// Both say of hooks that we may not see that there is no such repository, or that we must be its administrator.
fn with_remedy(error: ForgeError, of: &RepositoryName) -> ForgeError {
    match error {
        ForgeError::Refused { status: status @ (401 | 403 | 404), message, .. } => {
            let remedy = format!(
                "to look after webhooks, the token needs the scope `write:repository`, and its owner to be an \
                 administrator of {of}"
            );
            refused(status, format!("{message}; {remedy}"))
        }
        error @ (ForgeError::Refused { .. } | ForgeError::Away { .. } | ForgeError::Limited { .. }) => error,
    }
}
