//! Snapshots of commits: made once for each run, stored by digest, streamed by pods. No pod needs a forge's
//! credentials, and a re-run uses the same bytes.

use std::path::Path;

use tempfile::TempPath;

use super::{Engine, Result, checkout::note};
use crate::{
    forge::{
        ForgeError, Realm, Source,
        mirror::{MirrorError, Snapshot},
    },
    model::{CheckoutOptions, Event, backoff},
    store::RunRow,
};

impl Engine {
    /// Makes every snapshot that is due, once. How many there were.
    ///
    /// # Errors
    /// If the database is away; a snapshot that cannot be made is postponed, or ends its run.
    pub async fn make_sources(&self) -> Result<usize> {
        let due = self.store.read().await?.runs_without_source(self.now()).await?;
        let count = due.len();
        futures::future::try_join_all(due.iter().map(|run| self.make_source(run))).await?;
        Ok(count + self.make_checkouts().await?)
    }

    async fn make_source(&self, run: &RunRow) -> Result<()> {
        match self.snapshot(run, &CheckoutOptions::default()).await {
            Ok((file, snapshot)) => self.keep_source(run, &file, &note(&snapshot, run)).await,
            Err(Trouble::Later(reason)) => self.postpone_source(run, &reason).await,
            Err(Trouble::Never(reason)) => self.give_up(run, &reason).await,
        }
    }

    /// Makes a snapshot of a run's commit, or of what the options want instead.
    pub(super) async fn snapshot(
        &self,
        run: &RunRow,
        options: &CheckoutOptions,
    ) -> Result<(TempPath, Snapshot), Trouble> {
        let event = &run.event.0;
        let forge = self.forges.get(&event.repository.forge);
        let forge = forge.ok_or_else(|| Trouble::Later(format!("{} is not configured", event.repository.forge)))?;
        let source: Source = lent_to(event, forge.source(event).await?);
        let later = |error: &dyn std::fmt::Display| Trouble::Later(error.to_string());
        let file = tempfile::Builder::new().suffix(".tar.zst").tempfile_in(&self.settings.scratch);
        let file = file.map_err(|error| later(&error))?.into_temp_path();
        match self.mirrors.snapshot(&event.repository, &event.sha, &source, options, &file).await {
            Ok(snapshot) => Ok((file, snapshot)),
            Err(error) => Err(Trouble::from(error).without_place(&source.url, event.repository.name.as_str())),
        }
    }

    async fn keep_source(&self, run: &RunRow, file: &Path, note: &str) -> Result<()> {
        // until the row names it nobody else knows that the blob is needed
        let _kept = self.blobs.keep().await;
        let digest = match self.blobs.put_file(file).await {
            Ok(digest) => digest,
            Err(error) => return self.postpone_source(run, &error.to_string()).await,
        };
        let mut tx = self.store.write().await?;
        tx.source_made(run.id, &digest.to_string(), note).await?;
        self.wake_agents(&mut tx, run).await?;
        self.settle(&mut tx, run.id, self.now()).await?;
        Ok(tx.commit().await?)
    }

    async fn postpone_source(&self, run: &RunRow, reason: &str) -> Result<()> {
        tracing::warn!(run.id = %run.id, reason, "source postponed");
        let now = self.now();
        let tries = i64::try_from(now.since(run.created).as_secs() / 10).unwrap_or(i64::MAX);
        let mut tx = self.store.write().await?;
        tx.source_postponed(run.id, now.after(backoff(tries)), &format!("the source is away: {reason}")).await?;
        self.settle(&mut tx, run.id, now).await?;
        Ok(tx.commit().await?)
    }

    /// The commit is not there any more, or is too large: nothing that we could do again would help.
    async fn give_up(&self, run: &RunRow, reason: &str) -> Result<()> {
        let now = self.now();
        let mut tx = self.store.write().await?;
        // until its last attempt is stopped the run is open, and must not ask again all that time
        tx.source_postponed(run.id, now.after(backoff(i64::MAX)), reason).await?;
        tx.cancel_run(run.id, &format!("the server: {reason}")).await?;
        self.settle(&mut tx, run.id, now).await?;
        Ok(tx.commit().await?)
    }

    /// First jobs may have been waiting for the source.
    pub(super) async fn wake_agents(&self, tx: &mut crate::store::Tx, run: &RunRow) -> Result<()> {
        for action in tx.actions(run.id).await? {
            if let Some(attempt) = tx.newest_attempt(action.id).await? {
                tx.ring(crate::store::Change::Attempt(attempt.id));
            }
        }
        Ok(())
    }
}

/// What the server may read with its own credentials is nothing that untrusted code may name as its submodule.
fn lent_to(event: &Event, mut source: Source) -> Source {
    if let (None, Realm::Host { shared }) = (event.trusted(), &mut source.realm) {
        shared.clear();
    }
    source
}

/// A snapshot is not made.
pub(super) enum Trouble {
    Later(String),
    Never(String),
}

impl Trouble {
    /// Of a repository on the server nobody is told where it lies.
    fn without_place(self, url: &str, name: &str) -> Self {
        let hidden = |reason: String| if url.starts_with('/') { reason.replace(url, name) } else { reason };
        match self {
            Self::Later(reason) => Self::Later(hidden(reason)),
            Self::Never(reason) => Self::Never(hidden(reason)),
        }
    }
}

impl From<ForgeError> for Trouble {
    fn from(error: ForgeError) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<MirrorError> for Trouble {
    fn from(error: MirrorError) -> Self {
        match error {
            MirrorError::Missing { .. }
            | MirrorError::TooLarge { .. }
            | MirrorError::NoSuchRef { .. }
            | MirrorError::Submodule { .. }
            | MirrorError::Lfs { .. } => Self::Never(error.to_string()),
            MirrorError::Away { .. }
            | MirrorError::Refused { .. }
            | MirrorError::Git { .. }
            | MirrorError::Disk { .. } => Self::Later(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventKind, ForgeKind, Repository, Trust, UntrustedReason, Visibility};

    #[test]
    fn untrusted_code_borrows_nothing_for_its_submodules() {
        let repository = Repository {
            forge: ForgeKind::Github,
            name: "acme/shop".parse().expect("a name"),
            default_branch: "main".to_owned(),
            clone_url: String::new(),
            web_url: String::new(),
            installation: None,
            visibility: Visibility::Private,
        };
        let event = |trust| Event {
            repository: repository.clone(),
            kind: EventKind::Push { branch: "main".to_owned() },
            sha: "0".repeat(40).parse().expect("a sha"),
            base_sha: None,
            actor: String::new(),
            title: String::new(),
            trust,
            message: None,
        };
        let source = || Source {
            url: "https://github.com/acme/shop.git".to_owned(),
            header: Some("Authorization: Bearer s3cret".into()),
            refs: Vec::new(),
            merge_ref: None,
            realm: Realm::Host { shared: vec!["acme/*".to_owned()] },
        };
        let lent = |trust| lent_to(&event(trust), source()).realm;
        assert_eq!(lent(Trust::Trusted), source().realm);
        let reasons = [
            UntrustedReason::Fork("eve/shop".to_owned()),
            UntrustedReason::HeadRepositoryGone,
            UntrustedReason::FlowFile("eve".to_owned()),
        ];
        for reason in reasons {
            assert_eq!(lent(Trust::Untrusted(reason)), Realm::Host { shared: Vec::new() });
        }
    }
}
