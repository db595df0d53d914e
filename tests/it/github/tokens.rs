use containerops::forge::{
    Forge as _, ForgeError,
    github::{Credentials, Github, GithubSettings, SettingsError},
};
use jiff::SignedDuration;

use super::{app, widget};
use crate::harness::github::ModelGithub;

const FILES: &[(&str, &[u8])] = &[(".containerops.yml", b"on: push")];
const MINTED: &str = "/access_tokens";

#[tokio::test]
async fn many_calls_at_once_ask_for_one_token() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let (repository, sha) = widget(&github, &model, FILES);
    let calls = (0..20).map(|_| github.flow_files(&repository, &sha));
    for files in futures::future::join_all(calls).await {
        assert_eq!(files.expect("it is there").len(), 1);
    }
    assert_eq!(model.calls(MINTED).len(), 1);
}

#[tokio::test]
async fn a_token_that_ends_within_five_minutes_is_renewed() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let (repository, _) = widget(&github, &model, FILES);
    for (life, minted) in [(SignedDuration::from_secs(299), 2), (SignedDuration::from_secs(360), 3)] {
        model.tokens_live(life);
        for _ in 0..2 {
            github.open_pull_request(&repository, "main").await.expect("an answer");
        }
        assert_eq!(model.calls(MINTED).len(), minted);
    }
}

#[tokio::test]
async fn a_machine_whose_clock_is_wrong_signs_for_githubs_time() {
    for behind in [SignedDuration::from_hours(1), SignedDuration::from_hours(-1)] {
        let model = ModelGithub::start().await;
        model.clock_is_behind(behind);
        let github = app(&model);
        let (repository, _) = widget(&github, &model, FILES);
        for _ in 0..2 {
            github.open_pull_request(&repository, "main").await.expect("an answer");
        }
        // signed for the wrong time once; and a token is as old as it is there
        assert_eq!(model.calls(MINTED).len(), 2, "{behind}");
        assert_eq!(model.calls("/pulls").len(), 2, "{behind}");
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let (repository, _) = widget(&github, &model, FILES);
    github.open_pull_request(&repository, "main").await.expect("an answer");
    model.revoke_tokens();
    github.open_pull_request(&repository, "main").await.expect("an answer");
    assert_eq!(model.calls(MINTED).len(), 2);
    assert_eq!(model.calls("/pulls").len(), 3);
}

#[tokio::test]
async fn a_refusal_that_stays_is_told() {
    let model = ModelGithub::start().await;
    let mut settings = model.settings();
    settings.credentials = Credentials::Token("not-the-token".into());
    let github = Github::new(settings).expect("good settings");
    let (repository, _) = widget(&github, &model, FILES);
    let error = github.open_pull_request(&repository, "main").await.expect_err("it is the wrong token");
    assert!(matches!(error, ForgeError::Refused { status: 401, .. }), "{error}");
    assert_eq!(model.calls("/pulls").len(), 1);
}

#[tokio::test]
async fn an_installation_that_no_delivery_named_is_asked_for_once() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let (mut repository, _) = widget(&github, &model, FILES);
    repository.installation = None;
    for _ in 0..2 {
        github.open_pull_request(&repository, "main").await.expect("an answer");
    }
    assert_eq!(model.calls("/installation").iter().filter(|call| call.ends_with("/installation")).count(), 1);
}

#[tokio::test]
async fn wrong_settings_are_named() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let new = |credentials, api_url: &str| {
        Github::new(GithubSettings { credentials, api_url: api_url.to_owned(), ..GithubSettings::default() })
    };
    let api = "https://api.github.com";
    let key = Credentials::App { id: 1, private_key: "no key".into() };
    assert!(matches!(new(key, api), Err(SettingsError::PrivateKey(_))));
    assert!(matches!(new(Credentials::Token("two\nlines".into()), api), Err(SettingsError::Token)));
    for url in ["", "api.github.com", "ftp://api.github.com", "https://", "https:///x"] {
        assert!(matches!(new(Credentials::None, url), Err(SettingsError::ApiUrl(_))), "{url}");
    }
}
