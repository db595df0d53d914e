//! The flow file's schema, for editors and for other people's pages.

use reqwest::{Method, StatusCode, header};

use crate::harness::app::Tester;

#[tokio::test]
async fn editors_get_the_schema_and_keep_it() {
    let t = Tester::start().await;
    let answer = t.get("/schema/flow.json").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    assert_eq!(header("content-type").as_deref(), Some("application/schema+json"));
    assert_eq!(header("access-control-allow-origin").as_deref(), Some("*"));
    assert_eq!(header("cache-control").as_deref(), Some("public, max-age=3600"));
    let tag = header("etag").expect("a tag");
    let schema: serde_json::Value = answer.json().await.expect("JSON");
    assert_eq!(schema, containerops::flow::schema());

    let again = t.ask(Method::GET, "/schema/flow.json").header(header::IF_NONE_MATCH, tag).send().await;
    assert_eq!(again.expect("an answer").status(), StatusCode::NOT_MODIFIED);
}
