//! The OAuth servers of GitHub, GitLab and Gitea, with their quirks: strict about what a code is given for, and each
//! with its own way to say no.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Form, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

/// What all of them know us by.
pub(crate) const ID: &str = "our id";
pub(crate) const SECRET: &str = "our-secret";

/// A code, or a token: whose, and what it was asked for with.
#[derive(Debug, Clone)]
struct Grant {
    login: String,
    account: u64,
    back: String,
    challenge: String,
}

#[derive(Debug, Default)]
struct World {
    codes: BTreeMap<String, Grant>,
    tokens: BTreeMap<String, Grant>,
    /// How often somebody was asked for.
    asked: usize,
}

type Shared = Arc<Mutex<World>>;

/// One server that is all three.
pub(crate) struct ModelOauth {
    pub(crate) url: String,
    world: Shared,
}

impl ModelOauth {
    pub(crate) async fn start() -> Self {
        let world = Shared::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new()
            .route("/login/oauth/access_token", post(github_or_gitea))
            .route("/oauth/token", post(strict))
            .route("/user", get(user_with_login))
            .route("/api/v1/user", get(user_with_login))
            .route("/api/v4/user", get(user_with_username))
            .with_state(Arc::clone(&world));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, world }
    }

    /// The settings that lead to it.
    pub(crate) fn settings(&self) -> String {
        let all = ["github", "gitlab", "gitea"].map(|forge| {
            format!(
                "{forge}_oauth_id = \"{ID}\"\n{forge}_oauth_secret = \"{SECRET}\"\n{forge}_url = \"{}\"\n",
                self.url
            )
        });
        format!(
            "{}gitea_webhook_secret = \"0123456789abcdef0123456789abcdef\"\ngithub_api_url = \"{}\"\n",
            all.concat(),
            self.url
        )
    }

    /// Someone lets us know who they are, at the address that we have led them to. Where they are led back.
    pub(crate) fn consents(&self, at: &str, login: &str, account: u64) -> String {
        let url: url::Url = at.parse().expect("an address");
        let asked: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!((asked["client_id"].as_str(), asked["response_type"].as_str()), (ID, "code"));
        assert_eq!(asked["code_challenge_method"], "S256");
        let mut world = self.world.lock().expect("no test panics with it");
        let code = format!("code-{}", world.codes.len() + world.tokens.len() + 1);
        let (back, challenge) = (asked["redirect_uri"].clone(), asked["code_challenge"].clone());
        let grant = Grant { login: login.to_owned(), account, back: back.clone(), challenge };
        world.codes.insert(code.clone(), grant);
        format!("{back}?code={code}&state={}", asked["state"])
    }

    /// How often somebody's name was asked for, and the tokens that were given.
    pub(crate) fn given(&self) -> (usize, Vec<String>) {
        let world = self.world.lock().expect("no test panics with it");
        (world.asked, world.tokens.keys().cloned().collect())
    }
}

fn exchange(world: &Shared, form: &BTreeMap<String, String>) -> Result<String, &'static str> {
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let mut world = world.lock().expect("no test panics with it");
    if field("client_id") != ID || field("client_secret") != SECRET {
        return Err("incorrect_client_credentials");
    }
    // a code is good once, whatever comes of it
    let grant = world.codes.remove(field("code")).ok_or("bad_verification_code")?;
    if grant.back != field("redirect_uri") {
        return Err("redirect_uri_mismatch");
    }
    if BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(field("code_verifier"))) != grant.challenge {
        return Err("invalid_grant");
    }
    let token = format!("forge-token-{}", world.tokens.len() + 1);
    world.tokens.insert(token.clone(), grant);
    Ok(token)
}

/// GitHub says 200, whatever comes of it, and speaks JSON only to those who ask for it.
async fn github_or_gitea(
    State(world): State<Shared>,
    headers: HeaderMap,
    Form(form): Form<BTreeMap<String, String>>,
) -> Response {
    assert_eq!(headers[header::ACCEPT], "application/json");
    match exchange(&world, &form) {
        Ok(token) => Json(json!({"access_token": token, "scope": "", "token_type": "bearer"})).into_response(),
        Err(error) => Json(json!({"error": error, "error_description": "The code passed is incorrect or expired."}))
            .into_response(),
    }
}

async fn strict(State(world): State<Shared>, Form(form): Form<BTreeMap<String, String>>) -> Response {
    match exchange(&world, &form) {
        Ok(token) => Json(json!({"access_token": token, "token_type": "Bearer", "expires_in": 7200})).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, Json(json!({"error": error}))).into_response(),
    }
}

fn whose(world: &Shared, headers: &HeaderMap) -> Option<Grant> {
    let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?.to_owned();
    let mut world = world.lock().expect("no test panics with it");
    world.asked += 1;
    world.tokens.get(&token).cloned()
}

async fn user_with_login(State(world): State<Shared>, headers: HeaderMap) -> Response {
    match whose(&world, &headers) {
        Some(of) => Json(json!({"id": of.account, "login": of.login, "name": "Somebody"})).into_response(),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn user_with_username(State(world): State<Shared>, headers: HeaderMap) -> Response {
    match whose(&world, &headers) {
        Some(of) => Json(json!({"id": of.account, "username": of.login, "state": "active"})).into_response(),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}
