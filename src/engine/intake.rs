//! A delivery becomes events, an event runs. All of it in one transaction: runs, stages, actions, wanted reports, and
//! the delivery handled; so a crash anywhere means that it is begun again, and nothing runs twice.

use std::{pin::pin, time::Duration};

use futures::{StreamExt, stream};
use tracing::Instrument as _;

use super::{
    Engine, EngineError, Result, Tells,
    circumstances::circumstances,
    comment::Said,
    draft::{Draft, Drafted, Drafts, draft_all, draft_started, of_this_name},
    notice,
    rerun::{self, ForgeOr, Newest, Pressed, Unwilling},
    start::{self, Failed, Kept},
    trust::judged,
    vetting,
};
use crate::{
    forge::{Forge, ForgeError, Moved, Reading},
    model::{
        Admission, Audience, Button, Closing, Conclusion, DeliveryId, DeliveryState, Diagnostic, Event, EventKind,
        Grants, RepositoryName, Role, RunState, Start, Trust, Visibility, backoff,
    },
    store::{DeliveryRow, NewRun, Tx},
};

/// How many deliveries are handled at once: most of the time of each is spent waiting for a forge.
const AT_ONCE: usize = 8;
/// How many are read from the database at once, and written at once at the most.
const BATCH: usize = 32;
/// When to look again whether a repository has room for more runs.
const FULL_PAUSE: Duration = Duration::from_secs(30);

/// What a delivery comes to, before it is written.
pub(super) struct Foreseen {
    /// Whose event it is, if its body says so.
    repository: Option<RepositoryName>,
    pub(super) outcome: Outcome,
    /// What a push's files say of other starts.
    kept: Option<Kept>,
    /// New code of a pull request: what waits for an answer about the code before waits no longer.
    moved: Option<Box<Event>>,
}

/// The ways that a delivery may go.
pub(super) enum Outcome {
    Nothing {
        reason: String,
    },
    Unreadable {
        reason: String,
    },
    Runs(Box<Event>, Drafts),
    Rerun(crate::model::Rerun),
    Newest(Box<Newest>),
    Said(Box<Said>),
    /// Somebody has pressed a forge's button "Approve", and may do that there.
    Vouched(Box<crate::model::Rerun>, Option<Role>),
    /// A pull request is open no longer.
    Closed(Box<Closing>),
    /// Who may see a repository, as its forge says now.
    Audience(Audience, Visibility),
    Postponed {
        after: Duration,
        trouble: String,
    },
}

impl Outcome {
    const fn is_runs(&self) -> bool {
        matches!(self, Self::Runs(..))
    }

    const fn is_postponed(&self) -> bool {
        matches!(self, Self::Postponed { .. })
    }

    /// A repository's hook and an App's may both tell of one event: it runs once. What becomes of the later telling,
    /// if that would start something.
    fn after(&self, twin: DeliveryId) -> Option<Self> {
        match self {
            Self::Runs(..) | Self::Rerun(_) | Self::Newest(_) | Self::Said(_) | Self::Vouched(..) | Self::Closed(_) => {
                let reason = format!("the same event came through another hook, as delivery {twin}");
                Some(Self::Nothing { reason })
            }
            Self::Nothing { .. } | Self::Unreadable { .. } | Self::Postponed { .. } | Self::Audience(..) => None,
        }
    }
}

impl Engine {
    /// Handles every delivery that is due, once. How many there were.
    ///
    /// # Errors
    /// If the database is away; a delivery that cannot be handled is postponed instead.
    pub async fn intake(&self) -> Result<usize> {
        let due = self.store.read().await?.due_deliveries(self.now(), BATCH as i64).await?;
        let count = due.len();
        let outcomes = stream::iter(due).map(async |delivery| {
            let span = tracing::info_span!("intake", delivery.id = %delivery.id, forge = %delivery.forge);
            (self.foresee(&delivery).instrument(span).await, delivery)
        });
        // a commit costs the disk's flush: what is known at the same moment shares one
        let mut known = pin!(outcomes.buffer_unordered(AT_ONCE).ready_chunks(BATCH));
        let mut written = Ok(());
        while let Some(together) = known.next().await {
            written = written.and(self.write_all(&together).await);
        }
        written.map(|()| count)
    }

    /// Writes outcomes in one transaction, or, if that fails, each in its own: none suffers from another.
    async fn write_all(&self, outcomes: &[(Foreseen, DeliveryRow)]) -> Result<()> {
        if outcomes.len() > 1 && self.write(outcomes).await.is_ok() {
            return Ok(());
        }
        let mut written = Ok(());
        for one in outcomes {
            if let Err(error) = self.write(std::slice::from_ref(one)).await {
                written = written.and(self.set_aside(&one.1, &error).await);
            }
        }
        written
    }

    /// What cannot be written is a bug of ours or a database in trouble: the delivery waits its turn behind others,
    /// longer each time, and its page says why.
    async fn set_aside(&self, delivery: &DeliveryRow, error: &EngineError) -> Result<()> {
        tracing::error!(delivery.id = %delivery.id, forge = %delivery.forge, %error, "delivery not written");
        let due = self.now().after(backoff(delivery.tries));
        let mut tx = self.store.write().await?;
        tx.delivery_postponed(delivery.id, due, "the server could not write what it came to; it tries again").await?;
        Ok(tx.commit().await?)
    }

    async fn write(&self, outcomes: &[(Foreseen, DeliveryRow)]) -> Result<()> {
        let moved: Vec<_> = outcomes.iter().map(|(_, delivery)| self.moved(delivery)).collect();
        let mut tx = self.store.write().await?;
        for ((Foreseen { repository, outcome, kept, moved: new_code }, delivery), moved) in outcomes.iter().zip(&moved)
        {
            if let Some(repository) = repository {
                tx.delivery_is_about(delivery.id, repository).await?;
            }
            let repeated = self.repeated(&mut tx, outcome, delivery, moved.as_ref()).await?;
            let outcome = repeated.as_ref().unwrap_or(outcome);
            self.write_one(&mut tx, outcome, delivery).await?;
            // of a repeated delivery, and of a replay, nothing is new
            if let (Some(event), None, Outcome::Nothing { .. }, None) = (new_code, &repeated, outcome, delivery.replays)
                && !self.is_outdated(&mut tx, event).await?
            {
                self.outdate(&mut tx, event, &[], self.now()).await?;
            }
            if start::EVENTS.contains(&delivery.event.as_str()) {
                tx.hurry_trigger(delivery.id, self.now()).await?;
            }
            if !outcome.is_postponed() {
                self.arrived(&mut tx, delivery, moved.as_ref()).await?;
                if let (Some(kept), None) = (kept, &repeated) {
                    self.keep_starters(&mut tx, kept).await?;
                }
            }
        }
        Ok(tx.commit().await?)
    }

    /// What becomes of a delivery instead, if its event has run already, or cannot run now.
    async fn repeated(
        &self,
        tx: &mut Tx,
        outcome: &Outcome,
        delivery: &DeliveryRow,
        moved: Option<&Moved>,
    ) -> Result<Option<Outcome>> {
        if let Some(twin) = tx.twin_of(delivery).await? {
            return Ok(outcome.after(twin));
        }
        if !outcome.is_runs() {
            return Ok(None);
        }
        match self.ran_already(tx, delivery, moved).await? {
            Some(reason) => Ok(Some(Outcome::Nothing { reason })),
            None => self.full(tx, outcome).await,
        }
    }

    /// What becomes of a delivery instead, if its repository has as many runs as it may: it waits, and is not lost.
    async fn full(&self, tx: &mut Tx, outcome: &Outcome) -> Result<Option<Outcome>> {
        let (Outcome::Runs(event, _), most) = (outcome, self.settings.queue_limit) else { return Ok(None) };
        let open = match tx.repository_named(event.repository.forge, &event.repository.name).await? {
            Some(known) => tx.open_runs_of(known.id).await?,
            None => 0,
        };
        if open < i64::from(most) {
            return Ok(None);
        }
        self.store.meters().limited("runs_of_repository");
        let trouble = format!("{} has {open} runs that have not ended, and may have {most}", event.repository.name);
        Ok(Some(Outcome::Postponed { after: FULL_PAUSE, trouble }))
    }

    async fn write_one(&self, tx: &mut Tx, outcome: &Outcome, delivery: &DeliveryRow) -> Result<()> {
        match outcome {
            Outcome::Nothing { reason } => {
                let state = DeliveryState::Nothing { reason: reason.clone() };
                Ok(tx.delivery_handled(delivery.id, &state).await?)
            }
            Outcome::Unreadable { reason } => {
                let state = DeliveryState::Unreadable { reason: reason.clone() };
                Ok(tx.delivery_handled(delivery.id, &state).await?)
            }
            Outcome::Runs(event, drafts) => self.write_runs(tx, delivery, event, &drafts.runs).await,
            Outcome::Rerun(rerun) => {
                let pressed = self.press(tx, delivery, rerun).await?;
                self.note_button(tx, rerun, &pressed).await?;
                self.write_pressed(tx, delivery, pressed).await
            }
            Outcome::Newest(newest) => {
                let pressed = match self.write_newest(tx, delivery.id, newest).await {
                    Ok(_) => Pressed::Runs(1),
                    Err(Unwilling::Refused(refusal)) => rerun::refused(&refusal),
                    Err(Unwilling::Engine(error)) => return Err(error),
                };
                self.note_newest(tx, newest, &pressed).await?;
                self.write_pressed(tx, delivery, pressed).await
            }
            Outcome::Said(said) => {
                let state = self.obey(tx, delivery, said).await?;
                Ok(tx.delivery_handled(delivery.id, &state).await?)
            }
            Outcome::Vouched(rerun, role) => {
                let state = self.vet_by_button(tx, delivery, rerun, *role).await?;
                self.note_approval(tx, rerun, &state).await?;
                Ok(tx.delivery_handled(delivery.id, &state).await?)
            }
            Outcome::Closed(closing) => {
                let state = self.close(tx, delivery, closing).await?;
                Ok(tx.delivery_handled(delivery.id, &state).await?)
            }
            Outcome::Audience(audience, now) => {
                let state = self.keep_audience(tx, delivery, (audience, *now)).await?;
                Ok(tx.delivery_handled(delivery.id, &state).await?)
            }
            Outcome::Postponed { after, trouble } => self.postpone(tx, delivery, *after, trouble).await,
        }
    }

    async fn write_pressed(&self, tx: &mut Tx, delivery: &DeliveryRow, pressed: Pressed) -> Result<()> {
        let state = match pressed {
            Pressed::Runs(runs) => DeliveryState::Started { runs },
            Pressed::Stopped(what) => DeliveryState::Obeyed { what },
            Pressed::Nothing(reason) => DeliveryState::Nothing { reason },
            Pressed::Later(trouble) => return self.postpone(tx, delivery, backoff(delivery.tries), &trouble).await,
        };
        Ok(tx.delivery_handled(delivery.id, &state).await?)
    }

    async fn postpone(&self, tx: &mut Tx, delivery: &DeliveryRow, after: Duration, trouble: &str) -> Result<()> {
        tracing::warn!(delivery.id = %delivery.id, forge = %delivery.forge, trouble, "delivery postponed");
        Ok(tx.delivery_postponed(delivery.id, self.now().after(after), trouble).await?)
    }

    /// What a delivery comes to. Reads the forge; writes nothing.
    pub(super) async fn foresee(&self, delivery: &DeliveryRow) -> Foreseen {
        let about_nobody = |outcome| Foreseen { repository: None, outcome, kept: None, moved: None };
        let Some(forge) = self.forges.get(&delivery.forge) else {
            let reason = format!("{} is no longer configured on this server", delivery.forge);
            return about_nobody(Outcome::Nothing { reason });
        };
        if delivery.event == rerun::EVENT {
            let gone = "this wish for a re-run cannot be read, or its run is gone";
            return about_nobody(newest(delivery, self.asked(delivery).await, gone));
        }
        if start::EVENTS.contains(&delivery.event.as_str()) {
            return self.foresee_start(forge.as_ref(), delivery).await;
        }
        match forge.read(&delivery.event, &delivery.body) {
            Ok(Reading::Event(event)) => {
                let repository = Some(event.repository.name.clone());
                match self.foresee_event(forge.as_ref(), event).await {
                    Ok((outcome, kept, moved)) => Foreseen { repository, outcome, kept, moved },
                    Err(failed) => {
                        Foreseen { repository, outcome: failed_outcome(delivery, failed), kept: None, moved: None }
                    }
                }
            }
            Ok(Reading::Rerun(rerun)) if rerun.button == Some(Button::Approve) => {
                let repository = Some(rerun.repository.name.clone());
                let outcome = match forge.role(&rerun.repository, &rerun.actor).await {
                    Ok(role) => Outcome::Vouched(Box::new(rerun), role),
                    Err(error) => postponed_or_refused(delivery, &error),
                };
                Foreseen { repository, outcome, kept: None, moved: None }
            }
            Ok(Reading::Rerun(rerun)) if rerun.button == Some(Button::Newest) => {
                let found = self.pressed_for_newest(&rerun).await;
                let outcome = newest(delivery, found, &rerun::unknown(&rerun));
                Foreseen { repository: Some(rerun.repository.name), outcome, kept: None, moved: None }
            }
            Ok(Reading::Rerun(rerun)) => Foreseen {
                repository: Some(rerun.repository.name.clone()),
                outcome: Outcome::Rerun(rerun),
                kept: None,
                moved: None,
            },
            Ok(Reading::Comment(comment)) => {
                let repository = Some(comment.place.repository.name.clone());
                let outcome = match forge.role(&comment.place.repository, &comment.author).await {
                    Ok(role) => Outcome::Said(Box::new(Said { comment, role })),
                    Err(error) => postponed_or_refused(delivery, &error),
                };
                Foreseen { repository, outcome, kept: None, moved: None }
            }
            Ok(Reading::Closed(closing)) => Foreseen {
                repository: Some(closing.repository.name.clone()),
                outcome: Outcome::Closed(Box::new(closing)),
                kept: None,
                moved: None,
            },
            Ok(Reading::Audience(audience)) => {
                let repository = Some(audience.repository.clone());
                let outcome = self.foresee_audience(forge.as_ref(), delivery, audience).await;
                Foreseen { repository, outcome, kept: None, moved: None }
            }
            Ok(Reading::Nothing(reason)) => about_nobody(Outcome::Nothing { reason }),
            Err(error) => about_nobody(Outcome::Unreadable { reason: error.to_string() }),
        }
    }

    /// Who may see a repository, of which the forge has told. What it does not show us any more, nobody need see.
    async fn foresee_audience(&self, forge: &dyn Forge, delivery: &DeliveryRow, audience: Audience) -> Outcome {
        if audience.told != Visibility::Public {
            return Outcome::Audience(audience, Visibility::Private);
        }
        let found = self.store.read().await;
        let found = match found {
            Ok(mut tx) => tx.repository_named(forge.kind(), &audience.repository).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(None) => Outcome::Nothing { reason: format!("nothing has happened in {} yet", audience.repository) },
            Ok(Some(known)) => match forge.visibility(&known.facts).await {
                Ok(Visibility::Public) => Outcome::Audience(audience, Visibility::Public),
                Ok(Visibility::Private | Visibility::Unknown) => Outcome::Audience(audience, Visibility::Private),
                Err(error) => postponed_or_refused(delivery, &error),
            },
            Err(error) => {
                Outcome::Postponed { after: backoff(delivery.tries), trouble: format!("the server: {error}") }
            }
        }
    }

    /// What a start of ours comes to.
    async fn foresee_start(&self, forge: &dyn Forge, delivery: &DeliveryRow) -> Foreseen {
        let Ok(start) = serde_json::from_slice::<Start>(&delivery.body) else {
            let reason = "this start cannot be read".to_owned();
            return Foreseen { repository: None, outcome: Outcome::Unreadable { reason }, kept: None, moved: None };
        };
        let outcome = self.draft_start(forge, &start).await;
        let outcome = outcome.unwrap_or_else(|failed| failed_outcome(delivery, failed));
        Foreseen { repository: Some(start.repository), outcome, kept: None, moved: None }
    }

    async fn draft_start(&self, forge: &dyn Forge, start: &Start) -> Result<Outcome, Failed> {
        let event = self.begun(forge, start).await?;
        let mut files = forge.flow_files(&event.repository, &event.sha).await?;
        files.retain(|file| start.path.as_ref().is_none_or(|path| *path == file.path));
        if let Some(flow) = &start.flow {
            files = of_this_name(files, &event, flow).map_err(Failed::Nothing)?;
        }
        let circumstances = circumstances(forge, &event, &files).await?;
        let drafts = draft_started(files, &event, &circumstances, self.executor.as_ref());
        if drafts.runs.is_empty() {
            let reasons: Vec<String> =
                drafts.unasked.iter().map(|file| format!("{}: {}", file.path, file.reason)).collect();
            let nowhere = || format!("commit {} has no such flow file", event.sha.short());
            return Err(Failed::Nothing(if reasons.is_empty() { nowhere() } else { reasons.join("; ") }));
        }
        Ok(Outcome::Runs(Box::new(event), drafts))
    }

    /// What an event comes to, what it says of starts, and itself if it is new code of a pull request.
    async fn foresee_event(
        &self,
        forge: &dyn Forge,
        event: Event,
    ) -> Result<(Outcome, Option<Kept>, Option<Box<Event>>), Failed> {
        let event = judged(forge, event).await?;
        let (draft, kept) = self.draft(forge, &event).await?;
        let moved = event.pull_request().is_some().then(|| Box::new(event.clone()));
        let outcome = match draft {
            Draft::Runs(drafts) => Outcome::Runs(Box::new(event), drafts),
            Draft::Nothing(reason) => Outcome::Nothing { reason },
        };
        Ok((outcome, kept, moved))
    }

    async fn draft(&self, forge: &dyn Forge, event: &Event) -> Result<(Draft, Option<Kept>), Failed> {
        if let Trust::Untrusted(reason) = &event.trust {
            return Ok((self.draft_untrusted(forge, event, reason).await?, None));
        }
        let files = forge.flow_files(&event.repository, &event.sha);
        let (files, pull) = futures::try_join!(files, open_pull_request(forge, event))?;
        let kept = Kept::of(event, &files);
        if let Some(number) = pull {
            let reason = format!("pull request #{number} is open from this branch: its run is the one");
            return Ok((Draft::Nothing(reason), kept));
        }
        if files.is_empty() {
            let sha = event.sha.short();
            let reason = format!("commit {sha} has neither .containerops.yml nor .containerops/*.yml");
            return Ok((Draft::Nothing(reason), kept));
        }
        let circumstances = circumstances(forge, event, &files).await?;
        Ok((draft_all(files, event, &circumstances, &self.settings.given, self.executor.as_ref()), kept))
    }

    async fn write_runs(&self, tx: &mut Tx, delivery: &DeliveryRow, event: &Event, drafts: &[Drafted]) -> Result<()> {
        let now = self.now();
        let repository = tx.repository_seen(&event.repository, now).await?;
        let outdated = self.is_outdated(tx, event).await?;
        let mut made = Vec::new();
        for draft in drafts {
            let vet = draft.vet.as_ref().filter(|_| draft.state == RunState::Queued);
            let waits = vet.filter(|vet| vet.admission != Admission::Runs).and_then(|_| vetting::why(event));
            let grants = event.trusted().map_or_else(Grants::none, |event| Grants::of(event, &draft.wants));
            let mailless = self.settings.tells == Tells::Webhooks;
            let unmailed = draft.plan.as_ref().filter(|_| mailless).and_then(notice::unmailed);
            let unfit = match draft.plan.as_ref().filter(|_| draft.state == RunState::Queued) {
                Some(plan) => self.unfit(tx, event, plan).await?,
                None => Vec::new(),
            };
            // what no quota will ever have ends before it begins
            let refused = unfit.first().map(|first| first.message.clone());
            let (plan, state, vet) = match refused {
                Some(_) => (None, RunState::Ended(Conclusion::Failure), None),
                None => (draft.plan.as_ref(), draft.state.clone(), vet),
            };
            let said = draft.diagnostics.iter().cloned();
            let diagnostics: Vec<Diagnostic> = unfit.into_iter().chain(said).chain(unmailed).collect();
            let new = NewRun {
                repository,
                delivery: Some(delivery.id),
                rerun_of: None,
                repeats: None,
                flow: &draft.flow,
                path: &draft.path,
                event,
                plan,
                wants: &draft.wants,
                grants: &grants,
                diagnostics: &diagnostics,
                state,
                reason: refused.as_ref().or(waits.as_ref()).unwrap_or(&draft.reason),
                pins: &std::collections::BTreeMap::new(),
                source: None,
                source_note: "",
                now,
            };
            let run = tx.insert_run(&new).await?;
            tracing::info!(run.id = %run, trace_id = run.trace(), repository = %event.repository.name, sha = %event.sha, flow = draft.flow, "run made");
            if let Some(vet) = vet {
                self.begin_vetting(tx, run, vet).await?;
            }
            if outdated && vet.is_some() {
                tx.cancel_run(run, "newer code, which was told of before").await?;
            } else if waits.is_some() && tx.is_closed_since(repository, &event.line(), delivery.id).await? {
                tx.cancel_run(run, "the end of its pull request, which was told of before").await?;
            }
            self.settle(tx, run, now).await?;
            made.push(run);
        }
        if !outdated && delivery.replays.is_none() {
            self.outdate(tx, event, &made, now).await?;
        }
        Ok(tx.delivery_handled(delivery.id, &DeliveryState::Started { runs: drafts.len() }).await?)
    }
}

/// What the newest flow file comes to; `gone` says why there is no run to repeat by it.
fn newest(delivery: &DeliveryRow, answer: Result<Option<Newest>, ForgeOr>, gone: &str) -> Outcome {
    match answer {
        Ok(Some(newest)) => Outcome::Newest(Box::new(newest)),
        Ok(None) => Outcome::Nothing { reason: gone.to_owned() },
        Err(ForgeOr::Forge(error)) => postponed_or_refused(delivery, &error),
        Err(ForgeOr::Ours(error)) => {
            Outcome::Postponed { after: backoff(delivery.tries), trouble: format!("the server: {error}") }
        }
    }
}

fn failed_outcome(delivery: &DeliveryRow, failed: Failed) -> Outcome {
    match failed {
        Failed::Nothing(reason) => Outcome::Nothing { reason },
        Failed::Forge(error) => postponed_or_refused(delivery, &error),
        Failed::Ours(error) => {
            Outcome::Postponed { after: backoff(delivery.tries), trouble: format!("the server: {error}") }
        }
    }
}

/// A refusal of the forge is final for what it was asked, unless it is about us: credentials may be mended.
fn postponed_or_refused(delivery: &DeliveryRow, error: &ForgeError) -> Outcome {
    match error {
        ForgeError::Refused { status, .. } if !matches!(status, 401 | 403) => {
            Outcome::Nothing { reason: error.to_string() }
        }
        ForgeError::Limited { after, .. } => Outcome::Postponed { after: *after, trouble: error.to_string() },
        ForgeError::Refused { .. } | ForgeError::Away { .. } => {
            Outcome::Postponed { after: backoff(delivery.tries), trouble: error.to_string() }
        }
    }
}

/// A push to a branch with an open pull request starts one run, the pull request's.
async fn open_pull_request(forge: &dyn Forge, event: &Event) -> Result<Option<u64>, ForgeError> {
    match &event.kind {
        EventKind::Push { branch } if *branch != event.repository.default_branch => {
            forge.open_pull_request(&event.repository, branch).await
        }
        EventKind::Push { .. }
        | EventKind::Tag { .. }
        | EventKind::PullRequest(_)
        | EventKind::MergeGroup { .. }
        | EventKind::Schedule { .. }
        | EventKind::Manual { .. }
        | EventKind::Flow { .. } => Ok(None),
    }
}
