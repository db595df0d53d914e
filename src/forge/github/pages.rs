//! Lists that GitHub gives by the page.

use serde::de::DeserializeOwned;

use super::api::Api;
use crate::{forge::ForgeError, model::Repository};

/// More contexts than anybody reads; what is behind them is not looked at.
const MOST: usize = 1000;

/// Everything in a list at this path, which ends in a query; `page` of it at once, for which GitHub takes 100 at most.
pub(super) async fn all<P: DeserializeOwned, T>(
    api: &Api,
    repository: &Repository,
    path: &str,
    page: usize,
    items: impl Fn(P) -> Vec<T>,
) -> Result<Vec<T>, ForgeError> {
    let mut all = Vec::new();
    for number in 1..=MOST.div_ceil(page) {
        let found = items(api.get(repository, format!("{path}per_page={page}&page={number}")).await?);
        let is_last = found.len() < page;
        all.extend(found);
        if is_last {
            break;
        }
    }
    Ok(all)
}
