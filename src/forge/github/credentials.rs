//! Who we are on GitHub, checked when we start, so that a wrong setting is named then and not at the first push.

use std::sync::Arc;

use octocrab::{Octocrab, jsonwebtoken};
use secrecy::{ExposeSecret, SecretString};

use super::{GithubSettings, app_key::AppKey, call::Caller};

/// Who we are on GitHub.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// A GitHub App: checks, and tokens of an hour per installation.
    App {
        /// The App's id, as its settings page shows it.
        id: u64,
        /// Its RSA key, as GitHub hands it out: PEM.
        private_key: SecretString,
    },
    /// A personal or fine-grained access token: commit statuses.
    Token(SecretString),
    /// Nobody: public repositories can be read, and nothing reported.
    #[default]
    None,
}

/// A setting that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// An empty secret would let anybody sign.
    #[error("CONTAINEROPS_GITHUB_WEBHOOK_SECRET is empty: give the secret that the webhook's settings page has")]
    EmptyWebhookSecret,
    /// Not the text of an access token.
    #[error("CONTAINEROPS_GITHUB_TOKEN is no token: one line of printable characters is expected")]
    Token,
    /// Not an RSA key in PEM.
    #[error("CONTAINEROPS_GITHUB_PRIVATE_KEY_FILE holds no RSA key in PEM form, as the App's settings page makes it")]
    PrivateKey(#[source] jsonwebtoken::errors::Error),
    /// Not a URL that calls can go to.
    #[error("CONTAINEROPS_GITHUB_API_URL `{0}` is no http or https URL")]
    ApiUrl(String),
    /// The HTTP client cannot be made; often there is no CA store on this machine.
    #[error("no HTTPS client for GitHub can be made; are there CA certificates on this machine?")]
    Client(#[source] octocrab::Error),
}

/// Checks what does not need GitHub to be checked.
pub(super) fn check_webhook_secrets(secrets: &[SecretString]) -> Result<(), SettingsError> {
    if secrets.iter().any(|secret| secret.expose_secret().is_empty()) {
        return Err(SettingsError::EmptyWebhookSecret);
    }
    Ok(())
}

/// The caller that signs as the App, or sends no credentials by itself.
pub(super) fn caller(settings: &GithubSettings) -> Result<Caller, SettingsError> {
    let GithubSettings { api_url, credentials, time_limit, .. } = settings;
    let wrong_url = || SettingsError::ApiUrl(api_url.to_owned());
    let uri: http::Uri = api_url.trim_end_matches('/').parse().map_err(|_| wrong_url())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong_url());
    }
    let host = uri.authority().cloned().ok_or_else(wrong_url)?;
    let builder = Octocrab::builder()
        .base_uri(uri)
        .map_err(|_| wrong_url())?
        .add_header(http::header::USER_AGENT, concat!("containerops/", env!("CARGO_PKG_VERSION")).to_owned());
    let app = match credentials {
        Credentials::App { id, private_key } => {
            Some(Arc::new(AppKey::new(*id, private_key).map_err(SettingsError::PrivateKey)?))
        }
        Credentials::Token(token) if is_token(token.expose_secret()) => None,
        Credentials::Token(_) => return Err(SettingsError::Token),
        Credentials::None => None,
    };
    let client = builder.build().map_err(SettingsError::Client)?;
    Ok(Caller { client, host, time_limit: *time_limit, app })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}
