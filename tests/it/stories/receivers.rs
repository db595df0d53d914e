//! Who is told how runs end, besides the forge: by mail through a real SMTP conversation, and by webhooks.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use containerops::{agent::protocol::Cause, notify::signature};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::SMALL;
use crate::harness::{
    app::{Tester, WIDGET},
    inboxes::{MailServer, Posted, WebhookServer},
};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// What it was before, which some receivers still have.
const OLD_KEY: &str = "c2VjcmV0IG9mIHR3ZW50eSBmb3VyIGJ5dGVz";
/// Longer than whoever died with a claim is waited for.
const LEASE: Duration = Duration::from_secs(121);

impl Tester {
    async fn with_mail(server: &MailServer) -> Self {
        let t = Self::start().await;
        let settings = format!("smtp_url = \"{}\"\nsmtp_from = \"ContainerOps <ci@acme.example>\"\n", server.url());
        t.set_up(&settings).await;
        t
    }

    async fn with_webhooks(server: &WebhookServer) -> Self {
        let t = Self::start().await;
        let settings = format!("webhook_private_urls = \"{}\"\nwebhook_secret = \"{KEY} {OLD_KEY}\"\n", server.url());
        t.set_up(&settings).await;
        t
    }

    /// Every receiver of the newest run: `way address phase: trouble`.
    async fn notices(&self) -> String {
        // what the forge hears is for other stories to tell
        self.read_writes();
        let run = self.newest_run().await.id;
        let rows = self.app().engine.store.read().await.expect("the database").notices(run).await.expect("rows");
        let line = |row: &containerops::store::NoticeRow| {
            format!("{} {} {} {} after {}: {}\n", row.way, row.address, row.news, row.phase, row.tries, row.trouble)
        };
        rows.iter().map(line).collect()
    }
}

fn mails(on: &str) -> String {
    format!("receivers: [{{type: mail, address: dev@acme.example, on: {on}}}]\n{SMALL}")
}

fn hooks(url: &str, on: &str) -> String {
    format!("receivers: [{{type: webhook, address: \"{url}\", on: {on}}}]\n{SMALL}")
}

#[tokio::test]
async fn a_failure_is_mailed_and_so_is_what_fixes_it_and_nothing_else() {
    let server = MailServer::start().await;
    let t = Tester::with_mail(&server).await;
    let flow = mails("[failure, fixed]");
    for exit_code in [0, 1, 0, 0] {
        t.push("main", &flow).await;
        let job = t.claims("test").await.says("assertion failed: it works\n").await;
        job.exits(exit_code).await;
    }
    let subjects: Vec<String> = server.mails().iter().map(|mail| mail.header("Subject")).collect();
    assert_eq!(subjects.len(), 2, "{subjects:?}");
    assert!(subjects[0].starts_with("[acme/widget] failure: ci #2 (main, "), "{subjects:?}");
    assert!(subjects[1].starts_with("[acme/widget] fixed: ci #3 (main, "), "{subjects:?}");
    let first = &server.mails()[0];
    assert_eq!(
        (first.from.as_str(), first.to.as_slice()),
        ("ci@acme.example", ["dev@acme.example".to_owned()].as_slice())
    );
    assert!(first.text.contains("https://ci.example.com/github/acme/widget/runs/2"), "{}", first.text);
    assert!(first.text.contains("assertion failed: it works"), "{}", first.text);
    let page = t.page("/github/acme/widget/runs/2").await;
    assert!(page.contains("Mail to dev@acme.example") && page.contains("told of failure"), "{page}");
    assert!(!t.page("/github/acme/widget/runs/4").await.contains("dev@acme.example"));
    t.read_writes();
}

#[tokio::test]
async fn what_was_cancelled_is_news_for_those_only_who_want_to_hear_all() {
    let server = MailServer::start().await;
    let t = Tester::with_mail(&server).await;
    let receiver = |name: &str, on: &str| format!("{{type: mail, address: {name}@acme.example, on: {on}}}");
    let flow = format!(
        "receivers: [{}, {}]\n{SMALL}",
        receiver("some", "[failure, fixed, success]"),
        receiver("all", "always")
    );
    t.push("main", &flow).await;
    t.cancel("Ada").await;
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["all@acme.example"]);
    assert!(mails[0].header("Subject").starts_with("[acme/widget] cancelled: ci #1 (main, "), "{mails:?}");
    t.read_writes();
}

#[tokio::test]
async fn a_server_that_dies_while_it_tells_somebody_tells_it_again_by_the_same_name() {
    let server = MailServer::start().await;
    let t = Tester::with_mail(&server).await;
    t.push("main", &mails("always")).await;
    let job = t.claims("test").await;
    // nothing of ours is driven between the end and the claim
    job.reports(&job.record(Cause::Exit { code: 0 })).await;
    drop(job);
    assert_eq!(t.app().notifier.due(10).await.expect("the database").len(), 1);
    t.restart().await;
    t.settle().await;
    assert_eq!(server.mails().len(), 0, "nobody knows whether it was sent");
    t.later(LEASE).await;
    assert_eq!(server.mails().len(), 1);
    assert_snapshot!(t.notices().await, @"mail dev@acme.example success sent after 2:");
}

#[tokio::test]
async fn who_sends_code_from_a_fork_writes_to_nobody() {
    let server = MailServer::start().await;
    let t = Tester::with_mail(&server).await;
    t.commit("main", SMALL);
    t.github.commit("mallory/widget", "main", &[(".containerops.yml", mails("always").as_bytes())]);
    let number = t.github.open_pull_request(WIDGET, "main", "mallory/widget", "main");
    t.deliver(t.github.pull_request(WIDGET, number, "opened")).await;
    t.settle().await;
    assert_eq!(server.mails().len(), 0);
    t.read_writes();
}

#[tokio::test]
async fn mails_go_only_to_domains_that_the_operator_has_named() {
    let server = MailServer::start().await;
    let t = Tester::start().await;
    let of = server.url();
    t.set_up(&format!(
        "smtp_url = \"{of}\"\nsmtp_from = \"ci@acme.example\"\nsmtp_domains = \"acme.test other.example\"\n"
    ))
    .await;
    t.push("main", &mails("always")).await;
    t.run_the_job("test", 0).await;
    assert_eq!(server.mails().len(), 0);
    assert_snapshot!(t.notices().await, @"mail dev@acme.example success given_up after 1: this server sends no mail to acme.example: CONTAINEROPS_SMTP_DOMAINS does not name it");
}

#[tokio::test]
async fn what_breaks_on_one_branch_is_not_fixed_on_another() {
    let server = MailServer::start().await;
    let t = Tester::with_mail(&server).await;
    t.push("main", &mails("[fixed]")).await;
    t.run_the_job("test", 1).await;
    t.push("next", &mails("[fixed]")).await;
    t.run_the_job("test", 0).await;
    assert_eq!(server.mails().len(), 0);
    t.read_writes();
}

#[tokio::test]
async fn a_mail_server_that_is_away_is_tried_again_by_the_same_name_and_given_up_after_a_day() {
    let server = MailServer::start().await;
    let t = Tester::with_mail(&server).await;
    server.refuses(451, 2);
    let sha = t.push("main", &mails("always")).await;
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.notices().await, @"mail dev@acme.example success due after 1: transient error (451): not now: not now");
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 5 s
    success containerops/ci/push/test/test: success in 5 s
    ");
    t.restart().await;
    t.later(Duration::from_secs(31)).await;
    t.later(Duration::from_secs(61)).await;
    assert_snapshot!(t.notices().await, @"mail dev@acme.example success sent after 3:");
    assert_eq!(server.mails().len(), 1);
    server.refuses(451, 1000);
    t.push("main", &mails("always")).await;
    t.run_the_job("test", 0).await;
    for _ in 0..30 {
        t.later(Duration::from_secs(3601)).await;
    }
    assert_snapshot!(t.notices().await, @"mail dev@acme.example success given_up after 24: transient error (451): not now: not now");
}

#[tokio::test]
async fn an_address_that_nobody_has_is_given_up_at_once() {
    let server = MailServer::start().await;
    let t = Tester::with_mail(&server).await;
    server.refuses(550, 1);
    t.push("main", &mails("always")).await;
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.notices().await, @"mail dev@acme.example success given_up after 1: permanent error (550): not now: not now");
}

#[tokio::test]
async fn without_a_mail_server_the_page_says_why_nobody_was_mailed() {
    let t = Tester::start().await;
    t.push("main", &mails("always")).await;
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.notices().await, @"mail dev@acme.example success given_up after 1: this server sends no mail: CONTAINEROPS_SMTP_URL and CONTAINEROPS_SMTP_FROM are not set");
    let page = t.page("/github/acme/widget/runs/1").await;
    assert!(page.contains("dev@acme.example") && page.contains("CONTAINEROPS_SMTP_URL"), "{page}");
    assert!(page.contains("this server sends no mail, so that nobody will be told by one"), "{page}");
    t.read_writes();
}

#[tokio::test]
async fn nothing_that_a_commit_says_becomes_a_header() {
    let server = MailServer::start().await;
    let t = Tester::with_mail(&server).await;
    t.push("a\u{1f4a5}b", &mails("always")).await;
    t.run_the_job("test", 0).await;
    let mail = &server.mails()[0];
    assert!(mail.headers.iter().all(|(name, _)| name != "Bcc"), "{:?}", mail.headers);
    assert!(mail.header("Message-ID").starts_with("<run-"), "{:?}", mail.headers);
    assert!(mail.header("Message-ID").ends_with("@ci.example.com>"), "{:?}", mail.headers);
    t.read_writes();
}

#[tokio::test]
async fn a_webhook_is_signed_and_says_what_ended() {
    let server = WebhookServer::start().await;
    let t = Tester::with_webhooks(&server).await;
    let sha = t.push("main", &hooks(&server.url(), "always")).await;
    t.run_the_job("test", 3).await;
    let posted = server.posted();
    let [Posted { headers, body }] = posted.as_slice() else { panic!("{} calls", posted.len()) };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).expect(name).to_owned();
    let time = header("webhook-timestamp").parse().expect("seconds");
    let signatures = [KEY, OLD_KEY].map(|key| {
        let key = BASE64_STANDARD.decode(key.trim_start_matches("whsec_")).expect("base64");
        signature(&key, &header("webhook-id"), time, body)
    });
    assert_eq!(header("webhook-signature"), signatures.join(" "));
    let value: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(value["type"], "run.ended");
    let data = &value["data"];
    assert_eq!(data["sha"], sha.as_str());
    assert_eq!(
        json!([data["news"], data["conclusion"], data["repository"], data["branch"], data["number"]]),
        json!(["failure", "failure", "acme/widget", "main", 1])
    );
    assert_snapshot!(data["actions"], @r#"[{"action":"test","reason":"exit code 3","stage":"test","status":{"conclusion":"failure","state":"ended"}}]"#);
    let times = ["created", "started", "ended"].map(|name| data[name].as_str().expect("a time").len());
    assert_eq!(times, ["2026-03-01T12:00:00.000Z".len(); 3]);
    t.read_writes();
}

#[tokio::test]
async fn a_webhook_is_told_again_by_the_same_name_until_it_answers_well() {
    let server = WebhookServer::start().await;
    let t = Tester::with_webhooks(&server).await;
    server.answers(&[500, 429]);
    t.push("main", &hooks(&server.url(), "always")).await;
    t.run_the_job("test", 0).await;
    t.later(Duration::from_secs(31)).await;
    t.restart().await;
    t.later(Duration::from_secs(61)).await;
    t.later(Duration::from_secs(3601)).await;
    let posted = server.posted();
    assert_eq!(posted.len(), 3);
    assert!(posted.iter().all(|one| one.headers["webhook-id"] == posted[0].headers["webhook-id"]));
    assert!(posted.iter().all(|one| one.body == posted[0].body));
    assert_snapshot!(t.notices().await.replace(&server.url(), "URL"), @"webhook URL success sent after 3:");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = WebhookServer::start().await;
    let t = Tester::with_webhooks(&server).await;
    server.answers(&[302]);
    t.push("main", &hooks(&server.url(), "always")).await;
    t.run_the_job("test", 0).await;
    assert_eq!(server.posted().len(), 1);
    assert_snapshot!(t.notices().await.replace(&server.url(), "URL"), @"webhook URL success given_up after 1: it answered 302 Found, and redirects are not followed");
}

#[tokio::test]
async fn no_flow_file_makes_us_ask_around_in_our_own_network() {
    let server = WebhookServer::start().await;
    let t = Tester::start().await;
    for url in [server.url(), format!("https://127.0.0.1:{}/", server.port()), "https://localhost/".to_owned()] {
        t.push("main", &hooks(&url, "always")).await;
        t.run_the_job("test", 0).await;
        let told = t.notices().await;
        assert!(told.contains("given_up after 1"), "{told}");
    }
    assert_eq!(server.posted().len(), 0);
    t.read_writes();
}
