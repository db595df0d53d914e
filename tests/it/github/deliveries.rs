use std::process::Command;

use containerops::{
    forge::{
        Authentic, Forge as _, Reading, Unreadable,
        github::{Github, GithubSettings, SettingsError},
    },
    model::{Event, EventKind, Trust, UntrustedReason},
};
use http::HeaderMap;
use insta::assert_snapshot;
use serde_json::json;

use crate::harness::{
    github::{Delivery, ModelGithub, WEBHOOK_SECRET, fixture, signed},
    required,
};

fn github() -> Github {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let webhook_secrets = vec!["the next secret".into(), WEBHOOK_SECRET.into()];
    Github::new(GithubSettings { webhook_secrets, ..GithubSettings::default() }).expect("good settings")
}

fn authenticate(Delivery { headers, body }: &Delivery) -> Option<Authentic> {
    github().authenticate(headers, body)
}

fn without(delivery: &Delivery, header: &str) -> Delivery {
    let mut less = delivery.clone();
    less.headers.remove(header).expect("it was there");
    less
}

fn with(delivery: &Delivery, header: &'static str, value: &str) -> Delivery {
    let mut more = delivery.clone();
    more.headers.insert(header, value.parse().expect("a header"));
    more
}

#[tokio::test]
async fn any_configured_secret_proves_a_delivery() {
    let delivery = signed("push", "72d3162e", b"{\"any\": \"bytes\xff\"}".to_vec());
    let authentic = authenticate(&delivery).expect("it is signed");
    assert_eq!((authentic.hook.as_str(), authentic.delivery.as_str()), ("109948940", "72d3162e"));
    assert_eq!(authentic.event, "push");
    assert_eq!(authenticate(&without(&delivery, "x-github-hook-id")).expect("it is signed").hook, "");
}

#[tokio::test]
async fn the_signature_of_githubs_own_example_is_taken() {
    // the secret, body and signature that GitHub's documentation gives for testing an implementation
    let mut headers = HeaderMap::new();
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    headers.insert("x-hub-signature-256", signature.parse().expect("a header"));
    headers.insert("x-github-delivery", "1".parse().expect("a header"));
    headers.insert("x-github-event", "ping".parse().expect("a header"));
    let webhook_secrets = vec!["It's a Secret to Everybody".into()];
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let github = Github::new(GithubSettings { webhook_secrets, ..GithubSettings::default() }).expect("good settings");
    assert!(github.authenticate(&headers, b"Hello, World!").is_some());
}

#[tokio::test]
async fn what_githubs_own_library_signs_is_authentic() {
    let Some(folder) = required("signer-npm", "CONTAINEROPS_TEST_SIGNER_NPM") else { return };
    let script = "import('@octokit/webhooks-methods').then(async (m) => process.stdout.write(await m.sign(process.argv[1], process.argv[2])))";
    let body = "{\"ref\": \"refs/heads/ä→𝄞\"}";
    let signer = Command::new("node").args(["-e", script, WEBHOOK_SECRET, body]).current_dir(folder).output();
    let output = signer.expect("Node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ours = signed("push", "72d3162e", body.into());
    let theirs = with(&ours, "x-hub-signature-256", &String::from_utf8(output.stdout).expect("ASCII"));
    assert!(authenticate(&theirs).is_some());
    assert!(authenticate(&Delivery { body: b"{}".to_vec(), ..theirs.clone() }).is_none());
    assert_eq!(ours.headers["x-hub-signature-256"], theirs.headers["x-hub-signature-256"], "the model signs the same");
}

#[tokio::test]
async fn what_is_not_signed_is_not_authentic() {
    let delivery = signed("push", "72d3162e", b"{}".to_vec());
    let other_body = Delivery { body: b"{ }".to_vec(), ..delivery.clone() };
    let signature = delivery.headers["x-hub-signature-256"].to_str().expect("ASCII").to_owned();
    for forged in [
        other_body,
        without(&delivery, "x-hub-signature-256"),
        without(&delivery, "x-github-delivery"),
        without(&delivery, "x-github-event"),
        with(&delivery, "x-github-delivery", &"7".repeat(101)),
        with(&delivery, "x-hub-signature-256", "sha256=nonsense"),
        with(&delivery, "x-hub-signature-256", "sha256="),
        with(&delivery, "x-hub-signature-256", &signature[..signature.len() - 2]),
        with(&delivery, "x-hub-signature-256", &signature.replace("sha256=", "")),
        with(&without(&delivery, "x-hub-signature-256"), "x-hub-signature", &signature),
    ] {
        assert_eq!(authenticate(&forged), None, "{:?}", forged.headers);
    }
}

#[tokio::test]
async fn an_empty_secret_is_refused_and_none_lets_nobody_in() {
    let settings = |secrets| GithubSettings { webhook_secrets: secrets, ..GithubSettings::default() };
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    assert!(matches!(Github::new(settings(vec!["".into()])), Err(SettingsError::EmptyWebhookSecret)));
    let closed = Github::new(settings(Vec::new())).expect("good settings");
    let delivery = signed("push", "72d3162e", b"{}".to_vec());
    assert_eq!(closed.authenticate(&delivery.headers, &delivery.body), None);
}

fn read(name: &str) -> Result<Reading, Unreadable> {
    let event = [
        "push",
        "pull_request_review_comment",
        "pull_request_review",
        "pull_request",
        "check_run",
        "check_suite",
        "merge_group",
        "ping",
        "installation",
        "issue_comment",
        "commit_comment",
        "repository",
    ];
    let event = event.into_iter().find(|event| name.starts_with(event)).expect("a known event");
    github().read(event, &serde_json::to_vec(&fixture(name)).expect("JSON"))
}

/// A reading as a line: what would start, and why it may.
fn line(name: &str) -> String {
    match read(name) {
        Ok(Reading::Event(event)) => format!("{name}: {}", event_line(&event)),
        Ok(Reading::Rerun(rerun)) => {
            format!("{name}: rerun {} {:?} for {}", rerun.sha.short(), rerun.external_id, rerun.actor)
        }
        Ok(Reading::Comment(comment)) => format!("{name}: {} below {:?}", comment.words(), comment.place.thread),
        Ok(Reading::Closed(closing)) => format!("{name}: {} by {}", closing.words(), closing.actor),
        Ok(Reading::Audience(audience)) => format!("{name}: {} is {:?}", audience.repository, audience.told),
        Ok(Reading::Nothing(why)) => format!("{name}: {why}"),
        Err(error) => format!("{name}: {error}"),
    }
}

fn event_line(event: &Event) -> String {
    let what = match &event.kind {
        EventKind::Push { branch } => format!("push {branch}"),
        EventKind::Tag { tag } => format!("tag {tag}"),
        EventKind::PullRequest(pull) => format!("pull request {} {} into {}", pull.number, pull.branch, pull.base),
        EventKind::MergeGroup { base, branch } => format!("merge group {branch} into {base}"),
        EventKind::Schedule { .. } | EventKind::Manual { .. } | EventKind::Flow { .. } => {
            unreachable!("GitHub tells of none")
        }
    };
    let base = event.base_sha.as_ref().map_or("-", |sha| sha.short());
    let trust = match &event.trust {
        Trust::Trusted => "trusted".to_owned(),
        Trust::Untrusted(UntrustedReason::Fork(head)) => format!("fork {head}"),
        Trust::Untrusted(UntrustedReason::HeadRepositoryGone) => "head gone".to_owned(),
        Trust::Untrusted(UntrustedReason::FlowFile(by)) => format!("flow file by {by}"),
    };
    format!("{what} {} on {base} by {} ({trust}): {}", event.sha.short(), event.actor, event.title)
}

#[tokio::test]
async fn every_fixture_reads_as_it_should() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/webhooks/github");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the fixtures")
        .map(|entry| entry.expect("a file").file_name().to_string_lossy().trim_end_matches(".json").to_owned())
        .collect();
    names.sort();
    let lines: Vec<String> = names.iter().map(|name| line(name)).collect();
    assert_snapshot!(lines.join("\n"), @r#"
    check_run_requested_action: rerun f95f852b Some("01kabcdefghjk") for ada
    check_run_rerequested: rerun f95f852b Some("01kabcdefghjk") for ada
    check_suite_rerequested: rerun f95f852b None for ada
    commit_comment_created: ada says `/retest` below Commit(Sha("f95f852bd8fca8fcc58a9a2d6c842781e32a215e"))
    installation_created: `installation` events start nothing
    issue_comment_created: ada says `/approve` below PullRequest(17)
    merge_group_checks_requested: merge group gh-readonly-queue/main/pr-17-6113728f27ae82c7b1a177c8d03f9e96e0adf246 into main ec26c3e5 on 6113728f by ada (trusted): Merge pull request #17 from acme/twice
    merge_group_destroyed: rerun ec26c3e5 None for the merge queue: merged
    ping: GitHub asks whether we are there
    pull_request_closed: pull request #17 was closed by ada
    pull_request_fork: pull request 17 twice into main f95f852b on 6113728f by bob (fork bob/widget): Count widgets twice
    pull_request_head_deleted: pull request 17 twice into main f95f852b on 6113728f by bob (head gone): Count widgets twice
    pull_request_opened: pull request 17 twice into main f95f852b on 6113728f by ada (trusted): Count widgets twice
    pull_request_reopened: pull request 17 twice into main f95f852b on 6113728f by ada (trusted): Count widgets twice
    pull_request_review_comment_created: ada says `/retest` below PullRequest(17)
    pull_request_review_submitted: ada says `/test` below PullRequest(17)
    pull_request_synchronize: pull request 17 twice into main f95f852b on 6113728f by ada (trusted): Count widgets twice
    push: push main f95f852b on 6113728f by ada (trusted): Count widgets twice
    push_branch_deleted: refs/heads/old-idea was deleted
    push_merge_queue: gh-readonly-queue/main/pr-17-6113728f27ae82c7b1a177c8d03f9e96e0adf246 is a merge queue's; its `merge_group` event counts
    push_tag: tag v1.2.0 f95f852b on - by ada (trusted): Count widgets twice
    repository_privatized: acme/widget is Private
    repository_publicized: acme/widget is Public
    "#);
}

#[tokio::test]
async fn a_repository_is_described_in_our_words() {
    let Ok(Reading::Event(event)) = read("push") else { panic!("a push is an event") };
    assert_eq!(
        serde_json::to_value(&event.repository).expect("JSON"),
        json!({
            "forge": "github", "name": "acme/widget", "default_branch": "main", "installation": 2311213,
            "clone_url": "https://github.com/acme/widget.git", "web_url": "https://github.com/acme/widget",
            "visibility": "public",
        })
    );
    let Ok(Reading::Event(event)) = read("pull_request_fork") else { panic!("it is an event") };
    let pull = event.pull_request().expect("a pull request");
    assert_eq!((pull.author.as_str(), pull.draft), ("bob", false));
    assert_eq!(pull.head_repository.as_ref().map(|name| name.as_str()), Some("bob/widget"));
}

#[tokio::test]
async fn an_error_says_where_the_payload_is_wrong() {
    let wrong = |change: fn(&mut serde_json::Value)| {
        let mut body = fixture("push");
        change(&mut body);
        let error = github().read("push", &serde_json::to_vec(&body).expect("JSON")).expect_err("it is wrong");
        assert!(matches!(error, Unreadable::Shape { .. }));
        error.to_string()
    };
    let all = [
        wrong(|body| body["repository"]["full_name"] = json!("../../etc/passwd")),
        wrong(|body| body["repository"]["full_name"] = json!("group/sub/widget")),
        wrong(|body| body["after"] = json!("HEAD")),
        wrong(|body| body["head_commit"]["message"] = json!(5)),
        wrong(|body| body["ref"] = json!("refs/heads/\u{1b}[2J")),
        wrong(|body| *body = json!({})),
        wrong(|body| *body = json!([])),
    ];
    assert_snapshot!(all.join("\n"), @r"
    the `push` payload is not of the expected shape: repository.full_name: `../../etc/passwd` is no repository name: owner/name of letters, digits, `.`, `_` and `-` at line 1 column 1893
    the `push` payload is not of the expected shape: repository.full_name: `group/sub/widget` is no `owner/repository` at line 1 column 1893
    the `push` payload is not of the expected shape: after: `HEAD` is no commit: 40 or 64 lower-case hexadecimal digits at line 1 column 15
    the `push` payload is not of the expected shape: head_commit.message: invalid type: integer `5`, expected a string at line 1 column 1010
    the `push` payload is not of the expected shape: ref: a ref of 1 to 1024 printable characters is expected at line 1 column 1672
    the `push` payload is not of the expected shape: .: missing field `repository` at line 1 column 2
    the `push` payload is not of the expected shape: .: invalid length 0, expected struct Common with 3 elements at line 1 column 2
    ");
}

#[tokio::test]
async fn a_body_that_is_not_json_is_told_apart() {
    let error = |body: &[u8]| github().read("star", body).expect_err("it is no JSON").to_string();
    assert_snapshot!(error(b"{\"a\": "), @"the body is not JSON: EOF while parsing a value at line 1 column 6");
    assert_snapshot!(error(b"payload=%7B%7D"), @"the body is not JSON: it is a form: set the webhook's content type to application/json");
    assert_snapshot!(error(b""), @"the body is not JSON: EOF while parsing a value at line 1 column 0");
    assert!(matches!(github().read("push", b"[1,"), Err(Unreadable::NotJson(_))));
}

#[tokio::test]
async fn other_events_and_actions_are_named() {
    let nothing = |event: &str, body: &[u8]| match github().read(event, body) {
        Ok(Reading::Nothing(why)) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(nothing("star", b"{}"), "`star` events start nothing");
    assert_eq!(
        nothing("pull_request", br#"{"action": "labeled"}"#),
        "`pull_request` events with the action `labeled` start nothing"
    );
}

#[tokio::test]
async fn a_title_is_one_line_of_200_characters() {
    let mut body = fixture("push");
    body["head_commit"]["message"] = json!(format!("{}\r\nmore", "ä".repeat(300)));
    let reading = github().read("push", &serde_json::to_vec(&body).expect("JSON"));
    let Ok(Reading::Event(event)) = reading else { panic!("a push is an event") };
    assert_eq!(event.title, "ä".repeat(200));
}

#[tokio::test]
async fn the_model_sends_what_we_read() {
    let model = ModelGithub::start().await;
    let github = super::app(&model);
    let first = model.commit(super::WIDGET, "main", &[("a", b"1")]);
    let second = model.commit(super::WIDGET, "main", &[("a", b"2")]);
    let delivery = model.push(super::WIDGET, "main");
    assert!(github.authenticate(&delivery.headers, &delivery.body).is_some());
    let event = super::pushed(&github, &model, "main");
    assert_eq!((event.sha, event.base_sha), (second, Some(first)));

    let theirs = model.commit("bob/widget", "fix", &[("a", b"3")]);
    let number = model.open_pull_request(super::WIDGET, "main", "bob/widget", "fix");
    let delivery = model.pull_request(super::WIDGET, number, "opened");
    let Ok(Reading::Event(event)) = github.read("pull_request", &delivery.body) else { panic!("it is an event") };
    assert_eq!(event.sha, theirs);
    assert_eq!(event.trust, Trust::Untrusted(UntrustedReason::Fork("bob/widget".to_owned())));
}
