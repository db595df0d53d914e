//! `containerops git hook`: tells ContainerOps of every ref that a push has updated.
//!
//! What is promised: each update is on the disk before it is sent and stays there until it was taken, so that none is
//! lost while ContainerOps is away. The server takes what is left by itself, and the next push sends it, in order, before
//! its own. An update that comes twice has the same delivery id, and so starts nothing twice.

use std::{
    io::{self, BufRead, Read as _, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use secrecy::SecretString;

use super::say;
use crate::{
    forge::{
        GitCommand, GitCommandError,
        git::{
            self, Undelivered,
            delivery::{self, Commit, DELIVERY_HEADER, Delivery, EVENT_HEADER, SIGNATURE_HEADER},
        },
    },
    model::{Clock, RepositoryName, Sha, Time},
};

/// The hook could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The repository lacks a setting.
    #[error("{} has no good setting `containerops.{key}`; run `containerops git init` on it again", path.display())]
    Setting {
        /// Which repository.
        path: PathBuf,
        /// Which setting.
        key: &'static str,
    },
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitCommandError),
    /// The disk, or git's list of updates.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The most that is read of git's list: enough for 100,000 refs.
const LIST_MOST: u64 = 16 << 20;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
const TRIES: usize = 3;
/// After this no further delivery is begun: whoever has pushed waits for us.
const SENDING_LIMIT: Duration = Duration::from_secs(30);

/// Does the hook's work in the repository at `repository`: `input` is git's list of updates, one `old new ref` a
/// line; what the pusher should know is written to `said`. The pusher waits at most a minute for an answer.
///
/// # Errors
/// [`HookError`] if an update could not even be written down. That one could not be sent is no error.
pub async fn hook(
    repository: &Path,
    input: impl BufRead,
    said: &mut impl Write,
    clock: &Clock,
) -> Result<(), HookError> {
    let settings = Settings::read(repository).await?;
    let undelivered = Undelivered::of(&settings.path);
    let list = read(input).map_err(disk(&settings.path))?;
    let now = clock.now();
    for (n, (before, after, reference)) in list.lines().filter_map(update).enumerate() {
        let delivery = settings.delivery(before, after, reference, now).await;
        let body = serde_json::to_vec(&delivery).map_err(|error| disk(&settings.path)(error.into()))?;
        undelivered.add(now, n, &body).map_err(disk(&settings.path))?;
    }
    let words = match send(&settings, &undelivered).await {
        Ok(page) => format!("ContainerOps: taken, {page}"),
        Err(reason) => {
            format!("ContainerOps: not told yet; this is kept, and found once ContainerOps is there: {reason}")
        }
    };
    say(said, &words);
    Ok(())
}

/// Git's list. The name of a ref need not be UTF-8; its commit is what counts.
fn read(input: impl BufRead) -> io::Result<String> {
    let mut list = Vec::new();
    if input.take(LIST_MOST + 1).read_to_end(&mut list)? as u64 > LIST_MOST {
        return Err(io::Error::other("more refs were pushed at once than ContainerOps looks at; push fewer at a time"));
    }
    Ok(String::from_utf8_lossy(&list).into_owned())
}

/// What `containerops git init` has left in the repository's configuration.
struct Settings {
    path: PathBuf,
    url: String,
    secret_file: PathBuf,
    name: RepositoryName,
    default_branch: String,
}

impl Settings {
    async fn read(repository: &Path) -> Result<Self, HookError> {
        let path = repository.canonicalize().map_err(disk(repository))?;
        let name = setting(&path, "repository").await?;
        let name = name.parse().map_err(|_| HookError::Setting { path: path.clone(), key: "repository" })?;
        let (url, secret_file) = (setting(&path, "url").await?, setting(&path, "secretFile").await?.into());
        let head = GitCommand::new("symbolic-ref").git_dir(&path).args(["--short", "HEAD"]);
        let default_branch = text(&head.run(4096).await?);
        Ok(Self { path, url, secret_file, name, default_branch })
    }

    async fn delivery(&self, before: Sha, after: Sha, reference: &str, time: Time) -> Delivery {
        let commit = commit(&self.path, &after).await;
        let author = commit.as_ref().map(|commit| commit.author.clone());
        let suffix = if self.path.extension().is_some_and(|extension| extension == "git") { ".git" } else { "" };
        Delivery {
            repository: self.name.clone(),
            directory: format!("{}{suffix}", self.name),
            default_branch: self.default_branch.clone(),
            reference: reference.to_owned(),
            pusher: account().or(author).unwrap_or_else(|| "unknown".to_owned()),
            commit,
            before,
            after,
            time,
        }
    }
}

async fn setting(path: &Path, key: &'static str) -> Result<String, HookError> {
    let get = GitCommand::new("config").git_dir(path).args(["--get", &format!("containerops.{key}")]);
    match get.run(4096).await {
        Ok(value) => Ok(text(&value)),
        Err(GitCommandError::Failed { .. }) => Err(HookError::Setting { path: path.to_owned(), key }),
        Err(error) => Err(error.into()),
    }
}

/// The commit that an object is, or that it is a tag of. A tag may be of something else: then there is none.
async fn commit(path: &Path, object: &Sha) -> Option<Commit> {
    if object.is_zero() {
        return None;
    }
    let log = GitCommand::new("log").git_dir(path).args(["-1", "--no-show-signature", "--format=%H%n%an%n%s"]);
    let printed = log.args([object.as_str(), "--"]).run_cut(64 << 10).await.ok()?;
    let printed = String::from_utf8_lossy(&printed);
    let mut lines = printed.lines();
    let sha = lines.next()?.parse().ok()?;
    let mut line = || lines.next().unwrap_or_default().chars().take(200).collect();
    Some(Commit { sha, author: line(), title: line() })
}

/// Who pushes, by the web server's or the machine's account.
fn account() -> Option<String> {
    let known = ["REMOTE_USER", "USER", "LOGNAME"].iter().filter_map(|name| std::env::var(name).ok());
    known.filter(|name| !name.is_empty()).map(|name| name.chars().take(100).collect()).next()
}

/// One line of git's list.
fn update(line: &str) -> Option<(Sha, Sha, &str)> {
    let mut words = line.splitn(3, ' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?))
}

/// Sends all that is undelivered, in order, up to the first that is not taken. Returns the repository's page.
async fn send(settings: &Settings, undelivered: &Undelivered) -> Result<String, String> {
    let secret = git::read_secret(&settings.secret_file)
        .map_err(|error| format!("the secret in {} cannot be read: {error}", settings.secret_file.display()))?;
    let client = reqwest::Client::builder().connect_timeout(CONNECT_LIMIT).timeout(REQUEST_LIMIT).build();
    let client = client.map_err(|error| cause(&error))?;
    let begun = Instant::now();
    let mut refused = Ok(format!("{}/git/{}", settings.url, settings.name));
    for path in undelivered.list().map_err(|error| error.to_string())? {
        if begun.elapsed() > SENDING_LIMIT {
            return Err("there is more than can be sent in a short time".to_owned());
        }
        let body = match std::fs::read(&path) {
            // the hook of another push was faster
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            body => body.map_err(|error| error.to_string())?,
        };
        match post(&client, &settings.url, &secret, body).await {
            Answer::Taken => undelivered.remove(&path).map_err(|error| error.to_string())?,
            Answer::Refused(reason) => {
                let kept = undelivered.set_aside(&path).map_err(|error| error.to_string())?;
                refused = Err(format!("{reason}; it is not sent again, but kept in {}", kept.display()));
            }
            Answer::Away(reason) => return Err(reason),
        }
    }
    refused
}

/// What became of one delivery.
enum Answer {
    Taken,
    /// It will never be taken.
    Refused(String),
    /// It may be taken later: nobody is there, or our settings are wrong.
    Away(String),
}

async fn post(client: &reqwest::Client, url: &str, secret: &SecretString, body: Vec<u8>) -> Answer {
    let url = format!("{url}/hooks/git");
    let (id, signature) = (delivery::id(&body), delivery::sign(secret, &body));
    let mut answer = Answer::Away(String::new());
    for _ in 0..TRIES {
        let request = client.post(&url).header("content-type", "application/json").header(EVENT_HEADER, "push");
        let request = request.header(DELIVERY_HEADER, &id).header(SIGNATURE_HEADER, &signature);
        answer = match request.body(body.clone()).send().await {
            Err(error) => Answer::Away(format!("{url} does not answer: {}", cause(&error))),
            Ok(response) if response.status().is_server_error() => {
                Answer::Away(format!("{url}: {}", response.status()))
            }
            Ok(response) => return settled(&url, response.status()),
        };
    }
    answer
}

/// An answer that the same question would get again at once.
fn settled(url: &str, status: StatusCode) -> Answer {
    match status {
        status if status.is_success() => Answer::Taken,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Answer::Refused(format!("{url}: {status}")),
        StatusCode::UNAUTHORIZED => Answer::Away(format!(
            "{url} does not know our secret; run `containerops git init` on this repository again"
        )),
        status => Answer::Away(format!("{url}: {status}")),
    }
}

/// The innermost cause of an error, which alone says what happened.
fn cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

fn text(printed: &[u8]) -> String {
    String::from_utf8_lossy(printed).trim_end().to_owned()
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> HookError {
    let path = path.to_owned();
    |source| HookError::Disk { path, source }
}
