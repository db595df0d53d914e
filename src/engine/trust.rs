//! Whose code an event brings, by the forge's word, and what the repository's rule makes of it. Reads; writes nothing.

use sha2::{Digest as _, Sha256};

use super::{
    Engine, EngineError, Result,
    circumstances::circumstances,
    draft::{Draft, Drafts, Vet, draft_all},
    start::Failed,
};
use crate::{
    forge::{FlowFile, Forge, ForgeError},
    model::{
        Admission, Author, Behind, Event, FlowFrom, ForgeKind, PullRequest, Repository, Role, RunUntrusted, Trust,
        UntrustedPolicy, UntrustedReason,
    },
};

/// The most bytes of a flow file that are kept to be shown.
const SHOWN: usize = 256 << 10;

/// The event, with a trust for which the forge was asked where its payload alone does not decide it.
pub(super) async fn judged(forge: &dyn Forge, event: Event) -> Result<Event, ForgeError> {
    let Some(pull) = event.pull_request().cloned() else { return Ok(event) };
    // whoever reaches a plain repository can change all of it
    if forge.kind() == ForgeKind::Git {
        return Ok(event);
    }
    let event = with_base(forge, event, &pull).await?;
    if event.trust == Trust::Untrusted(UntrustedReason::HeadRepositoryGone) {
        return Ok(event);
    }
    let behind = behind(forge, &event, &pull).await?;
    let trust = event.trust.clone().judged(behind, &pull.author);
    Ok(Event { trust, ..event })
}

/// A forge whose webhook does not tell where the base is, as GitLab's does not, is asked.
async fn with_base(forge: &dyn Forge, event: Event, pull: &PullRequest) -> Result<Event, ForgeError> {
    let base_sha = match event.base_sha {
        None => forge.branch_head(&event.repository, &pull.base).await?,
        known => known,
    };
    Ok(Event { base_sha, ..event })
}

async fn behind(forge: &dyn Forge, event: &Event, pull: &PullRequest) -> Result<Behind, ForgeError> {
    let author = role(forge, &event.repository, &pull.author).await?;
    let writes = author >= Some(Role::Writer);
    let is_fork = event.trust != Trust::Trusted;
    let actor = match is_fork && writes && !event.actor.eq_ignore_ascii_case(&pull.author) {
        true => role(forge, &event.repository, &event.actor).await?,
        false => author,
    };
    let changes_flow = !is_fork && !writes && changes_flow(forge, event).await?;
    Ok(Behind { author, actor, changes_flow })
}

/// A forge that does not tell what someone may do has not said that they may write.
async fn role(forge: &dyn Forge, repository: &Repository, login: &str) -> Result<Option<Role>, ForgeError> {
    match forge.role(repository, login).await {
        Err(ForgeError::Refused { .. }) => Ok(None),
        other => other,
    }
}

/// Whether a pull request changes a flow file. One whose base has moved on may have another file without changing it.
async fn changes_flow(forge: &dyn Forge, event: &Event) -> Result<bool, ForgeError> {
    let (head, base) = futures::try_join!(forge.flow_files(&event.repository, &event.sha), base_files(forge, event))?;
    if head == base {
        return Ok(false);
    }
    match forge.changed_files(event).await {
        Ok(changes) => Ok(changes.gap.is_some() || changes.paths.iter().any(|path| is_flow_file(path))),
        Err(ForgeError::Refused { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

fn is_flow_file(path: &str) -> bool {
    path == ".containerops.yml" || path.starts_with(".containerops/")
}

async fn base_files(forge: &dyn Forge, event: &Event) -> Result<Vec<FlowFile>, ForgeError> {
    match &event.base_sha {
        Some(base) => forge.flow_files(&event.repository, base).await,
        None => Ok(Vec::new()),
    }
}

impl Engine {
    /// The rule of a repository: its own, else the setting's.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn untrusted_policy(&self, repository: &Repository) -> Result<UntrustedPolicy> {
        let mut tx = self.store.read().await?;
        match tx.repository_named(repository.forge, &repository.name).await? {
            Some(row) => self.policy_in(&mut tx, row.id, repository).await,
            None => Ok(self.by_setting(repository)),
        }
    }

    /// What an untrusted event comes to.
    pub(super) async fn draft_untrusted(
        &self,
        forge: &dyn Forge,
        event: &Event,
        reason: &UntrustedReason,
    ) -> Result<Draft, Failed> {
        let policy = self.untrusted_policy(&event.repository).await.map_err(Failed::Ours)?;
        let admission = policy.admits(author(forge, event, policy).await?);
        if admission == Admission::Refused {
            return Ok(Draft::Nothing(format!("the code {reason}, and such code is never run here")));
        }
        let (head, base) = futures::try_join!(head_files(forge, event), base_files(forge, event))?;
        let (files, whose) = match policy.flow {
            FlowFrom::Head => (head.clone(), event.sha.short().to_owned()),
            FlowFrom::Base => {
                (base.clone(), event.base_sha.as_ref().map(|sha| sha.short()).unwrap_or_default().to_owned())
            }
        };
        if files.is_empty() {
            let why = "by whose flow file untrusted code is run";
            let reason = format!("commit {whose}, {why}, has neither .containerops.yml nor .containerops/*.yml");
            return Ok(Draft::Nothing(reason));
        }
        let circumstances = circumstances(forge, event, &files).await?;
        let used = files.clone();
        let draft = draft_all(files, event, &circumstances, &self.settings.given, self.executor.as_ref());
        let Draft::Runs(Drafts { mut runs, unasked }) = draft else { return Ok(draft) };
        for run in &mut runs {
            let vet = Vet {
                admission,
                flow: policy.flow,
                digest: used.iter().find(|file| file.path == run.path).map(digest).unwrap_or_default(),
                base: text(&base, &run.path),
                head: text(&head, &run.path),
            };
            run.vet = Some(Box::new(vet));
        }
        Ok(Draft::Runs(Drafts { runs, unasked }))
    }
}

async fn author(forge: &dyn Forge, event: &Event, policy: UntrustedPolicy) -> Result<Author, ForgeError> {
    let Some(pull) = event.pull_request().filter(|_| policy.run == RunUntrusted::Contributors) else {
        return Ok(Author::Stranger);
    };
    // whoever moves it now must be known, too
    let is_same = event.actor.eq_ignore_ascii_case(&pull.author);
    let people = [Some(pull.author.as_str()), Some(event.actor.as_str()).filter(|_| !is_same)];
    for login in people.into_iter().flatten() {
        let known = match forge.has_contributed(&event.repository, login).await {
            Err(ForgeError::Refused { .. }) => false,
            other => other?,
        };
        if !known {
            return Ok(Author::Stranger);
        }
    }
    Ok(Author::Contributor)
}

/// A fork's commit that the forge does not show in the base repository has no flow file that could be read.
async fn head_files(forge: &dyn Forge, event: &Event) -> Result<Vec<FlowFile>, ForgeError> {
    match forge.flow_files(&event.repository, &event.sha).await {
        Err(ForgeError::Refused { status: 404 | 422, .. }) => Ok(Vec::new()),
        other => other,
    }
}

/// What an approval binds to a flow file.
pub(super) fn digest(file: &FlowFile) -> String {
    hex::encode(Sha256::new().chain_update(&file.path).chain_update([0]).chain_update(&file.content).finalize())
}

fn text(files: &[FlowFile], path: &str) -> Option<String> {
    let file = files.iter().find(|file| file.path == path)?;
    let shown = &file.content[..file.content.len().min(SHOWN)];
    Some(String::from_utf8_lossy(shown).into_owned())
}

impl From<crate::store::StoreError> for Failed {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Ours(EngineError::from(error))
    }
}
