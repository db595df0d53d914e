//! The server as agents see it, as a small model: it gives each token its work and keeps the ends.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    routing::{post, put},
};
use containerops::{
    agent::protocol::{ClaimAnswer, EndRecord, LOG_LIMIT, LogAnswer, Start, Work},
    model::JobId,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// The model. It ends when it is dropped.
pub(crate) struct Agents {
    state: Arc<Known>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Known {
    work: Mutex<HashMap<String, Work>>,
    ends: Mutex<HashMap<JobId, EndRecord>>,
}

#[derive(serde::Deserialize)]
struct Offset {
    offset: u64,
}

impl Agents {
    /// Listens at this address, which pods must be able to reach.
    pub(crate) async fn listen(host: &str) -> Self {
        let listener = TcpListener::bind((host, 0)).await.expect("the address that pods reach is this machine's");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::<Known>::default();
        let routes = Router::new()
            .route("/agent/v1/claim", post(claim))
            .route("/agent/v1/log", put(log))
            .route("/agent/v1/heartbeat", post(std::future::pending::<StatusCode>))
            .route("/agent/v1/outputs", post(StatusCode::NO_CONTENT))
            .route("/agent/v1/end", post(end))
            .with_state(Arc::clone(&state));
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.expect("the model serves") });
        Self { state, address, task }
    }

    /// What agents are told.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whoever comes with this token runs this script.
    pub(crate) fn give(&self, token: &str, job: JobId, script: &str) {
        let work = Work {
            ready: None,
            job,
            start: Start::Script(script.to_owned()),
            environments: BTreeMap::new(),
            source: None,
            timeout: Duration::from_secs(120),
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
        };
        self.state.work.lock().expect("no test panics with it").insert(token.to_owned(), work);
    }

    /// The end record of a job, if its agent has told it.
    pub(crate) fn end(&self, job: JobId) -> Option<EndRecord> {
        self.state.ends.lock().expect("no test panics with it").get(&job).cloned()
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn claim(State(known): State<Arc<Known>>, headers: HeaderMap) -> Result<Json<ClaimAnswer>, StatusCode> {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let work = known.work.lock().expect("no test panics with it").get(token.unwrap_or_default()).cloned();
    work.map(|work| Json(ClaimAnswer::Run(Box::new(work)))).ok_or(StatusCode::UNAUTHORIZED)
}

async fn log(Query(Offset { offset }): Query<Offset>, body: Bytes) -> Json<LogAnswer> {
    let (length, rest) = body.split_at(4);
    let index = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
    let text = zstd::decode_all(&rest[index..]).expect("the text of a chunk");
    Json(LogAnswer { length: offset + text.len() as u64 })
}

async fn end(State(known): State<Arc<Known>>, Json(end): Json<EndRecord>) -> StatusCode {
    known.ends.lock().expect("no test panics with it").insert(end.job, end);
    StatusCode::NO_CONTENT
}
