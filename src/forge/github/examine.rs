//! Looks at what GitHub knows of us: whether it takes our credentials, what we may do, and whether its hooks reach us.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Deserialize;

use super::{
    Github,
    api::Identity,
    call::{Answer, Call},
};
use crate::{forge::ForgeError, model::Finding};

const ABOUT: &str = "GitHub";
/// What the App must be allowed, and how to say so to people.
const PERMISSIONS: [(&str, &str); 4] =
    [("checks", "write"), ("contents", "read"), ("pull_requests", "read"), ("metadata", "read")];
/// What it is asked for besides, and what is not done without.
const WELCOME: [(&str, &str, &str); 3] = [
    ("merge_queues", "read", "GitHub tells of no merge queue"),
    ("issues", "read", "GitHub tells of no comments below pull requests"),
    ("pull_requests", "write", "comments are not answered"),
];
/// What the App must hear of.
pub(super) const EVENTS: [&str; 5] = ["push", "pull_request", "check_run", "check_suite", "merge_group"];
/// Where people tell us what to do.
pub(super) const COMMENTS: [&str; 3] = ["issue_comment", "pull_request_review", "pull_request_review_comment"];

/// All that the App is asked to be allowed: each permission once, at its highest level.
pub(super) fn permissions_wanted() -> BTreeMap<&'static str, &'static str> {
    let welcome = WELCOME.into_iter().map(|(name, level, _)| (name, level));
    PERMISSIONS.into_iter().chain(welcome).collect()
}
/// A failed delivery that is followed by so many good ones is no news.
const DELIVERIES: usize = 30;

#[derive(Deserialize)]
struct App {
    #[serde(default)]
    slug: String,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
    #[serde(default)]
    events: Vec<String>,
    installations_count: Option<u64>,
}

#[derive(Deserialize)]
struct HookConfig {
    url: Option<String>,
    content_type: Option<String>,
}

#[derive(Deserialize)]
struct HookDelivery {
    status_code: u16,
    status: String,
}

impl Github {
    /// What is to be said of our account there; `hook` is where it should deliver. The other is what its clock showed,
    /// in seconds since 1970, if it answered.
    pub async fn examine(&self, hook: &str) -> (Vec<Finding>, Option<i64>) {
        let mut findings = Vec::new();
        if self.webhook_secrets.is_empty() {
            let advice = "set CONTAINEROPS_GITHUB_WEBHOOK_SECRET to the secret of the webhook's page";
            findings.push(Finding::error(ABOUT, "there is no webhook secret, so no delivery is taken", advice));
        }
        let path = match self.api.identity() {
            Identity::App { .. } => "/app",
            Identity::Token(_) => "/user",
            Identity::Nobody => "/rate_limit",
        };
        let answer = match self.api.own(&Call::get(path.to_owned())).await {
            Ok(answer) => answer,
            Err(error) => {
                findings.push(unreachable(&error));
                return (findings, None);
            }
        };
        let time = answer.date();
        match self.api.identity() {
            Identity::App { .. } => findings.extend(self.app(answer, hook).await),
            Identity::Token(_) => findings.push(token(answer)),
            Identity::Nobody => {
                let advice = "set CONTAINEROPS_GITHUB_APP_ID and _PRIVATE_KEY_FILE, or CONTAINEROPS_GITHUB_TOKEN";
                findings.push(Finding::warning(ABOUT, "we have no credentials: nothing is reported there", advice));
            }
        }
        (findings, time)
    }

    async fn app(&self, answer: Answer, hook: &str) -> Vec<Finding> {
        if answer.status == StatusCode::UNAUTHORIZED {
            let advice = "check CONTAINEROPS_GITHUB_APP_ID, the key's file, and this machine's clock";
            return vec![Finding::error(
                ABOUT,
                format!("it does not take us for the App: {}", answer.message()),
                advice,
            )];
        }
        let app: App = match answer.json() {
            Ok(app) => app,
            Err(error) => return vec![unreachable(&error)],
        };
        let mut findings = vec![Finding::ok(ABOUT, format!("it takes us for the App `{}`", app.slug))];
        findings.extend(permissions(&app));
        if app.installations_count == Some(0) {
            findings.push(Finding::warning(ABOUT, "the App is installed nowhere", "install it on a repository"));
        }
        let (config, deliveries) = futures::join!(self.hook_config(hook), self.hook_deliveries());
        findings.extend([config, deliveries]);
        findings
    }

    async fn hook_config(&self, hook: &str) -> Finding {
        let answer = self.api.own(&Call::get("/app/hook/config".to_owned())).await;
        let config: HookConfig = match answer.and_then(Answer::json) {
            Ok(config) => config,
            Err(error) => return unreachable(&error),
        };
        match (config.url.as_deref(), config.content_type.as_deref()) {
            (Some(url), _) if url != hook => {
                let message = format!("the App's webhook goes to {url}, and we are at {hook}");
                Finding::error(ABOUT, message, "set the webhook URL on the App's page, or CONTAINEROPS_PUBLIC_URL")
            }
            (Some(_), Some("form")) => {
                let advice = "set the content type to application/json";
                Finding::error(ABOUT, "the App's webhook sends forms", advice)
            }
            (Some(url), _) => Finding::ok(ABOUT, format!("its webhook goes to {url}")),
            (None, _) => {
                let advice = format!("set it to {hook} on the App's page");
                Finding::error(ABOUT, "the App has no webhook URL", advice)
            }
        }
    }

    async fn hook_deliveries(&self) -> Finding {
        let answer = self.api.own(&Call::get(format!("/app/hook/deliveries?per_page={DELIVERIES}"))).await;
        let deliveries: Vec<HookDelivery> = match answer.and_then(Answer::json) {
            Ok(deliveries) => deliveries,
            Err(error) => return unreachable(&error),
        };
        let failed: Vec<_> = deliveries.iter().filter(|delivery| delivery.status != "OK").collect();
        match failed.first() {
            None => Finding::ok(ABOUT, format!("its last {} deliveries have arrived", deliveries.len())),
            Some(last) => {
                let status: String = last.status.chars().take(80).collect();
                let message = format!(
                    "{} of its last {} deliveries have failed, the newest of them with {} ({status})",
                    failed.len(),
                    deliveries.len(),
                    last.status_code
                );
                Finding::warning(
                    ABOUT,
                    message,
                    "see `Advanced` on the App's page; is CONTAINEROPS_PUBLIC_URL reached?",
                )
            }
        }
    }
}

fn unreachable(error: &ForgeError) -> Finding {
    Finding::error(ABOUT, error.to_string(), "check CONTAINEROPS_GITHUB_API_URL and the way out of this network")
}

fn permissions(app: &App) -> Vec<Finding> {
    let may = |name: &str, wanted: &str| {
        app.permissions.get(name).is_some_and(|level| level == wanted || level == "write" || level == "admin")
    };
    let mut findings = Vec::new();
    let missing: Vec<String> = PERMISSIONS
        .iter()
        .filter(|(name, wanted)| !may(name, wanted))
        .map(|(name, wanted)| format!("{name}: {wanted}"))
        .collect();
    let lacking: Vec<String> = WELCOME
        .iter()
        .filter(|(name, wanted, _)| !may(name, wanted))
        .map(|(name, wanted, why)| format!("{name}: {wanted} ({why})"))
        .collect();
    let advice = "add it on the App's page, and accept it where it is installed";
    if !missing.is_empty() {
        findings.push(Finding::error(ABOUT, format!("the App may not: {}", missing.join(", ")), advice));
    }
    if !lacking.is_empty() {
        findings.push(Finding::warning(ABOUT, format!("the App may not: {}", lacking.join(", ")), advice));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(ABOUT, "the App may do all that we do"));
    }
    findings.extend(unheard(app));
    findings
}

fn unheard(app: &App) -> Vec<Finding> {
    let unheard = |events: &[&'static str]| -> Vec<&'static str> {
        events.iter().copied().filter(|event| !app.events.iter().any(|known| known == event)).collect()
    };
    let (needed, comments) = (unheard(&EVENTS), unheard(&COMMENTS));
    let advice = "subscribe to it on the App's page";
    let mut findings = Vec::new();
    if !needed.is_empty() {
        let message = format!("the App does not hear of: {}", needed.join(", "));
        findings.push(Finding::error(ABOUT, message, advice));
    }
    if !comments.is_empty() {
        let message = format!("the App does not hear of: {}; commands there are not obeyed", comments.join(", "));
        findings.push(Finding::warning(ABOUT, message, advice));
    }
    findings
}

fn token(answer: Answer) -> Finding {
    #[derive(Deserialize)]
    struct User {
        login: String,
    }
    // a fine-grained token does not tell what it may do
    let scopes = answer.text("x-oauth-scopes").filter(|scopes| !scopes.trim().is_empty());
    let enough = |scopes: &str| scopes.split(',').any(|scope| matches!(scope.trim(), "repo" | "repo:status"));
    if answer.status == StatusCode::UNAUTHORIZED {
        let advice = "make a new token, and set CONTAINEROPS_GITHUB_TOKEN";
        return Finding::error(ABOUT, "it does not take our token: it has expired, or was revoked", advice);
    }
    match (answer.json::<User>(), scopes) {
        (Err(error), _) => unreachable(&error),
        (Ok(_), Some(scopes)) if !enough(&scopes) => {
            let message = format!("the token's scopes ({scopes}) do not let it write commit statuses");
            Finding::error(ABOUT, message, "give it `repo:status`, or `repo` for private repositories")
        }
        (Ok(User { login }), _) => Finding::ok(ABOUT, format!("it takes our token for {login}")),
    }
}
