//! The engine's API: found, spoken in a version that both sides know, with a limit on each call, and with what it
//! answers sorted by what we do about it.

use std::{env, path::Path, sync::Arc, time::Duration};

use bollard::{API_DEFAULT_VERSION, Docker, errors::Error, query_parameters as query};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::OnceCell;

use super::{away, refused};
use crate::executor::ExecutorError;

/// The longest that one call of the engine may take.
const CALL_MAX: Duration = Duration::from_secs(30);
/// How long an engine has to show that it is there.
const GREETING_MAX: Duration = Duration::from_secs(2);
/// A small file that is read back.
const FILE_MAX: usize = 64 << 10;
/// bollard counts whole seconds.
const CLIENT_SECONDS: u64 = 3600;

/// What the client library says of a container in Podman's state `stopped`, which it does not know.
const STOPPED: &str = "unknown variant `stopped`";
/// The time between two looks at such a container.
const UNSETTLED: Duration = Duration::from_millis(50);

/// An engine, which need not answer yet, nor its socket be there.
#[derive(Clone)]
pub(super) struct Connection {
    host: String,
    client: Arc<OnceCell<Docker>>,
}

/// What went wrong with a call.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no such thing.
    Missing(String),
    /// It is there already.
    Exists,
    /// The engine says no, and will say so again.
    Refused(String),
    /// The engine says that it failed.
    Failed(String),
    /// A container is in the state that only Podman has: its process is gone, its exit code not known yet.
    Unsettled(String),
    /// The engine does not answer.
    Away(String),
}

impl Fault {
    /// In the engine's own words.
    pub(super) fn message(self) -> String {
        match self {
            Self::Missing(message) | Self::Refused(message) | Self::Failed(message) => message,
            Self::Unsettled(message) | Self::Away(message) => message,
            Self::Exists => "it is there already".to_owned(),
        }
    }

    /// Asked again.
    pub(super) fn away(self) -> ExecutorError {
        away(self.message())
    }

    /// A container or a volume is not made: what the engine refuses, it will refuse again.
    pub(super) fn of_creation(self) -> ExecutorError {
        match self {
            Self::Refused(message) => refused(&message),
            Self::Missing(_) | Self::Exists | Self::Failed(_) | Self::Unsettled(_) | Self::Away(_) => self.away(),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is another's, and large")]
        match error {
            Error::DockerResponseServerError { status_code, message } => match status_code {
                404 => Self::Missing(message),
                // Podman says so with 500
                409 | 500 if message.contains("already in use") => Self::Exists,
                // it is being removed just now, or is paused
                409 => Self::Failed(message),
                400..500 => Self::Refused(message),
                _ => Self::Failed(message),
            },
            Error::DockerStreamError { error } => Self::Failed(error),
            Error::JsonDataError { ref message, .. } if message.contains(STOPPED) => Self::Unsettled(chain(&error)),
            other => Self::Away(chain(&other)),
        }
    }
}

/// An error with its causes: bollard's own words are often just "client error".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}

impl Connection {
    /// To `unix:///path` or `tcp://host:port`.
    pub(super) fn new(host: &str) -> Result<Self, String> {
        match host.split_once("://") {
            Some(("unix" | "tcp" | "http", _)) => Ok(Self { host: host.to_owned(), client: Arc::default() }),
            Some(_) | None => {
                Err(format!("`{host}` is no address of an engine: `unix:///path` and `tcp://host:port` are"))
            }
        }
    }

    /// One call, which may be repeated, with its time limit.
    pub(super) async fn call<T>(&self, call: impl AsyncFnOnce(&Docker) -> Result<T, Error>) -> Result<T, Fault> {
        let greeted = async { Ok(call(self.client().await?).await?) };
        match tokio::time::timeout(CALL_MAX, greeted).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::Away(format!("no answer within {} s", CALL_MAX.as_secs()))),
        }
    }

    /// A look at containers, once none of them is between its end and the engine's account of it.
    pub(super) async fn look<T, F>(&self, look: impl Fn(Docker) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let settled = async {
            loop {
                match self.call(async |docker| look(docker.clone()).await).await {
                    Err(Fault::Unsettled(_)) => tokio::time::sleep(UNSETTLED).await,
                    answer => return answer,
                }
            }
        };
        let unsettled = || Fault::Away(format!("a container has been ending for {} s", CALL_MAX.as_secs()));
        tokio::time::timeout(CALL_MAX, settled).await.unwrap_or_else(|_| Err(unsettled()))
    }

    /// For calls that last: pulls, and the stream of events.
    pub(super) async fn client(&self) -> Result<&Docker, Fault> {
        let greet = async || {
            let client = match self.host.starts_with("unix://") {
                true => Docker::connect_with_unix(&self.host, CLIENT_SECONDS, API_DEFAULT_VERSION),
                false => Docker::connect_with_http(&self.host, CLIENT_SECONDS, API_DEFAULT_VERSION),
            };
            client?.negotiate_version().await
        };
        Ok(self.client.get_or_try_init(greet).await?)
    }

    pub(super) async fn answers(&self) -> bool {
        tokio::time::timeout(GREETING_MAX, self.client()).await.is_ok_and(|answer| answer.is_ok())
    }

    /// A small file of a container, running or not.
    pub(super) async fn file(&self, container: &str, path: &str) -> Result<Vec<u8>, Fault> {
        self.file_within(container, path, FILE_MAX).await
    }

    /// The same of another size.
    pub(super) async fn file_within(&self, container: &str, path: &str, max: usize) -> Result<Vec<u8>, Fault> {
        let options = query::DownloadFromContainerOptionsBuilder::default().path(path).build();
        let tar = self.call(async |docker| {
            let mut stream = docker.download_from_container(container, Some(options)).boxed();
            let mut tar = Vec::new();
            while let Some(bytes) = stream.try_next().await? {
                tar.extend_from_slice(&bytes);
                if tar.len() > max + (64 << 10) {
                    break;
                }
            }
            Ok(tar)
        });
        let broken = |error: std::io::Error| Fault::Failed(format!("{path}: {error}"));
        first_file(&tar.await?, max).map_err(broken)
    }
}

fn first_file(tar: &[u8], max: usize) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut archive = tar::Archive::new(tar);
    let missing = || std::io::Error::other("there is no such file");
    let entry = archive.entries()?.next().ok_or_else(missing)??;
    let mut bytes = Vec::new();
    entry.take(max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max { Err(std::io::Error::other("it is too large")) } else { Ok(bytes) }
}

/// Where an engine may be, the likeliest first: `DOCKER_HOST`, Docker's socket, Podman's for this user and for root.
pub fn hosts() -> Vec<String> {
    if let Some(host) = env::var("DOCKER_HOST").ok().filter(|host| !host.trim().is_empty()) {
        return vec![host];
    }
    let of_user = env::var("XDG_RUNTIME_DIR").ok().map(|dir| format!("{dir}/podman/podman.sock"));
    let usual = ["/var/run/docker.sock", "/run/podman/podman.sock"].map(str::to_owned);
    let [docker, podman] = usual;
    let sockets = [Some(docker), of_user, Some(podman)].into_iter().flatten();
    sockets.filter(|path| Path::new(path).exists()).map(|path| format!("unix://{path}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_podmans_own_is_known_by_its_words() {
        let taken = [
            (409, "Conflict. The container name \"/co-1-job-0\" is already in use by container \"8860\"."),
            (
                500,
                "container create: creating container storage: the container name \"co-1-job-0\" is already in use by 8860",
            ),
        ];
        for (status_code, message) in taken {
            let error = Error::DockerResponseServerError { status_code, message: message.to_owned() };
            assert!(matches!(Fault::from(error), Fault::Exists), "{message}");
        }
        let stopped = serde_json::from_str::<bollard::models::ContainerState>(r#"{"Status": "stopped"}"#);
        let message = stopped.expect_err("a newer library knows it: then nobody need look again").to_string();
        assert!(matches!(Fault::from(Error::JsonDataError { message, column: 1 }), Fault::Unsettled(_)));
        let other = Error::DockerResponseServerError { status_code: 500, message: "no space left".to_owned() };
        assert!(matches!(Fault::from(other), Fault::Failed(_)));
    }
}
