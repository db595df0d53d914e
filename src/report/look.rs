//! Reads back what a forge shows: where nobody knows what became of a call, where nothing was acknowledged for long,
//! and once some minutes after a last word, which somebody else may have written over.

use std::{sync::Arc, time::Duration};

use tokio::sync::OwnedSemaphorePermit;

use super::{Reporter, log, pause};
use crate::{
    forge::{Forge, ForgeError, Shown, Wanted},
    model::{Sha, Time},
    store::{Acknowledgement, Doubt, ReportRow, RepositoryRow, StoreError, Tx},
};

/// How long after its acknowledgement a last word is read back.
const LAST_WORD: Duration = Duration::from_secs(5 * 60);
/// While an earlier call may still be carried out, it is looked so often.
const LATE: Duration = Duration::from_secs(30);
/// What is still not told is read back again after so long.
const AGAIN: Duration = Duration::from_secs(10 * 60);
/// If a forge shows something else so often, somebody else wants it so.
const REPAIRS: i64 = 3;

/// A commit that is to be read back.
pub(super) struct Look {
    pub(super) forge: Arc<dyn Forge>,
    pub(super) account: String,
    pub(super) repository: RepositoryRow,
    pub(super) sha: Sha,
    pub(super) rows: Vec<ReportRow>,
    pub(super) _seat: OwnedSemaphorePermit,
}

/// What a look says of one report.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// It is shown.
    Shown { known: Option<String> },
    /// It is not, and is to be told at `due`.
    Missing { known: Option<String>, due: Time },
    /// It is not, and was told often enough.
    Fought,
}

impl Reporter {
    pub(super) async fn look(&self, look: &Look) -> Result<(), StoreError> {
        let shown = look.forge.shown(&look.repository.facts, &look.sha).await;
        let now = self.clock.now();
        let mut tx = self.store.write().await?;
        match shown {
            Ok(shown) => {
                for row in &look.rows {
                    look.settle(&mut tx, row, shown.as_deref(), now).await?;
                }
            }
            Err(error) => self.not_seen(&mut tx, look, &error, now).await?,
        }
        tx.commit().await
    }

    async fn not_seen(&self, tx: &mut Tx, look: &Look, error: &ForgeError, now: Time) -> Result<(), StoreError> {
        log("reports not read back", &look.account, error);
        if let ForgeError::Limited { after, .. } = error {
            let until = self.be_quiet(tx, &look.account, *after, now).await?;
            return tx.look_later(look.repository.id, &look.sha, Time::from_millis(i64::MAX), until).await;
        }
        for row in &look.rows {
            match error {
                ForgeError::Refused { .. } if row.is_in_doubt() => {
                    tx.found_different(row, row.known.as_deref(), now, now.after(AGAIN)).await?;
                }
                ForgeError::Refused { .. } => tx.look_no_more(row, &row.trouble).await?,
                ForgeError::Away { .. } | ForgeError::Limited { .. } if row.is_in_doubt() => {
                    let due = now.after(pause(row.id, row.tries));
                    tx.not_told(row, due, Doubt::Yes, &error.to_string()).await?;
                }
                // it is looked at again when this look's lease is over
                ForgeError::Away { .. } | ForgeError::Limited { .. } => {}
            }
        }
        Ok(())
    }
}

impl Look {
    async fn settle(&self, tx: &mut Tx, row: &ReportRow, shown: Option<&[Shown]>, now: Time) -> Result<(), StoreError> {
        let wanted =
            Wanted { repository: &self.repository.facts, sha: &row.sha, context: &row.context, report: &row.wanted };
        let expected = self.forge.expected(&wanted);
        let found = shown.map(|all| all.iter().find(|shown| shown.context == row.context));
        match judge(row, found, &expected, now) {
            Finding::Shown { known } => {
                let told_at = row.told_at.filter(|_| row.is_acknowledged() && !row.is_in_doubt()).unwrap_or(now);
                let look_at = next_look(row, told_at, now);
                tx.acknowledge(row, &Acknowledgement { known: known.as_deref(), told_at, look_at, now }).await
            }
            Finding::Missing { known, due } => {
                tracing::info!(report.id = %row.id, context = %row.context, "the forge does not show what it should");
                tx.found_different(row, known.as_deref(), due, due.max(now).after(AGAIN)).await
            }
            Finding::Fought => {
                let trouble = format!("the forge was told {} times, and shows something else again", REPAIRS + 1);
                tx.look_no_more(row, &trouble).await
            }
        }
    }
}

/// What follows from what is shown of a context: nothing, or this. `None`: it cannot be read, so the forge's word is
/// all there is. Pure.
fn judge(row: &ReportRow, shown: Option<Option<&Shown>>, expected: &Shown, now: Time) -> Finding {
    let Some(shown) = shown else {
        return match row.is_acknowledged() && !row.is_in_doubt() {
            true => Finding::Shown { known: row.known.clone() },
            false => Finding::Missing { known: row.known.clone(), due: row.due },
        };
    };
    let known = shown.and_then(|shown| shown.known.clone());
    if shown.is_some_and(|shown| shown.is(expected)) {
        return Finding::Shown { known };
    }
    if row.is_in_doubt() {
        return Finding::Missing { known, due: now };
    }
    match row.is_acknowledged() {
        true if row.repairs >= REPAIRS => Finding::Fought,
        true => Finding::Missing { known, due: now },
        false => Finding::Missing { known, due: row.due },
    }
}

/// When to read back what a forge took at `told_at`, if at all.
pub(super) fn next_look(row: &ReportRow, told_at: Time, now: Time) -> Option<Time> {
    let settled = told_at.after(LAST_WORD);
    if now < row.late_until {
        Some(now.after(LATE))
    } else {
        (row.wanted.progress.is_final() && settled > now).then_some(settled)
    }
}
