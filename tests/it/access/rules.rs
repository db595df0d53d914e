//! The rule of a repository for untrusted code, and what is written down of all that anybody changes.

use std::collections::BTreeSet;

use containerops::web::access::Need;
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use super::{FLOW, RUN, SIGNED_IN, Shows, form, service};
use crate::harness::app::{Tester, WIDGET};

const POLICY: &str = "/policy?forge=github&repository=acme%2Fwidget";
const PAGE: &str = "/github/acme/widget";

impl Tester {
    async fn sets(&self, shows: &Shows, fields: &[(&str, &str)]) -> u16 {
        let request = form(self.straight.post(format!("{}{POLICY}", self.url())), fields);
        shows.on(request).send().await.expect("an answer").status().as_u16()
    }

    async fn programmed(&self, shows: &Shows, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.url()));
        let answer = shows.on(request).json(body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// A fork opens a pull request that waits, or not.
    async fn fork_comes(&self) -> String {
        self.github.commit("mallory/widget", "fix", &[(".containerops.yml", FLOW.as_bytes()), ("a", b"a")]);
        let number = self.github.open_pull_request(WIDGET, "main", "mallory/widget", "fix");
        self.deliver(self.github.pull_request(WIDGET, number, "opened")).await;
        self.settle().await;
        self.deliveries().await.lines().last().unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn maintainers_see_and_set_what_becomes_of_untrusted_code() {
    let t = service(SIGNED_IN, false).await;
    let (walter, mona) = (t.session("github/walter").await, t.session("github/mona").await);
    assert!(!t.text(&walter, PAGE).await.contains("nobody vouches for"), "it is the maintainers' to see");
    let page = t.text(&mona, PAGE).await;
    assert!(page.contains("Code that nobody vouches for: approval, by the server") && page.contains("<button>Set<"));
    assert!(!page.contains("name=\"reset\""), "there is nothing to take back");
    assert!(t.fork_comes().await.ends_with("started 1"));
    assert!(t.newest_run().await.reason.starts_with("waits for approval"));

    assert_eq!(t.sets(&walter, &[("run", "always"), ("flow", "head")]).await, 403);
    assert_eq!(t.sets(&Shows::Nothing, &[("run", "always"), ("flow", "head")]).await, 403);
    for odd in [&[][..], &[("run", "sometimes"), ("flow", "base")], &[("run", "always")]] {
        assert_eq!(t.sets(&mona, odd).await, 400, "{odd:?}");
    }
    assert_eq!(t.sets(&mona, &[("run", "always"), ("flow", "head")]).await, 303);
    let page = t.text(&mona, PAGE).await;
    assert!(
        page.contains("always+head, set by mona") && page.contains("As the server&#39;s setting has it: approval")
            || page.contains("As the server's setting has it: approval"),
        "{page}"
    );
    assert!(t.newest_run().await.reason.starts_with("waits for approval"), "what waits goes on waiting");
    t.fork_comes().await;
    assert!(t.newest_run().await.reason.is_empty(), "new code runs at once: {}", t.runs().await);

    // never: what waits ends
    let robot = t.token(Some("github/olga"), &[containerops::model::Scope::Admin]).await;
    t.sets(&mona, &[("reset", "yes")]).await;
    t.fork_comes().await;
    let (status, value) = t
        .programmed(&robot, Method::POST, "/policy?forge=github&repository=acme/widget", &json!({"rule": "never"}))
        .await;
    assert_eq!(status, 200, "{value}");
    assert_eq!(
        value,
        json!({"rule": "never", "run": "never", "flow_file": "base", "set_by": "olga (by the token `robot`)", "by_setting": "approval"})
    );
    t.settle().await;
    let reason = t.newest_run().await.reason;
    assert_eq!(reason, "cancelled by olga (by the token `robot`), whose rule is that such code is never run here");
    assert!(t.fork_comes().await.contains("such code is never run here"));
    let (status, value) = t
        .programmed(&robot, Method::POST, "/policy?forge=github&repository=acme/widget", &json!({"rule": "maybe"}))
        .await;
    assert!(
        status == 400 && value["detail"].as_str().is_some_and(|words| words.contains("none of never, approval")),
        "{value}"
    );
    let (_, value) =
        t.programmed(&robot, Method::GET, "/policy?forge=github&repository=acme/widget", &json!(null)).await;
    assert_eq!(value["rule"], "never");
    assert_snapshot!(t.audited().await, @r"
    github/mona (page) set the rule for untrusted code: `always+head`: the rule is `always+head`
    github/mona (page) set the rule for untrusted code: the setting's: the rule is `approval`, by the setting
    github/olga (token `robot`) set the rule for untrusted code: `never`: the rule is `never`
    ");
}

#[tokio::test]
async fn what_the_servers_owner_never_runs_no_maintainer_lets_run() {
    let t = service(&format!("{SIGNED_IN}untrusted = \"never\"\n"), false).await;
    let (mona, root) = (t.session("github/mona").await, t.session("github/root").await);
    assert_eq!(t.sets(&mona, &[("run", "always"), ("flow", "base")]).await, 403);
    assert!(t.audited().await.contains("refused: the server's setting is that such code is never run here"));
    assert_eq!(t.sets(&root, &[("run", "approval"), ("flow", "base")]).await, 303);
    assert!(t.text(&mona, PAGE).await.contains("approval, set by root"));
    assert_eq!(t.sets(&mona, &[("reset", "yes")]).await, 303, "to be stricter is theirs");
}

/// What each route that changes something is asked with by whoever may do all of it.
fn body(path: &str) -> Option<(&'static str, Value)> {
    Some(match path {
        // it plans, and changes nothing
        "/deliveries/{id}/dry-run" | "/api/v1/deliveries/{id}/dry-run" => return None,
        // a session's end, which no other request survives
        "/sign-out" => return None,
        "/policy" => ("form", json!({"run": "approval", "flow": "base"})),
        "/secrets" => ("form", json!({"name": "TOKEN", "value": "hunter22"})),
        "/admin/quotas" => ("form", json!({"level": "server", "actions": "100"})),
        "/api/v1/quotas" => ("json", json!({"actions": 50})),
        "/api/v1/secrets/{name}" => ("json", json!({"value": "hunter23"})),
        "/tokens" => ("form", json!({"name": "new", "days": "1"})),
        "/api/v1/tokens" => ("json", json!({"name": "newer", "scopes": ["run"], "days": 1})),
        "/tokens/{id}/remove" | "/api/v1/tokens/{id}" => return None,
        "/api/v1/policy" => ("json", json!({"rule": "approval"})),
        "/api/v1/runs/{id}/rerun" => ("json", json!({"what": "everything", "flow": "newest"})),
        "/api/v1/runs/{id}/approve" | "/api/v1/runs/{id}/reject" => ("json", json!({})),
        "/api/v1/runs/{id}/cancel" => ("json", json!({})),
        "/api/v1/starts" => ("json", json!({"forge": "github", "repository": WIDGET})),
        "/deliveries/{id}/replay" | "/api/v1/deliveries/{id}/replay" => ("form", json!({})),
        other => panic!("{other} changes something: say with what it is asked, or why it need not be written down"),
    })
}

#[tokio::test]
async fn whatever_is_changed_is_written_down() {
    let t = service(SIGNED_IN, false).await;
    let root = t.session("github/root").await;
    let run = t.newest_run().await;
    let mut seen = BTreeSet::new();
    let of_run = [
        (Method::POST, format!("{RUN}/rerun?what=everything&flow=newest"), ("form", json!({}))),
        (Method::POST, PAGE.to_owned(), ("form", json!({}))),
    ];
    let routes = containerops::web::needs().into_iter().filter(|route| route.method != Method::GET);
    let asked = routes.filter_map(|route| {
        let id = match route.need {
            Need::Run(_) => run.id.to_string(),
            Need::Delivery(_) => run.delivery_id.expect("a delivery").to_string(),
            Need::Repository(_) | Need::Nothing | Need::Visitor | Need::Known | Need::SignedIn | Need::Job(_) => {
                String::new()
            }
        };
        let of_repository = matches!(route.need, Need::Repository(_)) || route.path.contains("/secrets");
        let query = if of_repository { POLICY.trim_start_matches("/policy") } else { "" };
        let with = body(&route.path)?;
        let path = route.path.replace("{id}", &id).replace("{name}", "TOKEN");
        Some((route.method, format!("{path}{query}"), with))
    });
    for (method, path, (kind, fields)) in asked.chain(of_run) {
        let before = t.audited().await.lines().count();
        let request = t.straight.request(method, format!("{}{path}", t.url()));
        let request = match kind {
            "json" => request.json(&fields),
            _ => {
                let pairs = fields.as_object().expect("fields").iter().map(|(name, value)| (name, value.as_str()));
                let pairs: Vec<(&str, &str)> =
                    pairs.map(|(name, value)| (name.as_str(), value.expect("text"))).collect();
                form(request, &pairs)
            }
        };
        let answer = root.on(request).send().await.expect("an answer");
        let (status, words) = (answer.status(), answer.text().await.expect("text"));
        assert!(!status.is_server_error() && status != 404, "{path}: {status}: {words}");
        let log = t.audited().await;
        assert_eq!(log.lines().count(), before + 1, "{path}: {status}: {words}\n{log}");
        assert!(log.lines().last().is_some_and(|line| line.starts_with("github/root (")), "{path}: {log}");
        seen.insert(path);
    }
    assert!(seen.len() > 10, "{seen:?}");
    let log = t.audited().await;
    assert!(
        log.contains("(page) run again: ci #1: put in as delivery") && log.contains("(API) run again: ci #1: put in"),
        "{log}"
    );
}
