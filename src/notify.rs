//! Tells receivers how runs ended: rows that are sent until they are taken, with pauses that grow, for a day.
//!
//! A notice is claimed before it is sent, so no two processes send it; one of which nobody knows what became of it, for
//! a process died in between, is sent once more by the same name (`Message-ID`, `webhook-id`), by which whoever takes it
//! can tell. Nothing that happens here changes a run.

mod mail;
mod webhook;

use std::time::Duration;

use futures::future::join_all;
use secrecy::{SecretSlice, SecretString};

use crate::{
    model::{Clock, Time, Way},
    store::{NoticeRow, Store, StoreError},
};

use self::{mail::Mailer, webhook::Webhooks};

pub use webhook::signature;

/// How many are sent at once.
pub const AT_ONCE: usize = 32;
/// A try has so long, with all that belongs to it.
const LIMIT: Duration = Duration::from_secs(30);
/// Whoever died with a claim is waited for so long.
const LEASE: Duration = Duration::from_secs(120);
/// The first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));
/// After this a notice is no news any more.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);
/// As much of somebody's words as fits on a page.
const WORDS: usize = 300;

/// How a server tells receivers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The operator's mail server; `None`: no mail is sent.
    pub mail: Option<MailServer>,
    /// What the URLs of webhooks may begin with though they are not encrypted or lead to private addresses.
    pub private_urls: Vec<String>,
    /// What webhooks are signed with, each; none: they are not.
    pub signing_keys: Vec<SecretSlice<u8>>,
    /// The host in `Message-ID`s.
    pub host: String,
}

/// A mail server, and what may be sent by it.
#[derive(Debug, Clone)]
pub struct MailServer {
    /// `smtp://…` or `smtps://…`, with user and password.
    pub url: SecretString,
    /// Whom mails are from.
    pub from: String,
    /// The domains that mails may go to; empty: any.
    pub domains: Vec<String>,
}

/// Why a try was none.
#[derive(Debug)]
enum Trouble {
    /// It may be better later.
    Later(String),
    /// It will never be.
    Never(String),
}

/// Tells receivers.
#[derive(Clone)]
pub struct Notifier {
    store: Store,
    clock: Clock,
    mailer: Mailer,
    webhooks: Webhooks,
}

impl Notifier {
    /// Puts the parts together.
    ///
    /// # Errors
    /// If a setting is none that can be used.
    pub fn new(store: Store, clock: Clock, settings: Settings) -> anyhow::Result<Self> {
        Ok(Self { store, clock, mailer: Mailer::new(&settings)?, webhooks: Webhooks::new(settings) })
    }

    /// Claims what is due, at most so many. Each is to be [sent](Self::send), at its own pace.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn due(&self, most: usize) -> Result<Vec<NoticeRow>, StoreError> {
        let (now, most) = (self.clock.now(), i64::try_from(most).unwrap_or(i64::MAX));
        let due = self.store.read().await?.due_notices(now, most).await?;
        if due.is_empty() {
            return Ok(due);
        }
        let mut tx = self.store.write().await?;
        let mut claimed = Vec::with_capacity(due.len());
        for notice in due {
            claimed.extend(tx.claim_notice(&notice, now, now.after(LEASE)).await?);
        }
        tx.commit().await?;
        Ok(claimed)
    }

    /// Sends what is due, once. How many there were.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn notify(&self) -> Result<usize, StoreError> {
        let due = self.due(AT_ONCE).await?;
        let sent = join_all(due.iter().map(|notice| self.send(notice))).await;
        sent.into_iter().collect::<Result<(), StoreError>>()?;
        Ok(due.len())
    }

    /// Tries to send one that was claimed, and notes what became of it.
    ///
    /// # Errors
    /// If the database is away, or somebody else has claimed it since.
    pub async fn send(&self, notice: &NoticeRow) -> Result<(), StoreError> {
        let tried = match Way::named(&notice.way) {
            Some(Way::Mail) => self.in_time(self.mailer.send(notice)).await,
            Some(Way::Webhook) => self.in_time(self.webhooks.send(notice, self.clock.now())).await,
            None => Err(Trouble::Never(format!("`{}` is no way to tell anybody", notice.way))),
        };
        self.note(notice, tried).await
    }

    async fn in_time(&self, sending: impl Future<Output = Result<(), Trouble>>) -> Result<(), Trouble> {
        let late = |_| Err(Trouble::Later(format!("no answer within {} s", LIMIT.as_secs())));
        tokio::time::timeout(LIMIT, sending).await.unwrap_or_else(late)
    }

    async fn note(&self, notice: &NoticeRow, tried: Result<(), Trouble>) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (phase, trouble, due, ended) = match tried {
            Ok(()) => ("sent", String::new(), now, Some(now)),
            Err(Trouble::Never(why)) => ("given_up", why, now, Some(now)),
            Err(Trouble::Later(why)) => {
                let due = now.after(pause(notice.tries));
                match due.since(notice.created) > GIVE_UP {
                    true => ("given_up", why, now, Some(now)),
                    false => ("due", why, due, None),
                }
            }
        };
        if !trouble.is_empty() {
            tracing::warn!(run.id = %notice.run_id, way = notice.way, trouble, "a receiver was not told");
        }
        let trouble: String = trouble.chars().filter(|c| !c.is_control()).take(WORDS).collect();
        let mut tx = self.store.write().await?;
        tx.notice_tried(notice, phase, &trouble, due, ended).await?;
        tx.commit().await
    }
}

/// How long to wait after so many tries.
fn pause(tries: i64) -> Duration {
    let (first, longest) = PAUSES;
    let doublings = u32::try_from((tries - 1).clamp(0, 10)).unwrap_or(10);
    (first * (1 << doublings)).min(longest)
}

/// The name by which a notice is known wherever it comes.
fn name_of(notice: &NoticeRow) -> String {
    format!("run-{}-{}", notice.run_id, notice.place)
}

/// Seconds since 1970.
fn seconds(time: Time) -> i64 {
    time.as_millis().div_euclid(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        let seconds = [1, 2, 3, 7, 8, 100].map(|tries| pause(tries).as_secs());
        assert_eq!(seconds, [30, 60, 120, 1920, 3600, 3600]);
    }
}
