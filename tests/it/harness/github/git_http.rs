//! The model's repositories over HTTP, by git's own CGI program: a service in a process of its own takes no other URL
//! for GitHub's.

use std::{path::Path, process::Stdio, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::Response,
    routing::any,
};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// Below it stand the repositories.
pub(in crate::harness) const PREFIX: &str = "/git";
/// What a fetch may send.
const BODY_MAX: usize = 1 << 20;

/// `/git/<owner>/<name>.git/…`
pub(in crate::harness) fn router(root: &Path) -> Router {
    Router::new()
        .route("/git/{*path}", any(serve))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(Arc::<Path>::from(root))
}

async fn serve(State(root): State<Arc<Path>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_MAX).await.expect("a fetch's request is small");
    let mut git = Command::new("git");
    git.arg("http-backend").env("GIT_PROJECT_ROOT", &*root).env("GIT_HTTP_EXPORT_ALL", "1");
    git.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "uploadpack.allowAnySHA1InWant");
    git.env("GIT_CONFIG_VALUE_0", "true").env("REQUEST_METHOD", parts.method.as_str());
    environment(&mut git, &parts.uri, &parts.headers, &body);
    let mut child = git.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git is installed");
    let mut stdin = child.stdin.take().expect("a pipe");
    let (written, output) = tokio::join!(async move { stdin.write_all(&body).await }, async {
        child.wait_with_output().await.expect("git ends")
    });
    // a fetch that has all it wants need not be read to its end
    drop(written);
    answer(output.stdout)
}

fn environment(git: &mut Command, uri: &Uri, headers: &HeaderMap, body: &Bytes) {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    git.env("PATH_INFO", uri.path().strip_prefix(PREFIX).unwrap_or_default());
    git.env("QUERY_STRING", uri.query().unwrap_or_default());
    git.env("CONTENT_TYPE", text(header::CONTENT_TYPE)).env("CONTENT_LENGTH", body.len().to_string());
    git.env("HTTP_CONTENT_ENCODING", text(header::CONTENT_ENCODING));
    if let Some(protocol) = headers.get("git-protocol").and_then(|value| value.to_str().ok()) {
        git.env("GIT_PROTOCOL", protocol);
    }
}

/// A CGI program's answer: headers, an empty line, the body.
fn answer(output: Vec<u8>) -> Response {
    let output = Bytes::from(output);
    let end = memchr::memmem::find(&output, b"\r\n\r\n").expect("headers end");
    let mut response = Response::builder();
    let mut status = StatusCode::OK;
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").expect("a header");
        match name {
            "Status" => status = value[..3].parse().expect("a status"),
            _ => response = response.header(name, value),
        }
    }
    response.status(status).body(Body::from(output.slice(end + 4..))).expect("a response")
}
