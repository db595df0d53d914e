//! Mail, by the operator's own mail server.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, Header, HeaderName, HeaderValue},
    },
    transport::smtp::extension::ClientId,
};
use secrecy::ExposeSecret as _;

use super::{LIMIT, MailServer, Settings, Trouble, name_of};
use crate::{model::Time, store::NoticeRow};

/// Why no mail is sent where no mail server is set.
const NOT_SET: &str = "this server sends no mail: CONTAINEROPS_SMTP_URL and CONTAINEROPS_SMTP_FROM are not set";

/// Sends mails, if there is a server for them.
#[derive(Clone)]
pub(super) struct Mailer {
    by: Option<Arc<By>>,
    host: String,
}

struct By {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    domains: Vec<String>,
}

impl Mailer {
    pub(super) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let by = settings.mail.as_ref().map(|mail| By::new(mail, &settings.host)).transpose()?;
        Ok(Self { by: by.map(Arc::new), host: settings.host.clone() })
    }

    pub(super) async fn send(&self, notice: &NoticeRow) -> Result<(), Trouble> {
        let Some(by) = &self.by else { return Err(Trouble::Never(NOT_SET.to_owned())) };
        by.allows(&notice.address).map_err(Trouble::Never)?;
        let message = self.message(notice, &by.from).map_err(Trouble::Never)?;
        match by.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(Trouble::Never(words(&error))),
            Err(error) => Err(Trouble::Later(words(&error))),
        }
    }

    fn message(&self, notice: &NoticeRow, from: &Mailbox) -> Result<Message, String> {
        let to: Mailbox = notice.address.parse().map_err(|error| format!("{error}"))?;
        // the same for every try: who has it already can tell
        let id = format!("<{}@{}>", name_of(notice), self.host);
        Message::builder()
            .from(from.clone())
            .to(to)
            .subject(notice.subject.as_str())
            .message_id(Some(id))
            .date(date(notice.created))
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN)
            .body(notice.body.clone())
            .map_err(|error| error.to_string())
    }
}

impl By {
    fn new(mail: &MailServer, host: &str) -> anyhow::Result<Self> {
        // the URL holds a password: what is wrong with it is not shown
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(mail.url.expose_secret())
            .map_err(|_| anyhow::anyhow!("CONTAINEROPS_SMTP_URL is no smtp:// or smtps:// URL"))?;
        let from = mail.from.parse().context("CONTAINEROPS_SMTP_FROM is no mail address")?;
        let transport = transport.hello_name(ClientId::Domain(host.to_owned())).timeout(Some(LIMIT));
        let domains = mail.domains.iter().map(|domain| domain.to_ascii_lowercase()).collect();
        Ok(Self { transport: transport.build(), from, domains })
    }

    /// Nothing, or why this address gets no mail.
    fn allows(&self, address: &str) -> Result<(), String> {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain).to_ascii_lowercase();
        match self.domains.is_empty() || self.domains.contains(&domain) {
            true => Ok(()),
            false => Err(format!("this server sends no mail to {domain}: CONTAINEROPS_SMTP_DOMAINS does not name it")),
        }
    }
}

/// The moment that the run ended, whichever try it is.
fn date(time: Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or_default())
}

/// Says that no person wrote it, so that nobody's machine answers.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

fn words(error: &lettre::transport::smtp::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let said: Vec<String> = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect();
    said.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RunId;

    #[test]
    fn nothing_that_anybody_writes_becomes_a_header_or_another_receiver() {
        let mailer = Mailer { by: None, host: "ci.example.com".to_owned() };
        let notice = |address: &str| NoticeRow {
            run_id: RunId::from_i64(7),
            place: 0,
            way: "mail".to_owned(),
            address: address.to_owned(),
            news: "failure".to_owned(),
            subject: "red\r\nBcc: all@acme.example\r\n\r\n\u{1f4a5}".to_owned(),
            body: "first\r\n.\r\nQUIT\r\n".to_owned(),
            phase: "due".to_owned(),
            due: Time::from_millis(0),
            tries: 1,
            trouble: String::new(),
            created: Time::from_millis(0),
            ended: None,
        };
        let from = "ci@acme.example".parse().expect("an address");
        let message = mailer.message(&notice("dev@acme.example"), &from).expect("a message");
        let text = String::from_utf8(message.formatted()).expect("text");
        let head = text.split("\r\n\r\n").next().expect("headers");
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert_eq!(message.envelope().to().len(), 1);
        let header = |name: &str| message.headers().get_raw(name).map(str::to_owned);
        assert_eq!(header("Auto-Submitted").as_deref(), Some("auto-generated"));
        assert_eq!(header("Message-ID").as_deref(), Some("<run-0000000000007-0@ci.example.com>"));
        assert!(mailer.message(&notice("dev@acme.example\r\nBcc: all@acme.example"), &from).is_err());
    }
}
