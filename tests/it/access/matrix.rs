//! Every route, for everybody, in a public and in a private repository. What is forbidden looks like what is not there.

use containerops::{
    model::{DeliveryId, JobId, Right, Role, RunId, Scope, Time},
    web::access::Need,
};
use reqwest::Method;

use super::{RUN, SIGNED_IN, Shows, service};
use crate::harness::app::{Tester, WIDGET};

/// What somebody must be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Whatever it is, it is no refusal.
    Let,
    /// As if it were not there.
    Hidden,
    /// In a sentence, why not.
    Refused,
    /// Whatever it asks for, a program has to say who it is.
    Unknown,
}

/// Somebody, and what they may do by their forge's word.
struct Somebody {
    who: &'static str,
    shows: Shows,
    role: Option<Role>,
    admin: bool,
    /// Those of a token.
    scopes: Option<Vec<Scope>>,
}

impl Somebody {
    const fn is_nobody(&self) -> bool {
        matches!(self.shows, Shows::Nothing)
    }

    const fn is_person(&self) -> bool {
        matches!(self.shows, Shows::Session(_))
    }

    fn lacks(&self, scope: Scope) -> bool {
        self.scopes.as_ref().is_some_and(|scopes| scope != Scope::Read && !scopes.contains(&scope))
    }

    /// The rule, as a person would say it.
    fn expects(&self, right: Right, private: bool) -> Answer {
        let sees = !private || self.role.is_some() || self.admin;
        let scope = match right {
            Right::See => Scope::Read,
            Right::Run => Scope::Run,
            Right::Approve => Scope::Approve,
            Right::Maintain => Scope::Admin,
        };
        let enough = self.admin
            || match right {
                Right::See | Right::Approve => true,
                Right::Run => self.role >= Some(Role::Writer),
                Right::Maintain => self.role >= Some(Role::Maintainer),
            };
        let known = self.is_person() || self.scopes.is_some();
        match sees {
            false => Answer::Hidden,
            true if right == Right::See => Answer::Let,
            true if known && enough && !self.lacks(scope) => Answer::Let,
            true => Answer::Refused,
        }
    }

    fn expects_of_server(&self) -> Answer {
        match (self.admin, self.lacks(Scope::Admin)) {
            (false, _) => Answer::Hidden,
            (true, true) => Answer::Refused,
            (true, false) => Answer::Let,
        }
    }
}

async fn everybody(t: &Tester) -> Vec<Somebody> {
    let mut all = vec![Somebody { who: "nobody", shows: Shows::Nothing, role: None, admin: false, scopes: None }];
    let people = [
        ("github/mallory", None, false),
        // the same name elsewhere is somebody else
        ("gitlab/olga", None, false),
        ("github/rita", Some(Role::Reader), false),
        ("github/walter", Some(Role::Writer), false),
        ("github/mona", Some(Role::Maintainer), false),
        ("github/olga", Some(Role::Owner), false),
        ("github/root", None, true),
    ];
    for (who, role, admin) in people {
        all.push(Somebody { who, shows: t.session(who).await, role, admin, scopes: None });
    }
    for scope in Scope::ALL {
        for (who, role, admin) in [
            ("github/olga", Some(Role::Owner), false),
            ("github/root", None, true),
            ("github/rita", Some(Role::Reader), false),
        ] {
            let shows = t.token(Some(who), &[scope]).await;
            all.push(Somebody { who, shows, role, admin, scopes: Some(vec![scope]) });
        }
        let shows = t.token(None, &[scope]).await;
        all.push(Somebody { who: "the server", shows, role: None, admin: true, scopes: Some(vec![scope]) });
    }
    all
}

/// What is there, and what is not, for the places in a path.
pub(super) struct Ids {
    run: RunId,
    job: JobId,
    delivery: DeliveryId,
    repository: &'static str,
}

impl Ids {
    pub(super) async fn there(t: &Tester) -> Self {
        let run = t.newest_run().await;
        let mut tx = t.app().engine.store.read().await.expect("the database is there");
        let action = tx.actions(run.id).await.expect("actions").remove(0).id;
        let attempt = tx.attempts(action).await.expect("attempts").remove(0).id;
        let job = tx.jobs(attempt).await.expect("jobs").remove(0).id;
        Self { run: run.id, job, delivery: run.delivery_id.expect("a delivery"), repository: WIDGET }
    }

    fn nowhere() -> Self {
        let far = Time::from_millis(4_102_444_800_000);
        Self {
            run: RunId::mint(far),
            job: JobId::mint(far),
            delivery: DeliveryId::mint(far),
            repository: "acme/nothing",
        }
    }

    /// A route's path with its places filled in.
    pub(super) fn fill(&self, path: &str, need: Need) -> String {
        let id = match need {
            Need::Run(_) => self.run.to_string(),
            Need::Job(_) => self.job.to_string(),
            Need::Delivery(_) => self.delivery.to_string(),
            Need::Repository(_) => {
                return format!("{}?forge=github&repository={}", path.replace("{number}", "1"), self.repository);
            }
            Need::Nothing | Need::Visitor | Need::Known | Need::SignedIn => "0000000000000".to_owned(),
        };
        let name = if matches!(need, Need::Job(_)) { "bin" } else { "nothing" };
        path.replace("{id}", &id).replace("{forge}", "github").replace("{name}", name).replace("{digest}", "x")
    }
}

/// The pages below a repository, with what each needs.
pub(super) fn pages() -> Vec<(Method, String, Right)> {
    let log = format!("{RUN}/test/test/test");
    let mut all: Vec<_> =
        ["/github/acme/widget".to_owned(), "/github/acme/widget/statistics".to_owned(), RUN.to_owned(), log.clone()]
            .into_iter()
            .chain([format!("{log}/log.txt"), format!("{log}/log/stream"), format!("{log}/artifacts/bin")])
            .map(|path| (Method::GET, path, Right::See))
            .collect();
    all.push((Method::POST, "/github/acme/widget".to_owned(), Right::Run));
    for (what, right) in
        [("approve", Right::Approve), ("reject", Right::Approve), ("rerun", Right::Run), ("cancel", Right::Run)]
    {
        all.push((Method::POST, format!("{RUN}/{what}"), right));
    }
    let of = "forge=github&repository=acme/widget";
    for (method, path) in [
        (Method::GET, "/secrets"),
        (Method::POST, "/secrets"),
        (Method::GET, "/api/v1/secrets"),
        (Method::PUT, "/api/v1/secrets/nothing"),
        (Method::DELETE, "/api/v1/secrets/nothing"),
    ] {
        all.push((method, format!("{path}?{of}"), Right::Maintain));
    }
    all
}

/// What a route that looks for itself whom it shows what must answer.
fn of_visitor(somebody: &Somebody, path: &str) -> Option<Answer> {
    match path {
        "/deliveries" | "/api/v1/deliveries" if somebody.admin => Some(somebody.expects_of_server()),
        "/deliveries" | "/api/v1/deliveries" => {
            Some(if somebody.is_person() || somebody.scopes.is_some() { Answer::Let } else { Answer::Hidden })
        }
        "/admin/quotas" | "/api/v1/quotas" | "/audit" | "/api/v1/audit" | "/metrics" => {
            Some(somebody.expects_of_server())
        }
        // whose they are is named in the query: those with one stand in `pages`
        "/secrets" | "/api/v1/secrets" | "/api/v1/secrets/{name}" => Some(Answer::Let),
        // its end is another story, and the rest of the paths stand in `pages`
        "/sign-out" | "/{*rest}" => None,
        "/"
        | "/repositories"
        | "/api/v1/me"
        | "/api/v1/runs"
        | "/api/v1/repositories"
        | "/api/v1/starts"
        | "/sign-in" => Some(Answer::Let),
        other if other.starts_with("/sign-in/") => Some(Answer::Let),
        other => panic!("{other} shows something to somebody: say what"),
    }
}

async fn check(t: &Tester, somebody: &Somebody, (method, path): (&Method, &str), nowhere: &str, expected: Answer) {
    let answer = t.asked(&somebody.shows, method.clone(), path).await;
    let status = answer.status().as_u16();
    let case = format!("{} {:?} {method} {path}: {status}", somebody.who, somebody.scopes);
    // a stream has no end of its own
    if expected == Answer::Let {
        assert!(
            !matches!(status, 401 | 403) && (status != 404 || path.contains("nothing") || path.contains("0000")),
            "{case}"
        );
        return;
    }
    let body = answer.text().await.expect("text");
    match expected {
        Answer::Hidden => {
            let other = t.asked(&somebody.shows, method.clone(), nowhere).await;
            assert_eq!((status, other.status().as_u16()), (404, 404), "{case}");
            assert_eq!(body, other.text().await.expect("text"), "{case}");
        }
        Answer::Refused => {
            assert_eq!(status, 403, "{case}");
            assert!(
                body.to_lowercase().contains("only who") || body.contains("nly maintainers") || body.contains("token"),
                "{case}: {body}"
            );
        }
        Answer::Unknown => {
            let other = t.asked(&somebody.shows, method.clone(), nowhere).await;
            assert_eq!((status, other.status().as_u16()), (401, 401), "{case}");
            assert_eq!(body, other.text().await.expect("text"), "{case}: it says nothing of what there is");
        }
        Answer::Let => {}
    }
}

/// Whether a program must say who it is, whatever it asks for.
fn needs_somebody(need: Need) -> bool {
    match need {
        Need::Nothing | Need::Visitor => false,
        Need::Repository(right) | Need::Run(right) | Need::Job(right) => right != Right::See,
        Need::Known | Need::SignedIn | Need::Delivery(_) => true,
    }
}

async fn all_of_it(private: bool) {
    let oauth = "github_oauth_id = \"id\"\ngithub_oauth_secret = \"secret\"\n";
    let t = service(&format!("{SIGNED_IN}{oauth}"), private).await;
    // whose answer counts is another story
    assert_eq!(t.status(&t.session("github/mona").await, Method::POST, &format!("{RUN}/approve")).await, 303);
    let (there, nowhere) = (Ids::there(&t).await, Ids::nowhere());
    let mut cases = 0;
    for somebody in everybody(&t).await {
        for route in containerops::web::needs() {
            let expected = match route.need {
                Need::Nothing => Some(Answer::Let),
                need if somebody.is_nobody() && route.path.starts_with("/api/") && needs_somebody(need) => {
                    Some(Answer::Unknown)
                }
                Need::Visitor | Need::Known => of_visitor(&somebody, &route.path),
                Need::SignedIn => Some(if somebody.is_person() { Answer::Let } else { Answer::Hidden }),
                Need::Repository(right) | Need::Run(right) | Need::Job(right) => Some(somebody.expects(right, private)),
                // who has not signed in need not know what was delivered
                Need::Delivery(_) => Some(match somebody.expects(Right::Maintain, private) {
                    Answer::Refused if matches!(somebody.shows, Shows::Nothing) => Answer::Hidden,
                    other @ (Answer::Let | Answer::Hidden | Answer::Refused | Answer::Unknown) => other,
                }),
            };
            let Some(expected) = expected else { continue };
            let path = there.fill(&route.path, route.need);
            let other = match route.need {
                // with a parameter that names nothing
                Need::Known | Need::SignedIn if expected == Answer::Unknown => {
                    format!("{path}?forge=github&repository=acme/nothing")
                }
                Need::Visitor | Need::Known | Need::SignedIn if route.path.starts_with("/api/") => {
                    "/api/v1/nothing".to_owned()
                }
                Need::Visitor | Need::Known | Need::SignedIn => "/nothing".to_owned(),
                Need::Nothing | Need::Repository(_) | Need::Run(_) | Need::Job(_) | Need::Delivery(_) => {
                    nowhere.fill(&route.path, route.need)
                }
            };
            check(&t, &somebody, (&route.method, &path), &other, expected).await;
            cases += 1;
        }
        for (method, path, right) in pages() {
            let other = path.replace("widget", "nothing");
            let is_unknown = somebody.is_nobody() && path.starts_with("/api/");
            let expected = if is_unknown { Answer::Unknown } else { somebody.expects(right, private) };
            check(&t, &somebody, (&method, &path), &other, expected).await;
            cases += 1;
        }
        // an owner's secrets are for repositories of others, too
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let path = if method == Method::GET { "/api/v1/secrets" } else { "/api/v1/secrets/nothing" };
            let (path, other) =
                (format!("{path}?forge=github&owner=acme"), format!("{path}?forge=github&owner=nobody"));
            let expected = if somebody.is_nobody() { Answer::Unknown } else { somebody.expects_of_server() };
            check(&t, &somebody, (&method, &path), &other, expected).await;
            cases += 1;
        }
    }
    assert!(cases > 800, "{cases}");
}

#[tokio::test]
async fn everybody_is_answered_as_they_should_be_about_a_public_repository() {
    all_of_it(false).await;
}

#[tokio::test]
async fn everybody_is_answered_as_they_should_be_about_a_private_repository() {
    all_of_it(true).await;
}
