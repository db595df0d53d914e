//! Code that nobody vouches for: what it waits for, who lets it run, and what it can never reach.

mod ends;

use std::{fmt::Write as _, time::Duration};

use containerops::{
    agent::protocol::{Cause, HeartbeatAnswer},
    executor::{ExecutorKind, Isolation},
    model::{Clock, ForgeKind, SecretLevel, SecretLimits, SecretScope, Sha},
};
use insta::assert_snapshot;

use super::SMALL;
use crate::harness::app::{Identity, Tester, WIDGET};

const FORK: &str = "mallory/widget";
const RUN: &str = "containerops/ci/pr";
/// What a fork would rather have run.
const EVIL: &str = "stages: [{name: test, image: alpine, run: ./mine-coins.sh}]";
const DONE: [&str; 1] = ["comment 2740031874: +1"];
const NOTHING: [&str; 0] = [];

impl Tester {
    /// The service with this rule.
    async fn with_rule(rule: &str) -> Self {
        let t = Self::start().await;
        t.set_up(&format!("untrusted = \"{rule}\"\n")).await;
        t
    }

    /// A fork with this flow file opens a pull request.
    async fn fork_opens(&self, flow: &str) -> (u64, Sha) {
        self.commit("main", SMALL);
        let sha = self.github.commit(FORK, "fix", &[(".containerops.yml", flow.as_bytes()), ("a", b"a")]);
        let number = self.github.open_pull_request(WIDGET, "main", FORK, "fix");
        self.deliver(self.github.pull_request(WIDGET, number, "opened")).await;
        self.settle().await;
        (number, sha)
    }

    /// The fork is pushed to.
    async fn fork_pushes(&self, number: u64, file: &[u8]) -> Sha {
        let sha = self.github.commit(FORK, "fix", &[(".containerops.yml", EVIL.as_bytes()), ("a", file)]);
        self.github.moves_pull_request(WIDGET, number);
        self.deliver(self.github.pull_request(WIDGET, number, "synchronize")).await;
        self.settle().await;
        sha
    }

    async fn says(&self, number: u64, login: &str, text: &str) -> String {
        self.deliver(self.github.comment_on_pull(WIDGET, number, login, text)).await;
        self.settle().await;
        self.github.answers().join("\n")
    }

    async fn last(&self) -> String {
        self.deliveries().await.lines().last().unwrap_or_default().to_owned()
    }

    async fn page_of(&self, run: i64) -> String {
        let url = format!("{}/github/{WIDGET}/runs/{run}", self.url());
        self.http.get(url).send().await.expect("an answer").text().await.expect("text")
    }

    /// The first command of the job that has a pod, and how that is kept apart.
    async fn placed_job(&self) -> (Isolation, String) {
        let isolation = self.pods.newest("test.test").expect("a pod").isolation;
        let agent = self.claims("test").await;
        let script = format!("{:?}", agent.work.start);
        agent.exits(0).await;
        (isolation, script)
    }
}

#[tokio::test]
async fn the_code_of_a_fork_waits_until_somebody_has_looked_at_the_commit() {
    let t = Tester::start().await;
    for (login, role) in [("ada", "write"), ("eve", "read")] {
        t.github.allows(login, role);
    }
    let (number, sha) = t.fork_opens(EVIL).await;
    assert_snapshot!(t.runs().await, @"#1 pull_request queued: waits for approval: the code comes from the fork mallory/widget");
    assert_snapshot!(t.checks(&sha), @r"
    action_required containerops/ci/pr: Waits for approval: the code comes from the fork mallory/widget
    queued containerops/ci/pr/test/test: Waits for approval: the code comes from the fork mallory/widget
    ");
    let check = t.check(&sha, RUN);
    assert_eq!(check.buttons, ["approve"]);
    assert!(check.summary.contains(&format!("/approve {sha}")), "{}", check.summary);
    // nothing of it is placed, and nothing fetched
    assert!(t.pods.placed().is_empty());
    assert_eq!(t.newest_run().await.source, None);
    let page = t.page_of(1).await;
    assert!(page.contains("waits for approval: the code comes from the fork mallory/widget"), "{page}");
    assert!(page.contains("run by the flow file of the base branch") && page.contains("mine-coins"), "{page}");

    // whoever may not write is not even answered
    for stranger in ["eve", "mallory"] {
        assert_eq!(t.says(number, stranger, &format!("/approve {sha}")).await, "");
    }
    assert!(t.last().await.contains("mallory may not write to this repository"), "{}", t.last().await);
    // a bare word names no commit, and another commit is not this one
    let bare = t.says(number, "ada", "/approve").await;
    assert!(bare.contains(&format!("Say which commit you have looked at: `/approve {sha}`")), "{bare}");
    let other = t.says(number, "ada", "/approve 0123456789abcdef").await;
    assert!(other.contains(&format!("the newest code here is {}", sha.short())), "{other}");
    assert!(t.pods.placed().is_empty());
    t.restart().await;
    t.settle().await;
    assert!(t.pods.placed().is_empty(), "a restart approves nothing");

    assert_eq!(t.says(number, "ada", &format!("/approve {} looks fine", sha.short())).await, DONE.join("\n"));
    let (isolation, work) = t.placed_job().await;
    assert_eq!(isolation, Isolation::Strict);
    assert!(work.contains("cargo test") && !work.contains("mine-coins"), "the base branch's flow file: {work}");
    assert!(t.runs().await.starts_with("#1 pull_request success"), "{}", t.runs().await);
    let summary = t.check(&sha, RUN).summary;
    assert!(summary.contains("approved by ada (by a comment): looks fine"), "{summary}");
    assert!(t.page_of(1).await.contains("approved by ada (by a comment): looks fine"));
    let again = t.says(number, "ada", &format!("/approve {sha}")).await;
    assert!(again.contains("nothing of this run waits for approval"), "{again}");
    t.checks(&sha);
}

#[tokio::test]
async fn an_approval_dies_with_a_push_and_refuses_what_the_approver_has_not_seen() {
    let t = Tester::start().await;
    let (number, first) = t.fork_opens(SMALL).await;
    let second = t.fork_pushes(number, b"b").await;
    assert_snapshot!(t.runs().await, @r"
    #1 pull_request cancelled: superseded by run #2
    #2 pull_request queued: waits for approval: the code comes from the fork mallory/widget
    ");
    let late = t.says(number, "ada", &format!("/approve {first}")).await;
    assert!(late.contains(&format!("the newest code here is {}", second.short())), "{late}");
    assert!(t.pods.placed().is_empty());
    assert_eq!(t.says(number, "ada", &format!("/approve {second}")).await, DONE.join("\n"));
    assert_eq!(t.pods.placed(), ["test.test"]);
    let agent = t.claims("test").await;
    assert!(agent.work.environments["CO_SHA"] == second.as_str());

    // what was approved is stopped by newer code, which waits anew; the old approval is good for nothing
    let third = t.fork_pushes(number, b"c").await;
    let HeartbeatAnswer::Cancel { by } = agent.hears().await else { panic!("it goes on") };
    agent.ends(Cause::Cancelled { by }).await;
    assert_snapshot!(t.runs().await, @r"
    #1 pull_request cancelled: superseded by run #2
    #2 pull_request cancelled: superseded by run #3
    #3 pull_request queued: waits for approval: the code comes from the fork mallory/widget
    ");
    let (old, new) = (t.run_numbered(2).await, t.run_numbered(3).await);
    let again = t.runs_again(old).await;
    t.settle().await;
    let (again, new) = (t.run(again).await, t.run(new).await);
    assert!(again.reason.starts_with("waits for approval"), "a re-run of older code waits: {}", again.reason);
    let once_more = t.runs_again(again.id).await;
    t.settle().await;
    assert!(t.run(once_more).await.reason.starts_with("waits"), "and so does a re-run of that one");
    assert_eq!(new.sha, third);
    for sha in [&first, &second, &third] {
        t.checks(sha);
    }
}

#[tokio::test]
async fn a_re_run_of_what_was_approved_goes_by_that_approval_as_long_as_nothing_is_newer() {
    let t = Tester::start().await;
    let (number, sha) = t.fork_opens(SMALL).await;
    assert_eq!(t.says(number, "ada", &format!("/approve {sha}")).await, DONE.join("\n"));
    t.run_the_job("test", 1).await;
    t.runs_again(t.newest_run().await.id).await;
    t.settle().await;
    t.run_the_job("test", 0).await;
    assert!(t.runs().await.ends_with("#2 pull_request success\n"), "{}", t.runs().await);
    assert!(t.page_of(2).await.contains("approved by ada"));
    t.checks(&sha);
}

#[tokio::test]
async fn the_button_approves_for_those_who_may_write_and_for_nobody_else() {
    let t = Tester::start().await;
    t.github.allows("ada", "read");
    let (_, sha) = t.fork_opens(SMALL).await;
    let press = t.github.pressed(WIDGET, RUN, "approve");
    t.deliver(press).await;
    t.settle().await;
    assert_snapshot!(t.last().await, @"check_run: nothing: ada may not write to acme/widget");
    assert!(t.pods.placed().is_empty());
    t.github.allows("ada", "maintain");
    t.deliver(t.github.pressed(WIDGET, RUN, "approve")).await;
    t.settle().await;
    assert!(t.last().await.starts_with("check_run: obeyed: ada approved #1 at "), "{}", t.last().await);
    assert_snapshot!(t.audited().await.replace(sha.short(), "SHA"), @r"
    github/ada (button of a GitHub check) approve: SHA of acme/widget: refused: ada may not write to acme/widget
    github/ada (button of a GitHub check) approve: SHA of acme/widget: ada approved #1 at SHA
    ");
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/pr: 1 action in 5 s
    success containerops/ci/pr/test/test: success in 5 s
    ");
}

#[tokio::test]
async fn what_is_rejected_never_runs() {
    let t = Tester::start().await;
    let (number, sha) = t.fork_opens(SMALL).await;
    assert_eq!(t.says(number, "ada", &format!("/reject {sha} mines coins")).await, DONE.join("\n"));
    assert_snapshot!(t.runs().await, @"#1 pull_request cancelled: cancelled by ada (by a comment)");
    t.runs_again(t.newest_run().await.id).await;
    t.settle().await;
    assert!(t.pods.placed().is_empty(), "a re-run of it waits anew");
    t.checks(&sha);
}

#[tokio::test]
async fn untrusted_code_has_no_keys_of_registries_and_is_never_privileged() {
    let t = Tester::start_as(Identity::App, ExecutorKind::Docker).await;
    t.set_up("untrusted = \"always+head\"\nprivileged_images = \"*=alpine\"\n").await;
    let scope =
        SecretScope { forge: ForgeKind::Github, level: SecretLevel::Owner, name: "acme".parse().expect("a name") };
    let keys = r#"{"auths": {"docker.io": {"username": "ada", "password": "sesame"}}}"#.to_owned().into();
    let name = "DOCKER_AUTH_CONFIG".parse().expect("a name");
    let set = t.app().engine.set_secret((&scope, &name), SecretLimits::default(), &keys, "ada").await;
    set.expect("it is set");
    let rights = || {
        let placement = t.pods.newest("test.test").expect("a pod");
        (placement.keys.is_empty(), placement.containers[0].privileged)
    };
    let (_, theirs) = t.fork_opens(EVIL).await;
    assert_eq!(rights(), (true, false), "the fork's");
    t.placed_job().await;
    let ours = t.push("main", EVIL).await;
    assert_eq!(rights(), (false, true), "the repository's own");
    for sha in [theirs, ours] {
        t.checks(&sha);
    }
}

#[tokio::test]
async fn each_rule_does_what_it_says() {
    let mut told = String::new();
    for (rule, contributes) in [
        ("never", true),
        ("approval", true),
        ("contributors", false),
        ("contributors", true),
        ("always", false),
        ("always+head", false),
        ("always acme/*=never", false),
        ("never github:acme/widget=always+head", false),
    ] {
        let t = Tester::with_rule(rule).await;
        if contributes {
            t.github.has_commits_of("mallory");
        }
        let (_, sha) = t.fork_opens(EVIL).await;
        let what = match t.pods.newest("test.test") {
            Some(pod) => {
                assert_eq!(pod.isolation, Isolation::Strict);
                let (_, work) = t.placed_job().await;
                if work.contains("mine-coins") { "runs its own file" } else { "runs the base's file" }
            }
            None if t.runs().await.is_empty() => "nothing",
            None => "waits",
        };
        let _ = writeln!(told, "{rule}, {}: {what}", if contributes { "contributor" } else { "stranger" });
        t.checks(&sha);
    }
    assert_snapshot!(told, @r"
    never, contributor: nothing
    approval, contributor: waits
    contributors, stranger: waits
    contributors, contributor: runs the base's file
    always, stranger: runs the base's file
    always+head, stranger: runs its own file
    always acme/*=never, stranger: nothing
    never github:acme/widget=always+head, stranger: runs its own file
    ");
}

#[tokio::test]
async fn whose_code_it_is_is_the_forges_to_say() {
    let t = Tester::start().await;
    // a fork of somebody who may write is trusted
    t.github.allows("mallory", "write");
    let (number, trusted) = t.fork_opens(SMALL).await;
    assert_eq!(t.placed_job().await.0, Isolation::Usual);
    // but not when somebody else pushes to it
    t.github.is_opened_by(WIDGET, number, "ada");
    t.github.allows("mallory", "read");
    let second = t.fork_pushes(number, b"b").await;
    assert!(t.newest_run().await.reason.starts_with("waits for approval"), "{}", t.runs().await);

    // a branch of the repository itself was pushed by somebody who may write; the flow file is another matter
    t.github.commit(WIDGET, "idea", &[(".containerops.yml", SMALL.as_bytes()), ("b", b"b")]);
    let number = t.github.open_pull_request(WIDGET, "main", WIDGET, "idea");
    t.github.is_opened_by(WIDGET, number, "eve");
    t.deliver(t.github.pull_request(WIDGET, number, "opened")).await;
    t.settle().await;
    assert_eq!(t.placed_job().await.0, Isolation::Usual);
    let idea = t.github.commit(WIDGET, "idea", &[(".containerops.yml", EVIL.as_bytes()), ("b", b"b")]);
    t.github.moves_pull_request(WIDGET, number);
    t.deliver(t.github.pull_request(WIDGET, number, "synchronize")).await;
    t.settle().await;
    let waits = "waits for approval: the code changes the flow file, and eve may not write to the repository";
    let run = t.newest_run().await;
    assert_eq!(run.reason, waits);
    // programs are told what it changes, too
    let api = t.http.get(format!("{}/api/v1/runs/{}", t.url(), run.id)).send().await.expect("an answer");
    let told: serde_json::Value = api.json().await.expect("JSON");
    let diff = told["untrusted"]["flow_diff"].as_str().expect("a diff");
    assert!(diff.starts_with("--- a/.containerops.yml\n+++ b/.containerops.yml\n@@ -1 +1 @@\n-"), "{diff}");
    assert!(diff.contains(&format!("\n+{EVIL}\n")), "{diff}");
    for sha in [&trusted, &second, &idea] {
        t.checks(sha);
    }
}

#[tokio::test]
async fn a_flow_file_of_a_fork_stands_in_nobodys_way_and_starts_and_tells_nobody() {
    const FLOW: &str = "
concurrency: {group: deploy, policy: cancel}
receivers: [{webhook: 'https://mallory.example/hook'}]
stages:
  - {name: own, image: alpine, run: ./own.sh}
  - {name: start, trigger: ci}
  - {name: ship, kubectl: app.yaml, namespace: shop}
";
    let t = Tester::with_rule("always+head").await;
    let flow = format!("concurrency: {{group: deploy, policy: cancel}}\n{SMALL}");
    let main = t.push("main", &flow).await;
    let flow = FLOW.replace("receivers: [{webhook: 'https://mallory.example/hook'}]\n", "");
    let sha = t.github.commit(FORK, "fix", &[(".containerops.yml", flow.as_bytes())]);
    let number = t.github.open_pull_request(WIDGET, "main", FORK, "fix");
    t.deliver(t.github.pull_request(WIDGET, number, "opened")).await;
    t.settle().await;
    let run = t.newest_run().await;
    assert_eq!(run.queue.as_deref(), Some(format!("untrusted pull/{number}: deploy").as_str()));
    t.run_the_job("own", 0).await;
    let checks = t.checks(&sha);
    assert!(checks.contains("trigger jobs run for trusted events only"), "{checks}");
    assert!(t.runs().await.starts_with("#1 push queued"), "the trusted run was left alone: {}", t.runs().await);
    t.run_the_job("test", 0).await;
    t.checks(&main);
    let again = t.fork_flow(number, "stages: [{name: ship, kubectl: app.yaml, namespace: shop}]").await;
    let checks = t.checks(&again);
    assert!(checks.contains("kubectl jobs run for trusted events only"), "{checks}");
}

impl Tester {
    async fn fork_flow(&self, number: u64, flow: &str) -> Sha {
        let sha = self.github.commit(FORK, "fix", &[(".containerops.yml", flow.as_bytes())]);
        self.github.moves_pull_request(WIDGET, number);
        self.deliver(self.github.pull_request(WIDGET, number, "synchronize")).await;
        self.settle().await;
        sha
    }

    async fn run_numbered(&self, number: i64) -> containerops::model::RunId {
        let mut tx = self.app().engine.store.read().await.expect("the database is there");
        let filter = containerops::store::RunFilter { limit: 100, ..Default::default() };
        let runs = tx.runs(&filter).await.expect("runs");
        runs.iter().find(|run| run.number == number).expect("a run of this number").id
    }
}

#[tokio::test]
async fn shell_text_in_names_stays_text() {
    let t = Tester::with_rule("always+head").await;
    t.commit("main", SMALL);
    let branch = "x;touch${IFS}pwned;`id`";
    let sha = t.github.commit(FORK, branch, &[(".containerops.yml", SMALL.as_bytes())]);
    let number = t.github.open_pull_request(WIDGET, "main", FORK, branch);
    t.deliver(t.github.pull_request(WIDGET, number, "opened")).await;
    t.settle().await;
    let agent = t.claims("test").await;
    assert_eq!(agent.work.environments["CO_BRANCH"], branch);
    let program = format!("{:?}", agent.work.start);
    assert!(!program.contains("pwned"), "{program}");
    agent.exits(0).await;
    t.checks(&sha);
}

#[tokio::test]
async fn an_agents_token_is_good_for_its_own_job_on_every_route() {
    let t = Tester::with_rule("always").await;
    let main = t.push("main", SMALL).await;
    let theirs = t.claims("test").await;
    let secret = theirs.work.source.clone().expect("a snapshot");
    let event = theirs.work.environments["CO_TASK_STATUS"].clone();
    let (_, sha) = t.fork_opens(SMALL).await;
    let thief = t.claims("test").await;
    // by its own session it gets its own: a digest of another's is no right to the bytes
    let mine = thief.work.source.clone().expect("a snapshot");
    assert_ne!(secret, mine);
    for (method, route) in [("GET", format!("blobs/{secret}")), ("GET", "caches/deps".to_owned())] {
        let method = method.parse().expect("a method");
        let answer = thief.call(method, &route).send().await.expect("an answer").status();
        assert!(answer.is_client_error(), "{route}: {answer}");
    }
    // another job's event needs that job's own token
    let own = thief.work.environments["CO_TASK_STATUS"].clone();
    let token = |url: &str| url.split("token=").nth(1).expect("a token").to_owned();
    let forged = event.replace(&token(&event), &token(&own));
    let answer = t.http.post(&forged).body("{}").send().await.expect("an answer").status();
    assert_eq!(answer, reqwest::StatusCode::UNAUTHORIZED);
    // and what an agent has is nothing on any other route
    for route in ["/api/v1/runs", "/deliveries"] {
        let get = |bearer: &str| t.http.get(format!("{}{route}", t.url())).bearer_auth(bearer.to_owned()).send();
        let with = get(&token(&own)).await.expect("an answer").status();
        let without = t.http.get(format!("{}{route}", t.url())).send().await.expect("an answer").status();
        assert!(with == without || with.is_client_error(), "{route}: {with}, and {without}");
    }
    thief.exits(0).await;
    theirs.exits(0).await;
    t.checks(&sha);
    t.checks(&main);
    assert_eq!(NOTHING.len(), t.github.answers().len());
}

#[tokio::test]
async fn whoever_has_the_servers_machine_approves_and_sets_rules_there() {
    let t = Tester::start().await;
    // the command has the machine's clock
    t.clock.advance(Clock::System.now().since(t.clock.now()));
    let (_, sha) = t.fork_opens(SMALL).await;
    let call = async |words: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_containerops"));
        let command = command.args(words).current_dir(t.data()).env("CONTAINEROPS_DATA", t.data());
        let command = command.env("CONTAINEROPS_DATABASE_URL", &t.database().url);
        let output = command.env_remove("CONTAINEROPS_CONFIG").output().await.expect("containerops starts");
        let said = |text: Vec<u8>| String::from_utf8(text).expect("text").trim().to_owned();
        (output.status.success(), said(output.stdout), said(output.stderr))
    };
    let other = "0123456789".repeat(4);
    let (good, _, said) = call(&["approve", WIDGET, "1", "--sha", &other, "--as", "ada"]).await;
    assert!(!good && said.contains("and not of 01234567: look at it first"), "{said}");
    let (good, _, said) = call(&["approve", WIDGET, "1", "--sha", sha.as_str(), "--flow", "f00", "--as", "ada"]).await;
    assert!(!good && said.contains("is another one than you have looked at"), "{said}");
    t.settle().await;
    assert!(t.pods.placed().is_empty());
    let approve = ["approve", WIDGET, "1", "--sha", sha.as_str(), "--as", "ada", "--secret", "NPM_READ"];
    let (good, said, trouble) = call(&approve).await;
    assert!(good && said.ends_with("approved"), "{said} {trouble}");
    t.clock.advance(Duration::from_secs(60));
    t.settle().await;
    t.run_the_job("test", 0).await;
    let granted = {
        let (run, mut tx) = (t.newest_run().await, t.app().engine.store.read().await.expect("the database is there"));
        let row = tx.vetting(run.id).await.expect("the database is there").expect("it was vetted");
        row.granted(&run.sha).expect("it was approved")
    };
    assert_eq!(granted.secrets().iter().collect::<Vec<_>>(), ["NPM_READ"]);
    let (good, _, said) = call(&approve).await;
    assert!(!good && said.contains("ada (on the server's machine) has approved it"), "{said}");

    assert_eq!(call(&["policy", WIDGET]).await.1, "approval (by the setting)");
    assert_eq!(call(&["policy", WIDGET, "never", "--as", "ada"]).await.1, "never (by ada)");
    t.deliver(t.github.pull_request(WIDGET, t.number_of_pull().await, "reopened")).await;
    t.settle().await;
    assert!(t.last().await.contains("such code is never run here"), "{}", t.last().await);
    assert_eq!(call(&["policy", WIDGET, "--reset"]).await.1, "approval (by the setting)");
    t.checks(&sha);
}

impl Tester {
    async fn number_of_pull(&self) -> u64 {
        self.newest_run().await.event.pull_request().expect("a pull request").number
    }
}
