//! `containerops hooks`: by the real program, against the modelled forges.

use std::process::Output;

use insta::assert_snapshot;
use serde_json::json;

use super::{code, containerops, err, out};
use crate::harness::{
    gitea::{self, ModelGitea},
    github::{self, ModelGithub, private_pem},
};

const WIDGET: &str = "acme/widget";
const PUBLIC: &str = "https://ci.example.com";
const CHAT: &str = "https://chat.example.com/hooks";

/// The program, where an operator has set it up for one forge.
struct Operator {
    folder: tempfile::TempDir,
    settings: Vec<(&'static str, String)>,
}

impl Operator {
    fn of_gitea(model: &ModelGitea) -> Self {
        let settings = [("GITEA_URL", model.url()), ("GITEA_TOKEN", gitea::TOKEN.to_owned())];
        Self::new(&settings).with("GITEA_WEBHOOK_SECRET", "the-first the-second")
    }

    fn of_github(model: &ModelGithub) -> Self {
        let settings = [("GITHUB_API_URL", model.api_url().to_owned()), ("GITHUB_TOKEN", github::TOKEN.to_owned())];
        Self::new(&settings).with("GITHUB_WEBHOOK_SECRET", "the-first the-second")
    }

    fn new(settings: &[(&'static str, String)]) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), settings: settings.to_vec() }.with("PUBLIC_URL", PUBLIC)
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.settings.retain(|(known, _)| *known != name);
        self.settings.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &'static str) -> Self {
        self.settings.retain(|(known, _)| *known != name);
        self
    }

    async fn calls(&self, words: &[&str]) -> Output {
        let mut command = containerops(self.folder.path(), &[&["hooks"], words].concat());
        command.envs(self.settings.iter().map(|(name, value)| (format!("CONTAINEROPS_{name}"), value)));
        let done = tokio::task::spawn_blocking(move || command.output().expect("containerops starts"));
        let done = done.await.expect("it ends");
        let all = format!("{}{}", out(&done), err(&done));
        assert!(!all.contains("the-first") && !all.contains(gitea::TOKEN), "{all}");
        done
    }

    /// Its exit code, and all it says.
    async fn says(&self, words: &[&str]) -> String {
        let done = self.calls(words).await;
        format!("{}: {}{}", code(&done).expect("it ends by itself"), out(&done), err(&done))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_of_gitea_is_registered_checked_and_repaired() {
    let model = ModelGitea::start().await;
    model.commit(WIDGET, "main", &[("a", b"1")]);
    model.has_hook(WIDGET, CHAT, |hook| hook.active = false);
    let o = Operator::of_gitea(&model);
    let repo = "gitea/acme/widget";
    let mut story = o.says(&["check", repo]).await;
    story += &o.says(&["add", repo]).await;
    story += &o.says(&["add", repo]).await;
    story += &o.says(&["check", repo]).await;
    let hooks = model.hooks_of(WIDGET);
    assert_eq!((hooks.len(), hooks[1].url.as_str()), (2, "https://ci.example.com/hooks/gitea"));
    assert_eq!((hooks[1].secret.as_str(), hooks[1].active), ("the-first", true));

    // somebody has been at it, and there is another
    model.change_hooks(WIDGET, |hook| {
        if hook.url != CHAT {
            (hook.secret, hook.authorization) = ("changed".to_owned(), "Bearer of-a-proxy".to_owned());
            hook.events.retain(|event| event == "push");
        }
    });
    model.has_hook(WIDGET, "https://CI.example.com:443/hooks/gitea/", |hook| hook.content_type = "form".to_owned());
    story += &o.says(&["check", repo]).await;
    story += &o.says(&["add", repo]).await;
    story += &o.says(&["repair", repo]).await;
    story += &o.says(&["repair", repo]).await;
    story += &o.says(&["check", repo]).await;
    assert_snapshot!(story, @r"
    1: gitea/acme/widget: there is no webhook: nothing tells us of its events
      → containerops hooks add gitea/acme/widget
    0: gitea/acme/widget: a webhook was added; it delivers to https://ci.example.com/hooks/gitea
    0: gitea/acme/widget: its webhook is there already, and delivers to https://ci.example.com/hooks/gitea
    0: gitea/acme/widget: its webhook delivers to https://ci.example.com/hooks/gitea
    1: gitea/acme/widget: the webhook does not tell of: pull_request, pull_request_sync, pull_request_comment
    gitea/acme/widget: 2 webhooks deliver to us: each event arrives as often
      → containerops hooks repair gitea/acme/widget
    1: gitea/acme/widget: the webhook does not tell of: pull_request, pull_request_sync, pull_request_comment
    gitea/acme/widget: 2 webhooks deliver to us: each event arrives as often
      → containerops hooks repair gitea/acme/widget
    0: gitea/acme/widget: its webhook was set again, and 1 beside it removed; it delivers to https://ci.example.com/hooks/gitea
    0: gitea/acme/widget: its webhook was set again; it delivers to https://ci.example.com/hooks/gitea
    0: gitea/acme/widget: its webhook delivers to https://ci.example.com/hooks/gitea
    ");
    let hooks = model.hooks_of(WIDGET);
    assert_eq!(hooks.len(), 2);
    assert!(hooks[0].url == CHAT && !hooks[0].active, "somebody else's is let be");
    assert_eq!((hooks[1].secret.as_str(), hooks[1].content_type.as_str()), ("the-first", "json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_of_github_is_registered_checked_and_repaired() {
    let model = ModelGithub::start().await;
    model.commit(WIDGET, "main", &[("a", b"1")]);
    let o = Operator::of_github(&model);
    let repo = "github/acme/widget";
    let mut story = o.says(&["check", repo]).await;
    story += &o.says(&["add", repo]).await;
    model.change_hooks(WIDGET, |hook| {
        (hook.active, hook.last, hook.secret, hook.insecure_ssl) = (false, Some(502), String::new(), "1".to_owned());
        hook.events = vec!["push".to_owned()];
    });
    story += &o.says(&["check", repo]).await;
    story += &o.says(&["repair", repo]).await;
    story += &o.says(&["check", repo]).await;
    model.hide_hooks();
    story += &o.says(&["repair", repo]).await;
    assert_snapshot!(story, @r"
    1: github/acme/widget: there is no webhook: nothing tells us of its events
      → containerops hooks add github/acme/widget
    0: github/acme/widget: a webhook was added; it delivers to https://ci.example.com/hooks/github
    1: github/acme/widget: the webhook is switched off
    github/acme/widget: the webhook does not tell of: pull_request, issue_comment, pull_request_review, pull_request_review_comment
    github/acme/widget: the webhook's last delivery has failed with 502 (failed to connect to host)
      → containerops hooks repair github/acme/widget
    0: github/acme/widget: its webhook was set again; it delivers to https://ci.example.com/hooks/github
    1: github/acme/widget: the webhook's last delivery has failed with 502 (failed to connect to host)
      → containerops hooks repair github/acme/widget
    1: containerops: github refused (403): Resource not accessible by personal access token; to look after webhooks, we need the permission `Webhooks: read and write` of acme/widget
    ");
    let [hook] = model.hooks_of(WIDGET).try_into().expect("one");
    assert_eq!((hook.secret.as_str(), hook.active, hook.insecure_ssl.as_str()), ("the-first", true, "1"));
    let needed = ["push", "pull_request", "issue_comment", "pull_request_review", "pull_request_review_comment"];
    assert_eq!(hook.events, needed, "what this GitHub does not know is left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apps_own_hook_counts_if_it_delivers_to_us() {
    let model = ModelGithub::start().await;
    model.commit(WIDGET, "main", &[("a", b"1")]);
    let o = Operator::of_github(&model).without("GITHUB_TOKEN").with("GITHUB_APP_ID", "29310");
    let key = o.folder.path().join("app.pem");
    std::fs::write(&key, private_pem()).expect("a file");
    let o = o.with("GITHUB_PRIVATE_KEY_FILE", key.to_str().expect("text"));
    let repo = "github/acme/widget";
    let mut story = o.says(&["check", repo]).await;
    story += &o.says(&["add", "github/acme/gadget"]).await;
    model.app_is(json!({"slug": "containerops", "events": ["push", "pull_request"]}));
    story += &o.says(&["check", repo]).await;
    story += &o.says(&["repair", repo]).await;
    assert_eq!(model.app_secret().as_deref(), Some("the-first"));
    // it delivers elsewhere: the repository may have one of its own, if the App may make it
    model.hook_goes_to("https://elsewhere.example.com/hooks/github");
    story += &o.says(&["add", repo]).await;
    model.app_may_keep_hooks();
    story += &o.says(&["add", repo]).await;
    assert_eq!(model.hooks_of(WIDGET).len(), 1);
    assert_snapshot!(story, @r"
    0: github/acme/widget: its webhook delivers to https://ci.example.com/hooks/github
    1: github/acme/gadget: the App is not installed on acme/gadget; install it there
    1: github/acme/widget: the App does not hear of: check_run, check_suite, merge_group, issue_comment, pull_request_review, pull_request_review_comment; subscribe to it on the App's page
    1: github/acme/widget: its webhook was set again
    github/acme/widget: the App does not hear of: check_run, check_suite, merge_group, issue_comment, pull_request_review, pull_request_review_comment; subscribe to it on the App's page
    1: containerops: github refused (403): Resource not accessible by integration; to look after webhooks, we need the permission `Webhooks: read and write` of acme/widget
    0: github/acme/widget: a webhook was added; it delivers to https://ci.example.com/hooks/github
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named() {
    let model = ModelGitea::start().await;
    model.commit(WIDGET, "main", &[("a", b"1")]);
    let o = Operator::of_gitea(&model).without("PUBLIC_URL");
    let repo = "gitea/acme/widget";
    let mut story = o.says(&["check", repo]).await;
    story += &o.says(&["add", repo, "--url", "https://ci.example.com/sub/"]).await;
    assert_eq!(model.hooks_of(WIDGET)[0].url, "https://ci.example.com/sub/hooks/gitea");
    story += &o.says(&["check", "github/acme/widget", "--url", PUBLIC]).await;
    story += &o.says(&["check", "git/acme/widget", "--url", PUBLIC]).await;
    story += &o.says(&["check", "gitea/acme/nothing", "--url", PUBLIC]).await;
    model.is(|quirks| quirks.admin = false);
    story += &o.says(&["repair", repo, "--url", PUBLIC]).await;
    let o = o.without("GITEA_TOKEN");
    story += &o.says(&["repair", repo, "--url", PUBLIC]).await;
    let o = o.without("GITEA_WEBHOOK_SECRET");
    story += &o.says(&["repair", repo, "--url", PUBLIC]).await;
    assert_snapshot!(story, @r"
    1: containerops: nobody says where forges reach us: set CONTAINEROPS_PUBLIC_URL, or say --url https://ci.example.com
    0: gitea/acme/widget: a webhook was added; it delivers to https://ci.example.com/sub/hooks/gitea
    1: containerops: github is not set up here: see CONTAINEROPS_GITHUB_*
    1: containerops: plain repositories have no webhooks: `containerops git init` makes one whose pushes start runs
    1: containerops: gitea refused (404): The target couldn't be found.; to look after webhooks, the token needs the scope `write:repository`, and its owner to be an administrator of acme/nothing
    1: containerops: gitea refused (403): user should be an owner or a collaborator with admin write of a repository; to look after webhooks, the token needs the scope `write:repository`, and its owner to be an administrator of acme/widget
    1: containerops: to look after webhooks, set CONTAINEROPS_GITEA_TOKEN
    1: containerops: the setting `gitea_webhook_secret`: the secret of its webhooks is missing: `openssl rand -hex 32` makes one
    ");
    for wrong in
        [&["check"][..], &["check", "acme"], &["check", "bitbucket/acme/widget"], &["add", repo, "--url", "ci"]]
    {
        assert_eq!(code(&o.calls(wrong).await), Some(2), "{wrong:?}");
    }
}
