//! Which deliveries are authentic, and what they mean.

use containerops::{
    forge::{
        Authentic, Forge as _, Reading, Unreadable,
        gitea::{Gitea, GiteaSettings},
    },
    model::{Event, EventKind, Trust, UntrustedReason},
};
use insta::assert_snapshot;
use serde_json::json;

use crate::harness::{
    gitea::{WEBHOOK_SECRET, fixture, signed},
    github::Delivery,
};

const BODY: &[u8] = b"{\"any\": \"bytes\xff\"}";

fn gitea() -> Gitea {
    let webhook_secrets = vec!["the next secret".into(), WEBHOOK_SECRET.into()];
    Gitea::new(GiteaSettings { webhook_secrets, ..GiteaSettings::default() }).expect("good settings")
}

fn authenticate(Delivery { headers, body }: &Delivery) -> Option<Authentic> {
    gitea().authenticate(headers, body)
}

/// A delivery of either, with the headers changed.
fn changed(forgejo: bool, changes: &[(&'static str, Option<&str>)]) -> Option<Authentic> {
    let mut delivery = signed(forgejo, "push", "72d3162e", BODY.to_vec());
    for (name, value) in changes {
        match value {
            Some(value) => {
                delivery.headers.insert(*name, value.parse().expect("a header"));
            }
            None => {
                delivery.headers.remove(*name).expect("it was there");
            }
        }
    }
    authenticate(&delivery)
}

#[test]
fn each_family_of_headers_proves_a_delivery() {
    let proved = Some(Authentic { hook: String::new(), delivery: "72d3162e".to_owned(), event: "push".to_owned() });
    assert_eq!(changed(true, &[]), proved, "Forgejo");
    assert_eq!(changed(false, &[]), proved, "Gitea");
    assert_eq!(changed(false, &[("x-gitea-signature", None)]), proved, "GitHub's form alone");
    let renamed = [("x-forgejo-delivery", "f"), ("x-gitea-delivery", "g"), ("x-github-delivery", "h")];
    let renamed = renamed.map(|(name, id)| (name, Some(id)));
    assert_eq!(changed(true, &renamed).expect("signed").delivery, "f", "the most particular name is the delivery's");
    assert_eq!(changed(false, &renamed[1..]).expect("signed").delivery, "g");
}

#[test]
fn the_most_particular_signature_decides_alone() {
    let wrong = "00".repeat(32);
    let wrong = Some(wrong.as_str());
    for name in ["x-forgejo-signature", "x-gitea-signature"] {
        // the others are there, and right
        assert_eq!(changed(name.contains("forgejo"), &[(name, wrong)]), None, "{name} is wrong");
        assert_eq!(changed(name.contains("forgejo"), &[(name, Some(""))]), None, "{name} is empty");
        assert_eq!(changed(name.contains("forgejo"), &[(name, Some("no hex"))]), None, "{name} is no signature");
    }
    assert_eq!(changed(false, &[("x-gitea-signature", None), ("x-hub-signature-256", wrong)]), None);
    // one of lesser rank has no say
    assert!(changed(true, &[("x-gitea-signature", wrong), ("x-hub-signature-256", wrong)]).is_some());
    assert!(changed(false, &[("x-hub-signature-256", wrong)]).is_some());
}

#[test]
fn what_nobody_signed_is_not_authentic() {
    let nothing = [("x-gitea-signature", None), ("x-hub-signature-256", None)];
    assert_eq!(changed(false, &nothing), None);
    assert_eq!(changed(false, &[("x-gitea-delivery", None), ("x-github-delivery", None)]), None, "no id");
    assert_eq!(changed(false, &[("x-gitea-event", Some(&"e".repeat(101))), ("x-github-event", Some(""))]), None);
    let mut other = signed(true, "push", "1", BODY.to_vec());
    other.body.push(b' ');
    assert_eq!(authenticate(&other), None, "another body");
    let nobody = Gitea::new(GiteaSettings::default()).expect("good settings");
    let delivery = signed(true, "push", "1", BODY.to_vec());
    assert_eq!(nobody.authenticate(&delivery.headers, &delivery.body), None, "no secret is known");
    let empty = GiteaSettings { webhook_secrets: vec!["".into()], ..GiteaSettings::default() };
    assert!(Gitea::new(empty).expect_err("refused").to_string().contains("CONTAINEROPS_GITEA_WEBHOOK_SECRET is empty"));
}

fn read(event: &str, name: &str) -> Reading {
    gitea().read(event, &serde_json::to_vec(&fixture(name)).expect("JSON")).expect("it is of the right shape")
}

fn event(event: &str, name: &str) -> Event {
    match read(event, name) {
        Reading::Event(event) => event,
        other @ (Reading::Rerun(_)
        | Reading::Comment(_)
        | Reading::Closed(_)
        | Reading::Audience(_)
        | Reading::Nothing(_)) => panic!("{name} reads as {other:?}"),
    }
}

#[test]
fn a_push_is_its_branchs_newest_commit() {
    let event = event("push", "push");
    assert_eq!(event.kind, EventKind::Push { branch: "main".to_owned() });
    assert_eq!((event.title.as_str(), event.actor.as_str()), ("Count widgets", "ada"));
    assert_eq!(event.message.as_deref(), Some("Count widgets\n\nAnd count them twice.\n"));
    assert_eq!(event.base_sha.expect("a push has one").as_str(), "6113728f27ae82c7b1a177c8d03f9e96e0adf246");
    assert_eq!(event.trust, Trust::Trusted);
    let repository = event.repository;
    assert_eq!(repository.web_url, "https://gitea.example.com/acme/widget");
    assert_eq!(repository.clone_url, "https://gitea.example.com/acme/widget.git");
}

#[test]
fn an_annotated_tag_is_the_commit_that_it_points_to() {
    let event = event("push", "push_tag");
    assert_eq!(event.kind, EventKind::Tag { tag: "v1.0.0".to_owned() });
    assert_eq!(event.sha.as_str(), "ec26c3e57ca3a959ca5aad62de7213c562f8c821");
    assert_eq!(event.base_sha, None);
}

#[test]
fn pull_requests_are_trusted_by_where_their_code_is() {
    for name in ["pull_request_opened", "pull_request_reopened", "pull_request_synchronized"] {
        let event = event("pull_request", name);
        assert_eq!(event.trust, Trust::Trusted, "{name}");
        let pull = event.pull_request().expect("one");
        assert_eq!((pull.number, pull.branch.as_str(), pull.base.as_str()), (17, "twice", "main"));
        assert_eq!((pull.labels.as_slice(), pull.draft), (&["counting".to_owned()][..], false));
    }
    assert!(event("pull_request", "pull_request_draft").pull_request().is_some_and(|pull| pull.draft));
    let untrusted = |name| match event("pull_request", name).trust {
        Trust::Untrusted(reason) => reason,
        Trust::Trusted => panic!("{name} is trusted"),
    };
    assert_eq!(untrusted("pull_request_fork"), UntrustedReason::Fork("mallory/widget".to_owned()));
    assert_eq!(untrusted("pull_request_head_deleted"), UntrustedReason::HeadRepositoryGone);
    // its head is said to be in the repository itself, where its author may not write
    let agit = untrusted("pull_request_agit");
    assert_eq!(agit, UntrustedReason::Fork("acme/widget (pushed for review)".to_owned()));
}

#[test]
fn comments_below_pull_requests_are_orders() {
    for (event, name, id, verb) in [
        ("issue_comment", "issue_comment_created", 5031, "`/retest`"),
        ("pull_request_comment", "pull_request_comment_reviewed", 0, "`/approve`"),
    ] {
        let Reading::Comment(comment) = read(event, name) else { panic!("{name} is no comment") };
        assert_eq!((comment.words(), comment.place.id), (format!("ada says {verb}"), id));
    }
    let mut own = fixture("issue_comment_created");
    own["comment"]["body"] = json!("/retest\n\n<!-- containerops reply 7 -->");
    let reading = gitea().read("issue_comment", &serde_json::to_vec(&own).expect("JSON"));
    assert_eq!(reading, Ok(Reading::Nothing("the comment is our own".to_owned())));
}

#[test]
fn everything_else_is_named_and_starts_nothing() {
    let mut said = String::new();
    for (event, name) in [
        ("push", "push_test"),
        ("push", "push_branch_deleted"),
        ("create", "create_tag"),
        ("create", "create_branch"),
        ("delete", "delete_branch"),
        ("pull_request", "pull_request_closed"),
        ("pull_request", "pull_request_label_updated"),
        ("issue_comment", "issue_comment_edited"),
        ("issue_comment", "issue_comment_of_issue"),
        ("release", "push"),
    ] {
        match read(event, name) {
            Reading::Nothing(reason) => said += &format!("{name}: {reason}\n"),
            Reading::Closed(closing) => said += &format!("{name}: {} by {}\n", closing.words(), closing.actor),
            other @ (Reading::Event(_) | Reading::Rerun(_) | Reading::Comment(_) | Reading::Audience(_)) => {
                panic!("{name} reads as {other:?}")
            }
        }
    }
    assert_snapshot!(said, @r"
    push_test: it is a test of the webhook: no commit is new
    push_branch_deleted: refs/heads/old was deleted
    create_tag: the tag v1.0.0 was made; its `push` event counts
    create_branch: the branch idea was made; its `push` event counts
    delete_branch: the branch old was deleted; its `push` event counts
    pull_request_closed: pull request #17 was closed by ada
    pull_request_label_updated: `pull_request` events with the action `label_updated` start nothing
    issue_comment_edited: `issue_comment` events with the action `edited` start nothing
    issue_comment_of_issue: the comment is not below a pull request
    push: `release` events start nothing
    ");
}

#[test]
fn what_cannot_be_read_says_where_and_why() {
    let read = |event: &str, body: &[u8]| gitea().read(event, body).expect_err("unreadable");
    let form = read("push", b"payload=%7B%7D");
    assert_eq!(
        form.to_string(),
        "the body is not JSON: it is a form: set the webhook's POST content type to application/json"
    );
    assert!(matches!(read("push", b"{"), Unreadable::NotJson(_)));
    let wrong = |event: &str, name: &str, pointer: &str, value| {
        let mut body = fixture(name);
        *body.pointer_mut(pointer).expect("it is there") = value;
        read(event, &serde_json::to_vec(&body).expect("JSON")).to_string()
    };
    let message = wrong("push", "push", "/after", json!("HEAD"));
    assert!(message.starts_with("the `push` payload is not of the expected shape: after: "), "{message}");
    let message = wrong("push", "push", "/repository/full_name", json!("acme/sub/../widget"));
    assert!(message.contains("repository.full_name: "), "{message}");
    let message = wrong("pull_request", "pull_request_opened", "/pull_request/head/ref", json!("a\nb"));
    assert!(message.contains("pull_request.head.ref: "), "{message}");
}
