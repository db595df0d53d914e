//! What a repository's page says of its webhook: nothing, as long as nothing is known to be wrong.

use super::{Failure, Moment};
use crate::store::{RepositoryRow, Tx};

/// A webhook that is missing, disabled or failing.
#[derive(Debug)]
pub(super) struct HookView {
    pub(super) troubles: Vec<String>,
    pub(super) looked: Moment,
    /// What mends it.
    pub(super) command: String,
}

/// What the sweep has written down of it.
pub(super) async fn hook(tx: &mut Tx, repository: &RepositoryRow) -> Result<Option<HookView>, Failure> {
    let Some(row) = tx.hook(repository.id).await? else { return Ok(None) };
    let troubles = row.state.troubles();
    let command = format!("containerops hooks repair {}/{}", repository.forge, repository.name);
    if troubles.is_empty() {
        return Ok(None);
    }
    Ok(Some(HookView { troubles, looked: Moment(row.looked), command }))
}
