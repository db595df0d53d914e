//! What became of GitHub's deliveries to us. It tries each once, keeps what came of it for three days, and delivers
//! again when asked, under the same id.

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    api::Api,
    call::{Answer, Call, refused},
    payload, time,
};
use crate::{
    forge::{AttemptsPage, DeliveryAttempt, ForgeError},
    model::Repository,
};

/// As many as GitHub puts on one page.
const PER_PAGE: usize = 100;
/// GitHub's cursors are much shorter.
const LONGEST_CURSOR: usize = 500;

/// As GitHub lists an attempt, which it calls a delivery.
#[derive(Deserialize)]
struct Item {
    id: u64,
    guid: String,
    delivered_at: Timestamp,
    status: String,
    status_code: i64,
    event: String,
    action: Option<String>,
}

#[derive(Deserialize)]
struct Hook {
    id: u64,
    active: bool,
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    url: Option<String>,
}

/// One page of attempts; see the trait. Of several hooks of a repository that deliver to us, the first counts: they get
/// the same events.
pub(super) async fn attempts(
    api: &Api,
    of: Option<&Repository>,
    url: &str,
    page: Option<&str>,
) -> Result<AttemptsPage, ForgeError> {
    let path = match (page, of) {
        (Some(page), _) => page.to_owned(),
        (None, None) => format!("/app/hook/deliveries?per_page={PER_PAGE}"),
        (None, Some(repository)) => match hook(api, repository, url).await? {
            Some(id) => format!("/repos/{}/hooks/{id}/deliveries?per_page={PER_PAGE}", repository.name),
            None => return Ok(AttemptsPage::default()),
        },
    };
    let answer = send(api, of, &Call::get(path.clone())).await?.checked()?;
    let next = answer.next_cursor().filter(|cursor| cursor.len() <= LONGEST_CURSOR);
    let items: Vec<Item> = answer.json()?;
    let (list, _) = path.split_once('?').unwrap_or((&path, ""));
    let cursor = |cursor: String| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("per_page", &PER_PAGE.to_string()).append_pair("cursor", &cursor);
        format!("{list}?{}", query.finish())
    };
    Ok(AttemptsPage {
        oldest: items.last().map(|item| time(item.delivered_at)),
        next: next.filter(|_| !items.is_empty()).map(cursor),
        attempts: items.into_iter().filter_map(|item| attempt(item, list)).collect(),
    })
}

/// Asks for a delivery once more. What is too old, or gone, is refused.
pub(super) async fn deliver_again(api: &Api, of: Option<&Repository>, attempt: &str) -> Result<(), ForgeError> {
    let call = Call::post_nothing(format!("{attempt}/attempts"));
    send(api, of, &call).await?.checked().map(|_| ())
}

/// The id of the repository's hook that delivers to `url`.
async fn hook(api: &Api, repository: &Repository, url: &str) -> Result<Option<u64>, ForgeError> {
    let path = format!("/repos/{}/hooks?per_page={PER_PAGE}", repository.name);
    let answer = api.send(repository, &Call::get(path).without_redirects()).await?;
    let hooks: Vec<Hook> = answer.json().map_err(|error| with_remedy(error, repository))?;
    let ours = |hook: &Hook| {
        let theirs = hook.config.url.as_deref().unwrap_or_default();
        hook.active && theirs.trim_end_matches('/') == url
    };
    Ok(hooks.into_iter().find(ours).map(|hook| hook.id))
}

/// GitHub says of a hook that we may not see that there is none.
fn with_remedy(error: ForgeError, repository: &Repository) -> ForgeError {
    match error {
        ForgeError::Refused { status: status @ (403 | 404), message, .. } => {
            let remedy = format!("the token needs the permission `Webhooks: read and write` of {}", repository.name);
            refused(status, format!("{message}; to find deliveries that failed, {remedy}"))
        }
        error @ (ForgeError::Refused { .. } | ForgeError::Away { .. } | ForgeError::Limited { .. }) => error,
    }
}

async fn send(api: &Api, of: Option<&Repository>, call: &Call) -> Result<Answer, ForgeError> {
    match of {
        Some(repository) => api.send(repository, call).await,
        None => api.send_as_ourselves(call).await,
    }
}

/// An attempt at something that may start runs.
fn attempt(item: Item, list: &str) -> Option<DeliveryAttempt> {
    let well = item.status == "OK" || (200..300).contains(&item.status_code);
    payload::may_start_runs(&item.event, item.action.as_deref()).then(|| DeliveryAttempt {
        id: format!("{list}/{}", item.id),
        delivery: item.guid,
        at: time(item.delivered_at),
        failed: !well,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::forge::Reading;

    #[test]
    fn all_that_may_start_runs_is_worth_asking_for() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/webhooks/github");
        let mut starting = 0;
        for file in std::fs::read_dir(folder).expect("fixtures").flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            let body = std::fs::read(file.path()).expect("a fixture");
            let action = serde_json::from_slice::<serde_json::Value>(&body).expect("JSON")["action"].take();
            let starts = ["push", "merge_group", "check_run", "check_suite"];
            let others = [
                "pull_request_review_comment",
                "pull_request_review",
                "pull_request",
                "issue_comment",
                "commit_comment",
                "installation",
                "ping",
                "repository",
            ];
            let event = starts.into_iter().chain(others).find(|event| name.starts_with(event)).expect("an event");
            if !matches!(payload::read(event, &body), Ok(Reading::Nothing(_))) {
                assert!(payload::may_start_runs(event, action.as_str()), "{name}");
                starting += 1;
            }
        }
        assert!(starting >= 8, "fixtures are read");
    }
}
