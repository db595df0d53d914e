//! What webhooks did not bring becomes deliveries, late.
//!
//! A forge may send nothing (GitHub has a limit for the size of an event, and for tags pushed at once), or find us away
//! and not try again. So every few minutes the sweep looks at both ends: what the forge could not deliver is asked for
//! again, and heads that nothing has told of become deliveries of our own, in the forge's shape, so that all that comes
//! after is the same path. What is promised: a movement of a head runs once, whether its webhook comes in time, late,
//! twice, or never; and nothing that was there before us runs.
//!
//! All of it is rows: a look that is cut off anywhere is begun again and finds the same.

mod arrival;
mod attempts;
mod compare;
mod heads;
mod hook;
mod left;

use std::{collections::BTreeSet, time::Duration};

use super::{Engine, EngineError, Result};
use crate::{
    forge::{ForgeError, Hooks, Recall},
    model::{ForgeKind, RepositoryName, Time, Visibility},
    store::{RepositoryRow, SweepRow},
};

pub use arrival::SWEEP;

/// How many places are looked at in one round. With a round every half a minute and three or four calls for a
/// repository this stays well within 5,000 calls an hour, whatever the number of repositories.
const PLACES: i64 = 5;
/// A place that refuses is looked at again seldom: it may be renamed or deleted, or a permission missing.
const REFUSED_PAUSE: Duration = Duration::from_secs(3600);

/// A look did not come to its end.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// Because of the forge: the place is looked at again later.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// Because of us: the round fails.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<crate::store::StoreError> for Trouble {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl Engine {
    /// Looks once at each place that is due, and asks for what is due. How many deliveries were asked for or made.
    ///
    /// # Errors
    /// If the database is away; a forge's trouble postpones the place.
    pub async fn recover(&self) -> Result<usize> {
        let left = self.take_what_is_left().await?;
        if self.settings.sweep_interval.is_zero() {
            return Ok(left);
        }
        self.find_places().await?;
        let due = self.store.read().await?.due_sweeps(self.now(), PLACES).await?;
        let (mut recovered, mut limited) = (left, BTreeSet::new());
        for sweep in due {
            if !limited.contains(&sweep.forge) {
                let looked = self.look(sweep.clone()).await;
                recovered += self.looked(sweep, looked, &mut limited).await?;
            }
        }
        Ok(recovered + self.ask_again().await?)
    }

    async fn find_places(&self) -> Result<()> {
        let mut tx = self.store.write().await?;
        for (kind, forge) in &self.forges {
            let Some(recall) = forge.recall() else { continue };
            tx.sweep_repositories(*kind, self.now()).await?;
            if recall.hooks() == Hooks::OfAll {
                tx.sweep_hook(*kind, self.now()).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// Looks at one place. How many deliveries were made.
    async fn look(&self, sweep: SweepRow) -> Result<usize, Trouble> {
        let Some(recall) = self.recall(sweep.forge) else { return Ok(0) };
        let said = sweep.trouble.clone();
        let Some(repository) = self.repository_at(&sweep).await? else {
            self.look_through(recall, None, sweep).await?;
            return Ok(0);
        };
        self.look_who_sees(&repository).await?;
        let (made, sweep) = self.look_at_heads(recall, &repository, sweep).await?;
        if recall.hooks() == Hooks::OfEach {
            match self.look_through(recall, Some(&repository.facts), sweep.clone()).await {
                // whoever may not see the hook may still see the heads, as often as others
                Err(Trouble::Forge(error @ ForgeError::Refused { .. })) => {
                    let sweep = SweepRow { trouble: said, ..sweep };
                    let due = sweep.due;
                    self.keep_trouble(sweep, &error, due).await?;
                }
                looked => looked?,
            }
        }
        self.look_at_hook(recall, &repository).await?;
        Ok(made)
    }

    /// Asks who may see a repository. What the forge does not know any more, nobody need know of.
    async fn look_who_sees(&self, repository: &RepositoryRow) -> Result<(), Trouble> {
        let Some(forge) = self.forges.get(&repository.forge) else { return Ok(()) };
        let now = match forge.visibility(&repository.facts).await {
            Err(ForgeError::Refused { status: 404, .. }) => Visibility::Private,
            other => other?,
        };
        if now == repository.facts.visibility || now.is_unknown() {
            return Ok(());
        }
        tracing::info!(forge = %repository.forge, repository = %repository.name, ?now, "other people may see it");
        let mut tx = self.store.write().await?;
        tx.repository_is(repository.id, now).await?;
        Ok(tx.commit().await?)
    }

    /// What follows from how a look ended: when the place is looked at again, and what people are told of it.
    async fn looked(
        &self,
        before: SweepRow,
        looked: Result<usize, Trouble>,
        limited: &mut BTreeSet<ForgeKind>,
    ) -> Result<usize> {
        let error = match looked {
            Ok(made) => return Ok(made),
            Err(Trouble::Engine(error)) => return Err(error),
            Err(Trouble::Forge(error)) => error,
        };
        let pause = match &error {
            ForgeError::Limited { after, .. } => {
                limited.insert(before.forge);
                self.be_patient(before.forge, *after).await?;
                *after
            }
            ForgeError::Refused { .. } => REFUSED_PAUSE,
            ForgeError::Away { .. } => self.settings.sweep_interval,
        };
        let now = self.store.read().await?.sweep(before.forge, &before.name).await?;
        let sweep = SweepRow { trouble: before.trouble.clone(), ..now.unwrap_or(before) };
        self.keep_trouble(sweep, &error, self.now().after(pause)).await?;
        Ok(0)
    }

    /// A forge asks for patience: nothing of it is looked at, and nothing asked for, before that is over.
    async fn be_patient(&self, forge: ForgeKind, after: Duration) -> Result<()> {
        let mut tx = self.store.write().await?;
        tx.postpone_sweeps(forge, self.now().after(after)).await?;
        Ok(tx.commit().await?)
    }

    /// Writes down why a place could not be seen whole; it is logged when it is new.
    async fn keep_trouble(&self, mut sweep: SweepRow, error: &ForgeError, due: Time) -> Result<()> {
        let trouble = error.to_string();
        if trouble != sweep.trouble {
            tracing::warn!(forge = %sweep.forge, repository = sweep.name, %error, "not all could be looked at");
        }
        // a page that the forge no longer knows would be refused for ever
        (sweep.page, sweep.due, sweep.trouble) = (None, due, trouble);
        let mut tx = self.store.write().await?;
        tx.keep_sweep(&sweep).await?;
        Ok(tx.commit().await?)
    }

    fn recall(&self, kind: ForgeKind) -> Option<&dyn Recall> {
        self.forges.get(&kind).and_then(|forge| forge.recall())
    }

    /// The repository that a place is; `None` for the hook of a whole forge.
    async fn repository_at(&self, sweep: &SweepRow) -> Result<Option<RepositoryRow>> {
        let Ok(name) = sweep.name.parse::<RepositoryName>() else { return Ok(None) };
        let found = self.store.read().await?.repository_named(sweep.forge, &name).await?;
        found.map(Some).ok_or_else(|| EngineError::Broken(format!("{name} is swept, but not known")))
    }
}
