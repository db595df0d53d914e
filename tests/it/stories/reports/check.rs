//! `containerops report check`, as its users call it, beside a service that runs and after it.

use std::process::{Command, Output};

use containerops::executor::ExecutorKind;
use insta::assert_snapshot;

use crate::{
    harness::{
        app::{Identity, Tester},
        github::TOKEN,
    },
    stories::{RUN, SMALL},
};

impl Tester {
    /// Calls `containerops report check` with these words, with the service's settings.
    async fn report_check(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_containerops"));
        command.args(["report", "check"]).args(words).current_dir(self.data());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CONTAINEROPS_")) {
            command.env_remove(name);
        }
        for (name, value) in [
            ("DATA", self.data().display().to_string().as_str()),
            ("DATABASE_URL", self.database().url.as_str()),
            ("GITHUB_WEBHOOK_SECRET", "a secret"),
            ("GITHUB_TOKEN", TOKEN),
            ("GITHUB_API_URL", self.github.api_url()),
        ] {
            command.env(format!("CONTAINEROPS_{name}"), value);
        }
        let called = tokio::task::spawn_blocking(move || command.output().expect("containerops starts"));
        let Output { status, stdout, stderr } = called.await.expect("no panic");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status.code(), text(stdout), text(stderr))
    }
}

#[tokio::test]
async fn all_three_agree_or_it_is_said_where_they_do_not() {
    let t = Tester::start_as(Identity::Token, ExecutorKind::Process).await;
    let sha = t.push("main", SMALL).await;
    t.run_the_job("test", 1).await;
    let (code, out, err) = t.report_check(&["acme/widget", &sha.as_str()[..8]]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_snapshot!(out.replace(sha.as_str(), "SHA"), @r"
    github/acme/widget SHA

    context                         wanted   acknowledged  the forge has
    containerops/ci/push            failure  failure       failure        agrees
    containerops/ci/push/test/test  failure  failure       failure        agrees
    ");

    t.github.somebody_posts(&sha, RUN, "success");
    t.github.somebody_posts(&sha, "containerops/old/push", "success");
    t.github.somebody_posts(&sha, "another/service", "failure");
    let (code, out, _) = t.report_check(&["github/acme/widget", sha.as_str()]).await;
    assert_eq!(code, Some(1));
    assert_snapshot!(out.replace(sha.as_str(), "SHA"), @r"
    github/acme/widget SHA

    context                         wanted   acknowledged  the forge has
    containerops/ci/push            failure  failure       success        differs
        wanted: failure in test/test: exit code 1
        acknowledged: failure in test/test: exit code 1
        the forge has: by hand
    containerops/ci/push/test/test  failure  failure       failure        agrees
    containerops/old/push           –        –             success        differs
        the forge has: by hand
        no run of this database has reported this
    ");

    let (code, out, _) = t.report_check(&["acme/widget", sha.as_str(), "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &json["agree"]), (Some(1), &false.into()));
    t.app().engine.store.close().await;
    let (_, stopped, err) = t.report_check(&["acme/widget", sha.as_str(), "--json"]).await;
    assert_eq!((stopped, err.as_str()), (out, ""), "the service need not run");
    let of_run = &json["reports"][0];
    assert_eq!(of_run["context"], RUN);
    assert_eq!(
        (&of_run["wanted"]["progress"]["conclusion"], &of_run["forge"]["state"]),
        (&"failure".into(), &"success".into())
    );
    t.read_writes();
}

#[tokio::test]
async fn what_was_not_told_is_said_with_its_reason() {
    let t = Tester::start_as(Identity::Token, ExecutorKind::Process).await;
    let sha = t.push("main", SMALL).await;
    t.github.fail_next(1, 403);
    t.run_the_job("test", 0).await;
    let (code, out, _) = t.report_check(&["acme/widget", sha.as_str()]).await;
    assert_eq!(code, Some(1));
    assert!(out.contains("github refused (403): on demand; next try in "), "{out}");
    t.github.fail_next(10, 502);
    let (code, out, _) = t.report_check(&["acme/widget", sha.as_str()]).await;
    assert_eq!(code, Some(1));
    assert!(out.contains("nobody knows what the forge has: github is away: it answered 502"), "{out}");
    t.read_writes();
}

#[tokio::test]
async fn what_cannot_be_checked_is_named() {
    let t = Tester::start_as(Identity::Token, ExecutorKind::Process).await;
    let sha = t.push("main", SMALL).await;
    for (words, reason) in [
        (["acme/gadget", sha.as_str()], "there is no repository acme/gadget: none of that name has had an event"),
        (["git/acme/widget", sha.as_str()], "there is no repository git/acme/widget"),
        (["acme/widget", "0123456789"], "nothing was ever to be reported on a commit 0123456789 of github/acme/widget"),
        (["acme/widget", "main"], "`main` names no commit: 4 to 64 hexadecimal digits are expected"),
        (["acme widget", sha.as_str()], "`acme widget` is no repository name"),
    ] {
        let (code, out, err) = t.report_check(&words).await;
        assert_eq!((code, out.as_str()), (Some(1), ""), "{words:?}");
        assert!(err.starts_with("containerops: ") && err.contains(reason), "{err}");
    }
    t.read_writes();
}
