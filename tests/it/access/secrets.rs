//! Secrets on their page and by the API: who may set them is the matrix's story; here is what becomes of them.

use containerops::model::Scope;
use insta::assert_snapshot;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{SIGNED_IN, Shows, form, service};
use crate::harness::app::Tester;

const PAGE: &str = "/secrets?forge=github&repository=acme%2Fwidget";
const API: &str = "/api/v1/secrets/TOKEN?forge=github&repository=acme/widget";
const FLOW: &str = "{stages: [{name: ship, image: alpine, run: ./ship.sh, secrets: [TOKEN, KEY]}]}";

/// What the form leads to.
async fn sends(t: &Tester, who: &Shows, fields: &[(&str, &str)]) -> (u16, String) {
    let request = form(t.straight.post(format!("{}{PAGE}", t.url())), fields);
    let answer = who.on(request).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

/// A page's words, without what changes from run to run.
fn words(page: &str) -> String {
    let list = page.split("<ol class=\"runs\">").nth(1).and_then(|rest| rest.split("</ol>").next()).unwrap_or_default();
    let text: String = list.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn maintainers_set_replace_and_remove_secrets_on_their_page() {
    let t = service(SIGNED_IN, true).await;
    let (mona, root) = (t.session("github/mona").await, t.session("github/root").await);
    assert!(
        t.text(&mona, "/github/acme/widget")
            .await
            .contains("href=\"/secrets?forge=github&#38;repository=acme%2Fwidget\"")
    );
    assert!(t.text(&mona, PAGE).await.contains("There is no secret"));
    let line = [
        ("name", "TOKEN"),
        ("value", "hunter22-one"),
        ("lines", ""),
        ("event", "push"),
        ("branches", "main, release/*"),
    ];
    assert_eq!(sends(&t, &mona, &line).await.0, 303);
    assert_eq!(sends(&t, &mona, &[("name", "KEY"), ("lines", "first hunter22\r\nsecond line")]).await.0, 303);
    assert_eq!(sends(&t, &root, &[("name", "SHARED"), ("owner", "acme"), ("value", "hunter22-shared")]).await.0, 303);

    let page = t.text(&mona, PAGE).await;
    assert!(!page.contains("hunter22"), "{page}");
    assert!(page.contains("type=\"password\"") && page.contains("autocomplete=\"new-password\""));
    let shown: Vec<String> =
        words(&page).split(' ').filter(|word| !word.starts_with("20")).map(str::to_owned).collect();
    assert_snapshot!(shown.join(" "), @"KEY of acme/widget on github set 12:00 UTC by github/mona given to no job yet Replace Remove TOKEN of acme/widget on github only for events push; branches main, release/* set 12:00 UTC by github/mona given to no job yet Replace Remove SHARED of all repositories of acme on github set 12:00 UTC by github/root given to no job yet");
    let edit = t.text(&mona, &format!("{PAGE}&name=TOKEN")).await;
    assert!(
        edit.contains("Replace TOKEN")
            && edit.contains("value=\"main release/*\"")
            && edit.contains("value=\"push\" checked")
    );

    for (fields, why) in [
        (vec![("name", "TOKEN"), ("value", "abc")], "at least 4 characters"),
        (vec![("name", "TOKEN"), ("value", "")], "at least 4 characters"),
        (vec![("name", "9 a"), ("value", "hunter22")], "at most 100 letters"),
        (vec![("name", "TOKEN"), ("value", "hunter22"), ("lines", "hunter22")], "of one line or of many"),
        (vec![("name", "TOKEN"), ("value", "hunter22"), ("event", "deploy")], "no event `deploy`"),
        (vec![("name", "TOKEN"), ("value", "hunter22"), ("images", "a@sha256:7")], "digest"),
    ] {
        let (status, page) = sends(&t, &mona, &fields).await;
        assert!(status == 400 && page.contains(why) && !page.contains("hunter22"), "{fields:?}: {status} {page}");
    }
    let (status, _) = sends(&t, &mona, &[("name", "SHARED"), ("owner", "acme"), ("value", "hunter22")]).await;
    assert_eq!(status, 404, "an owner's are the administrators'");
    let Shows::Session(session) = &mona else { panic!("a session") };
    for origin in [None, Some("https://evil.example.com")] {
        let mut request =
            form(t.straight.post(format!("{}{PAGE}", t.url())), &[("name", "TOKEN"), ("value", "hunter22")]);
        request = request.header("cookie", format!("__Host-containerops={session}"));
        request = origin.map_or(request.try_clone().expect("a request"), |origin| request.header("origin", origin));
        assert_eq!(request.send().await.expect("an answer").status(), StatusCode::FORBIDDEN, "{origin:?}");
    }

    t.push("main", FLOW).await;
    let agent = t.claims("ship").await;
    assert_eq!(agent.work.environments["TOKEN"], "hunter22-one");
    assert_eq!(agent.work.environments["KEY"], "first hunter22\nsecond line\n", "as programs write lines");
    agent.exits(0).await;
    assert!(words(&t.text(&mona, PAGE).await).contains("given to a job last"));
    assert_eq!(sends(&t, &mona, &[("name", "TOKEN"), ("remove", "yes")]).await.0, 303);
    assert_eq!(sends(&t, &mona, &[("name", "TOKEN"), ("remove", "yes")]).await.0, 404);
    let audited: Vec<String> =
        t.audited().await.lines().filter(|line| line.contains("secret")).map(str::to_owned).collect();
    assert_snapshot!(audited.join("\n"), @r"
    github/mona (page) set a secret: `TOKEN` of acme/widget on github: is set, only for events push; branches main, release/*
    github/mona (page) set a secret: `KEY` of acme/widget on github: is set
    github/root (page) set a secret: `SHARED` of all repositories of acme on github: is set
    github/mona (page) set a secret: `TOKEN` of acme/widget on github: refused: a secret has at least 4 characters, in a line of its own: a shorter one could not be hidden in logs
    github/mona (page) set a secret: `TOKEN` of acme/widget on github: refused: a secret has at least 4 characters, in a line of its own: a shorter one could not be hidden in logs
    github/mona (page) set a secret: `TOKEN` of acme/widget on github: refused: there is no event `deploy`: push, tag, pull_request, merge_group, schedule, manual, flow are events
    github/mona (page) set a secret: `TOKEN` of acme/widget on github: refused: after `@` a digest is expected: sha256 and 64 hexadecimal digits
    github/mona (page) remove a secret: `TOKEN` of acme/widget on github: removed
    github/mona (page) remove a secret: `TOKEN` of acme/widget on github: refused: there is nothing here
    ");
}

#[tokio::test]
async fn programs_set_and_remove_secrets_with_a_token_for_that() {
    let t = service(SIGNED_IN, false).await;
    let token = t.token(Some("github/olga"), &[Scope::Admin]).await;
    let put = async |body: Value| {
        let answer = token.on(t.straight.put(format!("{}{API}", t.url()))).json(&body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    let (status, set) = put(json!({"value": "hunter22", "branches": ["main"]})).await;
    assert_eq!(status, 201, "{set}");
    let value: Value = serde_json::from_str(&set).expect("JSON");
    assert_eq!((&value["name"], &value["limits"]), (&json!("TOKEN"), &json!({"branches": ["main"]})));
    assert_eq!(put(json!({"value": "hunter23"})).await.0, 200);
    for bad in
        [json!({"value": "abc"}), json!({}), json!({"value": ["hunter22"]}), json!({"value": "hunter22", "x": 1})]
    {
        let (status, words) = put(bad.clone()).await;
        assert!(status == 400 && !words.contains("hunter"), "{bad}: {status} {words}");
    }
    let all: Value = serde_json::from_str(&t.text(&token, "/api/v1/secrets?forge=github&repository=acme/widget").await)
        .expect("JSON");
    assert_eq!(all["secrets"][0]["changed_by"], "github/olga");
    assert!(!all.to_string().contains("hunter"), "{all}");
    assert_eq!(t.status(&token, Method::DELETE, API).await, 200);
    assert_eq!(t.status(&token, Method::DELETE, API).await, 404);
}
