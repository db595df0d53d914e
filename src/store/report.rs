//! What forges are to be told: one row per (repository, commit, context). The row is wanted state and acknowledged
//! state; as long as they differ it is due.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Change, Json, On, Result, Tx, execute, postgres, row, rows};
use crate::model::{Context, Event, Headline, Rank, Report, ReportId, RepositoryId, RunId, Sha, Time};

/// A forge is told of states that are not the last so often at most, for each context; what changes in between becomes
/// one call.
pub(super) const PACE: Duration = Duration::from_secs(2);
/// What no forge has acknowledged for so long is read back.
pub(super) const LONG: Duration = Duration::from_secs(10 * 60);

/// What becomes of a row that is there: an older run does not overwrite a newer one's, and an equal state changes nothing.
macro_rules! unless_newer {
    () => {
        "ON CONFLICT (repository_id, sha, context) DO UPDATE SET generation = excluded.generation, \
         wanted = excluded.wanted, wanted_digest = excluded.wanted_digest, wanted_at = excluded.wanted_at, \
         rank = excluded.rank, final = excluded.final, repairs = 0, \
         look_at = CASE WHEN reports.doubt = 1 THEN reports.look_at ELSE excluded.look_at END, \
         tries = CASE WHEN reports.generation < excluded.generation THEN 0 ELSE reports.tries END, \
         due = CASE WHEN reports.doubt = 1 THEN reports.due \
             WHEN reports.generation < excluded.generation OR excluded.final > reports.final THEN excluded.due \
             WHEN reports.tries > 0 THEN reports.due \
             WHEN excluded.final = 0 AND reports.told_at + $12 > excluded.due THEN reports.told_at + $12 \
             ELSE excluded.due END \
         WHERE reports.generation <= excluded.generation AND reports.wanted_digest <> excluded.wanted_digest"
    };
}
pub(super) use unless_newer;

/// One context of one commit.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ReportRow {
    /// Ours.
    pub id: ReportId,
    /// Where.
    pub repository_id: RepositoryId,
    /// On which commit.
    pub sha: Sha,
    /// Under which name.
    pub context: Context,
    /// The run that speaks.
    pub generation: RunId,
    /// 0 for a run, 1 for an action.
    pub rank: i64,
    /// What the forge is to show.
    pub wanted: Json<Report>,
    /// Digest of `wanted`.
    pub wanted_digest: String,
    /// Digest of what the forge has taken; empty at first.
    pub acknowledged: String,
    /// What was acknowledged, in short.
    pub told: Option<Json<Headline>>,
    /// What the forge calls it.
    pub known: Option<String>,
    /// When the forge may be told again.
    pub due: Time,
    /// How often telling has failed since it last worked.
    pub tries: i64,
    /// What the forge said then.
    pub trouble: String,
    /// When the present state was first wanted.
    pub wanted_at: Time,
    /// When the forge took what it has.
    pub told_at: Option<Time>,
    /// How many calls were begun for it. An outcome counts only if no other call was begun since.
    pub calls: i64,
    /// When the call that is under way was begun.
    pub called_at: Option<Time>,
    /// 1 if nobody knows what became of the last call.
    pub doubt: i64,
    /// Until when a call that was given up may still be carried out.
    pub late_until: Time,
    /// When to read back what the forge shows.
    pub look_at: Option<Time>,
    /// How often the forge has shown something else than it had acknowledged.
    pub repairs: i64,
}

impl ReportRow {
    /// Whether the forge has taken what is wanted.
    pub fn is_acknowledged(&self) -> bool {
        self.acknowledged == self.wanted_digest
    }

    /// Whether nobody knows what became of the last call.
    pub const fn is_in_doubt(&self) -> bool {
        self.doubt != 0
    }
}

/// What a forge is to show now.
#[derive(Debug)]
pub struct NewReport<'a> {
    /// Where.
    pub repository: RepositoryId,
    /// On which commit.
    pub sha: &'a Sha,
    /// Under which name.
    pub context: &'a Context,
    /// The run that speaks.
    pub generation: RunId,
    /// Whether it is about the run itself.
    pub rank: Rank,
    /// What.
    pub report: &'a Report,
    /// Now.
    pub now: Time,
}

impl NewReport<'_> {
    pub(super) const fn rank(&self) -> i64 {
        match self.rank {
            Rank::Run => 0,
            Rank::Action => 1,
        }
    }
}

impl Tx {
    /// Wants a state shown. An older run does not overwrite a newer one's; an equal state changes nothing. The first
    /// state of a run and the last one are due at once, unless the forge is away; those between at their pace.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn want(&mut self, new: &NewReport<'_>) -> Result<()> {
        let met = execute!(
            self,
            concat!(
                "INSERT INTO reports (id, repository_id, sha, context, generation, wanted, wanted_digest, \
                 acknowledged, due, tries, trouble, wanted_at, rank, final, look_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8, 0, '', $8, $9, $10, $11) ",
                unless_newer!()
            ),
            ReportId::mint(new.now),
            new.repository,
            new.sha,
            new.context,
            new.generation,
            Json(new.report),
            digest(new.report),
            new.now,
            new.rank(),
            i64::from(new.report.progress.is_final()),
            new.now.after(LONG),
            millis(PACE),
        )?;
        if met == 1 {
            self.ring(Change::Report);
        }
        Ok(())
    }

    /// Wants several contexts of one commit shown, as [`Self::want`] does. Most of them are wanted already, and those
    /// cost nothing but a look.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn want_all(&mut self, news: &[NewReport<'_>]) -> Result<()> {
        let Some(first) = news.first() else { return Ok(()) };
        let wanted: Vec<(Context, String, RunId)> = rows!(
            self,
            (Context, String, RunId),
            "SELECT context, wanted_digest, generation FROM reports WHERE repository_id = $1 AND sha = $2",
            first.repository,
            first.sha,
        )?;
        let wanted: BTreeMap<&Context, (&String, RunId)> =
            wanted.iter().map(|(context, digest, generation)| (context, (digest, *generation))).collect();
        let is_new = |new: &&NewReport<'_>| {
            let stays = |(wanted, generation): &(&String, RunId)| {
                *generation > new.generation || **wanted == digest(new.report)
            };
            !wanted.get(new.context).is_some_and(stays)
        };
        // the last word on a context counts
        let last: BTreeMap<&Context, &NewReport<'_>> =
            news.iter().filter(is_new).map(|new| (new.context, new)).collect();
        let is_last = |new: &&NewReport<'_>| last.get(new.context).is_some_and(|last| std::ptr::eq(*last, *new));
        let news: Vec<&NewReport<'_>> = news.iter().filter(is_last).collect();
        self.want_each(&news).await
    }

    /// Wants each of these, of which no two have one context, shown.
    async fn want_each(&mut self, news: &[&NewReport<'_>]) -> Result<()> {
        if let (On::Postgres(on), [_, _, ..]) = (&mut self.on, news) {
            if postgres::want(on, news).await? > 0 {
                self.ring(Change::Report);
            }
            return Ok(());
        }
        for new in news {
            self.want(new).await?;
        }
        Ok(())
    }

    /// The reports on one commit, by context.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn reports(&mut self, repository: RepositoryId, sha: &Sha) -> Result<Vec<ReportRow>> {
        rows!(
            self,
            ReportRow,
            "SELECT * FROM reports WHERE repository_id = $1 AND sha = $2 ORDER BY context",
            repository,
            sha,
        )
    }

    /// What happened that a run is of.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn event_of(&mut self, run: RunId) -> Result<Option<Event>> {
        let found: Option<(Json<Event>,)> = row!(self, (Json<Event>,), "SELECT event FROM runs WHERE id = $1", run)?;
        Ok(found.map(|(event,)| event.0))
    }

    /// The same of the runs that speak by these reports, each once.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn events_of(&mut self, reports: &[ReportRow]) -> Result<Vec<Event>> {
        let runs: BTreeSet<RunId> = reports.iter().map(|report| report.generation).collect();
        let mut events = Vec::new();
        for run in runs {
            events.extend(self.event_of(run).await?);
        }
        Ok(events)
    }

    /// The commits of a repository that have reports and whose names begin so; at most `limit`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn reported_commits(&mut self, repository: RepositoryId, begin: &str, limit: i64) -> Result<Vec<Sha>> {
        // `g` comes after every hexadecimal digit
        let found: Vec<(Sha,)> = rows!(
            self,
            (Sha,),
            "SELECT DISTINCT sha FROM reports WHERE repository_id = $1 AND sha >= $2 AND sha < $3 ORDER BY sha LIMIT $4",
            repository,
            begin,
            format!("{begin}g"),
            limit,
        )?;
        Ok(found.into_iter().map(|(sha,)| sha).collect())
    }
}

pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn digest(report: &Report) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(serde_json::to_vec(report).unwrap_or_default()))
}
