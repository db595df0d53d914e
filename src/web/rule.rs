//! The rule of a repository for untrusted code: what the page's form and the API share.

use super::{Web, access::Granted, pages::Failure};
use crate::{
    engine::rule::{Rule, RuleMaker},
    model::UntrustedPolicy,
};

/// Gives a repository a rule of its own, or the setting's again.
pub(super) async fn set(web: &Web, of: &Granted, wanted: Option<UntrustedPolicy>) -> Result<Rule, Failure> {
    let target = wanted.map_or_else(|| "the setting's".to_owned(), |wanted| format!("`{wanted}`"));
    let acting = of.does(web, "set the rule for untrusted code", target);
    let maker = RuleMaker { name: of.by(), is_admin: of.visitor.is_admin(web) };
    acting.came_to(acting.engine.set_rule(&of.repository, wanted, &maker).await).await
}
