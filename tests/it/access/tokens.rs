//! Tokens: made by people and on the server's machine, and what they are worth.

use std::time::Duration;

use containerops::model::Scope;
use reqwest::Method;
use serde_json::Value;

use super::{RUN, SIGNED_IN, Shows, service};
use crate::harness::app::Tester;

/// Makes a token by the form. What is shown once.
async fn made(t: &Tester, of: &Shows, form: &[(&str, &str)]) -> Shows {
    let request = super::form(t.http.post(format!("{}/tokens", t.url())), form);
    let answer = of.on(request).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let page = answer.text().await.expect("text");
    let token = page.split("cops_").nth(1).and_then(|rest| rest.split('<').next()).expect("a token").to_owned();
    Shows::Token(format!("cops_{token}"))
}

#[tokio::test]
async fn a_token_does_what_its_owner_may_and_no_more_than_it_was_made_for() {
    let t = service(SIGNED_IN, true).await;
    let walter = t.session("github/walter").await;
    let token = made(&t, &walter, &[("name", "deploy"), ("scope", "run"), ("days", "2")]).await;
    let Shows::Token(secret) = &token else { panic!("a token") };
    let page = t.text(&walter, "/tokens").await;
    assert!(!page.contains(secret) && page.contains("never used") && page.contains("read run"), "{page}");
    let mut kept = t.database().bytes().await;
    kept.extend(std::fs::read(t.data().join("containerops.db-wal")).unwrap_or_default());
    assert!(
        !kept.is_empty() && !kept.windows(secret.len()).any(|part| part == secret.as_bytes()),
        "only its hash is kept"
    );
    let id = t.newest_run().await.id;
    let me: Value = serde_json::from_str(&t.text(&token, "/api/v1/me").await).expect("JSON");
    assert_eq!((me["login"].as_str(), &me["scopes"]), (Some("github/walter"), &serde_json::json!(["read", "run"])));
    assert_eq!(t.status(&token, Method::POST, &format!("/api/v1/runs/{id}/approve")).await, 403);
    assert_eq!(t.status(&token, Method::GET, "/tokens").await, 404, "a token makes no tokens");
    assert_eq!(t.status(&token, Method::POST, &format!("/api/v1/runs/{id}/cancel")).await, 200);
    assert!(t.text(&walter, RUN).await.contains("walter (by the token `deploy`)"));
    assert!(t.text(&walter, "/tokens").await.contains("from 127.0.0.1"));
    // what its owner loses, it loses
    t.github.allows("walter", "none");
    t.clock.advance(Duration::from_secs(61));
    assert_eq!(t.status(&token, Method::GET, &format!("/api/v1/runs/{id}")).await, 404);
    t.clock.advance(Duration::from_secs(2 * 24 * 3600));
    assert_eq!(t.status(&token, Method::GET, "/api/v1/runs").await, 401, "it has expired");
}

#[tokio::test]
async fn a_token_that_is_removed_or_guessed_is_worth_nothing() {
    let t = service(SIGNED_IN, false).await;
    let walter = t.session("github/walter").await;
    let token = made(&t, &walter, &[("name", "a"), ("days", "1")]).await;
    let page = t.text(&walter, "/tokens").await;
    let remove = page.split("action=\"/tokens/").nth(1).and_then(|rest| rest.split('"').next()).expect("a button");
    let remove = format!("/tokens/{remove}");
    assert_eq!(t.status(&t.session("github/rita").await, Method::POST, &remove).await, 404, "it is not hers");
    assert_eq!(t.status(&token, Method::GET, "/api/v1/runs").await, 200);
    assert_eq!(t.status(&walter, Method::POST, &remove).await, 303);
    let refused = t.asked(&token, Method::GET, "/api/v1/runs").await;
    let words: Value = refused.json().await.expect("JSON");
    assert_eq!(
        (words["status"].as_u64(), words["detail"].as_str()),
        (Some(401), Some("this token is not known here, or has expired"))
    );
    for guess in 0..25 {
        t.status(&Shows::Token(format!("guess {guess}")), Method::GET, "/api/v1/runs").await;
    }
    assert_eq!(t.status(&Shows::Token("once more".to_owned()), Method::GET, "/api/v1/runs").await, 429);
    t.clock.advance(Duration::from_secs(61));
    assert_eq!(t.status(&Shows::Token("once more".to_owned()), Method::GET, "/api/v1/runs").await, 401);
    for bad in [
        &[("name", ""), ("days", "1")][..],
        &[("name", "a"), ("days", "0")],
        &[("name", "a"), ("days", "1"), ("scope", "all")],
    ] {
        let request = super::form(t.http.post(format!("{}/tokens", t.url())), bad);
        assert_eq!(walter.on(request).send().await.expect("an answer").status(), 400, "{bad:?}");
    }
}

#[tokio::test]
async fn the_servers_own_token_starts_what_people_cannot() {
    let t = service("access = \"forge\"\n", true).await;
    let token = t.token(None, &[Scope::Run]).await;
    let id = t.newest_run().await.id;
    assert_eq!(t.status(&token, Method::POST, &format!("/api/v1/runs/{id}/cancel")).await, 200);
    assert_eq!(t.status(&token, Method::GET, "/api/v1/audit").await, 403, "it was not made for that");
    assert!(t.audited().await.starts_with("the server (token `robot`) cancel: ci #1: done"));
}
