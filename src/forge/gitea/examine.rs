//! Looks at what a Gitea or a Forgejo knows of us: whether it is there, takes our token, and what that may do.

use http::StatusCode;
use serde::Deserialize;

use super::{
    Gitea,
    call::{Answer, Call},
};
use crate::{forge::ForgeError, model::Finding};

const ABOUT: &str = "Gitea";
/// What needs a scope to be asked, which scope, and what lacks without it.
const SCOPES: [(&str, &str, &str); 2] = [
    ("/repos/search?limit=1", "write:repository", "read flow files, post commit statuses and look after webhooks"),
    ("/repos/issues/search?limit=1", "write:issue", "answer comments"),
];

impl Gitea {
    /// What is to be said of our account there. The other is what its clock showed, in seconds since 1970, if it
    /// answered.
    pub async fn examine(&self) -> (Vec<Finding>, Option<i64>) {
        #[derive(Deserialize)]
        struct Version {
            version: String,
        }
        let answer = match self.api.send(&Call::get("/version".to_owned())).await {
            Ok(answer) => answer,
            Err(error) => return (vec![unreachable(&error)], None),
        };
        let time = answer.date();
        // one that shows nothing to strangers says 403, and is there
        let closed = matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED);
        let mut findings = match answer.json::<Version>() {
            Ok(Version { version }) => vec![Finding::ok(ABOUT, format!("it answers, and is release {version}"))],
            Err(_) if closed => Vec::new(),
            Err(error) => return (vec![unreachable(&error)], time),
        };
        match self.api.is_known() {
            true => findings.extend(self.token().await),
            false => {
                let advice = "set CONTAINEROPS_GITEA_TOKEN";
                findings.push(Finding::warning(ABOUT, "we have no token: nothing is reported there", advice));
            }
        }
        (findings, time)
    }

    async fn token(&self) -> Vec<Finding> {
        #[derive(Deserialize)]
        struct User {
            login: String,
        }
        let answer = match self.api.send(&Call::get("/user".to_owned())).await {
            Ok(answer) => answer,
            Err(error) => return vec![unreachable(&error)],
        };
        let mut findings = match answer.status {
            StatusCode::UNAUTHORIZED => {
                let advice = "make a new token, and set CONTAINEROPS_GITEA_TOKEN";
                return vec![Finding::error(
                    ABOUT,
                    "it does not take our token: it has expired, or was revoked",
                    advice,
                )];
            }
            // without the scope `read:user` nobody says whose it is, and we need not know
            StatusCode::FORBIDDEN => vec![Finding::ok(ABOUT, "it takes our token")],
            _ => match answer.json::<User>() {
                Ok(User { login }) => vec![Finding::ok(ABOUT, format!("it takes our token for {login}"))],
                Err(error) => return vec![unreachable(&error)],
            },
        };
        for (path, scope, purpose) in SCOPES {
            let answer = self.api.send(&Call::get(path.to_owned())).await;
            findings.extend(lacking(answer, scope, purpose));
        }
        findings
    }
}

fn lacking(answer: Result<Answer, ForgeError>, scope: &str, purpose: &str) -> Option<Finding> {
    match answer {
        Err(error) => Some(unreachable(&error)),
        Ok(answer) if answer.status == StatusCode::FORBIDDEN => {
            let message = format!("the token lacks the scope `{scope}`: we cannot {purpose}");
            Some(Finding::error(
                ABOUT,
                message,
                format!("make a token with `{scope}`, and set CONTAINEROPS_GITEA_TOKEN"),
            ))
        }
        Ok(_) => None,
    }
}

fn unreachable(error: &ForgeError) -> Finding {
    Finding::error(ABOUT, error.to_string(), "check CONTAINEROPS_GITEA_URL and the way out of this network")
}
