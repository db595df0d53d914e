//! The API's description: it has every route, and every answer is one that it names.

use std::collections::{BTreeMap, BTreeSet};

use containerops::{model::Right, web::access::Need};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::app::Tester;

/// Where it is.
const PLACE: &str = "/api/v1/openapi.json";

async fn description(t: &Tester) -> Value {
    t.get(PLACE).await.json().await.expect("JSON")
}

/// `GET /runs/{id}`, with what is said of it.
fn operations(description: &Value) -> BTreeMap<(String, String), &Value> {
    let paths = description["paths"].as_object().expect("paths");
    let mut all = BTreeMap::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("methods") {
            all.insert((method.to_uppercase(), path.clone()), operation);
        }
    }
    all
}

/// Whether a path is one of a form.
fn fits(path: &str, form: &str) -> bool {
    let (mut path, mut form) = (path.split('/'), form.split('/'));
    loop {
        match (path.next(), form.next()) {
            (None, None) => return true,
            (Some(_), Some(part)) if part.starts_with('{') => {}
            (Some(a), Some(b)) if a == b => {}
            (Some(_) | None, Some(_) | None) => return false,
        }
    }
}

/// An answer must be one that the description names, unless it names no such path or method.
pub(super) async fn is_described(t: &Tester, method: &Method, path: &str, status: StatusCode) {
    let description = description(t).await;
    let path = path.split('?').next().unwrap_or(path);
    let all = operations(&description);
    let found = all.iter().find(|((told, form), _)| told == method.as_str() && fits(path, form));
    let Some((_, operation)) = found else {
        assert!(matches!(status.as_u16(), 404 | 405), "{method} {path} is not described, and answers {status}");
        return;
    };
    let told = &operation["responses"][status.as_str()];
    assert!(told.is_object(), "{method} {path} answers {status}, which is not described");
}

#[tokio::test]
async fn every_route_is_described_with_all_that_a_client_needs() {
    let t = Tester::start().await;
    let description = description(&t).await;
    assert_eq!(description["openapi"], "3.1.0");
    let operations = operations(&description);
    let routes: BTreeMap<_, _> = containerops::web::needs()
        .into_iter()
        .filter(|route| route.path.starts_with("/api/v1/") && route.path != PLACE)
        .map(|route| ((route.method.to_string(), route.path["/api/v1".len()..].to_owned()), route.need))
        .collect();
    assert_eq!(operations.keys().collect::<Vec<_>>(), routes.keys().collect::<Vec<_>>());
    let mut names = BTreeSet::new();
    for (which @ (method, path), operation) in &operations {
        let text = |field: &str| operation[field].as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned);
        assert!(names.insert(text("operationId").expect("a name")), "{which:?}: its name is another's, too");
        assert!(text("summary").is_some() && operation["tags"][0].is_string(), "{which:?}");
        let places = path.matches('{').count();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        assert_eq!(parameters.iter().filter(|one| one["in"] == "path").count(), places, "{which:?}");
        for parameter in &parameters {
            assert!(parameter["description"].is_string(), "{which:?}: {parameter}");
            let schema = parameter["schema"].to_string();
            assert!(!schema.contains("null"), "{which:?}: what may be left out is not null: {schema}");
        }
        let answers = operation["responses"].as_object().expect("answers");
        assert!(answers.keys().any(|status| status.starts_with('2')), "{which:?}");
        for (status, answer) in answers.iter().filter(|(status, _)| status.as_str() >= "400" && *status != "416") {
            let schema = &answer["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{which:?} {status}");
        }
        let is_public = operation["security"].as_array().is_some_and(|ways| ways.contains(&json!({})));
        let may_all = matches!(
            routes[which],
            Need::Visitor | Need::Repository(Right::See) | Need::Run(Right::See) | Need::Job(Right::See)
        );
        assert_eq!(is_public, may_all, "{which:?}");
        assert!(!is_public || method == "GET", "{which:?}: nobody changes anything without saying who they are");
    }
}

#[tokio::test]
async fn whatever_it_refers_to_is_there() {
    let t = Tester::start().await;
    let description = description(&t).await;
    let schemas = description["components"]["schemas"].as_object().expect("schemas");
    let mut used = BTreeSet::new();
    let mut rest = vec![&description];
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(to)) = fields.get("$ref") {
                    used.insert(to.strip_prefix("#/components/schemas/").expect("a schema").to_owned());
                }
                rest.extend(fields.values());
            }
            Value::Array(items) => rest.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    assert_eq!(used, schemas.keys().cloned().collect(), "no schema is missing, and none is in vain");
}
