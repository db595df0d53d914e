//! What people change from their forge is written down like what they change here.

use super::{Engine, Result, rerun::Pressed};
use crate::{
    model::{Comment, Deed, Order, RepositoryId, Rerun},
    store::Tx,
};

impl Engine {
    /// An order of a comment, and what came of it.
    pub(super) async fn note_order(
        &self,
        tx: &mut Tx,
        (comment, order): (&Comment, &Order),
        repository: Option<RepositoryId>,
        outcome: &str,
    ) -> Result<()> {
        let of = &comment.place.repository;
        let deed = Deed {
            who: format!("{}/{}", of.forge, comment.author),
            way: "comment".to_owned(),
            from: String::new(),
            what: order.verb.as_str(),
            repository,
            target: format!("a comment on {}", of.name),
        };
        Ok(tx.note(&deed, outcome, self.now()).await?)
    }

    /// A button of a check, and what came of it.
    pub(super) async fn note_button(&self, tx: &mut Tx, rerun: &Rerun, pressed: &Pressed) -> Result<()> {
        let of = &rerun.repository;
        let outcome = match pressed {
            Pressed::Runs(runs) => format!("{} began", crate::model::Counted(*runs as u64, "run")),
            Pressed::Stopped(what) => what.clone(),
            Pressed::Nothing(why) => format!("refused: {why}"),
            // it is asked for again, and written down then
            Pressed::Later(_) => return Ok(()),
        };
        let deed = Deed {
            who: format!("{}/{}", of.forge, rerun.actor),
            way: "button of a check".to_owned(),
            from: String::new(),
            what: "run again",
            repository: tx.repository_named(of.forge, &of.name).await?.map(|row| row.id),
            target: format!("{} of {}", rerun.sha.short(), of.name),
        };
        Ok(tx.note(&deed, &outcome, self.now()).await?)
    }
}
