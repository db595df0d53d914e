//! The secrets of a repository, as far as anybody may know of them: their names, whose they are, whom they are for, and
//! when they were set. Names say what a repository is connected with, so its maintainers alone see them.

use super::{Failure, Moment};
use crate::{
    model::SecretScope,
    store::{RepositoryRow, Tx},
};

/// One that jobs may have.
pub(super) struct SecretView {
    pub(super) name: String,
    pub(super) scope: String,
    pub(super) limits: String,
    pub(super) changed: Moment,
    pub(super) by: String,
}

/// Those that a repository's jobs may have, the nearest first.
pub(super) async fn secrets(tx: &mut Tx, of: &RepositoryRow) -> Result<Vec<SecretView>, Failure> {
    let mut all = Vec::new();
    for scope in SecretScope::around(of.forge, &of.name) {
        all.extend(tx.secrets(&scope).await?.into_iter().map(|row| SecretView {
            name: row.name.to_string(),
            scope: scope.to_string(),
            limits: row.limits.to_string(),
            changed: Moment(row.changed),
            by: row.changed_by,
        }));
    }
    Ok(all)
}
