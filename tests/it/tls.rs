//! The program and TLS: it speaks with whom the machine's own certificates vouch for, and with nobody else.

use std::time::Duration;

use tokio::time::timeout;

use crate::harness::{
    authority::Authority,
    inboxes::{MailServer, Tls, WebhookServer},
    service::Service,
};

const LIMIT: Duration = Duration::from_secs(60);
const FLOW: &str = "on: push\nimage: any\nrun: exit 1\n";

fn receivers(addresses: &[String]) -> String {
    let hook = |address: &String| format!("  - {{type: webhook, address: \"{address}\"}}\n");
    let hooks: String = addresses.iter().map(hook).collect();
    format!("receivers:\n  - {{type: mail, address: dev@acme.example}}\n{hooks}{FLOW}")
}

async fn told(name: &str, tls: fn(tokio_rustls::TlsAcceptor) -> Tls, url: fn(u16) -> String) {
    let folder = tempfile::tempdir().expect("a folder");
    let (known, stranger) = (Authority::new(), Authority::new());
    let mails = MailServer::start_with(tls(known.acceptor())).await;
    let hooks = WebhookServer::start().await;
    let (good, mut good_said) = known.before(hooks.port()).await;
    let (bad, mut bad_said) = stranger.before(hooks.port()).await;
    let addresses = [good, bad].map(|port| format!("https://127.0.0.1:{port}/hook"));
    let variables = [
        ("SSL_CERT_FILE", known.write(&folder.path().join("ca.pem"))),
        ("CONTAINEROPS_SMTP_URL", url(mails.port())),
        ("CONTAINEROPS_SMTP_FROM", "ci@acme.example".to_owned()),
        ("CONTAINEROPS_WEBHOOK_PRIVATE_URLS", addresses.join(" ")),
    ];
    let service = Service::start_with(&folder.path().join("data"), &variables).await;
    service.push(&folder.path().join("ada"), &receivers(&addresses)).await;
    assert_eq!(mails.first().await.to, ["dev@acme.example"], "{name}");
    assert!(hooks.first().await.body.contains("run.ended"));
    assert_eq!((good_said.recv().await, bad_said.recv().await), (Some("trusted"), Some("refused")));
    assert_eq!(hooks.posted().len(), 1, "the stranger heard nothing");
}

#[tokio::test]
async fn receivers_are_told_over_tls_and_strangers_are_not() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let always = told("smtps", Tls::Always, |port| format!("smtps://localhost:{port}"));
    let asked = told("starttls", Tls::WhenAsked, |port| format!("smtp://localhost:{port}?tls=required"));
    timeout(LIMIT, async { tokio::join!(always, asked) }).await.expect("they are told");
}
