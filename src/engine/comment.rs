//! Comments that tell us to do something: what they mean, who may say it, and the answer.
//!
//! An order is carried out in the transaction that handles its delivery, together with the row of the answer that is
//! owed for it; the forge is told afterwards, until it takes it. Who may only read is not answered at all: nobody can
//! make us write.

use std::time::Duration;

use futures::future::join_all;

use super::{
    Engine, Result,
    pause::{Reply, Unanswered, questions},
    rerun::Unwilling,
};
use crate::{
    forge::ForgeError,
    model::{
        Answer, Approver, Comment, Conclusion, DeliveryState, EventKind, FlowChoice, Order, Role, Thread, Verb, Via,
        What, Wish, backoff,
    },
    store::{DeliveryRow, ReplyRow, RunFilter, RunRow, Tx},
};

/// A pull request whose newest run is older than so many others of its repository is not found.
const LOOKED_AT: i64 = 1000;
/// How many answers are given at once.
const AT_ONCE: i64 = 8;
/// A forge that does not take an answer for about an hour never gets it.
const TRIES: i64 = 60;
/// Whoever has taken an answer gives it within this.
const LEASE: Duration = Duration::from_secs(120);
/// A word of so many hexadecimal digits names a commit.
const SHA_LIKE: std::ops::RangeInclusive<usize> = 7..=64;

/// A comment, and what the forge lets its author do.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) comment: Comment,
    pub(super) role: Option<Role>,
}

/// What an order came to: what was done, or why not.
pub(super) type Outcome = std::result::Result<String, String>;

impl Said {
    pub(super) fn may_write(&self) -> bool {
        self.role >= Some(Role::Writer)
    }

    pub(super) fn by(&self) -> String {
        self.approver().to_string()
    }

    fn approver(&self) -> Approver {
        Approver { name: self.comment.author.clone(), via: Via::Comment(self.role) }
    }
}

impl Engine {
    /// Does what a comment says.
    pub(super) async fn obey(&self, tx: &mut Tx, delivery: &DeliveryRow, said: &Said) -> Result<DeliveryState> {
        let runs = spoken_of(tx, &said.comment).await?;
        let (mut done, mut refused) = (Vec::new(), Vec::new());
        for order in &said.comment.orders {
            let outcome = self.carry_out(tx, delivery, said, order, &runs).await?;
            if outcome.is_ok() || said.may_write() {
                let words = outcome.clone().unwrap_or_else(|why| format!("refused: {why}"));
                self.note_order(tx, (&said.comment, order), &words).await?;
            }
            match outcome {
                Ok(what) => done.push(what),
                Err(why) => refused.push(format!("`/{}`: {why}", order.verb.as_str())),
            }
        }
        if !done.is_empty() || said.may_write() {
            tx.insert_reply(delivery.id, &said.comment.place, &refused.join("\n"), self.now()).await?;
        }
        Ok(match done.is_empty() {
            true => DeliveryState::Nothing { reason: refused.join("; ") },
            false => DeliveryState::Obeyed { what: done.into_iter().chain(refused).collect::<Vec<_>>().join("; ") },
        })
    }

    async fn carry_out(
        &self,
        tx: &mut Tx,
        delivery: &DeliveryRow,
        said: &Said,
        order: &Order,
        runs: &[RunRow],
    ) -> Result<Outcome> {
        if runs.is_empty() {
            return Ok(Err("there is no run of ours here".to_owned()));
        }
        match order.verb {
            Verb::Approve => self.answer_comment(tx, said, (order, Answer::Approved), runs).await,
            Verb::Reject => self.answer_comment(tx, said, (order, Answer::Rejected), runs).await,
            Verb::Test | Verb::Retest | Verb::Cancel | Verb::Skip if !said.may_write() => {
                Ok(Err(format!("{} may not write to this repository", said.comment.author)))
            }
            Verb::Test => self.test(tx, delivery, said, (order, runs)).await,
            Verb::Retest => self.retest(tx, delivery, said, runs).await,
            Verb::Cancel => self.cancel_in(tx, said, runs).await,
            Verb::Skip => self.skip(tx, delivery, said, (order, runs)).await,
        }
    }

    async fn answer_comment(
        &self,
        tx: &mut Tx,
        said: &Said,
        (order, answer): (&Order, Answer),
        runs: &[RunRow],
    ) -> Result<Outcome> {
        if let Some(vetted) = self.vet_by_comment(tx, said, (order, answer), runs).await? {
            return Ok(vetted);
        }
        let meant = match Meant::of(order, runs) {
            Ok(meant) => meant,
            Err(why) => return Ok(Err(why)),
        };
        let asking = match asking(tx, runs, meant.stage).await? {
            several if several.len() > 1 && meant.stage.is_none() => {
                let names: Vec<String> = several.iter().map(|run| format!("{} #{}", run.flow, run.number)).collect();
                return Ok(Err(format!("{} wait for approval: name the stage", names.join(" and "))));
            }
            none if none.is_empty() => runs.iter().take(1).collect(),
            some => some,
        };
        let reply = Reply {
            stage: meant.stage.map(str::to_owned),
            answer,
            approver: said.approver(),
            note: meant.note.to_owned(),
        };
        let mut done = Vec::new();
        for run in asking {
            match self.answer_in(tx, run, &reply).await {
                Ok(stage) => {
                    done.push(format!("{} {} `{stage}` of #{}", said.comment.author, answer.as_str(), run.number))
                }
                Err(Unanswered::Engine(error)) => return Err(error),
                Err(why) => return Ok(Err(why.to_string())),
            }
        }
        Ok(Ok(done.join("; ")))
    }

    /// Everything once more, or a stage of those runs that have it.
    async fn test(
        &self,
        tx: &mut Tx,
        delivery: &DeliveryRow,
        said: &Said,
        (order, runs): (&Order, &[RunRow]),
    ) -> Result<Outcome> {
        let stage = order.words.split_whitespace().next();
        let has = |run: &&RunRow| stage.is_none_or(|name| has_stage(run, name));
        let meant: Vec<&RunRow> = runs.iter().filter(has).collect();
        let Some(stage) = stage.map(str::to_owned).or_else(|| Some(String::new())).filter(|_| !meant.is_empty()) else {
            return Ok(Err(no_such_stage(runs, &order.words)));
        };
        let what = if stage.is_empty() { What::Everything } else { What::Stage(stage.clone()) };
        let wish = Wish { what, flow: FlowChoice::Same, by: said.by() };
        let words = if stage.is_empty() { "everything".to_owned() } else { format!("stage `{stage}`") };
        self.repeat_all(tx, delivery, &wish, (&meant, &words)).await
    }

    async fn retest(&self, tx: &mut Tx, delivery: &DeliveryRow, said: &Said, runs: &[RunRow]) -> Result<Outcome> {
        let wish = Wish { what: What::Failed, flow: FlowChoice::Same, by: said.by() };
        let good = |run: &&RunRow| !matches!(run.state.conclusion(), Some(Conclusion::Success | Conclusion::Skipped));
        let meant: Vec<&RunRow> = runs.iter().filter(good).collect();
        self.repeat_all(tx, delivery, &wish, (&meant, "what failed")).await
    }

    async fn repeat_all(
        &self,
        tx: &mut Tx,
        delivery: &DeliveryRow,
        wish: &Wish,
        (runs, what): (&[&RunRow], &str),
    ) -> Result<Outcome> {
        let (mut done, mut refused) = (Vec::new(), Vec::new());
        for run in runs {
            if run.state.conclusion().is_none() && wish.what == What::Everything {
                // two runs of the same code at once are nobody's wish
                refused.push(format!("run #{} still runs: `/cancel` it first", run.number));
                continue;
            }
            match self.repeat_same(tx, run, wish, Some(delivery.id)).await {
                Ok(_) => done.push(format!("{what} in #{} runs again", run.number)),
                Err(Unwilling::Refused(why)) => refused.push(why.to_string()),
                Err(Unwilling::Engine(error)) => return Err(error),
            }
        }
        Ok(match (done.is_empty(), refused.is_empty()) {
            (false, _) => Ok(done.join("; ")),
            (true, false) => Err(refused.join("; ")),
            (true, true) => Err("nothing has failed here".to_owned()),
        })
    }

    /// What has not succeeded is not needed: a branch's rule is set aside, so it takes who may set such rules.
    async fn skip(
        &self,
        tx: &mut Tx,
        delivery: &DeliveryRow,
        said: &Said,
        (order, runs): (&Order, &[RunRow]),
    ) -> Result<Outcome> {
        if said.role < Some(Role::Maintainer) {
            return Ok(Err(format!("{} does not maintain this repository", said.comment.author)));
        }
        let by = match order.words.as_str() {
            "" => said.by(),
            reason => format!("{}: {reason}", said.by()),
        };
        let mut done = Vec::new();
        let is_good = |end| matches!(end, Conclusion::Success | Conclusion::Warning | Conclusion::Skipped);
        for run in runs.iter().filter(|run| !run.state.conclusion().is_some_and(is_good)) {
            self.waive(tx, run, &by, delivery.id).await?;
            done.push(format!("#{} was skipped", run.number));
        }
        Ok(if done.is_empty() { Err("nothing is left to skip here".to_owned()) } else { Ok(done.join("; ")) })
    }

    async fn cancel_in(&self, tx: &mut Tx, said: &Said, runs: &[RunRow]) -> Result<Outcome> {
        let mut done = Vec::new();
        for run in runs {
            if tx.cancel_run(run.id, &said.by()).await? {
                self.settle(tx, run.id, self.now()).await?;
                done.push(format!("#{} was cancelled", run.number));
            }
        }
        Ok(if done.is_empty() { Err("nothing runs here".to_owned()) } else { Ok(done.join("; ")) })
    }

    /// Gives the answers that are due. How many there were.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn reply_to_comments(&self) -> Result<usize> {
        let due = self.claim_replies().await?;
        let given = join_all(due.iter().map(async |reply| (reply, self.give(reply).await))).await;
        for (reply, given) in given {
            let mut tx = self.store.write().await?;
            match given {
                Err(error) if reply.tries < TRIES && may_be_mended(&error) => {
                    tracing::warn!(delivery.id = %reply.delivery_id, %error, "comment not answered yet");
                    let pause =
                        if let ForgeError::Limited { after, .. } = error { after } else { backoff(reply.tries) };
                    tx.reply_later(reply.delivery_id, self.now().after(pause)).await?;
                }
                Err(error) => {
                    tracing::error!(delivery.id = %reply.delivery_id, %error, "comment never answered");
                    tx.reply_done(reply.delivery_id).await?;
                }
                Ok(()) => tx.reply_done(reply.delivery_id).await?,
            }
            tx.commit().await?;
        }
        Ok(due.len())
    }

    /// Before a forge hears anything it is written down that it may have.
    async fn claim_replies(&self) -> Result<Vec<ReplyRow>> {
        let due = self.store.read().await?.due_replies(self.now(), AT_ONCE).await?;
        if due.is_empty() {
            return Ok(due);
        }
        let mut tx = self.store.write().await?;
        let mut claimed = Vec::with_capacity(due.len());
        for reply in due {
            if tx.claim_reply(&reply, self.now().after(LEASE)).await? {
                claimed.push(reply);
            }
        }
        tx.commit().await?;
        Ok(claimed)
    }

    async fn give(&self, reply: &ReplyRow) -> std::result::Result<(), ForgeError> {
        let place = &reply.place.0;
        // a forge that is no longer configured needs no answer
        let Some(forge) = self.forges.get(&place.repository.forge) else { return Ok(()) };
        let mark = format!("<!-- containerops reply {} -->", reply.delivery_id);
        forge.reply(place, (&reply.words, &mark), reply.tries > 0).await
    }
}

/// A forge's no is final; whoever is away, or limits us, may come round.
const fn may_be_mended(error: &ForgeError) -> bool {
    match error {
        ForgeError::Away { .. } | ForgeError::Limited { .. } => true,
        ForgeError::Refused { .. } => false,
    }
}

/// The newest run of each flow for what a comment is about.
async fn spoken_of(tx: &mut Tx, comment: &Comment) -> Result<Vec<RunRow>> {
    let place = &comment.place;
    let Some(known) = tx.repository_named(place.repository.forge, &place.repository.name).await? else {
        return Ok(Vec::new());
    };
    let number = match &place.thread {
        Thread::Commit(sha) => return Ok(tx.newest_runs_of(known.id, sha).await?),
        Thread::PullRequest(number) => *number,
    };
    let is_its = |kind: &EventKind| matches!(kind, EventKind::PullRequest(pull) if pull.number == number);
    let filter = RunFilter { repository: Some(known.id), limit: LOOKED_AT, ..RunFilter::default() };
    let Some(newest) = tx.runs(&filter).await?.into_iter().find(|run| is_its(&run.event.kind)) else {
        return Ok(Vec::new());
    };
    let runs = tx.newest_runs_of(known.id, &newest.sha).await?;
    Ok(runs.into_iter().filter(|run| is_its(&run.event.kind)).collect())
}

/// What the words behind `/approve` and `/reject` mean.
struct Meant<'a> {
    stage: Option<&'a str>,
    note: &'a str,
}

impl<'a> Meant<'a> {
    /// The first word may name a stage, or the commit that was looked at; the rest is a note.
    fn of(order: &'a Order, runs: &[RunRow]) -> std::result::Result<Self, String> {
        let words = order.words.as_str();
        let (first, rest) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
        let mut plans = runs.iter().filter_map(|run| run.plan.0.as_ref());
        if plans.any(|plan| plan.stages.iter().any(|stage| stage.name == first)) {
            return Ok(Self { stage: Some(first), note: rest.trim() });
        }
        if !is_sha_like(first) {
            return Ok(Self { stage: None, note: words });
        }
        let first_lower = first.to_ascii_lowercase();
        match runs.iter().find(|run| !run.sha.as_str().starts_with(&first_lower)) {
            Some(run) => Err(format!("the newest code here is {}, not {first}: look at it first", run.sha.short())),
            None => Ok(Self { stage: None, note: rest.trim() }),
        }
    }
}

pub(super) fn is_sha_like(word: &str) -> bool {
    SHA_LIKE.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn has_stage(run: &RunRow, name: &str) -> bool {
    run.plan.0.as_ref().is_some_and(|plan| plan.stages.iter().any(|stage| stage.name == name))
}

/// Says which stages there are.
fn no_such_stage(runs: &[RunRow], asked: &str) -> String {
    let plans = runs.iter().filter_map(|run| run.plan.0.as_ref());
    let mut names: Vec<&str> = plans.flat_map(|plan| plan.stages.iter().map(|stage| stage.name.as_str())).collect();
    names.sort_unstable();
    names.dedup();
    let asked: String = asked.chars().filter(|c| !matches!(c, '`' | '@' | '<')).take(60).collect();
    format!("no stage here is named `{asked}`; there are: {}", names.join(", "))
}

/// The runs that ask people something, or something about this stage.
async fn asking<'a>(tx: &mut Tx, runs: &'a [RunRow], stage: Option<&str>) -> Result<Vec<&'a RunRow>> {
    let mut asking = Vec::new();
    for run in runs {
        let asked = questions(tx, run).await?;
        if asked.iter().any(|question| stage.is_none_or(|stage| question.stage == stage)) {
            asking.push(run);
        }
    }
    Ok(asking)
}
