//! Stages that wait for people: what is asked, who answers, and how long a run does nothing else.
//!
//! A question is a row, made in the transaction that finds that its stage's turn has come; so it outlives every crash,
//! and whoever answers needs nobody to be awake but the database. The first answer counts.

use std::time::Duration;

use super::{
    Engine, EngineError, Result,
    advance::{Pause, Standing},
};
use crate::{
    model::{ActionState, Answer, Approver, Plan, Question, RunId, RunState, StagePlan, Time},
    store::{ApprovalRow, RunRow, StoreError, Tx},
};

/// The most characters of what people say to an answer.
const NOTE: usize = 500;
/// The most characters of who they say they are.
const NAME: usize = 64;

/// Someone's answer to a run's question.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Which stage; `None`: the only one that waits.
    pub stage: Option<String>,
    /// [`Answer::Approved`] or [`Answer::Rejected`].
    pub answer: Answer,
    /// Who.
    pub approver: Approver,
    /// What they say besides.
    pub note: String,
}

/// Why an answer is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// No stage of the run waits.
    #[error("nothing of this run waits for approval")]
    Nothing,
    /// That one does not.
    #[error("stage `{0}` does not wait for approval")]
    NotThis(String),
    /// Several do.
    #[error("several stages wait for approval: {0}; say which")]
    Which(String),
    /// It was answered otherwise.
    #[error("stage `{stage}` was {answer} by {by} already")]
    Over {
        /// Which stage.
        stage: String,
        /// How.
        answer: &'static str,
        /// By whom.
        by: String,
    },
    /// Somebody else's to answer.
    #[error("{name} is not among those who may answer: {by}")]
    NotYours {
        /// Who they say they are.
        name: String,
        /// Who may.
        by: String,
    },
    /// A name or a note that is too long.
    #[error("a name has at most {NAME} characters, and a note {NOTE}")]
    TooLong,
    /// Not their doing.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<StoreError> for Unanswered {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl Engine {
    /// Takes an answer, and does what follows. Whoever gives one that was given already changes nothing, and hears no
    /// error. The stage's name.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn answer_pause(&self, run: RunId, reply: &Reply) -> Result<String, Unanswered> {
        let mut tx = self.store.write().await?;
        let run = tx.run(run).await?.ok_or_else(|| EngineError::Broken(format!("there is no run {run}")))?;
        let stage = self.answer_in(&mut tx, &run, reply).await?;
        self.note(&mut tx, &format!("stage `{stage}` was {}", reply.answer.as_str())).await?;
        tx.commit().await?;
        Ok(stage)
    }

    /// The same within a transaction.
    pub(super) async fn answer_in(&self, tx: &mut Tx, run: &RunRow, reply: &Reply) -> Result<String, Unanswered> {
        if reply.note.chars().count() > NOTE || reply.approver.name.chars().count() > NAME {
            return Err(Unanswered::TooLong);
        }
        let now = self.now();
        let asked = tx.approvals(run.id).await?;
        let (row, stage) = meant(run, &asked, reply, now)?;
        if let Some(earlier) = &row.answer {
            return if earlier.0 == reply.answer { Ok(stage.name.clone()) } else { Err(over(row, stage)) };
        }
        let whom = stage.approval.as_ref();
        if let Some(approval) = whom.filter(|approval| !approval.takes(&reply.approver)) {
            return Err(Unanswered::NotYours { name: reply.approver.name.clone(), by: approval.whom() });
        }
        let by = reply.approver.to_string();
        tx.answer_approval(run.id, row.stage, reply.answer, &by, reply.note.trim(), now).await?;
        self.settle(tx, run.id, now).await?;
        let name = stage.name.clone();
        tracing::info!(run.id = %run.id, stage = name, answer = reply.answer.as_str(), by, "a question was answered");
        Ok(name)
    }

    /// What of a run waits, or has waited, for people.
    pub(super) async fn pauses(&self, tx: &mut Tx, run: &RunRow, plan: &Plan, now: Time) -> Result<Vec<Pause>> {
        if plan.stages.iter().all(|stage| stage.approval.is_none()) {
            return Ok(Vec::new());
        }
        Ok(tx.approvals(run.id).await?.iter().map(|row| pause(row, now)).collect())
    }

    /// Counts the time in which a started run does nothing but wait for people, and says what it waits for.
    pub(super) async fn note_pause(&self, tx: &mut Tx, run: &RunRow, now: Time) -> Result<()> {
        let questions = questions(tx, run).await?;
        if questions.is_empty() && run.paused_since.is_none() {
            return Ok(());
        }
        let under_way = |state: &ActionState| matches!(state, ActionState::Queued | ActionState::Running);
        let works = tx.actions(run.id).await?.iter().any(|action| under_way(&action.state.0));
        match (run.paused_since, questions.is_empty() || works) {
            (None, false) if run.started.is_some() => tx.run_pauses(run.id, now).await?,
            (Some(_), true) => tx.run_goes_on(run.id, run.paused_for(now)).await?,
            (None, _) | (Some(_), false) => {}
        }
        if run.state.0 == RunState::Running {
            let words = questions.first().map(|question| format!("waits {question}")).unwrap_or_default();
            tx.set_running_reason(run.id, &words).await?;
        }
        Ok(())
    }
}

impl RunRow {
    /// How long it did nothing but wait for people since its start.
    pub fn paused_for(&self, now: Time) -> Duration {
        let before = Duration::from_millis(self.paused.cast_unsigned());
        before + self.paused_since.map_or(Duration::ZERO, |since| now.since(since))
    }
}

/// What a run asks people just now.
pub(super) async fn questions(tx: &mut Tx, run: &RunRow) -> Result<Vec<Question>> {
    let asks = |plan: &Plan| plan.stages.iter().any(|stage| stage.approval.is_some());
    let Some(plan) = run.plan.0.as_ref().filter(|plan| asks(plan)) else { return Ok(Vec::new()) };
    if run.state.conclusion().is_some() {
        return Ok(Vec::new());
    }
    let rows = tx.approvals(run.id).await?;
    Ok(rows.iter().filter(|row| row.is_open()).filter_map(|row| question(plan, row)).collect())
}

fn question(plan: &Plan, row: &ApprovalRow) -> Option<Question> {
    let stage = plan.stages.get(usize::try_from(row.stage).ok()?)?;
    let approval = stage.approval.as_ref()?;
    Some(Question {
        stage: stage.name.clone(),
        by: approval.whom(),
        note: approval.note.clone(),
        expires: row.expires,
        until: minute(row.expires),
    })
}

/// A moment as forges and people are shown it.
pub fn minute(time: Time) -> String {
    let moment = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn pause(row: &ApprovalRow, now: Time) -> Pause {
    let note = if row.note.is_empty() { String::new() } else { format!(": {}", row.note) };
    let standing = match row.answer.as_ref().map(|answer| answer.0) {
        None if row.expires <= now => Standing::Late,
        None => Standing::Open,
        Some(Answer::Approved) => Standing::Approved,
        Some(Answer::Rejected) => Standing::Rejected(format!("rejected by {}{note}", row.answered_by)),
        Some(Answer::Expired) => Standing::Expired,
        Some(Answer::Withdrawn) => Standing::Withdrawn,
    };
    Pause { stage: usize::try_from(row.stage).unwrap_or(usize::MAX), standing }
}

/// The question that a reply is to.
fn meant<'a>(
    run: &'a RunRow,
    asked: &'a [ApprovalRow],
    reply: &Reply,
    now: Time,
) -> Result<(&'a ApprovalRow, &'a StagePlan), Unanswered> {
    let stage = |row: &ApprovalRow| run.plan.0.as_ref()?.stages.get(usize::try_from(row.stage).ok()?);
    let all = || asked.iter().filter_map(|row| Some((row, stage(row)?)));
    let is_open = |row: &ApprovalRow| row.is_open() && row.expires > now;
    if let Some(name) = &reply.stage {
        let found = all().find(|(row, stage)| stage.name == *name && (is_open(row) || row.answer.is_some()));
        return found.ok_or_else(|| Unanswered::NotThis(name.chars().take(NAME).collect()));
    }
    let open: Vec<_> = all().filter(|(row, _)| is_open(row)).collect();
    match (open.as_slice(), asked.len()) {
        ([one], _) => Ok(*one),
        // the same answer once more
        ([], 1) => all().find(|(row, _)| row.answer.is_some()).ok_or(Unanswered::Nothing),
        ([], _) => Err(Unanswered::Nothing),
        (several, _) => {
            Err(Unanswered::Which(several.iter().map(|(_, stage)| stage.name.as_str()).collect::<Vec<_>>().join(", ")))
        }
    }
}

fn over(row: &ApprovalRow, stage: &StagePlan) -> Unanswered {
    let answer = row.answer.as_ref().map_or("", |answer| answer.0.as_str());
    let by = if row.answered_by.is_empty() { "nobody".to_owned() } else { row.answered_by.clone() };
    Unanswered::Over { stage: stage.name.clone(), answer, by }
}
