//! The program itself, in a process of its own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

use super::{
    database::Database,
    repository::{Worktree, make},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_containerops");

/// `containerops serve` in a process of its own, on a data directory that outlives it.
pub(crate) struct Service {
    data: PathBuf,
    address: SocketAddr,
    settings: Vec<(String, String)>,
    only: Option<&'static str>,
    child: Child,
    database: Arc<Database>,
    /// What it writes to its log since it serves.
    log: UnboundedReceiver<String>,
}

impl Service {
    /// Returns when it serves: on this data, and on a free port.
    pub(crate) async fn start(data: &Path) -> Self {
        Self::start_with(data, &[]).await
    }

    /// The same with more variables than where it is, and other ones.
    pub(crate) async fn start_with(data: &Path, variables: &[(&str, String)]) -> Self {
        Self::start_as(data, None, variables).await
    }

    /// The same, but what does only this part.
    pub(crate) async fn start_only(data: &Path, part: &'static str, variables: &[(&str, String)]) -> Self {
        Self::start_as(data, Some(part), variables).await
    }

    async fn start_as(data: &Path, only: Option<&'static str>, variables: &[(&str, String)]) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Self::spawn(data.to_owned(), free, only, variables).await
    }

    async fn spawn(
        data: PathBuf,
        address: SocketAddr,
        only: Option<&'static str>,
        settings: Vec<(String, String)>,
    ) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("serve").args(only.map(|part| ["--only", part]).into_iter().flatten());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("CONTAINEROPS_DATA", &data).env("CONTAINEROPS_LISTEN", address.to_string());
        let database = Database::of(&data).await;
        command.env("CONTAINEROPS_DATABASE_URL", &database.url);
        command.env("CONTAINEROPS_EXECUTOR", "process").envs(settings.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("it can be started");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        while let Some(line) = lines.next_line().await.expect("text") {
            if line.contains("serving") {
                // whoever reads no more must not end it by that
                let (said, heard) = unbounded_channel();
                tokio::spawn(async move {
                    while let Ok(Some(line)) = lines.next_line().await {
                        let _ = said.send(line);
                    }
                });
                return Self { data, address, settings, only, child, database, log: heard };
            }
        }
        panic!("it ended before it served");
    }

    /// SIGKILL, and another start at the same place once `meanwhile` is over.
    pub(crate) async fn killed(mut self, meanwhile: impl Future<Output = ()>) -> Self {
        self.child.kill().await.expect("it lives");
        meanwhile.await;
        // in nobody's hands until the next one has it
        let _kept = self.database;
        Self::spawn(self.data, self.address, self.only, self.settings).await
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A place of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let process = self.child.id().expect("it lives").to_string();
        let sent = std::process::Command::new("kill").arg(process).status().expect("kill is installed");
        assert!(sent.success());
    }

    /// Returns when it has ended by itself, well, with what it has said since it served.
    pub(crate) async fn stopped(mut self) -> (Self, String) {
        let status = self.child.wait().await.expect("it ends");
        assert!(status.success(), "{status}");
        // jobs that go on have the same pipe: it has no end
        let mut log = String::new();
        while !log.contains("\"stopped\"") {
            log += &(self.log.recv().await.expect("it says so") + "\n");
        }
        (self, log)
    }

    /// Another start at the same place.
    pub(crate) async fn again(self) -> Self {
        // in nobody's hands until the next one has it
        let _kept = self.database;
        Self::spawn(self.data, self.address, self.only, self.settings).await
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await.expect("an answer");
        answer.error_for_status().expect("it is there")
    }

    pub(crate) async fn status(&self, path: &str) -> reqwest::StatusCode {
        reqwest::get(format!("http://{}{path}", self.address)).await.expect("an answer").status()
    }

    /// The next line of its log.
    pub(crate) async fn logs(&mut self) -> String {
        self.log.recv().await.expect("it lives")
    }

    /// A text, if it is there yet.
    pub(crate) async fn text(&self, path: &str) -> Option<String> {
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }

    /// Waits until a job's log has a line that it has not now.
    pub(crate) async fn grown(&self, job: &str) {
        let length = self.get(&format!("{job}/log.txt")).await.text().await.expect("a log").len();
        let mut stream = self.get(&format!("{job}/log/stream?offset={length}")).await;
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("data:") {
            seen.extend_from_slice(&stream.chunk().await.expect("a stream").expect("a line before its end"));
        }
    }

    /// Follows a job's log to its end.
    pub(crate) async fn followed(&self, job: &str) {
        let mut stream = self.get(&format!("{job}/log/stream")).await;
        let mut seen = Vec::new();
        while let Some(more) = stream.chunk().await.expect("a stream") {
            seen.extend_from_slice(&more);
            if String::from_utf8_lossy(&seen).contains("event: end") {
                return;
            }
        }
        panic!("the stream broke off: {}", String::from_utf8_lossy(&seen));
    }

    /// Makes a repository of plain Git with our hook, if it is not there, and pushes a flow file to it.
    pub(crate) async fn push(&self, clone: &Path, flow: &str) {
        let bare = self.data.join("git/acme/widget.git");
        make(&bare, &format!("http://{}", self.address), &self.data);
        let ada = Worktree::new(clone.to_owned());
        ada.write(".containerops.yml", flow);
        ada.commit("Try it");
        ada.git(&["push", "--quiet", &bare.display().to_string(), "main"]);
    }
}
