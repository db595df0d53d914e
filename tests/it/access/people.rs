//! People: what lists show them, what their forge says of them, and what is written down of what they do.

use std::time::Duration;

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use super::{FLOW, RUN, SIGNED_IN, Shows, service};
use crate::harness::app::{Tester, WIDGET};

const MINUTE: Duration = Duration::from_secs(61);

#[tokio::test]
async fn lists_show_what_their_reader_may_see_and_buttons_what_they_may_do() {
    let t = service(SIGNED_IN, true).await;
    t.github.commit("acme/open", "main", &[(".containerops.yml", FLOW.as_bytes())]);
    t.deliver(t.github.push("acme/open", "main")).await;
    t.settle().await;
    let (rita, walter, mona) =
        (t.session("github/rita").await, t.session("github/walter").await, t.session("github/mona").await);
    for shows in [Shows::Nothing, t.session("github/mallory").await, t.session("gitlab/rita").await] {
        for path in ["/", "/api/v1/runs"] {
            let list = t.text(&shows, path).await;
            assert!(list.contains("acme/open") && !list.contains("/github/acme/widget"), "{path}: {list}");
        }
    }
    assert!(t.text(&rita, "/").await.contains("acme/widget"));
    let page = t.text(&rita, RUN).await;
    assert!(!page.contains("<form method=\"post\" action=\"/github"), "nothing to press: {page}");
    assert!(page.contains(">rita</a>") && !page.contains("/deliveries/"), "{page}");
    let page = t.text(&walter, RUN).await;
    assert!(page.contains(">Cancel<") && page.contains(">Run again<") && !page.contains(">Approve<"), "{page}");
    let page = t.text(&mona, RUN).await;
    assert!(page.contains(">Approve<") && !page.contains("Your name") && page.contains("/deliveries/"), "{page}");
    assert!(t.text(&mona, "/api/v1/deliveries").await.contains("acme/widget"));
    assert!(t.text(&walter, "/api/v1/deliveries").await.contains("\"deliveries\":[]"), "he maintains nothing");
}

#[tokio::test]
async fn who_may_answer_is_what_the_flow_file_says_and_their_forge_proves() {
    let t = service(SIGNED_IN, false).await;
    let press = async |shows: &Shows, name: &str| {
        let fields = [("stage", "ask"), ("name", name)];
        let request = super::form(t.http.post(format!("{}{RUN}/approve", t.url())), &fields);
        shows.on(request).send().await.expect("an answer").status().as_u16()
    };
    let nobody = press(&Shows::Nothing, "mona").await;
    let by_word = press(&t.session("github/walter").await, "mona").await;
    let elsewhere = press(&t.session("gitlab/bob").await, "bob").await;
    assert_eq!((nobody, by_word, elsewhere), (403, 403, 403), "nobody is taken at their word");
    let api = t.token(Some("github/rita"), &[containerops::model::Scope::Approve]).await;
    assert_eq!(t.status(&api, Method::POST, &format!("/api/v1/runs/{}/approve", t.newest_run().await.id)).await, 403);
    assert_eq!(press(&t.session("github/bob").await, "").await, 200, "he is named, and led to the run's page");
    t.settle().await;
    assert!(t.text(&Shows::Nothing, RUN).await.contains("approved by bob"));
    assert_snapshot!(t.audited().await, @r"
    github/walter (page) answer: ci #1: refused: walter is not among those who may answer: maintainers or bob
    gitlab/bob (page) answer: ci #1: refused: gitlab/bob is not among those who may answer: maintainers or bob
    github/rita (token `robot`) answer: ci #1: refused: rita is not among those who may answer: maintainers or bob
    github/bob (page) answer: ci #1: stage `ask` was approved
    ");
}

#[tokio::test]
async fn whoever_may_write_approves_untrusted_code_on_its_page_for_the_commit_that_they_saw() {
    let t = service(SIGNED_IN, false).await;
    t.github.commit("mallory/widget", "fix", &[(".containerops.yml", FLOW.as_bytes()), ("a", b"a")]);
    let number = t.github.open_pull_request(WIDGET, "main", "mallory/widget", "fix");
    t.deliver(t.github.pull_request(WIDGET, number, "opened")).await;
    t.settle().await;
    let run = t.newest_run().await;
    let row = t.app().engine.store.read().await.expect("the database").vetting(run.id).await.expect("the database");
    let flow = row.expect("it waits").flow_digest;
    let (path, api) = (format!("/github/{WIDGET}/runs/{}", run.number), format!("/api/v1/runs/{}/approve", run.id));
    let (rita, walter) = (t.session("github/rita").await, t.session("github/walter").await);
    assert!(!t.text(&rita, &path).await.contains("Approve this commit"));
    assert!(t.text(&walter, &path).await.contains("Approve this commit"));
    let press = async |shows: &Shows, sha: &str, flow: &str| {
        let request = t.http.post(format!("{}{path}/approve", t.url()));
        let request = super::form(request, &[("sha", sha), ("flow", flow), ("note", "fine")]);
        shows.on(request).send().await.expect("an answer").status().as_u16()
    };
    let (sha, other) = (run.sha.as_str(), "0123456789".repeat(4));
    assert_eq!(press(&Shows::Nothing, sha, &flow).await, 403);
    assert_eq!(press(&rita, sha, &flow).await, 403, "she may only read");
    assert_eq!(press(&walter, &other, &flow).await, 409, "there is other code than he has seen");
    assert_eq!(press(&walter, sha, "f00").await, 409, "there is another flow file than he has seen");
    assert_eq!(press(&walter, sha, &flow).await, 200, "he is led to the run's page");
    let robot = t.token(Some("github/walter"), &[containerops::model::Scope::Approve]).await;
    let again = robot.on(t.http.post(format!("{}{api}", t.url()))).json(&json!({"sha": sha})).send().await;
    assert_eq!(again.expect("an answer").status(), 409, "nothing waits any more");
    t.settle().await;
    assert!(t.text(&rita, &path).await.contains("approved by walter: fine"));
    t.claims("test").await.exits(0).await;
    let log = t.audited().await;
    assert!(log.contains("github/walter (page) answer for untrusted code: ci #2: run #2 was approved at "), "{log}");
}

#[tokio::test]
async fn a_forges_word_counts_for_a_minute_and_while_it_is_away_nothing_changes() {
    let t = service(SIGNED_IN, true).await;
    let walter = t.session("github/walter").await;
    assert_eq!(t.status(&walter, Method::GET, RUN).await, 200);
    t.github.allows("walter", "none");
    assert_eq!(t.status(&walter, Method::GET, RUN).await, 200, "it is remembered");
    assert_eq!(t.github.calls("/collaborators/walter/").len(), 1);
    t.clock.advance(MINUTE);
    assert_eq!(t.status(&walter, Method::GET, RUN).await, 404);
    t.github.allows("walter", "write");
    t.clock.advance(MINUTE);
    t.github.fail_next(1, 502);
    assert_eq!(t.status(&walter, Method::GET, RUN).await, 404, "what is private is not shown");
    t.clock.advance(MINUTE);
    t.github.is_private(WIDGET, false);
    t.sweep_after(Duration::from_secs(400)).await;
    t.github.fail_next(1, 502);
    let refused = t.asked(&walter, Method::POST, &format!("{RUN}/cancel")).await;
    let (status, words) = (refused.status(), refused.text().await.expect("text"));
    assert!(status == 503 && words.contains("Github is away, so nobody can say whether you may do this"), "{words}");
    t.clock.advance(Duration::from_secs(6));
    assert_eq!(t.status(&walter, Method::POST, &format!("{RUN}/cancel")).await, 303);
    let page = t.text(&Shows::Nothing, RUN).await;
    assert!(page.contains("<dt>Cancelled by</dt><dd>walter</dd>"), "{page}");
}

#[tokio::test]
async fn what_is_changed_is_written_down_for_those_who_keep_it() {
    let t = service(SIGNED_IN, false).await;
    let (root, mona) = (t.session("github/root").await, t.session("github/mona").await);
    let id = t.newest_run().await.id;
    assert_eq!(t.status(&mona, Method::POST, &format!("{RUN}/cancel")).await, 303);
    t.settle().await;
    let again = t.http.post(format!("{}/api/v1/runs/{id}/rerun", t.url())).json(&json!({}));
    assert_eq!(mona_is(&mona, again).await, 201);
    let commented = t.newest_run().await.sha;
    t.deliver(t.github.comment_on_commit(WIDGET, commented.as_str(), "walter", "/cancel")).await;
    t.settle().await;
    let log: Value = serde_json::from_str(&t.text(&root, "/api/v1/audit").await).expect("JSON");
    assert!(log["audit"][0]["at"].is_string() && log["audit"][2]["from"] == "127.0.0.1", "{log}");
    let of_hers = t.text(&mona, "/audit?forge=github&repository=acme/widget").await;
    assert!(of_hers.contains("github/mona") && of_hers.contains("cancel"), "{of_hers}");
    assert_eq!(t.status(&mona, Method::GET, "/audit").await, 404, "all of it is the administrators'");
    assert_snapshot!(t.audited().await, @r"
    github/mona (page) cancel: ci #1: done
    github/mona (API) run again: ci #1: runs again as #2
    github/walter (GitHub comment) cancel: a comment on acme/widget: #2 was cancelled
    ");
}

async fn mona_is(mona: &Shows, request: reqwest::RequestBuilder) -> u16 {
    mona.on(request).send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn without_anywhere_to_sign_in_nothing_can_be_changed_unless_the_server_asks_nobody() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    t.set_up("access = \"forge\"\n").await;
    t.push("main", FLOW).await;
    let page = t.text(&Shows::Nothing, RUN).await;
    assert!(!page.contains("<form") && !page.contains("Sign in"), "there is nothing to press, and nowhere to sign in");
    assert_eq!(t.status(&Shows::Nothing, Method::POST, &format!("{RUN}/cancel")).await, 403);
    t.set_up("access = \"open\"\n").await;
    assert_eq!(t.status(&Shows::Nothing, Method::POST, &format!("{RUN}/cancel")).await, 303);
}
