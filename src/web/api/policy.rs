//! `/api/v1/policy`: what becomes of untrusted code in a repository, for those who maintain it.

use axum::{Json, body::Bytes, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Answer;
use crate::{
    engine::rule::Rule,
    model::UntrustedPolicy,
    web::{
        Web,
        access::{Maintain, OfRepository},
        pages::Failure,
        rule,
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    rule: Option<String>,
}

pub(super) async fn show(of: OfRepository<Maintain>, State(web): State<Web>) -> Answer {
    Ok(Json(value(&web.engine.rule(&of.granted.repository).await?)))
}

/// `{"rule": "approval"}`; `null` for the setting's.
pub(super) async fn set(of: OfRepository<Maintain>, State(web): State<Web>, body: Bytes) -> Answer {
    let asked: Asked = serde_json::from_slice(&body).map_err(|error| {
        let form = r#"`{"rule": "never" | "approval" | "contributors" | "always" | "…+head" | null}`"#;
        Failure::Words(format!("{form} is expected: {error}"))
    })?;
    let wanted = asked.rule.map(|rule| rule.parse::<UntrustedPolicy>()).transpose().map_err(Failure::Words)?;
    Ok(Json(value(&rule::set(&web, &of.granted, wanted).await?)))
}

fn value(rule: &Rule) -> Value {
    json!({"rule": rule.policy.to_string(), "run": rule.policy.run, "flow_file": rule.policy.flow,
           "set_by": rule.set_by, "by_setting": rule.by_setting.to_string()})
}
