//! One job from its claim to its end: prepare, run, ship, tell the end. Whatever happens, there is one end record, and
//! it says what we know and no more.

use std::{
    fs::{self, File},
    io::Read,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    cache::Caches,
    cgroup::{Cgroup, Memory},
    chores::{Chore, Diary},
    client::{CallError, Client},
    command::{EXIT_GONE, JobArgs},
    complain,
    cout::{FILE_MAX, Finder},
    echo::Echo,
    keep::{Keep, Kept},
    log::Log,
    mask::{LiveMasks, Masks},
    process::{Process, Started},
    protocol::{Cause, EndRecord, Heartbeat, HeartbeatAnswer, JOBS_ENDED, Outputs, Work},
    pump::{Pump, Sink},
    ready::{Probe, Watched},
    reports::Reports,
    ship::{ShipError, ship},
    source,
    system::End,
};
use crate::model::{Check, Clock, Span, Time};

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);
/// What is left is shipped for so long when the agent itself is told to end.
const LAST_CALL: Duration = Duration::from_secs(10);
/// Children that write for the process, such as a `tee`, may end just after it.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// A server that answers heartbeats at once is not asked more often.
const HEARTBEAT_PAUSE: Duration = Duration::from_secs(1);
/// More than any clock here can add up is a mistake of someone's, and means "no limit".
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// The most characters of a message in an end record: all of it must fit into a termination message of 4096 bytes,
/// and JSON may write a character with six.
const MESSAGE_MAX: usize = 300;

/// Why a job is ended before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// It had all the time that it may have.
    TimedOut,
    /// A service was not ready in time, and why.
    NotReady { message: String },
    /// The server wants it.
    Cancelled { by: String },
    /// The pod is deleted. The job gets the signal and may use it to end in its own way.
    Terminated,
    /// The server has not answered for as long as this agent may be alone.
    Alone,
    /// The server does not want this agent any more; nobody reads an end record.
    Gone,
}

/// A job that has its turn.
pub(super) struct Job {
    args: JobArgs,
    work: Work,
    client: Client,
    log: Arc<Log>,
    masks: LiveMasks,
    clock: Clock,
    cgroup: Cgroup,
    /// What it did besides.
    diary: Diary,
    /// When a service was ready.
    ready: OnceLock<Time>,
    /// When the process was started, as files have it.
    begun: OnceLock<SystemTime>,
}

/// How the middle part went.
struct Ran {
    cause: Cause,
    started: Option<Time>,
    ended: Time,
    /// What ended it before its time.
    stop: Option<Stop>,
    /// With the outputs that were found.
    sink: Sink,
}

/// There is no end record: nobody wants it, or we do not know enough to write one.
struct Unrecorded;

impl Job {
    pub(super) fn new(args: JobArgs, work: Work, client: Client, token: &str, log: Arc<Log>) -> Self {
        log.limit(work.log_limit);
        let secrets = [client.session(), token];
        let given = work.masks.iter().chain(&work.secrets).map(String::as_str);
        let masks = LiveMasks::new(Masks::new(given.chain(secrets)));
        Self {
            args,
            work,
            client,
            log,
            masks,
            clock: Clock::System,
            diary: Diary::new(Clock::System),
            cgroup: Cgroup::of_this_process(),
            ready: OnceLock::new(),
            begun: OnceLock::new(),
        }
    }

    /// All of it. Returns the agent's exit code.
    pub(super) async fn run(self, stop: mpsc::Sender<Stop>, mut stops: mpsc::Receiver<Stop>) -> u8 {
        let before = self.cgroup.memory();
        let heartbeat = tokio::spawn(beat(self.client.clone(), Arc::clone(&self.log), stop));
        let shipper = self.ship();
        self.work.notes.iter().for_each(|words| self.say(words));
        let code = match self.prepare_and_execute(&mut stops).await {
            Ok(ran) => {
                let stop = ran.stop.clone();
                tokio::select! {
                    code = self.finish(ran, before, shipper) => code,
                    // the record is left for the executor by then
                    () = last_call(stop, stops) => EXIT_GONE,
                }
            }
            Err(Unrecorded) => EXIT_GONE,
        };
        heartbeat.abort();
        code
    }

    async fn prepare_and_execute(&self, stops: &mut mpsc::Receiver<Stop>) -> Result<Ran, Unrecorded> {
        match self.prepare(stops).await? {
            None => self.execute(stops).await,
            Some(cause) => Ok(self.never_ran(cause)),
        }
    }

    fn never_ran(&self, cause: Cause) -> Ran {
        Ran { cause, started: None, ended: self.clock.now(), stop: None, sink: self.sink() }
    }

    fn ship(&self) -> JoinHandle<Result<(), ShipError>> {
        let (client, log) = (self.client.clone(), Arc::clone(&self.log));
        tokio::spawn(async move { ship(&client, &log).await })
    }

    fn sink(&self) -> Sink {
        Sink {
            log: Arc::clone(&self.log),
            masks: self.masks.clone(),
            finder: Finder::new(self.work.outputs.iter().cloned()),
            echo: Echo::start(),
            clock: self.clock.clone(),
        }
    }

    /// Brings the source into the workspace. If that fails, the job has ended with that.
    async fn prepare(&self, stops: &mut mpsc::Receiver<Stop>) -> Result<Option<Cause>, Unrecorded> {
        tokio::select! {
            prepared = self.bring_all() => Ok(prepared.err().map(|message| self.not_prepared(&message))),
            Some(stop) = stops.recv() => self.stopped(&stop, self.not_prepared("the agent was told to stop")).map(Some),
        }
    }

    /// The source, and then what others made of it. The words for what did not come.
    async fn bring_all(&self) -> Result<(), String> {
        if let Some(digest) = &self.work.source {
            let _chore = self.diary.begin(Chore::Source);
            let source = source::prepare(&self.client, digest, &self.args.scratch, &self.args.workspace).await;
            source.map_err(|error| self.complain("the source could not be prepared", &error))?;
        }
        if !self.work.caches.is_empty() {
            let _chore = self.diary.begin(Chore::Restore);
            // only a session that is over fails here, and then nobody hears of anything
            let _ = self.caches().restore(|words| self.say(words)).await;
        }
        if self.work.downloads.is_empty() { Ok(()) } else { self.download().await }
    }

    async fn download(&self) -> Result<(), String> {
        let _chore = self.diary.begin(Chore::Download);
        let keep = self.keep();
        for download in &self.work.downloads {
            let what = format!("artifact {} of {} could not be brought", download.name, download.from);
            let brought = keep.bring(download).await;
            let words = brought.map_err(|error| format!("{what}: {}", self.complain(&what, &error)))?;
            self.say(&words);
        }
        Ok(())
    }

    fn complain(&self, what: &str, error: &dyn std::error::Error) -> String {
        self.say(&format!("{what}: {error}"));
        error.to_string()
    }

    fn caches(&self) -> Caches<'_> {
        Caches { client: &self.client, work: &self.work, workspace: &self.args.workspace }
    }

    fn reports(&self) -> Reports<'_> {
        Reports {
            client: &self.client,
            patterns: &self.work.reports,
            workspace: &self.args.workspace,
            scratch: &self.args.scratch,
            masks: self.masks.now(),
            begun: self.begun.get().copied(),
        }
    }

    fn keep(&self) -> Keep<'_> {
        Keep { client: &self.client, work: &self.work, workspace: &self.args.workspace }
    }

    /// Keeps what is to be kept after such an end. If that fails, a good end is none.
    async fn keep_all(
        &self,
        cause: Cause,
        result: Option<&str>,
        stops: &mut mpsc::Receiver<Stop>,
    ) -> Result<(Cause, Option<Stop>), Unrecorded> {
        let Some(end) = Kept::of(&cause, result, &self.work) else { return Ok((cause, None)) };
        let all = async {
            if !self.work.reports.is_empty() {
                let _chore = self.diary.begin(Chore::Report);
                self.reports().bring(|words| self.say(words)).await;
            }
            let end = self.as_the_job_says(end).await;
            let kept = self.upload(end).await;
            if kept.is_ok() && end == Kept::Well && self.work.caches.iter().any(|cache| cache.is_last) {
                let _chore = self.diary.begin(Chore::Save);
                self.caches().keep(|words| self.say(words)).await;
            }
            (kept, end)
        };
        let kept = tokio::select! {
            kept = all => kept,
            Some(stop) = stops.recv() => return self.stopped(&stop, Cause::Terminated).map(|cause| (cause, Some(stop))),
        };
        Ok(match kept {
            (Ok(()), _) | (Err(_), Kept::Failed) => (cause, None),
            (Err(message), Kept::Well) => (Cause::NotKept { message: self.short(&message) }, None),
        })
    }

    async fn upload(&self, end: Kept) -> Result<(), String> {
        let keep = self.keep();
        let _chore = keep.has_artifacts(end).then(|| self.diary.begin(Chore::Upload));
        keep.artifacts(end, |words| self.say(words)).await
    }

    /// A good end is none if the job has told the server otherwise. Asked only where it makes a difference.
    async fn as_the_job_says(&self, end: Kept) -> Kept {
        let keeps = !self.work.artifacts.is_empty() || self.work.caches.iter().any(|cache| cache.is_last);
        let refused = end == Kept::Well && keeps && self.client.has_refused().await.unwrap_or(false);
        if refused { Kept::Failed } else { end }
    }

    /// Starts the process, and sees it to its end and all that it leaves.
    async fn execute(&self, stops: &mut mpsc::Receiver<Stop>) -> Result<Ran, Unrecorded> {
        let started = self.clock.now();
        let Started { mut process, out, err } = match self.begin() {
            Ok(begun) => begun,
            Err(message) => {
                self.say(&format!("cannot start {message}"));
                return Ok(self.never_ran(Cause::CannotStart { message: self.short(&message) }));
            }
        };
        let (over, when_over) = oneshot::channel();
        let pump = tokio::spawn(Pump::new(out, err, self.sink()).run(when_over));
        let (end, stop) = self.supervise(&mut process, stops).await;
        let ended = self.clock.now();
        let mut sink = bury(process, pump, over).await?;
        self.read_output_file(&mut sink.finder);
        let cause = stop.as_ref().map_or(Ok(end.into()), |stop| self.stopped(stop, end.into()))?;
        let (cause, late) = self.keep_all(cause, sink.finder.result(), stops).await?;
        let stop = late.or(stop);
        Ok(Ran { cause, started: Some(started), ended, stop, sink })
    }

    fn begin(&self) -> Result<Started, String> {
        let output = self.output();
        let _ = self.begun.set(SystemTime::now());
        File::create(&output).map_err(|error| format!("anything: {} cannot be made ({error})", output.display()))?;
        Process::start(&self.work, &self.args.workspace, &self.args.scratch, &output)
    }

    fn output(&self) -> PathBuf {
        self.args.scratch.join("output")
    }

    /// Waits for the end, and brings it about where someone wants that. The first reason counts, but one that comes
    /// after a mere signal says more.
    async fn supervise(&self, process: &mut Process, stops: &mut mpsc::Receiver<Stop>) -> (End, Option<Stop>) {
        let limit = Instant::now() + self.work.timeout.min(LONGEST);
        let watched = process.watched();
        let mut failed_to_be_ready = std::pin::pin!(self.get_ready(&watched));
        let mut kill_at = None;
        let mut why: Option<Stop> = None;
        loop {
            let stop = tokio::select! {
                biased;
                end = process.ended() => return (end, why),
                Some(stop) = stops.recv() => stop,
                message = &mut failed_to_be_ready, if why.is_none() => Stop::NotReady { message },
                () = sleep_until(limit), if why.is_none() => Stop::TimedOut,
                () = sleep_until(kill_at.unwrap_or(limit)), if kill_at.is_some() => {
                    process.signal(libc::SIGKILL);
                    kill_at = Some(Instant::now() + GRACE);
                    continue;
                }
            };
            if kill_at.is_none() {
                process.signal(libc::SIGTERM);
                kill_at = Some(Instant::now() + GRACE);
            }
            if matches!(why, None | Some(Stop::Terminated)) {
                why = Some(stop);
            }
        }
    }

    /// Tells the server when a service is ready; returns only if it is not in time, with the words for it.
    async fn get_ready(&self, watched: &Arc<Watched>) -> String {
        let Some(ready) = &self.work.ready else { return std::future::pending().await };
        let (work, workspace, scratch) = (&self.work, &self.args.workspace, &self.args.scratch);
        let begun = Instant::now();
        if let Err(message) = (Probe { work, workspace, scratch, watched }).until_ready(ready).await {
            return message;
        }
        let _ = self.ready.set(self.clock.now());
        if ready.check != Check::Started {
            self.say(&format!("ready after {}: {}", Span(begun.elapsed()), ready.check));
        }
        // if it is not heard, the end record says it
        let _ = self.client.post_ready().await;
        std::future::pending().await
    }

    /// The cause of an end that someone wanted; `otherwise` where it is to be taken as it was.
    fn stopped(&self, stop: &Stop, otherwise: Cause) -> Result<Cause, Unrecorded> {
        match stop {
            Stop::TimedOut => {
                self.say(&format!("stopped after {}: its time limit", Span(self.work.timeout)));
                Ok(Cause::TimedOut)
            }
            Stop::NotReady { message } => {
                self.say(&format!("stopped: {message}"));
                Ok(Cause::NotReady { message: self.short(message) })
            }
            Stop::Cancelled { by } if by == JOBS_ENDED => {
                self.say("stopped: all jobs of its action have ended");
                Ok(Cause::Cancelled { by: by.clone() })
            }
            Stop::Cancelled { by } => {
                let by = self.short(by);
                self.say(&format!("cancelled by {by}"));
                Ok(Cause::Cancelled { by })
            }
            Stop::Terminated => {
                self.say("the container was told to stop");
                // a job that ends well in the time that it is given has done its work
                Ok(if otherwise == (Cause::Exit { code: 0 }) { otherwise } else { Cause::Terminated })
            }
            Stop::Alone => {
                self.say("stopped: the server has not answered for too long");
                Ok(Cause::Terminated)
            }
            Stop::Gone => Err(Unrecorded),
        }
    }

    /// Ships what is left and tells the end. The record is left for the executor first: it is all known by then, and
    /// if the server stays away until someone kills us, it is the only evidence.
    async fn finish(&self, ran: Ran, before: Memory, shipper: JoinHandle<Result<(), ShipError>>) -> u8 {
        let Ran { cause, started, ended, sink, .. } = ran;
        let log = self.log.close(self.clock.now());
        let result = sink.finder.result().map(str::to_owned);
        let memory = self.memory_since(before);
        let end = EndRecord {
            job: self.work.job,
            cause,
            started,
            ended,
            result,
            memory_peak: memory.peak,
            memory_limit: memory.limit,
            oom_kills: memory.oom_kills,
            log,
            ready: self.ready.get().copied(),
            chores: self.diary.read(),
        };
        self.leave(&end);
        sink.echo.finish().await;
        let outputs = Outputs { outputs: sink.finder.into_outputs() };
        match self.tell(&end, &outputs, shipper).await {
            Ok(()) => {
                // the next job of the pod may need the room
                self.log.discard();
                exit_code(&end.cause)
            }
            Err(error) => {
                complain(&error.to_string());
                EXIT_GONE
            }
        }
    }

    async fn tell(
        &self,
        end: &EndRecord,
        outputs: &Outputs,
        shipper: JoinHandle<Result<(), ShipError>>,
    ) -> Result<(), CallError> {
        match shipper.await {
            Ok(Err(ShipError::Call(error @ CallError::Gone(_)))) => return Err(error),
            // the server sees by the record's seal that lines are missing
            Ok(Err(error)) => complain(&format!("the log was not sent: {error}")),
            Ok(Ok(())) | Err(_) => {}
        }
        if !outputs.outputs.is_empty() {
            self.client.post_outputs(outputs).await?;
        }
        self.client.post_end(end).await
    }

    fn read_output_file(&self, finder: &mut Finder) {
        let mut text = Vec::new();
        let Ok(file) = File::open(self.output()) else { return };
        let read = file.take(FILE_MAX as u64 + 1).read_to_end(&mut text);
        if read.is_err() || text.len() > FILE_MAX {
            self.say(&format!("the file CO_OUTPUT was not read: it has at most {} MiB", FILE_MAX >> 20));
            return;
        }
        finder.read_file(&self.masks.now().hide(&text));
        for words in finder.take_dropped() {
            self.say(&words);
        }
    }

    fn memory_since(&self, before: Memory) -> Memory {
        let now = self.cgroup.memory();
        Memory { oom_kills: now.oom_kills.saturating_sub(before.oom_kills), ..now }
    }

    fn leave(&self, end: &EndRecord) {
        let Some(path) = &self.args.termination_log else { return };
        let written = serde_json::to_vec(end).map_err(Into::into).and_then(|record| fs::write(path, record));
        if let Err(error) = written {
            complain(&format!("cannot write {}: {error}", path.display()));
        }
    }

    fn not_prepared(&self, message: &str) -> Cause {
        Cause::NotPrepared { message: self.short(message) }
    }

    /// Hidden first, and then cut: what is left of a secret that is cut would not be found.
    fn short(&self, text: &str) -> String {
        self.masks.now().hide_str(text).chars().take(MESSAGE_MAX).collect()
    }

    fn say(&self, words: &str) {
        self.log.say(self.clock.now(), &self.masks.now().hide_str(words));
    }
}

/// After the process's end: lets its children speak their last words, kills what is left, and reads no longer than a
/// moment.
async fn bury(process: Process, mut pump: JoinHandle<Sink>, over: oneshot::Sender<()>) -> Result<Sink, Unrecorded> {
    let early = timeout(LAST_WORDS, &mut pump).await;
    process.sweep().await;
    let _ = over.send(());
    let pumped = match early {
        Ok(pumped) => pumped,
        Err(_) => pump.await,
    };
    // a reader that failed may have missed a result that was not true: then there is no record, and no success
    pumped.map_err(|_| Unrecorded)
}

/// Returns when it is time to go although the server has not heard everything: somebody wants this agent to end, and
/// has given it a moment.
async fn last_call(mut stop: Option<Stop>, mut stops: mpsc::Receiver<Stop>) {
    while !matches!(stop, Some(Stop::Terminated | Stop::Alone)) {
        stop = stops.recv().await;
        if stop.is_none() {
            std::future::pending::<()>().await;
        }
    }
    sleep(LAST_CALL).await;
}

/// Asks for news until the job is over, and passes them on. It says what the server cannot see by itself.
async fn beat(client: Client, log: Arc<Log>, stop: mpsc::Sender<Stop>) {
    loop {
        let asked = Instant::now();
        match client.heartbeat(|| Heartbeat { log: log.held() }).await {
            Ok(HeartbeatAnswer::GoOn) | Err(CallError::Refused { .. }) => {}
            Ok(HeartbeatAnswer::Cancel { by }) => drop(stop.try_send(Stop::Cancelled { by })),
            Err(CallError::Gone(_)) => {
                let _ = stop.send(Stop::Gone).await;
                return;
            }
        }
        if asked.elapsed() < HEARTBEAT_PAUSE {
            sleep(HEARTBEAT_PAUSE).await;
        }
    }
}

impl From<End> for Cause {
    fn from(end: End) -> Self {
        match end {
            End::Exit(code) => Self::Exit { code },
            End::Signal(signal) => Self::Signal { signal },
        }
    }
}

/// As a shell would have it.
fn exit_code(cause: &Cause) -> u8 {
    let code = match cause {
        Cause::Exit { code } => *code,
        Cause::Signal { signal } => 128 + signal,
        Cause::TimedOut => 124,
        Cause::NotPrepared { .. } => 125,
        Cause::NotKept { .. } | Cause::NotReady { .. } => 1,
        Cause::CannotStart { .. } => 127,
        Cause::Cancelled { .. } => 130,
        Cause::Terminated => 143,
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}
