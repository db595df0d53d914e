//! The parts of the service that a process may do without, where others do them.

use std::collections::BTreeSet;

use anyhow::Result;

use super::App;

/// A part of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Webhooks, pages, the API, and agents.
    Web,
    /// What is made of deliveries, and what drives runs.
    Engine,
    /// What forges and receivers are told.
    Report,
}

/// What a process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartsDone(BTreeSet<Part>);

impl App {
    /// The same, but what is not among these parts is left to other servers of the same database.
    ///
    /// # Errors
    /// If there can be no other servers.
    pub fn only(self, does: PartsDone) -> Result<Self> {
        anyhow::ensure!(
            does.is_all() || self.engine.store.is_shared(),
            "other servers can do the rest only on a database that they share: set CONTAINEROPS_DATABASE_URL to postgres://…"
        );
        Ok(Self { does, ..self })
    }
}

impl PartsDone {
    /// Everything.
    pub fn all() -> Self {
        Self([Part::Web, Part::Engine, Part::Report].into())
    }

    /// These alone; none named is all.
    pub fn only(parts: impl IntoIterator<Item = Part>) -> Self {
        let named: BTreeSet<Part> = parts.into_iter().collect();
        if named.is_empty() { Self::all() } else { Self(named) }
    }

    /// Whether a part is among them.
    pub fn has(&self, part: Part) -> bool {
        self.0.contains(&part)
    }

    /// Whether nothing is left to others.
    pub fn is_all(&self) -> bool {
        *self == Self::all()
    }
}
