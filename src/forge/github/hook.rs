//! Webhooks of GitHub: a repository's own, or the App's, which brings the events of every repository where the App is
//! installed. The App's counts if it delivers to us; where it delivers elsewhere it is left alone, and a repository may
//! have a hook of its own.

use http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    api::{Api, Identity},
    call::{Answer, Call, refused},
    examine::{COMMENTS, EVENTS},
};
use crate::{
    forge::{ForgeError, Hook, hook::is_same_url},
    model::{ForgeKind, HookFault, Repository, RepositoryName, Visibility},
};

/// The App's own hook, by our word.
const OF_APP: &str = "app";
/// As many as GitHub puts on one page; a repository has 20 of one event at the most.
const PER_PAGE: usize = 100;
/// What a repository's hook must tell of.
const NEEDED: [&str; 5] =
    ["push", "pull_request", "issue_comment", "pull_request_review", "pull_request_review_comment"];
/// What it is asked for besides; an older Enterprise may not know the last one.
const WELCOME: [&str; 3] = ["commit_comment", "repository", "merge_group"];

#[derive(Deserialize)]
struct Item {
    id: u64,
    active: bool,
    #[serde(default)]
    events: Vec<String>,
    config: Config,
    last_response: Option<Response>,
}

#[derive(Deserialize)]
struct Config {
    url: Option<String>,
    content_type: Option<String>,
    insecure_ssl: Option<Value>,
}

/// What became of the last delivery; without a code there was none.
#[derive(Deserialize)]
struct Response {
    code: Option<u16>,
    message: Option<String>,
}

/// The hooks that bring a repository's events to `url`.
pub(super) async fn hooks(api: &Api, of: &RepositoryName, url: &str) -> Result<Vec<Hook>, ForgeError> {
    if let Some(hook) = of_app(api, of, url).await? {
        return Ok(vec![hook]);
    }
    let call = Call::get(format!("/repos/{of}/hooks?per_page={PER_PAGE}")).without_redirects();
    let items: Vec<Item> = send(api, of, &call).await?.json().map_err(|error| with_remedy(error, of))?;
    let is_ours = |item: &Item| item.config.url.as_deref().is_some_and(|theirs| is_same_url(theirs, url));
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
    let path = format!("/repos/{of}/hooks");
    set_events(api, of, secret, |events, secret| {
        let body = json!({"name": "web", "active": true, "events": events, "config": config(url, secret, &json!("0"))});
        Call::post(path.clone(), body)
    })
    .await
}

/// Sets all of one again.
pub(super) async fn set(
    api: &Api,
    of: &RepositoryName,
    url: &str,
    hook: &Hook,
    secret: Option<&SecretString>,
) -> Result<(), ForgeError> {
    if hook.id == OF_APP {
        let secret = secret.ok_or_else(no_secret)?.expose_secret();
        let body = json!({"content_type": "json", "secret": secret});
        return api.send_as_ourselves(&Call::patch("/app/hook/config".to_owned(), body)).await?.checked().map(drop);
    }
    let path = format!("/repos/{of}/hooks/{}", hook.id);
    set_events(api, of, secret, |events, secret| {
        let config = config(url, secret, &hook.told["insecure_ssl"]);
        Call::patch(path.clone(), json!({"active": true, "events": events, "config": config}))
    })
    .await
}

/// Removes one; it may be gone already.
pub(super) async fn remove(api: &Api, of: &RepositoryName, id: &str) -> Result<(), ForgeError> {
    let answer = send(api, of, &Call::delete(format!("/repos/{of}/hooks/{id}"))).await?;
    if answer.status == StatusCode::NOT_FOUND { Ok(()) } else { answer.checked().map(drop) }
}

/// Makes a call that sets a hook's events: with all that are welcome, or, if GitHub does not know one of them, without.
async fn set_events(
    api: &Api,
    of: &RepositoryName,
    secret: Option<&SecretString>,
    call: impl Fn(&[&str], &str) -> Call,
) -> Result<(), ForgeError> {
    let secret = secret.ok_or_else(no_secret)?.expose_secret();
    let all: Vec<&str> = NEEDED.into_iter().chain(WELCOME).collect();
    let mut answer = send(api, of, &call(&all, secret).without_redirects()).await?;
    if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
        answer = send(api, of, &call(&NEEDED, secret).without_redirects()).await?;
    }
    answer.checked().map(drop).map_err(|error| with_remedy(error, of))
}

fn config(url: &str, secret: &str, insecure_ssl: &Value) -> Value {
    json!({"url": url, "content_type": "json", "secret": secret, "insecure_ssl": insecure_ssl})
}

fn seen(item: Item) -> Hook {
    let insecure_ssl = item.config.insecure_ssl.clone().unwrap_or_else(|| json!("0"));
    Hook { id: item.id.to_string(), faults: faults(&item), told: json!({"insecure_ssl": insecure_ssl}) }
}

fn faults(item: &Item) -> Vec<HookFault> {
    let mut faults = Vec::new();
    if !item.active {
        faults.push(HookFault::disabled("the webhook is switched off"));
    }
    faults.extend(form(&item.config));
    let hears = |needed: &&str| item.events.iter().any(|event| event == needed || event == "*");
    let missing: Vec<&str> = NEEDED.into_iter().filter(|needed| !hears(needed)).collect();
    if !missing.is_empty() {
        faults.push(HookFault::wrong(format!("the webhook does not tell of: {}", missing.join(", "))));
    }
    if let Some(Response { code: Some(code), message }) = &item.last_response
        && !(200..300).contains(code)
    {
        let said: String = message.iter().flat_map(|text| text.chars()).filter(|c| !c.is_control()).take(80).collect();
        let said = if said.is_empty() { said } else { format!(" ({said})") };
        faults.push(HookFault::failing(format!("the webhook's last delivery has failed with {code}{said}")));
    }
    faults
}

fn form(config: &Config) -> Option<HookFault> {
    let is_form = config.content_type.as_deref().unwrap_or("form") != "json";
    is_form.then(|| HookFault::wrong("the webhook sends forms, and not JSON"))
}

/// The App's hook, if we are one and it delivers to `url`.
async fn of_app(api: &Api, of: &RepositoryName, url: &str) -> Result<Option<Hook>, ForgeError> {
    #[derive(Deserialize)]
    struct App {
        #[serde(default)]
        events: Vec<String>,
    }
    let Identity::App { .. } = api.identity() else { return Ok(None) };
    let own = async |path: String| api.send_as_ourselves(&Call::get(path)).await;
    let answer = own("/app/hook/config".to_owned()).await?;
    // an App need not have one
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let config: Config = answer.json()?;
    if !config.url.as_deref().is_some_and(|theirs| is_same_url(theirs, url)) {
        return Ok(None);
    }
    let mut faults: Vec<HookFault> = form(&config).into_iter().collect();
    let App { events } = own("/app".to_owned()).await?.json()?;
    let needed = EVENTS.into_iter().chain(COMMENTS);
    let missing: Vec<&str> = needed.filter(|needed| !events.iter().any(|event| event == needed)).collect();
    if !missing.is_empty() {
        let words = format!("the App does not hear of: {}; subscribe to it on the App's page", missing.join(", "));
        faults.push(HookFault::by_hand(words));
    }
    if own(format!("/repos/{of}/installation")).await?.status == StatusCode::NOT_FOUND {
        faults.push(HookFault::by_hand(format!("the App is not installed on {of}; install it there")));
    }
    Ok(Some(Hook { id: OF_APP.to_owned(), faults, told: Value::Null }))
}

async fn send(api: &Api, of: &RepositoryName, call: &Call) -> Result<Answer, ForgeError> {
    api.send(&named(of), call).await
}

/// A repository of which nothing but its name is known.
fn named(name: &RepositoryName) -> Repository {
    let (default_branch, clone_url, web_url) = (String::new(), String::new(), String::new());
    let (installation, visibility) = (None, Visibility::Unknown);
    let (forge, name) = (ForgeKind::Github, name.clone());
    Repository { forge, name, default_branch, clone_url, web_url, installation, visibility }
}

fn no_secret() -> ForgeError {
    refused(0, "there is no CONTAINEROPS_GITHUB_WEBHOOK_SECRET".to_owned())
}

/// GitHub says of a hook that we may not see that there is none.
fn with_remedy(error: ForgeError, of: &RepositoryName) -> ForgeError {
    match error {
        ForgeError::Refused { status: status @ (403 | 404), message, .. } => {
            let remedy = format!("to look after webhooks, we need the permission `Webhooks: read and write` of {of}");
            refused(status, format!("{message}; {remedy}"))
        }
        error @ (ForgeError::Refused { .. } | ForgeError::Away { .. } | ForgeError::Limited { .. }) => error,
    }
}
