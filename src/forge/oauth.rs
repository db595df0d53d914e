//! Signing in with a forge's account: OAuth's authorization code, with PKCE. The token that comes of it is used once, to
//! learn who it is, and kept nowhere.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::{
    client::LateClient,
    model::{ForgeKind, Login},
};

/// For each of the two calls; somebody waits.
const LIMIT: Duration = Duration::from_secs(10);
/// No forge says more of an account.
const ANSWER_MAX: usize = 256 << 10;

/// A forge's OAuth application.
#[derive(Debug)]
pub struct OAuth {
    forge: ForgeKind,
    id: String,
    secret: SecretString,
    url: String,
    api_url: String,
    client: LateClient,
}

/// Who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Their name.
    pub login: Login,
    /// The account's own id, which outlives its name.
    pub id: String,
}

/// Nobody has signed in.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    /// The forge said no.
    #[error("{forge} refused: {message}")]
    Refused {
        /// Which.
        forge: ForgeKind,
        /// In its own words.
        message: String,
    },
    /// The forge cannot be reached, or says what nobody understands.
    #[error("{forge} did not say who it is: {message}")]
    Away {
        /// Which.
        forge: ForgeKind,
        /// What happened.
        message: String,
    },
}

/// What comes for a code. GitHub says 200 to what it refuses, and why beside it.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

#[derive(Deserialize)]
struct UserAnswer {
    id: u64,
    /// GitHub, Gitea.
    login: Option<String>,
    /// GitLab.
    username: Option<String>,
}

impl OAuth {
    /// One that asks nobody yet. `url` is where the forge's pages are, `api_url` where its API is.
    pub fn new(forge: ForgeKind, id: String, secret: SecretString, url: String, api_url: String) -> Self {
        let client = LateClient::new(|| {
            // a redirect would take the secret elsewhere
            reqwest::Client::builder().timeout(LIMIT).redirect(reqwest::redirect::Policy::none())
        });
        Self { forge, id, secret, url, api_url, client }
    }

    /// Where a browser goes to sign in. `None`: the forge's address is none.
    pub fn address(&self, back: &str, state: &str, challenge: &str) -> Option<String> {
        let path = match self.forge {
            ForgeKind::Gitlab => "/oauth/authorize",
            ForgeKind::Github | ForgeKind::Gitea | ForgeKind::Git => "/login/oauth/authorize",
        };
        let mut url = url::Url::parse(&format!("{}{path}", self.url)).ok()?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.id)
            .append_pair("redirect_uri", back)
            .append_pair("response_type", "code")
            .append_pair("state", state)
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256");
        match self.forge {
            ForgeKind::Gitlab => drop(url.query_pairs_mut().append_pair("scope", "read_user")),
            ForgeKind::Gitea => drop(url.query_pairs_mut().append_pair("scope", "read:user")),
            // without any it tells what is public, and no more is needed
            ForgeKind::Github | ForgeKind::Git => {}
        }
        Some(url.into())
    }

    /// Who has come back with this code.
    ///
    /// # Errors
    /// [`OAuthError`].
    pub async fn account(&self, code: &str, back: &str, verifier: &str) -> Result<Account, OAuthError> {
        let token = self.token(code, back, verifier).await?;
        let client = self.client.get().map_err(|error| self.away(error))?;
        let asked = client
            .get(format!("{}/user", self.api_url))
            .header(http::header::USER_AGENT, "containerops")
            .header(http::header::ACCEPT, "application/json")
            .bearer_auth(token.expose_secret());
        let user: UserAnswer = self.answer(asked).await?;
        let name = user.login.or(user.username).unwrap_or_default();
        let login = format!("{}/{name}", self.forge).parse();
        Ok(Account { login: login.map_err(|error: String| self.away(error))?, id: user.id.to_string() })
    }

    async fn token(&self, code: &str, back: &str, verifier: &str) -> Result<SecretString, OAuthError> {
        let path = match self.forge {
            ForgeKind::Gitlab => "/oauth/token",
            ForgeKind::Github | ForgeKind::Gitea | ForgeKind::Git => "/login/oauth/access_token",
        };
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("client_id", &self.id)
            .append_pair("client_secret", self.secret.expose_secret())
            .append_pair("code", code)
            .append_pair("redirect_uri", back)
            .append_pair("code_verifier", verifier)
            .finish();
        let client = self.client.get().map_err(|error| self.away(error))?;
        let asked = client
            .post(format!("{}{path}", self.url))
            .header(http::header::USER_AGENT, "containerops")
            .header(http::header::ACCEPT, "application/json")
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let answer: TokenAnswer = self.answer(asked).await?;
        match (answer.access_token, answer.error) {
            (Some(token), None) if !token.is_empty() => Ok(token.into()),
            (_, error) => {
                let why = answer.error_description.or(error).unwrap_or_else(|| "it gave no token".to_owned());
                Err(OAuthError::Refused { forge: self.forge, message: why.chars().take(300).collect() })
            }
        }
    }

    /// An answer's JSON; of a refusal, too, if it says why.
    async fn answer<T: serde::de::DeserializeOwned>(&self, asked: reqwest::RequestBuilder) -> Result<T, OAuthError> {
        let mut answer = asked.send().await.map_err(|error| self.away(error.without_url()))?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| self.away(error.without_url()))? {
            if body.len() + piece.len() > ANSWER_MAX {
                return Err(self.away("its answer has no end"));
            }
            body.extend_from_slice(&piece);
        }
        match serde_json::from_slice(&body) {
            Ok(read) if status.is_success() || status == http::StatusCode::BAD_REQUEST => Ok(read),
            Ok(_) | Err(_) if status.is_client_error() => {
                Err(OAuthError::Refused { forge: self.forge, message: status.to_string() })
            }
            Ok(_) | Err(_) => Err(self.away(format!("it answered {status}"))),
        }
    }

    fn away(&self, message: impl std::fmt::Display) -> OAuthError {
        OAuthError::Away { forge: self.forge, message: message.to_string() }
    }
}
