//! Processes of this machine, with no isolation at all: for trying out, and for machines that are a sandbox already.
//!
//! An attempt is a directory named by it. Its agents are sessions of their own and live on when the server is killed.
//! What is known of them is on the disk, so a server that starts again sees what the one before saw:
//!
//! - `placement.json` says which containers there are; it is written before the first one is started.
//! - `job-0.lock` is locked by the agent while it lives and holds its process id. The kernel drops the lock with the
//!   process, so neither a killed agent nor a process id that was used again can be mistaken for a living one. An
//!   agent that finds a process id in it exits at once: a repeated start starts nothing twice, even if the server
//!   died at the worst moment.
//! - `job-0.end` is the end record that the agent leaves, and `job-0.exit` the exit code, if the server was there.
//!
//! Whatever a job starts inherits `CONTAINEROPS_ATTEMPT` in its environment, by which the last of it is found and killed.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tokio::{
    process::{Child, Command},
    sync::Notify,
    time::{Instant, sleep},
};

use super::{Container, ContainerEnd, Executor, ExecutorError, ExecutorKind, Observation, Placement};
use crate::model::{AttemptId, JobId};

/// The variable that names the attempt a process belongs to.
const MARK: &str = "CONTAINEROPS_ATTEMPT";
const PLACEMENT: &str = "placement.json";
/// How long a job has to end by itself when its attempt is removed.
const GRACE: Duration = Duration::from_secs(5);
/// How long we go on killing what comes again.
const KILL_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const RECORD_MAX: u64 = 64 << 10;

/// Runs agents below a directory.
#[derive(Debug, Clone)]
pub struct Process {
    dir: PathBuf,
    agent: Vec<OsString>,
    changed: Arc<Notify>,
}

/// What `placement.json` holds.
#[derive(Debug, Serialize, Deserialize)]
struct Placed {
    containers: Vec<PlacedContainer>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PlacedContainer {
    job: JobId,
    name: String,
}

/// One container's agent, as its lock tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agent {
    /// No agent has had the lock yet.
    Unborn,
    /// One has it, with this process id.
    Alive(Option<i32>),
    /// One had it.
    Dead,
}

impl Process {
    /// `dir` is where attempts are kept; `agent` is the program and first arguments of what understands `job …`, such
    /// as `containerops agent`.
    pub fn new(dir: PathBuf, agent: Vec<OsString>) -> Self {
        Self { dir, agent, changed: Arc::default() }
    }

    fn attempt(&self, attempt: AttemptId) -> Attempt {
        Attempt { id: attempt, dir: self.dir.join(attempt.to_string()) }
    }

    fn spawn(&self, attempt: &Attempt, container: &Container, url: &str) -> Result<(), ExecutorError> {
        let mut command = attempt.command(&self.agent, &container.name, url)?;
        let child = command.spawn().map_err(|error| {
            let program = self.agent.first().cloned().unwrap_or_default();
            refused(&format!("the agent {} cannot be started: {error}", program.display()))
        })?;
        let changed = Arc::clone(&self.changed);
        let (lock, exit) = (attempt.file(&container.name, "lock"), attempt.file(&container.name, "exit"));
        tokio::spawn(async move {
            watch(child, &lock, &exit).await;
            changed.notify_one();
        });
        Ok(())
    }
}

/// Waits for an agent, so that it does not stay as a zombie, and notes how it exited.
async fn watch(mut child: Child, lock: &Path, exit: &Path) {
    let pid = child.id().map(|pid| pid.to_string());
    let status = child.wait().await;
    // one that exited because another had the lock says nothing about the job
    let ours = read_some(lock).is_none_or(|holder| Some(holder) == pid);
    if let Some(code) = status.ok().and_then(|status| status.code()).filter(|_| ours) {
        // the attempt may have been removed meanwhile
        let _ = fs::write(exit, code.to_string());
    }
}

#[async_trait]
impl Executor for Process {
    fn kind(&self) -> ExecutorKind {
        ExecutorKind::Process
    }

    async fn start(&self, placement: &Placement) -> Result<(), ExecutorError> {
        let attempt = self.attempt(placement.attempt);
        attempt.prepare(placement).map_err(|error| away(&error))?;
        for container in &placement.containers {
            if attempt.agent(&container.name).map_err(|error| away(&error))? == Agent::Unborn {
                self.spawn(&attempt, container, &placement.agent_url)?;
            }
        }
        self.changed.notify_one();
        Ok(())
    }

    async fn observe(&self, attempt: AttemptId) -> Result<Observation, ExecutorError> {
        self.attempt(attempt).observe().map_err(|error| away(&error))
    }

    async fn remove(&self, attempt: AttemptId) -> Result<(), ExecutorError> {
        let attempt = self.attempt(attempt);
        attempt.end().await.map_err(|error| away(&error))?;
        remove_tree(&attempt.dir).map_err(|error| away(&error))?;
        self.changed.notify_one();
        Ok(())
    }

    async fn attempts(&self) -> Result<Vec<AttemptId>, ExecutorError> {
        match fs::read_dir(&self.dir) {
            Ok(entries) => {
                let names = entries.flatten().map(|entry| entry.file_name());
                Ok(names.filter_map(|name| name.to_str()?.parse().ok()).collect())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(away(&error)),
        }
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// One attempt's directory.
struct Attempt {
    id: AttemptId,
    dir: PathBuf,
}

impl Attempt {
    fn file(&self, container: &str, what: &str) -> PathBuf {
        self.dir.join(format!("{container}.{what}"))
    }

    /// Makes the directory with all that agents need; `placement.json` comes last.
    fn prepare(&self, placement: &Placement) -> io::Result<()> {
        fs::create_dir_all(self.dir.join("workspace"))?;
        fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o700))?;
        for container in &placement.containers {
            fs::create_dir_all(self.file(&container.name, "scratch"))?;
            write_token(&self.file(&container.name, "token"), container.token.expose_secret())?;
        }
        let containers = placement.containers.iter();
        let containers = containers.map(|each| PlacedContainer { job: each.job, name: each.name.clone() }).collect();
        let half = self.dir.join("placement.half");
        fs::write(&half, serde_json::to_vec(&Placed { containers })?)?;
        fs::rename(half, self.dir.join(PLACEMENT))
    }

    fn command(&self, agent: &[OsString], container: &str, url: &str) -> Result<Command, ExecutorError> {
        let (program, arguments) = agent.split_first().ok_or_else(|| refused("there is no agent to start"))?;
        let words = self.create(container, "agent.log").map_err(|error| away(&error))?;
        let mut command = Command::new(program);
        command.args(arguments).args(["job", "--url", url]);
        command.arg("--token-file").arg(self.file(container, "token"));
        command.arg("--workspace").arg(self.dir.join("workspace"));
        command.arg("--scratch").arg(self.file(container, "scratch"));
        command.arg("--termination-log").arg(self.file(container, "end"));
        command.arg("--lock").arg(self.file(container, "lock"));
        command.current_dir(self.dir.join("workspace")).env_clear().envs(self.environment());
        // the job's lines are in its log; nobody reads a second copy here
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words);
        detach(&mut command);
        Ok(command)
    }

    /// Nothing of the server's own environment but what programs need to run at all: its secrets are there too.
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let keep = ["PATH", "LANG", "USER", "TMPDIR"].into_iter();
        let mut kept: Vec<_> = keep.filter_map(|name| Some((name, std::env::var_os(name)?))).collect();
        kept.push(("HOME", self.dir.clone().into_os_string()));
        kept.push((MARK, self.id.to_string().into()));
        kept
    }

    fn create(&self, container: &str, what: &str) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(self.file(container, what))
    }

    fn placed(&self) -> io::Result<Option<Placed>> {
        match fs::read(self.dir.join(PLACEMENT)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn observe(&self) -> io::Result<Observation> {
        let Some(placed) = self.placed()? else { return Ok(Observation::Absent) };
        let mut running = false;
        let mut waiting = false;
        for container in &placed.containers {
            match self.agent(&container.name)? {
                Agent::Alive(_) => running = true,
                // an agent that exited without ever having the lock will not come again
                Agent::Unborn => waiting |= self.exit_code(&container.name).is_none(),
                Agent::Dead => {}
            }
        }
        Ok(match (running, waiting) {
            (true, _) => Observation::Running,
            (false, true) => Observation::Waiting { message: String::new(), hopeless: None },
            (false, false) => self.ended(&placed),
        })
    }

    fn ended(&self, placed: &Placed) -> Observation {
        let end = |container: &PlacedContainer| {
            let end_record = read_some(&self.file(&container.name, "end"));
            let exit_code = self.exit_code(&container.name);
            let reason = match (&end_record, exit_code) {
                (Some(_), _) => "its agent ended".to_owned(),
                (None, Some(code)) => {
                    format!("its agent exited with code {code} and left no record{}", self.words(container))
                }
                (None, None) => format!("its agent is gone and left no record{}", self.words(container)),
            };
            ContainerEnd { job: container.job, exit_code, oom_killed: false, reason, end_record }
        };
        Observation::Ended { containers: placed.containers.iter().map(end).collect(), infrastructure: None }
    }

    fn exit_code(&self, container: &str) -> Option<i32> {
        read_some(&self.file(container, "exit"))?.trim().parse().ok()
    }

    /// What an agent said last.
    fn words(&self, container: &PlacedContainer) -> String {
        let words = read_some(&self.file(&container.name, "agent.log")).unwrap_or_default();
        words.lines().next_back().map_or_else(String::new, |line| format!(": {line}"))
    }

    fn agent(&self, container: &str) -> io::Result<Agent> {
        let path = self.file(container, "lock");
        let mut lock = match File::open(path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Agent::Unborn),
            Err(error) => return Err(error),
        };
        let free = match lock.try_lock_shared() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        let mut pid = String::new();
        lock.read_to_string(&mut pid)?;
        Ok(match (free, pid.is_empty()) {
            (true, true) => Agent::Unborn,
            (true, false) => Agent::Dead,
            (false, _) => Agent::Alive(pid.parse().ok()),
        })
    }

    /// Asks agents to end their jobs, then kills whatever carries our mark.
    async fn end(&self) -> io::Result<()> {
        let placed = self.placed()?.map_or_else(Vec::new, |placed| placed.containers);
        for container in &placed {
            if let Agent::Alive(Some(pid)) = self.agent(&container.name)? {
                kill(pid, libc::SIGTERM);
            }
        }
        let until = Instant::now() + GRACE;
        while Instant::now() < until && self.any_alive(&placed)? {
            sleep(LOOK_AGAIN).await;
        }
        self.kill(&placed).await
    }

    async fn kill(&self, placed: &[PlacedContainer]) -> io::Result<()> {
        let until = Instant::now() + KILL_WITHIN;
        loop {
            let marked = marked(self.id);
            marked.iter().for_each(|&pid| kill(pid, libc::SIGKILL));
            for container in placed {
                if let Agent::Alive(Some(pid)) = self.agent(&container.name)? {
                    kill(pid, libc::SIGKILL);
                }
            }
            if marked.is_empty() && !self.any_alive(placed)? {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(io::Error::other(format!("processes of attempt {} do not end", self.id)));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    fn any_alive(&self, placed: &[PlacedContainer]) -> io::Result<bool> {
        for container in placed {
            if matches!(self.agent(&container.name)?, Agent::Alive(_)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// In a session of its own, no terminal's Ctrl-C and no end of ours reaches the agent.
#[expect(unsafe_code, reason = "the standard library has no setsid")]
fn detach(command: &mut Command) {
    // SAFETY: between fork and exec only `setsid` is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| match libc::setsid() {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}

#[expect(unsafe_code, reason = "the standard library kills only what it started")]
fn kill(pid: i32, signal: i32) {
    if pid > 0 {
        // SAFETY: a signal is sent; no memory is handed over.
        unsafe {
            libc::kill(pid, signal);
        }
    }
}

/// Every process that has the attempt's mark in its environment and is not a zombie, whose environment is empty.
fn marked(attempt: AttemptId) -> Vec<i32> {
    let mark = format!("{MARK}={attempt}");
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has_mark = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
    };
    pids.filter(has_mark).collect()
}

fn write_token(path: &Path, token: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(token.as_bytes())
}

/// A small file's text; none if there is none or it is empty. Jobs may write there, so no more than a bound is read.
fn read_some(path: &Path) -> Option<String> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(RECORD_MAX).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned()).filter(|text| !text.is_empty())
}

/// Removes a directory, also what was made read-only in it.
fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unlock(dir)?;
            fs::remove_dir_all(dir)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn unlock(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)?.flatten() {
        if entry.file_type()?.is_dir() {
            unlock(&entry.path())?;
        }
    }
    Ok(())
}

fn away(error: &io::Error) -> ExecutorError {
    ExecutorError::Away { kind: ExecutorKind::Process, message: error.to_string() }
}

fn refused(message: &str) -> ExecutorError {
    ExecutorError::Refused { kind: ExecutorKind::Process, message: message.to_owned() }
}
