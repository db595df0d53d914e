//! Who may see a repository is not decided once and for all: whoever may no longer is cut off.

use std::time::Duration;

use containerops::model::Visibility;
use reqwest::{Method, Response};

use super::{RUN, SIGNED_IN, Shows, service};
use crate::harness::app::{Tester, WIDGET};

const FLOW: &str = "stages: [{name: test, image: alpine, run: ./test.sh}]";
const STREAM: &str = "/github/acme/widget/runs/2/test/test/test/log/stream";
const A_WHILE: Duration = Duration::from_secs(91);

impl Tester {
    async fn streams(&self, shows: &Shows) -> Response {
        let answer = self.asked(shows, Method::GET, STREAM).await;
        assert_eq!(answer.status(), 200);
        answer
    }

    async fn visibility(&self) -> Visibility {
        let mut tx = self.app().engine.store.read().await.expect("the database is there");
        let name = WIDGET.parse().expect("a name");
        let row = tx.repository_named(containerops::model::ForgeKind::Github, &name).await.expect("the database");
        row.expect("it is known").facts.visibility
    }
}

/// What comes until it is this, or until the stream ends.
async fn hears(stream: &mut Response, words: &str) -> String {
    let mut heard = String::new();
    while !heard.contains(words) {
        let Some(chunk) = stream.chunk().await.expect("a stream") else { break };
        heard += &String::from_utf8_lossy(&chunk);
    }
    heard
}

#[tokio::test]
async fn a_live_log_ends_for_who_may_see_it_no_longer() {
    let t = service(SIGNED_IN, true).await;
    t.push("main", FLOW).await;
    let agent = t.claims("test").await.says("first\n").await;
    let (walter, rita, mona) =
        (t.session("github/walter").await, t.session("github/rita").await, t.session("github/mona").await);
    let robot = t.token(Some("github/olga"), &[containerops::model::Scope::Read]).await;
    let mut streams = Vec::new();
    for shows in [&walter, &rita, &mona, &robot] {
        let mut stream = t.streams(shows).await;
        assert!(hears(&mut stream, "first").await.contains("first"));
        streams.push(stream);
    }
    // one is let in no more, one signs out, one stays, and a token is removed
    t.github.allows("walter", "none");
    let out = rita.on(t.straight.post(format!("{}/sign-out", t.url()))).send().await.expect("an answer");
    assert!(out.status().is_redirection() || out.status().is_success(), "{}", out.status());
    let mut tx = t.app().engine.store.write().await.expect("the database is there");
    for token in tx.tokens(None).await.expect("tokens") {
        assert!(tx.remove_token(token.id, None).await.expect("the database"), "it was there");
    }
    tx.commit().await.expect("the database is there");
    t.clock.advance(A_WHILE);
    let agent = agent.says("second\n").await;
    let mut heard = Vec::new();
    for stream in &mut streams {
        heard.push(hears(stream, "second").await.contains("second"));
    }
    assert_eq!(heard, [false, false, true, false], "walter, rita, mona, the robot");
    agent.exits(0).await;
}

#[tokio::test]
async fn a_repository_that_is_hidden_is_closed_at_once_and_opened_when_its_forge_says_so() {
    let t = service(SIGNED_IN, false).await;
    let sees = async || t.status(&Shows::Nothing, Method::GET, RUN).await;
    assert_eq!(sees().await, 200);
    // GitHub need not be there to be believed
    t.github.is_private(WIDGET, true);
    t.github.fail_next(1, 502);
    t.deliver(t.github.repository_was(WIDGET, "privatized")).await;
    assert_eq!(sees().await, 200, "it is not read yet");
    t.drain().await;
    assert_eq!((sees().await, t.visibility().await), (404, Visibility::Private));
    t.restart().await;
    t.settle().await;
    // an old event, or one that somebody replays, opens nothing
    t.deliver(t.github.repository_was(WIDGET, "publicized")).await;
    t.settle().await;
    assert_eq!(sees().await, 404, "{}", t.deliveries().await);
    t.github.is_private(WIDGET, false);
    t.deliver(t.github.repository_was(WIDGET, "publicized")).await;
    t.settle().await;
    assert_eq!(sees().await, 200, "{}", t.deliveries().await);
    assert!(t.deliveries().await.ends_with("repository: obeyed: everybody may see acme/widget from now on\n"));
}

#[tokio::test]
async fn who_may_see_plain_repositories_is_the_operators_to_say() {
    let t = Tester::start().await;
    let facts = containerops::model::Repository {
        forge: containerops::model::ForgeKind::Git,
        name: "acme/plain".parse().expect("a name"),
        default_branch: "main".to_owned(),
        clone_url: String::new(),
        web_url: String::new(),
        installation: None,
        visibility: Visibility::Unknown,
    };
    let mut tx = t.app().engine.store.write().await.expect("the database is there");
    tx.repository_seen(&facts, t.clock.now()).await.expect("a repository");
    tx.commit().await.expect("the database is there");
    for (readers, nobody, someone) in
        [("everyone", 200, 200), ("signed-in", 404, 200), ("admins", 404, 404), ("", 404, 404)]
    {
        let line = if readers.is_empty() { String::new() } else { format!("git_readers = \"{readers}\"\n") };
        t.set_up(&format!("{SIGNED_IN}{line}")).await;
        let (rita, root) = (t.session("github/rita").await, t.session("github/root").await);
        for (shows, expected) in [(&Shows::Nothing, nobody), (&rita, someone), (&root, 200)] {
            assert_eq!(t.status(shows, Method::GET, "/git/acme/plain").await, expected, "{readers} {shows:?}");
            let listed = t.text(shows, "/api/v1/runs").await;
            assert!(listed.contains("\"runs\":[]"), "{listed}");
        }
        // to see it is not to change it
        let status = t.status(&rita, Method::POST, "/git/acme/plain").await;
        assert_eq!(status, if someone == 200 { 403 } else { 404 }, "{readers}");
    }
}
