use std::process::Command;

use containerops::{
    forge::{
        Authentic, Forge as _, Reading,
        gitlab::{Gitlab, GitlabSettings, SettingsError},
    },
    model::{Clock, Event, EventKind, Time, Trust, UntrustedReason},
};
use insta::assert_snapshot;

use crate::harness::{
    github::Delivery,
    gitlab::{SIGNING_TOKEN, TOKEN_SECRET, fixture, signed, with_token},
    required,
};

/// 2026-03-01T12:00:00Z.
const NOON: Time = Time::from_millis(1_772_366_400_000);
const ID: &str = "f5e5f430-f57b-4e6e-9fac-d9128cd7232f";

/// What is set up of the two proofs.
#[derive(Clone, Copy)]
enum With {
    Token,
    Signature,
    Both,
}

fn gitlab(with: With) -> Gitlab {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let tokens = || vec!["the next secret".into(), TOKEN_SECRET.into()];
    let keys = || {
        let text = format!("whsec_{} {SIGNING_TOKEN}", "A".repeat(43) + "=");
        let given = [("CONTAINEROPS_GITLAB_SIGNING_TOKEN".to_owned(), text)];
        let settings = containerops::settings::Settings::read(given, None).expect("good settings");
        settings.gitlab.expect("GitLab is set up").signing_keys
    };
    let (webhook_secrets, signing_keys) = match with {
        With::Token => (tokens(), Vec::new()),
        With::Signature => (Vec::new(), keys()),
        With::Both => (tokens(), keys()),
    };
    let clock = Clock::standing_at(NOON);
    Gitlab::new(GitlabSettings { webhook_secrets, signing_keys, clock, ..GitlabSettings::default() }).expect("good")
}

fn authentic(with: With, delivery: &Delivery) -> Option<Authentic> {
    gitlab(with).authenticate(&delivery.headers, &delivery.body)
}

fn without(delivery: &Delivery, header: &str) -> Delivery {
    let mut less = delivery.clone();
    less.headers.remove(header).expect("it was there");
    less
}

fn and(delivery: &Delivery, header: &'static str, value: &str) -> Delivery {
    let mut more = delivery.clone();
    more.headers.insert(header, value.parse().expect("a header"));
    more
}

fn later(minutes: i64) -> Time {
    Time::from_millis(NOON.as_millis() + minutes * 60_000)
}

#[test]
fn any_configured_token_proves_a_delivery_and_its_names_are_its_own() {
    let delivery = with_token("Push Hook", ID, b"{\"any\": \"bytes\xff\"}".to_vec());
    let proved = authentic(With::Token, &delivery).expect("it has the token");
    assert_eq!((proved.delivery.as_str(), proved.event.as_str()), (ID, "Push Hook"));
    assert_eq!(proved.hook, "13792a34-cac6-4fda-95a8-c58e00a3954e");
    assert!(authentic(With::Both, &delivery).is_some(), "there is no signature to prefer");
    assert!(authentic(With::Signature, &delivery).is_none(), "no token is set up");
    for forged in [
        without(&delivery, "x-gitlab-token"),
        without(&delivery, "x-gitlab-event"),
        and(&delivery, "x-gitlab-token", ""),
        and(&delivery, "x-gitlab-token", &TOKEN_SECRET[1..]),
        and(&delivery, "x-gitlab-token", &format!("{TOKEN_SECRET} ")),
        and(&delivery, "x-gitlab-event", &"7".repeat(101)),
    ] {
        assert_eq!(authentic(With::Both, &forged), None, "{:?}", forged.headers);
    }
}

#[test]
fn a_delivery_is_known_by_the_best_name_that_it_has() {
    let whole = signed("Push Hook", ID, NOON, b"{}".to_vec());
    let name = |with, delivery: &Delivery| authentic(with, delivery).map(|proved| proved.delivery);
    assert_eq!(name(With::Signature, &whole).as_deref(), Some(ID));
    let old = with_token("Push Hook", "an idempotency key", b"{}".to_vec());
    assert_eq!(name(With::Token, &old).as_deref(), Some("an idempotency key"));
    let older = without(&old, "idempotency-key");
    let both = "13792a34-cac6-4fda-95a8-c58e00a3954e/8f4ad0a0-1d6d-4b9f-9a4a-8d6d1e6b2f10";
    assert_eq!(name(With::Token, &older).as_deref(), Some(both));
    let oldest = without(&without(&older, "x-gitlab-event-uuid"), "x-gitlab-webhook-uuid");
    assert_eq!(name(With::Token, &oldest), name(With::Token, &oldest));
    let other = Delivery { body: b"[]".to_vec(), ..oldest.clone() };
    assert_ne!(name(With::Token, &oldest), name(With::Token, &other));
}

#[test]
fn a_signature_is_of_this_time_and_of_this_body_and_no_token_makes_up_for_it() {
    let good = signed("Push Hook", ID, NOON, b"{}".to_vec());
    assert!(authentic(With::Signature, &good).is_some() && authentic(With::Both, &good).is_some());
    // replayed under another hook's name it is the same delivery
    let renamed = and(&good, "x-gitlab-webhook-uuid", "another");
    assert_eq!(authentic(With::Both, &renamed), authentic(With::Both, &good));
    for minutes in [-5, 5] {
        let near = signed("Push Hook", ID, later(minutes), b"{}".to_vec());
        assert!(authentic(With::Both, &near).is_some(), "{minutes} minutes");
    }
    let signature = good.headers["webhook-signature"].to_str().expect("ASCII").to_owned();
    let several = and(&good, "webhook-signature", &format!("v1,AAAA v2,zzz {signature} v1a,xx"));
    assert!(authentic(With::Signature, &several).is_some(), "one of several is enough");
    for forged in [
        signed("Push Hook", ID, later(6), b"{}".to_vec()),
        signed("Push Hook", ID, later(-6), b"{}".to_vec()),
        Delivery { body: b"{ }".to_vec(), ..good.clone() },
        and(&good, "webhook-id", "another"),
        and(&good, "webhook-timestamp", "1772366401"),
        and(&good, "webhook-timestamp", "noon"),
        and(&good, "webhook-signature", signature.trim_start_matches("v1,")),
        and(&good, "webhook-signature", "v1,"),
        and(&good, "webhook-signature", &signature.replace("v1,", "v2,")),
        without(&good, "webhook-id"),
        without(&good, "webhook-timestamp"),
    ] {
        // the right token is there, and does not help
        let with_token = and(&forged, "x-gitlab-token", TOKEN_SECRET);
        assert_eq!(authentic(With::Both, &with_token), None, "{:?}", forged.headers);
        assert_eq!(authentic(With::Signature, &with_token), None, "{:?}", forged.headers);
    }
    // who has set up no signing token cannot check one
    assert!(authentic(With::Token, &and(&good, "x-gitlab-token", TOKEN_SECRET)).is_some());
}

#[test]
fn what_another_program_signs_is_authentic() {
    let Some(python) = required("signer", "CONTAINEROPS_TEST_SIGNER_PYTHON") else { return };
    let script = "import datetime, sys, standardwebhooks as s\n\
                  at = datetime.datetime.fromtimestamp(int(sys.argv[3]), datetime.timezone.utc)\n\
                  print(s.Webhook(sys.argv[1]).sign(sys.argv[2], at, sys.argv[4]), end='')";
    let body = "{\"object_kind\": \"push\", \"text\": \"ä→𝄞\"}";
    let seconds = (NOON.as_millis() / 1000).to_string();
    let signer = Command::new(python).args(["-c", script, SIGNING_TOKEN, ID, &seconds, body]).output();
    let output = signer.expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ours = signed("Push Hook", ID, NOON, body.into());
    let theirs = and(&ours, "webhook-signature", &String::from_utf8(output.stdout).expect("ASCII"));
    assert!(authentic(With::Signature, &theirs).is_some());
    assert_eq!(ours.headers["webhook-signature"], theirs.headers["webhook-signature"], "the model signs the same");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let of = |settings| Gitlab::new(settings).err().map(|error| error.to_string()).unwrap_or_default();
    let empty = GitlabSettings { webhook_secrets: vec!["".into()], ..GitlabSettings::default() };
    assert!(matches!(Gitlab::new(empty), Err(SettingsError::EmptyWebhookSecret)));
    let token = GitlabSettings { token: Some("glpat\n".into()), ..GitlabSettings::default() };
    assert!(of(token).contains("CONTAINEROPS_GITLAB_TOKEN is no token"));
    for url in ["gitlab.example.com", "ssh://gitlab.example.com", "https://"] {
        let settings = GitlabSettings { url: url.to_owned(), ..GitlabSettings::default() };
        assert!(of(settings).contains("is no http or https URL"), "{url}");
    }
}

/// A reading as a line: what would start, and why it may.
fn line(name: &str) -> String {
    match gitlab(With::Token).read("Any Hook", &serde_json::to_vec(&fixture(name)).expect("JSON")) {
        Ok(Reading::Event(event)) => format!("{name}: {}", event_line(&event).trim_end()),
        Ok(Reading::Comment(comment)) => format!("{name}: {} below {:?}", comment.words(), comment.place.thread),
        Ok(Reading::Closed(closing)) => format!("{name}: {} by {}", closing.words(), closing.actor),
        Ok(Reading::Audience(audience)) => format!("{name}: {} is {:?}", audience.repository, audience.told),
        Ok(Reading::Nothing(why)) => format!("{name}: {why}"),
        Ok(Reading::Rerun(_)) => panic!("GitLab has no button for that"),
        Err(error) => format!("{name}: {error}"),
    }
}

fn event_line(event: &Event) -> String {
    let what = match &event.kind {
        EventKind::Push { branch } => format!("push {branch}"),
        EventKind::Tag { tag } => format!("tag {tag}"),
        EventKind::PullRequest(pull) => format!(
            "request {} {} into {} of {} {:?}{}{}",
            pull.number,
            pull.branch,
            pull.base,
            pull.author,
            pull.labels,
            if pull.draft { " draft" } else { "" },
            pull.before.as_ref().map_or_else(String::new, |before| format!(" after {}", before.short())),
        ),
        EventKind::MergeGroup { .. }
        | EventKind::Schedule { .. }
        | EventKind::Manual { .. }
        | EventKind::Flow { .. } => {
            unreachable!("GitLab tells of none")
        }
    };
    let base = event.base_sha.as_ref().map_or("-", |sha| sha.short());
    let trust = match &event.trust {
        Trust::Trusted => "trusted".to_owned(),
        Trust::Untrusted(UntrustedReason::Fork(head)) => format!("fork {head}"),
        Trust::Untrusted(reason) => reason.to_string(),
    };
    format!("{what}: {} on {base} by {} ({trust}): {}", event.sha.short(), event.actor, event.title)
}

#[test]
fn every_fixture_reads_as_it_should() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/webhooks/gitlab");
    let names = std::fs::read_dir(folder).expect("the fixtures").map(|file| file.expect("a file").file_name());
    let mut names: Vec<String> =
        names.map(|name| name.to_string_lossy().trim_end_matches(".json").to_owned()).collect();
    names.sort();
    assert_snapshot!(names.iter().map(|name| line(name)).collect::<Vec<_>>().join("\n"), @r#"
    job: `build` events start nothing
    merge_request_approved: merge requests with the action `approved` start nothing
    merge_request_close: pull request #7 was closed by ada
    merge_request_fork: request 7 fix into main of mallory ["documentation"] draft: da156088 on - by mallory (fork mallory/widget): Draft: Fix the readme
    merge_request_fork_rebased_by_a_maintainer: request 7 fix into main of #13 ["documentation"] draft after 95790bf8: da156088 on - by ada (fork mallory/widget): Draft: Fix the readme
    merge_request_merge: pull request #7 was merged by ada
    merge_request_open: request 7 fix into main of ada ["documentation"] draft: da156088 on - by ada (trusted): Draft: Fix the readme
    merge_request_reopen: request 7 fix into main of ada ["documentation"]: da156088 on - by ada (trusted): Fix the readme
    merge_request_source_deleted: request 7 fix into main of #13 ["documentation"] draft: da156088 on - by ada (comes from a repository that was deleted): Draft: Fix the readme
    merge_request_update: request 7 fix into main of ada ["documentation"] draft after 95790bf8: da156088 on - by ada (trusted): Draft: Fix the readme
    merge_request_update_title: the merge request has no new code
    note_bot: the comment is a program's
    note_commit: ada says `/cancel` below Commit(Sha("da1560886d4f094c3e6c9ef40349f7d38b5d27d7"))
    note_diff: ada says `/retest` below PullRequest(7)
    note_edited: the comment is not a new one of a person
    note_issue: the comment is neither below a merge request nor below a commit
    note_merge_request: ada says `/retest` below PullRequest(7)
    note_system: the comment is not a new one of a person
    pipeline: `pipeline` events start nothing
    push: push main: da156088 on 95790bf8 by ada (trusted): Fix the readme
    push_branch_deleted: refs/heads/old was deleted
    push_branch_new: push feature/a&b: da156088 on - by ada (trusted):
    push_ci_skip: it was pushed with `-o ci.skip`
    system_project_update: acme/tools/widget is Private
    system_push: push main: da156088 on 95790bf8 by ada (trusted): Fix the readme
    tag_push: tag v1.0.0: da156088 on - by ada (trusted): Fix the readme
    tag_push_deleted: refs/tags/v1.0.0 was deleted
    "#);
}

#[test]
fn what_is_not_of_its_shape_says_where() {
    let mut push = fixture("push");
    push["project"]["path_with_namespace"] = "widget".into();
    let read = |body: &str| gitlab(With::Token).read("Push Hook", body.as_bytes());
    let error = read(&push.to_string()).expect_err("no group").to_string();
    let expected = "the `Push Hook` payload is not of the expected shape: project.path_with_namespace: `widget` is no \
                    `group/project`";
    assert!(error.starts_with(expected), "{error}");
    assert!(read("no JSON").expect_err("no JSON").to_string().starts_with("the body is not JSON"));
    assert_eq!(
        read("[]").expect("it is JSON"),
        Reading::Nothing("it does not say what it is: there is no `object_kind`".to_owned())
    );
}
