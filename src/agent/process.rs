//! The job's process: started in a group of its own, waited for, and ended with all that it left behind. Whoever
//! waits here also buries orphans, because in a pod the agent is process 1.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::unix::pipe,
    signal::unix::{Signal, SignalKind, signal},
    time::{sleep, timeout},
};

use super::{
    protocol::{Start, Work},
    ready::Watched,
    system::{self, End},
};

/// How long we try to kill what is left.
const SWEEP_ROUNDS: u32 = 100;
const SWEEP_PAUSE: Duration = Duration::from_millis(20);
const SHELL: &str = "/bin/sh";
const NO_ENTRYPOINT: &str =
    "the image: it has no program of its own, or images are not used here; give the job `run:` or `command:`";

/// A job's running process.
pub(super) struct Process {
    pid: u32,
    children: Signal,
    watched: Arc<Watched>,
}

/// A process and the reading ends of its streams.
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) out: pipe::Receiver,
    pub(super) err: pipe::Receiver,
}

impl Process {
    /// Starts what `work` says, with `CO_WORKSPACE` and `CO_OUTPUT` besides its own environment.
    ///
    /// # Errors
    /// A sentence for the flow's author, which names the program and what to do.
    pub(super) fn start(work: &Work, workspace: &Path, scratch: &Path, output: &Path) -> Result<Started, String> {
        let (program, arguments, dir) = match &work.start {
            Start::Script(text) if !work.shell.is_empty() => in_shell(&work.shell, text, scratch, workspace)?,
            Start::Script(_) | Start::Command(_) | Start::Entrypoint(_) => command_line(&work.start, workspace)?,
        };
        if let Some(dir) = dir.filter(|dir| !dir.is_dir()) {
            return Err(format!("there is no directory {} to start `{program}` in", dir.display()));
        }
        let mut command = prepared(work, workspace, &program, &arguments);
        command.env("CO_OUTPUT", output).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(dir) = dir {
            command.current_dir(dir);
        }
        let is_shell = work.shell.first() == Some(&program);
        spawn(command).map_err(|error| explain(&program, is_shell, &error))
    }

    /// The ends of the other processes that are waited for.
    pub(super) fn watched(&self) -> Arc<Watched> {
        Arc::clone(&self.watched)
    }

    /// Returns when the process has ended. May be dropped at any time.
    pub(super) async fn ended(&mut self) -> End {
        loop {
            while let Some((pid, end)) = self.watched.reap() {
                if pid == self.pid {
                    return end;
                }
            }
            self.children.recv().await;
        }
    }

    /// Sends a signal to the process and all that it started and did not move to another group.
    pub(super) fn signal(&self, signal: i32) {
        system::signal_group(self.pid, signal);
    }

    /// After the end: kills what is left of the group, and whatever had left it.
    pub(super) async fn sweep(mut self) {
        self.signal(libc::SIGKILL);
        for _ in 0..SWEEP_ROUNDS {
            while system::reap().is_some() {}
            if system::kill_children() == 0 {
                return;
            }
            let _ = timeout(SWEEP_PAUSE, self.children.recv()).await;
        }
        sleep(SWEEP_PAUSE).await;
    }
}

/// A program as a job has it: in a group of its own, with the job's variables.
pub(super) fn prepared(work: &Work, workspace: &Path, program: &str, arguments: &[String]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).envs(&work.environments).env("CO_WORKSPACE", workspace);
    command.stdin(Stdio::null()).process_group(0);
    trust_workspace(&mut command, work, workspace);
    command
}

/// Git refuses to read a repository that belongs to another user, and the images of one workspace may run as several.
/// Whoever configures git by the same variables knows better.
fn trust_workspace(command: &mut Command, work: &Work, workspace: &Path) {
    const COUNT: &str = "GIT_CONFIG_COUNT";
    if !work.environments.contains_key(COUNT) && std::env::var_os(COUNT).is_none() {
        command.env(COUNT, "1").env("GIT_CONFIG_KEY_0", "safe.directory").env("GIT_CONFIG_VALUE_0", workspace);
    }
}

/// A shell reads its script from a file beside the workspace, so that it finds its standard input as any job does, and
/// tells of mistakes by the script's own lines.
fn in_shell<'a>(
    shell: &[String],
    text: &str,
    scratch: &Path,
    workspace: &'a Path,
) -> Result<(String, Vec<String>, Option<&'a Path>), String> {
    let (program, arguments) = shell.split_first().ok_or("anything: the shell is empty")?;
    let file = std::path::absolute(scratch.join("script")).map_err(|error| format!("anything: {error}"))?;
    std::fs::write(&file, text).map_err(|error| format!("anything: {} cannot be made ({error})", file.display()))?;
    let arguments = arguments.iter().cloned().chain([file.to_string_lossy().into_owned()]);
    Ok((program.clone(), arguments.collect(), Some(workspace)))
}

/// The program, its arguments, and the directory if it is not the image's own.
fn command_line<'a>(start: &Start, workspace: &'a Path) -> Result<(String, Vec<String>, Option<&'a Path>), String> {
    let split = |words: &[String]| match words.split_first() {
        Some((program, arguments)) if !program.is_empty() => Ok((program.clone(), arguments.to_vec())),
        Some(_) | None => Err("anything: the command is empty".to_owned()),
    };
    match start {
        Start::Script(text) => Ok((SHELL.to_owned(), vec!["-ec".to_owned(), text.clone()], Some(workspace))),
        Start::Command(words) => split(words).map(|(program, arguments)| (program, arguments, Some(workspace))),
        Start::Entrypoint(words) if words.is_empty() => Err(NO_ENTRYPOINT.to_owned()),
        Start::Entrypoint(words) => split(words).map(|(program, arguments)| (program, arguments, None)),
    }
}

fn spawn(mut command: Command) -> io::Result<Started> {
    // before the start, so that no end is missed
    let children = signal(SignalKind::child())?;
    let mut child = command.spawn()?;
    let missing = || io::Error::other("a stream of the new process is missing");
    let out: OwnedFd = child.stdout.take().ok_or_else(missing)?.into();
    let err: OwnedFd = child.stderr.take().ok_or_else(missing)?.into();
    let (out, err) = (pipe::Receiver::from_owned_fd(out)?, pipe::Receiver::from_owned_fd(err)?);
    Ok(Started { process: Process { pid: child.id(), children, watched: Arc::default() }, out, err })
}

/// What the author can do about it.
fn explain(program: &str, is_shell: bool, error: &io::Error) -> String {
    let advice = match error.raw_os_error() {
        Some(libc::ENOENT) if program == SHELL => {
            "the image has no shell: use `command:` instead of `run:`, or an image that has one"
        }
        Some(libc::ENOENT) if is_shell && !Path::new(program).exists() => {
            "the image has no such shell: check the job's `shell`, or use an image that has it"
        }
        Some(libc::ENOENT) if Path::new(program).exists() => {
            "it is there, but what it needs to start is not: the interpreter in its first line, or the image's libc"
        }
        Some(libc::ENOENT) => "the image has no such program in its PATH: check the name and the image",
        Some(libc::EACCES) => "it is not executable for this user: `chmod +x` it, or start it through its interpreter",
        Some(libc::ENOEXEC) => "it is no program for this machine: check its first line and its architecture",
        Some(libc::E2BIG) => {
            "script, arguments and environment are too large for the system (one text may have 128 KiB): put them in a file"
        }
        Some(_) | None => "the system refused",
    };
    format!("`{}`: {advice} ({error})", program.chars().take(200).collect::<String>())
}
