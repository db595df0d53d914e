//! What an action's images are, by digest, and what they start: asked of their registries when the action begins, so
//! that a re-run uses the same bytes.

use std::{collections::BTreeMap, time::Duration};

use futures::future::try_join_all;

use super::{Engine, drive::plan_of};
use crate::{
    executor::{
        ExecutorKind,
        registry::{Reach, RegistryError, RegistryKeys},
    },
    model::{Program, Verdict},
    store::{ActionRow, Pin, Pins, RunRow},
};

/// An image's registry may take this long before an action without need of its answer starts without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// An action cannot start yet, or never.
pub(super) enum Unpinned {
    /// Ask again; this is why.
    Wait(String),
    /// It has ended.
    Never(Verdict),
}

/// What a registry's answer is to an action.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// It pins the image; without it the image's name does.
    Welcome,
    /// Without it nobody knows what to start.
    Necessary,
}

impl Need {
    fn of(program: &Program) -> Self {
        match program {
            Program::Script(_) | Program::Command(_) => Self::Welcome,
            Program::Entrypoint => Self::Necessary,
        }
    }
}

impl Engine {
    /// Asks the registries what the action's images are, as far as the run does not know yet.
    pub(super) async fn pin_images(
        &self,
        action: &ActionRow,
        run: &RunRow,
        keys: &RegistryKeys,
    ) -> Result<Pins, Unpinned> {
        let plan = plan_of(action, run).map_err(|error| Unpinned::Wait(error.to_string()))?;
        if self.executor.kind() == ExecutorKind::Process {
            return Ok(Pins::new());
        }
        let mut wanted: BTreeMap<&String, Need> = BTreeMap::new();
        for job in plan.members().filter(|job| !job.is_podless() && !run.pins.contains_key(&job.image)) {
            let need = wanted.entry(&job.image).or_insert(Need::Welcome);
            *need = Need::of(&job.program).max(*need);
        }
        let reach = if run.event.trusted().is_some() { Reach::Everywhere } else { Reach::Public };
        let asked = wanted.iter().map(|(image, need)| self.pin(image, *need, reach, keys));
        let answers = try_join_all(asked).await?;
        let known = wanted.into_keys().zip(answers);
        Ok(known.filter_map(|(image, pin)| Some((image.clone(), pin?))).collect())
    }

    async fn pin(&self, image: &str, need: Need, reach: Reach, keys: &RegistryKeys) -> Result<Option<Pin>, Unpinned> {
        let asked = self.registry.pin(image, reach, keys);
        let pin = match need {
            Need::Welcome => tokio::time::timeout(PATIENCE, asked).await.ok().and_then(Result::ok),
            Need::Necessary => Some(asked.await.map_err(unpinned)?),
        };
        Ok(pin.map(|pin| Pin { image: pin.image, entrypoint: pin.entrypoint }))
    }
}

fn unpinned(error: RegistryError) -> Unpinned {
    const INSTEAD: &str = "with `command:` the image's own entrypoint need not be known";
    match error {
        RegistryError::Away { .. } => Unpinned::Wait(format!("{error}; {INSTEAD}")),
        RegistryError::Invalid { image, message } => Unpinned::Never(Verdict::ImageInvalid { image, message }),
        RegistryError::NotFound { image, message } => Unpinned::Never(Verdict::ImageNotFound { image, message }),
        RegistryError::Denied { image, message } => {
            Unpinned::Never(Verdict::ImageDenied { image, message: format!("{message}; {INSTEAD}") })
        }
    }
}

/// What other actions of the run have learnt meanwhile wins: one image is one digest in a whole run.
pub(super) fn merged(run: Option<RunRow>, mut pins: Pins) -> Pins {
    if let Some(run) = run {
        pins.extend(run.pins.0);
    }
    pins
}
