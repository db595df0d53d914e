//! `containerops serve`, which is killed again and again, and started at once on the same data and address.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    process::{Child, Command},
    sync::watch,
};

use super::dice::Dice;

const PROGRAM: &str = env!("CARGO_BIN_EXE_containerops");
/// The longest that a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);
/// Until one that ended by itself is started again.
const AGAIN: Duration = Duration::from_millis(500);

/// How a service is set up.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) data: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) settings: Vec<(&'static str, String)>,
}

/// A service that lives.
pub(crate) struct Service {
    setup: Setup,
    child: Child,
}

impl Service {
    /// Returns when it answers.
    pub(crate) async fn start(setup: Setup) -> Self {
        let child = spawn(&setup);
        let mut service = Self { setup, child };
        service.answers().await;
        service
    }

    /// Kills it.
    pub(crate) async fn end(mut self) -> Setup {
        self.child.kill().await.expect("it lives");
        self.setup
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it lives")
    }

    /// Sends it a signal.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().expect("it lives").to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await.expect("kill");
        assert!(sent.success(), "no signal {name} to {id}");
    }

    /// Kills it, and starts it again at once. How long nobody answered.
    pub(crate) async fn kill(&mut self) -> Duration {
        let killed = Instant::now();
        self.child.kill().await.expect("it lives");
        *self = Self::start(self.setup.clone()).await;
        killed.elapsed()
    }

    /// Kills it after lives of so many milliseconds, until `calm` says true. The service, and how long each absence was.
    pub(crate) async fn killed_until(
        mut self,
        mut calm: watch::Receiver<bool>,
        lives: std::ops::Range<u64>,
        mut dice: Dice,
    ) -> (Self, Vec<Duration>) {
        let mut absences = Vec::new();
        while !*calm.borrow() {
            let life = Duration::from_millis(dice.between(lives.start, lives.end));
            if tokio::time::timeout(life, calm.changed()).await.is_err() {
                absences.push(self.kill().await);
            }
        }
        (self, absences)
    }

    async fn answers(&mut self) {
        let began = Instant::now();
        let url = format!("http://{}/readyz", self.setup.address);
        // whatever it says: what it stands on may be away just now
        while reqwest::get(&url).await.is_err() {
            let log = log_path(&self.setup.data);
            assert!(began.elapsed() < START, "it did not answer within {START:?}; see {}", log.display());
            if self.child.try_wait().expect("it is ours").is_some() {
                // as whoever looks after a service does: the database may be starting anew just now
                tokio::time::sleep(AGAIN).await;
                self.child = spawn(&self.setup);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn spawn(setup: &Setup) -> Child {
    let mut command = Command::new(PROGRAM);
    command.arg("serve").env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("CONTAINEROPS_DATA", &setup.data).env("CONTAINEROPS_LISTEN", setup.address.to_string());
    command.env("CONTAINEROPS_EXECUTOR", "process").envs(setup.settings.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stderr(log(&setup.data)).kill_on_drop(true);
    command.spawn().expect("it can be started")
}

/// Where all its lives write what they log.
pub(crate) fn log_path(data: &Path) -> PathBuf {
    data.with_extension("log")
}

fn log(data: &Path) -> Stdio {
    let file = std::fs::File::options().create(true).append(true).open(log_path(data));
    file.expect("a log file").into()
}
