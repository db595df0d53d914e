//! Caches, with the real agent: what a run leaves the next one finds, in its own scope or the nearest one, and nowhere else.

use std::{fs, path::Path};

use containerops::{
    agent::{
        bundle::{Bundle, Part},
        protocol::{CacheAnswer, CacheRequest, NewCache},
    },
    engine::cache::scopes,
    model::{Event, EventKind, ForgeKind, PullRequest, Repository, Trust, UntrustedReason},
};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;

use crate::harness::app::{Tester, WIDGET};

/// Says what it finds, and leaves more.
const FLOW: &str = r#"stages:
  - name: test
    image: i:1
    run: |
      cat ~/.dep/lines dir/lines 2>/dev/null || echo nothing
      mkdir -p ~/.dep dir && echo home >> ~/.dep/lines && echo work >> dir/lines && chmod 640 dir/lines
    cache: [{name: deps, key-files: ["*.lock"], paths: [~/.dep, dir]}]
"#;

/// Runs the real agent for the only job of the flow's only stage: what it prints. It must go well.
async fn runs(t: &Tester) -> String {
    let (code, log) = agent_runs(t, "test.test").await;
    assert_eq!(code, Some(0), "{log}");
    log
}

/// Runs the real agent for the only job of an action of the newest run: its exit code, and the job's log.
pub(super) async fn agent_runs(t: &Tester, action: &str) -> (Option<i32>, String) {
    let pod = t.pods.newest(action).expect("a pod");
    let place = tempfile::tempdir().expect("a directory");
    fs::write(place.path().join("token"), pod.containers[0].token.expose_secret()).expect("a token");
    fs::create_dir_all(place.path().join("home")).expect("a home");
    let path = |name: &str| place.path().join(name);
    let mut agent = tokio::process::Command::new(env!("CARGO_BIN_EXE_containerops-agent"));
    agent.args(["job", "--url", &t.url()]).arg("--token-file").arg(path("token"));
    agent.arg("--workspace").arg(path("workspace")).arg("--scratch").arg(path("scratch"));
    agent.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", path("home"));
    agent.current_dir(Path::new("/")).kill_on_drop(true);
    let ended = agent.output().await.expect("the agent ends");
    t.settle().await;
    let run = t.newest_run().await.id;
    let job = t.app().engine.store.read().await.expect("rows").jobs_of_run(run).await.expect("jobs")[0].id;
    let mut log = Vec::new();
    while let Some(frame) = t.app().engine.frame_at_offset(job, log.len() as u64).await.expect("a log") {
        log.extend(frame.text);
    }
    (ended.status.code(), String::from_utf8(log).expect("text"))
}

async fn push(t: &Tester, branch: &str, lock: &str) {
    t.github.commit(WIDGET, branch, &[(".containerops.yml", FLOW.as_bytes()), ("x.lock", lock.as_bytes())]);
    t.deliver(t.github.push(WIDGET, branch)).await;
    t.settle().await;
}

#[tokio::test]
async fn a_cache_is_found_by_its_key_or_the_newest_of_the_branch_or_of_the_default_branch() {
    let t = Tester::start().await;
    push(&t, "main", "1").await;
    let first = runs(&t).await;
    assert!(first.contains("cache deps: missed, there is none yet\n") && first.contains("nothing\n"), "{first}");
    assert!(first.contains("cache deps: ") && first.contains(" kept in "), "{first}");

    push(&t, "main", "1").await;
    let second = runs(&t).await;
    assert!(second.contains("cache deps: hit by its key of branch main, 10 bytes in 4 files"), "{second}");
    assert!(
        second.contains("home\nwork\n") && second.contains("cache deps: it is the one of this key already"),
        "{second}"
    );

    push(&t, "main", "2").await;
    let third = runs(&t).await;
    assert!(third.contains("cache deps: hit, the newest of branch main"), "{third}");

    push(&t, "side", "3").await;
    let side = runs(&t).await;
    assert!(side.contains("cache deps: hit, the newest of branch main"), "{side}");
    assert!(side.contains("home\nhome\nwork\nwork\n"), "the newest is that of the third run: {side}");

    push(&t, "side", "3").await;
    assert!(runs(&t).await.contains("hit by its key of branch side"));
    push(&t, "main", "3").await;
    assert!(runs(&t).await.contains("hit, the newest of branch main"), "what another branch left is not seen");
    let page = t.http.get(format!("{}/github/acme/widget/runs/2", t.url())).send().await.expect("an answer");
    assert!(page.text().await.expect("text").contains("deps: hit, "));
    t.read_writes();
}

#[test]
fn a_pull_request_reads_its_base_and_writes_for_itself_alone() {
    let repository = Repository {
        forge: ForgeKind::Github,
        name: WIDGET.parse().expect("a name"),
        default_branch: "main".to_owned(),
        clone_url: String::new(),
        web_url: String::new(),
        installation: None,
    };
    let kind = EventKind::PullRequest(PullRequest {
        number: 5,
        branch: "fix".to_owned(),
        base: "release".to_owned(),
        head_repository: None,
        author: "ada".to_owned(),
        draft: false,
        before: None,
        labels: Vec::new(),
    });
    let sha = "0".repeat(40).parse().expect("a sha");
    let (actor, title) = (String::new(), String::new());
    let pull = Event { repository, kind, sha, base_sha: None, actor, title, trust: Trust::Trusted, message: None };
    assert_eq!(scopes(&pull), ["pull request 5", "branch release", "branch main"]);
    let untrusted = Event { trust: Trust::Untrusted(UntrustedReason::Fork("x/y".to_owned())), ..pull };
    assert_eq!(scopes(&untrusted)[0], "untrusted pull request 5", "trusted code never reads what it has left");
}

#[tokio::test]
async fn an_agent_keeps_only_what_its_action_has() {
    let t = Tester::start().await;
    push(&t, "main", "1").await;
    let agent = t.claims("test").await;
    let ask = async |name: &str, key: Option<&str>| {
        let request = CacheRequest { name: name.to_owned(), key: key.map(str::to_owned) };
        agent.call(Method::POST, "caches").json(&request).send().await.expect("an answer")
    };
    let keep = async |bundle: Bundle| {
        let new = NewCache { name: "deps".to_owned(), bundle, files: 1 };
        agent.call(Method::POST, "caches/kept").json(&new).send().await.expect("an answer").status()
    };
    let foreign = Bundle { length: 1, parts: vec![Part::of(b"x")] };
    assert_eq!(ask("other", Some(&"0".repeat(64))).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(ask("deps", Some("short")).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(keep(Bundle::default()).await, StatusCode::BAD_REQUEST, "it has not asked for one");
    let answer: CacheAnswer = ask("deps", Some(&"0".repeat(64))).await.json().await.expect("an answer");
    assert_eq!(answer.hit, None);
    assert_eq!(keep(foreign).await, StatusCode::BAD_REQUEST, "it has not put its parts");
    agent.exits(0).await;
    t.read_writes();
}
