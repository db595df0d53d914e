//! Every call that we make to GitHub, once, against GitHub's own description: Prism serves it and refuses what does
//! not fit. `.ci/prism` starts one and prints its URL for `CONTAINEROPS_TEST_PRISM`.

mod gitlab;

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Uri, header},
    response::Response,
};
use containerops::{
    forge::{Forge as _, Head, Hooks, Wanted, github::Github},
    model::{
        Annotation, CommentForm, CommentPlace, Conclusion, Context, Level, Progress, Report, Repository, Sha, Thread,
        Time,
    },
};
use insta::assert_snapshot;

use crate::harness::{github::ModelGithub, required};

/// Stands before Prism and notes each call with its answer, since some refusals are no errors to us: 404 means that
/// there is no flow file.
#[derive(Clone)]
struct Witness {
    prism: String,
    client: reqwest::Client,
    seen: Arc<Mutex<Vec<Seen>>>,
}

struct Seen {
    call: String,
    status: u16,
    answer: String,
}

async fn pass_on(
    State(witness): State<Witness>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = format!("{method} {}", uri.path());
    let mut request = witness.client.request(method, format!("{}{uri}", witness.prism)).body(body);
    let token = header::HeaderName::from_static("private-token");
    for name in [header::ACCEPT, header::AUTHORIZATION, header::CONTENT_TYPE, token] {
        request = headers.get(&name).into_iter().fold(request, |request, value| request.header(&name, value));
    }
    let response = request.send().await.expect("Prism is there");
    let status = response.status();
    let answer = response.text().await.expect("Prism answers");
    witness.seen.lock().expect("nobody panics here").push(Seen {
        call,
        status: status.as_u16(),
        answer: answer.clone(),
    });
    Response::builder().status(status).body(Body::from(answer)).expect("an answer")
}

/// Starts the witness; its URL.
async fn witness(prism: String) -> (String, Arc<Mutex<Vec<Seen>>>) {
    let seen = Arc::<Mutex<Vec<Seen>>>::default();
    let witness = Witness { prism, client: reqwest::Client::new(), seen: Arc::clone(&seen) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(pass_on).with_state(witness);
    tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
    (url, seen)
}

fn annotation(line: usize) -> Annotation {
    let (path, message) = (".containerops.yml".to_owned(), "unknown key".to_owned());
    // one of each kind: a line's place, a line, several lines
    let (end_line, column) = [(0, 3), (0, 0), (line + 2, 0)][line % 3];
    let severity = [Level::Notice, Level::Warning, Level::Error][line % 3];
    Annotation { path, line, end_line, column, length: 0, severity, title: "E0425".to_owned(), message }
}

fn report(progress: Progress) -> Report {
    Report {
        progress,
        title: "lint and test".to_owned(),
        summary: "| stage | state |".to_owned(),
        url: "https://ci.example.com/github/acme/widget/runs/1".to_owned(),
        external_id: "01kabcdefghjk".to_owned(),
        buttons: Vec::new(),
        started: Some(Time::from_millis(1_772_357_400_000)),
        ended: Some(Time::from_millis(1_772_357_460_000)),
        annotations: (1..=120).map(annotation).collect(),
    }
}

/// Everything that the seam can ask for, in one go. Prism's answers are examples, which need not make sense to us, so
/// only its refusals count.
async fn make_every_call(github: &Github, repository: &Repository, sha: &Sha) {
    let _ = github.flow_files(repository, sha).await;
    // the example's pull request is another branch's
    assert_eq!(github.open_pull_request(repository, "fix/#1&more").await.expect("Prism takes it"), None);
    let context = Context::of_run("ci", "push");
    for progress in [
        Progress::Queued,
        Progress::Running,
        Progress::Done(Conclusion::Success),
        Progress::Done(Conclusion::Warning),
        Progress::Done(Conclusion::Failure),
        Progress::Done(Conclusion::TimedOut),
        Progress::Done(Conclusion::Cancelled),
        Progress::Done(Conclusion::Skipped),
        Progress::Done(Conclusion::Error),
    ] {
        let wanted = Wanted { repository, sha, event: None, context: &context, report: &report(progress) };
        for known in [None, Some("4"), Some("4/50")] {
            github.report(&wanted, known).await.expect("Prism takes it");
        }
    }
    github.shown(repository, sha, &[]).await.expect("Prism takes it");
}

/// What comments need: who wrote them, and their answers.
async fn make_every_call_of_comments(github: &Github, repository: &Repository) {
    github.role(repository, "octocat").await.expect("Prism takes it");
    let place = CommentPlace {
        repository: repository.clone(),
        thread: Thread::PullRequest(17),
        id: 1,
        form: CommentForm::Below,
    };
    for (words, again) in [("", false), ("it is over", false), ("it is over", true)] {
        github.reply(&place, (words, "<!-- 1 -->"), again).await.expect("Prism takes it");
    }
}

/// What the sweep asks: as the App about all, with a token about each repository's hook.
async fn make_every_call_of_the_sweep(github: &Github, repository: &Repository, sha: &Sha) {
    let recall = github.recall().expect("it has credentials");
    let of = match recall.hooks() {
        Hooks::OfAll => None,
        Hooks::OfEach | Hooks::None => Some(repository),
    };
    // where the example's hook delivers
    let page = recall.attempts(of, "https://example.com/webhook", None).await.expect("Prism takes it");
    let list = match of {
        None => "/app/hook/deliveries".to_owned(),
        Some(repository) => format!("/repos/{}/hooks/7/deliveries", repository.name),
    };
    let next = format!("{list}?per_page=100&cursor=v1_12077215967");
    recall.attempts(of, "", Some(&next)).await.expect("Prism takes it");
    let attempt = page.attempts.first().map_or(format!("{list}/12345678"), |attempt| attempt.id.clone());
    recall.deliver_again(of, &attempt).await.expect("Prism takes it");
    recall.heads(repository).await.expect("Prism takes it");
    let before: Sha = "0".repeat(40).parse().expect("a sha");
    for (name, kind) in [("refs/heads/fix/#1", "commit"), ("refs/tags/v1/rc", "tag")] {
        let head = Head { name: name.to_owned(), sha: sha.clone(), told: kind.into() };
        recall.webhook(repository, &head, &before).await.expect("Prism takes it");
    }
}

#[tokio::test]
async fn githubs_own_description_takes_every_call() {
    let Some(prism) = required("prism", "CONTAINEROPS_TEST_PRISM") else { return };
    let model = ModelGithub::start().await;
    let (url, seen) = witness(prism).await;
    let sha = model.commit("acme/widget", "main", &[("a", b"1")]);
    for mut settings in [model.settings(), model.settings_with_token()] {
        settings.api_url.clone_from(&url);
        let github = Github::new(settings).expect("good settings");
        let mut repository = crate::github::pushed(&github, &model, "main").repository;
        repository.installation = None;
        make_every_call(&github, &repository, &sha).await;
        make_every_call_of_comments(&github, &repository).await;
        make_every_call_of_the_sweep(&github, &repository, &sha).await;
    }
    let seen = seen.lock().expect("nobody panics here");
    for Seen { call, status, answer } in seen.iter() {
        assert!((200..300).contains(status), "{call} was answered with {status}: {answer}");
    }
    let mut calls: Vec<String> = seen.iter().map(|seen| seen.call.replace(sha.as_str(), "SHA")).collect();
    calls.sort_unstable();
    calls.dedup();
    assert_snapshot!(calls.join("\n"), @r"
    GET /app/hook/deliveries
    GET /repos/acme/widget/branches
    GET /repos/acme/widget/collaborators/octocat/permission
    GET /repos/acme/widget/commits/SHA
    GET /repos/acme/widget/commits/SHA/check-runs
    GET /repos/acme/widget/commits/SHA/status
    GET /repos/acme/widget/commits/tags%2Fv1%2Frc
    GET /repos/acme/widget/contents/.containerops
    GET /repos/acme/widget/contents/.containerops.yml
    GET /repos/acme/widget/git/matching-refs/tags
    GET /repos/acme/widget/hooks
    GET /repos/acme/widget/hooks/12345678/deliveries
    GET /repos/acme/widget/hooks/7/deliveries
    GET /repos/acme/widget/installation
    GET /repos/acme/widget/issues/17/comments
    GET /repos/acme/widget/pulls
    PATCH /repos/acme/widget/check-runs/4
    POST /app/hook/deliveries/12345678/attempts
    POST /app/installations/1/access_tokens
    POST /repos/acme/widget/check-runs
    POST /repos/acme/widget/hooks/7/deliveries/12345678/attempts
    POST /repos/acme/widget/issues/17/comments
    POST /repos/acme/widget/issues/comments/1/reactions
    POST /repos/acme/widget/statuses/SHA
    ");
}
