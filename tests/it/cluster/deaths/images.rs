//! Images that do not come.

use std::time::Duration;

use axum::{Router, http::StatusCode};
use tokio::net::TcpListener;

use super::{SOON, final_words, given_up};
use crate::harness::{image::registry, server::Server};

/// A flow with this image and a script, so that no registry has to be asked before.
fn flow(image: &str) -> String {
    format!("stages: [{{name: go, image: \"{image}\", run: \"true\"}}]")
}

/// A registry that knows nobody. The nodes' runtime asks one on this machine without TLS.
async fn private_registry() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    let address = listener.local_addr().expect("a bound socket has an address");
    let routes = Router::new().fallback(async || (StatusCode::UNAUTHORIZED, "who are you?"));
    tokio::spawn(async move { axum::serve(listener, routes).await.expect("the model serves") });
    address.to_string()
}

#[tokio::test]
async fn a_missing_image_is_named_by_the_kubelets_first_words() {
    let Some(server) = Server::start("missing-image").await else { return };
    let image = format!("{}/no/such:image", registry());
    let begun = std::time::Instant::now();
    let said = final_words(&server, &flow(&image)).await;
    assert!(said.starts_with(&format!("image {image} not found: ")), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(30), "it took {:?}", begun.elapsed());
}

#[tokio::test]
async fn an_image_that_wants_credentials_is_denied() {
    let Some(server) = Server::start("denied").await else { return };
    let image = format!("{}/secret/tool:1", private_registry().await);
    let said = final_words(&server, &flow(&image)).await;
    assert!(said.starts_with(&format!("image {image} denied: ")) && said.contains("401"), "{said}");
}

#[tokio::test]
async fn a_name_that_is_none_is_invalid() {
    let Some(server) = Server::start("invalid-name").await else { return };
    let said = final_words(&server, &flow("Registry.Example/UPPER:1")).await;
    assert!(said.starts_with("image Registry.Example/UPPER:1 invalid: "), "{said}");
}

#[tokio::test]
async fn a_registry_that_is_away_is_infrastructure() {
    let Some(server) =
        Server::start_with("away", |tuning| tuning.kubernetes.patience.trouble = Duration::from_secs(8)).await
    else {
        return;
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let (_, words) = given_up(&server, &flow(&format!("{free}/some/tool:1"))).await;
    assert!(words.starts_with("image not pulled: job-0: ") && words.contains("connection refused"), "{words}");
}

#[tokio::test]
async fn a_registry_that_never_answers_is_told_while_it_is_waited_for() {
    let Some(server) = Server::start_with("silent", |tuning| tuning.kubernetes.patience.making = SOON).await else {
        return;
    };
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let image = format!("{}/some/tool:1", silent.local_addr().expect("an address"));
    let (_, words) = given_up(&server, &flow(&image)).await;
    assert_eq!(words, format!("image not pulled: pulling image \"{image}\""));
}

#[tokio::test]
async fn an_agent_that_cannot_be_pulled_is_the_operators() {
    let start = Server::start_with("no-agent", |tuning| {
        tuning.kubernetes.agent_image = format!("{}/no/agent:1", registry());
        tuning.kubernetes.patience.trouble = Duration::from_secs(8);
    });
    let Some(server) = start.await else { return };
    let (_, words) = given_up(&server, &flow("busybox")).await;
    let expected = format!("agent not installed: image {}/no/agent:1: ", registry());
    assert!(words.starts_with(&expected) && words.contains("not found"), "{words}");
}
