//! How an App is made from a manifest: what it is to be, where a browser sends that, and what GitHub gives for the code
//! that the browser brings back.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::examine::{COMMENTS, EVENTS, permissions_wanted};

/// GitHub has an hour for the whole way; one call is a matter of seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// GitHub takes no longer name.
pub const LONGEST_NAME: usize = 34;
/// No answer of this kind is longer.
const LONGEST_ANSWER: usize = 1 << 20;

/// An App that is to be made.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// What people call it; unique on its GitHub.
    pub name: String,
    /// Where people find us.
    pub public_url: String,
    /// Where the browser comes back to.
    pub redirect_url: String,
    /// Whether comments below commits are answered, which takes the right to write to repositories.
    pub commit_comments: bool,
}

/// An App that was made.
#[derive(Debug, Deserialize)]
pub struct MadeApp {
    /// Its id.
    pub id: u64,
    /// Its name in addresses.
    #[serde(default)]
    pub slug: String,
    /// Its page.
    pub html_url: String,
    /// Its private key.
    #[serde(deserialize_with = "secret")]
    pub pem: SecretString,
    /// What its webhooks are signed with; empty: nothing.
    #[serde(default = "nothing", deserialize_with = "secret")]
    pub webhook_secret: SecretString,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    // GitHub has null for what there is not
    Ok(Option::<String>::deserialize(from)?.unwrap_or_default().into())
}

fn nothing() -> SecretString {
    String::new().into()
}

/// There is no App.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// What the browser brought is none.
    #[error("GitHub's code has characters that no code has")]
    Code,
    /// Not reached.
    #[error("GitHub cannot be reached at {url}: {source}")]
    Away {
        /// What was asked.
        url: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// It says no.
    #[error("GitHub refused the code ({0}): it may be used once, within an hour")]
    Refused(u16),
    /// It says something else.
    #[error("GitHub's answer is not what it should be: {0}")]
    Answer(String),
}

impl Manifest {
    /// As GitHub takes it.
    pub fn value(&self) -> Value {
        let Self { name, public_url, redirect_url, commit_comments } = self;
        let mut permissions = permissions_wanted();
        let mut events: Vec<&str> = EVENTS.into_iter().chain(COMMENTS).collect();
        // who may see a repository
        events.push("repository");
        if *commit_comments {
            permissions.insert("contents", "write");
            events.push("commit_comment");
        }
        json!({
            "name": name,
            "url": public_url,
            "description": "Runs the flows of repositories, and shows how they end.",
            "hook_attributes": {"url": format!("{public_url}/hooks/github"), "active": true},
            "redirect_url": redirect_url,
            "public": false,
            "default_permissions": permissions,
            "default_events": events,
        })
    }
}

/// Where a browser sends the manifest: to somebody's own settings, or to an organisation's.
pub fn address(url: &str, organization: Option<&str>, state: &str) -> String {
    match organization {
        Some(name) => format!("{url}/organizations/{name}/settings/apps/new?state={state}"),
        None => format!("{url}/settings/apps/new?state={state}"),
    }
}

/// What GitHub gives for a code: once.
///
/// # Errors
/// [`ManifestError`].
pub async fn convert(api_url: &str, code: &str) -> Result<MadeApp, ManifestError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if code.is_empty() || code.len() > 200 || !code.chars().all(good) {
        return Err(ManifestError::Code);
    }
    let url = format!("{api_url}/app-manifests/{code}/conversions");
    let away = |source: reqwest::Error| ManifestError::Away {
        url: format!("{api_url}/app-manifests"),
        source: source.without_url(),
    };
    let client = reqwest::Client::builder().timeout(PATIENCE).user_agent("containerops").build().map_err(away)?;
    let call = client.post(url).header("accept", "application/vnd.github+json");
    let answer = call.send().await.map_err(away)?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(away)?;
    if !status.is_success() {
        return Err(ManifestError::Refused(status.as_u16()));
    }
    if body.len() > LONGEST_ANSWER {
        return Err(ManifestError::Answer("it is too long".to_owned()));
    }
    // what stands in it is secret, so an error names its place alone
    serde_json::from_slice(&body).map_err(|error| ManifestError::Answer(format!("column {}", error.column())))
}
