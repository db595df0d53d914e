//! The secrets of a repository, as far as anybody may know of them: their names, whose they are, whom they are for, and
//! when they were set. Names say what a repository is connected with, so they are shown only where nobody but this
//! machine's own people can look.

use std::net::IpAddr;

use super::{Failure, Moment};
use crate::{
    model::SecretScope,
    store::{RepositoryRow, Tx},
    web::Web,
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
pub(super) async fn secrets(web: &Web, tx: &mut Tx, of: &RepositoryRow) -> Result<Vec<SecretView>, Failure> {
    let mut all = Vec::new();
    if !is_here_alone(&web.engine.settings.public_url) {
        return Ok(all);
    }
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

fn is_here_alone(url: &str) -> bool {
    let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_here_alone;

    #[test]
    fn only_this_machine_is_here() {
        for url in ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:8080"] {
            assert!(is_here_alone(url), "{url}");
        }
        for url in
            ["https://ci.example", "http://0.0.0.0:8080", "http://localhost.example", "http://10.0.0.1", "nonsense"]
        {
            assert!(!is_here_alone(url), "{url}");
        }
    }
}
