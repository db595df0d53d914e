//! The forges that the settings name.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, Result};
use secrecy::SecretString;

use super::{absolute, make_dir};
use crate::{
    forge::{
        Forge,
        git::{self, Git},
        gitea::{Gitea, GiteaSettings},
        github::{Credentials, Github, GithubSettings},
        gitlab::{Gitlab, GitlabSettings},
    },
    model::ForgeKind,
    settings::{GiteaChoice, GithubChoice, GitlabChoice, Settings},
};

/// All of them.
pub(super) fn forges(settings: &Settings) -> Result<BTreeMap<ForgeKind, Arc<dyn Forge>>> {
    let mut forges: BTreeMap<ForgeKind, Arc<dyn Forge>> = BTreeMap::new();
    let secrets = match settings.git_webhook_secrets.as_slice() {
        [] => vec![git::secret(&settings.data)?],
        given => given.to_vec(),
    };
    make_dir(&settings.git_root)?;
    forges.insert(ForgeKind::Git, Arc::new(Git::new(absolute(&settings.git_root)?, secrets)));
    for kind in [ForgeKind::Github, ForgeKind::Gitlab, ForgeKind::Gitea] {
        forges.extend(forge(settings, kind)?.map(|forge| (kind, forge)));
    }
    Ok(forges)
}

/// One forge by its settings, for whoever only asks it something; `None` if it is not configured.
///
/// # Errors
/// If its settings cannot work.
pub fn forge(settings: &Settings, kind: ForgeKind) -> Result<Option<Arc<dyn Forge>>> {
    Ok(match kind {
        ForgeKind::Git => Some(Arc::new(Git::new(absolute(&settings.git_root)?, Vec::new()))),
        ForgeKind::Github => github(settings).transpose()?.map(|github| Arc::new(github) as Arc<dyn Forge>),
        ForgeKind::Gitlab => gitlab(settings).transpose()?.map(|gitlab| Arc::new(gitlab) as Arc<dyn Forge>),
        ForgeKind::Gitea => gitea(settings).transpose()?.map(|gitea| Arc::new(gitea) as Arc<dyn Forge>),
    })
}

/// Gitea or Forgejo itself, for whoever asks it about us; `None` if it is not configured.
pub fn gitea(settings: &Settings) -> Option<Result<Gitea>> {
    let GiteaChoice { webhook_secrets, token, url, submodules } = settings.gitea.as_ref()?;
    let with = GiteaSettings {
        webhook_secrets: webhook_secrets.clone(),
        token: token.clone(),
        url: url.clone(),
        submodules: submodules.clone(),
        ..GiteaSettings::default()
    };
    Some(Gitea::new(with).map_err(Into::into))
}

/// GitHub itself, for whoever asks it about us; `None` if it is not configured.
pub fn github(settings: &Settings) -> Option<Result<Github>> {
    let choice = settings.github.as_ref()?;
    Some(github_settings(choice).and_then(|with| Ok(Github::new(with)?)))
}

/// GitLab itself, likewise.
pub fn gitlab(settings: &Settings) -> Option<Result<Gitlab>> {
    let choice = settings.gitlab.as_ref()?;
    Some(Gitlab::new(gitlab_settings(choice)).map_err(anyhow::Error::from))
}

fn gitlab_settings(choice: &GitlabChoice) -> GitlabSettings {
    let default = GitlabSettings::default();
    GitlabSettings {
        webhook_secrets: choice.webhook_secrets.clone(),
        signing_keys: choice.signing_keys.clone(),
        token: choice.token.clone(),
        url: choice.url.clone().unwrap_or(default.url),
        submodules: choice.submodules.clone(),
        ..GitlabSettings::default()
    }
}

fn github_settings(choice: &GithubChoice) -> Result<GithubSettings> {
    let mut settings = GithubSettings { webhook_secrets: choice.webhook_secrets.clone(), ..GithubSettings::default() };
    settings.submodules.clone_from(&choice.submodules);
    if let Some(url) = &choice.api_url {
        settings.api_url.clone_from(url);
    }
    if let Some(url) = &choice.url {
        settings.url.clone_from(url);
    }
    settings.credentials = match (&choice.app, &choice.token) {
        (Some((id, file)), _) => {
            let pem = std::fs::read_to_string(file);
            let pem = pem.with_context(|| format!("reading the GitHub App's key {}", file.display()))?;
            Credentials::App { id: *id, private_key: SecretString::from(pem) }
        }
        (None, Some(token)) => Credentials::Token(token.clone()),
        (None, None) => Credentials::None,
    };
    Ok(settings)
}
