//! What a hook takes, and what it refuses.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use insta::assert_snapshot;
use reqwest::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::SMALL;
use crate::harness::{
    app::{OLD_SECRET, Tester, WIDGET},
    github::{signed, signed_with},
};

/// What is logged while it lives, on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics with it").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no test panics with it").clone()).expect("text")
    }
}

#[tokio::test]
async fn what_is_not_signed_is_not_stored_and_its_body_not_logged() {
    let t = Tester::start().await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let logging = tracing::subscriber::set_default(subscriber);
    let good = signed("push", "1", br#"{"secret-in-the-body": 1}"#.to_vec());
    let mut wrong = good.clone();
    wrong.body.push(b' ');
    let mut missing = good;
    missing.headers.remove("x-hub-signature-256");
    for delivery in [wrong, missing] {
        assert_eq!(t.send("github", delivery).await.0, StatusCode::UNAUTHORIZED);
    }
    drop(logging);
    assert_eq!(t.deliveries().await, "");
    let refusals = log.text().lines().filter(|line| line.contains("delivery refused")).count();
    assert_eq!(refusals, 2, "{}", log.text());
    assert!(!log.text().contains("secret-in-the-body"), "{}", log.text());
}

#[tokio::test]
async fn what_is_signed_but_no_json_is_kept_as_unreadable() {
    let t = Tester::start().await;
    let (status, _) = t.send("github", signed("push", "1", b"payload=%7B%7D".to_vec())).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    t.drain().await;
    assert_snapshot!(t.deliveries().await, @"push: unreadable: the body is not JSON: it is a form: set the webhook's content type to application/json");
}

#[tokio::test]
async fn a_hook_that_is_not_set_up_is_not_there() {
    let t = Tester::start().await;
    for forge in ["gitlab", "git", "nonsense"] {
        assert_eq!(t.send(forge, signed("push", "1", b"{}".to_vec())).await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn one_delivery_that_comes_twice_is_one_run() {
    let t = Tester::start().await;
    t.commit("main", SMALL);
    let delivery = t.github.push(WIDGET, "main");
    t.deliver(delivery.clone()).await;
    t.settle().await;
    t.deliver(delivery).await;
    t.settle().await;
    assert_eq!(t.runs().await, "#1 push queued\n");
    t.read_writes();
}

#[tokio::test]
async fn one_event_that_comes_through_two_hooks_is_one_run() {
    let t = Tester::start().await;
    t.commit("main", SMALL);
    let of_the_app = t.github.push(WIDGET, "main");
    let mut of_the_repository = of_the_app.clone();
    of_the_repository.headers.insert("x-github-hook-id", "7".parse().expect("a header"));
    t.deliver(of_the_app).await;
    t.deliver(of_the_repository).await;
    t.settle().await;
    assert_eq!(t.runs().await, "#1 push queued\n");
    let said = t.deliveries().await;
    let (said, _) = said.rsplit_once(' ').expect("words");
    assert_snapshot!(said, @r"
    push: started 1
    push: nothing: the same event came through another hook, as delivery
    ");
    t.read_writes();
}

#[tokio::test]
async fn the_secret_before_the_newest_is_still_good() {
    let t = Tester::start().await;
    let (status, _) = t.send("github", signed_with(OLD_SECRET, "ping", "1", b"{}".to_vec())).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (status, _) = t.send("github", signed_with("another", "ping", "2", b"{}".to_vec())).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_a_database_nothing_is_promised() {
    let t = Tester::start().await;
    t.app().engine.store.close().await;
    let (status, _) = t.send("github", signed("ping", "1", b"{}".to_vec())).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_not_read() {
    let t = Tester::start().await;
    let mut hook = Hook::open(&t, "content-length: 1073741824").await;
    assert_snapshot!(hook.answer().await, @"HTTP/1.1 413 Payload Too Large");
    assert_eq!(t.deliveries().await, "");
}

#[tokio::test]
async fn a_body_without_an_end_is_read_no_further_than_the_limit() {
    let t = Tester::start().await;
    let mut hook = Hook::open(&t, "transfer-encoding: chunked").await;
    let written = hook.pour().await;
    assert!((26 << 20..48 << 20).contains(&written), "{} MiB were taken", written >> 20);
    assert_eq!(t.deliveries().await, "");
}

/// A connection to the hook, byte by byte.
struct Hook(TcpStream);

impl Hook {
    async fn open(t: &Tester, header: &str) -> Self {
        let url = t.url();
        let host = url.strip_prefix("http://").expect("HTTP");
        let mut stream = TcpStream::connect(host).await.expect("it listens");
        let head = format!("POST /hooks/github HTTP/1.1\r\nhost: {host}\r\n{header}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        Self(stream)
    }

    /// The first line of the answer.
    async fn answer(&mut self) -> String {
        let mut buffer = [0; 1024];
        let length = self.0.read(&mut buffer).await.expect("an answer");
        String::from_utf8_lossy(&buffer[..length]).lines().next().unwrap_or_default().to_owned()
    }

    /// Sends chunks for ever. How many bytes of the body were taken before the server had enough.
    async fn pour(&mut self) -> usize {
        let data = vec![b' '; 1 << 16];
        let chunk = [b"10000\r\n", &data[..], b"\r\n"].concat();
        let (mut reader, mut writer) = self.0.split();
        let mut written = 0;
        let mut head = [0; 4096];
        loop {
            tokio::select! {
                biased;
                read = reader.read(&mut head) => {
                    let text = String::from_utf8_lossy(&head[..read.unwrap_or(0)]).into_owned();
                    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
                    return written;
                }
                sent = writer.write_all(&chunk) => match sent {
                    Ok(()) => written += data.len(),
                    Err(_) => return written,
                },
            }
        }
    }
}
