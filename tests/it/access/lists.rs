//! Lists, for who may see a part of them.

use std::time::Duration;

use containerops::model::Scope;
use reqwest::Method;

use super::{FLOW, RUN, SIGNED_IN, Shows, service};
use crate::harness::app::Tester;

const OPEN: &str = "acme/open";
const BADGE: &str = "/github/acme/widget/badge.svg";

impl Tester {
    /// The numbers of the runs of a list, with their repositories.
    async fn listed(&self, shows: &Shows, path: &str) -> Vec<String> {
        let page = self.text(shows, path).await;
        let titles = page.split("<a class=\"title\" href=\"/github/").skip(1);
        titles.map(|rest| rest.split('"').next().unwrap_or_default().replace("/runs/", "#")).collect()
    }
}

#[tokio::test]
async fn a_list_is_not_short_because_of_what_others_may_not_see() {
    let t = service(SIGNED_IN, true).await;
    let hidden = t.newest_run().await.id;
    t.github.commit(OPEN, "main", &[(".containerops.yml", FLOW.as_bytes())]);
    t.deliver(t.github.push(OPEN, "main")).await;
    t.settle().await;
    let open = t.newest_run().await.id;
    for n in 0..120 {
        t.clock.advance(Duration::from_secs(1));
        t.runs_again(if n % 40 == 39 { open } else { hidden }).await;
    }
    let rita = t.session("github/rita").await;
    let all = ["acme/open#4", "acme/open#3", "acme/open#2", "acme/open#1"];
    assert_eq!(t.listed(&Shows::Nothing, "/").await, all);
    assert_eq!(t.listed(&Shows::Nothing, "/?state=waiting&branch=main").await, all);
    assert!(!t.text(&Shows::Nothing, "/").await.contains("Older runs"), "there are none for them");
    assert_eq!(t.listed(&rita, "/").await.len(), 50, "who may see it all has a whole page");
    assert_eq!(t.listed(&Shows::Nothing, "/repositories").await, ["acme/open"]);
    assert_eq!(t.listed(&rita, "/repositories").await, ["acme/open", "acme/widget"]);
    assert_eq!(t.listed(&Shows::Nothing, "/github/acme").await, ["acme/open"]);
    assert!(
        t.text(&Shows::Nothing, "/?repository=acme/widget").await.contains("No run matches"),
        "as if it were not there"
    );
    let token = t.token(Some("github/rita"), &[Scope::Read]).await;
    let answer = t.asked(&Shows::Nothing, Method::GET, "/api/v1/runs?limit=3").await.text().await.expect("text");
    assert!(answer.matches("/acme/open/runs/").count() == 3 && !answer.contains("/acme/widget/runs/"), "{answer}");
    let answer = t.asked(&token, Method::GET, "/api/v1/runs?limit=3").await.text().await.expect("text");
    assert!(answer.contains("/acme/widget/runs/"), "{answer}");
}

#[tokio::test]
async fn a_badge_says_nothing_of_what_its_asker_may_not_see() {
    let t = service(SIGNED_IN, true).await;
    let rita = t.session("github/rita").await;
    let hidden = t.text(&Shows::Nothing, &format!("{BADGE}?branch=main&flow=ci")).await;
    let nowhere = t.text(&Shows::Nothing, "/github/acme/nothing/badge.svg?branch=main&flow=ci").await;
    assert_eq!(hidden, nowhere);
    assert!(hidden.contains("<title>ci: unknown</title>"), "{hidden}");
    assert!(t.text(&rita, BADGE).await.contains("<title>build: no runs</title>"), "its run has not ended");
    for state in ["running", "waiting", "open"] {
        let found = t.listed(&rita, &format!("/github/acme/widget?state={state}")).await;
        assert_eq!(found, ["acme/widget#1"], "what waits for people runs, and waits: {state}");
    }
    for path in ["/github/acme/widget/statistics", "/api/v1/statistics?forge=github&repository=acme/widget"] {
        assert_eq!(t.status(&Shows::Nothing, Method::GET, path).await, 404, "{path}");
        assert_eq!(t.status(&rita, Method::GET, path).await, 200, "{path}");
    }
}

#[tokio::test]
async fn a_page_is_not_taken_for_another_readers() {
    let t = service(SIGNED_IN, true).await;
    let readers = [t.session("github/rita").await, t.session("github/mona").await, t.session("github/root").await];
    let asked = async |shows: &Shows, known: &str| {
        let request = t.straight.request(Method::GET, format!("{}{RUN}", t.url())).header("if-none-match", known);
        let answer = shows.on(request).send().await.expect("an answer");
        (answer.status().as_u16(), answer.headers().get("etag").map(|tag| tag.to_str().expect("text").to_owned()))
    };
    let mut tags = Vec::new();
    for reader in &readers {
        tags.push(asked(reader, "").await.1.expect("a tag"));
    }
    for (reader, own) in readers.iter().zip(&tags) {
        for tag in &tags {
            let expected = if tag == own { 304 } else { 200 };
            assert_eq!(asked(reader, tag).await.0, expected, "what another may press is not on one's own page");
        }
        assert_eq!(asked(&Shows::Nothing, own).await, (404, None), "a tag opens nothing");
    }
    tags.dedup();
    assert_eq!(tags.len(), 3, "each is called by their name, and has their own buttons");
}
