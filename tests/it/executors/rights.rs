//! What the operator and the owners of repositories let containers have that others do not.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use containerops::model::{Conclusion, ForgeKind, SecretLevel, SecretLimits, SecretScope};

use crate::harness::{image::Image, place::Place, server::Server};

pub(super) async fn an_image_is_privileged_where_the_operator_says_so_and_no_other<P: Place>(mut server: Server<P>) {
    let registry = server.cluster.registry();
    let mut images = Vec::new();
    for name in ["test/may", "test/may-not"] {
        let image = ["mount", "mkdir", "grep"].into_iter().fold(Image::with_shell(), Image::link);
        images.push(image.set("Env", serde_json::json!(["PATH=/bin"])).push_to(&registry, name).await.0);
    }
    server.set_up(&format!("privileged_images = \"acme/shop={registry}/test/may\"\n")).await;
    // what only a privileged container may
    let flow = r#"
stages:
  - name: go
    actions:
      - {name: may, image: "MAY", run: "mkdir -p /m; mount -t tmpfs none /m && grep -c ' /m ' /proc/mounts"}
      - {name: may-not, image: "NOT", run: "mkdir -p /m; mount -t tmpfs none /m || echo not allowed"}
"#;
    let flow = flow.replace("MAY", &images[0]).replace("NOT", &images[1]);
    let story = server.end(server.push(&flow).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
    let may = server.text(&story, "go/may/may").await;
    assert_eq!(may, format!("this container is privileged, as the operator has it for {}\n1\n", images[0]));
    let may_not = server.text(&story, "go/may-not/may-not").await;
    assert!(may_not.ends_with("not allowed\n") && !may_not.contains("is privileged"), "{may_not}");
    server.until_no_attempt_is_left().await;
}

/// A registry behind a password, where that one is: `host:port` as it is reached.
async fn locked(registry: &str) -> String {
    // ada:sesame
    const KEY: &str = "Basic YWRhOnNlc2FtZQ==";
    let listener = tokio::net::TcpListener::bind(format!("{}:0", registry.split(':').next().unwrap_or_default()))
        .await
        .expect("it is this machine's");
    let host = listener.local_addr().expect("an address").to_string();
    let behind: Arc<str> = registry.into();
    let routes = Router::new().fallback(move |request: Request| {
        let behind = Arc::clone(&behind);
        async move {
            let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            if shown != Some(KEY) {
                return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"r\"")]).into_response();
            }
            passed_on(&behind, request).await
        }
    });
    tokio::spawn(async move { axum::serve(listener, routes).await.expect("it serves") });
    host
}

async fn passed_on(behind: &str, request: Request) -> Response {
    let (method, url) = (request.method().clone(), format!("http://{behind}{}", request.uri()));
    let mut asked = reqwest::Client::new().request(method, url);
    for value in request.headers().get_all(header::ACCEPT) {
        asked = asked.header(header::ACCEPT, value);
    }
    let answer = asked.send().await.expect("the registry answers");
    let mut response = Response::builder().status(answer.status());
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, "docker-content-digest".parse().expect("a header")] {
        if let Some(value) = answer.headers().get(&name) {
            response = response.header(name, value);
        }
    }
    response.body(Body::from_stream(answer.bytes_stream())).expect("a response")
}

pub(super) async fn an_image_that_not_everybody_may_have_is_fetched_by_the_organisations_key<P: Place>(
    mut server: Server<P>,
) {
    let registry = server.cluster.registry();
    let host = locked(&registry).await;
    server.set_up(&format!("kubernetes_insecure_registries = \"{host}\"\n")).await;
    let name = format!("test/private-{}", host.rsplit(':').next().unwrap_or_default());
    let image = Image::with_shell().set("Env", serde_json::json!(["PATH=/bin"]));
    image.file("made/for", 0o644, name.as_bytes()).push_to(&registry, &name).await;
    let flow = format!("stages: [{{name: go, image: \"{host}/{name}\", run: cat /made/for}}]\n");
    let denied = server.end(server.push(&flow).await).await;
    let reason = &denied.action("go/go").row.reason;
    assert!(reason.contains("denied") || reason.contains("unauthorized"), "{reason}");

    let scope = SecretScope { forge: ForgeKind::Git, level: SecretLevel::Owner, name: "acme".parse().expect("a name") };
    let secret = "DOCKER_AUTH_CONFIG".parse().expect("a name");
    let config = format!(r#"{{"auths": {{"{host}": {{"auth": "YWRhOnNlc2FtZQ=="}}}}}}"#);
    let engine = server.app().engine.clone();
    engine.set_secret((&scope, &secret), SecretLimits::default(), &config.into(), "ada").await.expect("it is set");
    let story = server.end(server.push(&format!("# again\n{flow}")).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
    assert_eq!(server.text(&story, "go/go/go").await, name);
    let pinned = story.run.pins.values().next().map(|pin| pin.image.clone()).unwrap_or_default();
    assert!(pinned.contains("@sha256:"), "the registry told us, too: {pinned}");
    let used = engine.store.read().await.expect("the database").secrets(&scope).await.expect("secrets")[0].used;
    assert!(used.is_some(), "its page says when it was used");
    server.until_no_attempt_is_left().await;

    let broken = "no configuration of any kind".to_owned().into();
    let error = engine.set_secret((&scope, &secret), SecretLimits::default(), &broken, "ada").await.expect_err("none");
    let words = error.to_string();
    assert!(words.contains("no Docker configuration with `auths`") && !words.contains("of any kind"), "{words}");
}
