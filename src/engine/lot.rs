//! Lots: what many ask for at the same moment is done in one transaction.
//!
//! A transaction costs a turn of the database's writer and a flush, whatever is in it, and what follows from a change in a
//! run costs a look at all of the run. So claims, ends and steps of driving that come together share both: each is done
//! in its turn, then every run in which something has changed is settled once, all is committed, and only then is
//! anybody answered. While one lot is under way the next one gathers, so whoever is alone does not wait for company.
//!
//! If anything of a lot fails, nothing of it has happened, and each is done by itself: nobody suffers for another.

use std::{
    panic::AssertUnwindSafe,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Engine, EngineError, Result};
use crate::store::{Tx, Wanted};

/// The most of one lot: whoever waits for the writer waits no longer than that takes.
const MOST: usize = 256;

/// What gathers for the next lot.
#[derive(Default)]
pub(super) struct Lots(Mutex<Gathered>);

#[derive(Default)]
struct Gathered {
    deeds: Vec<Box<dyn Deed>>,
    /// Somebody does lots just now, and looks here again.
    is_served: bool,
}

/// One of a lot, whatever it is. It may be done again, for only what was committed has happened.
trait Deed: Send {
    /// Does it within `tx`. False: it failed, and says so itself when it is answered.
    fn act<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, bool>;
    /// What it will ask for.
    fn wants(&self) -> &Wanted;
    /// Over when whoever asked has gone.
    fn asker(&self) -> &CancellationToken;
    /// Tells whoever asked what came of it, or that the database failed.
    fn answer(self: Box<Self>, failed: Option<EngineError>);
}

struct Asked<T, E, F> {
    wants: Wanted,
    deed: F,
    outcome: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
    asker: CancellationToken,
}

impl<T, E, F> Deed for Asked<T, E, F>
where
    T: Send + 'static,
    E: From<EngineError> + Send + 'static,
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
{
    fn act<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, bool> {
        let acting = (self.deed)(tx);
        let outcome = &mut self.outcome;
        async move { outcome.insert(acting.await).is_ok() }.boxed()
    }

    fn wants(&self) -> &Wanted {
        &self.wants
    }

    fn asker(&self) -> &CancellationToken {
        &self.asker
    }

    fn answer(self: Box<Self>, failed: Option<EngineError>) {
        let lost = || EngineError::Broken("it was not done".to_owned());
        let outcome = match (self.outcome, failed) {
            (Some(Err(own)), _) => Err(own),
            (Some(Ok(_)) | None, Some(failed)) => Err(failed.into()),
            (Some(done), None) => done,
            (None, None) => Err(lost().into()),
        };
        // whoever asked may have gone; what was done stays
        let _ = self.answer.send(outcome);
    }
}

impl Engine {
    /// Does something together with what others ask for at the same time, and returns when it is committed. It may be done
    /// more than once, of which one counts: ids are made before. What it wants is read for all together, and runs are
    /// settled behind it.
    pub(super) async fn in_lot<T, E, F>(&self, wants: Wanted, deed: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<EngineError> + Send + 'static,
        F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let asker = CancellationToken::new();
        let _goes = asker.clone().drop_guard();
        if self.lots.gather(Box::new(Asked { wants, deed, outcome: None, answer, asker })) {
            // a task of its own: whoever asked first may go before the others are answered
            tokio::spawn(self.clone().do_lots());
        }
        let lost = |_| EngineError::Broken("nobody has done it".to_owned()).into();
        answered.await.unwrap_or_else(|error| Err(lost(error)))
    }

    async fn do_lots(self) {
        while let Some(lot) = self.lots.take() {
            let askers: Vec<CancellationToken> = lot.iter().map(|deed| deed.asker().clone()).collect();
            let all_have_gone = async {
                for asker in &askers {
                    asker.cancelled().await;
                }
            };
            tokio::select! {
                biased;
                // as ever, what nobody waits for any more is taken back
                () = all_have_gone => {}
                // those of a lot that panics hear that nobody has done it
                _ = AssertUnwindSafe(self.do_lot(lot)).catch_unwind() => {}
            }
        }
    }

    async fn do_lot(&self, mut lot: Vec<Box<dyn Deed>>) {
        match self.try_lot(&mut lot).await {
            Ok(()) => lot.into_iter().for_each(|deed| deed.answer(None)),
            Err(failed) if lot.len() == 1 => {
                if let Some(deed) = lot.pop() {
                    deed.answer(failed.database());
                }
            }
            Err(_) => {
                for mut deed in lot.into_iter().filter(|deed| !deed.asker().is_cancelled()) {
                    let failed = self.try_lot(std::slice::from_mut(&mut deed)).await.err();
                    deed.answer(failed.and_then(Failed::database));
                }
            }
        }
    }

    async fn try_lot(&self, lot: &mut [Box<dyn Deed>]) -> Result<(), Failed> {
        let mut tx = self.store.write().await.map_err(EngineError::from)?;
        let wanted: Vec<&Wanted> = lot.iter().map(|deed| deed.wants()).collect();
        tx.foresee(&wanted).await.map_err(EngineError::from)?;
        tx.put_off_settling();
        for deed in lot {
            if !deed.act(&mut tx).await {
                return Err(Failed::Deed);
            }
        }
        let unsettled = tx.unsettled();
        self.settle_several(&mut tx, unsettled, self.now()).await?;
        Ok(tx.commit().await.map_err(EngineError::from)?)
    }
}

/// Why nothing of a lot has happened.
enum Failed {
    /// One of it could not be done, and knows why.
    Deed,
    /// All the rest.
    Database(EngineError),
}

impl Failed {
    fn database(self) -> Option<EngineError> {
        match self {
            Self::Deed => None,
            Self::Database(error) => Some(error),
        }
    }
}

impl From<EngineError> for Failed {
    fn from(error: EngineError) -> Self {
        Self::Database(error)
    }
}

impl Lots {
    /// True: nobody does lots just now, and whoever asks sees to it.
    fn gather(&self, deed: Box<dyn Deed>) -> bool {
        let mut gathered = self.lock();
        gathered.deeds.push(deed);
        !std::mem::replace(&mut gathered.is_served, true)
    }

    /// The next lot, first come first served; `None`: there is none, and nobody does lots any more.
    fn take(&self) -> Option<Vec<Box<dyn Deed>>> {
        let mut gathered = self.lock();
        let count = gathered.deeds.len().min(MOST);
        if count == 0 {
            gathered.is_served = false;
            return None;
        }
        Some(gathered.deeds.drain(..count).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
