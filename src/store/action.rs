//! Actions of runs, and who drives them.

use super::{Change, Json, Result, Tx, execute, meant, row, rows, run::column};
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
    /// Counts the claims: who holds an older number has lost it.
    pub fence: i64,
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
        rows!(self, ActionRow, "SELECT * FROM actions WHERE run_id = $1 ORDER BY stage, place", run)
    }

    /// One action.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError); also if there is none, for rows never go.
    pub async fn action(&mut self, id: ActionId) -> Result<ActionRow> {
        row!(self, ActionRow, "SELECT * FROM actions WHERE id = $1", id)?.ok_or_else(|| sqlx::Error::RowNotFound.into())
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
        let claimed = row!(
            self,
            ActionRow,
            "UPDATE actions SET lease_until = $3, due = $4, fence = fence + 1, holder = $5 \
             WHERE id = $1 AND phase IN ('queued', 'running') AND lease_until <= $2 RETURNING *",
            id,
            now,
            until,
            due,
            self.me,
        )?;
        self.count(Fact::Claimed(if claimed.is_some() { "taken" } else { "lost" }));
        Ok(claimed)
    }

    /// Errs unless the lease with this number still holds: what follows in the transaction is then nobody else's.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if someone else has claimed the action since.
    pub async fn hold_lease(&mut self, id: ActionId, fence: i64, until: Time) -> Result<()> {
        let met = execute!(self, "UPDATE actions SET lease_until = $3 WHERE id = $1 AND fence = $2", id, fence, until)?;
        if met == 0 {
            // whatever was to follow is not committed
            self.bell.meters().count(&Fact::Claimed("fenced"));
        }
        meant("a lease holds", 1, met)
    }

    /// Gives a lease back, if it is still held.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn release_action(&mut self, id: ActionId, fence: i64) -> Result<()> {
        execute!(self, "UPDATE actions SET lease_until = 0 WHERE id = $1 AND fence = $2", id, fence)?;
        Ok(())
    }

    /// Nobody need look at this action before `due`, unless something has hurried it since it was read.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn rest_action(&mut self, id: ActionId, read: Time, due: Time) -> Result<()> {
        execute!(self, "UPDATE actions SET due = $3 WHERE id = $1 AND due = $2", id, read, due)?;
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
        execute!(self, "UPDATE actions SET due = 0 WHERE id = $1", id)?;
        Ok(())
    }

    /// An action moved. An ended action stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Rows`](super::StoreError::Rows) if it has ended.
    pub async fn set_action_state(&mut self, id: ActionId, state: &ActionState, reason: &str, now: Time) -> Result<()> {
        let started = (*state == ActionState::Running).then_some(now);
        let ended = state.conclusion().map(|_| now);
        let met = execute!(
            self,
            "UPDATE actions SET phase = $2, state = $3, reason = $4, started = COALESCE(started, $5), ended = $6 \
             WHERE id = $1 AND phase <> 'ended'",
            id,
            state.phase(),
            Json(state),
            reason,
            started,
            ended,
        )?;
        meant("an action moves", 1, met)
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
