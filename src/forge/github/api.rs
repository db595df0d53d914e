//! GitHub's API as whoever we are: the calls that concern one repository, with the credentials that see it.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::{
    GithubSettings,
    call::{Answer, Call, Caller},
    credentials::{self, Credentials, SettingsError},
    installation::Installations,
};
use crate::{forge::ForgeError, model::Repository};

/// The API, and who we are to it.
#[derive(Debug)]
pub(super) struct Api {
    caller: Caller,
    identity: Identity,
}

/// Who we are. What reports become depends on it.
#[derive(Debug)]
pub(super) enum Identity {
    /// An App: checks. The caller signs as the App, and repositories are seen through its installations.
    App { id: u64, installations: Installations },
    /// The owner of a token: commit statuses.
    Token(SecretString),
    /// No reports.
    Nobody,
}

impl Api {
    pub(super) fn new(settings: GithubSettings) -> Result<Self, SettingsError> {
        let caller = credentials::caller(&settings)?;
        let identity = match settings.credentials {
            Credentials::App { id, .. } => Identity::App { id, installations: Installations::default() },
            Credentials::Token(token) => Identity::Token(token),
            Credentials::None => Identity::Nobody,
        };
        Ok(Self { caller, identity })
    }

    pub(super) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Makes the call. An installation token that is refused is renewed, and the call made again, once.
    pub(super) async fn send(&self, repository: &Repository, call: &Call) -> Result<Answer, ForgeError> {
        let token = self.token(repository).await?;
        let answer = self.send_with(token.as_ref(), call).await?;
        match (&self.identity, token) {
            (Identity::App { installations, .. }, Some(token)) if answer.status == StatusCode::UNAUTHORIZED => {
                installations.forget(&self.caller, repository, &token).await?;
                self.send_with(self.token(repository).await?.as_ref(), call).await
            }
            (Identity::App { .. } | Identity::Token(_) | Identity::Nobody, _) => Ok(answer),
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

    /// Makes a call that is the App's own, or about no repository.
    pub(super) async fn send_as_ourselves(&self, call: &Call) -> Result<Answer, ForgeError> {
        match &self.identity {
            Identity::App { .. } | Identity::Nobody => self.send_with(None, call).await,
            Identity::Token(token) => self.send_with(Some(token), call).await,
        }
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
            Identity::App { installations, .. } => installations.token(&self.caller, repository).await.map(Some),
            Identity::Token(token) => Ok(Some(token.clone())),
            Identity::Nobody => Ok(None),
        }
    }

    async fn send_with(&self, token: Option<&SecretString>, call: &Call) -> Result<Answer, ForgeError> {
        match token {
            Some(token) => call.by(&self.caller.with(token)?).await,
            None => call.by(&self.caller).await,
        }
    }
}
