//! Looks at what GitLab knows of us: whether it takes our token, what that may do, and how long it lives.

use gitlab::api::{personal_access_tokens::PersonalAccessTokenSelf, users::CurrentUser};
use jiff::{civil::Date, tz::TimeZone};
use serde::Deserialize;

use super::Gitlab;
use crate::{forge::ForgeError, model::Finding};

const ABOUT: &str = "GitLab";
/// A token that ends so soon is to be replaced.
const SOON_DAYS: i64 = 14;

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    scopes: Vec<String>,
    expires_at: Option<Date>,
}

impl Gitlab {
    /// What is to be said of our account there; `hook` is where it should deliver. The other is what its clock showed,
    /// in seconds since 1970, if it answered.
    pub async fn examine(&self, hook: &str) -> (Vec<Finding>, Option<i64>) {
        let mut findings = Vec::new();
        if self.proofs.tokens.is_empty() && self.proofs.keys.is_empty() {
            let advice = "set CONTAINEROPS_GITLAB_WEBHOOK_SECRET or _SIGNING_TOKEN to what the webhook's page has";
            findings.push(Finding::error(ABOUT, "there is no webhook secret, so no delivery is taken", advice));
        }
        if !self.api.has_token() {
            let advice = "set CONTAINEROPS_GITLAB_TOKEN";
            findings.push(Finding::warning(ABOUT, "we have no token: nothing is reported there", advice));
            return (findings, None);
        }
        match self.api.get::<User, _>(CurrentUser::builder().build()).await {
            Ok(user) => findings.push(Finding::ok(ABOUT, format!("it takes our token for {}", user.username))),
            Err(ForgeError::Refused { status: 401, .. }) => {
                let advice = "make a new token, and set CONTAINEROPS_GITLAB_TOKEN";
                let message = "it does not take our token: it has expired, or was revoked";
                findings.push(Finding::error(ABOUT, message, advice));
                return (findings, self.api.date());
            }
            Err(error) => {
                let advice = "check CONTAINEROPS_GITLAB_URL and the way out of this network";
                findings.push(Finding::error(ABOUT, error.to_string(), advice));
                return (findings, self.api.date());
            }
        }
        findings.extend(self.token().await);
        findings.push(Finding::ok(ABOUT, format!("its webhooks are to go to {hook}")));
        (findings, self.api.date())
    }

    /// What the token may do. Old instances do not tell.
    async fn token(&self) -> Vec<Finding> {
        let Ok(token) = self.api.get::<Token, _>(PersonalAccessTokenSelf::builder().build()).await else {
            return Vec::new();
        };
        let today = self.clock.now().as_millis();
        let today = jiff::Timestamp::from_millisecond(today).map(|now| now.to_zoned(TimeZone::UTC).date());
        let left = token.expires_at.zip(today.ok()).map(|(end, today)| days(today, end));
        let mut findings = Vec::new();
        if !token.scopes.iter().any(|scope| scope == "api") {
            let message =
                format!("the token's scopes ({}) do not let it write commit statuses", token.scopes.join(", "));
            findings.push(Finding::error(ABOUT, message, "give it the scope `api`"));
        }
        if let Some(left) = left.filter(|left| *left <= SOON_DAYS) {
            let message = format!("the token ends in {left} days");
            findings.push(Finding::warning(
                ABOUT,
                message,
                "make a new one of the same account, which statuses stay with",
            ));
        }
        findings
    }
}

fn days(from: Date, to: Date) -> i64 {
    (to - from).get_days().into()
}
