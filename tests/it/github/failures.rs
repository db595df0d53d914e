use std::time::Duration;

use containerops::{
    forge::{Forge as _, ForgeError, Wanted, github::Github},
    model::{Context, Progress, Report},
};

use super::{app, widget};
use crate::harness::github::ModelGithub;

/// What a call answers after this went wrong with the model.
async fn after(spoil: impl FnOnce(&ModelGithub)) -> ForgeError {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let (repository, _) = widget(&github, &model, &[("a", b"1")]);
    github.open_pull_request(&repository, "main").await.expect("all is well at first");
    spoil(&model);
    let error = github.open_pull_request(&repository, "main").await.expect_err("it was spoilt");
    github.open_pull_request(&repository, "main").await.expect("all is well again");
    error
}

#[tokio::test]
async fn a_broken_github_is_away() {
    for status in [500, 502, 503, 504, 408] {
        let error = after(|model| model.fail_next(1, status)).await;
        assert!(matches!(error, ForgeError::Away { .. }), "{status}: {error}");
    }
}

#[tokio::test]
async fn nothing_is_repeated_behind_our_back() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let (repository, _) = widget(&github, &model, &[("a", b"1")]);
    github.open_pull_request(&repository, "main").await.expect("all is well at first");
    model.fail_next(1, 502);
    github.open_pull_request(&repository, "main").await.expect_err("it is broken");
    assert_eq!(model.calls("/pulls").len(), 2);
}

#[tokio::test]
async fn a_refusal_carries_githubs_words() {
    let error = after(|model| model.fail_next(1, 422)).await;
    assert_eq!(error.to_string(), "github refused (422): on demand");
    let error = after(|model| model.fail_next(1, 403)).await;
    assert!(matches!(error, ForgeError::Refused { status: 403, .. }), "{error}");
}

#[tokio::test]
async fn a_limit_says_for_how_long() {
    let error = after(|model| model.limit_next(Duration::from_secs(17))).await;
    assert!(matches!(error, ForgeError::Limited { after, .. } if after.as_secs() == 17), "{error}");
    let error = after(|model| model.fail_next(1, 429)).await;
    assert!(matches!(error, ForgeError::Limited { after, .. } if after.as_secs() == 60), "{error}");
}

#[tokio::test]
async fn an_answer_cut_in_the_middle_is_away_though_the_write_was_done() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let (repository, sha) = widget(&github, &model, &[("a", b"1")]);
    github.open_pull_request(&repository, "main").await.expect("all is well at first");
    let report = Report {
        progress: Progress::Queued,
        title: "waiting".to_owned(),
        summary: String::new(),
        url: "https://ci.example.com".to_owned(),
        external_id: "1".to_owned(),
        buttons: Vec::new(),
        started: None,
        ended: None,
        annotations: Vec::new(),
    };
    let context = Context::of_run("ci", "push");
    let wanted = Wanted { repository: &repository, sha: &sha, event: None, context: &context, report: &report };
    model.cut_next();
    let error = github.report(&wanted, None).await.expect_err("the answer was cut");
    assert!(matches!(error, ForgeError::Away { .. }), "{error}");
    assert_eq!(model.writes().len(), 1);
}

#[tokio::test]
async fn a_call_ends_after_its_time() {
    let model = ModelGithub::start().await;
    let mut settings = model.settings();
    settings.time_limit = Duration::from_millis(100);
    let github = Github::new(settings).expect("good settings");
    let (repository, _) = widget(&github, &model, &[("a", b"1")]);
    model.delay(Duration::from_secs(3600));
    let error = github.open_pull_request(&repository, "main").await.expect_err("it takes an hour");
    assert!(matches!(&error, ForgeError::Away { .. }), "{error}");
}

#[tokio::test]
async fn nobody_there_is_away() {
    let model = ModelGithub::start().await;
    let mut settings = model.settings_with_token();
    // bound and dropped at once: the port is free, and nobody listens
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    settings.api_url = format!("http://{free}");
    let github = Github::new(settings).expect("good settings");
    let (repository, _) = widget(&github, &model, &[("a", b"1")]);
    let error = github.open_pull_request(&repository, "main").await.expect_err("nobody is there");
    assert!(matches!(&error, ForgeError::Away { message, .. } if message.contains("refused")), "{error}");
}

#[tokio::test]
async fn a_renamed_repository_is_followed() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let (repository, _) = widget(&github, &model, &[("a", b"1")]);
    model.commit("acme/gadget", "main", &[("a", b"1")]);
    model.commit("acme/gadget", "next", &[("a", b"2")]);
    let number = model.open_pull_request("acme/gadget", "next", "acme/gadget", "main");
    model.moved("acme/widget", &format!("{}/repos/acme/gadget", model.api_url()));
    assert_eq!(github.open_pull_request(&repository, "main").await.expect("an answer"), Some(number));
}

#[tokio::test]
async fn no_redirect_leads_to_another_host() {
    let model = ModelGithub::start().await;
    let elsewhere = ModelGithub::start().await;
    let github = app(&model);
    let (repository, _) = widget(&github, &model, &[("a", b"1")]);
    model.moved("acme/widget", &format!("{}/repos/acme/widget", elsewhere.api_url()));
    let error = github.open_pull_request(&repository, "main").await.expect_err("it leads elsewhere");
    assert!(matches!(error, ForgeError::Refused { status: 301, .. }), "{error}");
    assert_eq!(elsewhere.calls(""), [""; 0]);
}
