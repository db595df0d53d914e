//! `containerops github setup`: a browser, a GitHub that makes Apps, and the files that are left.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Stdio},
    sync::{Arc, Mutex},
};

use axum::{Json, Router, extract::Path as UrlPath, http::StatusCode, routing::post};
use serde_json::{Value, json};

use super::*;

const PEM: &str = "-----BEGIN RSA PRIVATE KEY-----\nnone\n-----END RSA PRIVATE KEY-----\n";

/// A GitHub that exchanges one code, once.
async fn github() -> String {
    // another test may have been first
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let used = Arc::new(Mutex::new(false));
    let convert = move |UrlPath(code): UrlPath<String>| async move {
        let first = !std::mem::replace(&mut *used.lock().expect("nobody panics with it"), true);
        let url = "https://github.example.com/github-apps/containerops";
        let body = json!({"id": 4711, "slug": "containerops", "html_url": url, "pem": PEM, "webhook_secret": "s3cret"});
        if first && code == "c0de" {
            (StatusCode::CREATED, Json(body))
        } else {
            (StatusCode::NOT_FOUND, Json(json!({})))
        }
    };
    let router = Router::new().route("/api/v3/app-manifests/{code}/conversions", post(convert));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
    url
}

/// The command, and the address that it prints.
fn starts(folder: &TempDir, words: &[&str]) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut command = containerops(folder.path(), &[&["github", "setup"], words].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut out = BufReader::new(child.stdout.take().expect("its output"));
    let mut line = String::new();
    while !line.trim().starts_with("http://") {
        line.clear();
        assert_ne!(out.read_line(&mut line).expect("text"), 0, "it ended");
    }
    (child, out, line.trim().to_owned())
}

async fn get(url: &str) -> (StatusCode, String) {
    let answer = reqwest::get(url).await.expect("an answer");
    (answer.status(), answer.text().await.expect("text"))
}

/// What stands between these.
fn between(text: &str, from: &str, to: &str) -> String {
    let rest = text.split(from).nth(1).unwrap_or_else(|| panic!("{from} is not in {text}"));
    rest.split(to).next().expect("a part").replace("&quot;", "\"").replace("&amp;", "&")
}

/// What README.md says that an App needs: its permissions, and its events.
fn documented() -> (Value, BTreeSet<String>) {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("a text");
    let code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let (mut permissions, mut events) = (serde_json::Map::new(), BTreeSet::new());
    for row in readme.lines().filter_map(|line| line.strip_prefix("   | `")) {
        let row = format!("`{row}");
        let mut cells = row.split('|').map(code);
        let [permission] = cells.next().expect("a cell").try_into().expect("a permission");
        let (name, level) = permission.split_once(": ").expect("a permission and its level");
        permissions.insert(name.to_owned(), Value::from(level));
        events.extend(cells.next().expect("a cell"));
    }
    (Value::Object(permissions), events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_made_in_the_browser_and_its_key_is_its_owners_alone() {
    let github = github().await;
    let folder = folder(&[("containerops.toml", "# ours\nlisten = \"127.0.0.1:9\"\n")]);
    let words = ["--public-url", "https://ci.example.com/", "--organization", "acme", "--github-url", &github];
    let (mut child, mut out, here) = starts(&folder, &words);
    let (status, page) = get(&here).await;
    assert_eq!(status, StatusCode::OK);
    let state = here.rsplit('/').next().expect("a state").to_owned();
    assert_eq!(
        between(&page, "action=\"", "\""),
        format!("{github}/organizations/acme/settings/apps/new?state={state}")
    );
    let manifest: Value = serde_json::from_str(&between(&page, "name=\"manifest\" value=\"", "\">")).expect("JSON");
    assert_eq!(manifest["name"], "ContainerOps ci.example.com");
    assert_eq!(manifest["hook_attributes"]["url"], "https://ci.example.com/hooks/github");
    let (permissions, events) = documented();
    assert_eq!(manifest["default_permissions"], permissions, "README.md says what the App asks for");
    let asked = manifest["default_events"].as_array().expect("events");
    assert_eq!(
        asked.iter().filter_map(Value::as_str).collect::<BTreeSet<_>>(),
        events.iter().map(String::as_str).collect::<BTreeSet<_>>()
    );
    assert_eq!(manifest["redirect_url"], format!("{here}/made"));

    // whoever cannot bring the state is nobody
    let base = here.trim_end_matches(&state);
    for url in [
        base.to_owned(),
        format!("{base}x"),
        format!("{base}x/made?code=c0de&state={state}"),
        format!("{here}/made?code=c0de"),
    ] {
        assert_eq!(get(&url).await.0, StatusCode::NOT_FOUND, "{url}");
    }
    let (status, page) = get(&format!("{here}/made?code=c0de&state={state}")).await;
    assert!(status.is_success() && page.contains("The App is made") && !page.contains("s3cret"), "{page}");
    let mut said = String::new();
    out.read_to_string(&mut said).expect("text");
    assert!(child.wait().expect("it ends").success());
    assert!(said.contains("github-apps/containerops/installations/new") && !said.contains("s3cret"), "{said}");

    let key = folder.path().join("github-app-4711.pem");
    assert_eq!(fs::read_to_string(&key).expect("a key"), PEM);
    assert_eq!(fs::metadata(&key).expect("a key").permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(folder.path().join("containerops.toml")).expect("settings");
    assert!(text.starts_with("# ours\nlisten = \"127.0.0.1:9\"\ngithub_app_id = \"4711\"\n"), "{text}");
    let settings = containerops::settings::Settings::read([], Some(&text)).expect("good settings");
    assert_eq!(settings.public_url.as_deref(), Some("https://ci.example.com"));
    let app = settings.github.expect("GitHub").app.expect("an App");
    assert_eq!(app, (4711, std::path::absolute(&key).expect("a path")));

    // what is there stays
    let again = call(&folder, &["github", "setup", "--public-url", "https://ci.example.com"]);
    assert_eq!(code(&again), Some(1));
    let error = err(&again);
    assert!(
        error.contains("has github_app_id, github_private_key_file, github_webhook_secret already: with --replace"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(folder.path().join("containerops.toml")).expect("settings"), text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_github_refuses_changes_nothing() {
    let github = github().await;
    let folder = folder(&[]);
    let (mut child, _out, here) = starts(&folder, &["--public-url", "https://ci.example.com", "--github-url", &github]);
    let state = here.rsplit('/').next().expect("a state").to_owned();
    let (status, page) = get(&format!("{here}/made?code=another&state={state}")).await;
    assert!(status.is_server_error() && page.contains("GitHub refused the code (404)"), "{page}");
    let mut error = String::new();
    child.stderr.take().expect("its errors").read_to_string(&mut error).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    assert!(error.contains("it may be used once, within an hour"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);

    for (words, hint) in [
        (&["github", "setup"][..], "where will GitHub reach the service?"),
        (&["github", "setup", "--public-url", "ftp://x"], "public_url is an http or https URL"),
        (&["github", "setup", "--public-url", "https://x", "--organization", "a/b"], "is no name of an organisation"),
    ] {
        let output = call(&folder, words);
        assert!(code(&output) == Some(1) && err(&output).contains(hint), "{}", err(&output));
    }
}
