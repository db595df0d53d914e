//! Who may see and change what: people who sign in with their forges, programs with tokens, and everybody else.

mod lists;
mod live;
mod matrix;
mod people;
mod quotas;
mod rules;
mod secrets;
mod security;
mod sign_in;
mod tokens;

use std::time::Duration;

use containerops::{
    engine::hash,
    model::{Login, Scope, Scopes},
    store::NewToken,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};

use crate::harness::app::{Tester, WIDGET};

/// A server where people are who their forge says; `github/root` administers it.
pub(crate) const SIGNED_IN: &str = "access = \"forge\"\nadmins = \"github/root\"\n";
/// A job, and a question behind it.
const FLOW: &str = "
stages:
  - {name: test, image: alpine, run: ./test.sh, artifacts: [{name: bin, paths: [out]}]}
  - {name: ask, type: pause, approval: {by: [maintainers, bob]}}
  - {name: ship, image: alpine, run: ./ship.sh}
";
const RUN: &str = "/github/acme/widget/runs/1";
/// The address of the tests' service in browsers.
const ORIGIN: &str = "https://ci.example.com";

/// What a request shows.
#[derive(Debug, Clone)]
pub(crate) enum Shows {
    Nothing,
    Session(String),
    Token(String),
}

impl Shows {
    pub(crate) fn on(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Nothing => request,
            Self::Session(session) => {
                request.header("cookie", format!("a=b; __Host-containerops={session}")).header("origin", ORIGIN)
            }
            Self::Token(token) => request.bearer_auth(token),
        }
    }
}

/// A service with these settings whose repository has had one push; what it runs waits for people.
async fn service(settings: &str, private: bool) -> Tester {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    t.set_up(settings).await;
    t.commit("main", FLOW);
    t.github.is_private(WIDGET, private);
    for (login, role) in [("rita", "read"), ("walter", "write"), ("mona", "maintain"), ("olga", "admin")] {
        t.github.allows(login, role);
    }
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    t.claims("test").await.says("it works\n").await.leaves("bin", "out", "a tool").await.exits(0).await;
    t
}

/// A form, as a browser sends it.
pub(crate) fn form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

impl Tester {
    /// The session of someone who has signed in.
    pub(crate) async fn session(&self, login: &str) -> Shows {
        let (login, now) = (login.parse::<Login>().expect("a login"), self.clock.now());
        let session = format!("session of {login}").replace([' ', '/'], "-");
        let account = hash(&login.to_string());
        let mut tx = self.app().engine.store.write().await.expect("the database is there");
        let person = tx.person_signs_in(&login, &account, now).await.expect("a person");
        let expires = now.after(Duration::from_secs(24 * 3600));
        tx.end_session(&hash(&session)).await.expect("the database is there");
        tx.begin_session(&hash(&session), person, expires, now).await.expect("a session");
        tx.commit().await.expect("the database is there");
        Shows::Session(session)
    }

    /// A token of someone; of the server itself without a login.
    pub(crate) async fn token(&self, login: Option<&str>, scopes: &[Scope]) -> Shows {
        let now = self.clock.now();
        let scopes = Scopes::new(scopes.iter().copied());
        let token = format!("token of {login:?} for {scopes}").replace([' ', '"', '/'], "-");
        let mut tx = self.app().engine.store.write().await.expect("the database is there");
        let person = match login {
            Some(login) => Some(tx.person_named(&login.parse().expect("a login"), now).await.expect("a person")),
            None => None,
        };
        let expires = now.after(Duration::from_secs(3600));
        let new = NewToken { hash: &hash(&token), name: "robot", person, scopes: &scopes, expires, now };
        tx.insert_token(&new).await.expect("a token");
        tx.commit().await.expect("the database is there");
        Shows::Token(token)
    }

    /// An answer, and no further.
    pub(crate) async fn asked(&self, shows: &Shows, method: Method, path: &str) -> Response {
        shows.on(self.straight.request(method, format!("{}{path}", self.url()))).send().await.expect("an answer")
    }

    async fn status(&self, shows: &Shows, method: Method, path: &str) -> u16 {
        self.asked(shows, method, path).await.status().as_u16()
    }

    pub(crate) async fn text(&self, shows: &Shows, path: &str) -> String {
        let answer = self.asked(shows, Method::GET, path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.expect("text")
    }

    /// The audit log, oldest first, without times and addresses.
    pub(crate) async fn audited(&self) -> String {
        let mut tx = self.app().engine.store.read().await.expect("the database is there");
        let filter = containerops::store::AuditFilter { limit: 100, ..Default::default() };
        let rows = tx.audit(&filter).await.expect("the database is there");
        let line = |row: &containerops::store::AuditRow| {
            format!("{} ({}) {}: {}: {}\n", row.who, row.way, row.what, row.target, row.outcome)
        };
        rows.iter().rev().map(line).collect()
    }
}
