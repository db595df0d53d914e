//! Reads a map key by key. Each reader claims the keys of its level; what nobody has claimed in the end is a mistake.
//!
//! That is also how hoisting works: a stage that has the keys of a job hands its own map on to the readers of the
//! action and the job, which find the keys that are left.

use super::{
    Reading,
    findings::quoted,
    node::{Entry, Node, Place, Value},
};

/// What one kind of map may hold.
#[derive(Debug)]
pub(super) struct Level {
    /// With its article: "a job".
    pub(super) name: &'static str,
    /// Its keys.
    pub(super) keys: &'static [&'static str],
    /// Keys that the original's engine wrote into its exports.
    pub(super) ignored: &'static [&'static str],
}

impl Level {
    /// Whether it is a key of this level.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains(&key)
    }
}

/// One map that is being read.
#[derive(Debug)]
pub(super) struct Fields<'n> {
    at: Place,
    entries: &'n [Entry],
    claimed: Vec<bool>,
    levels: Vec<&'static Level>,
}

/// What was claimed of a copy.
#[derive(Debug)]
pub(super) struct Claims {
    claimed: Vec<bool>,
    levels: Vec<&'static Level>,
}

impl<'n> Fields<'n> {
    /// The map in `node`; a finding if it is none.
    pub(super) fn of(node: &'n Node, level: &'static Level, reading: &mut Reading<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => {
                Some(Self { at: node.at, entries, claimed: vec![false; entries.len()], levels: vec![level] })
            }
            Value::Null | Value::Scalar(_) | Value::List(_) => {
                let message = format!("{} is a map of keys and values; this is {}", level.name, node.describe());
                reading.findings.error(node.at, message);
                None
            }
        }
    }

    /// Where it stands.
    pub(super) const fn at(&self) -> Place {
        self.at
    }

    /// Lets the keys of the level below stand in this map too.
    pub(super) fn hoist(&mut self, level: &'static Level) {
        self.levels.push(level);
    }

    /// Whether a key of that level stands in this map, and is not one that the map's own level has too.
    pub(super) fn has_keys_of(&self, level: &'static Level) -> bool {
        let own = |key: &str| self.levels.iter().any(|own| own.has(key));
        self.entries.iter().map(|entry| entry.key.text.as_str()).any(|key| level.has(key) && !own(key))
    }

    /// Whether the key is there, claimed or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key.text == key)
    }

    /// The scalar at a key, claimed or not.
    pub(super) fn peek(&self, key: &str) -> Option<&'n str> {
        match &self.entries.iter().find(|entry| entry.key.text == key)?.value.value {
            Value::Scalar(text) => Some(text),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The value of a key that nobody has claimed; a `null` is as good as none.
    pub(super) fn claim(&mut self, key: &str) -> Option<&'n Node> {
        self.claim_entry(key).map(|entry| &entry.value).filter(|value| !value.is_null())
    }

    /// The same with its key, and with a `null` too.
    pub(super) fn claim_entry(&mut self, key: &str) -> Option<&'n Entry> {
        let place = self.entries.iter().position(|entry| entry.key.text == key)?;
        if std::mem::replace(&mut self.claimed[place], true) { None } else { self.entries.get(place) }
    }

    /// The entries that nobody has claimed yet.
    pub(super) fn rest(&self) -> impl Iterator<Item = &'n Entry> {
        self.entries.iter().zip(&self.claimed).filter(|(_, claimed)| !**claimed).map(|(entry, _)| entry)
    }

    /// A copy of [`Self::rest`], to be read as a part of this map.
    pub(super) fn copy<'m>(&self, entries: &'m [Entry]) -> Fields<'m> {
        Fields { at: self.at, entries, claimed: vec![false; entries.len()], levels: self.levels.clone() }
    }

    /// What of it was claimed.
    pub(super) fn into_claims(self) -> Claims {
        Claims { claimed: self.claimed, levels: self.levels }
    }

    /// Takes as claimed what the readers of any copy have claimed.
    pub(super) fn adopt(&mut self, copies: &[Claims]) {
        let Some(first) = copies.first() else { return };
        self.levels.clone_from(&first.levels);
        let open: Vec<usize> = (0..self.claimed.len()).filter(|&place| !self.claimed[place]).collect();
        for (nth, place) in open.into_iter().enumerate() {
            self.claimed[place] = copies.iter().any(|copy| copy.claimed.get(nth).copied().unwrap_or_default());
        }
    }

    /// Reports every key that nobody claimed.
    pub(super) fn close(self, reading: &mut Reading<'_>) {
        for (entry, claimed) in self.entries.iter().zip(&self.claimed) {
            if !claimed {
                self.report(entry, reading);
            }
        }
    }

    fn report(&self, entry: &Entry, reading: &mut Reading<'_>) {
        let key = entry.key.text.as_str();
        if self.levels.iter().any(|level| level.ignored.contains(&key)) {
            return;
        }
        let name = self.levels.first().map_or("", |level| level.name);
        match super::keys::owner(key) {
            Some(owner) => self.misplaced(entry, owner, reading),
            None => {
                let known = self.levels.iter().flat_map(|level| level.keys).copied();
                let message = format!("unknown key {} in {name}", quoted(key));
                let hint = reading.findings.did_you_mean(key, known);
                let hint = hint.or_else(|| reading.findings.did_you_mean(key, super::keys::all()));
                reading.mistake(entry.key.at, message).maybe_hint(hint);
            }
        }
    }

    fn misplaced(&self, entry: &Entry, owner: &'static Level, reading: &mut Reading<'_>) {
        let name = self.levels.first().map_or("", |level| level.name);
        let message = format!("{} is a key of {}, not of {name}", quoted(&entry.key.text), owner.name);
        let list = ["stages", "actions", "jobs"].iter().find(|list| self.entries.iter().any(|e| e.key.text == **list));
        let hint = list.map(|list| format!("move it into `{list}`, or replace `{list}` by the keys of its only item"));
        reading.mistake(entry.key.at, message).maybe_hint(hint);
    }
}
