//! The known attacks that no other story tells: each by its name. ARCHITECTURE.md names the test of every other one.

use std::{collections::BTreeMap, net::SocketAddr};

use containerops::{
    agent::protocol::{self, Cause, ClaimRequest, EndRecord, HeartbeatAnswer},
    app::Exposure,
    executor::{
        Executor as _, Process, UntrustedCode,
        docker::{Docker, DockerSettings},
        kubernetes::{Kubernetes, KubernetesSettings},
    },
    model::{Conclusion, JobId},
    settings::Settings,
    store::Tx,
};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

use super::{
    SMALL,
    caches::{CACHED, agent_runs, agent_runs_at},
    kubectl::KUBECONFIG,
};
use crate::harness::{
    agent::Agent,
    app::{Tester, WIDGET},
    place::Machine,
    server::Server,
};

const FORK: &str = "mallory/widget";
/// A job that has all that a job can have.
const RICH: &str = r#"stages:
  - name: test
    image: i:1
    run: ./test.sh
    outputs: [version]
    cache: [{name: deps, key-files: ["*.lock"], paths: [dir]}]
    artifacts: [{name: bin, paths: [out]}]
"#;

impl Tester {
    /// A fork's pull request of this file, which the rule lets run. Its number.
    async fn fork_comes_with(&self, lock: &str) -> u64 {
        self.github.commit(FORK, "fix", &[("x.lock", lock.as_bytes()), ("a", lock.as_bytes())]);
        let number = self.github.open_pull_request(WIDGET, "main", FORK, "fix");
        self.deliver(self.github.pull_request(WIDGET, number, "opened")).await;
        self.settle().await;
        number
    }

    /// All that the database has of a job.
    async fn all_of(&self, job: JobId) -> String {
        let mut tx: Tx = self.app().engine.store.read().await.expect("the database is there");
        let row = tx.job(job).await.expect("the database").expect("a job");
        let outputs: Vec<(String, String)> =
            tx.outputs(job).await.expect("outputs").into_iter().map(|output| (output.name, output.value)).collect();
        let artifacts = tx.artifacts(job).await.expect("artifacts").len();
        format!("{:?} {:?} {} {outputs:?} {artifacts}", row.state.0, row.record, row.log_length)
    }
}

/// A call as whoever wants something of another's job: with its ids in every place.
fn with_ids(request: RequestBuilder, path: &str, (job, own): (JobId, &Agent<'_>)) -> RequestBuilder {
    match path {
        "/claim" => request.json(&ClaimRequest {
            protocol: protocol::VERSION,
            version: "theft".to_owned(),
            session: "a session of the thief's".to_owned(),
        }),
        "/end" => request.json(&EndRecord { job, ..own.record(Cause::Exit { code: 0 }) }),
        "/outputs" => request.json(&json!({"outputs": {"version": "evil"}})),
        "/caches" => request.json(&json!({"name": "deps", "key": "0".repeat(64)})),
        "/caches/kept" => request.json(&json!({"name": "deps", "bundle": {"length": 1, "parts": []}, "files": 1})),
        "/artifacts" => request.json(&json!({"name": "bin", "bundle": {"length": 0, "parts": []}, "entries": []})),
        "/log" => request.body("evil"),
        _ => request.body("{}"),
    }
}

#[tokio::test]
async fn a_job_that_reads_the_agents_token_gets_nowhere_with_another_jobs_ids() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    t.set_up("untrusted = \"always\"\n").await;
    t.push("main", RICH).await;
    let victim =
        t.claims("test").await.says("a line of the victim's\n").await.leaves("bin", "out", "of the victim").await;
    let (job, source) = (victim.work.job, victim.work.source.clone().expect("a snapshot"));
    t.fork_comes_with("1").await;
    let thief = t.claims("test").await;
    let before = t.all_of(job).await;
    // all that a job can find out: its own agent's token and session, and whatever names another's job and bytes
    let keys = [
        ("nothing", String::new()),
        ("the token of its own first claim", thief.token().to_owned()),
        ("the other job's id", job.to_string()),
        ("the hash of the other's session", containerops::engine::hash(victim.session())),
        ("its own session", thief.session().to_owned()),
    ];
    let mut tried = 0;
    for (method, path) in containerops::web::agent_calls() {
        for (what, key) in &keys {
            let filled = path
                .replace("{digest}", &source)
                .replace("{name}", if path.contains("events") { "CO_TASK_STATUS" } else { "deps" });
            let query = if path == "/log" { "?offset=0".to_owned() } else { format!("?job={job}&token={key}&wait=0") };
            let request = t.http.request(method.clone(), format!("{}/agent/v1{filled}{query}", t.url()));
            let request = if key.is_empty() { request } else { request.bearer_auth(key) };
            let answer = with_ids(request, path, (job, &thief)).send().await.expect("an answer");
            let (status, body) = (answer.status(), answer.bytes().await.expect("bytes"));
            let case = format!("{method} {path} with {what}: {status} {}", String::from_utf8_lossy(&body));
            let own = *what == "its own session";
            assert!(own || status.is_client_error(), "{case}");
            assert!(!own || !matches!(path, "/end" | "/blobs/{digest}") || status.is_client_error(), "{case}");
            assert!(!String::from_utf8_lossy(&body).contains("victim"), "{case}");
            assert_eq!(t.all_of(job).await, before, "{case}");
            tried += 1;
        }
    }
    assert!(tried >= 14 * 5, "{tried}");
    // the other goes on, and what the thief has done with its own session is the thief's own
    assert_eq!(victim.hears().await, HeartbeatAnswer::GoOn);
    victim.claims_again().await;
    let mine = t.newest_run().await;
    victim.exits(0).await;
    assert_eq!(t.run(mine.id).await.state.0.conclusion(), None, "its own job runs on");
    for path in ["/api/v1/me", "/api/v1/runs", "/deliveries", "/audit"] {
        let get = |key: &str| t.http.get(format!("{}{path}", t.url())).bearer_auth(key).send();
        t.set_up("access = \"forge\"\nuntrusted = \"always\"\n").await;
        for key in [thief.token(), thief.session()] {
            assert_eq!(get(key).await.expect("an answer").status(), StatusCode::UNAUTHORIZED, "{path}");
        }
    }
}

#[tokio::test]
async fn a_cache_that_a_fork_has_poisoned_is_found_by_that_fork_alone() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    t.set_up("untrusted = \"always\"\n").await;
    let push = async |lock: &str| {
        t.github.commit(WIDGET, "main", &[(".containerops.yml", CACHED.as_bytes()), ("x.lock", lock.as_bytes())]);
        t.deliver(t.github.push(WIDGET, "main")).await;
        t.settle().await;
        agent_runs(&t, "test.test").await.1
    };
    assert!(push("1").await.contains("missed, there is none yet"));
    // a fork finds its base's cache, and leaves its own, by a key that the base has not yet
    t.fork_comes_with("2").await;
    let (_, fork) = agent_runs(&t, "test.test").await;
    assert!(fork.contains("hit, the newest of branch main") && fork.contains(" kept in "), "{fork}");
    // the base comes to the same key, and does not find it
    let base = push("2").await;
    assert!(base.contains("hit, the newest of branch main") && !base.contains("by its key"), "{base}");
    assert_eq!(base.matches("home\n").count(), 1, "what the fork has put there is not there: {base}");
    // the fork's next run finds its own
    t.runs_again(t.run_of_fork().await).await;
    t.settle().await;
    let (_, again) = agent_runs(&t, "test.test").await;
    assert!(again.contains("hit by its key of untrusted pull request"), "{again}");
    // another fork's does not
    t.github.commit("eve/widget", "fix", &[("x.lock", b"2"), ("a", b"other")]);
    let number = t.github.open_pull_request(WIDGET, "main", "eve/widget", "fix");
    t.deliver(t.github.pull_request(WIDGET, number, "opened")).await;
    t.settle().await;
    let (_, other) = agent_runs(&t, "test.test").await;
    assert!(other.contains("hit by its key of branch main"), "{other}");
}

impl Tester {
    async fn run_of_fork(&self) -> containerops::model::RunId {
        let mut tx = self.app().engine.store.read().await.expect("the database is there");
        let filter = containerops::store::RunFilter { limit: 100, ..Default::default() };
        let runs = tx.runs(&filter).await.expect("runs");
        runs.iter().find(|run| run.event.trusted().is_none()).expect("a fork's").id
    }
}

#[tokio::test]
async fn the_shell_text_of_a_branch_or_a_title_runs_nothing() {
    let mut server = Server::at(Machine).await;
    let proof = format!("pwned-{}", std::process::id());
    let command = format!("touch${{IFS}}{proof}");
    let branch = format!("x;{command};`{command}`;$({command})");
    let title = format!("'; {command}; \" $({command}) `{command}` <script>alert(1)</script>");
    // carelessly, as people write it
    let flow = "on: [push]\nstages:\n  - {name: test, image: busybox, run: 'echo to $CO_BRANCH of $CO_FLOW; env | grep -c ^CO_'}\n";
    let run = server.push_to(&branch, &title, flow).await;
    let story = server.end(run).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
    let log = server.text(&story, "test/test/test").await;
    assert!(log.starts_with(&format!("to {branch} of ")), "the text as it is: {log}");
    assert_eq!((story.run.event.branch(), story.run.event.title.as_str()), (Some(branch.as_str()), title.as_str()));
    let found = |root: &std::path::Path| walked(root).into_iter().find(|path| path.ends_with(&proof));
    // wherever it was run: by the server, by git and its hooks, by the job
    assert_eq!(found(&server.data()), None);
    assert!(!std::path::Path::new(&proof).exists() && !std::env::temp_dir().join(&proof).exists());
    let page = reqwest::get(format!("{}/git/acme/shop/runs/{}", server.url(), story.run.number)).await.expect("a page");
    let page = page.text().await.expect("text");
    assert!(page.contains("&lt;script&gt;") || page.contains("&#60;script&#62;"), "{page}");
    assert!(!page.contains("<script>alert"));
    server.kill().await;
}

/// Every file below a directory.
fn walked(root: &std::path::Path) -> Vec<std::path::PathBuf> {
    let (mut found, mut waiting) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

#[tokio::test]
async fn an_executor_that_keeps_nothing_apart_runs_no_untrusted_code() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let directory = tempfile::tempdir().expect("a directory");
    let process = || Process::new(directory.path().join("attempts"), vec!["agent".into()]);
    let docker = |untrusted| {
        let new = DockerSettings::new("unix:///nowhere.sock", "agent");
        Docker::connect(DockerSettings { untrusted, ..new }).expect("nobody is asked yet")
    };
    for refused in [process().unable_to_isolate(), docker(UntrustedCode::Refused).unable_to_isolate()] {
        assert!(refused.is_some_and(|unable| unable.message.starts_with("untrusted code would ")));
    }
    assert_eq!(process().with(UntrustedCode::Taken).unable_to_isolate(), None);
    assert_eq!(docker(UntrustedCode::Taken).unable_to_isolate(), None);

    let t = Tester::start().await;
    t.pods.keep_nothing_apart();
    t.set_up("untrusted = \"always\"\n").await;
    let sha = t.push("main", SMALL).await;
    t.run_the_job("test", 0).await;
    t.fork_comes_with("1").await;
    let run = t.newest_run().await;
    assert_eq!(run.state.0.conclusion(), Some(Conclusion::Failure), "{}", t.runs().await);
    assert!(run.reason.contains("untrusted code would share the machine of the story"), "{}", run.reason);
    assert!(t.pods.placed().is_empty() && run.source.is_none());
    t.checks(&sha);
}

#[tokio::test]
async fn the_agents_address_answers_agents_alone_and_the_other_one_sends_them_there() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    t.push("main", SMALL).await;
    let [people, agents] = [TcpListener::bind("127.0.0.1:0").await, TcpListener::bind("127.0.0.1:0").await];
    let (people, agents) = (people.expect("a port"), agents.expect("a port"));
    let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().expect("an address"));
    let (of_people, of_agents) = (url(&people), url(&agents));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = t.app().serve_with(people, Some(agents), async move { drop(stopped.await) });
    let serving = tokio::spawn(serving);
    let ask = async |method: Method, url: String| {
        let answer = t.straight.request(method, url).send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("text"))
    };
    for route in containerops::web::needs().into_iter().filter(|route| route.path != "/healthz") {
        let path = route
            .path
            .replace("{id}", "1")
            .replace("{name}", "x")
            .replace("{digest}", "x")
            .replace("{forge}", "github");
        let path = path.replace("{*rest}", "github/acme/widget");
        assert_eq!(
            ask(route.method, format!("{of_agents}{path}")).await,
            (StatusCode::NOT_FOUND, String::new()),
            "{path}"
        );
    }
    for forge in ["github", "gitlab", "gitea", "git"] {
        assert_eq!(ask(Method::POST, format!("{of_agents}/hooks/{forge}")).await.0, StatusCode::NOT_FOUND);
        assert_ne!(ask(Method::POST, format!("{of_people}/hooks/{forge}")).await.0, StatusCode::OK);
    }
    assert_eq!(ask(Method::GET, format!("{of_people}/github/acme/widget")).await.0, StatusCode::OK);
    for (method, path) in containerops::web::agent_calls() {
        let path = path.replace("{digest}", "x").replace("{name}", "x");
        let (status, words) = ask(method.clone(), format!("{of_people}/agent/v1{path}")).await;
        assert!(
            status == StatusCode::NOT_FOUND && words.contains("CONTAINEROPS_AGENT_URL"),
            "{path}: {status} {words}"
        );
        let (status, words) = ask(method, format!("{of_agents}/agent/v1{path}")).await;
        assert!(status.is_client_error() && status != StatusCode::NOT_FOUND, "{path}: {status} {words}");
    }
    // an agent does all of its work there
    let (code, log) = agent_runs_at(&t, "test.test", 0, &of_agents).await;
    assert!(code.is_some() && !log.contains("agents are answered elsewhere"), "{log}");
    assert!(t.newest_run().await.state.0.conclusion().is_some(), "{}", t.runs().await);
    let _ = stop.send(());
    serving.await.expect("it serves").expect("it ends well");
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    let variables = variables.iter().map(|(name, value)| (format!("CONTAINEROPS_{name}"), (*value).to_owned()));
    Settings::read(variables, None).expect("good settings")
}

#[tokio::test]
async fn no_pod_of_untrusted_code_reaches_a_server_where_everybody_may_do_everything() {
    use Exposure::{Apart, Open, Shared};
    let listen = ("LISTEN", "0.0.0.0:8080");
    let url = ("PUBLIC_URL", "https://ci.example.com");
    for (given, expected) in [
        (&[listen, url][..], Shared),
        (&[listen, url, ("ACCESS", "open")], Open),
        (&[listen, url, ("ACCESS", "open"), ("AGENT_LISTEN", "0.0.0.0:8081")], Apart),
        (&[listen, url, ("AGENT_LISTEN", "0.0.0.0:8081")], Apart),
        (&[listen, url, ("UNTRUSTED", "never")], Apart),
        (&[listen, url, ("UNTRUSTED", "never acme/*=approval")], Shared),
        // what only this machine reaches asks nobody
        (&[("LISTEN", "127.0.0.1:8080")], Open),
    ] {
        assert_eq!(Exposure::of(&settings(given)), expected, "{given:?}");
    }
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let directory = tempfile::tempdir().expect("a directory");
    let kubeconfig = directory.path().join("kubeconfig");
    std::fs::write(&kubeconfig, KUBECONFIG).expect("it can be written");
    let mut told = BTreeMap::new();
    for exposure in [Apart, Shared, Open] {
        let with = KubernetesSettings::new("ci", "agent");
        let untrusted = Some(Box::new(containerops::executor::kubernetes::Untrusted::new("ci-untrusted")));
        let untrusted_code = exposure.untrusted_code();
        let with = KubernetesSettings { kubeconfig: Some(kubeconfig.clone()), untrusted, untrusted_code, ..with };
        let executor = Kubernetes::connect(with).await.expect("the kubeconfig can be read");
        told.insert(format!("{exposure:?}"), executor.unable_to_isolate().map(|unable| unable.message));
    }
    assert_eq!((&told["Apart"], &told["Shared"]), (&None, &None));
    assert!(told["Open"].as_ref().is_some_and(|why| why.contains("where whoever does may do everything")), "{told:?}");
    // where agents have an address, they are told of it
    let url = |given: &[(&str, &str)]| containerops::app::agent_url(&settings(given), "https://ci.example.com");
    let own: SocketAddr = "10.0.0.7:8081".parse().expect("an address");
    assert_eq!(url(&[("AGENT_LISTEN", &own.to_string())]), "http://10.0.0.7:8081");
    assert_eq!(url(&[("AGENT_LISTEN", &own.to_string()), ("AGENT_URL", "http://agents.ci")]), "http://agents.ci");
    assert_eq!(url(&[]), "https://ci.example.com");
}

#[tokio::test]
async fn an_artifact_whose_paths_lead_out_is_not_kept() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    t.push("main", RICH).await;
    let agent = t.claims("test").await.leaves("bin", "out", "a tool").await;
    let says = async |path: &str, size: u64| {
        let entry = json!({"path": path, "kind": "file", "size": size, "mode": 420, "at": 0});
        let new = json!({"name": "other", "bundle": {"length": 0, "parts": []}, "entries": [entry]});
        let answer = agent.call(Method::POST, "artifacts").json(&new).send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("text"))
    };
    for path in ["../x", "/etc/passwd", "a/../../x", "a//b", "./a", "", ".."] {
        let (status, words) = says(path, 0).await;
        assert!(status == StatusCode::BAD_REQUEST && words.contains("an entry that cannot be"), "{path}: {words}");
    }
    let (status, words) = says("out", u64::MAX).await;
    assert!(status == StatusCode::BAD_REQUEST && words.contains("an entry that cannot be"), "{words}");
    let (_, words) = says("good", 0).await;
    assert!(words.contains("nobody asked for it"), "it is asked well: {words}");
    let page = "/github/acme/widget/runs/1/test/test/test/artifacts/bin";
    agent.exits(0).await;
    for file in ["../../../../etc/passwd", "/etc/passwd", "out/..", "%2e%2e/out"] {
        let answer = t.http.get(format!("{}{page}", t.url())).query(&[("file", file)]).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{file}");
    }
    let answer = t.http.get(format!("{}{page}?file=out", t.url())).send().await.expect("an answer");
    assert_eq!(answer.text().await.expect("text"), "a tool");
}
