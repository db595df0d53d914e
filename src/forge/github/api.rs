//! GitHub's API as whoever we are: the calls that concern one repository, with the credentials that see it.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::StatusCode;
use octocrab::Octocrab;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::{
    call::{Answer, Call, refused},
    credentials::{self, Credentials, SettingsError},
    installation::Installations,
};
use crate::{forge::ForgeError, model::Repository};

/// The API, and who we are to it.
#[derive(Debug)]
pub(super) struct Api {
    client: Octocrab,
    identity: Identity,
}

/// Who we are. What reports become depends on it.
#[derive(Debug)]
pub(super) enum Identity {
    /// An App: checks. The client signs as the App, and repositories are seen through its installations.
    App(Installations),
    /// The owner of a token: commit statuses.
    Token(SecretString),
    /// No reports.
    Nobody,
}

impl Api {
    pub(super) fn new(api_url: &str, credentials: Credentials) -> Result<Self, SettingsError> {
        let client = credentials::client(api_url, &credentials)?;
        let identity = match credentials {
            Credentials::App { .. } => Identity::App(Installations::default()),
            Credentials::Token(token) => Identity::Token(token),
            Credentials::None => Identity::Nobody,
        };
        Ok(Self { client, identity })
    }

    pub(super) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Makes the call. An installation token that is refused is renewed, and the call made again, once.
    pub(super) async fn send(&self, repository: &Repository, call: &Call) -> Result<Answer, ForgeError> {
        let token = self.token(repository).await?;
        let answer = self.send_with(token.as_ref(), call).await?;
        match (&self.identity, token) {
            (Identity::App(installations), Some(token)) if answer.status == StatusCode::UNAUTHORIZED => {
                installations.forget(repository, &token).await;
                self.send_with(self.token(repository).await?.as_ref(), call).await
            }
            (Identity::App(_) | Identity::Token(_) | Identity::Nobody, _) => Ok(answer),
        }
    }

    /// What is at `path`.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        repository: &Repository,
        path: String,
    ) -> Result<T, ForgeError> {
        self.send(repository, &Call::get(path)).await?.json()
    }

    /// The header with which `git fetch` may read the repository; none if we have no credentials.
    pub(super) async fn git_header(&self, repository: &Repository) -> Result<Option<SecretString>, ForgeError> {
        let token = self.token(repository).await?;
        Ok(token.map(|token| {
            let pair = STANDARD.encode(format!("x-access-token:{}", token.expose_secret()));
            SecretString::from(format!("Authorization: Basic {pair}"))
        }))
    }

    async fn token(&self, repository: &Repository) -> Result<Option<SecretString>, ForgeError> {
        match &self.identity {
            Identity::App(installations) => installations.token(&self.client, repository).await.map(Some),
            Identity::Token(token) => Ok(Some(token.clone())),
            Identity::Nobody => Ok(None),
        }
    }

    async fn send_with(&self, token: Option<&SecretString>, call: &Call) -> Result<Answer, ForgeError> {
        match token {
            Some(token) => {
                let client = self.client.user_access_token(token.clone()).map_err(|e| refused(0, e.to_string()))?;
                call.by(&client).await
            }
            None => call.by(&self.client).await,
        }
    }
}
