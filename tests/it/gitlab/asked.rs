use containerops::{
    forge::{Forge as _, ForgeError, Recall as _},
    model::{CommentPlace, Role, Thread},
};
use insta::assert_snapshot;
use secrecy::ExposeSecret as _;

use super::{WIDGET, event, forked, pushed};
use crate::harness::gitlab::ModelGitlab;

#[tokio::test]
async fn flow_files_are_the_one_or_those_of_the_folder() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    let repository = pushed(&model, &gitlab).repository;
    let big = vec![b'#'; (1 << 20) + 9];
    let mut found = Vec::new();
    for files in [
        &[(".containerops.yml", &b"one"[..]), (".containerops/b.yml", b"two")][..],
        &[(".containerops/b.yml", b"b"), (".containerops/a.yml", b"a"), (".containerops/notes.md", b"")],
        &[("README.md", b"")],
        &[(".containerops.yml", &big)],
    ] {
        let sha = model.commit(WIDGET, "main", files);
        let files = gitlab.flow_files(&repository, &sha).await.expect("GitLab is there");
        found.push(files.iter().map(|file| format!("{} {}", file.path, file.content.len())).collect::<Vec<_>>());
    }
    assert_eq!(
        found,
        [
            vec![".containerops.yml 3"],
            vec![".containerops/a.yml 1", ".containerops/b.yml 1"],
            vec![],
            vec![".containerops.yml 1048577"]
        ]
    );
    let nowhere = "b".repeat(40).parse().expect("a sha");
    let error = gitlab.flow_files(&repository, &nowhere).await.expect_err("there is no such commit");
    assert_eq!(error.to_string(), "gitlab refused (404): 404 Commit Not Found");
}

#[tokio::test]
async fn what_an_event_changed_is_asked_for() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    pushed(&model, &gitlab);
    model.commit(WIDGET, "main", &[("a", b"1"), ("docs/b", b"1")]);
    let push = event(&gitlab, &model.push(WIDGET, "main"));
    let changed = gitlab.changed_files(&push).await.expect("GitLab is there");
    assert_eq!((changed.paths, changed.gap), (vec!["docs/b".to_owned()], None));
    let tag = event(&gitlab, &model.tag(WIDGET, "main", "v1"));
    assert!(gitlab.changed_files(&tag).await.expect("GitLab is there").gap.is_some());
    assert_eq!(
        gitlab.message(&push.repository, &push.sha).await.expect("it is there").as_deref(),
        Some("Change 2 files")
    );
    model.commit(WIDGET, "feature/a&b", &[("c", b"1")]);
    let iid = model.open(WIDGET, "main", WIDGET, "feature/a&b");
    let request = event(&gitlab, &model.merge_request(WIDGET, iid, "open"));
    assert_eq!(gitlab.changed_files(&request).await.expect("GitLab is there").paths, ["a", "c", "docs/b"]);
    let repository = &request.repository;
    assert_eq!(gitlab.open_pull_request(repository, "feature/a&b").await.expect("it is there"), Some(iid));
    assert_eq!(gitlab.open_pull_request(repository, "main").await.expect("it is there"), None);
    assert_eq!(gitlab.branch_head(repository, "feature/a&b").await.expect("it is there"), Some(request.sha));
    assert_eq!(gitlab.branch_head(repository, "gone").await.expect("it is there"), None);
}

#[tokio::test]
async fn the_source_is_fetched_with_the_token_and_from_there_alone() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    let (iid, request) = forked(&model, &gitlab);
    let source = gitlab.source(&request).await.expect("it is ours");
    assert_eq!(source.refs, [format!("refs/merge-requests/{iid}/head")]);
    assert_eq!(source.merge_ref, Some(format!("refs/merge-requests/{iid}/merge")));
    let header = source.header.expect("there is a token");
    assert_eq!(header.expose_secret(), "Authorization: Basic b2F1dGgyOmdscGF0LWZvci10ZXN0cw==");
    for elsewhere in ["https://evil.example/a/b.git", &format!("{}.evil.example/a/b.git", model.url())] {
        let mut stolen = request.clone();
        elsewhere.clone_into(&mut stolen.repository.clone_url);
        assert!(matches!(gitlab.source(&stolen).await, Err(ForgeError::Refused { status: 0, .. })), "{elsewhere}");
    }
}

#[tokio::test]
async fn roles_are_access_levels_and_a_fork_is_not_the_branch_of_its_name() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    let (_, request) = forked(&model, &gitlab);
    let repository = &request.repository;
    for (login, level) in [("min", 5), ("gus", 10), ("rep", 20), ("dev", 30), ("max", 40), ("own", 50)] {
        model.has_member(WIDGET, login, level);
    }
    let mut roles = Vec::new();
    for login in ["nobody", "min", "gus", "rep", "dev", "max", "OWN", "#1003", "#7", "a/../b"] {
        roles.push(gitlab.role(repository, login).await.expect("GitLab is there"));
    }
    let (reader, writer) = (Some(Role::Reader), Some(Role::Writer));
    let expected = [None, None, reader, reader, writer, Some(Role::Maintainer), Some(Role::Owner), writer, None, None];
    assert_eq!(roles, expected);
    assert_eq!(gitlab.open_pull_request(repository, "fix").await.expect("it is there"), None);
}

#[tokio::test]
async fn answers_are_given_once() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    let (iid, request) = forked(&model, &gitlab);
    let place = |thread| CommentPlace { repository: request.repository.clone(), thread, id: 1244 };
    let answer = ("`/retest`: nothing has failed here", "<!-- containerops reply 1 -->");
    for thread in [Thread::PullRequest(iid), Thread::Commit("a".repeat(40).parse().expect("a sha"))] {
        for (words, again) in [("", false), ("", true), (answer.0, false), (answer.0, true)] {
            gitlab.reply(&place(thread.clone()), (words, answer.1), again).await.expect("taken");
        }
    }
    assert_snapshot!(model.answers().join("\n"), @"");
}

#[tokio::test]
async fn heads_are_listed_and_become_webhooks_of_gitlabs_shape() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    let (_, request) = forked(&model, &gitlab);
    model.make_tag(WIDGET, "main", "v1/rc");
    let heads = gitlab.heads(&request.repository).await.expect("GitLab is there");
    assert!(heads.cut.is_empty());
    let names: Vec<&str> = heads.heads.iter().map(|head| head.name.as_str()).collect();
    assert_eq!(names, ["refs/heads/main", "refs/tags/v1/rc", "refs/pull/1"]);
    let before = "0".repeat(40).parse().expect("a sha");
    for head in &heads.heads {
        let webhook = gitlab.webhook(&request.repository, head, &before).await.expect("it is there");
        let moved = gitlab.moved(&webhook.event, &webhook.body).expect("it has moved");
        assert_eq!((&moved.name, &moved.sha), (&head.name, &head.sha));
        let event =
            event(&gitlab, &crate::harness::github::Delivery { headers: http::HeaderMap::new(), body: webhook.body });
        assert_eq!((&event.repository, &event.sha), (&request.repository, &head.sha));
        assert_eq!(event.trust == request.trust, event.pull_request().is_some(), "a fork stays one");
    }
}
