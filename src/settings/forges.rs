//! How the forges are set up.

use std::path::PathBuf;

use secrecy::{SecretSlice, SecretString};

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

/// How GitLab is set up.
#[derive(Debug)]
pub struct GitlabChoice {
    /// What webhooks send in clear; all are valid at once.
    pub webhook_secrets: Vec<SecretString>,
    /// What webhooks are signed with; likewise.
    pub signing_keys: Vec<SecretSlice<u8>>,
    /// Whose account it is.
    pub token: Option<SecretString>,
    /// The instance.
    pub url: Option<String>,
    /// Patterns of the repositories that any other one may have as a submodule.
    pub submodules: Vec<String>,
}

/// How Gitea or Forgejo is set up.
#[derive(Debug)]
pub struct GiteaChoice {
    /// All are valid at once; the first is set at webhooks.
    pub webhook_secrets: Vec<SecretString>,
    /// An access token.
    pub token: Option<SecretString>,
    /// Where it is.
    pub url: String,
    /// Patterns of the repositories that any other one may have as a submodule.
    pub submodules: Vec<String>,
}

impl Values {
    /// GitLab is set up if anything proves its deliveries, or shows it who we are.
    pub(super) fn gitlab(&self) -> Result<Option<GitlabChoice>, SettingsError> {
        let webhook_secrets = self.secrets("gitlab_webhook_secret");
        let signing_keys = self.signing_keys("gitlab_signing_token")?;
        let token = self.get("gitlab_token").map(SecretString::from);
        if webhook_secrets.is_empty() && signing_keys.is_empty() && token.is_none() {
            return Ok(None);
        }
        let (url, submodules) = (self.url("gitlab_url")?, self.words("gitlab_submodules"));
        Ok(Some(GitlabChoice { webhook_secrets, signing_keys, token, url, submodules }))
    }

    /// There is no usual one, so it is set up if its address is known; and then what proves its deliveries must be.
    pub(super) fn gitea(&self) -> Result<Option<GiteaChoice>, SettingsError> {
        let webhook_secrets = self.secrets("gitea_webhook_secret");
        let token = self.get("gitea_token").map(SecretString::from);
        let submodules = self.words("gitea_submodules");
        match self.url("gitea_url")? {
            Some(url) if !webhook_secrets.is_empty() => {
                Ok(Some(GiteaChoice { webhook_secrets, token, url, submodules }))
            }
            None if webhook_secrets.is_empty() && token.is_none() => Ok(None),
            Some(_) => {
                let message = "the secret of its webhooks is missing: `openssl rand -hex 32` makes one".to_owned();
                Err(SettingsError::Value { name: "gitea_webhook_secret", message })
            }
            None => {
                let message = "where Gitea or Forgejo is must be said: https://gitea.example.com".to_owned();
                Err(SettingsError::Value { name: "gitea_url", message })
            }
        }
    }

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
