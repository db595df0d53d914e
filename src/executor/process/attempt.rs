//! One attempt's directory and its agents: what is on the disk is all that is known.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, UNIX_EPOCH},
};

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use super::{
    super::{ContainerEnd, ExecutorError, Observation, Placement},
    away, refused, system,
};
use crate::model::{AttemptId, JobId, Moments, Ran, Time};

/// The variable that names the attempt a process belongs to.
pub(super) const MARK: &str = "CONTAINEROPS_ATTEMPT";
const PLACEMENT: &str = "placement.json";
/// How long a job has to end by itself when its attempt is removed.
const GRACE: Duration = Duration::from_secs(5);
/// How long we go on killing what comes again.
const KILL_WITHIN: Duration = Duration::from_secs(5);
/// An agent whose server never comes back ends itself: nobody else would.
const ALONE_MAX: Duration = Duration::from_secs(24 * 3600);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const RECORD_MAX: u64 = 64 << 10;
/// The room in which it is noted how an agent exited. It is there before the agent begins: the disk may be full then.
const EXIT_ROOM: usize = 12;

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
pub(super) enum Agent {
    /// No agent has had the lock yet.
    Unborn,
    /// One has it, with this process id.
    Alive(Option<i32>),
    /// One had it.
    Dead,
}

/// One attempt's directory.
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    dir: PathBuf,
}

impl Attempt {
    /// The one of this id, below the executor's directory.
    pub(super) fn new(below: &Path, id: AttemptId) -> Self {
        Self { id, dir: below.join(id.to_string()) }
    }

    /// Removes all that is left of it.
    pub(super) fn remove(&self) -> io::Result<()> {
        system::remove_tree(&self.dir)
    }

    pub(super) fn file(&self, container: &str, what: &str) -> PathBuf {
        self.dir.join(format!("{container}.{what}"))
    }

    /// Makes the directory with all that agents need; `placement.json` comes last.
    pub(super) fn prepare(&self, placement: &Placement) -> io::Result<()> {
        fs::create_dir_all(self.dir.join("workspace"))?;
        fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o700))?;
        for container in &placement.containers {
            fs::create_dir_all(self.file(&container.name, "scratch"))?;
            write_token(&self.file(&container.name, "token"), container.token.expose_secret())?;
            reserve_exit(&self.file(&container.name, "exit"))?;
        }
        let containers = placement.containers.iter();
        let containers = containers.map(|each| PlacedContainer { job: each.job, name: each.name.clone() }).collect();
        let half = self.dir.join("placement.half");
        fs::write(&half, serde_json::to_vec(&Placed { containers })?)?;
        fs::rename(half, self.dir.join(PLACEMENT))
    }

    pub(super) fn command(&self, agent: &[OsString], container: &str, url: &str) -> Result<Command, ExecutorError> {
        let (program, arguments) = agent.split_first().ok_or_else(|| refused("there is no agent to start"))?;
        let words = self.create(container, "agent.log").map_err(|error| away(&error))?;
        let mut command = Command::new(program);
        command.args(arguments).args(["job", "--url", url]);
        command.arg("--token-file").arg(self.file(container, "token"));
        command.arg("--workspace").arg(self.dir.join("workspace"));
        command.arg("--scratch").arg(self.file(container, "scratch"));
        command.arg("--termination-log").arg(self.file(container, "end"));
        command.arg("--alone-max").arg(ALONE_MAX.as_secs().to_string());
        command.arg("--lock").arg(self.file(container, "lock"));
        command.current_dir(self.dir.join("workspace")).env_clear().envs(self.environment());
        // the job's lines are in its log; nobody reads a second copy here
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words);
        system::detach(&mut command);
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

    pub(super) fn observe(&self) -> io::Result<Observation> {
        let Some(placed) = self.placed()? else { return Ok(Observation::Absent) };
        let (mut running, mut waiting, mut dead) = (false, false, Vec::new());
        for container in &placed.containers {
            match self.agent(&container.name)? {
                Agent::Alive(_) => running = true,
                // an agent that exited without ever having the lock will not come again
                Agent::Unborn => waiting |= self.exit_code(&container.name).is_none(),
                Agent::Dead => dead.push(container),
            }
        }
        Ok(match (running, waiting) {
            (true, _) if dead.is_empty() => Observation::Running,
            (true, _) => Observation::PartlyEnded { containers: self.ends(dead) },
            (false, true) => Observation::Waiting { message: String::new(), hopeless: None },
            (false, false) => {
                Observation::Ended { containers: self.ends(placed.containers.iter().collect()), outside: None }
            }
        })
    }

    /// An agent takes its lock when it begins; how it exited is noted when it ends.
    pub(super) fn moments(&self) -> io::Result<Moments> {
        let ran = |container: PlacedContainer| {
            let started = changed(&self.file(&container.name, "lock"))?;
            let ended = self.exit_code(&container.name).and_then(|_| changed(&self.file(&container.name, "exit")));
            Some(Ran { job: Some(container.job), container: container.name, started, ended })
        };
        let placed = self.placed()?.map_or_else(Vec::new, |placed| placed.containers);
        Ok(Moments { containers: placed.into_iter().filter_map(ran).collect(), ..Moments::default() })
    }

    fn ends(&self, containers: Vec<&PlacedContainer>) -> Vec<ContainerEnd> {
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
            ContainerEnd { job: container.job, exit_code, oom_killed: false, memory_limit: None, reason, end_record }
        };
        containers.into_iter().map(end).collect()
    }

    fn exit_code(&self, container: &str) -> Option<i32> {
        read_some(&self.file(container, "exit"))?.trim().parse().ok()
    }

    /// What an agent said last.
    fn words(&self, container: &PlacedContainer) -> String {
        let words = read_some(&self.file(&container.name, "agent.log")).unwrap_or_default();
        words.lines().next_back().map_or_else(String::new, |line| format!(": {line}"))
    }

    pub(super) fn agent(&self, container: &str) -> io::Result<Agent> {
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
    pub(super) async fn end(&self) -> io::Result<()> {
        let placed = self.placed()?.map_or_else(Vec::new, |placed| placed.containers);
        for container in &placed {
            if let Agent::Alive(Some(pid)) = self.agent(&container.name)? {
                system::kill(pid, libc::SIGTERM);
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
            let marked = system::marked(MARK, self.id);
            marked.iter().for_each(|&pid| system::kill(pid, libc::SIGKILL));
            for container in placed {
                if let Agent::Alive(Some(pid)) = self.agent(&container.name)? {
                    system::kill(pid, libc::SIGKILL);
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

/// Puts a token in place as a whole: when a start is repeated, the agent of the first may be reading just then.
fn write_token(path: &Path, token: &str) -> io::Result<()> {
    let half = path.with_extension("token-half");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
    file.write_all(token.as_bytes())?;
    fs::rename(half, path)
}

fn reserve_exit(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    // a start that is repeated may find how an agent exited
    if file.metadata()?.len() > 0 { Ok(()) } else { file.write_all(&[b' '; EXIT_ROOM]) }
}

/// Notes how an agent exited.
pub(super) fn note_exit(path: &Path, code: i32) -> io::Result<()> {
    // agents that an older server started have no such room
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    file.write_all(format!("{code:<EXIT_ROOM$}").as_bytes())
}

/// When a file was written last.
fn changed(path: &Path) -> Option<Time> {
    let changed = fs::metadata(path).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Time::from_millis(i64::try_from(changed.as_millis()).ok()?))
}

/// A small file's text; none if there is none or it is empty. Jobs may write there, so no more than a bound is read.
pub(super) fn read_some(path: &Path) -> Option<String> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(RECORD_MAX).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned()).filter(|text| !text.is_empty())
}
