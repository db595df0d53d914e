//! How fast log lines go through the real agent: 100 MB of ordinary lines from a job to a server that unpacks them.
//!
//! `cargo run --release --example agent_throughput -- target/release/containerops-agent`

use std::{
    fmt::Write as _,
    io::Write as _,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    routing::{post, put},
};
use containerops::{
    agent::protocol::{Chunk, ClaimAnswer, HeartbeatAnswer, LOG_LIMIT, LogAnswer, Start, Work},
    model::JobId,
};

const SIZE: usize = 100_000_000;

type Length = Arc<AtomicU64>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let agent = std::env::args_os().nth(1).unwrap_or_else(|| "target/release/containerops-agent".into());
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("lines"), lines())?;
    std::fs::write(dir.path().join("token"), "token")?;
    let length = Length::default();
    let url = serve(work(&dir.path().join("lines")), Arc::clone(&length)).await?;
    let mut command = tokio::process::Command::new(agent);
    command.args(["job", "--url", &url, "--token-file"]).arg(dir.path().join("token")).arg("--workspace");
    command.arg(dir.path()).arg("--scratch").arg(dir.path().join("scratch")).stdout(Stdio::null());
    let begin = Instant::now();
    let status = command.status().await?;
    let seconds = begin.elapsed().as_secs_f64();
    let bytes = length.load(Ordering::SeqCst);
    anyhow::ensure!(status.success() && bytes == SIZE as u64, "{status}, {bytes} bytes arrived");
    writeln!(std::io::stdout(), "{bytes} bytes in {seconds:.2} s: {:.0} MB/s", bytes as f64 / 1e6 / seconds)?;
    Ok(())
}

/// Lines as a compiler and its tests write them.
fn lines() -> Vec<u8> {
    let mut text = String::with_capacity(SIZE + 200);
    for i in 0.. {
        let hash = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let _ = writeln!(text, "test shop::basket::tests::case_{i} ... ok ({hash:016x}, {} ms)", hash % 977);
        if text.len() >= SIZE {
            break;
        }
    }
    text.truncate(SIZE);
    text.into_bytes()
}

fn work(file: &Path) -> Work {
    Work {
        ready: None,
        job: JobId::from_i64(1),
        start: Start::Command(vec!["cat".to_owned(), file.display().to_string()]),
        environments: [].into(),
        source: None,
        timeout: Duration::from_secs(600),
        outputs: vec!["VERSION".to_owned()],
        masks: vec!["a secret of no one".to_owned()],
        secrets: Vec::new(),
        notes: Vec::new(),
        log_limit: LOG_LIMIT,
        shell: Vec::new(),
        downloads: Vec::new(),
        artifacts: Vec::new(),
        reports: Vec::new(),
        artifact_limit: 1 << 30,
        caches: Vec::new(),
        cache_limit: 1 << 30,
        strict: false,
    }
}

async fn serve(work: Work, length: Length) -> anyhow::Result<String> {
    let claim = move || {
        let answer = ClaimAnswer::Run(Box::new(work.clone()));
        async move { Json(answer) }
    };
    let heartbeat = || async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        Json(HeartbeatAnswer::GoOn)
    };
    let router = Router::new()
        .route("/agent/v1/claim", post(claim))
        .route("/agent/v1/log", put(log))
        .route("/agent/v1/heartbeat", post(heartbeat))
        .route("/agent/v1/end", post(|| async { StatusCode::NO_CONTENT }))
        .layer(DefaultBodyLimit::max(16 << 20))
        .with_state(length);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

async fn log(State(length): State<Length>, body: Bytes) -> Result<Json<LogAnswer>, StatusCode> {
    let chunk = Chunk::decode(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let added = chunk.text.len() as u64;
    Ok(Json(LogAnswer { length: length.fetch_add(added, Ordering::SeqCst) + added }))
}
