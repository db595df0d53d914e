//! The rule of a repository for untrusted code, on its page: what it is, and a form for those who maintain it.

use axum::{
    body::Bytes,
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};

use super::{Failure, Place, Route};
use crate::{
    engine::rule::Rule,
    model::{FlowFrom, RunUntrusted, UntrustedPolicy},
    store::RepositoryRow,
    web::{
        Web,
        access::{Maintain, OfRepository},
        rule,
    },
};

/// What the form offers, in words.
const RUNS: [(RunUntrusted, &str, &str); 4] = [
    (RunUntrusted::Never, "never", "never"),
    (RunUntrusted::Approval, "approval", "when somebody who may write has looked at it"),
    (RunUntrusted::Contributors, "contributors", "at once for known contributors, else when somebody has looked at it"),
    (RunUntrusted::Always, "always", "always, at once"),
];
const FLOWS: [(FlowFrom, &str, &str); 2] =
    [(FlowFrom::Base, "base", "the base branch"), (FlowFrom::Head, "head", "the pull request itself")];

/// A repository's rule.
#[derive(Debug)]
pub(super) struct RuleView {
    /// Where the form goes.
    pub(super) url: String,
    /// What it is, and whose.
    pub(super) words: String,
    /// The choices: value, words, whether it is this one.
    pub(super) runs: Vec<(&'static str, &'static str, bool)>,
    pub(super) flows: Vec<(&'static str, &'static str, bool)>,
    /// The setting's rule, if the repository has another of its own.
    pub(super) by_setting: Option<String>,
}

impl RuleView {
    pub(super) fn new(of: &RepositoryRow, rule: &Rule) -> Self {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("forge", of.forge.as_str())
            .append_pair("repository", of.name.as_str())
            .finish();
        let whose =
            rule.set_by.as_ref().map_or_else(|| "by the server's setting".to_owned(), |by| format!("set by {by}"));
        Self {
            url: format!("/policy?{query}"),
            words: format!("{}, {whose}", rule.policy),
            runs: RUNS.map(|(run, value, words)| (value, words, run == rule.policy.run)).to_vec(),
            flows: FLOWS.map(|(flow, value, words)| (value, words, flow == rule.policy.flow)).to_vec(),
            by_setting: rule.set_by.as_ref().map(|_| rule.by_setting.to_string()),
        }
    }
}

/// `POST /policy?forge=…&repository=…`, with `run` and `flow`, or `reset`.
pub(super) async fn press(
    of: OfRepository<Maintain>,
    State(web): State<Web>,
    body: Bytes,
) -> Result<Response, Failure> {
    let field = |wanted: &str| {
        let mut fields = url::form_urlencoded::parse(&body);
        fields.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    };
    let wanted = match field("reset") {
        Some(_) => None,
        None => Some(chosen(&field("run").unwrap_or_default(), &field("flow").unwrap_or_default())?),
    };
    rule::set(&web, &of.granted, wanted).await?;
    let of = of.granted.repository;
    let page = Route { forge: of.forge, repository: of.name, place: Place::Runs };
    Ok(Redirect::to(&page.to_string()).into_response())
}

fn chosen(run: &str, flow: &str) -> Result<UntrustedPolicy, Failure> {
    let run = RUNS.into_iter().find(|(_, value, _)| *value == run).map(|(run, _, _)| run);
    let flow = FLOWS.into_iter().find(|(_, value, _)| *value == flow).map(|(flow, _, _)| flow);
    match (run, flow) {
        (Some(run), Some(flow)) => Ok(UntrustedPolicy { run, flow }),
        _ => Err(Failure::Words("a rule says when such code is run, and by whose flow file".to_owned())),
    }
}
