//! `/policy`: what becomes of untrusted code in a repository, for those who maintain it.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Answer, asked::Sent};
use crate::{
    engine::rule::Rule,
    model::{FlowFrom, ForgeKind, RepositoryName, RunUntrusted, UntrustedPolicy},
    web::{
        Web,
        access::{Maintain, OfRepository},
        mistake::Mistake,
        pages::Failure,
        rule,
    },
};

/// Whose rule.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the guard reads them; this describes them")]
pub(super) struct Whose {
    /// The repository's forge.
    forge: ForgeKind,
    /// Its name there.
    repository: RepositoryName,
}

/// The rule that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PolicyRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPolicy {
    /// `never`, `approval`, `contributors` or `always`, and `+head` if its own flow file counts; `null`: the setting's.
    #[schema(example = "approval", pattern = r"^(never|approval|contributors|always)(\+head)?$")]
    rule: Option<String>,
}

/// What becomes of untrusted code.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Policy {
    #[schema(example = "approval")]
    rule: String,
    run: RunUntrusted,
    flow_file: FlowFrom,
    /// Who set it; `null`: the setting holds.
    #[schema(required = true)]
    set_by: Option<String>,
    /// The setting's.
    #[schema(example = "approval")]
    by_setting: String,
}

/// What becomes of untrusted code in a repository.
#[utoipa::path(get, path = "/policy", tag = "repositories", operation_id = "getPolicy", params(Whose), responses((status = 200, description = "Its rule", body = Policy)))]
pub(super) async fn show(of: OfRepository<Maintain>, State(web): State<Web>) -> Answer<Policy> {
    Ok(Json(Policy::of(&web.engine.rule(&of.granted.repository).await?)))
}

/// Says what becomes of untrusted code in a repository.
#[utoipa::path(post, path = "/policy", tag = "repositories", operation_id = "setPolicy", params(Whose), request_body(content = NewPolicy), responses((status = 200, description = "Its rule now", body = Policy)))]
pub(super) async fn set(of: OfRepository<Maintain>, State(web): State<Web>, sent: Sent) -> Answer<Policy> {
    let asked: NewPolicy =
        sent.json(r#"`{"rule": "never" | "approval" | "contributors" | "always" | "…+head" | null}`"#)?;
    let wanted = asked.rule.map(|rule| rule.parse::<UntrustedPolicy>()).transpose();
    let wanted = wanted.map_err(|words| Failure::from(Mistake::of_body("rule".to_owned(), words)))?;
    Ok(Json(Policy::of(&rule::set(&web, &of.granted, wanted).await?)))
}

impl Policy {
    pub(super) fn of(rule: &Rule) -> Self {
        Self {
            rule: rule.policy.to_string(),
            run: rule.policy.run,
            flow_file: rule.policy.flow,
            set_by: rule.set_by.clone(),
            by_setting: rule.by_setting.to_string(),
        }
    }
}
