//! When a service is ready: asked from its own container, again and again, until it is or its time is over.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
    time::{sleep, timeout},
};

use super::{
    process,
    protocol::Work,
    system::{self, End},
};
use crate::model::{Check, Ready, Span};

/// Between two tries: most services are ready in a moment, and the others are not asked all the time.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// For one try.
const ONE_TRY: Duration = Duration::from_secs(10);
/// How much of an answer is looked at.
const ANSWER_MAX: usize = 64;
/// How much is told of what a command wrote, in bytes.
const WORDS_MAX: u64 = 200;

/// Processes besides the job's own whose ends somebody waits for. Whoever buries all children notes them here.
#[derive(Debug, Default)]
pub(super) struct Watched {
    ends: Mutex<HashMap<u32, Option<End>>>,
    news: Notify,
}

impl Watched {
    /// The next child that has ended, noted if somebody waits for it.
    pub(super) fn reap(&self) -> Option<(u32, End)> {
        let mut ends = self.ends();
        let (pid, end) = system::reap()?;
        if let Some(noted) = ends.get_mut(&pid) {
            *noted = Some(end);
            self.news.notify_one();
        }
        Some((pid, end))
    }

    /// Starts a process whose end will be noted: nobody buries children meanwhile.
    fn start(&self, command: &mut std::process::Command) -> io::Result<u32> {
        let mut ends = self.ends();
        let pid = command.spawn()?.id();
        ends.insert(pid, None);
        Ok(pid)
    }

    async fn end_of(&self, pid: u32) -> End {
        loop {
            let noted = self.ends().get(&pid).copied().flatten();
            match noted {
                Some(end) => return end,
                None => self.news.notified().await,
            }
        }
    }

    fn ends(&self) -> MutexGuard<'_, HashMap<u32, Option<End>>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a service is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe<'a> {
    pub(super) work: &'a Work,
    pub(super) workspace: &'a Path,
    /// Where a command's words go.
    pub(super) scratch: &'a Path,
    pub(super) watched: &'a Arc<Watched>,
}

impl Probe<'_> {
    /// Returns when the service is ready; if it is not in time, with what it was asked and what it said last.
    pub(super) async fn until_ready(&self, ready: &Ready) -> Result<(), String> {
        let last = Mutex::new("it was never asked".to_owned());
        let waited = timeout(ready.within, self.ask_again(&ready.check, &last)).await;
        let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
        waited.map_err(|_| {
            let verb = match ready.check {
                Check::Command(_) | Check::Script(_) => "succeeded",
                Check::Started | Check::Tcp(_) | Check::Http { .. } => "answered",
            };
            format!("{} has not {verb} within {}: {last}", ready.check, Span(ready.within))
        })
    }

    async fn ask_again(&self, check: &Check, last: &Mutex<String>) {
        let (mut pause, longest) = PAUSES;
        loop {
            let tried = timeout(ONE_TRY, self.ask(check)).await;
            let Err(words) = tried.unwrap_or_else(|_| Err(format!("no answer within {}", Span(ONE_TRY)))) else {
                return;
            };
            *last.lock().unwrap_or_else(PoisonError::into_inner) = words;
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    async fn ask(&self, check: &Check) -> Result<(), String> {
        match check {
            Check::Started => Ok(()),
            Check::Tcp(port) => connect(*port).await.map(drop).map_err(|error| words(&error)),
            Check::Http { port, path } => http(*port, path).await,
            Check::Command(words) => self.command(words).await,
            Check::Script(text) => self.command(&["/bin/sh", "-ec", text].map(str::to_owned)).await,
        }
    }

    async fn command(&self, words: &[String]) -> Result<(), String> {
        let path = self.scratch.join("probe");
        let end = self.run(words, &path).await.map_err(|error| error.to_string())?;
        let said = said(&path);
        match end {
            End::Exit(0) => Ok(()),
            End::Exit(code) => Err(format!("exit code {code}{said}")),
            End::Signal(signal) => Err(format!("killed by signal {signal}{said}")),
        }
    }

    async fn run(&self, words: &[String], output: &Path) -> io::Result<End> {
        let (program, arguments) = words.split_first().ok_or_else(|| io::Error::other("the command is empty"))?;
        let file = File::create(output)?;
        let mut command = process::prepared(self.work, self.workspace, program, arguments);
        command.current_dir(self.workspace).stdout(file.try_clone()?).stderr(file);
        let started = Started { pid: self.watched.start(&mut command)?, watched: self.watched };
        Ok(self.watched.end_of(started.pid).await)
    }
}

/// A command that runs; nobody waits for it any more when this is dropped.
struct Started<'a> {
    pid: u32,
    watched: &'a Watched,
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        if self.watched.ends().remove(&self.pid).flatten().is_none() {
            system::signal_group(self.pid, libc::SIGKILL);
        }
    }
}

/// By both of the addresses that `localhost` has.
async fn connect(port: u16) -> io::Result<TcpStream> {
    match TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
        Ok(stream) => Ok(stream),
        Err(error) => TcpStream::connect(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await.map_err(|_| error),
    }
}

async fn http(port: u16, path: &str) -> Result<(), String> {
    let answer = ask_http(port, path).await.map_err(|error| words(&error))?;
    let line = String::from_utf8_lossy(&answer);
    let mut parts = line.split_ascii_whitespace();
    let status = parts.next().filter(|version| version.starts_with("HTTP/")).and(parts.next());
    match status.and_then(|status| status.parse::<u16>().ok()) {
        Some(200..400) => Ok(()),
        Some(status) => Err(format!("status {status}")),
        None => Err("what answers does not speak HTTP".to_owned()),
    }
}

/// The beginning of an answer.
async fn ask_http(port: u16, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = connect(port).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nUser-Agent: containerops\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while answer.len() < ANSWER_MAX && !answer.contains(&b'\n') {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(answer)
}

/// Without the number that a system adds.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words).to_owned()
}

/// The last line of what a command wrote.
fn said(path: &Path) -> String {
    let mut text = Vec::new();
    let length = fs::metadata(path).map_or(0, |file| file.len());
    let read = File::open(path).and_then(|mut file| {
        io::Seek::seek(&mut file, io::SeekFrom::Start(length.saturating_sub(WORDS_MAX)))?;
        file.take(WORDS_MAX).read_to_end(&mut text)
    });
    let text = String::from_utf8_lossy(&text);
    match (read, text.trim_end().lines().next_back().map(str::trim)) {
        (Ok(_), Some(line)) if !line.is_empty() => format!(": {line}"),
        (Ok(_) | Err(_), _) => String::new(),
    }
}
