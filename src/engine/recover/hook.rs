//! How a repository's webhook is: asked of the forge when its heads are, and written down for the repository's page.
//!
//! A forge says what hooks a repository has. It does not say that a hook of its whole organisation brings the same
//! events, and some do not say that a hook fails. Both show in what has arrived.

use std::time::Duration;

use super::{Engine, SWEEP, Trouble};
use crate::{
    engine::start::HOOK,
    forge::{ForgeError, Hook, HookKeeper, Hooks, Recall},
    model::{HookFault, HookState, Time},
    store::{Came, HookRow, Json, RepositoryRow},
};

/// Where calls are counted, one that was good is not looked at again for so long: it would cost each repository a
/// call with every look, and a delivery that fails is found by the others.
const GOOD_FOR: Duration = Duration::from_secs(30 * 60);

impl Engine {
    /// Looks at a repository's webhook, where each has one of its own. Whoever may not see it is told so by a row.
    pub(super) async fn look_at_hook(&self, recall: &dyn Recall, repository: &RepositoryRow) -> Result<(), Trouble> {
        let Some(keeper) = self.keeper(recall, repository) else { return Ok(()) };
        let before = self.store.read().await?.hook(repository.id).await?;
        if recall.hooks() == Hooks::OfEach && before.as_ref().is_some_and(|row| self.is_still_good(row)) {
            return Ok(());
        }
        let seen = match keeper.hooks_at(&repository.name, &self.hook_url(repository)).await {
            Ok(hooks) => Hook::state(&hooks),
            Err(error @ ForgeError::Refused { .. }) => HookState::Unseen { reason: error.to_string() },
            Err(error) => return Err(error.into()),
        };
        let now = self.now();
        let mut tx = self.store.write().await?;
        let since = before.filter(|row| row.seen.0 == seen).map_or(now, |row| row.since);
        let came = tx.events_came(repository.forge, &repository.name, SWEEP, HOOK).await?;
        let state = state(&seen, since, came, recall.hooks());
        let row = HookRow { repository_id: repository.id, looked: now, seen: Json(seen), since, state: Json(state) };
        tx.keep_hook(&row).await?;
        Ok(tx.commit().await?)
    }

    fn is_still_good(&self, row: &HookRow) -> bool {
        row.state.0 == HookState::Good && self.now().since(row.looked) < GOOD_FOR
    }

    fn keeper(&self, recall: &dyn Recall, repository: &RepositoryRow) -> Option<&dyn HookKeeper> {
        match recall.hooks() {
            // one for all of them, which `doctor` looks at
            Hooks::OfAll => None,
            Hooks::OfEach | Hooks::None => self.forges.get(&repository.forge)?.hook_keeper(),
        }
    }

    fn hook_url(&self, repository: &RepositoryRow) -> String {
        format!("{}/hooks/{}", self.settings.public_url, repository.forge)
    }
}

/// What is to be said of a webhook that is seen to be like this since then, and what has come. Pure.
fn state(seen: &HookState, since: Time, came: Came, told: Hooks) -> HookState {
    let lost = came.found.is_some_and(|found| came.brought.is_none_or(|brought| brought < found));
    match (seen, told) {
        // whatever brings its events, this one is not missed
        (HookState::Missing, _) if !lost && came.brought.is_some_and(|brought| brought > since) => HookState::Good,
        // the forge keeps to itself what became of its deliveries
        (HookState::Good, Hooks::None) if lost => {
            let words = "the last event was not brought by the webhook, but found by a look at the repository: \
                         the forge's page of the webhook says why";
            HookState::Faulty { faults: vec![HookFault::failing(words)] }
        }
        (HookState::Missing | HookState::Good | HookState::Faulty { .. } | HookState::Unseen { .. }, _) => seen.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_says_what_a_forge_does_not() {
        let time = |at: i64| (at > 0).then(|| Time::from_millis(at));
        for (seen, brought, found, told, expected) in [
            (HookState::Missing, 0, 0, Hooks::None, "missing"),
            (HookState::Missing, 90, 0, Hooks::None, "missing"),
            (HookState::Missing, 110, 0, Hooks::OfEach, "good"),
            (HookState::Missing, 110, 105, Hooks::None, "good"),
            (HookState::Missing, 110, 120, Hooks::None, "missing"),
            (HookState::Good, 90, 0, Hooks::None, "good"),
            (HookState::Good, 90, 95, Hooks::None, "failing"),
            (HookState::Good, 0, 95, Hooks::None, "failing"),
            (HookState::Good, 96, 95, Hooks::None, "good"),
            // it would say so itself
            (HookState::Good, 90, 95, Hooks::OfEach, "good"),
        ] {
            let came = Came { brought: time(brought), found: time(found) };
            let word = match state(&seen, Time::from_millis(100), came, told) {
                HookState::Good => "good",
                HookState::Missing => "missing",
                HookState::Faulty { .. } => "failing",
                HookState::Unseen { .. } => "unseen",
            };
            assert_eq!(word, expected, "{seen:?} {brought} {found} {told:?}");
        }
    }
}
