//! Asks registries what an action's images are, so that a whole run, and every re-run of it, uses the same bytes.

use std::time::Duration;

use super::{Engine, drive::plan_of};
use crate::{
    executor::registry::RegistryError,
    model::{Program, Verdict},
    store::{ActionRow, Pin, Pins, RunRow},
};

/// An image's registry may take this long before an action without need of its answer starts without it.
const PIN_PATIENCE: Duration = Duration::from_secs(2);

/// Why an action cannot have its images yet, or ever.
pub(super) enum Unpinned {
    /// The registry is away, in its words.
    Wait(String),
    /// The author's mistake.
    Never(Verdict),
}

impl Engine {
    /// Asks the registries what the action's images are, as far as the run does not know yet.
    pub(super) async fn pin_images(&self, action: &ActionRow, run: &RunRow) -> Result<Pins, Unpinned> {
        let mut pins = Pins::new();
        let plan = plan_of(action, run).map_err(|error| Unpinned::Wait(error.to_string()))?;
        if self.executor.kind() == crate::executor::ExecutorKind::Process {
            return Ok(pins);
        }
        for job in &plan.jobs {
            if run.pins.contains_key(&job.image) || pins.contains_key(&job.image) {
                continue;
            }
            if let Some(pin) = self.pin(&job.image, &job.program).await? {
                pins.insert(job.image.clone(), pin);
            }
        }
        Ok(pins)
    }

    async fn pin(&self, image: &str, program: &Program) -> Result<Option<Pin>, Unpinned> {
        match program {
            Program::Script(_) | Program::Command(_) => {
                let asked = tokio::time::timeout(PIN_PATIENCE, self.registry.pin(image)).await;
                Ok(asked.ok().and_then(Result::ok).map(|pin| Pin { image: pin.image, entrypoint: pin.entrypoint }))
            }
            Program::Entrypoint => match self.registry.pin(image).await {
                Ok(pin) => Ok(Some(Pin { image: pin.image, entrypoint: pin.entrypoint })),
                Err(error) => Err(unpinned(error)),
            },
        }
    }
}

fn unpinned(error: RegistryError) -> Unpinned {
    match error {
        RegistryError::Away { .. } => {
            Unpinned::Wait(format!("{error}; with `command:` the image's own entrypoint need not be known"))
        }
        RegistryError::Invalid { .. } => Unpinned::Never(Verdict::CannotStart { message: error.to_string() }),
        RegistryError::NotFound { image, message } => Unpinned::Never(Verdict::ImageNotFound { image, message }),
    }
}

/// What other actions of the run have learnt meanwhile wins: one image is one digest in a whole run.
pub(super) fn merged(run: Option<RunRow>, mut pins: Pins) -> Pins {
    if let Some(run) = run {
        pins.extend(run.pins.0);
    }
    pins
}
