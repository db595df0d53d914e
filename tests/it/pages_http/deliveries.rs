//! Deliveries on their pages and in the API, and what the buttons there do.

use containerops::{
    model::{DeliveryId, ForgeKind},
    store::{DeliveryFilter, NewDelivery},
};
use futures::stream::{FuturesUnordered, StreamExt as _};
use insta::assert_snapshot;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::{RUN, SMALL, holds};
use crate::harness::{
    app::{Tester, WIDGET},
    github::{Delivery, signed},
};

/// What no page and no answer may show.
const SECRET: &str = "swordfish";

impl Tester {
    /// The newest delivery.
    async fn newest(&self) -> DeliveryId {
        let mut tx = self.app().engine.store.read().await.expect("the database is there");
        let filter = DeliveryFilter { limit: 1, ..DeliveryFilter::default() };
        tx.deliveries(&filter).await.expect("deliveries")[0].id
    }

    /// Asks with POST as a browser does with a form.
    async fn press(&self, path: &str, form: &'static str) -> reqwest::Response {
        let post = self.ask(Method::POST, path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        post.body(form).send().await.expect("an answer")
    }
}

fn with_secrets(mut delivery: Delivery) -> Delivery {
    let secret = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-gitlab-token",
        "x-api-key",
        "x-goog-iap-jwt-assertion",
        "x-forwarded-client-cert",
        "x-some-password",
        "x-session-id",
    ];
    for name in secret {
        delivery.headers.insert(name, format!("Bearer {SECRET}").parse().expect("a header"));
    }
    delivery
}

#[tokio::test]
async fn what_proves_something_is_neither_kept_nor_shown() {
    let t = Tester::start().await;
    t.commit("main", SMALL);
    let delivery = with_secrets(t.github.push(WIDGET, "main"));
    let signature = delivery.headers["x-hub-signature-256"].to_str().expect("text").to_owned();
    t.deliver(delivery).await;
    t.settle().await;
    let id = t.newest().await;
    t.press(&format!("/deliveries/{id}/replay"), "").await;
    t.settle().await;
    for id in [id, t.newest().await] {
        let row = t.app().engine.store.read().await.expect("the database is there").delivery(id).await;
        let kept = format!("{:?}", row.expect("the database is there").expect("a delivery").headers);
        let api = t.value(&format!("/deliveries/{id}")).await;
        assert!(api["headers"].as_array().expect("headers").contains(&json!(["x-hub-signature-256", "(hidden)"])));
        let page = t.page(&format!("/deliveries/{id}")).await;
        holds(
            &page,
            &["<th scope=\"row\">x-hub-signature-256</th><td>(hidden)</td>", "<td>GitHub-Hookshot/044aadd</td>"],
        );
        for shown in [kept, api.to_string(), page] {
            assert!(!shown.contains(SECRET) && !shown.contains(&signature), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_secret_that_is_in_the_database_all_the_same_is_not_shown() {
    let t = Tester::start().await;
    let delivery = NewDelivery {
        forge: ForgeKind::Github,
        hook: "1".to_owned(),
        delivery: "1".to_owned(),
        event: "ping".to_owned(),
        headers: vec![("X-Hub-Signature".to_owned(), SECRET.to_owned())],
        body: bytes::Bytes::from_static(b"{}"),
        received: t.clock.now(),
        state: containerops::model::DeliveryState::Pending,
    };
    t.app().engine.store.inbox().take(delivery).await.expect("taken");
    let id = t.newest().await;
    let shown = [t.page(&format!("/deliveries/{id}")).await, t.value(&format!("/deliveries/{id}")).await.to_string()];
    assert!(shown.iter().all(|text| !text.contains(SECRET) && text.contains("(hidden)")), "{shown:?}");
}

#[tokio::test]
async fn a_delivery_shows_what_came_of_it() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let started = t.newest().await;
    t.deliver(signed("watch", "odd", b"{\"a\": \"<b>\"}".to_vec())).await;
    t.settle().await;
    holds(
        &t.page("/deliveries").await,
        &["github push", "started a run", "acme/widget</span>", "github watch", "<code>odd</code>"],
    );
    holds(&t.page(&format!("/deliveries/{}", t.newest().await)).await, &["&lt;b&gt;", "started nothing"]);
    holds(&t.page(&format!("/deliveries/{started}")).await, &[&format!("href=\"{RUN}\">acme/widget ci #1</a>")]);
    let api = t.value(&format!("/deliveries/{started}")).await;
    assert_eq!((&api["runs"][0]["number"], &api["repository"]), (&json!(1), &json!("acme/widget")));
    assert_eq!(api["body"]["value"]["repository"]["full_name"], "acme/widget");
}

#[tokio::test]
async fn a_delivery_in_trouble_says_how_often_it_was_tried_and_when_next() {
    let t = Tester::start().await;
    t.commit("main", SMALL);
    t.github.limit_next(std::time::Duration::from_secs(90));
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.drain().await;
    let id = t.newest().await;
    for path in ["/deliveries", "/deliveries?state=pending&repository=acme/widget", &format!("/deliveries/{id}")] {
        holds(
            &t.page(path).await,
            &["github asks us to wait 90 s", "tried once", "again at <time datetime=\"2026-03-01T12:01:31.000Z\""],
        );
    }
    let api = t.value(&format!("/deliveries/{id}")).await;
    assert_eq!((&api["tries"], &api["next_try"]), (&json!(1), &json!("2026-03-01T12:01:31.000Z")));
    let page = t.page(&format!("/deliveries/{id}")).await;
    assert!(!page.contains(">Replay<"), "there is nothing to replay yet");
    let refused = t.press(&format!("/deliveries/{id}/replay"), "").await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    holds(&refused.text().await.expect("text"), &["still waits to be handled"]);
    let (status, problem) = t.api(Method::POST, &format!("/deliveries/{id}/replay")).await;
    assert_eq!((status, &problem["status"]), (StatusCode::CONFLICT, &json!(409)));
}

#[tokio::test]
async fn lists_are_chosen_by_state_forge_and_repository() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    t.github.commit("acme/other", "main", &[("README.md", b"no CI here")]);
    t.deliver(t.github.push("acme/other", "main")).await;
    t.deliver(signed("ping", "1", b"{}".to_vec())).await;
    t.send("github", signed("push", "2", b"payload=%7B%7D".to_vec())).await;
    t.settle().await;
    t.commit("main", SMALL);
    t.deliver(t.github.push(WIDGET, "main")).await;
    let mut told = String::new();
    for query in [
        "",
        "state=pending",
        "state=started",
        "state=nothing",
        "state=unreadable",
        "state=nothing&repository=acme/other",
        "repository=acme/widget",
        "repository=nobody/nothing",
        "forge=github&state=started",
        "forge=git",
    ] {
        let list = t.value(&format!("/deliveries?{query}")).await;
        let rows = list["deliveries"].as_array().expect("a list");
        let row = |row: &Value| {
            format!("{} {}", row["event"].as_str().unwrap_or(""), row["state"]["state"].as_str().unwrap_or(""))
        };
        let rows: Vec<String> = rows.iter().map(row).collect();
        told += &format!("?{query}: {}\n", if rows.is_empty() { "none".to_owned() } else { rows.join(", ") });
        let page = t.page(&format!("/deliveries?{query}")).await;
        assert_eq!(page.matches("class=\"title\"").count(), rows.len(), "{query}");
    }
    assert_snapshot!(told, @r"
    ?: push pending, push unreadable, ping nothing, push nothing, push started
    ?state=pending: push pending
    ?state=started: push started
    ?state=nothing: ping nothing, push nothing
    ?state=unreadable: push unreadable
    ?state=nothing&repository=acme/other: push nothing
    ?repository=acme/widget: push started
    ?repository=nobody/nothing: none
    ?forge=github&state=started: push started
    ?forge=git: none
    ");
    holds(&t.page("/deliveries?state=nothing").await, &["<option value=\"nothing\" selected>"]);
    holds(&t.page("/deliveries?repository=nobody/nothing").await, &["No such delivery", "value=\"nobody/nothing\""]);
    assert_eq!(t.get("/deliveries?state=green").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn older_deliveries_are_on_the_next_page_of_the_same_choice() {
    let t = Tester::start().await;
    for n in 0..51 {
        t.deliver(signed("ping", &n.to_string(), b"{}".to_vec())).await;
    }
    t.drain().await;
    let page = t.page("/deliveries?state=nothing").await;
    let (_, rest) = page.split_once("rel=\"next\" href=\"").expect("a next page");
    let next = rest.split('"').next().expect("a path").replace("&#38;", "&");
    assert!(next.starts_with("/deliveries?state=nothing&before="), "{next}");
    let older = t.page(&next).await;
    assert_eq!((older.matches("class=\"title\"").count(), older.contains("rel=\"next\"")), (1, false));
    let first = t.value("/deliveries?limit=50").await;
    let last = first["deliveries"][49]["id"].as_str().expect("an id");
    let rest = t.value(&format!("/deliveries?limit=50&before={last}")).await;
    assert_eq!(rest["deliveries"].as_array().expect("a list").len(), 1);
}

#[tokio::test]
async fn a_body_is_shown_as_what_it_is_and_is_there_whole() {
    let t = Tester::start().await;
    let long = format!("{{\"long\": \"{}\"}}", "ä".repeat(200_000)).into_bytes();
    let huge = format!("[{}0]", "0, ".repeat(1_000_000)).into_bytes();
    for (name, body, form, cut) in [
        ("json", b"{\"a\": [1, \"b\"]}".to_vec(), "json", false),
        ("text", b"payload=%7B%7D".to_vec(), "text", false),
        ("bytes", vec![0xff, 0, b'<', 0xfe], "base64", false),
        ("empty", Vec::new(), "text", false),
        ("long", long, "text", true),
        ("huge", huge, "text", true),
    ] {
        t.send("github", signed("ping", name, body.clone())).await;
        let id = t.newest().await;
        let shown = t.value(&format!("/deliveries/{id}")).await["body"].take();
        assert_eq!((&shown["form"], &shown["cut"], &shown["length"]), (&json!(form), &json!(cut), &json!(body.len())));
        let whole = t.get(shown["url"].as_str().expect("a URL")).await;
        assert_eq!(whole.headers()[header::CONTENT_TYPE], "application/octet-stream");
        assert_eq!(whole.headers()[header::CONTENT_LENGTH], body.len().to_string());
        assert!(whole.headers()[header::CONTENT_DISPOSITION].to_str().expect("text").starts_with("attachment"));
        assert!(whole.bytes().await.expect("bytes") == body, "{name}");
        let page = t.page(&format!("/deliveries/{id}")).await;
        assert_eq!(page.contains("bytes more"), cut, "{name}");
        assert!(page.len() < 600_000, "{name}");
    }
    assert_eq!(t.get("/api/v1/deliveries/0000000000007/body").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_replay_button_leads_to_the_replay_and_a_second_click_to_the_same() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let original = t.newest().await;
    let page = t.page(&format!("/deliveries/{original}")).await;
    let (_, rest) = page.split_once("name=\"wish\" value=\"").expect("a form");
    let wish: &'static str = format!("wish={}", rest.split('"').next().expect("a value")).leak();
    let replay = format!("/deliveries/{original}/replay");
    let mut places = Vec::new();
    for _ in 0..3 {
        let answer = t.press(&replay, wish).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        places.push(answer.headers()[header::LOCATION].to_str().expect("text").to_owned());
        t.settle().await;
    }
    assert_eq!(places, vec![format!("/deliveries/{}", t.newest().await); 3]);
    assert_eq!(t.runs().await, "#1 push queued\n#2 push queued\n");
    holds(
        &t.page(&places[0]).await,
        &["Replay of", &format!("<a href=\"/deliveries/{original}\">delivery {original}</a>")],
    );
    holds(&t.page(&format!("/deliveries/{original}")).await, &["<dt>Replays</dt>", &places[0]]);
    holds(&t.page("/deliveries").await, &[&format!("replay of <a href=\"/deliveries/{original}\">")]);
    holds(
        &t.page("/github/acme/widget/runs/2").await,
        &[&format!("<dt>Replay of</dt><dd><a href=\"/deliveries/{original}\">delivery {original}</a>")],
    );
    assert!(!t.page(RUN).await.contains("Replay of"));
    assert_eq!(t.press(&replay, "wish=%3Cscript%3E").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_replay_by_the_api_is_named_by_its_run_and_by_the_original() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let original = t.newest().await;
    let replay = format!("/api/v1/deliveries/{original}/replay");
    let ask = async |key| t.ask(Method::POST, &replay).header("idempotency-key", key).send().await.expect("an answer");
    let first = ask("deploy-7").await;
    assert_eq!(first.status(), StatusCode::CREATED);
    let place = first.headers()[header::LOCATION].to_str().expect("text").to_owned();
    let first: Value = first.json().await.expect("JSON");
    assert_eq!(
        (&first["replay_of"], place),
        (&json!(original), format!("/api/v1/deliveries/{}", first["id"].as_str().expect("an id")))
    );
    t.settle().await;
    let again = ask("deploy-7").await;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(again.json::<Value>().await.expect("JSON")["id"], first["id"]);
    let other = t.api(Method::POST, &format!("/deliveries/{original}/replay")).await;
    assert_eq!(other.0, StatusCode::CREATED);
    t.settle().await;
    assert_eq!(t.value(&format!("/deliveries/{original}")).await["replays"], json!([other.1["id"], first["id"]]));
    let run = t.newest_run().await;
    let run = t.value(&format!("/runs/{}", run.id)).await;
    assert_eq!((&run["number"], &run["replay_of"], &run["delivery"]), (&json!(3), &json!(original), &other.1["id"]));
    assert_eq!(ask("a b").await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(ask(&"x".repeat(65)).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_its_digest_and_whether_it_ran() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let (delivery, digest) = (t.newest().await, t.newest_run().await.digest);
    let (status, value) = t.api(Method::POST, &format!("/deliveries/{delivery}/dry-run")).await;
    assert_eq!((status, &value["would"]), (StatusCode::OK, &json!("run")));
    let flow = &value["flows"][0];
    assert_eq!(
        (&flow["plan_digest"], &flow["as_started"], &flow["started"]["number"]),
        (&json!(digest), &json!(true), &json!(1))
    );
    assert_eq!(flow["plan"]["stages"][0]["name"], "test");
    assert!(flow["full_form"].as_str().expect("text").starts_with("uri: acme/widget/ci\n"), "{flow}");
    let page = t.press(&format!("/deliveries/{delivery}/dry-run"), "").await;
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.expect("text");
    holds(
        &page,
        &[
            "Dry run: it would start runs",
            &digest.to_string(),
            "the same as that of <a href=\"/github/acme/widget/runs/1\">",
            "uri: acme/widget/ci\n",
        ],
    );
    assert_eq!(t.runs().await, "#1 push queued\n");
}

#[tokio::test]
async fn a_dry_run_shows_the_forges_trouble_and_the_authors_mistakes() {
    let t = Tester::start().await;
    t.push("main", "stages:\n  - name: test\n    imag: <rust>\n    run: cargo test\n").await;
    let dry_run = format!("/deliveries/{}/dry-run", t.newest().await);
    let page = t.press(&dry_run, "").await.text().await.expect("text");
    holds(&page, &["would end at once as failure", "unknown key `imag`", "<mark>imag</mark>: &#60;rust&#62;"]);
    let (_, value) = t.api(Method::POST, &dry_run).await;
    assert_eq!((&value["flows"][0]["plan"], &value["flows"][0]["plan_digest"]), (&Value::Null, &json!("")));
    assert!(value["flows"][0]["diagnostics"].to_string().contains("unknown key `imag`"), "{value}");
    t.github.fail_next(1, 503);
    let page = t.press(&dry_run, "").await.text().await.expect("text");
    holds(&page, &["it would wait and be tried again", "github is away: it answered 503"]);
    t.github.fail_next(1, 503);
    let (status, value) = t.api(Method::POST, &dry_run).await;
    assert_eq!((status, &value["would"]), (StatusCode::OK, &json!("wait")));
    assert!(value["trouble"].as_str().expect("words").starts_with("github is away"), "{value}");
}

#[tokio::test]
async fn only_so_many_dry_runs_ask_a_forge_at_once() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let dry_run = format!("/api/v1/deliveries/{}/dry-run", t.newest().await);
    t.github.delay(std::time::Duration::from_secs(9));
    let mut asked: FuturesUnordered<_> = (0..8).map(|_| t.ask(Method::POST, &dry_run).send()).collect();
    for _ in 0..4 {
        let refused = asked.next().await.expect("an answer").expect("an answer");
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    t.github.delay(std::time::Duration::ZERO);
    // whoever asked goes, and leaves his place
    drop(asked);
    while t.ask(Method::POST, &dry_run).send().await.expect("an answer").status() != StatusCode::OK {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn hostile_headers_bodies_and_flows_are_text() {
    let t = Tester::start().await;
    let evil = "</pre><script>alert(1)</script>\u{202e}\u{1b}[31m\" onclick=\"x";
    let flow = json!({"title": evil, "stages": [{"name": "test", "image": "rust:1", "run": evil}]}).to_string();
    t.commit("main", &flow);
    let mut push: Value = serde_json::from_slice(&t.github.push(WIDGET, "main").body).expect("JSON");
    push["evil"] = json!(evil);
    let mut delivery = t.github.signed("push", &push);
    delivery
        .headers
        .insert("x-evil", header::HeaderValue::from_bytes(evil.replace('\u{1b}', "").as_bytes()).expect("a value"));
    t.deliver(delivery).await;
    t.settle().await;
    t.send("github", signed("push", "text", evil.as_bytes().to_vec())).await;
    let text = t.newest().await;
    let push = t.newest_run().await.delivery_id.expect("a delivery");
    let dry_run = t.press(&format!("/deliveries/{push}/dry-run"), "").await.text().await.expect("text");
    let (text, push) = (t.page(&format!("/deliveries/{text}")).await, t.page(&format!("/deliveries/{push}")).await);
    holds(&text, &["&lt;/pre&gt;&lt;script&gt;", "U+202E", "U+001B"]);
    holds(&push, &["&lt;script&gt;", "U+202E"]);
    holds(&dry_run, &["&lt;script&gt;"]);
    for page in [text, push, dry_run] {
        assert_eq!(page.matches("<script").count(), 1, "our own alone\n{page}");
        assert!(!page.contains("\" onclick=\"") && !page.contains(['\u{202e}', '\u{1b}']), "{page}");
    }
}
