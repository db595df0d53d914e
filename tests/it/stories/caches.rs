//! Caches, with the real agent: what a run leaves the next one finds, in its own scope or the nearest one, and nowhere else.

use std::{fs, path::Path, time::Duration};

use containerops::{
    agent::{
        bundle::{Bundle, Part},
        protocol::{CacheAnswer, CacheRequest, NewCache},
    },
    engine::cache::scopes,
    model::{Event, EventKind, ForgeKind, PullRequest, Repository, Trust, UntrustedReason, Visibility},
};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use crate::harness::app::{Tester, WIDGET};

/// Says what it finds, and leaves more.
pub(super) const CACHED: &str = r#"stages:
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
    agent_runs_at(t, action, 0, &t.url()).await
}

/// The same for the job at a place of the action, and with an agent that finds the server at `url`.
pub(super) async fn agent_runs_at(t: &Tester, action: &str, at: usize, url: &str) -> (Option<i32>, String) {
    let pod = t.pods.newest(action).expect("a pod");
    let place = tempfile::tempdir().expect("a directory");
    fs::write(place.path().join("token"), pod.containers[at].token.expose_secret()).expect("a token");
    for name in ["home", "workspace"] {
        fs::create_dir_all(place.path().join(name)).expect("a directory");
    }
    let path = |name: &str| place.path().join(name);
    let mut agent = tokio::process::Command::new(env!("CARGO_BIN_EXE_containerops-agent"));
    agent.args(["job", "--url", url]).arg("--token-file").arg(path("token"));
    agent.arg("--workspace").arg(path("workspace")).arg("--scratch").arg(path("scratch"));
    agent.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", path("home"));
    agent.current_dir(Path::new("/")).kill_on_drop(true);
    let ended = agent.output().await.expect("the agent ends");
    t.settle().await;
    let job = pod.containers[at].job;
    let mut log = Vec::new();
    while let Some(frame) = t.app().engine.frame_at_offset(job, log.len() as u64).await.expect("a log") {
        log.extend(frame.text);
    }
    (ended.status.code(), String::from_utf8(log).expect("text"))
}

async fn push(t: &Tester, branch: &str, lock: &str) {
    t.github.commit(WIDGET, branch, &[(".containerops.yml", CACHED.as_bytes()), ("x.lock", lock.as_bytes())]);
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
        visibility: Visibility::default(),
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

/// Posts one of the original's events by the shell alone.
const FAILS_BY_ITS_OWN_WORD: &str = r#"stages:
  - name: test
    image: i:1
    shell: bash
    run: |
      url=${CO_TASK_STATUS#http://} body='{"INFO": {"status": false}}'
      exec 3<>"/dev/tcp/${url%%:*}/$(echo "${url#*:}" | cut -d/ -f1)"
      printf 'POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "${url#*/}" "${#body}" "$body" >&3
      cat <&3 && mkdir dir
    cache: {paths: dir}
    artifacts: [{name: good, paths: dir}, {name: bad, paths: dir, on: failure}]
"#;

#[tokio::test]
async fn only_an_action_that_ends_well_leaves_a_cache() {
    let t = Tester::start().await;
    let ends_well = "stages: [{name: test, image: \"i:1\", run: mkdir -p dir, cache: {paths: dir}}]";
    for (flow, ends) in [
        (FAILS_BY_ITS_OWN_WORD, "failure: CO_TASK_STATUS = false"),
        (&ends_well.replace("cache", "strict: true, cache"), "failure: no CO_RESULT"),
        (&ends_well.replace("mkdir -p dir", "mkdir dir; exit 1"), "failure: exit code 1"),
        (ends_well, "success"),
        (ends_well, "success"),
    ] {
        let sha = t.push("main", flow).await;
        let (_, log) = agent_runs(&t, "test.test").await;
        let check = t.check(&sha, "containerops/ci/push/test/test");
        assert!(check.title.starts_with(ends), "{}: {log}", check.title);
        let is_kept = log.lines().any(|line| line.starts_with("cache test: ") && line.contains(" kept in "));
        assert_eq!(is_kept, ends == "success", "{log}");
        if flow == FAILS_BY_ITS_OWN_WORD {
            assert!(log.contains("artifact bad: ") && !log.contains("artifact good"), "{log}");
        }
        let is_last = t.newest_run().await.number == 5;
        assert_eq!(log.contains("cache test: missed"), !is_last, "{log}");
    }
    t.read_writes();
}

/// The first of them never runs, and of the last two only one.
const WITH_CONDITIONS: &str = r#"stages:
  - name: test
    cache: {paths: dir}
    jobs:
      - {name: never, image: "i:1", run: x, when: branch == "other"}
      - {name: work, image: "i:1", run: "cat dir/lines || echo nothing; mkdir -p dir; echo work >> dir/lines"}
      - {name: mend, image: "i:1", run: "echo mend >> dir/lines", when: result == "failure"}
      - {name: also, image: "i:1", run: "cat dir/lines || mkdir dir; echo also >> dir/lines", when: result == "always"}
"#;

#[tokio::test]
async fn the_first_job_that_runs_restores_and_what_the_last_one_leaves_counts() {
    let t = Tester::start().await;
    for (found, later_found) in [("nothing\n", "missed"), ("also\n", "hit")] {
        t.push("main", WITH_CONDITIONS).await;
        t.leaves("test.test.never").await;
        let (_, work) = agent_runs_at(&t, "test.test", 1, &t.url()).await;
        assert!(work.contains(found) && work.contains(later_found) && work.contains(" kept in "), "{work}");
        // modelled pods share no workspace: what the later job leaves is its own
        let (_, also) = agent_runs_at(&t, "test.test", 3, &t.url()).await;
        assert!(also.contains(later_found) && also.contains(" kept in "), "{also}");
        assert_eq!(t.newest_run().await.state.conclusion().map(|end| end.to_string()).as_deref(), Some("success"));
    }
    let page = t.http.get(format!("{}/github/acme/widget/runs/2", t.url())).send().await.expect("an answer");
    assert!(page.text().await.expect("text").contains("test: hit, "), "what the first that ran has found is shown");
    t.read_writes();
}

#[tokio::test]
async fn a_cache_whose_key_files_do_not_exist_says_so_and_is_kept_anew() {
    let t = Tester::start().await;
    let flow =
        "stages: [{name: test, image: \"i:1\", run: date > stamp, cache: {key-files: absent.lock, paths: stamp}}]";
    for found in ["missed", "hit by its key"] {
        t.push("main", flow).await;
        let log = runs(&t).await;
        assert!(log.contains("cache test: no file matches absent.lock, so it has no key\n"), "{log}");
        assert!(log.contains(found) && log.contains(" kept in "), "{log}");
    }
    t.read_writes();
}

/// What an agent of the flow's only job finds of a cache with such a key, and that it then leaves one of `length` bytes.
pub(super) async fn finds_and_leaves(t: &Tester, key: &str, length: u64) -> Option<String> {
    t.push("main", "stages: [{name: test, image: \"i:1\", run: x, cache: {key-files: lock, paths: dir}}]").await;
    let agent = t.claims("test").await;
    let request = CacheRequest { name: "test".to_owned(), key: Some(hex::encode(Sha256::digest(key))) };
    let answer = agent.call(Method::POST, "caches").json(&request).send().await.expect("an answer");
    let answer: CacheAnswer = answer.json().await.expect("an answer");
    t.clock.advance(Duration::from_secs(if answer.hit.is_some() { 2 } else { 62 }));
    let data = format!("bytes of {key}");
    let part = Part::of(data.as_bytes());
    let put = agent.call(Method::PUT, &format!("blobs/{}", part.digest)).body(data).send().await.expect("an answer");
    assert_eq!(put.status(), StatusCode::NO_CONTENT);
    let new = NewCache { name: "test".to_owned(), bundle: Bundle { length, parts: vec![part] }, files: 1 };
    let kept = agent.call(Method::POST, "caches/kept").json(&new).send().await.expect("an answer");
    assert_eq!(kept.status(), StatusCode::NO_CONTENT);
    agent.exits(0).await;
    answer.hit.map(|hit| hit.words)
}

#[tokio::test]
async fn a_repositorys_caches_have_a_budget_and_those_that_nobody_finds_go_first() {
    let t = Tester::start().await;
    t.set_up("cache_limit = \"1 MB\"").await;
    for key in ["a", "b", "c", "d", "e"] {
        finds_and_leaves(&t, key, 1_000_000).await;
    }
    let exact = Some("hit by its key of branch main".to_owned());
    assert_eq!(finds_and_leaves(&t, "a", 1_000_000).await, exact, "five have room");
    finds_and_leaves(&t, "f", 1_000_000).await;
    assert_ne!(finds_and_leaves(&t, "b", 1_000_000).await, exact, "b was found least lately");
    assert_eq!(finds_and_leaves(&t, "a", 1_000_000).await, exact);
    t.read_writes();
}

#[tokio::test]
async fn a_cache_that_nobody_has_found_for_two_weeks_goes_and_the_time_it_saved_is_shown() {
    let t = Tester::start().await;
    assert_eq!(finds_and_leaves(&t, "a", 1000).await, None);
    assert!(finds_and_leaves(&t, "a", 1000).await.is_some());
    let page = t.http.get(format!("{}/github/acme/widget/runs/2", t.url())).send().await.expect("an answer");
    let page = page.text().await.expect("text");
    assert!(page.contains("test: hit, 1 kB, 55 s saved"), "{page}");
    for (days, is_there) in [(13, true), (15, false)] {
        t.clock.advance(Duration::from_secs(days * 24 * 3600));
        t.app().engine.tidy().await.expect("it is tidied");
        assert_eq!(finds_and_leaves(&t, "a", 1000).await.is_some(), is_there, "after {days} days");
    }
    t.read_writes();
}

#[tokio::test]
async fn what_a_failed_action_has_put_is_forgotten() {
    let t = Tester::start().await;
    t.push("main", "stages: [{name: test, image: \"i:1\", run: x, cache: {paths: dir}}]").await;
    let agent = t.claims("test").await;
    let request = CacheRequest { name: "test".to_owned(), key: Some("0".repeat(64)) };
    agent.call(Method::POST, "caches").json(&request).send().await.expect("an answer");
    let part = Part::of(b"bytes");
    agent.call(Method::PUT, &format!("blobs/{}", part.digest)).body("bytes").send().await.expect("an answer");
    let digest = part.digest.clone();
    let new = NewCache { name: "test".to_owned(), bundle: Bundle { length: 1, parts: vec![part] }, files: 1 };
    for _ in 0..2 {
        let kept = agent.call(Method::POST, "caches/kept").json(&new).send().await.expect("an answer");
        assert_eq!(kept.status(), StatusCode::NO_CONTENT, "a call may be repeated");
    }
    let needs = async || t.app().engine.store.read().await.expect("rows").needs_blob(&digest).await.expect("rows");
    t.app().engine.tidy().await.expect("it is tidied");
    assert!(needs().await, "its action may still end well");
    agent.exits(1).await;
    t.app().engine.tidy().await.expect("it is tidied");
    assert!(!needs().await);
    t.read_writes();
}
