//! A server as an agent sees it, that records every call and fails when it is told to.

use std::{
    collections::VecDeque,
    path::Path,
    process::Output,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Query, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use containerops::{
    agent::protocol::{
        Chunk, ClaimAnswer, ClaimRequest, EndRecord, HeartbeatAnswer, LOG_LIMIT, LogAnswer, Outputs, Piece, Start,
        Stream, Work,
    },
    model::{JobId, Time},
};
use tokio::sync::{Notify, watch};

pub(crate) const TOKEN: &str = "the-token-of-the-job";

/// What goes wrong with one `PUT log`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Nothing is stored.
    Error,
    /// The chunk is stored, but the agent does not hear of it.
    LostAnswer,
    /// The answer says that the server has less than it has said before.
    Forgot,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) text: Vec<u8>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) outputs: Option<Outputs>,
    pub(crate) end: Option<EndRecord>,
    pub(crate) claims: u32,
    pub(crate) chunks: u32,
    sessions: std::collections::BTreeSet<String>,
    session: String,
}

pub(crate) struct Inner {
    answer: ClaimAnswer,
    blob: (StatusCode, Vec<u8>),
    faults: Mutex<VecDeque<Fault>>,
    seen: Mutex<Seen>,
    length: watch::Sender<usize>,
    cancel: Notify,
    by: Mutex<String>,
    ready: watch::Sender<usize>,
    gone: bool,
    away: AtomicBool,
}

/// The modelled server, on a port of its own.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) inner: Arc<Inner>,
    pub(crate) url: String,
}

/// How a job went, as server and machine saw it.
pub(crate) struct Ran {
    pub(crate) exit: Option<i32>,
    pub(crate) end: Option<EndRecord>,
    pub(crate) output: Output,
}

pub(crate) fn work(start: Start) -> Work {
    Work {
        ready: None,
        job: JobId::from_i64(7),
        start,
        environments: [("GREETING".to_owned(), "hello".to_owned())].into(),
        source: None,
        timeout: Duration::from_secs(60),
        outputs: Vec::new(),
        masks: Vec::new(),
        secrets: Vec::new(),
        notes: Vec::new(),
        log_limit: LOG_LIMIT,
        shell: Vec::new(),
        downloads: Vec::new(),
        artifacts: Vec::new(),
        reports: Vec::new(),
        artifact_limit: 1 << 30,
        caches: Vec::new(),
        cache_limit: 1 << 30,
        strict: false,
    }
}

pub(crate) fn script(text: &str) -> Work {
    work(Start::Script(text.to_owned()))
}

impl Server {
    pub(crate) async fn with(work: Work) -> Self {
        Self::serve(ClaimAnswer::Run(Box::new(work)), (StatusCode::NOT_FOUND, Vec::new()), &[], false).await
    }

    pub(crate) async fn failing(work: Work, faults: &[Fault]) -> Self {
        Self::serve(ClaimAnswer::Run(Box::new(work)), (StatusCode::NOT_FOUND, Vec::new()), faults, false).await
    }

    pub(crate) async fn with_blob(work: Work, blob: Vec<u8>) -> Self {
        Self::serve(ClaimAnswer::Run(Box::new(work)), (StatusCode::OK, blob), &[], false).await
    }

    pub(crate) async fn leaving() -> Self {
        let answer = ClaimAnswer::Leave { reason: "the job before failed".to_owned() };
        Self::serve(answer, (StatusCode::NOT_FOUND, Vec::new()), &[], false).await
    }

    pub(crate) async fn forgetful() -> Self {
        Self::serve(ClaimAnswer::Wait, (StatusCode::NOT_FOUND, Vec::new()), &[], true).await
    }

    async fn serve(answer: ClaimAnswer, blob: (StatusCode, Vec<u8>), faults: &[Fault], gone: bool) -> Self {
        let faults = Mutex::new(faults.iter().copied().collect());
        let (length, _) = watch::channel(0);
        let inner = Arc::new(Inner {
            answer,
            blob,
            faults,
            seen: Mutex::default(),
            length,
            cancel: Notify::new(),
            by: Mutex::new("ada".to_owned()),
            ready: watch::channel(0).0,
            gone,
            away: AtomicBool::new(false),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = router().with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { inner, url }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen().text).into_owned()
    }

    /// The bytes of one stream alone.
    pub(crate) fn stream(&self, wanted: Stream) -> Vec<u8> {
        let seen = self.seen();
        let mut at = 0;
        let mut bytes = Vec::new();
        for piece in &seen.pieces {
            let next = at + piece.length as usize;
            if piece.stream == wanted {
                bytes.extend_from_slice(&seen.text[at..next]);
            }
            at = next;
        }
        bytes
    }

    /// How many agents there were.
    pub(crate) fn sessions(&self) -> usize {
        self.seen().sessions.len()
    }

    /// Waits until the log has something.
    pub(crate) async fn logged(&self) {
        let mut length = self.inner.length.subscribe();
        let logged = tokio::time::timeout(Duration::from_secs(30), length.wait_for(|&length| length > 0)).await;
        logged.expect("a line in time").expect("the server lives");
    }

    /// From now on it answers nothing: whoever calls hears that it is unavailable, as by a proxy.
    pub(crate) fn goes_away(&self) {
        self.inner.away.store(true, Ordering::SeqCst);
        self.inner.cancel.notify_one();
    }

    /// Who cancels.
    pub(crate) fn cancels_as(&self, by: &str) {
        by.clone_into(&mut self.inner.by.lock().expect("no panic"));
    }

    /// Waits until a service has said that it is ready.
    pub(crate) async fn is_ready(&self) {
        let mut said = self.inner.ready.subscribe();
        let said = tokio::time::timeout(Duration::from_secs(30), said.wait_for(|&count| count > 0)).await;
        said.expect("ready in time").expect("the server lives");
    }

    /// How often a service has said that it is ready.
    pub(crate) fn readies(&self) -> usize {
        *self.inner.ready.borrow()
    }

    pub(crate) fn cancel(&self) {
        self.inner.cancel.notify_one();
    }

    /// Runs the real agent to its end.
    pub(crate) async fn run(&self, dir: &Path) -> Ran {
        let child = self.agent(dir).spawn().expect("the agent starts");
        self.finish(child).await
    }

    pub(crate) async fn finish(&self, child: tokio::process::Child) -> Ran {
        let output = child.wait_with_output().await.expect("the agent ends");
        Ran { exit: output.status.code(), end: self.seen().end.clone(), output }
    }

    pub(crate) fn agent(&self, dir: &Path) -> tokio::process::Command {
        std::fs::write(dir.join("token"), format!("{TOKEN}\n")).expect("a token file");
        std::fs::create_dir_all(dir.join("workspace")).expect("a workspace");
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_containerops-agent"));
        command.args(["job", "--url", &self.url]);
        for name in ["token-file", "workspace", "scratch", "termination-log"] {
            command.arg(format!("--{name}")).arg(dir.join(name.trim_end_matches("-file")));
        }
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).kill_on_drop(true);
        command
    }
}

fn router() -> Router<Arc<Inner>> {
    let calls = Router::new()
        .route("/claim", post(claim))
        .route("/log", put(log))
        .route("/outputs", post(outputs))
        .route("/heartbeat", post(heartbeat))
        .route("/ready", post(ready))
        .route("/end", post(end))
        .route("/blobs/{digest}", get(blob));
    Router::new().nest("/agent/v1", calls).layer(DefaultBodyLimit::max(16 << 20))
}

impl Inner {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), StatusCode> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        let session = format!("Bearer {}", self.seen().session);
        let good = headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes() == session.as_bytes());
        if good { Ok(()) } else { Err(StatusCode::UNAUTHORIZED) }
    }
}

async fn claim(State(inner): State<Arc<Inner>>, headers: HeaderMap, Json(request): Json<ClaimRequest>) -> Response {
    let bearer = headers.get(AUTHORIZATION).expect("a token");
    if inner.gone || bearer.as_bytes() != format!("Bearer {TOKEN}").as_bytes() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mut seen = inner.seen();
    seen.claims += 1;
    seen.sessions.insert(request.session.clone());
    seen.session = request.session;
    match seen.claims {
        // a server that is away, then one whose turn has not come
        1 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        2 => Json(ClaimAnswer::Wait).into_response(),
        _ => Json(inner.answer.clone()).into_response(),
    }
}

#[derive(serde::Deserialize)]
struct At {
    offset: u64,
}

async fn log(State(inner): State<Arc<Inner>>, headers: HeaderMap, Query(at): Query<At>, body: Bytes) -> Response {
    if let Err(status) = inner.check(&headers) {
        return status.into_response();
    }
    let fault = inner.faults.lock().expect("no panic").pop_front();
    if matches!(fault, Some(Fault::Error)) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let mut seen = inner.seen();
    let length = seen.text.len() as u64;
    if at.offset != length {
        return (StatusCode::CONFLICT, Json(LogAnswer { length })).into_response();
    }
    let chunk = Chunk::decode(&body).expect("a chunk");
    match fault {
        Some(Fault::Forgot) => return (StatusCode::CONFLICT, Json(forget(&mut seen))).into_response(),
        Some(Fault::LostAnswer | Fault::Error) | None => {}
    }
    seen.chunks += 1;
    seen.text.extend_from_slice(&chunk.text);
    seen.pieces.extend(chunk.pieces);
    inner.length.send_replace(seen.text.len());
    match fault {
        Some(Fault::LostAnswer) => broken_body(),
        Some(Fault::Error | Fault::Forgot) | None => Json(LogAnswer { length: seen.text.len() as u64 }).into_response(),
    }
}

fn forget(seen: &mut Seen) -> LogAnswer {
    seen.text.clear();
    seen.pieces.clear();
    LogAnswer { length: 0 }
}

/// A connection that breaks in the middle of an answer.
fn broken_body() -> Response {
    let error = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("broken")) });
    Body::from_stream(error).into_response()
}

async fn outputs(State(inner): State<Arc<Inner>>, headers: HeaderMap, Json(outputs): Json<Outputs>) -> StatusCode {
    if let Err(status) = inner.check(&headers) {
        return status;
    }
    inner.seen().outputs = Some(outputs);
    StatusCode::NO_CONTENT
}

async fn heartbeat(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    if let Err(status) = inner.check(&headers) {
        return status.into_response();
    }
    inner.cancel.notified().await;
    if inner.away.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    Json(HeartbeatAnswer::Cancel { by: inner.by.lock().expect("no panic").clone() }).into_response()
}

async fn ready(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> StatusCode {
    if let Err(status) = inner.check(&headers) {
        return status;
    }
    inner.ready.send_modify(|count| *count += 1);
    StatusCode::NO_CONTENT
}

async fn end(State(inner): State<Arc<Inner>>, headers: HeaderMap, Json(end): Json<EndRecord>) -> StatusCode {
    if let Err(status) = inner.check(&headers) {
        return status;
    }
    inner.seen().end = Some(end);
    StatusCode::NO_CONTENT
}

async fn blob(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    match inner.check(&headers) {
        Ok(()) => inner.blob.clone().into_response(),
        Err(status) => status.into_response(),
    }
}

/// Any moment before this was no moment of a test.
pub(crate) const LONG_AGO: Time = Time::from_millis(1_700_000_000_000);
