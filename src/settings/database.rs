//! The database.

use std::ops::RangeInclusive;

use super::{SettingsError, Values};

/// PostgreSQL has 100 for all its clients, if nobody says otherwise.
const CONNECTIONS: u32 = 16;
/// With fewer, readers and writers would wait for each other.
const RANGE: RangeInclusive<u32> = 4..=500;

impl Values {
    pub(super) fn database_connections(&self) -> Result<u32, SettingsError> {
        let number = self.parse::<u32>("database_connections")?.unwrap_or(CONNECTIONS);
        let wrong = || SettingsError::Value {
            name: "database_connections",
            message: format!("a number from {} to {} is expected, and not {number}", RANGE.start(), RANGE.end()),
        };
        if RANGE.contains(&number) { Ok(number) } else { Err(wrong()) }
    }
}
