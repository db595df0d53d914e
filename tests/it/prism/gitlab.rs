//! The same with GitLab's description, which is older than some of what we use of GitLab, and has a part of the rest.

use containerops::{
    forge::{Forge, Head, Hook, HookKeeper as _, Recall as _, Wanted, gitlab::Gitlab},
    model::{Clock, CommentForm, CommentPlace, Conclusion, Context, Event, Progress, Repository, Sha, Thread},
};
use insta::assert_snapshot;

use super::{report, witness};
use crate::{
    gitlab::{WIDGET, event},
    harness::{gitlab::ModelGitlab, required},
};

/// Prism's answers are examples, which need not make sense to us, so only its refusals count.
async fn make_every_call(gitlab: &Gitlab, events: &[Event]) {
    for event in events {
        let Event { repository, sha, .. } = event;
        let _ = gitlab.flow_files(repository, sha).await;
        let _ = gitlab.changed_files(event).await;
        let _ = gitlab.message(repository, sha).await;
        let context = Context::of_run("ci", event.context_suffix());
        for progress in [Progress::Queued, Progress::Running, Progress::Done(Conclusion::Success)] {
            let report = report(progress);
            let wanted = Wanted { repository, sha, event: Some(event), context: &context, report: &report };
            let known = "{\"way\":\"here\",\"pipeline\":7,\"state\":\"running\"}";
            for known in [None, Some(known)] {
                let _ = gitlab.report(&wanted, known).await;
            }
        }
        let _ = gitlab.shown(repository, sha, std::slice::from_ref(event)).await;
    }
    make_other_calls(gitlab, &events[0].repository, &events[0].sha).await;
}

async fn make_other_calls(gitlab: &Gitlab, repository: &Repository, sha: &Sha) {
    let _ = gitlab.open_pull_request(repository, "fix/#1&more").await;
    let _ = gitlab.branch_head(repository, "fix/#1&more").await;
    let _ = gitlab.visibility(repository).await;
    let _ = gitlab.role(repository, "#7").await;
    let _ = gitlab.heads(repository).await;
    for thread in [Thread::PullRequest(17), Thread::Commit(sha.clone())] {
        let place = CommentPlace { repository: repository.clone(), thread, id: 1, form: CommentForm::Below };
        for (words, again) in [("", false), ("it is over", false), ("it is over", true)] {
            let _ = gitlab.reply(&place, (words, "<!-- 1 -->"), again).await;
        }
    }
    let before: Sha = "0".repeat(40).parse().expect("a sha");
    let head = Head { name: "refs/heads/fix/#1".to_owned(), sha: sha.clone(), told: serde_json::Value::Null };
    let _ = gitlab.webhook(repository, &head, &before).await;
    let (name, url) = (&repository.name, "https://ci.example.com/hooks/gitlab");
    let hook = Hook { id: "7".to_owned(), faults: Vec::new(), told: serde_json::Value::Null };
    let _ = gitlab.hooks_at(name, url).await;
    let _ = gitlab.add_hook(name, url).await;
    let _ = gitlab.set_hook(name, url, &hook).await;
    let _ = gitlab.remove_hook(name, &hook).await;
    let _ = gitlab.examine("https://ci.example.com/hooks/gitlab").await;
}

#[tokio::test]
async fn gitlabs_own_description_takes_every_call() {
    let Some(prism) = required("prism-gitlab", "CONTAINEROPS_TEST_PRISM_GITLAB") else { return };
    let model = ModelGitlab::start().await;
    let (url, seen) = witness(prism).await;
    let forge = model.forge();
    model.commit(WIDGET, "main", &[("a", b"1")]);
    let sha = model.commit(WIDGET, "main", &[("a", b"2")]);
    let own = model.open(WIDGET, "main", WIDGET, "main");
    model.commit("mallory/widget", "fix", &[("a", b"3")]);
    let fork = model.open(WIDGET, "main", "mallory/widget", "fix");
    let told = [
        model.push(WIDGET, "main"),
        model.merge_request(WIDGET, own, "open"),
        model.merge_request(WIDGET, fork, "open"),
    ];
    let mut settings = model.settings(&Clock::System);
    settings.url.clone_from(&url);
    let gitlab = Gitlab::new(settings).expect("good settings");
    make_every_call(&gitlab, &told.map(|delivery| event(&forge, &delivery))).await;
    let seen = seen.lock().expect("nobody panics here");
    let mut calls: Vec<String> = Vec::new();
    for seen in seen.iter() {
        let parts = seen.call.split('/').map(|part| if part.len() == 40 { "SHA" } else { part });
        let call = parts.collect::<Vec<_>>().join("/");
        // what the description does not have is answered so; what it has and does not take is not
        let unknown = seen.status == 404 && seen.answer.contains("NO_PATH_MATCHED_ERROR");
        assert!(
            (200..300).contains(&seen.status) || unknown,
            "{call} was answered with {}: {}",
            seen.status,
            seen.answer
        );
        calls.push(format!("{call}{}", if unknown { " (not described)" } else { "" }));
    }
    assert!(calls.iter().any(|call| call.contains("statuses/SHA")), "{sha} was told of");
    calls.sort_unstable();
    calls.dedup();
    assert_snapshot!(calls.join("\n"), @r"
    DELETE /api/v4/projects/acme%2Ftools%2Fwidget/hooks/7
    GET /api/v4/personal_access_tokens/self (not described)
    GET /api/v4/projects/acme%2Ftools%2Fwidget
    GET /api/v4/projects/acme%2Ftools%2Fwidget/hooks
    GET /api/v4/projects/acme%2Ftools%2Fwidget/members/all/7 (not described)
    GET /api/v4/projects/acme%2Ftools%2Fwidget/merge_requests
    GET /api/v4/projects/acme%2Ftools%2Fwidget/merge_requests/1/changes
    GET /api/v4/projects/acme%2Ftools%2Fwidget/merge_requests/1/diffs (not described)
    GET /api/v4/projects/acme%2Ftools%2Fwidget/merge_requests/17/notes
    GET /api/v4/projects/acme%2Ftools%2Fwidget/merge_requests/2/changes
    GET /api/v4/projects/acme%2Ftools%2Fwidget/merge_requests/2/diffs (not described)
    GET /api/v4/projects/acme%2Ftools%2Fwidget/merge_requests/2/notes
    GET /api/v4/projects/acme%2Ftools%2Fwidget/pipelines (not described)
    GET /api/v4/projects/acme%2Ftools%2Fwidget/repository/branches
    GET /api/v4/projects/acme%2Ftools%2Fwidget/repository/branches/fix%2F%231&more
    GET /api/v4/projects/acme%2Ftools%2Fwidget/repository/commits/SHA
    GET /api/v4/projects/acme%2Ftools%2Fwidget/repository/commits/SHA/comments
    GET /api/v4/projects/acme%2Ftools%2Fwidget/repository/commits/SHA/statuses
    GET /api/v4/projects/acme%2Ftools%2Fwidget/repository/compare
    GET /api/v4/projects/acme%2Ftools%2Fwidget/repository/files/.containerops.yml
    GET /api/v4/projects/acme%2Ftools%2Fwidget/repository/tree (not described)
    GET /api/v4/projects/mallory%2Fwidget/pipelines (not described)
    GET /api/v4/projects/mallory%2Fwidget/repository/commits/SHA/statuses
    GET /api/v4/user
    POST /api/v4/projects/acme%2Ftools%2Fwidget/hooks
    POST /api/v4/projects/acme%2Ftools%2Fwidget/merge_requests/17/notes
    POST /api/v4/projects/acme%2Ftools%2Fwidget/merge_requests/17/notes/1/award_emoji (not described)
    POST /api/v4/projects/acme%2Ftools%2Fwidget/repository/commits/SHA/comments
    POST /api/v4/projects/acme%2Ftools%2Fwidget/statuses/SHA
    POST /api/v4/projects/mallory%2Fwidget/statuses/SHA
    PUT /api/v4/projects/acme%2Ftools%2Fwidget/hooks/7
    ");
}
