//! Lists that GitHub gives by the page.

use serde::de::DeserializeOwned;

use super::api::Api;
use crate::{forge::ForgeError, model::Repository};

/// GitHub gives no more at once.
const PAGE: usize = 100;
/// More contexts than a flow may have actions; what is behind them is not looked at.
const MOST_PAGES: usize = 10;

/// Everything in a list at this path, which ends in a query.
pub(super) async fn all<P: DeserializeOwned, T>(
    api: &Api,
    repository: &Repository,
    path: &str,
    items: impl Fn(P) -> Vec<T>,
) -> Result<Vec<T>, ForgeError> {
    let mut all = Vec::new();
    for page in 1..=MOST_PAGES {
        let found = items(api.get(repository, format!("{path}per_page={PAGE}&page={page}")).await?);
        let is_last = found.len() < PAGE;
        all.extend(found);
        if is_last {
            break;
        }
    }
    Ok(all)
}
