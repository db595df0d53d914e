//! How a database is named.

use std::path::Path;

use super::{Result, StoreError};

/// A database's URL, taken apart.
#[derive(Debug)]
pub(super) enum Url<'a> {
    /// The path of a file.
    Sqlite(&'a Path),
    /// The same, of one that is not flushed to the disk.
    Scratch(&'a Path),
    /// All of it.
    Postgres(&'a str),
}

impl<'a> Url<'a> {
    pub(super) fn of(url: &'a str) -> Result<Self> {
        let path = |rest: &'a str| Path::new(rest.trim_start_matches("//"));
        match url.split_once(':') {
            Some(("sqlite", rest)) => Ok(Self::Sqlite(path(rest))),
            Some(("sqlite-scratch", rest)) => Ok(Self::Scratch(path(rest))),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(url)),
            Some(_) | None => Err(StoreError::UnknownDatabase(scheme(url))),
        }
    }
}

/// What stands before the colon, which is all of a database URL that a message may show: the rest may be a password.
fn scheme(url: &str) -> String {
    url.split_once(':').map_or("(no scheme)", |(scheme, _)| scheme).chars().take(20).collect()
}
