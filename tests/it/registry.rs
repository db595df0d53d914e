//! What a registry says of an image, over a modelled registry behind real HTTP.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use containerops::executor::registry::{Reach, Registry, RegistryError, RegistryKeys};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, task::JoinHandle};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A registry with what a test puts into it; it ends when it is dropped.
struct Modelled {
    host: String,
    task: JoinHandle<()>,
}

/// What a registry has.
#[derive(Default)]
struct Contents {
    /// By `manifests/tag`, `manifests/sha256:…` or `blobs/sha256:…`.
    bodies: HashMap<String, Vec<u8>>,
    wants_token: bool,
}

impl Contents {
    /// Keeps a document under its digest, which it returns.
    fn put(&mut self, what: &str, document: &Value) -> String {
        let bytes = document.to_string().into_bytes();
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
        self.bodies.insert(format!("{what}/{digest}"), bytes);
        digest
    }

    /// An image that starts this.
    fn image(&mut self, entrypoint: &[&str], cmd: &[&str]) -> String {
        let start = json!({ "Entrypoint": entrypoint, "Cmd": cmd, "WorkingDir": "/srv" });
        let config = self.put("blobs", &json!({ "architecture": "amd64", "os": "linux", "config": start }));
        let descriptor = json!({ "mediaType": CONFIG, "digest": config, "size": 1 });
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor, "layers": [] });
        self.put("manifests", &manifest)
    }

    fn tag(&mut self, tag: &str, digest: &str) {
        let body = self.bodies[&format!("manifests/{digest}")].clone();
        self.bodies.insert(format!("manifests/{tag}"), body);
    }

    async fn serve(self) -> Modelled {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback socket");
        let host = listener.local_addr().expect("an address").to_string();
        let routes = Router::new()
            .route("/token", get(|| async { r#"{"token":"good","access_token":"good"}"# }))
            .route("/v2/team/tool/{what}/{name}", get(answer))
            .with_state(Arc::new(self));
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.expect("it serves") });
        Modelled { host, task }
    }
}

impl Modelled {
    fn name(&self, rest: &str) -> String {
        format!("{}/team/tool{rest}", self.host)
    }

    fn client(&self) -> Registry {
        client(vec![self.host.clone()])
    }
}

impl Drop for Modelled {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn client(insecure: Vec<String>) -> Registry {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Registry::new(insecure, containerops::reach::public_only)
}

/// Who has no keys.
fn nobody() -> RegistryKeys {
    RegistryKeys::default()
}

async fn answer(
    State(contents): State<Arc<Contents>>,
    Path((what, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let authorized = headers.get(header::AUTHORIZATION).is_some_and(|value| value == "Bearer good");
    if contents.wants_token && !authorized {
        let host = headers[header::HOST].to_str().expect("a host");
        let challenge = format!(r#"Bearer realm="http://{host}/token",service="r",scope="repository:team/tool:pull""#);
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    }
    match contents.bodies.get(&format!("{what}/{name}")) {
        Some(body) => body.clone().into_response(),
        None => (StatusCode::NOT_FOUND, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#)
            .into_response(),
    }
}

#[tokio::test]
async fn a_tag_is_pinned_to_its_digest_with_its_entrypoint() {
    let mut contents = Contents { wants_token: true, ..Contents::default() };
    let digest = contents.image(&["/bin/tool"], &["--fast", "now"]);
    contents.tag("1", &digest);
    contents.tag("latest", &digest);
    let registry = contents.serve().await;
    for image in [registry.name(":1"), registry.name(""), registry.name(&format!("@{digest}"))] {
        let pin = registry.client().pin(&image, Reach::Everywhere, &nobody()).await.expect("it is there");
        assert_eq!(pin.image, registry.name(&format!("@{digest}")));
        assert_eq!(pin.entrypoint, ["/bin/tool", "--fast", "now"]);
        assert_eq!(pin.working_dir.as_deref(), Some("/srv"));
    }
}

#[tokio::test]
async fn an_index_is_pinned_whole_and_read_for_this_machine() {
    let mut contents = Contents::default();
    let (other, ours) = (contents.image(&["/other"], &[]), contents.image(&["/ours"], &[]));
    let here = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let entry = |digest: &str, architecture: &str| {
        json!({ "mediaType": MANIFEST, "digest": digest, "size": 1,
            "platform": { "os": "linux", "architecture": architecture } })
    };
    let entries = json!([entry(&other, "s390x"), entry(&ours, here)]);
    let index = contents.put("manifests", &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }));
    contents.tag("1", &index);
    let registry = contents.serve().await;
    let pin = registry.client().pin(&registry.name(":1"), Reach::Everywhere, &nobody()).await.expect("it is there");
    assert_eq!(pin.image, registry.name(&format!("@{index}")));
    assert_eq!(pin.entrypoint, ["/ours"]);
}

#[tokio::test]
async fn what_is_not_there_is_the_authors_mistake_in_the_registrys_words() {
    let registry = Contents::default().serve().await;
    let error =
        registry.client().pin(&registry.name(":9"), Reach::Everywhere, &nobody()).await.expect_err("it is not there");
    let RegistryError::NotFound { image, message } = error else { panic!("{error:?}") };
    assert_eq!(image, registry.name(":9"));
    assert_eq!(message, format!("{} says MANIFEST_UNKNOWN: manifest unknown", registry.host));
}

#[tokio::test]
async fn a_registry_that_wants_to_know_who_asks_denies() {
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let host = listener.local_addr().expect("an address").to_string();
        let routes = Router::new().fallback(async move || status);
        tokio::spawn(async move { axum::serve(listener, routes).await.expect("the model serves") });
        let error = client(vec![host.clone()])
            .pin(&format!("{host}/secret/tool:1"), Reach::Everywhere, &nobody())
            .await
            .expect_err("not to us");
        let RegistryError::Denied { message, .. } = error else { panic!("{error:?}") };
        assert!(message.contains("it is private"), "{message}");
    }
}

#[tokio::test]
async fn who_has_the_key_of_a_registry_is_let_in_whatever_it_wants() {
    for wanted in ["Basic realm=\"r\"", "Bearer realm=\"http://HOST/token\",service=\"r\""] {
        let mut contents = Contents::default();
        let digest = contents.image(&["/bin/tool"], &[]);
        contents.tag("1", &digest);
        let (host, seen) = locked(contents, wanted).await;
        let image = format!("{host}/team/tool:1");
        let keys = |password: &str| {
            let entry = format!(r#"{{"auths": {{"{host}/team": {{"username": "ada", "password": "{password}"}}}}}}"#);
            RegistryKeys::read(&entry).expect("a configuration")
        };
        let pin = client(vec![host.clone()]).pin(&image, Reach::Everywhere, &keys("sesame")).await.expect("let in");
        assert_eq!(pin.image, format!("{host}/team/tool@{digest}"));
        for wrong in [keys("open"), nobody()] {
            let error = client(vec![host.clone()]).pin(&image, Reach::Everywhere, &wrong).await.expect_err("kept out");
            assert!(matches!(error, RegistryError::Denied { .. }), "{wanted}: {error:?}");
        }
        let seen = std::mem::take(&mut *seen.lock().expect("nobody panics"));
        assert!(seen.iter().any(|path| path.starts_with("/v2/team/tool/")), "{seen:?}");
    }
    // a key is for its own registry
    let mut contents = Contents::default();
    let digest = contents.image(&["/bin/tool"], &[]);
    contents.tag("1", &digest);
    let (host, _) = locked(contents, "Basic realm=\"r\"").await;
    let other = RegistryKeys::read(r#"{"auths": {"other.example": {"username": "ada", "password": "sesame"}}}"#);
    let asked = client(vec![host.clone()]);
    let asked = asked.pin(&format!("{host}/team/tool:1"), Reach::Everywhere, &other.expect("a configuration")).await;
    assert!(matches!(asked, Err(RegistryError::Denied { .. })), "{asked:?}");
}

/// A registry for Ada alone, and the paths that were asked for with her key or with what it gave for that.
async fn locked(contents: Contents, wanted: &'static str) -> (String, Arc<std::sync::Mutex<Vec<String>>>) {
    // ada:sesame
    const KEY: &str = "Basic YWRhOnNlc2FtZQ==";
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    let host = listener.local_addr().expect("an address").to_string();
    let seen = Arc::<std::sync::Mutex<Vec<String>>>::default();
    let (wanted, noted, contents) = (wanted.replace("HOST", &host), Arc::clone(&seen), Arc::new(contents));
    let routes = Router::new().fallback(move |uri: axum::http::Uri, headers: HeaderMap| {
        let (wanted, noted, contents) = (wanted.clone(), Arc::clone(&noted), Arc::clone(&contents));
        async move {
            let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let of_token = wanted.starts_with("Bearer");
            if uri.path() == "/token" {
                return if shown == KEY {
                    r#"{"token": "good"}"#.into_response()
                } else {
                    StatusCode::UNAUTHORIZED.into_response()
                };
            }
            if shown != if of_token { "Bearer good" } else { KEY } {
                return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, wanted)]).into_response();
            }
            noted.lock().expect("nobody panics").push(uri.path().to_owned());
            let key = uri.path().trim_start_matches("/v2/team/tool/").to_owned();
            contents
                .bodies
                .get(&key)
                .map_or_else(|| StatusCode::NOT_FOUND.into_response(), |body| body.clone().into_response())
        }
    });
    tokio::spawn(async move { axum::serve(listener, routes).await.expect("the model serves") });
    (host, seen)
}

#[tokio::test]
async fn a_name_that_is_none_asks_nobody() {
    for image in ["", "UPPER/case", "a b", "x@sha256:12", "tool:bad tag"] {
        let error = client(Vec::new()).pin(image, Reach::Everywhere, &nobody()).await.expect_err("no name");
        assert!(matches!(error, RegistryError::Invalid { .. }), "{image:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_chart_is_no_image() {
    let mut contents = Contents::default();
    let descriptor =
        json!({ "mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": "sha256:00", "size": 1 });
    let chart = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor, "layers": [] });
    let digest = contents.put("manifests", &chart);
    let registry = contents.serve().await;
    let error = registry
        .client()
        .pin(&registry.name(&format!("@{digest}")), Reach::Everywhere, &nobody())
        .await
        .expect_err("no image");
    assert!(matches!(error, RegistryError::Invalid { .. }), "{error:?}");
}

#[tokio::test]
async fn a_registry_that_lies_or_floods_or_is_gone_is_away() {
    let mut contents = Contents::default();
    let digest = contents.image(&["/bin/tool"], &[]);
    contents.bodies.insert(format!("manifests/{digest}"), b"{}".to_vec());
    contents.bodies.insert("manifests/flood".to_owned(), vec![b' '; 5 << 20]);
    contents.bodies.insert("manifests/page".to_owned(), b"<html>".to_vec());
    let registry = contents.serve().await;
    let client = registry.client();
    for rest in [format!("@{digest}"), ":flood".to_owned(), ":page".to_owned()] {
        let error =
            client.pin(&registry.name(&rest), Reach::Everywhere, &nobody()).await.expect_err("nobody can use that");
        assert!(matches!(error, RegistryError::Away { .. }), "{rest}: {error:?}");
    }
    let image = registry.name(":1");
    registry.task.abort();
    drop(registry);
    let error = client.pin(&image, Reach::Everywhere, &nobody()).await.expect_err("nobody is there");
    assert!(matches!(error, RegistryError::Away { .. } | RegistryError::NotFound { .. }), "{error:?}");
}

/// Whatever asks there is written down; a registry that leads everybody elsewhere.
async fn leading(to: fn(&str) -> Response) -> (String, Arc<std::sync::Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    let host = listener.local_addr().expect("an address").to_string();
    let (own, asked) = (host.clone(), Arc::<std::sync::Mutex<Vec<String>>>::default());
    let seen = Arc::clone(&asked);
    let routes = Router::new().fallback(async move |request: axum::extract::Request| {
        seen.lock().expect("nobody panics").push(request.uri().to_string());
        to(&own)
    });
    tokio::spawn(async move { axum::serve(listener, routes).await.expect("the model serves") });
    (host, asked)
}

#[tokio::test]
async fn a_registry_leads_nobody_to_what_nobody_has_listed() {
    let (victim, asked) = leading(|_| "latest/meta-data".into_response()).await;
    assert!(!victim.is_empty());
    // the port of the victim is known to the model alone, so it is told by the image's name
    for challenge in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let host = listener.local_addr().expect("an address").to_string();
        let to = format!("http://{victim}/latest/meta-data");
        let routes = Router::new().fallback(async move || match challenge {
            false => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
            true => {
                let value = format!("Bearer realm=\"{to}\",service=\"r\"");
                (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, value)]).into_response()
            }
        });
        tokio::spawn(async move { axum::serve(listener, routes).await.expect("the model serves") });
        for reach in [Reach::Everywhere, Reach::Public] {
            let error = client(vec![host.clone()]).pin(&format!("{host}/team/tool:1"), reach, &nobody()).await;
            assert!(matches!(error, Err(RegistryError::Away { .. })), "{error:?}");
        }
    }
    assert_eq!(asked.lock().expect("nobody panics").as_slice(), [""; 0], "nobody was led there");
}

#[tokio::test]
async fn untrusted_code_has_us_ask_nothing_in_our_own_network() {
    let (host, asked) = leading(|_| StatusCode::NOT_FOUND.into_response()).await;
    let port = host.rsplit_once(':').expect("a port").1;
    let private = [
        host.clone(),
        format!("localhost:{port}"),
        format!("2130706433:{port}"),
        format!("0x7f.1:{port}"),
        format!("[::1]:{port}"),
        "169.254.169.254".to_owned(),
        "10.96.0.1:443".to_owned(),
        "kubernetes.default.svc.localhost:443".to_owned(),
    ];
    for registry in private {
        let image = format!("{registry}/team/tool:1");
        let error = client(Vec::new()).pin(&image, Reach::Public, &nobody()).await.expect_err("it is private");
        assert!(matches!(error, RegistryError::Away { .. } | RegistryError::Invalid { .. }), "{image}: {error:?}");
    }
    assert_eq!(asked.lock().expect("nobody panics").as_slice(), [""; 0]);
    // what the operator has listed is asked, whoever names it
    let error = client(vec![host.clone()]).pin(&format!("{host}/team/tool:1"), Reach::Public, &nobody()).await;
    assert!(matches!(error, Err(RegistryError::NotFound { .. })), "{error:?}");
}
