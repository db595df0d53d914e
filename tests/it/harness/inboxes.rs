//! Where receivers are told: a mail server that speaks as much SMTP as it needs, and a place for webhooks.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, response::IntoResponse, routing::post};
use reqwest::StatusCode;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_rustls::TlsAcceptor;

/// A mail as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Mail {
    /// The one header of this name.
    pub(crate) fn header(&self, name: &str) -> String {
        let found: Vec<&String> = self.headers.iter().filter(|(of, _)| of == name).map(|(_, value)| value).collect();
        let [one] = found[..] else { panic!("{} headers {name}", found.len()) };
        one.clone()
    }
}

/// A mail server.
#[derive(Clone)]
pub(crate) struct MailServer {
    port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
    refusals: Arc<Mutex<(u16, usize)>>,
    came: Arc<Notify>,
}

/// When a mail server speaks TLS.
#[derive(Clone)]
pub(crate) enum Tls {
    /// Never.
    None,
    /// From the first byte.
    Always(TlsAcceptor),
    /// Once it is asked for, and it says nothing of mails before.
    WhenAsked(TlsAcceptor),
}

impl MailServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(Tls::None).await
    }

    /// The same, encrypted.
    pub(crate) async fn start_with(tls: Tls) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = Self { port, mails: Arc::default(), refusals: Arc::default(), came: Arc::default() };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move { server.serve(stream, tls).await });
            }
        });
        server
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The first mail, once it has come.
    pub(crate) async fn first(&self) -> Mail {
        loop {
            let more = self.came.notified();
            if let Some(mail) = self.mails().into_iter().next() {
                return mail;
            }
            more.await;
        }
    }

    async fn serve(&self, stream: TcpStream, tls: Tls) -> Option<()> {
        match tls {
            Tls::None => self.greet(stream).await,
            Tls::Always(acceptor) => self.greet(acceptor.accept(stream).await.ok()?).await,
            Tls::WhenAsked(acceptor) => {
                let mut plain = BufReader::new(stream);
                plain.write_all(b"220 mail.acme.example\r\n").await.ok()?;
                while !line(&mut plain).await?.eq_ignore_ascii_case("STARTTLS") {
                    plain.write_all(b"250-mail.acme.example\r\n250 STARTTLS\r\n").await.ok()?;
                }
                plain.write_all(b"220 go on\r\n").await.ok()?;
                self.converse(BufReader::new(acceptor.accept(plain.into_inner()).await.ok()?)).await
            }
        }
    }

    async fn greet(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<()> {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 mail.acme.example\r\n").await.ok()?;
        self.converse(stream).await
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// Says no with this code to the next receivers.
    pub(crate) fn refuses(&self, code: u16, times: usize) {
        *self.refusals.lock().expect("no test panics with it") = (code, times);
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.mails.lock().expect("no test panics with it").clone()
    }

    fn refusal(&self) -> Option<u16> {
        let mut refusals = self.refusals.lock().expect("no test panics with it");
        let left = refusals.1.checked_sub(1)?;
        refusals.1 = left;
        Some(refusals.0)
    }

    async fn converse(&self, mut stream: BufReader<impl AsyncRead + AsyncWrite + Unpin>) -> Option<()> {
        let mut mail = Mail::default();
        loop {
            let line = line(&mut stream).await?;
            let answer = match line.split(':').next()?.to_ascii_uppercase().split(' ').next()? {
                "EHLO" => "250-mail.acme.example\r\n250 8BITMIME".to_owned(),
                "MAIL" => {
                    mail = Mail { from: address(&line), ..Mail::default() };
                    "250 ok".to_owned()
                }
                "RCPT" => match self.refusal() {
                    Some(code) => format!("{code} not now"),
                    None => {
                        mail.to.push(address(&line));
                        "250 ok".to_owned()
                    }
                },
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await.ok()?;
                    read_data(&mut stream, &mut mail).await?;
                    self.mails.lock().expect("no test panics with it").push(std::mem::take(&mut mail));
                    self.came.notify_waiters();
                    "250 taken".to_owned()
                }
                _ => "250 ok".to_owned(),
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        }
    }
}

async fn line(stream: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}

fn address(line: &str) -> String {
    line.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}

async fn read_data(stream: &mut (impl AsyncBufRead + Unpin), mail: &mut Mail) -> Option<()> {
    let mut in_headers = true;
    loop {
        let line = line(stream).await?;
        match line.as_str() {
            "." => return Some(()),
            "" if in_headers => in_headers = false,
            text if in_headers && text.starts_with(' ') => mail.headers.last_mut()?.1.push_str(text),
            text if in_headers => {
                let (name, value) = text.split_once(": ")?;
                mail.headers.push((name.to_owned(), value.to_owned()));
            }
            text => mail.text += &format!("{text}\n"),
        }
    }
}

/// A call as it came.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A place for webhooks.
#[derive(Clone)]
pub(crate) struct WebhookServer {
    port: u16,
    posted: Arc<Mutex<Vec<Posted>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
    came: Arc<Notify>,
}

impl WebhookServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = Self { port, posted: Arc::default(), answers: Arc::default(), came: Arc::default() };
        let router = Router::new().fallback(post(take)).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        server
    }

    /// The first call, once it has come.
    pub(crate) async fn first(&self) -> Posted {
        loop {
            let more = self.came.notified();
            if let Some(posted) = self.posted().into_iter().next() {
                return posted;
            }
            more.await;
        }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// Answers the next calls with these, and all that follow with 204.
    pub(crate) fn answers(&self, statuses: &[u16]) {
        self.answers.lock().expect("no test panics with it").extend(statuses);
    }

    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.posted.lock().expect("no test panics with it").clone()
    }
}

async fn take(State(server): State<WebhookServer>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let body = String::from_utf8(body.to_vec()).expect("text");
    server.posted.lock().expect("no test panics with it").push(Posted { headers, body });
    server.came.notify_waiters();
    let status = server.answers.lock().expect("no test panics with it").pop_front().unwrap_or(204);
    // wherever a redirect leads, it comes back here
    let location = [("location", server.url())];
    (StatusCode::from_u16(status).expect("a status"), location)
}
