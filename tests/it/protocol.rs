//! The agent protocol, as agents of earlier releases speak it: a server that was upgraded under their running pods
//! understands them, and they it.

use containerops::{
    agent::protocol::{
        self, Cause, Chores, ClaimAnswer, ClaimRequest, EndRecord, HeartbeatAnswer, LeftOut, LogAnswer, LogSeal,
        Stretch,
    },
    model::{JobId, Time},
};
use insta::assert_snapshot;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::harness::app::Tester;

const FLOW: &str = r#"stages: [{name: test, image: "cc:1", run: make, outputs: [VERSION]}]"#;
const SESSION: &str = "5e55105e55105e55105e55105e55105e55105e55105e55105e55105e55105e55";
/// As the first release's agents speak. Nothing in it may be changed as long as the server speaks with them.
const CONVERSATION: &str = include_str!("../../fixtures/agent/v1/conversation.json");

/// One call, as an agent of that release makes it, and what it needs of the answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    what: String,
    /// Method, and the path below `/agent/v1/`.
    call: String,
    bearer: String,
    #[serde(default)]
    body: String,
    body_hex: Option<String>,
    status: u16,
    /// Fields that must be there; `<text>`, `<number>` and `<list>` stand for any.
    answer: Option<Value>,
}

/// What differs from conversation to conversation.
struct Names {
    token: String,
    job: String,
    source: String,
}

impl Names {
    fn fill(&self, text: &str) -> String {
        let text = text.replace("{token}", &self.token).replace("{session}", SESSION);
        text.replace("{job}", &self.job).replace("{source}", &self.source)
    }
}

async fn names(t: &Tester) -> Names {
    let pod = t.pods.newest("test.test").expect("a pod");
    let source = t.newest_run().await.source.expect("a source");
    let [container] = pod.containers.as_slice() else { panic!("one job has one container") };
    Names { token: container.token.expose_secret().to_owned(), job: container.job.to_string(), source }
}

fn fits(pattern: &Value, value: &Value) -> bool {
    match (pattern, value) {
        (Value::String(any), _) if any == "<text>" => value.is_string(),
        (Value::String(any), _) if any == "<number>" => value.is_number(),
        (Value::String(any), _) if any == "<list>" => value.is_array(),
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.iter().all(|(key, wanted)| found.get(key).is_some_and(|found| fits(wanted, found)))
        }
        (pattern, value) => pattern == value,
    }
}

fn conversation() -> Vec<Step> {
    serde_json::from_str(CONVERSATION).expect("a conversation")
}

#[test]
fn the_longest_record_fits_into_what_a_kubelet_keeps_of_it() {
    let time = Time::from_millis(99_999_999_999_999);
    let stretch = Some(Stretch(time, time));
    let record = EndRecord {
        job: JobId::from_i64(i64::MAX),
        // JSON writes each of these with six characters
        cause: Cause::NotPrepared { message: "\u{1}".repeat(300) },
        started: Some(time),
        ended: time,
        result: Some("\u{1}".repeat(200)),
        memory_peak: Some(u64::MAX),
        memory_limit: Some(u64::MAX),
        oom_kills: u64::MAX,
        log: LogSeal {
            length: u64::MAX,
            lines: u64::MAX,
            sha256: "0".repeat(64),
            left_out: Some(LeftOut { line: u64::MAX, bytes: u64::MAX, lines: u64::MAX }),
            lost: u64::MAX,
        },
        ready: Some(time),
        chores: Chores {
            source: stretch,
            restore: stretch,
            download: stretch,
            report: stretch,
            upload: stretch,
            save: stretch,
        },
    };
    let written = serde_json::to_string(&record).expect("JSON");
    assert!(written.len() <= 4096, "{}", written.len());
    assert_eq!(serde_json::from_str::<EndRecord>(&written).expect("the record"), record);
}

#[tokio::test]
async fn agents_of_the_first_release_are_understood() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    let names = names(&t).await;
    for step in conversation() {
        let (method, path) = step.call.split_once(' ').expect("a method and a path");
        let url = format!("{}/agent/v1/{}", t.url(), names.fill(path));
        let method: Method = method.parse().expect("a method");
        let call = t.http.request(method, url).bearer_auth(names.fill(&step.bearer));
        let call = match &step.body_hex {
            Some(bytes) => call.body(hex::decode(bytes).expect("bytes")),
            None if step.body.is_empty() => call,
            None => call.header("content-type", "application/json").body(names.fill(&step.body)),
        };
        let answer = call.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), step.status, "{}", step.what);
        if let Some(wanted) = &step.answer {
            let wanted = names.fill(&wanted.to_string());
            let found: Value = answer.json().await.expect("JSON");
            assert!(fits(&wanted.parse().expect("JSON"), &found), "{}: {found} is not {wanted}", step.what);
        }
    }
    t.settle().await;
    assert_snapshot!(t.attempts().await, @"test/test 1: success (32 bytes)");
    t.read_writes();
}

#[test]
fn what_the_other_side_has_added_is_ignored() {
    let claim = json!({"protocol": 1, "version": "9.9", "session": SESSION, "mood": "good"});
    assert!(serde_json::from_value::<ClaimRequest>(claim).is_ok());
    for step in conversation().iter().filter(|step| step.call == "POST end") {
        let mut end: Value = step.body.replace("{job}", "0000000000007").parse().expect("JSON");
        end["weather"] = json!({"rain": true});
        assert!(serde_json::from_value::<EndRecord>(end).is_ok());
    }
    let work = json!({"answer": "run", "job": "0000000000007", "start": {"script": "make"}, "environments": {},
        "source": null, "timeout": {"secs": 1, "nanos": 0}, "outputs": [], "masks": [], "colour": "blue"});
    assert!(serde_json::from_value::<ClaimAnswer>(work).is_ok());
    assert!(serde_json::from_value::<HeartbeatAnswer>(json!({"answer": "go_on", "until": 7})).is_ok());
    assert!(serde_json::from_value::<LogAnswer>(json!({"length": 7, "kept": 5})).is_ok());
}

#[tokio::test]
async fn an_agent_of_another_time_is_refused_in_words_that_say_what_to_do() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    let names = names(&t).await;
    let claim = |protocol: u32, session: &str| {
        let body = json!({"protocol": protocol, "version": "9.9", "session": session});
        t.http.post(format!("{}/agent/v1/claim", t.url())).bearer_auth(&names.token).json(&body).send()
    };
    let answer = claim(protocol::VERSION + 1, SESSION).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let words = answer.text().await.expect("words");
    assert!(words.contains("CONTAINEROPS_KUBERNETES_AGENT_IMAGE"), "{words}");
    let attempts = t.attempts().await;
    assert!(
        attempts.starts_with(&format!("test/test 1: infrastructure: executor failed: {}", words.trim())),
        "{attempts}"
    );
    t.read_writes();
}

#[tokio::test]
async fn an_older_agent_is_not_given_what_it_would_silently_leave_out() {
    for (does, is_given) in [
        ("run: make", true),
        ("run: make\n    shell: python", false),
        ("run: make\n    cache: {paths: [target]}", false),
        ("run: make\n    artifacts: {paths: out}", false),
        ("run: make\n    reports: {junit: out.xml}", false),
    ] {
        let t = Tester::start().await;
        t.push("main", &format!("stages:\n  - name: test\n    image: cc:1\n    {does}\n")).await;
        let names = names(&t).await;
        let claim = json!({"protocol": 1, "version": "0.0.1", "session": SESSION});
        let call = t.http.post(format!("{}/agent/v1/claim", t.url())).bearer_auth(&names.token).json(&claim);
        let answer = call.send().await.expect("an answer");
        assert_eq!(answer.status() == StatusCode::OK, is_given, "{does}");
        if !is_given {
            let (words, attempts) = (answer.text().await.expect("words"), t.attempts().await);
            assert!(words.contains("CONTAINEROPS_KUBERNETES_AGENT_IMAGE"), "{words}");
            assert!(
                attempts.starts_with(&format!("test/test 1: infrastructure: executor failed: {}", words.trim())),
                "{attempts}"
            );
        }
        t.read_writes();
    }
}

#[tokio::test]
async fn a_found_token_ends_nothing() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    let agent = t.claims("test").await;
    let names = names(&t).await;
    let body = json!({"protocol": 99, "version": "9.9", "session": SESSION});
    let call = t.http.post(format!("{}/agent/v1/claim", t.url())).bearer_auth(&names.token).json(&body);
    assert_eq!(call.send().await.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    agent.exits(0).await;
    assert_snapshot!(t.attempts().await, @"test/test 1: success (0 bytes)");
    t.read_writes();
}
