//! Who may see and change what.

use secrecy::SecretString;

use super::{SettingsError, Values};
use crate::model::{ForgeKind, GitReaders, Login};

/// How people sign in, and who they are then.
#[derive(Debug)]
pub struct AccessChoice {
    /// Who may do what; `None`: what fits the address.
    pub mode: Option<ModeChoice>,
    /// Who may do everything.
    pub admins: Vec<Login>,
    /// Who may see plain repositories, of which no forge knows anything.
    pub git_readers: GitReaders,
    /// Where people sign in.
    pub forges: Vec<OauthChoice>,
}

/// Who may do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeChoice {
    /// Whoever reaches the server may do everything.
    Open,
    /// Everybody may do what their forge lets them.
    Forge,
}

/// A forge's OAuth application.
#[derive(Debug)]
pub struct OauthChoice {
    /// Which forge.
    pub forge: ForgeKind,
    /// The application's id.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
    /// Where the forge's pages are.
    pub url: String,
    /// Where its API is.
    pub api_url: String,
}

impl Values {
    pub(super) fn access(&self) -> Result<AccessChoice, SettingsError> {
        let forges = [
            self.oauth(ForgeKind::Github, ["github_oauth_id", "github_oauth_secret", "github_url"])?,
            self.oauth(ForgeKind::Gitlab, ["gitlab_oauth_id", "gitlab_oauth_secret", "gitlab_url"])?,
            self.oauth(ForgeKind::Gitea, ["gitea_oauth_id", "gitea_oauth_secret", "gitea_url"])?,
        ];
        Ok(AccessChoice {
            mode: self.mode()?,
            admins: self.list("admins")?,
            git_readers: self.git_readers()?,
            forges: forges.into_iter().flatten().collect(),
        })
    }

    fn mode(&self) -> Result<Option<ModeChoice>, SettingsError> {
        match self.get("access") {
            None => Ok(None),
            Some("open") => Ok(Some(ModeChoice::Open)),
            Some("forge") => Ok(Some(ModeChoice::Forge)),
            Some(other) => Err(expected("access", "`open` or `forge`", other)),
        }
    }

    fn git_readers(&self) -> Result<GitReaders, SettingsError> {
        match self.get("git_readers") {
            Some("everyone") => Ok(GitReaders::Everyone),
            Some("signed-in") => Ok(GitReaders::SignedIn),
            None | Some("admins") => Ok(GitReaders::Admins),
            Some(other) => Err(expected("git_readers", "`everyone`, `signed-in` or `admins`", other)),
        }
    }

    fn oauth(
        &self,
        forge: ForgeKind,
        [id, secret, pages]: [&'static str; 3],
    ) -> Result<Option<OauthChoice>, SettingsError> {
        let value = |name, message: String| Err(SettingsError::Value { name, message });
        let (given_id, given_secret) = match (self.get(id), self.get(secret)) {
            (Some(id), Some(secret)) => (id.to_owned(), SecretString::from(secret)),
            (None, None) => return Ok(None),
            (Some(_), None) | (None, Some(_)) => return value(id, format!("signing in needs both {id} and {secret}")),
        };
        let url = match (self.url(pages)?, forge) {
            (Some(url), _) => url,
            (None, ForgeKind::Github) => "https://github.com".to_owned(),
            (None, ForgeKind::Gitlab) => "https://gitlab.com".to_owned(),
            (None, ForgeKind::Gitea | ForgeKind::Git) => return value(id, format!("signing in needs {pages}, too")),
        };
        let api_url = match forge {
            ForgeKind::Github => self.url("github_api_url")?.unwrap_or_else(|| "https://api.github.com".to_owned()),
            ForgeKind::Gitlab => format!("{url}/api/v4"),
            ForgeKind::Gitea | ForgeKind::Git => format!("{url}/api/v1"),
        };
        Ok(Some(OauthChoice { forge, id: given_id, secret: given_secret, url, api_url }))
    }
}

fn expected(name: &'static str, what: &str, given: &str) -> SettingsError {
    let given: String = given.chars().take(60).collect();
    SettingsError::Value { name, message: format!("{what} is expected, and not `{given}`") }
}
