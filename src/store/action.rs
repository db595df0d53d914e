//! Actions of runs, and who drives them.

use super::{
    Change, Json, On, Result, StoreError, Tx, execute,
    known::{Column, Kept, fetch, json, words},
    meant, postgres, rows,
    run::column,
};
use crate::meters::Fact;
use crate::model::{ActionId, ActionState, Conclusion, Need, Plan, RunId, Time};

/// An action of a run.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ActionRow {
    /// Ours.
    pub id: ActionId,
    /// Whose.
    pub run_id: RunId,
    /// Its stage's place in the plan.
    pub stage: i64,
    /// Its own place in the stage.
    pub place: i64,
    /// How far it is.
    pub state: Json<ActionState>,
    /// Why it waits, or how it ended, in words.
    pub reason: String,
    /// Who wants it stopped.
    pub cancelled_by: Option<String>,
    /// How many attempts were begun.
    pub attempts: i64,
    /// When someone should look at it again.
    pub due: Time,
    /// Until when whoever has claimed it drives it.
    pub lease_until: Time,
    /// Counts the claims: who holds an older number has lost it.
    pub fence: i64,
    /// Which process has claimed it.
    pub holder: i64,
    /// Since when it waits for its next attempt.
    pub queued: Option<Time>,
    /// When its first job started.
    pub started: Option<Time>,
    /// When no attempt would follow.
    pub ended: Option<Time>,
    /// The action of an earlier run whose end, outputs and logs stand here.
    pub carried_from: Option<ActionId>,
    /// When it was its turn to use what its quotas grant; `None`: it waits for that.
    pub admitted: Option<Time>,
    /// Whether it was told to wait for that; its reason says for what.
    pub held: Option<i64>,
}

/// An action that wants a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct DueAction {
    /// Which.
    pub id: ActionId,
    /// How many attempts were begun.
    pub attempts: i64,
}

impl Kept for ActionRow {
    type Id = ActionId;
    type Above = RunId;

    const TABLE: &'static str = "actions";
    const COLUMNS: &'static [Column<Self>] = &[
        Column::number("id", |row| Some(row.id.as_i64())),
        Column::text("phase", |row| words(row.state.phase())),
        Column::text("state", |row| json(&row.state.0)),
        Column::text("reason", |row| words(&row.reason)),
        Column::text("cancelled_by", |row| Ok(row.cancelled_by.clone())),
        Column::number("attempts", |row| Some(row.attempts)),
        Column::number("due", |row| Some(row.due.as_millis())),
        Column::number("lease_until", |row| Some(row.lease_until.as_millis())),
        Column::number("fence", |row| Some(row.fence)),
        Column::number("holder", |row| Some(row.holder)),
        Column::number("started", |row| row.started.map(Time::as_millis)),
        Column::number("ended", |row| row.ended.map(Time::as_millis)),
    ];

    fn id(&self) -> ActionId {
        self.id
    }

    fn above(&self) -> RunId {
        self.run_id
    }
}

impl ActionRow {
    /// The action whose attempts are this one's: itself, unless it was carried over.
    pub fn origin(&self) -> ActionId {
        self.carried_from.unwrap_or(self.id)
    }
}

impl Tx {
    /// Makes the rows of a run's actions.
    pub(super) async fn insert_actions(&mut self, run: RunId, plan: Option<&Plan>, now: Time) -> Result<()> {
        let stages = plan.map_or(&[][..], |plan| &plan.stages);
        for (stage, stage_plan) in stages.iter().enumerate() {
            for (place, action) in stage_plan.actions.iter().enumerate() {
                let need = Need::of(action);
                execute!(
                    self,
                    "INSERT INTO actions (id, run_id, stage, place, phase, state, reason, attempts, due, lease_until, \
                     fence, places, cpu, memory) VALUES ($1, $2, $3, $4, $5, $6, '', 0, 0, 0, 0, $7, $8, $9)",
                    ActionId::mint(now),
                    run,
                    column(stage),
                    column(place),
                    ActionState::Waiting.phase(),
                    Json(ActionState::Waiting),
                    need.actions,
                    need.cpu,
                    need.memory,
                )?;
            }
        }
        Ok(())
    }

    /// The same for a run of which nothing is to run, for this reason.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn insert_waived_actions(&mut self, run: RunId, plan: &Plan, reason: &str, now: Time) -> Result<()> {
        self.insert_actions(run, Some(plan), now).await?;
        let skipped = ActionState::Ended(Conclusion::Skipped);
        execute!(
            self,
            "UPDATE actions SET phase = $2, state = $3, reason = $4, ended = $5 WHERE run_id = $1",
            run,
            skipped.phase(),
            Json(&skipped),
            reason,
            now,
        )?;
        Ok(())
    }

    /// A run's actions, in the plan's order.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn actions(&mut self, run: RunId) -> Result<Vec<ActionRow>> {
        if let Some(known) = self.known.actions.of(run) {
            return Ok(known);
        }
        let sql = "SELECT * FROM actions WHERE run_id = $1 ORDER BY stage, place";
        let found: Vec<ActionRow> = fetch(&mut self.on, sql, run).await?;
        Ok(self.known.all(run, found, |known| &mut known.actions))
    }

    /// One action.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError); also if there is none, for rows never go.
    pub async fn action(&mut self, id: ActionId) -> Result<ActionRow> {
        if let Some(known) = self.known.actions.get(id) {
            return Ok(known.clone());
        }
        let found: Vec<ActionRow> = fetch(&mut self.on, "SELECT * FROM actions WHERE id = $1", id).await?;
        let found = self.known.one(found, |known| &mut known.actions);
        found.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// Actions that want a driver now and have none.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn due_actions(&mut self, now: Time, limit: i64) -> Result<Vec<DueAction>> {
        rows!(
            self,
            DueAction,
            "SELECT id, attempts FROM actions WHERE phase IN ('queued', 'running') \
             AND (admitted IS NOT NULL OR cancelled_by IS NOT NULL OR phase = 'running') \
             AND due <= $1 AND lease_until <= $1 ORDER BY due, id LIMIT $2",
            now,
            limit,
        )
    }

    /// Takes the lease of an action until `until`. `None`: someone else has it, or it wants none. The action is looked
    /// at again at `due`, unless what happens under the lease says otherwise.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn claim_action(&mut self, id: ActionId, now: Time, until: Time, due: Time) -> Result<Option<ActionRow>> {
        let action = self.action(id).await?;
        let is_open = matches!(action.state.0, ActionState::Queued | ActionState::Running);
        let wants_a_driver = is_open && action.lease_until <= now;
        self.count(Fact::Claimed(if wants_a_driver { "taken" } else { "lost" }));
        if !wants_a_driver {
            return Ok(None);
        }
        let me = self.me;
        let action = self.change_action(id).await?;
        (action.lease_until, action.due, action.holder) = (until, due, me);
        action.fence += 1;
        Ok(Some(action.clone()))
    }

    /// Errs unless the lease with this number still holds: what follows in the transaction is then nobody else's.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if someone else has claimed the action since.
    pub async fn hold_lease(&mut self, id: ActionId, fence: i64, until: Time) -> Result<()> {
        if self.action(id).await?.fence != fence {
            // whatever was to follow is not committed
            self.bell.meters().count(&Fact::Claimed("fenced"));
            return meant("a lease holds", 1, 0);
        }
        self.change_action(id).await?.lease_until = until;
        Ok(())
    }

    /// Gives a lease back, if it is still held.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn release_action(&mut self, id: ActionId, fence: i64) -> Result<()> {
        if self.action(id).await?.fence == fence {
            self.change_action(id).await?.lease_until = Time::from_millis(0);
        }
        Ok(())
    }

    /// Nobody need look at these actions before their new time, unless something has hurried one since it was read.
    /// Each comes with when it was due as it was read, and when it is from now on.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn rest_actions(&mut self, resting: &[(ActionId, Time, Time)]) -> Result<()> {
        self.about("UPDATE actions").await?;
        if let On::Postgres(on) = &mut self.on {
            return postgres::rest_actions(on, resting).await;
        }
        for (id, read, due) in resting.iter().copied() {
            execute!(self, "UPDATE actions SET due = $3 WHERE id = $1 AND due = $2", id, read, due)?;
        }
        Ok(())
    }

    /// Whoever holds the lease need not look again before `due`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn postpone_action(&mut self, id: ActionId, fence: i64, due: Time) -> Result<()> {
        execute!(self, "UPDATE actions SET due = $3 WHERE id = $1 AND fence = $2 AND due > 0", id, fence, due)?;
        Ok(())
    }

    /// Whoever drives this action should look now.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn hurry_action(&mut self, id: ActionId) -> Result<()> {
        self.change_action(id).await?.due = Time::from_millis(0);
        Ok(())
    }

    /// An action moved. An ended action stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if it has ended.
    pub async fn set_action_state(&mut self, id: ActionId, state: &ActionState, reason: &str, now: Time) -> Result<()> {
        let action = self.open_action(id, "an action moves").await?;
        reason.clone_into(&mut action.reason);
        if *state == ActionState::Running {
            action.started = action.started.or(Some(now));
        }
        action.ended = state.conclusion().map(|_| now);
        action.state = Json(state.clone());
        Ok(())
    }

    /// An action that has not ended, and is about to change.
    async fn open_action(&mut self, id: ActionId, what: &'static str) -> Result<&mut ActionRow> {
        if self.action(id).await?.state.conclusion().is_some() {
            return Err(StoreError::Rows { what, meant: 1, met: 0 });
        }
        self.change_action(id).await
    }

    /// Says why an action waits, without moving it.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn set_action_reason(&mut self, action: &ActionRow, reason: &str) -> Result<()> {
        if action.reason != reason {
            execute!(self, "UPDATE actions SET reason = $2 WHERE id = $1 AND phase <> 'ended'", action.id, reason)?;
            self.ring(Change::Run(action.run_id));
        }
        Ok(())
    }

    /// Someone wants a running action stopped. The first one's name is kept.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn cancel_action(&mut self, id: ActionId, by: &str) -> Result<()> {
        execute!(
            self,
            "UPDATE actions SET cancelled_by = $2, due = 0 WHERE id = $1 AND phase <> 'ended' \
             AND cancelled_by IS NULL",
            id,
            by,
        )?;
        Ok(())
    }

    /// An action that will be attempted, or attempted again: queued from now on, with its next attempt not before `due`.
    /// Where there are quotas it waits for its turn.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn requeue_action(&mut self, id: ActionId, due: Time, reason: &str, now: Time) -> Result<()> {
        let met = execute!(
            self,
            "UPDATE actions SET phase = $2, state = $3, reason = $4, due = $5, queued = $6, held = NULL, admitted = \
             CASE WHEN places = 0 OR NOT EXISTS (SELECT 1 FROM quotas) THEN CAST($6 AS BIGINT) END WHERE id = $1 AND phase <> 'ended'",
            id,
            ActionState::Queued.phase(),
            Json(ActionState::Queued),
            reason,
            due,
            now,
        )?;
        meant("an action is tried again", 1, met)
    }
}
