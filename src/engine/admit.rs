//! Lets waiting actions start, as [`share`](super::share) decides. It is decided once more in the transaction that writes
//! it down, so however many servers there are, no place is given away twice; and what it decides is computed of rows
//! alone, so whoever dies, nobody is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};

use super::{
    Engine, Result,
    share::{BEGUN, Candidate, Fate, Lack, Seen, Tenant, share},
};
use crate::{
    model::{
        ActionId, AttemptId, ForgeKind, Month, Need, Quota, QuotaScope, RepositoryId, RepositoryName, RunId, Time,
        Verdict,
    },
    store::{Change, Tx, WaitingRow},
};

/// So many of each repository, and in all, are looked at in one go: more could hardly start at once.
const OF_EACH: i64 = 200;
const IN_ALL: i64 = 5000;
/// So many start, or end, in one transaction: others want to write, too.
const AT_ONCE: usize = 250;
/// So many are told in one transaction what they wait for, each with what its forge is told.
const TOLD_AT_ONCE: usize = 50;
/// After so long what was used lately counts half.
const FADES: f64 = 1_800_000.0;

/// What is to be written down about those that wait.
struct Decided {
    rows: BTreeMap<ActionId, WaitingRow>,
    recent: BTreeMap<RepositoryId, i64>,
    starts: Vec<ActionId>,
    never: Vec<(ActionId, Lack)>,
    /// Those that have not been told so yet.
    waits: Vec<(ActionId, String)>,
}

impl Engine {
    /// Lets those start whose turn it is, and tells others what they wait for. How many that were.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn let_in(&self) -> Result<usize> {
        let mut tx = self.store.read().await?;
        if !tx.has_waiting().await? || self.decide(&mut tx).await?.is_nothing() {
            return Ok(0);
        }
        drop(tx);
        let now = self.now();
        let mut tx = self.store.write().await?;
        let mut decided = self.decide(&mut tx).await?;
        decided.starts.truncate(AT_ONCE);
        decided.never.truncate(TOLD_AT_ONCE);
        decided.waits.truncate(TOLD_AT_ONCE);
        let changed = decided.told().collect::<BTreeSet<RunId>>();
        for (repository, begun) in decided.begun() {
            let recent = decided.recent.get(&repository).copied().unwrap_or(0);
            tx.set_recent(repository, recent.saturating_add(begun.saturating_mul(BEGUN)), now).await?;
        }
        for id in &decided.starts {
            tx.admit_action(*id, now).await?;
        }
        for (id, words) in &decided.waits {
            tx.hold_action(*id, words).await?;
        }
        let mut ended = 0;
        for (id, lack) in &decided.never {
            ended += usize::from(self.turn_away(&mut tx, *id, lack, now).await?);
        }
        for run in changed {
            tx.ring(Change::Run(run));
            self.settle(&mut tx, run, now).await?;
        }
        tx.ring(Change::Executor);
        tx.commit().await?;
        Ok(decided.starts.len() + ended + decided.waits.len())
    }

    /// Ends an action that can never start, before anything of it is begun. Whether it did.
    async fn turn_away(&self, tx: &mut Tx, id: ActionId, lack: &Lack, now: Time) -> Result<bool> {
        // what has ended with another of its run since waits no more
        let Some(action) = tx.claim_action(id, now, now, now).await? else { return Ok(false) };
        let Some(run) = tx.run(action.run_id).await? else { return Ok(false) };
        let attempt = AttemptId::mint(now);
        let jobs = self.new_jobs(&action, &run, now)?;
        let verdict = Verdict::Refused { message: lack.never() };
        tx.insert_attempt(id, attempt, self.executor.kind().as_str(), &jobs, now).await?;
        self.end_attempt(tx, attempt, |_| Some(verdict.clone()), now).await?;
        Ok(true)
    }

    async fn decide(&self, tx: &mut Tx) -> Result<Decided> {
        let now = self.now();
        let month = month_of(now);
        let rows = tx.waiting_actions(now, OF_EACH, IN_ALL).await?;
        let seen = seen(tx, &rows, month, now).await?;
        let recent = seen.tenants.iter().map(|tenant| (tenant.id, tenant.recent)).collect();
        let rows: BTreeMap<ActionId, WaitingRow> = rows.into_iter().map(|row| (row.id, row)).collect();
        let mut decided = Decided { rows, recent, starts: Vec::new(), never: Vec::new(), waits: Vec::new() };
        for (id, fate) in share(&seen, month, now) {
            match fate {
                Fate::Starts => decided.starts.push(id),
                Fate::Never(lack) => decided.never.push((id, lack)),
                Fate::Waits(lack) => {
                    let words = lack.to_string();
                    let is_told = |row: &WaitingRow| row.held.is_some() && row.reason == words;
                    if !decided.rows.get(&id).is_some_and(is_told) {
                        decided.waits.push((id, words));
                    }
                }
            }
        }
        Ok(decided)
    }
}

impl Decided {
    const fn is_nothing(&self) -> bool {
        self.starts.is_empty() && self.never.is_empty() && self.waits.is_empty()
    }

    /// The runs that say now what they wait for, or do so no longer.
    fn told(&self) -> impl Iterator<Item = RunId> {
        let held = self.starts.iter().filter_map(|id| self.rows.get(id)).filter(|row| row.held.is_some());
        let told = self.waits.iter().filter_map(|(id, _)| self.rows.get(id));
        held.chain(told).map(|row| row.run_id)
    }

    /// How many of each repository start.
    fn begun(&self) -> BTreeMap<RepositoryId, i64> {
        let mut begun = BTreeMap::new();
        for row in self.starts.iter().filter_map(|id| self.rows.get(id)) {
            *begun.entry(row.repository_id).or_default() += 1;
        }
        begun
    }
}

/// All quotas there are.
pub(super) async fn quotas(tx: &mut Tx) -> Result<BTreeMap<QuotaScope, Quota>> {
    let rows = tx.quotas().await?;
    Ok(rows.iter().filter_map(|row| Some((row.scope()?, row.quota()))).collect())
}

/// Which month it is, UTC.
pub fn month_of(now: Time) -> Month {
    let moment = Timestamp::from_millisecond(now.as_millis()).unwrap_or(Timestamp::UNIX_EPOCH);
    let date = moment.to_zoned(TimeZone::UTC).date();
    Month { year: i64::from(date.year()), month: i64::from(date.month()) }
}

async fn seen(tx: &mut Tx, waiting: &[WaitingRow], month: Month, now: Time) -> Result<Seen> {
    let mut seen = Seen { quotas: quotas(tx).await?, ..Seen::default() };
    seen.waiting.extend(waiting.iter().map(|row| Candidate {
        id: row.id,
        repository: row.repository_id,
        need: Need { actions: row.places, cpu: row.cpu, memory: row.memory },
        since: row.queued.unwrap_or(now),
    }));
    seen.tenants = tenants(tx, month, now).await?;
    let known: BTreeSet<RepositoryId> = seen.tenants.iter().map(|tenant| tenant.id).collect();
    let new: BTreeMap<RepositoryId, &WaitingRow> =
        waiting.iter().filter(|row| !known.contains(&row.repository_id)).map(|row| (row.repository_id, row)).collect();
    seen.tenants.extend(new.into_values().map(|row| tenant(row.repository_id, row.forge, &row.name)));
    Ok(seen)
}

/// Who uses something, or has used something in this month or lately.
pub(super) async fn tenants(tx: &mut Tx, month: Month, now: Time) -> Result<Vec<Tenant>> {
    let mut tenants = BTreeMap::new();
    for row in tx.using().await? {
        let of = tenant(row.repository_id, row.forge, &row.name);
        let uses = Need { actions: row.actions, cpu: row.cpu, memory: row.memory };
        tenants.insert(of.id, Tenant { uses, ..of });
    }
    for row in tx.used().await? {
        let of = tenants.entry(row.repository_id).or_insert_with(|| tenant(row.repository_id, row.forge, &row.name));
        of.millis = if row.month == month.number() { row.millis } else { 0 };
        of.recent = faded(row.recent, row.recent_at, now);
    }
    Ok(tenants.into_values().collect())
}

fn tenant(id: RepositoryId, forge: ForgeKind, name: &RepositoryName) -> Tenant {
    Tenant { id, forge, name: name.clone(), uses: Need::default(), recent: 0, millis: 0 }
}

fn faded(recent: i64, at: Time, now: Time) -> i64 {
    (recent as f64 * 0.5_f64.powf(now.since(at).as_millis() as f64 / FADES)) as i64
}
