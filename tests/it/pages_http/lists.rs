//! Lists of runs by what people look for, what is said of a repository, and its badge.

use std::time::Duration;

use containerops::{
    model::{ForgeKind, HookState, SecretLevel, SecretLimits, SecretScope},
    store::{HookRow, Json, SecretRow},
};
use reqwest::{Method, StatusCode, header};
use serde_json::Value;

use super::{SMALL, holds};
use crate::harness::app::{Tester, WIDGET};

const LIST: &str = "/github/acme/widget";

impl Tester {
    /// The numbers of the runs that a list of the API shows.
    async fn numbers(&self, query: &str) -> Vec<i64> {
        let value = self.value(&format!("/runs?forge=github&repository=acme/widget&{query}")).await;
        let runs = value["runs"].as_array().expect("a list").clone();
        runs.iter().map(|run| run["number"].as_i64().expect("a number")).collect()
    }

    /// The same by the page.
    async fn shown(&self, path: &str) -> Vec<i64> {
        let page = self.page(path).await;
        let titles = page.split("<a class=\"title\" href=\"").skip(1);
        let number = |rest: &str| rest.split('"').next()?.rsplit_once("/runs/")?.1.parse().ok();
        titles.map(|rest| number(rest).expect("a run's address")).collect()
    }

    /// Runs of all kinds: #1 main green, #2 main red, #3 of a pull request of mallory's, #4 a tag, #5 main, which runs.
    async fn history(&self) {
        self.set_up("untrusted = \"always\"\n").await;
        let flow = |name: &str| format!("uri: acme/widget/{name}\non: [push, tag, pull_request]\n{SMALL}");
        self.push("main", &flow("ci")).await;
        self.run_the_job("test", 0).await;
        self.push("main", &format!("# again\n{}", flow("ci"))).await;
        self.run_the_job("test", 1).await;
        self.github.commit("mallory/widget", "main", &[(".containerops.yml", flow("ci").as_bytes())]);
        let pull = self.github.open_pull_request(WIDGET, "main", "mallory/widget", "main");
        self.deliver(self.github.pull_request(WIDGET, pull, "opened")).await;
        self.settle().await;
        self.run_the_job("test", 0).await;
        self.deliver(self.github.tag(WIDGET, "main", "v1.2.0")).await;
        self.settle().await;
        self.run_the_job("test", 0).await;
        self.push("main", &format!("# nightly\n{}", flow("nightly"))).await;
    }
}

#[tokio::test]
async fn runs_are_found_by_what_people_look_for() {
    let t = Tester::start().await;
    t.history().await;
    let all = t.value("/runs").await;
    let pull = all["runs"][2]["event"]["number"].as_i64().expect("a number");
    let opener = all["runs"][2]["event"]["author"].as_str().expect("a login").to_owned();
    let pusher = all["runs"][0]["event"]["actor"].as_str().expect("a login").to_uppercase();
    assert_ne!(opener.to_lowercase(), pusher.to_lowercase());
    let cases = [
        ("branch=main", vec![5, 2, 1]),
        ("branch=mallory:main", vec![3]),
        ("branch=mallory:main&state=failure", vec![]),
        ("tag=v1.2.0", vec![4]),
        ("state=failure", vec![2]),
        ("state=success", vec![4, 3, 1]),
        ("state=open", vec![5]),
        ("state=waiting", vec![5]),
        ("state=running", vec![]),
        ("state=cancelled", vec![]),
        ("event=pull_request", vec![3]),
        ("event=push&state=success", vec![1]),
        ("flow=nightly", vec![5]),
        ("branch=&state=&flow=&pull=&author=&tag=&event=", vec![5, 4, 3, 2, 1]),
    ];
    let by_hand = [
        (format!("pull={pull}"), vec![3]),
        (format!("pull=%23{pull}&state=success&branch=mallory:main&author={opener}"), vec![3]),
        (format!("author={pusher}&event=push"), vec![5, 2, 1]),
    ];
    for (query, numbers) in cases.map(|(query, numbers)| (query.to_owned(), numbers)).into_iter().chain(by_hand) {
        // what a form sends and people write is no program's word
        if !query.contains("=&") && !query.contains("%23") {
            assert_eq!(t.numbers(&query).await, numbers, "{query}");
        }
        for path in [format!("{LIST}?{query}"), format!("/?{query}")] {
            assert_eq!(t.shown(&path).await, numbers, "{path}");
        }
    }
    t.claims("test").await.exits(1).await;
    assert_eq!(t.shown(&format!("{LIST}?flow=nightly&state=failure")).await, [5], "it has ended since");

    let page = t.page(&format!("{LIST}?branch=main&state=failure")).await;
    holds(&page, &["<title>acme/widget: failure, branch main", "<form method=\"get\" action=\"/github/acme/widget\">"]);
    holds(
        &page,
        &["href=\"/github/acme/widget?branch=main\"", "href=\"/github/acme/widget?state=failure\"", "Show all"],
    );
    holds(
        &page,
        &["name=\"branch\" value=\"main\"", "<option value=\"failure\" selected>", "<option value=\"nightly\">"],
    );
    let none = t.page(&format!("{LIST}?branch=nowhere")).await;
    holds(
        &none,
        &["No run matches", "branch nowhere", "href=\"/github/acme/widget\">Show all runs", "<code>nightly</code>"],
    );
    let hostile = t.page(&format!("{LIST}?author=%3Cscript%3E")).await;
    assert!(!hostile.contains("<script>") && hostile.contains("by &#60;script&#62;"), "{hostile}");
}

#[tokio::test]
async fn what_no_run_could_have_is_said_and_no_trouble() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    for query in ["state=green", "event=pushed", "pull=twelve", "before=x", "after=-1", "branch=a%00", "forge=svn"] {
        for path in ["/", LIST] {
            let answer = t.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path} {query}");
            assert!(answer.text().await.expect("text").contains("All runs"), "there is a way out");
        }
        if query != "branch=a%00" {
            let api = t.api(Method::GET, &format!("/runs?{query}")).await;
            assert_eq!(api.0, StatusCode::BAD_REQUEST, "{query}");
        }
    }
    for days in ["8", "-1", "x"] {
        assert_eq!(t.get(&format!("{LIST}/statistics?days={days}")).await.status(), StatusCode::BAD_REQUEST);
    }
    let by_name = t.get("/?repository=acme/widget&state=failure").await;
    assert_eq!(by_name.headers()[header::LOCATION], "/github/acme/widget?state=failure");
    holds(&t.page("/?repository=acme/other").await, &["No run matches", "repository acme/other"]);
}

#[tokio::test]
async fn turning_pages_keeps_what_is_looked_for() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    t.run_the_job("test", 0).await;
    let first = t.newest_run().await.id;
    for _ in 0..119 {
        t.clock.advance(Duration::from_secs(1));
        t.runs_again(first).await;
    }
    let link = |page: &str, rel: &str| {
        let part = page.split(&format!("rel=\"{rel}\" href=\"")).nth(1)?;
        Some(part.split('"').next()?.replace("&#38;", "&"))
    };
    let (mut path, mut seen) = (format!("{LIST}?branch=main&state=waiting"), Vec::new());
    let mut last = String::new();
    for _ in 0..9 {
        seen.extend(t.shown(&path).await);
        last = path.clone();
        match link(&t.page(&path).await, "next") {
            Some(next) => path = next,
            None => break,
        }
        assert!(path.contains("branch=main") && path.contains("state=waiting"), "{path}");
    }
    assert_eq!(seen, (2..=120).rev().collect::<Vec<_>>(), "each once, and no empty page");
    let newer = link(&t.page(&last).await, "prev").expect("a way back");
    assert_eq!(t.shown(&newer).await, (21..=70).rev().collect::<Vec<_>>());
    let newest = link(&t.page(&newer).await, "prev").expect("a way back");
    assert_eq!(t.shown(&newest).await, (71..=120).rev().collect::<Vec<_>>());
    let beyond = t.get(&link(&t.page(&newest).await, "prev").unwrap_or(newest.replace("after=", "before="))).await;
    assert_eq!(beyond.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_watcher_hears_that_nothing_has_changed_and_then_that_something_has() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    for path in ["/", LIST, "/repositories"] {
        let page = t.page(path).await;
        let seen =
            page.split("data-live=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a number").to_owned();
        let ask = async || t.ask(Method::GET, path).header("containerops-seen", &seen).send().await.expect("an answer");
        assert_eq!(ask().await.status(), StatusCode::NO_CONTENT, "{path}");
        t.runs_again(t.newest_run().await.id).await;
        assert_eq!(ask().await.status(), StatusCode::OK, "{path}");
    }
    assert!(!t.page(&format!("{LIST}?before={}", t.newest_run().await.id)).await.contains("data-live"));
}

#[tokio::test]
async fn statistics_say_how_runs_and_jobs_go() {
    let t = Tester::start().await;
    let empty = "/api/v1/statistics?forge=github&repository=acme/widget";
    assert_eq!(t.get(empty).await.status(), StatusCode::NOT_FOUND);
    t.push("main", SMALL).await;
    holds(
        &t.page(&format!("{LIST}/statistics?flow=none")).await,
        &["No run in these 30 days", "All flows and branches"],
    );
    let run = async |exit: i32, minutes: u64| {
        let agent = t.claims("test").await;
        t.clock.advance(Duration::from_secs(60 * minutes));
        agent.exits(exit).await;
    };
    run(1, 1).await;
    let first = t.newest_run().await.id;
    t.runs_again(first).await;
    t.settle().await;
    run(0, 3).await;
    t.push("idea", &format!("# idea\n{SMALL}")).await;
    run(0, 2).await;
    t.runs_again(first).await;
    t.settle().await;
    t.cancel("Ada").await;

    let value = t.value("/statistics?forge=github&repository=acme/widget&days=7").await;
    let told = |names: &[&str]| names.iter().map(|name| value[name].clone()).collect::<Vec<Value>>();
    assert_eq!(told(&["runs", "succeeded", "failed", "others"]), [4, 2, 1, 1]);
    assert!((value["success_rate"].as_f64().expect("a share") - 2.0 / 3.0).abs() < 1e-9);
    assert_eq!((&value["duration"]["count"], value["days"].as_array().map(Vec::len)), (&3.into(), Some(7)));
    let minutes = |name: &str| value["duration"][name].as_u64().expect("milliseconds") / 60_000;
    assert_eq!((minutes("p50"), minutes("p99")), (2, 3));
    assert_eq!(value["days"][6]["runs"], 4);
    let job = &value["jobs"][0];
    assert_eq!(
        (&job["job"], &job["ran"], &job["failed"], &job["flaky"]),
        (&"test/test/test".into(), &3.into(), &1.into(), &1.into())
    );
    assert_eq!(job["failed_in"], 1);
    let main = t.value("/statistics?forge=github&repository=acme/widget&branch=main").await;
    assert_eq!((&main["runs"], &main["jobs"][0]["ran"], &main["jobs_counted"]), (&3.into(), &2.into(), &true.into()));
    let idea = t.value("/statistics?forge=github&repository=acme/widget&branch=idea").await;
    assert_eq!((&idea["runs"], &idea["jobs_counted"]), (&1.into(), &false.into()));

    let page = t.page(&format!("{LIST}/statistics")).await;
    holds(&page, &["67 %: 2 of 3", "role=\"img\" aria-label=\"Runs each day.", "<title>How long runs take</title>"]);
    holds(
        &page,
        &[
            "Jobs that fail most",
            "href=\"/github/acme/widget/runs/1\">#1",
            "Flaky",
            "Slowest jobs",
            "<th scope=\"row\">2026-03-01",
        ],
    );
    holds(
        &t.page(&format!("{LIST}/statistics?branch=idea")).await,
        &["counted for all branches together", "?days=30&#38;branch=main".replace("&#38;", "&amp;").as_str()],
    );
    holds(
        &t.page(LIST).await,
        &[
            "67 % of the last 3",
            "Usually takes",
            "href=\"/github/acme/widget/statistics\">Statistics",
            "last 4 runs: 2 succeeded",
        ],
    );
    t.later(Duration::from_secs(8 * 86_400)).await;
    let later = t.value("/statistics?forge=github&repository=acme/widget&days=7").await;
    assert_eq!((&later["runs"], &later["duration"], &later["jobs"]), (&0.into(), &Value::Null, &serde_json::json!([])));
    holds(&t.page(&format!("{LIST}/statistics?days=7")).await, &["No run in these 7 days", "?days=90"]);
}

#[tokio::test]
async fn a_badge_says_how_the_newest_runs_ended_and_tells_nobody_else() {
    let t = Tester::start().await;
    t.history().await;
    let badge = async |query: &str| {
        let answer = t.get(&format!("{LIST}/badge.svg{query}")).await;
        assert_eq!(
            (answer.status(), &answer.headers()[header::CONTENT_TYPE]),
            (StatusCode::OK, &"image/svg+xml; charset=utf-8".parse().expect("a value"))
        );
        let svg = answer.text().await.expect("text");
        svg.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).expect("a title").to_owned()
    };
    for (query, says) in [
        // the newest commit has one flow, which has not ended; a pull request's run says nothing of a branch
        ("", "build: no runs"),
        ("?flow=ci", "ci: failing"),
        ("?flow=ci&branch=mallory:main", "ci: no runs"),
        ("?flow=ci&event=pull_request&branch=mallory:main", "ci: passing"),
        ("?tag=v1.2.0", "build: passing"),
        ("?tag=v9", "build: no runs"),
        ("?event=nonsense", "build: no runs"),
        ("?flow=%3C/text%3E&label=a%26b", "a&#38;b: no runs"),
        ("?branch=%00", "build: no runs"),
    ] {
        assert_eq!(badge(query).await, says, "{query}");
    }
    t.run_the_job("test", 0).await;
    assert_eq!(badge("").await, "build: passing");
    t.cancel_newest_again().await;
    assert_eq!(badge("").await, "build: passing", "that somebody stopped it says nothing of the code");

    let first = t.get(&format!("{LIST}/badge.svg")).await;
    let tag = first.headers()[header::ETAG].clone();
    assert_eq!(first.headers()[header::CACHE_CONTROL], "no-cache, max-age=0");
    let again = t.ask(Method::GET, &format!("{LIST}/badge.svg")).header(header::IF_NONE_MATCH, &tag).send().await;
    let again = again.expect("an answer");
    assert_eq!((again.status(), &again.headers()[header::ETAG]), (StatusCode::NOT_MODIFIED, &tag));
    let nowhere = t.get("/github/acme/nothing/badge.svg?flow=ci").await;
    assert_eq!(nowhere.status(), StatusCode::OK);
    assert!(nowhere.text().await.expect("text").contains("<title>ci: unknown</title>"));
    holds(
        &t.page(LIST).await,
        &["[![build](https://ci.example.com/github/acme/widget/badge.svg)](https://ci.example.com/github/acme/widget)"],
    );
}

#[tokio::test]
async fn repositories_are_listed_and_an_owner_has_a_page() {
    let t = Tester::start().await;
    let none = t.page("/repositories").await;
    holds(&none, &["No repository yet", "Push a commit"]);
    t.push("main", SMALL).await;
    t.run_the_job("test", 0).await;
    for path in ["/repositories", "/repositories?q=WID", "/github/acme"] {
        holds(
            &t.page(path).await,
            &["href=\"/github/acme/widget\">acme/widget", "last 1 runs: 1 succeeded", "mark success"],
        );
    }
    holds(&t.page("/repositories?q=zebra").await, &["No repository has “zebra”", "All of them"]);
    for path in ["/github/nobody", "/gitlab/acme", "/github/acm", "/github/acme/statistics/x"] {
        assert_eq!(t.get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn runs_of_an_earlier_release_are_found_after_the_next_start() {
    let t = Tester::start().await;
    t.history().await;
    t.database()
        .sql("UPDATE runs SET label = '', kind = '', branch = NULL, tag = NULL, pull = NULL, actor = '', author = '', waited = NULL, took = NULL")
        .await;
    assert!(t.numbers("branch=main").await.is_empty());
    t.restart().await;
    assert_eq!(t.numbers("branch=main").await, [5, 2, 1]);
    assert_eq!(t.numbers("tag=v1.2.0&state=success").await, [4]);
    assert_eq!(t.numbers("state=waiting").await, [5]);
    let value = t.value("/statistics?forge=github&repository=acme/widget").await;
    assert_eq!((&value["succeeded"], &value["duration"]["count"]), (&3.into(), &4.into()));
}

impl Tester {
    async fn cancel_newest_again(&self) {
        self.runs_again(self.newest_run().await.id).await;
        self.settle().await;
        self.cancel("Ada").await;
    }
}

#[tokio::test]
async fn a_repositorys_page_is_fetched_again_when_its_webhook_a_secret_or_its_rule_changes() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    t.claims("test").await.exits(0).await;
    t.drain().await;
    let now = t.clock.now();
    let mut known = String::new();
    let mut sees = async |what: &str, words: &[&str]| {
        let asks = t.ask(Method::GET, LIST).header("containerops-seen", &known);
        let answer = asks.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{what}");
        let page = answer.text().await.expect("text");
        holds(&page, words);
        let (_, rest) = page.split_once("data-live=\"").expect("it is live");
        known = rest.split('"').next().expect("an end").to_owned();
        let asks = t.ask(Method::GET, LIST).header("containerops-seen", &known);
        assert_eq!(asks.send().await.expect("an answer").status(), StatusCode::NO_CONTENT, "nothing since: {what}");
        page
    };
    assert!(!sees("at first", &[]).await.contains("Its webhook"));
    // none of these rings: they may be another process's doing
    let database = || async { t.app().engine.store.write().await.expect("the database") };
    let repository_id = t.newest_run().await.repository_id;
    let mut tx = database().await;
    let (seen, state) = (Json(HookState::Missing), Json(HookState::Missing));
    tx.keep_hook(&HookRow { repository_id, looked: now, seen, since: now, state }).await.expect("a row");
    tx.commit().await.expect("it is kept");
    sees("its webhook is gone", &["Its webhook"]).await;
    let (scope, name) = (WIDGET.parse().expect("a name"), "DEPLOY_KEY".parse().expect("a name"));
    let secret = SecretRow {
        forge: ForgeKind::Github,
        level: SecretLevel::Repository,
        scope,
        name,
        limits: Json(SecretLimits::default()),
        key_id: "a".to_owned(),
        sealed: vec![0; 40],
        created: now,
        changed: now,
        changed_by: "ada".to_owned(),
        used: None,
    };
    let mut tx = database().await;
    tx.put_secret(&secret).await.expect("a row");
    tx.commit().await.expect("it is kept");
    sees("a secret is set", &["DEPLOY_KEY"]).await;
    let scope = SecretScope { forge: secret.forge, level: secret.level, name: secret.scope };
    let mut tx = database().await;
    assert!(tx.remove_secret(&scope, &secret.name).await.expect("a row"));
    tx.commit().await.expect("it is kept");
    assert!(!sees("the secret is removed", &[]).await.contains("DEPLOY_KEY"));
    let policy = t.ask(Method::POST, "/policy?forge=github&repository=acme/widget").body("run=never&flow=base");
    assert_eq!(policy.send().await.expect("an answer").status(), StatusCode::SEE_OTHER);
    sees("it has a rule of its own", &["never"]).await;
}
