//! How the forges are set up.

use std::path::PathBuf;

use secrecy::SecretString;

use super::{SettingsError, Values};

/// How GitHub is set up.
#[derive(Debug)]
pub struct GithubChoice {
    /// All are valid at once.
    pub webhook_secrets: Vec<SecretString>,
    /// The App's id and its key's file.
    pub app: Option<(u64, PathBuf)>,
    /// A token, where there is no App.
    pub token: Option<SecretString>,
    /// The API.
    pub api_url: Option<String>,
    /// The pages.
    pub url: Option<String>,
    /// Patterns of the repositories that any other one may have as a submodule.
    pub submodules: Vec<String>,
}

impl Values {
    pub(super) fn github(&self) -> Result<Option<GithubChoice>, SettingsError> {
        let webhook_secrets = self.secrets("github_webhook_secret");
        if webhook_secrets.is_empty() {
            return Ok(None);
        }
        let key = self.get("github_private_key_file").map(PathBuf::from);
        let app = match (self.parse::<u64>("github_app_id")?, key) {
            (Some(id), Some(key)) => Some((id, key)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                let message = "an App needs both github_app_id and github_private_key_file".to_owned();
                return Err(SettingsError::Value { name: "github_app_id", message });
            }
        };
        let token = self.get("github_token").map(SecretString::from);
        let (api_url, url) = (self.url("github_api_url")?, self.url("github_url")?);
        let submodules = self.words("github_submodules");
        Ok(Some(GithubChoice { webhook_secrets, app, token, api_url, url, submodules }))
    }
}
