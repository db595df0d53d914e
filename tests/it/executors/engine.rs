//! What is an engine's own: what its containers hold, who may take them away, and what is left over.

use std::collections::HashMap;

use containerops::{
    executor::{
        Changed, Container, Executor, Isolation, Observation, Placement,
        docker::{Docker, DockerSettings},
        registry::RegistryKeys,
    },
    model::{ActionState, AttemptId, Clock, JobId, Resources, RunId},
    settings::Settings,
};

use crate::harness::{
    place::{Engine, Place as _},
    server::Server,
    story::Story,
};

/// Asks the engine itself.
async fn ask(engine: &Engine, method: reqwest::Method, path: &str) -> serde_json::Value {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let socket = engine.address.trim_start_matches("unix://");
    let http = reqwest::Client::builder().unix_socket(socket).build().expect("a client");
    let answer = http.request(method, format!("http://docker/v1.41{path}")).send().await.expect("the engine answers");
    let answer = answer.error_for_status().expect("it does so");
    serde_json::from_slice(&answer.bytes().await.expect("a body")).unwrap_or_default()
}

/// The containers of an attempt, or of all.
async fn containers(engine: &Engine, run: RunId) -> Vec<serde_json::Value> {
    let filters = format!("{{\"label\":[\"containerops.io/run={run}\"]}}");
    let filters: String = url::form_urlencoded::byte_serialize(filters.as_bytes()).collect();
    let listed = ask(engine, reqwest::Method::GET, &format!("/containers/json?all=true&filters={filters}")).await;
    listed.as_array().cloned().unwrap_or_default()
}

async fn running(server: &Server<Engine>, flow: &str, action: &str) -> Story {
    let run = server.push(flow).await;
    server.until("it runs", run, |story| story.action(action).row.state.0 == ActionState::Running).await
}

#[tokio::test]
async fn a_container_holds_no_text_of_the_flow_and_its_token_alone() {
    let Some(engine) = Engine::get() else { return };
    let server = Server::at(engine).await;
    let flow = r#"
environments: {MARK: unmistakable}
stages:
  - name: go
    jobs:
      - {name: one, image: busybox, run: "echo unmistakable; cat /containerops/token/token; exec sleep 600"}
      - {name: two, image: busybox, run: "echo unmistakable"}
"#;
    let story = running(&server, flow, "go/go").await;
    let found = containers(&server.cluster, story.run.id).await;
    assert_eq!(found.len(), 2, "one container for each job");
    for one in &found {
        let id = one["Id"].as_str().expect("an id");
        let seen = ask(&server.cluster, reqwest::Method::GET, &format!("/containers/{id}/json")).await;
        let text = seen.to_string();
        assert!(!text.contains("unmistakable") && !text.contains("MARK"), "{text}");
        assert_eq!(seen["HostConfig"]["Privileged"], false);
        assert_eq!(seen["HostConfig"]["Memory"], 4_i64 << 30);
        assert_eq!(seen["HostConfig"]["SecurityOpt"][0], "no-new-privileges");
    }
    server.app().engine.cancel(story.run.id, "ada").await.expect("it can be cancelled");
    server.end(story.run.id).await;
    server.until_no_attempt_is_left().await;
}

#[tokio::test]
async fn a_container_that_someone_removes_is_seen_and_its_action_tried_again() {
    let Some(engine) = Engine::get() else { return };
    let server = Server::at(engine).await;
    let flow = "stages:\n  - {name: go, image: busybox, run: \"test $CO_ATTEMPT = 1 && exec sleep 600; echo again\"}\n";
    let story = running(&server, flow, "go/go").await;
    let found = containers(&server.cluster, story.run.id).await;
    let id = found[0]["Id"].as_str().expect("an id");
    ask(&server.cluster, reqwest::Method::DELETE, &format!("/containers/{id}?force=true")).await;
    let story = server
        .until("it is told", story.run.id, |story| story.action("go/go").row.reason.contains("attempt 2 of 3 follows"));
    let reason = story.await.action("go/go").row.reason.clone();
    // an engine ends a container before it removes it, and whoever looks in between sees just that
    let told = ["infrastructure: pod deleted: ", "infrastructure: agent killed: "];
    assert!(told.iter().any(|told| reason.starts_with(told)), "{reason}");
}

#[tokio::test]
async fn an_attempt_is_placed_once_and_what_is_left_of_it_is_found_and_removed() {
    let Some(engine) = Engine::get() else { return };
    let settings = |server: &str| DockerSettings { server: server.to_owned(), ..settings(&engine) };
    let (mine, other) = (AttemptId::mint(Clock::System.now()).to_string(), "another".to_owned());
    let executor = Docker::connect(settings(&mine)).expect("an executor");
    let placement = placement("http://127.0.0.1:9");
    for _ in 0..2 {
        executor.start(&placement).await.expect("it is placed");
    }
    let again = Docker::connect(settings(&mine)).expect("another process");
    again.start(&placement).await.expect("it is placed already");
    assert_eq!(containers(&engine, placement.run).await.len(), 2);
    assert_eq!(again.attempts().await.expect("a list"), [placement.attempt]);
    assert_eq!(Docker::connect(settings(&other)).expect("one").attempts().await.expect("a list"), []);
    assert_eq!(again.observe(placement.attempt).await.expect("an answer"), Observation::Running);
    again.remove(placement.attempt).await.expect("it is removed");
    again.remove(placement.attempt).await.expect("nothing is left to remove");
    assert_eq!(again.observe(placement.attempt).await.expect("an answer"), Observation::Absent);
    assert_eq!(again.attempts().await.expect("a list"), []);
    assert!(matches!(executor.changed().await, Changed::All | Changed::Some(_)));
}

#[tokio::test]
async fn an_engine_is_asked_for_a_privileged_container_where_that_is_said_and_code_is_trusted() {
    let Some(engine) = Engine::get() else { return };
    for (isolation, expected) in [(Isolation::Usual, [true, false]), (Isolation::Strict, [false, false])] {
        let executor = Docker::connect(settings(&engine)).expect("an executor");
        let mut placement = Placement { isolation, ..placement("http://127.0.0.1:9") };
        placement.containers[0].privileged = true;
        // an engine that is in a container itself has not all that it is to give, and starts none: it has made them
        let _ = executor.start(&placement).await;
        let mut privileged = Vec::new();
        for one in containers(&engine, placement.run).await {
            let id = one["Id"].as_str().expect("an id").to_owned();
            let seen = ask(&engine, reqwest::Method::GET, &format!("/containers/{id}/json")).await;
            let is = seen["HostConfig"]["Privileged"] == true;
            let bound = seen["HostConfig"]["SecurityOpt"].to_string().contains("no-new-privileges");
            assert_eq!(bound, !is, "what is not privileged gains nothing, either");
            privileged.push((seen["Name"].to_string(), is));
        }
        privileged.sort();
        assert_eq!(privileged.into_iter().map(|(_, is)| is).collect::<Vec<_>>(), expected, "{isolation:?}");
        executor.remove(placement.attempt).await.expect("it is removed");
    }
}

#[tokio::test]
async fn an_engine_that_is_away_is_waited_for_in_its_own_words() {
    let executor = Docker::connect(DockerSettings::new("unix:///nowhere/docker.sock", "none")).expect("an executor");
    let error = executor.start(&placement("http://127.0.0.1:9")).await.expect_err("nothing is there").to_string();
    assert!(error.contains("away") && error.contains("ocket not found"), "{error}");
    assert!(!Docker::answers("unix:///nowhere/docker.sock").await);
}

fn settings(engine: &Engine) -> DockerSettings {
    let variables: HashMap<String, String> =
        engine.settings().into_iter().map(|(name, value)| (format!("CONTAINEROPS_{name}"), value)).collect();
    let settings = Settings::read(variables, None).expect("good settings");
    containerops::app::docker(&settings, engine.address.clone())
}

fn placement(url: &str) -> Placement {
    let now = Clock::System.now();
    let container = |place: usize| Container {
        service: None,
        job: JobId::mint(now),
        name: format!("job-{place}"),
        image: "busybox".to_owned(),
        resources: Resources::default(),
        privileged: false,
        token: format!("token-{place}").into(),
    };
    Placement {
        isolation: Isolation::Usual,
        runtime: None,
        node: Default::default(),
        attempt: AttemptId::mint(now),
        run: RunId::mint(now),
        tenant: crate::pod::tenant("acme/shop"),
        keys: RegistryKeys::default(),
        flow: "build & test".to_owned(),
        action: "check.unit".to_owned(),
        containers: (0..2).map(container).collect(),
        deadline: std::time::Duration::from_secs(300),
        agent_url: url.to_owned(),
    }
}
