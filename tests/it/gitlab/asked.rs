use containerops::{
    forge::{Forge as _, ForgeError, Hook, HookKeeper as _, Recall as _},
    model::{CommentForm, CommentPlace, HookFault, Role, Thread},
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
    let place =
        |thread| CommentPlace { repository: request.repository.clone(), thread, id: 1244, form: CommentForm::Below };
    let answer = ("`/retest`: nothing has failed here", "<!-- containerops reply 1 -->");
    for thread in [Thread::PullRequest(iid), Thread::Commit("a".repeat(40).parse().expect("a sha"))] {
        for (words, again) in [("", false), ("", true), (answer.0, false), (answer.0, true)] {
            gitlab.reply(&place(thread.clone()), (words, answer.1), again).await.expect("taken");
        }
    }
    assert_snapshot!(model.answers().join("\n"), @r"
    note 1244: :thumbsup:
    merge request 1: `/retest`: nothing has failed here
    commit aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 👍
    commit aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: `/retest`: nothing has failed here
    ");
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

#[tokio::test]
async fn a_webhook_is_registered_seen_and_set_right() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    let project = pushed(&model, &gitlab).repository.name;
    const URL: &str = "https://ci.example.com/hooks/gitlab";
    let seen = async || gitlab.hooks_at(&project, URL).await.expect("we may see them");
    let faults =
        |hooks: &[Hook]| hooks[0].faults.iter().map(|fault: &HookFault| fault.words.clone()).collect::<Vec<_>>();
    assert!(seen().await.is_empty());
    gitlab.add_hook(&project, URL).await.expect("taken");
    gitlab.add_hook(&project, "https://elsewhere.example/hooks").await.expect("taken");
    assert_snapshot!(model.hooks().join("\n"), @r#"
    https://ci.example.com/hooks/gitlab merge_requests,note,push,tag_push Some("the next secret") Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")
    https://elsewhere.example/hooks merge_requests,note,push,tag_push Some("the next secret") Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")
    "#);
    assert_eq!(seen().await.iter().map(|hook| hook.faults.len()).collect::<Vec<_>>(), [0], "the other is not ours");
    model.hooks_are("note_events", false.into());
    model.hooks_are("push_events_branch_filter", "main".into());
    let hooks = seen().await;
    assert_eq!(faults(&hooks), ["it does not tell of these events: comment", "it tells of some branches alone"]);
    gitlab.set_hook(&project, URL, &hooks[0]).await.expect("taken");
    let mended = seen().await;
    assert_eq!((mended[0].id.as_str(), mended[0].faults.len()), (hooks[0].id.as_str(), 0));
    // one that GitLab has switched off would be switched on by a delivery alone: another takes its place
    model.hooks_are("alert_status", "temporarily_disabled".into());
    let hooks = seen().await;
    assert_eq!(faults(&hooks), ["GitLab has switched it off (temporarily disabled)"]);
    gitlab.set_hook(&project, URL, &hooks[0]).await.expect("taken");
    let mended = seen().await;
    assert_eq!((mended.len(), mended[0].faults.len()), (1, 0));
    assert_ne!(mended[0].id, hooks[0].id);
    gitlab.remove_hook(&project, &hooks[0]).await.expect("it is gone already");
}

#[tokio::test]
async fn the_doctor_sees_what_is_wrong_with_the_token() {
    let model = ModelGitlab::start().await;
    let said = async || {
        let (findings, time) = model.forge().examine("https://ci.example.com/hooks/gitlab").await;
        assert!(time.is_some(), "its clock is seen");
        findings.iter().map(|finding| format!("{:?} {}", finding.health, finding.message)).collect::<Vec<_>>()
    };
    let good =
        ["Ok it takes our token for containerops", "Ok its webhooks are to go to https://ci.example.com/hooks/gitlab"];
    assert_eq!(said().await, good, "an old instance does not tell of tokens");
    model.token_is(serde_json::json!({"scopes": ["read_api"], "expires_at": "2026-01-01"}));
    let said_now = said().await;
    assert_eq!(said_now[1], "Error the token's scopes (read_api) do not let it write commit statuses");
    assert!(said_now[2].starts_with("Warning the token ends in "), "{said_now:?}");
    model.fail_next(1, 401);
    assert_eq!(said().await, ["Error it does not take our token: it has expired, or was revoked"]);
}

#[tokio::test]
async fn who_has_contributed_is_whose_merge_request_was_merged() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    let (iid, request) = forked(&model, &gitlab);
    let known = async |login: &str| gitlab.has_contributed(&request.repository, login).await.expect("it is there");
    assert!(!known("mallory").await, "it is open");
    model.merge(WIDGET, iid);
    assert!(known("mallory").await && known("#13").await);
    assert!(!known("eve").await && !known("#7").await && !known("ada").await);
}
