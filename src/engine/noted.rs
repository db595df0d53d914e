//! What people change from their forge is written down like what they change here.

use super::{
    Engine, Result,
    rerun::{Newest, Pressed},
};
use crate::{
    model::{Button, Comment, Deed, DeliveryState, Order, Rerun},
    store::Tx,
};

impl Engine {
    /// An order of a comment, and what came of it.
    pub(super) async fn note_order(
        &self,
        tx: &mut Tx,
        (comment, order): (&Comment, &Order),
        outcome: &str,
    ) -> Result<()> {
        let of = &comment.place.repository;
        let deed = Deed {
            who: format!("{}/{}", of.forge, comment.author),
            way: format!("{} comment", of.forge.title()),
            from: String::new(),
            what: order.verb.as_str(),
            repository: tx.repository_named(of.forge, &of.name).await?.map(|row| row.id),
            target: format!("a comment on {}", of.name),
        };
        Ok(tx.note(&deed, outcome, self.now()).await?)
    }

    /// A button of a check, or the forge's own, and what came of it.
    pub(super) async fn note_button(&self, tx: &mut Tx, rerun: &Rerun, pressed: &Pressed) -> Result<()> {
        let outcome = match pressed {
            Pressed::Runs(runs) => format!("{} began", crate::model::Counted(*runs as u64, "run")),
            Pressed::Stopped(what) => what.clone(),
            Pressed::Nothing(why) => format!("refused: {why}"),
            // it is asked for again, and written down then
            Pressed::Later(_) => return Ok(()),
        };
        self.note_pressed(tx, rerun, &outcome).await
    }

    /// The same of one that asks for the newest flow file. What was asked for on a page was written down there.
    pub(super) async fn note_newest(&self, tx: &mut Tx, newest: &Newest, pressed: &Pressed) -> Result<()> {
        match &newest.button {
            Some(rerun) => self.note_button(tx, rerun, pressed).await,
            None => Ok(()),
        }
    }

    /// The button that approves, and what came of it.
    pub(super) async fn note_approval(&self, tx: &mut Tx, rerun: &Rerun, state: &DeliveryState) -> Result<()> {
        let outcome = match state {
            DeliveryState::Obeyed { what } => what.clone(),
            DeliveryState::Nothing { reason } => format!("refused: {reason}"),
            DeliveryState::Pending | DeliveryState::Started { .. } | DeliveryState::Unreadable { .. } => return Ok(()),
        };
        self.note_pressed(tx, rerun, &outcome).await
    }

    async fn note_pressed(&self, tx: &mut Tx, rerun: &Rerun, outcome: &str) -> Result<()> {
        let of = &rerun.repository;
        let deed = Deed {
            who: format!("{}/{}", of.forge, rerun.actor),
            way: way(rerun),
            from: String::new(),
            what: what(rerun.button),
            repository: tx.repository_named(of.forge, &of.name).await?.map(|row| row.id),
            target: format!("{} of {}", rerun.sha.short(), of.name),
        };
        Ok(tx.note(&deed, outcome, self.now()).await?)
    }
}

fn way(rerun: &Rerun) -> String {
    let forge = rerun.repository.forge.title();
    match (&rerun.external_id, rerun.button) {
        (Some(_), Some(_)) => format!("button of a {forge} check"),
        (Some(_), None) => format!("re-run of a {forge} check"),
        (None, Some(_)) => format!("{forge} merge queue"),
        (None, None) => format!("re-run of all {forge} checks"),
    }
}

const fn what(button: Option<Button>) -> &'static str {
    match button {
        Some(Button::Approve) => "approve",
        Some(Button::Cancel) => "cancel",
        Some(Button::Failed) => "run what failed again",
        Some(Button::Newest) => "run again by the newest flow file",
        Some(Button::Everything) | None => "run again",
    }
}
