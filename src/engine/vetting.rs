//! Runs of untrusted code: they wait until somebody with write access has looked at them, and nothing of them is placed,
//! or even fetched, before.
//!
//! An answer is for one commit and one flow file. New code makes a new run, which waits anew; the one before is
//! superseded, so that there is nothing left to approve.

use std::collections::BTreeSet;

use super::{
    Engine, EngineError, Result,
    comment::{Outcome, Said},
    draft::Vet,
};
use crate::{
    model::{
        Admission, Answer, DeliveryState, Event, ExternalId, FlowFrom, Grants, Order, Policy, Rerun, Role, RunId,
        RunUntrusted, Sha, Time, Trust, UntrustedPolicy,
    },
    store::{DeliveryRow, NewVetting, RunRow, StoreError, Tx, Vetting, VettingRow, Vote},
};

/// The most characters of what people say to an answer.
const NOTE: usize = 500;

/// Somebody's answer for a run. That they may write to the repository has been made sure of.
#[derive(Debug, Clone)]
pub struct Ballot {
    /// The commit that they have looked at.
    pub sha: Sha,
    /// The digest of the flow file that they have looked at; `None`: that of the run.
    pub flow: Option<String>,
    /// [`Answer::Approved`] or [`Answer::Rejected`].
    pub answer: Answer,
    /// The names of the secrets that the run gets.
    pub secrets: BTreeSet<String>,
    /// Who, and where they said so.
    pub by: String,
    /// What they say besides.
    pub note: String,
}

/// Why an answer is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Unvetted {
    /// Nothing of it waits for that.
    #[error("run #{0} does not wait for approval{1}")]
    NotWaiting(i64, String),
    /// There is other code.
    #[error("run #{number} is of commit {is}, and not of {looked}: look at it first")]
    Moved {
        /// Which run.
        number: i64,
        /// Its commit.
        is: String,
        /// The commit that was looked at.
        looked: String,
    },
    /// There is another flow file.
    #[error("the flow file of run #{0} is another one than you have looked at")]
    OtherFlow(i64),
    /// A note that is too long.
    #[error("a note has at most {NOTE} characters")]
    TooLong,
    /// Not their doing.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<StoreError> for Unvetted {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// Why a run of untrusted code waits; `None`: its code is trusted.
pub fn why(event: &Event) -> Option<String> {
    match &event.trust {
        Trust::Trusted => None,
        Trust::Untrusted(reason) => Some(format!("waits for approval: the code {reason}")),
    }
}

/// Whether nothing of a run may start yet.
pub(super) async fn is_held_back(tx: &mut Tx, run: &RunRow) -> Result<bool> {
    if run.event.trusted().is_some() {
        return Ok(false);
    }
    // an untrusted run without a row would be a bug of ours, and runs nothing
    Ok(tx.vetting(run.id).await?.is_none_or(|row| row.waits()))
}

/// The digest, and whose the file is, of the flow file that a repeated run is made of.
pub(super) struct Again<'a> {
    pub(super) of: &'a RunRow,
    pub(super) vet: Option<&'a Vet>,
}

impl Engine {
    /// A new run of untrusted code begins to wait, unless the repository's rule lets it go.
    pub(super) async fn begin_vetting(&self, tx: &mut Tx, run: RunId, vet: &Vet) -> Result<()> {
        let standing = match vet.admission {
            Admission::Runs => Vetting::Admitted,
            Admission::Waits | Admission::Refused => Vetting::Waits,
        };
        let new = NewVetting {
            run,
            standing,
            flow_digest: &vet.digest,
            flow_from: vet.flow,
            texts: (vet.base.as_deref(), vet.head.as_deref()),
            earlier: None,
            now: self.now(),
        };
        Ok(tx.insert_vetting(&new).await?)
    }

    /// A run that repeats one of untrusted code goes by that one's approval, if it is of the same flow file and nothing
    /// newer has come since; else it waits like any other.
    pub(super) async fn vet_again(&self, tx: &mut Tx, run: RunId, again: Again<'_>) -> Result<Vetting> {
        let of = again.of;
        let Some(row) = tx.vetting(of.id).await? else {
            return Err(EngineError::Broken(format!("run {} is untrusted, and nothing is known of it", of.id)));
        };
        let digest = again.vet.map_or(row.flow_digest.as_str(), |vet| vet.digest.as_str());
        let newest = tx.newest_sha_of_line(of.repository_id, &of.event.line()).await?;
        let is_same = digest == row.flow_digest && newest.is_none_or(|sha| sha == of.sha);
        let policy = self.policy_in(tx, of.repository_id, &of.event.repository).await?;
        let standing = match row.standing() {
            standing @ (Vetting::Approved | Vetting::Admitted) if is_same && still(standing, policy) => standing,
            Vetting::Approved | Vetting::Admitted | Vetting::Waits | Vetting::Rejected => Vetting::Waits,
        };
        let new = NewVetting {
            run,
            standing,
            flow_digest: digest,
            flow_from: again.vet.map_or_else(|| row.flow_from(), |vet| vet.flow),
            texts: (row.base_text.as_deref(), row.head_text.as_deref()),
            earlier: Some(&row).filter(|_| standing != Vetting::Waits),
            now: self.now(),
        };
        tx.insert_vetting(&new).await?;
        Ok(standing)
    }

    /// New code has come: what waits for an answer about the code before waits no longer, and what was approved of it is
    /// stopped where its flow would have it so. `new` are the runs that were made of the new code.
    pub(super) async fn outdate(&self, tx: &mut Tx, event: &Event, new: &[RunId], now: Time) -> Result<()> {
        let Some(pull) = event.pull_request() else { return Ok(()) };
        let Some(known) = tx.repository_named(event.repository.forge, &event.repository.name).await? else {
            return Ok(());
        };
        let first = match new.first() {
            Some(id) => Some(tx.run_number(*id).await?),
            None => None,
        };
        for id in tx.open_vettings(known.id, &event.line()).await? {
            let Some(run) = tx.run(id).await?.filter(|run| !new.contains(&run.id) && run.cancelled_by.is_none()) else {
                continue;
            };
            let waits = is_held_back(tx, &run).await?;
            let cancels = run.plan.as_ref().and_then(|plan| plan.concurrency.as_ref()).map(|one| one.policy);
            if !waits && cancels != Some(Policy::Cancel) {
                continue;
            }
            match first {
                Some(number) => tx.supersede_run(run.id, number).await?,
                None => {
                    let by = format!("the new code of pull request #{}", pull.number);
                    tx.cancel_run(run.id, &by).await?;
                }
            }
            self.settle(tx, run.id, now).await?;
        }
        Ok(())
    }

    /// Whether a delivery that came late tells of code before that of a run which is there already.
    pub(super) async fn is_outdated(&self, tx: &mut Tx, event: &Event) -> Result<bool> {
        let Some(known) = tx.repository_named(event.repository.forge, &event.repository.name).await? else {
            return Ok(false);
        };
        for id in tx.open_vettings(known.id, &event.line()).await? {
            if tx.run(id).await?.is_some_and(|run| event.precedes(&run.event)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes an answer for a run, and does what follows.
    ///
    /// # Errors
    /// [`Unvetted`].
    pub async fn vet(&self, run: RunId, ballot: &Ballot) -> Result<(), Unvetted> {
        let mut tx = self.store.write().await?;
        let run = tx.run(run).await?.ok_or_else(|| EngineError::Broken(format!("there is no run {run}")))?;
        self.vet_in(&mut tx, &run, ballot).await?;
        let what = format!("run #{} was {} at {}", run.number, ballot.answer.as_str(), run.sha.short());
        self.note(&mut tx, &what).await?;
        Ok(tx.commit().await?)
    }

    /// The same within a transaction.
    pub(super) async fn vet_in(&self, tx: &mut Tx, run: &RunRow, ballot: &Ballot) -> Result<(), Unvetted> {
        if ballot.note.chars().count() > NOTE {
            return Err(Unvetted::TooLong);
        }
        if ballot.sha != run.sha {
            let (is, looked) = (run.sha.short().to_owned(), ballot.sha.short().to_owned());
            return Err(Unvetted::Moved { number: run.number, is, looked });
        }
        let row = waiting(tx, run).await?;
        let rule = self.policy_in(tx, run.repository_id, &run.event.repository).await?;
        if rule.run == RunUntrusted::Never && ballot.answer == Answer::Approved {
            let why = ": the rule here is that such code is never run".to_owned();
            return Err(Unvetted::NotWaiting(run.number, why));
        }
        if ballot.flow.as_ref().is_some_and(|flow| *flow != row.flow_digest) {
            return Err(Unvetted::OtherFlow(run.number));
        }
        let now = self.now();
        let standing = if ballot.answer == Answer::Approved { Vetting::Approved } else { Vetting::Rejected };
        let vote = Vote { standing, secrets: &ballot.secrets, by: &ballot.by, note: ballot.note.trim(), now };
        tx.vote(run.id, &vote).await?;
        match tx.vetting(run.id).await?.and_then(|row| row.granted(&run.sha)) {
            Some(granted) => {
                let wants = run.wants.as_deref().cloned().unwrap_or_default();
                tx.grant_secrets(run.id, &Grants::approved(&wants, &granted)).await?;
            }
            None => tx.cancel_run(run.id, &ballot.by).await.map(drop)?,
        }
        self.settle(tx, run.id, now).await?;
        tracing::info!(run.id = %run.id, sha = %run.sha, answer = ballot.answer.as_str(), by = ballot.by, "untrusted code was answered for");
        Ok(())
    }

    /// What `/approve SHA` and `/reject SHA` come to where untrusted code waits; `None`: none does.
    pub(super) async fn vet_by_comment(
        &self,
        tx: &mut Tx,
        said: &Said,
        (order, answer): (&Order, Answer),
        runs: &[RunRow],
    ) -> Result<Option<Outcome>> {
        let mut waiting_runs = Vec::new();
        for run in runs {
            if waiting(tx, run).await.is_ok() {
                waiting_runs.push(run);
            }
        }
        let Some(first) = waiting_runs.first() else { return Ok(None) };
        if !said.may_write() {
            return Ok(Some(Err(format!("{} may not write to this repository", said.comment.author))));
        }
        let (word, note) = order.words.split_once(char::is_whitespace).unwrap_or((&order.words, ""));
        let others = tx.shas_of_line(first.repository_id, &first.event.line()).await?;
        if let Err(why) = names(word, first, &others, order.verb.as_str()) {
            return Ok(Some(Err(why)));
        }
        let ballot = Ballot {
            sha: first.sha.clone(),
            flow: None,
            answer,
            secrets: BTreeSet::new(),
            by: said.by(),
            note: note.trim().to_owned(),
        };
        let mut done = Vec::new();
        for run in waiting_runs {
            match self.vet_in(tx, run, &ballot).await {
                Ok(()) => done.push(format!("#{}", run.number)),
                Err(Unvetted::Engine(error)) => return Err(error),
                Err(why) => return Ok(Some(Err(why.to_string()))),
            }
        }
        let short = ballot.sha.short();
        let what = format!("{} {} {} at {short}", said.comment.author, answer.as_str(), done.join(", "));
        Ok(Some(Ok(what)))
    }

    /// What a forge's button "Approve" comes to, pressed by someone with this role.
    pub(super) async fn vet_by_button(
        &self,
        tx: &mut Tx,
        delivery: &DeliveryRow,
        rerun: &Rerun,
        role: Option<Role>,
    ) -> Result<DeliveryState> {
        let nothing = |reason: String| Ok(DeliveryState::Nothing { reason });
        if role < Some(Role::Writer) {
            return nothing(format!("{} may not write to {}", rerun.actor, rerun.repository.name));
        }
        let Some(run) = of_check(tx, rerun).await? else {
            return nothing(format!("there is no run of ours at commit {} to approve", rerun.sha.short()));
        };
        let ballot = Ballot {
            sha: rerun.sha.clone(),
            flow: None,
            answer: Answer::Approved,
            secrets: BTreeSet::new(),
            by: format!("{} (by the button at {})", rerun.actor, delivery.forge),
            note: String::new(),
        };
        match self.vet_in(tx, &run, &ballot).await {
            Ok(()) => {
                let what = format!("{} approved #{} at {}", rerun.actor, run.number, run.sha.short());
                Ok(DeliveryState::Obeyed { what })
            }
            Err(Unvetted::Engine(error)) => Err(error),
            Err(why) => nothing(why.to_string()),
        }
    }
}

/// Whether what let a run go still does, by the rule that holds now.
const fn still(standing: Vetting, policy: UntrustedPolicy) -> bool {
    match (policy.run, standing) {
        (RunUntrusted::Never, _) | (RunUntrusted::Approval, Vetting::Admitted) => false,
        (RunUntrusted::Approval | RunUntrusted::Contributors | RunUntrusted::Always, _) => true,
    }
}

/// The row of a run that waits for an answer.
async fn waiting(tx: &mut Tx, run: &RunRow) -> Result<VettingRow, Unvetted> {
    let not = |why: String| Unvetted::NotWaiting(run.number, why);
    let row = tx.vetting(run.id).await?.ok_or_else(|| not(": its code is trusted".to_owned()))?;
    let answered = || format!(": {} has {} it", row.answered_by, row.standing().as_str());
    match row.standing() {
        Vetting::Waits if run.state.conclusion().is_some() || run.cancelled_by.is_some() => {
            let newer = run.superseded_by.map(|number| format!(", for #{number} is of newer code"));
            Err(not(newer.unwrap_or_else(|| ": it is over".to_owned())))
        }
        Vetting::Waits => Ok(row),
        Vetting::Admitted => Err(not(": the repository's rule lets it run".to_owned())),
        Vetting::Approved | Vetting::Rejected => Err(not(answered())),
    }
}

/// Whether a word names just the commit that waits. Whoever makes commits can make several that begin alike, so a short
/// name counts only where no other commit of the pull request has it.
fn names(word: &str, run: &RunRow, others: &[Sha], verb: &str) -> std::result::Result<(), String> {
    let (sha, word) = (&run.sha, word.to_ascii_lowercase());
    let say = format!("`/{verb} {sha}`");
    if !super::comment::is_sha_like(&word) {
        let why = why(&run.event).unwrap_or_default();
        return Err(format!("#{} {why}. Say which commit you have looked at: {say}", run.number));
    }
    if !sha.as_str().starts_with(&word) {
        return Err(format!("the newest code here is {}, not {word}: look at it first, then write {say}", sha.short()));
    }
    if others.iter().any(|other| other != sha && other.as_str().starts_with(&word)) {
        return Err(format!("several commits of this pull request begin with {word}: write {say}"));
    }
    Ok(())
}

/// The run that speaks at a check of ours.
async fn of_check(tx: &mut Tx, rerun: &Rerun) -> Result<Option<RunRow>> {
    let id = rerun.external_id.as_ref().and_then(|id| id.parse::<ExternalId>().ok());
    let (Some(id), Some(known)) = (id, tx.repository_named(rerun.repository.forge, &rerun.repository.name).await?)
    else {
        return Ok(None);
    };
    // an id is only good for the repository and commit that it was made for
    Ok(tx.run(id.run).await?.filter(|run| run.repository_id == known.id && run.sha == rerun.sha))
}

/// Whose flow file a run of untrusted code is made of, in words.
pub(super) fn whose(row: &VettingRow) -> &'static str {
    let changed = row.base_text != row.head_text;
    match (row.flow_from(), changed) {
        (FlowFrom::Base, true) => {
            "The flow file is the base branch's; the pull request changes it, without effect here."
        }
        (FlowFrom::Base, false) => "The flow file is the base branch's.",
        (FlowFrom::Head, true) => "The flow file is the pull request's own, and **not** that of the base branch.",
        (FlowFrom::Head, false) => "The flow file is as in the base branch.",
    }
}
