//! The agent's side of `/agent/v1`. Every call may be repeated, and is, for as long as the server is away.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::{RequestBuilder, Response, StatusCode};
use rustls::crypto::CryptoProvider;
use serde::de::DeserializeOwned;

use super::protocol::{
    CacheAnswer, CacheRequest, CacheWish, ClaimAnswer, ClaimRequest, EndRecord, Heartbeat, HeartbeatAnswer, LONG_POLL,
    LogAnswer, NewArtifact, NewCache, NewReports, Outputs, ReportsAnswer, VERSION,
};

/// For a call that the server answers at once.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// For one that it may keep.
const LONG_ANSWER_WITHIN: Duration = LONG_POLL.saturating_add(Duration::from_secs(15));
/// For some megabytes over a slow line.
const PART_WITHIN: Duration = Duration::from_secs(300);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A snapshot may take long as a whole, but not stand still.
const READ_WITHIN: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The server as one session sees it.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    session: String,
    answered: Arc<Mutex<Instant>>,
}

/// Repeating the call will not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// This agent was replaced, or its attempt is over.
    #[error("the server does not know this agent (any more): {0}")]
    Gone(StatusCode),
    /// The server and we do not understand each other.
    #[error("the server refused {call} with {status}: {message}")]
    Refused { call: &'static str, status: StatusCode, message: String },
}

/// One try.
enum Try<T> {
    Done(T),
    Failed(CallError),
    Again,
}

/// Grows from a tenth of a second to five, with jitter, so that many agents do not return at the same moment.
pub(super) struct Pause(Duration);

impl Client {
    /// For the server at `url`, in a session that only this agent knows.
    ///
    /// # Errors
    /// If the system has no randomness, or the client cannot be built.
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut secret = [0; 32];
        // not by the getrandom crate: in a static program it looks for /dev/random, which an empty root does not have
        let filled = provider.secure_random.fill(&mut secret);
        filled.map_err(|_| anyhow::anyhow!("the system has no randomness for the session's secret"))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(provider)?)
            // the image's HTTP_PROXY is meant for the job
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .read_timeout(READ_WITHIN)
            .user_agent(concat!("containerops-agent/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let answered = Arc::new(Mutex::new(Instant::now()));
        Ok(Self {
            http,
            base: format!("{}/agent/v1", url.trim_end_matches('/')),
            session: hex::encode(secret),
            answered,
        })
    }

    /// A secret, to be masked.
    pub(super) fn session(&self) -> &str {
        &self.session
    }

    /// How long it is since the server answered.
    pub(super) fn alone_for(&self) -> Duration {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Asks for the turn once; the server keeps the question for a while.
    pub(super) async fn claim(&self, token: &str) -> Result<ClaimAnswer, CallError> {
        let request = ClaimRequest {
            protocol: VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            session: self.session.clone(),
        };
        let post = || self.http.post(self.url("claim")).bearer_auth(token).timeout(LONG_ANSWER_WITHIN).json(&request);
        self.ask("claim", post).await
    }

    /// Sends a chunk of the log; the answer says where to go on.
    pub(super) async fn put_log(&self, offset: u64, chunk: Vec<u8>) -> Result<LogAnswer, CallError> {
        let chunk = bytes::Bytes::from(chunk);
        let put = || {
            let put = self.http.put(self.url(&format!("log?offset={offset}")));
            self.sign(put).timeout(ANSWER_WITHIN).body(chunk.clone())
        };
        self.ask("log", put).await
    }

    /// Sends the outputs.
    pub(super) async fn post_outputs(&self, outputs: &Outputs) -> Result<(), CallError> {
        self.tell("outputs", || self.sign(self.http.post(self.url("outputs"))).timeout(ANSWER_WITHIN).json(outputs))
            .await
    }

    /// Says that we live, and hears whether to go on; the server keeps the question for a while.
    pub(super) async fn heartbeat(&self, say: impl Fn() -> Heartbeat) -> Result<HeartbeatAnswer, CallError> {
        let post = || {
            let (said, post) = (say(), self.sign(self.http.post(self.url("heartbeat"))).timeout(LONG_ANSWER_WITHIN));
            if said == Heartbeat::default() { post } else { post.json(&said) }
        };
        self.ask("heartbeat", post).await
    }

    /// Says that a service is ready.
    pub(super) async fn post_ready(&self) -> Result<(), CallError> {
        self.tell("ready", || self.sign(self.http.post(self.url("ready"))).timeout(ANSWER_WITHIN)).await
    }

    /// Sends the end record.
    pub(super) async fn post_end(&self, end: &EndRecord) -> Result<(), CallError> {
        self.tell("end", || self.sign(self.http.post(self.url("end"))).timeout(ANSWER_WITHIN).json(end)).await
    }

    /// Begins to fetch a blob, once. The caller reads it and begins again where that fails.
    ///
    /// # Errors
    /// The network's, or a status that is not 200.
    pub(super) async fn get_blob(&self, digest: &str) -> Result<Response, reqwest::Error> {
        self.sign(self.http.get(self.url(&format!("blobs/{digest}")))).send().await?.error_for_status()
    }

    /// Sends a part of a bundle.
    pub(super) async fn put_part(&self, digest: &str, data: Vec<u8>) -> Result<(), CallError> {
        let data = bytes::Bytes::from(data);
        let put = || {
            let put = self.http.put(self.url(&format!("blobs/{digest}")));
            self.sign(put).timeout(PART_WITHIN).body(data.clone())
        };
        self.tell("blobs", put).await
    }

    /// Says of which parts an artifact is.
    pub(super) async fn post_artifact(&self, artifact: &NewArtifact) -> Result<(), CallError> {
        let post = || self.sign(self.http.post(self.url("artifacts"))).timeout(PART_WITHIN).json(artifact);
        self.tell("artifacts", post).await
    }

    /// Says what the job's tests have written, and hears what it says.
    pub(super) async fn post_reports(&self, reports: &NewReports) -> Result<ReportsAnswer, CallError> {
        let post = || self.sign(self.http.post(self.url("reports"))).timeout(PART_WITHIN).json(reports);
        self.ask("reports", post).await
    }

    /// Asks for a cache.
    pub(super) async fn ask_cache(&self, request: &CacheRequest) -> Result<CacheAnswer, CallError> {
        self.ask("caches", || self.sign(self.http.post(self.url("caches"))).timeout(ANSWER_WITHIN).json(request)).await
    }

    /// Asks whether a cache is to be kept.
    pub(super) async fn wants_cache(&self, name: &str) -> Result<CacheWish, CallError> {
        let url = self.url(&format!("caches/{name}"));
        self.ask("caches", || self.sign(self.http.get(&url)).timeout(ANSWER_WITHIN)).await
    }

    /// Asks whether the job has said of itself that it failed.
    pub(super) async fn has_refused(&self) -> Result<bool, CallError> {
        let url = self.url("refused");
        self.ask("refused", || self.sign(self.http.get(&url)).timeout(ANSWER_WITHIN)).await
    }

    /// Says of which parts a cache is.
    pub(super) async fn post_cache(&self, cache: &NewCache) -> Result<(), CallError> {
        let post = || self.sign(self.http.post(self.url("caches/kept"))).timeout(PART_WITHIN).json(cache);
        self.tell("caches", post).await
    }

    fn url(&self, call: &str) -> String {
        format!("{}/{call}", self.base)
    }

    fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(&self.session)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        call: &'static str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T, CallError> {
        self.repeat(call, request, |body| serde_json::from_slice(body).ok()).await
    }

    async fn tell(&self, call: &'static str, request: impl Fn() -> RequestBuilder) -> Result<(), CallError> {
        self.repeat(call, request, |_| Some(())).await
    }

    async fn repeat<T>(
        &self,
        call: &'static str,
        request: impl Fn() -> RequestBuilder,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, CallError> {
        let mut pause = Pause::new();
        loop {
            let answer = match once(call, request(), &read).await {
                Try::Done(answer) => Ok(answer),
                Try::Failed(error) => Err(error),
                Try::Again => {
                    pause.wait().await;
                    continue;
                }
            };
            *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            return answer;
        }
    }
}

impl Pause {
    pub(super) const fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    pub(super) async fn wait(&mut self) {
        let jitter = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
        tokio::time::sleep(self.0.mul_f64(0.5 + jitter / 2.0)).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

/// What a body that cannot be read, or not in time, says is unknown: ask again.
async fn once<T>(call: &'static str, request: RequestBuilder, read: impl Fn(&[u8]) -> Option<T>) -> Try<T> {
    let Ok(response) = request.send().await else { return Try::Again };
    let status = response.status();
    let Ok(body) = response.bytes().await else { return Try::Again };
    match status {
        // 409 answers `PUT log` with the right offset
        _ if status.is_success() || (status == StatusCode::CONFLICT && call == "log") => {
            read(&body).map_or(Try::Again, Try::Done)
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::GONE => Try::Failed(CallError::Gone(status)),
        // what stands between us and the server answers 404 while the server is away
        StatusCode::NOT_FOUND | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Try::Again
        }
        _ if status.is_client_error() => {
            let message = String::from_utf8_lossy(&body).chars().take(200).collect();
            Try::Failed(CallError::Refused { call, status, message })
        }
        _ => Try::Again,
    }
}

/// With roots of our own: an empty image has no certificates, and the platform's verifier panics there.
fn tls(provider: CryptoProvider) -> anyhow::Result<rustls::ClientConfig> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
