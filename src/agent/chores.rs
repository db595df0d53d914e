//! What an agent does besides its job's process, and how long each of it takes, however it ends.

use std::sync::Mutex;

use super::protocol::{Chores, Stretch};
use crate::model::{Clock, Time};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chore {
    Source,
    Restore,
    Download,
    Report,
    Upload,
    Save,
}

/// When each was done.
pub(super) struct Diary {
    clock: Clock,
    chores: Mutex<Chores>,
}

impl Diary {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, chores: Mutex::default() }
    }

    /// It goes on until what is returned is dropped: also by an error, and when it is given up.
    pub(super) fn begin(&self, chore: Chore) -> Entry<'_> {
        Entry { diary: self, chore, started: self.clock.now() }
    }

    pub(super) fn read(&self) -> Chores {
        self.chores.lock().map_or_else(|poisoned| *poisoned.into_inner(), |chores| *chores)
    }

    fn write(&self, chore: Chore, stretch: Stretch) {
        let Ok(mut chores) = self.chores.lock() else { return };
        let place = match chore {
            Chore::Source => &mut chores.source,
            Chore::Restore => &mut chores.restore,
            Chore::Download => &mut chores.download,
            Chore::Report => &mut chores.report,
            Chore::Upload => &mut chores.upload,
            Chore::Save => &mut chores.save,
        };
        *place = Some(stretch);
    }
}

/// A chore that is under way.
#[must_use]
pub(super) struct Entry<'a> {
    diary: &'a Diary,
    chore: Chore,
    started: Time,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.diary.write(self.chore, Stretch(self.started, self.diary.clock.now()));
    }
}
