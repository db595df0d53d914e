//! Any bytes are a webhook's body: reading ends, within bounds, and what an event says of itself is bounded, whoever
//! sent it.

use std::{path::PathBuf, sync::OnceLock};

use containerops::forge::{
    Forge, Reading,
    git::Git,
    gitea::{Gitea, GiteaSettings},
    github::{Github, GithubSettings},
    gitlab::{Gitlab, GitlabSettings},
};

/// The events of GitHub that are looked into.
const GITHUB: [&str; 10] = [
    "push",
    "pull_request",
    "merge_group",
    "check_run",
    "check_suite",
    "issue_comment",
    "commit_comment",
    "pull_request_review",
    "pull_request_review_comment",
    "repository",
];

/// The events of Gitea and Forgejo that are looked into.
const GITEA: [&str; 7] =
    ["push", "create", "delete", "pull_request", "issue_comment", "pull_request_comment", "pull_request_approved"];
/// No text of an event that people see is longer.
const LONGEST: usize = 20_000;

/// Reads a body as each event of Gitea's.
pub fn read_gitea(body: &[u8]) {
    prepare();
    let gitea = Gitea::new(GiteaSettings::default()).expect("good settings");
    for event in GITEA {
        read(&gitea, event, body);
    }
}

/// Reads a body as GitLab's, whose bodies say themselves what they are.
pub fn read_gitlab(body: &[u8]) {
    // its client reads certificates, which takes longer than everything else
    static GITLAB: OnceLock<Option<Gitlab>> = OnceLock::new();
    let settings = || GitlabSettings { token: Some("glpat".into()), ..GitlabSettings::default() };
    let made = || {
        prepare();
        Gitlab::new(settings()).ok()
    };
    let gitlab = GITLAB.get_or_init(made).as_ref().expect("good settings");
    read(gitlab, "System Hook", body);
}

/// What the clients of forges want of whoever makes them.
fn prepare() {
    // the second time it is there already
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Reads a body as each event of GitHub's.
pub fn read_github(body: &[u8]) {
    // its client wants a runtime, though nothing is asked here
    static GITHUB_ITSELF: OnceLock<Option<(tokio::runtime::Runtime, Github)>> = OnceLock::new();
    let of = GITHUB_ITSELF.get_or_init(|| {
        prepare();
        let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
        let github = {
            let _within = runtime.enter();
            Github::new(GithubSettings::default()).ok()?
        };
        Some((runtime, github))
    });
    let (_, github) = of.as_ref().expect("good settings");
    GITHUB.into_iter().for_each(|event| read(github, event, body));
}

/// Reads a body as that of a plain repository's hook.
pub fn read_git(body: &[u8]) {
    read(&Git::new(PathBuf::from("/nowhere"), Vec::new()), "push", body);
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
