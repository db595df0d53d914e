//! An agent whose job does what the story says, over the real agent API.

use std::time::Duration;

use containerops::{
    agent::protocol::{
        self, Bundle, Cause, Chores, Chunk, ClaimAnswer, ClaimRequest, EndRecord, Entry, EntryKind, HeartbeatAnswer,
        LogAnswer, LogSeal, NewArtifact, Outputs, Part, Piece, Stream, Work,
    },
    engine::event,
    model::{JobPath, Time},
};
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::app::Tester;

/// How long a modelled job works before it ends.
const WORK: Duration = Duration::from_secs(5);
/// A claim that is kept so long is one that waits.
const KEPT: Duration = Duration::from_millis(300);

/// One job's agent, after its claim.
pub(crate) struct Agent<'t> {
    t: &'t Tester,
    /// What it was told to do.
    pub(crate) work: Work,
    session: String,
    token: String,
    log: Vec<u8>,
    result: Option<String>,
    ready: Option<Time>,
    started: Time,
}

impl<'t> Agent<'t> {
    /// Claims for a job whose turn may not have come. True: it has not.
    pub(crate) async fn waits(t: &'t Tester, job: &str) -> bool {
        let token = token(t, job).await;
        let session = session(&token);
        let asking = ask_to_start(t, &token, &session);
        // the server keeps the question: that it does is the answer
        tokio::time::timeout(KEPT, asking).await.is_err()
    }

    /// Claims for a job. Err: it was told to leave, for this reason.
    pub(super) async fn claim(t: &'t Tester, job: &str) -> Result<Self, String> {
        let token = token(t, job).await;
        // one session for each job, so that a second claim is the same agent's
        let session = session(&token);
        match ask_to_start(t, &token, &session).await {
            ClaimAnswer::Run(work) => Ok(Self {
                t,
                work: *work,
                session,
                token,
                log: Vec::new(),
                result: None,
                ready: None,
                started: t.clock.now(),
            }),
            ClaimAnswer::Leave { reason } => Err(reason),
            ClaimAnswer::Wait => panic!("{job} was told to wait"),
        }
    }

    /// Claims once more, as an agent does that heard no answer.
    pub(crate) async fn claims_again(&self) {
        let answer = ask_to_start(self.t, &self.token, &self.session).await;
        let ClaimAnswer::Run(work) = answer else { panic!("it runs, and was answered {answer:?}") };
        assert_eq!(lasting(*work), lasting(self.work.clone()));
    }

    /// The job prints this.
    pub(crate) async fn says(mut self, text: &str) -> Self {
        let offset = self.log.len();
        self.log.extend_from_slice(text.as_bytes());
        self.sends_from(offset).await;
        self
    }

    /// Ships the log from this offset, whether the server has it or not.
    pub(crate) async fn sends_from(&self, offset: usize) {
        let text = self.log[offset..].to_vec();
        let piece = Piece { length: text.len() as u64, time: self.t.clock.now(), stream: Stream::Out };
        let body = Chunk { pieces: vec![piece], text }.encode().expect("a chunk");
        let answer = self.call(Method::PUT, &format!("log?offset={offset}")).body(body).send().await;
        let answer: LogAnswer = answer.expect("an answer").json().await.expect("a log's length");
        assert_eq!(answer.length, self.log.len() as u64);
    }

    /// The job leaves an artifact of one file.
    pub(crate) async fn leaves(self, name: &str, path: &str, text: &str) -> Self {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, text.as_bytes()).expect("an entry");
        let tar = tar.into_inner().expect("a tar");
        let data = zstd::bulk::compress(&tar, 3).expect("compressed");
        let part = Part::of(&data);
        let put = self.call(Method::PUT, &format!("blobs/{}", part.digest)).body(data).send().await;
        assert_eq!(put.expect("an answer").status(), StatusCode::NO_CONTENT);
        let kind = EntryKind::File { size: text.len() as u64, mode: 0o644, at: 512 };
        let entries = vec![Entry { path: path.to_owned(), kind }];
        let bundle = Bundle { length: tar.len() as u64, parts: vec![part] };
        let new = NewArtifact { name: name.to_owned(), bundle, entries };
        let kept = self.call(Method::POST, "artifacts").json(&new).send().await.expect("an answer");
        assert_eq!(kept.status(), StatusCode::NO_CONTENT, "{}", kept.text().await.unwrap_or_default());
        self
    }

    /// The job writes these outputs.
    pub(crate) async fn writes(self, outputs: &[(&str, &str)]) -> Self {
        let outputs = outputs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let status = self.call(Method::POST, "outputs").json(&Outputs { outputs }).send().await;
        assert_eq!(status.expect("an answer").status(), StatusCode::NO_CONTENT);
        self
    }

    /// The job says how it went, in the original's way.
    pub(crate) fn results_in(mut self, value: &str) -> Self {
        self.result = Some(value.to_owned());
        self
    }

    /// The service is ready, and says so.
    pub(crate) async fn gets_ready(mut self) -> Self {
        self.ready = Some(self.t.clock.now());
        self.says_ready().await;
        self.t.settle().await;
        self
    }

    /// Says that the service is ready.
    pub(crate) async fn says_ready(&self) {
        let answer = self.call(Method::POST, "ready").send().await;
        assert_eq!(answer.expect("an answer").status(), StatusCode::NO_CONTENT);
    }

    /// The service hears that nobody needs it any more, and stops.
    pub(crate) async fn stops(self) {
        let by = protocol::JOBS_ENDED.to_owned();
        assert_eq!(self.hears().await, HeartbeatAnswer::Cancel { by: by.clone() });
        self.ends(Cause::Cancelled { by }).await;
    }

    /// Sends these outputs and this end, and hears no answer.
    pub(crate) async fn says_all_again(&self, outputs: &[(&str, &str)], end: &EndRecord) {
        self.sends_from(0).await;
        let outputs = outputs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let status = self.call(Method::POST, "outputs").json(&Outputs { outputs }).send().await;
        assert_eq!(status.expect("an answer").status(), StatusCode::NO_CONTENT);
        self.reports(end).await;
    }

    /// Asks for the snapshot that it was told of. The answer's status.
    pub(crate) async fn fetches_source(&self) -> StatusCode {
        let source = self.work.source.as_deref().expect("it was told of a snapshot");
        self.call(Method::GET, &format!("blobs/{source}")).send().await.expect("an answer").status()
    }

    /// What the server wants of it at this moment.
    pub(crate) async fn hears(&self) -> HeartbeatAnswer {
        let answer = self.call(Method::POST, "heartbeat?wait=0").send().await.expect("an answer");
        answer.json().await.expect("a heartbeat's answer")
    }

    /// The job ends with this code, and the service does what follows.
    pub(crate) async fn exits(self, code: i32) {
        self.ends(Cause::Exit { code }).await;
    }

    /// The job ends like this, and the service does what follows.
    pub(crate) async fn ends(self, cause: Cause) {
        self.t.clock.advance(WORK);
        self.reports(&self.record(cause)).await;
        self.t.settle().await;
    }

    /// Sends an end record.
    pub(crate) async fn reports(&self, record: &EndRecord) {
        let answer = self.call(Method::POST, "end").json(record).send().await;
        assert_eq!(answer.expect("an answer").status(), StatusCode::NO_CONTENT);
    }

    /// The record of such an end.
    pub(crate) fn record(&self, cause: Cause) -> EndRecord {
        let lines = self.log.split_inclusive(|&byte| byte == b'\n').count() as u64;
        let sha256 = hex::encode(Sha256::digest(&self.log));
        EndRecord {
            ready: self.ready,
            chores: Chores::default(),
            job: self.work.job,
            cause,
            started: Some(self.started),
            ended: self.t.clock.now(),
            result: self.result.clone(),
            memory_peak: None,
            memory_limit: None,
            oom_kills: 0,
            log: LogSeal { length: self.log.len() as u64, lines, sha256, ..LogSeal::default() },
        }
    }

    /// The token of its first claim.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// What it proves by who it is.
    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    /// A call of its session.
    pub(crate) fn call(&self, method: Method, call: &str) -> RequestBuilder {
        let url = format!("{}/agent/v1/{call}", self.t.url());
        self.t.http.request(method, url).bearer_auth(&self.session)
    }
}

/// The token that the newest pod's container of this job was given.
async fn token(t: &Tester, job: &str) -> String {
    let (path, action) = path(job);
    let pod = t.pods.newest(&action).unwrap_or_else(|| panic!("there is no pod of {action}"));
    let run = t.run(pod.run).await;
    let stages = &run.plan.0.as_ref().expect("a run with pods has a plan").stages;
    let stage = stages.iter().find(|stage| stage.name == path.stage).expect("a stage of this name");
    let action = stage.actions.iter().find(|action| action.name == path.action).expect("an action of this name");
    let place = action
        .members()
        .filter(|job| !job.is_podless())
        .position(|job| job.name == path.job)
        .expect("a job of this name");
    pod.containers[place].token.expose_secret().to_owned()
}

fn session(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

/// A job's work without what names the server's port, which is another one after each start of a test's server.
fn lasting(mut work: Work) -> Work {
    work.environments.retain(|name, _| !event::NAMES.contains(&name.as_str()));
    work
}

async fn ask_to_start(t: &Tester, token: &str, session: &str) -> ClaimAnswer {
    let request =
        ClaimRequest { protocol: protocol::VERSION, version: "story".to_owned(), session: session.to_owned() };
    let call = t.http.post(format!("{}/agent/v1/claim", t.url())).bearer_auth(token).json(&request);
    let answer = call.send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.expect("an answer to a claim")
}

/// `a.b.c` names a job, `a.b` the only one of an action, `a` the only one of a stage; and the pod's action.
fn path(job: &str) -> (JobPath, String) {
    let mut parts = job.split('.').map(str::to_owned);
    let stage = parts.next().expect("a stage");
    let action = parts.next().unwrap_or_else(|| stage.clone());
    let job = parts.next().unwrap_or_else(|| action.clone());
    let pod = format!("{stage}.{action}");
    (JobPath { stage, action, job }, pod)
}
