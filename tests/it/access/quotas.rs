//! Quotas are the administrators' to see and to set; what a repository counts for is for who may see it.

use containerops::model::Scope;
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use super::{SIGNED_IN, Shows, form, service};
use crate::harness::app::Tester;

const PAGE: &str = "/admin/quotas";
const OWN: &str = "/quotas?forge=github&repository=acme/widget";

impl Tester {
    async fn limits(&self, shows: &Shows, fields: &[(&str, &str)]) -> u16 {
        let request = form(self.straight.post(format!("{}{PAGE}", self.url())), fields);
        shows.on(request).send().await.expect("an answer").status().as_u16()
    }

    async fn quotas(&self, shows: &Shows, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.url()));
        let request = if body.is_null() { request } else { request.json(body) };
        let answer = shows.on(request).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    async fn status_of(&self, shows: &Shows, path: &str) -> u16 {
        let answer = shows.on(self.straight.get(format!("{}{path}", self.url()))).send().await.expect("an answer");
        answer.status().as_u16()
    }
}

#[tokio::test]
async fn administrators_see_and_set_quotas_and_a_repository_shows_its_own() {
    let t = service(SIGNED_IN, false).await;
    let (mona, root) = (t.session("github/mona").await, t.session("github/root").await);
    for other in [&mona, &Shows::Nothing] {
        assert_eq!(t.status_of(other, PAGE).await, 404);
        assert_eq!(t.limits(other, &[("level", "server"), ("actions", "1")]).await, 404);
    }
    assert!(t.text(&root, PAGE).await.contains("Everything"));
    let acme = [("level", "owner"), ("forge", "github"), ("name", "acme"), ("actions", "20"), ("cpu", "500m")];
    assert_eq!(t.limits(&root, &acme).await, 303);
    for odd in [
        &[("level", "owner"), ("forge", "github"), ("name", "-"), ("actions", "1")][..],
        &[("level", "galaxy"), ("actions", "1")],
        &[("level", "server"), ("actions", "many")],
    ] {
        assert_eq!(t.limits(&root, odd).await, 400, "{odd:?}");
    }
    let page = t.text(&root, "/admin/quotas?level=owner&forge=github&name=acme").await;
    assert!(page.contains("What may be used by all repositories of acme on github"), "{page}");
    assert!(page.contains("value=\"500m\"") && page.contains("of 20"), "{page}");
    let own = t.text(&mona, "/github/acme/widget").await;
    assert!(own.contains("acme uses") && own.contains("of 20"), "{own}");

    let robot = t.token(Some("github/root"), &[Scope::Admin]).await;
    let whose = "/quotas?forge=github&owner=acme";
    let wanted = json!({"actions": 3, "memory": "8Gi", "minutes": 100, "priority": 20, "storage": "1Gi"});
    let (status, value) = t.quotas(&robot, Method::PUT, whose, &wanted).await;
    assert_eq!((status, &value["memory"], &value["cpu"]), (200, &json!("8Gi"), &Value::Null), "{value}");
    let (status, value) = t.quotas(&robot, Method::PUT, whose, &json!({"memory": "lots"})).await;
    assert_eq!((status, &value["errors"][0]["name"]), (400, &json!("memory")), "{value}");
    for odd in ["/quotas?owner=acme", "/quotas?forge=github", "/quotas?forge=github&owner=a&repository=a/b"] {
        assert_eq!(t.quotas(&robot, Method::PUT, odd, &json!({"actions": 1})).await.0, 400, "{odd}");
    }
    let (_, value) = t.quotas(&robot, Method::GET, "/quotas", &Value::Null).await;
    let names: Vec<&Value> = value["quotas"].as_array().expect("a list").iter().map(|one| &one["level"]).collect();
    assert_eq!(names, ["server", "owner", "repository"], "{value}");
    assert_eq!(value["quotas"][1]["limits"]["actions"], 3);
    let (status, value) = t.quotas(&t.token(Some("github/mona"), &[]).await, Method::GET, OWN, &Value::Null).await;
    assert_eq!((status, value["quotas"].as_array().map(Vec::len)), (200, Some(3)), "{value}");
    let other = t.token(Some("github/mona"), &[Scope::Admin]).await;
    assert_eq!(t.quotas(&other, Method::GET, "/quotas", &Value::Null).await.0, 404);
    assert_eq!(t.quotas(&other, Method::PUT, whose, &json!({})).await.0, 404);
    assert_eq!(t.quotas(&robot, Method::DELETE, whose, &Value::Null).await.0, 200);
    assert_snapshot!(t.audited().await, @r"
    github/root (page) set a quota: all repositories of acme on github: set: actions 20, cpu 500m
    github/root (token `robot`) set a quota: all repositories of acme on github: set: actions 3, memory 8Gi, storage 1Gi, minutes 100, priority 20
    github/root (token `robot`) remove a quota: all repositories of acme on github: taken away
    ");
}
