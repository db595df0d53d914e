//! Any bytes are a webhook's body: reading ends, within bounds, and what an event says of itself is bounded, whoever
//! sent it.

use std::sync::OnceLock;

use containerops::forge::{
    Forge, Reading,
    gitea::{Gitea, GiteaSettings},
    gitlab::{Gitlab, GitlabSettings},
};

/// The events of Gitea and Forgejo that are looked into.
const GITEA: [&str; 7] =
    ["push", "create", "delete", "pull_request", "issue_comment", "pull_request_comment", "pull_request_approved"];
/// No text of an event that people see is longer.
const LONGEST: usize = 20_000;

/// Reads a body as each event of Gitea's.
pub fn read_gitea(body: &[u8]) {
    let Ok(gitea) = Gitea::new(GiteaSettings::default()) else { return };
    for event in GITEA {
        read(&gitea, event, body);
    }
}

/// Reads a body as GitLab's, whose bodies say themselves what they are.
pub fn read_gitlab(body: &[u8]) {
    // its client reads certificates, which takes longer than everything else
    static GITLAB: OnceLock<Option<Gitlab>> = OnceLock::new();
    let settings = || GitlabSettings { token: Some("glpat".into()), ..GitlabSettings::default() };
    if let Some(gitlab) = GITLAB.get_or_init(|| Gitlab::new(settings()).ok()) {
        read(gitlab, "System Hook", body);
    }
}

fn read(forge: &dyn Forge, event: &str, body: &[u8]) {
    match forge.read(event, body) {
        Ok(Reading::Event(event)) => {
            assert!(!event.sha.is_zero(), "a run of nothing");
            assert!(event.title.len() <= LONGEST && event.actor.len() <= LONGEST, "{event:?}");
            assert!(event.pull_request().is_none_or(|pull| pull.labels.len() <= 100), "{event:?}");
        }
        Ok(Reading::Comment(comment)) => assert!(!comment.orders.is_empty() && comment.author.len() <= LONGEST),
        Ok(Reading::Closed(closing)) => assert!(closing.actor.len() <= LONGEST, "{closing:?}"),
        Ok(Reading::Rerun(_) | Reading::Audience(_) | Reading::Nothing(_)) | Err(_) => {}
    }
    let moved = forge.recall().and_then(|recall| recall.moved(event, body));
    assert!(moved.is_none_or(|moved| !moved.sha.is_zero()), "a head that is nowhere");
}
