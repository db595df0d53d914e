//! The one way in which this program runs `git`.
//!
//! What is promised: nothing of the machine's or a user's Git configuration has any influence, no hook or filter of a
//! repository runs, nobody is asked for a password, a command ends within its time, and its output is bounded. When
//! the call is dropped, git is ended in such a way that it leaves no locks behind.

use std::{
    ffi::OsStr,
    io,
    ops::ControlFlow,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::timeout,
};

/// A git command that is being put together.
#[derive(Debug)]
pub struct GitCommand {
    command: Command,
    /// What messages call it: its first argument.
    name: String,
    /// For git's environment: neither on a disk nor on a command line.
    config: Vec<(String, SecretString)>,
    /// What must not be seen in a message.
    hidden: Vec<SecretString>,
    input: Vec<u8>,
    limit: Duration,
}

/// Git did not do what we asked.
#[derive(Debug, thiserror::Error)]
pub enum GitCommandError {
    /// There is no git here, or the machine cannot start or hear it.
    #[error("`git {command}` cannot be run: {source}")]
    Io {
        /// Which command.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// It took too long and was killed.
    #[error("`git {command}` took longer than {} s", after.as_secs())]
    TimedOut {
        /// Which command.
        command: String,
        /// Its limit.
        after: Duration,
    },
    /// It said more than it may.
    #[error("`git {command}` printed more than {most} bytes")]
    TooMuch {
        /// Which command.
        command: String,
        /// Its limit.
        most: usize,
    },
    /// It failed.
    #[error("`git {command}` failed: {stderr}")]
    Failed {
        /// Which command.
        command: String,
        /// What it said: at most 2,000 characters, none of them a control character, and no secret.
        stderr: String,
    },
}

/// Variables of our own environment that git needs: to find its parts, proxies and certificates, and to use SSH.
const PASSED_ON: [&str; 14] = [
    "PATH",
    "TMPDIR",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "SSH_AUTH_SOCK",
];
const LIMIT: Duration = Duration::from_secs(60);
const STDERR_MOST: usize = 64 << 10;
const MESSAGE_MOST: usize = 2_000;

/// Where git is. A name without a path would be looked up by a fork of ours, whose cost grows with our memory: for a
/// path the standard library starts the program without one.
fn program() -> PathBuf {
    let is_program = |path: &PathBuf| {
        path.is_absolute()
            && path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join("git")).find(is_program);
    found.unwrap_or_else(|| "git".into())
}

impl GitCommand {
    /// `git <name>`, to be run within a minute.
    pub fn new(name: &str) -> Self {
        let mut command = Command::new(program());
        command.env_clear().envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env("LC_ALL", "C").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes");
        command.env("GIT_ATTR_NOSYSTEM", "1").env("GIT_OPTIONAL_LOCKS", "0");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "ContainerOps");
            command.env(format!("GIT_{role}_EMAIL"), "containerops@localhost");
        }
        command.arg(name).process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let new = Self { command, name: name.to_owned(), config: vec![], hidden: vec![], input: vec![], limit: LIMIT };
        // repositories may belong to another user: they are data to us, and nothing in them is executed
        new.config("safe.directory", "*").config("core.hooksPath", "/dev/null")
    }

    /// In this repository: a bare one, or a `.git` directory.
    #[must_use]
    pub fn git_dir(mut self, directory: &Path) -> Self {
        self.command.env("GIT_DIR", directory);
        self
    }

    /// With this directory as its tree of files, which is also where it runs.
    #[must_use]
    pub fn work_tree(mut self, directory: &Path) -> Self {
        self.command.env("GIT_WORK_TREE", directory).current_dir(directory);
        self
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// With more arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// With a setting for this command alone.
    #[must_use]
    pub fn config(mut self, key: &str, value: &str) -> Self {
        self.config.push((key.to_owned(), value.into()));
        self
    }

    /// With a setting whose value no message shows.
    #[must_use]
    pub fn secret_config(mut self, key: &str, value: &SecretString) -> Self {
        self.hidden.push(value.clone());
        self.config.push((key.to_owned(), value.clone()));
        self
    }

    /// With these bytes to read.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// With another limit of time than a minute.
    #[must_use]
    pub const fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it and returns what it prints, which is at most `most` bytes.
    ///
    /// # Errors
    /// Each of [`GitCommandError`].
    pub async fn run(self, most: usize) -> Result<Vec<u8>, GitCommandError> {
        let command = self.name.clone();
        let printed = self.run_cut(most + 1).await?;
        if printed.len() > most { Err(GitCommandError::TooMuch { command, most }) } else { Ok(printed) }
    }

    /// Runs it and returns the first `most` bytes of what it prints; git is killed when it prints more.
    ///
    /// # Errors
    /// Each of [`GitCommandError`] but `TooMuch`.
    pub async fn run_cut(self, most: usize) -> Result<Vec<u8>, GitCommandError> {
        let mut printed = Vec::new();
        self.run_each(|chunk| {
            printed.extend_from_slice(&chunk[..chunk.len().min(most - printed.len())]);
            if printed.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .await?;
        Ok(printed)
    }

    /// Runs it and passes what it prints to `sink`, chunk by chunk; git is killed when `sink` breaks off.
    ///
    /// # Errors
    /// Each of [`GitCommandError`] but `TooMuch`.
    pub async fn run_each(mut self, sink: impl FnMut(&[u8]) -> ControlFlow<()> + Send) -> Result<(), GitCommandError> {
        self.command.env("GIT_CONFIG_COUNT", self.config.len().to_string());
        for (n, (key, value)) in self.config.iter().enumerate() {
            self.command.env(format!("GIT_CONFIG_KEY_{n}"), key);
            self.command.env(format!("GIT_CONFIG_VALUE_{n}"), value.expose_secret());
        }
        let failed = |source| GitCommandError::Io { command: self.name.clone(), source };
        let child = self.command.spawn().map_err(failed)?;
        match timeout(self.limit, converse(Ending(child), &self.input, sink)).await {
            Err(_) => Err(GitCommandError::TimedOut { command: self.name, after: self.limit }),
            Ok(Err(source)) => Err(failed(source)),
            Ok(Ok(Ended::Well)) => Ok(()),
            Ok(Ok(Ended::Badly(stderr))) => {
                let stderr = presentable(&stderr, &self.hidden);
                Err(GitCommandError::Failed { command: self.name, stderr })
            }
        }
    }
}

/// A process that is ended when it is dropped, with its own: git leaves to others what goes over a network. SIGKILL, which tokio would send, would leave git's lock files, and no
/// later command could ever take those locks; at SIGTERM git removes them.
struct Ending(Child);

impl Ending {
    #[expect(unsafe_code, reason = "neither std nor tokio can send SIGTERM")]
    fn end(&self) {
        // the id, which is also its group's, is known until the process was waited for; until then no other gets it
        if let Some(id) = self.0.id().and_then(|id| libc::pid_t::try_from(id).ok()) {
            // SAFETY: kill(2) touches no memory of ours.
            unsafe { libc::kill(-id, libc::SIGTERM) };
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.end();
    }
}

enum Ended {
    Well,
    Badly(Vec<u8>),
}

/// Writes to, and reads from, a process until it ends or `sink` breaks off.
async fn converse(
    mut child: Ending,
    input: &[u8],
    mut sink: impl FnMut(&[u8]) -> ControlFlow<()> + Send,
) -> io::Result<Ended> {
    let (stdin, stdout, stderr) = (child.0.stdin.take(), child.0.stdout.take(), child.0.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // a command that does not want all of its input says so by its exit code
            let _ = stdin.write_all(input).await;
        }
    };
    let mut said = Vec::new();
    let listen = each(stderr, |chunk| {
        said.extend_from_slice(&chunk[..chunk.len().min(STDERR_MOST - said.len())]);
        ControlFlow::Continue(())
    });
    let read = async {
        let flow = each(stdout, &mut sink).await?;
        if flow.is_break() {
            child.end();
        }
        Ok::<_, io::Error>(flow)
    };
    let ((), listened, flow) = tokio::join!(write, listen, read);
    let _: ControlFlow<()> = listened?;
    let flow = flow?;
    let status = child.0.wait().await?;
    if flow.is_break() || status.success() { Ok(Ended::Well) } else { Ok(Ended::Badly(said)) }
}

async fn each(
    pipe: Option<impl AsyncRead + Unpin>,
    mut sink: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let Some(mut pipe) = pipe else { return Ok(ControlFlow::Continue(())) };
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = pipe.read(&mut buffer).await?;
        if n == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        if sink(&buffer[..n]).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// What git said, as a message may hold it.
fn presentable(stderr: &[u8], hidden: &[SecretString]) -> String {
    let mut text = String::from_utf8_lossy(stderr).into_owned();
    for secret in hidden.iter().filter(|secret| !secret.expose_secret().is_empty()) {
        text = text.replace(secret.expose_secret(), "***");
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    lines.chars().filter(|c| !c.is_control()).take(MESSAGE_MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_is_named_by_its_path_so_that_it_is_started_without_a_fork() {
        assert!(program().is_absolute(), "{:?}", program());
    }

    #[test]
    fn a_message_holds_no_secret_and_no_control_characters() {
        let said = presentable(b"fatal: \x1b[31mAuthorization: abc\n\nbad\n", &["Authorization: abc".into()]);
        assert_eq!(said, "fatal: [31m***; bad");
    }
}
