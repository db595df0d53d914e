//! Tells other processes of the same database what changed, and hears it of them. A hint, like the bell that it belongs
//! to: whoever misses one looks by its timer. So it goes beside the transactions, many changes in one message.

use std::{collections::BTreeSet, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Pools;
use crate::{
    model::{AttemptId, JobId, RunId},
    store::{Bell, Change},
};

/// Changes that come so close together are one message.
const TOGETHER: Duration = Duration::from_millis(5);
/// PostgreSQL takes less than 8000 bytes.
const PAYLOAD: usize = 7900;
/// More messages than this at once say no more than "everything".
const MESSAGES: usize = 8;
/// Something is told at least this often, so that whoever hears nothing knows that the connection is gone.
const ALIVE: Duration = Duration::from_secs(10);
/// After trouble.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two words in a message.
const BETWEEN: char = ',';
const EVERYTHING: &str = "*";

/// Goes on until the connections are closed, or it is over.
pub(super) fn start(pools: &Pools, bell: &Bell, changes: mpsc::Receiver<Change>, over: &CancellationToken) {
    let (channel, me) = (format!("containerops_{:x}", pools.lock), getrandom::u64().unwrap_or_default());
    let telling = tell(pools.beside.clone(), channel.clone(), me, changes);
    tokio::spawn(over.clone().run_until_cancelled_owned(telling));
    tokio::spawn(over.clone().run_until_cancelled_owned(hear(pools.ears.clone(), channel, me, bell.clone())));
}

async fn tell(pool: PgPool, channel: String, me: u64, mut changes: mpsc::Receiver<Change>) {
    loop {
        let found = match tokio::time::timeout(ALIVE, changes.recv()).await {
            Ok(None) => return,
            Ok(Some(first)) => gathered(first, &mut changes).await,
            Err(_) => BTreeSet::new(),
        };
        for message in messages(me, &found) {
            let told = sqlx::query("SELECT pg_notify($1, $2)").bind(&channel).bind(message).execute(&pool).await;
            match told {
                Ok(_) => {}
                Err(sqlx::Error::PoolClosed) => return,
                Err(error) => tracing::debug!(%error, "other processes are not told what changed: they look for it"),
            }
        }
    }
}

async fn gathered(first: Change, changes: &mut mpsc::Receiver<Change>) -> BTreeSet<String> {
    let mut found = BTreeSet::from([word(first)]);
    tokio::time::sleep(TOGETHER).await;
    while let Ok(change) = changes.try_recv() {
        found.insert(word(change));
    }
    found
}

/// What tells of these changes; at least one message, and not many.
fn messages(me: u64, changes: &BTreeSet<String>) -> Vec<String> {
    let empty = || format!("{me:x}:");
    let mut messages = vec![empty()];
    for change in changes {
        if messages.last().is_some_and(|last| last.len() + change.len() + 1 > PAYLOAD) {
            messages.push(empty());
        }
        if let Some(last) = messages.last_mut() {
            last.push_str(change);
            last.push(BETWEEN);
        }
    }
    if messages.len() > MESSAGES { vec![format!("{}{EVERYTHING}", empty())] } else { messages }
}

async fn hear(pool: PgPool, channel: String, me: u64, bell: Bell) {
    while !pool.is_closed() {
        match listen(&pool, &channel, me, &bell).await {
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "what other processes change is looked for, until it can be heard"),
        }
        // nobody knows what was told meanwhile
        bell.ring_here(Change::All);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Until the connection breaks, or nothing is heard for so long that it must have.
async fn listen(pool: &PgPool, channel: &str, me: u64, bell: &Bell) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(channel).await?;
    bell.ring_here(Change::All);
    while let Ok(heard) = tokio::time::timeout(3 * ALIVE, listener.try_recv()).await {
        let Some(heard) = heard? else { break };
        let Some((by, words)) = heard.payload().split_once(':') else { continue };
        if by == format!("{me:x}") {
            continue;
        }
        for change in words.split(BETWEEN).filter_map(change) {
            bell.ring_here(change);
        }
    }
    Ok(())
}

fn word(change: Change) -> String {
    match change {
        Change::All => EVERYTHING.to_owned(),
        Change::Delivery => "d".to_owned(),
        Change::Executor => "x".to_owned(),
        Change::Report => "p".to_owned(),
        Change::Notice => "n".to_owned(),
        Change::Run(id) => format!("r{:x}", id.as_i64()),
        Change::Attempt(id) => format!("a{:x}", id.as_i64()),
        Change::Log(id) => format!("l{:x}", id.as_i64()),
    }
}

/// What a word means; `None`: a newer release's, or nobody's.
fn change(word: &str) -> Option<Change> {
    let id = |hex: &str| i64::from_str_radix(hex, 16).ok();
    match (word.get(..1)?, word.get(1..)?) {
        (EVERYTHING, "") => Some(Change::All),
        ("d", "") => Some(Change::Delivery),
        ("x", "") => Some(Change::Executor),
        ("p", "") => Some(Change::Report),
        ("n", "") => Some(Change::Notice),
        ("r", hex) => id(hex).map(|id| Change::Run(RunId::from_i64(id))),
        ("a", hex) => id(hex).map(|id| Change::Attempt(AttemptId::from_i64(id))),
        ("l", hex) => id(hex).map(|id| Change::Log(JobId::from_i64(id))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_understood_as_it_was_told() {
        let id = 0x0123_4567_89ab_cdef;
        let all = [
            Change::All,
            Change::Delivery,
            Change::Executor,
            Change::Report,
            Change::Notice,
            Change::Run(RunId::from_i64(id)),
            Change::Attempt(AttemptId::from_i64(id)),
            Change::Log(JobId::from_i64(id)),
        ];
        let found = messages(7, &all.into_iter().map(word).collect());
        assert_eq!(found.len(), 1);
        let words = found[0].strip_prefix("7:").expect("who told it");
        let mut heard: Vec<_> = words.split(BETWEEN).filter_map(change).map(word).collect();
        heard.sort();
        assert_eq!(heard, all.into_iter().map(word).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn what_nobody_would_tell_is_passed_over() {
        for word in ["", "d1", "r", "rzz", "é", "*x", "r99999999999999999", "q", "r-"] {
            assert_eq!(change(word), None, "{word}");
        }
    }

    #[test]
    fn a_message_fits_and_too_many_say_everything() {
        let some: BTreeSet<_> = (0..2000).map(|id| word(Change::Run(RunId::from_i64(i64::MAX - id)))).collect();
        let told = messages(u64::MAX, &some);
        assert!(told.len() > 1 && told.iter().all(|message| message.len() < 8000));
        let many: BTreeSet<_> = (0..9000).map(|id| word(Change::Run(RunId::from_i64(i64::MAX - id)))).collect();
        assert_eq!(messages(7, &many), ["7:*"]);
    }
}
