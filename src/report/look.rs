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
        let events = self.store.read().await?.events_of(&look.rows).await?;
        let shown = look.forge.shown(&look.repository.facts, &look.sha, &events).await;
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
        let wanted = Wanted {
            repository: &self.repository.facts,
            sha: &row.sha,
            event: None,
            context: &row.context,
            report: &row.wanted,
        };
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
    let was_taken = row.is_acknowledged() && !row.is_in_doubt();
    let (is_shown, known) = match shown {
        None => (was_taken, row.known.clone()),
        Some(shown) => (shown.is_some_and(|shown| shown.is(expected)), shown.and_then(|shown| shown.known.clone())),
    };
    if is_shown {
        Finding::Shown { known }
    } else if was_taken && row.repairs >= REPAIRS {
        Finding::Fought
    } else if was_taken || row.is_in_doubt() {
        Finding::Missing { known, due: now }
    } else {
        Finding::Missing { known, due: row.due }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Conclusion, Context, Progress, Report, ReportId, RepositoryId, RunId},
        store::Json,
    };

    const NOW: Time = Time::from_millis(1_000_000);
    const DUE: Time = Time::from_millis(2_000_000);

    fn row(progress: Progress) -> ReportRow {
        let report = Report {
            progress,
            title: "1 action".to_owned(),
            summary: String::new(),
            url: String::new(),
            external_id: String::new(),
            started: None,
            ended: None,
            annotations: Vec::new(),
            buttons: Vec::new(),
        };
        ReportRow {
            id: ReportId::from_i64(1),
            repository_id: RepositoryId::from_i64(1),
            sha: "a".repeat(40).parse().expect("a sha"),
            context: Context("containerops/ci/push".to_owned()),
            generation: RunId::from_i64(1),
            rank: 0,
            wanted: Json(report),
            wanted_digest: "new".to_owned(),
            acknowledged: "new".to_owned(),
            told: None,
            known: Some("7".to_owned()),
            due: DUE,
            tries: 0,
            trouble: String::new(),
            wanted_at: NOW,
            told_at: None,
            calls: 1,
            called_at: None,
            doubt: 0,
            late_until: Time::from_millis(0),
            look_at: None,
            repairs: 0,
        }
    }

    fn shown(state: &str) -> Shown {
        Shown {
            context: Context("containerops/ci/push".to_owned()),
            known: Some("9".to_owned()),
            state: state.to_owned(),
            title: "1 action".to_owned(),
            url: String::new(),
            external_id: String::new(),
            summary: String::new(),
            annotations: 0,
        }
    }

    #[test]
    fn what_a_look_finds_decides_what_is_done() {
        let (right, wrong) = (shown("success"), shown("failure"));
        let (nine, seven) = (|| Some("9".to_owned()), || Some("7".to_owned()));
        let missing = |known, due| Finding::Missing { known, due };
        let taken = row(Progress::Done(Conclusion::Success));
        let untold = ReportRow { acknowledged: String::new(), ..taken.clone() };
        let doubtful = ReportRow { doubt: 1, ..taken.clone() };
        let fought = ReportRow { repairs: REPAIRS, ..taken.clone() };
        for (row, seen, finding) in [
            (&taken, Some(Some(&right)), Finding::Shown { known: nine() }),
            (&taken, Some(Some(&wrong)), missing(nine(), NOW)),
            (&taken, Some(None), missing(None, NOW)),
            (&taken, None, Finding::Shown { known: seven() }),
            (&fought, Some(Some(&wrong)), Finding::Fought),
            (&fought, Some(Some(&right)), Finding::Shown { known: nine() }),
            (&doubtful, Some(Some(&right)), Finding::Shown { known: nine() }),
            (&doubtful, Some(Some(&wrong)), missing(nine(), NOW)),
            (&doubtful, Some(None), missing(None, NOW)),
            (&doubtful, None, missing(seven(), NOW)),
            // what was refused keeps its pause, unless it is shown
            (&untold, Some(Some(&wrong)), missing(nine(), DUE)),
            (&untold, Some(Some(&right)), Finding::Shown { known: nine() }),
        ] {
            assert_eq!(judge(row, seen, &right, NOW), finding, "{seen:?}");
        }
    }

    #[test]
    fn a_last_word_is_read_back_once_and_whatever_may_come_late_until_it_cannot() {
        let last = row(Progress::Done(Conclusion::Success));
        let open = row(Progress::Running);
        let later = |seconds| NOW.after(Duration::from_secs(seconds));
        assert_eq!(next_look(&last, NOW, NOW), Some(later(300)));
        assert_eq!(next_look(&last, NOW, later(300)), None);
        assert_eq!(next_look(&open, NOW, NOW), None);
        let late = ReportRow { late_until: later(60), ..open };
        assert_eq!(
            [0, 30, 60].map(|after| next_look(&late, NOW, later(after))),
            [Some(later(30)), Some(later(60)), None]
        );
    }
}
