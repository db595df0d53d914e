//! Which calls are made now: each account has hands and a budget of its own, so nobody waits for another's forge.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use super::{
    Reporter,
    budget::{Decision, Room},
    call::Call,
    look::Look,
};
use crate::{
    forge::{Allowance, AtOnce, Forge},
    model::{ForgeKind, RepositoryId, Sha, Time},
    store::{ReportRow, RepositoryRow, StoreError, Tx},
};

/// How many calls of one account are under way at once.
const HANDS: i64 = 16;
/// How many calls to one forge are under way at once; GitHub takes 100, and flow files are read, too.
const FORGE_HANDS: i64 = 64;
/// How many rows are read at once to be looked at.
const LOOK_BATCH: i64 = 512;
/// A forge that is not configured may be at the next start.
const NOT_CONFIGURED: Duration = Duration::from_secs(15 * 60);
/// A look that was begun and not heard of is made again.
const LOOK_LEASE: Duration = Duration::from_secs(2 * 60);

/// One account, and what is to be told for it.
struct Account {
    forge: Arc<dyn Forge>,
    allowance: Allowance,
    repositories: Vec<RepositoryRow>,
}

/// Rows by account and by forge.
#[derive(Default)]
struct Counts {
    accounts: BTreeMap<String, i64>,
    forges: BTreeMap<ForgeKind, i64>,
}

impl Reporter {
    /// Takes the calls that may be made now, in the order of their importance: their rows say that they are begun, and
    /// their price is paid.
    pub(super) async fn choose_calls(&self, tx: &mut Tx, now: Time) -> Result<Vec<Call>, StoreError> {
        let accounts = self.accounts_untold(tx, now).await?;
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let open = self.counts(tx.open_reports().await?);
        let mut busy = self.counts(tx.calls_under_way().await?);
        let mut calls = Vec::new();
        for account in accounts {
            if account.is_quiet(tx, now).await? {
                continue;
            }
            let hands = busy.hands(&account);
            let open = open.accounts.get(&account.allowance.account).copied().unwrap_or(0);
            let taken = account.take(tx, open, hands, now).await?;
            *busy.forges.entry(account.forge.kind()).or_default() += taken.len() as i64;
            calls.extend(taken);
        }
        Ok(calls)
    }

    /// Takes the commits that are to be read back now.
    pub(super) async fn choose_looks(&self, tx: &mut Tx, now: Time) -> Result<Vec<Look>, StoreError> {
        let mut commits = BTreeMap::<(RepositoryId, Sha), Vec<ReportRow>>::new();
        for row in tx.reports_to_look_at(now, LOOK_BATCH).await? {
            commits.entry((row.repository_id, row.sha.clone())).or_default().push(row);
        }
        let mut looks = Vec::new();
        for ((id, sha), rows) in commits {
            let repository = tx.repository(id).await?;
            let Some(forge) = self.forges.get(&repository.forge).map(Arc::clone) else {
                tx.look_later(id, &sha, now, now.after(NOT_CONFIGURED)).await?;
                continue;
            };
            let account = forge.allowance(&repository.facts).account;
            if let Some(quiet) = tx.patience(&account).await?.filter(|patience| patience.quiet_until > now) {
                tx.look_later(id, &sha, now, quiet.quiet_until).await?;
                continue;
            }
            let Ok(seat) = Arc::clone(&self.looks).try_acquire_owned() else { break };
            tx.look_later(id, &sha, now, now.after(LOOK_LEASE)).await?;
            looks.push(Look { forge, account, repository, sha, rows, _seat: seat });
        }
        Ok(looks)
    }

    async fn accounts_untold(&self, tx: &mut Tx, now: Time) -> Result<Vec<Account>, StoreError> {
        let mut accounts = BTreeMap::<String, Account>::new();
        for repository in tx.repositories_untold(now).await? {
            let Some(forge) = self.forges.get(&repository.forge) else {
                let trouble = format!("{} is not configured", repository.forge);
                tx.put_off_all(repository.id, now, now.after(NOT_CONFIGURED), &trouble).await?;
                continue;
            };
            let allowance = forge.allowance(&repository.facts);
            match accounts.entry(allowance.account.clone()) {
                Entry::Occupied(mut account) => account.get_mut().repositories.push(repository),
                Entry::Vacant(place) => {
                    let repositories = vec![repository];
                    place.insert(Account { forge: Arc::clone(forge), allowance, repositories });
                }
            }
        }
        Ok(accounts.into_values().collect())
    }

    fn counts(&self, rows: Vec<(RepositoryRow, i64)>) -> Counts {
        let mut counts = Counts::default();
        for (repository, count) in rows {
            let Some(forge) = self.forges.get(&repository.forge) else { continue };
            *counts.accounts.entry(forge.allowance(&repository.facts).account).or_default() += count;
            *counts.forges.entry(repository.forge).or_default() += count;
        }
        counts
    }
}

impl Counts {
    fn hands(&self, account: &Account) -> i64 {
        let of_account = self.accounts.get(&account.allowance.account).copied().unwrap_or(0);
        let of_forge = self.forges.get(&account.forge.kind()).copied().unwrap_or(0);
        (HANDS - of_account).min(FORGE_HANDS - of_forge)
    }
}

impl Account {
    /// Whether the forge has asked for patience; then everything waits as long.
    async fn is_quiet(&self, tx: &mut Tx, now: Time) -> Result<bool, StoreError> {
        let patience = tx.patience(&self.allowance.account).await?;
        let Some(patience) = patience.filter(|patience| patience.quiet_until > now) else { return Ok(false) };
        for repository in &self.repositories {
            let trouble = format!("{} asked us to wait", repository.forge);
            tx.put_off_all(repository.id, now, patience.quiet_until, &trouble).await?;
        }
        Ok(true)
    }

    async fn take(&self, tx: &mut Tx, open: i64, mut hands: i64, now: Time) -> Result<Vec<Call>, StoreError> {
        let allowance = &self.allowance;
        let mut room = Room::of(allowance.writes, tx.spent(&allowance.account, now).await?, open);
        let mut taken = Vec::new();
        for (repository, mut row) in self.rows(tx, now, hands).await? {
            if hands <= 0 {
                break;
            }
            match room.decide(&row, allowance) {
                Decision::Later => break,
                Decision::Never(reason) => tx.full(&row, row.calls, &reason).await?,
                Decision::Now => {
                    hands -= 1;
                    tx.call_begun(row.id, now).await?;
                    if allowance.writes.is_some() {
                        tx.spend(&allowance.account, now).await?;
                    }
                    (row.calls, row.called_at) = (row.calls + 1, Some(now));
                    let (forge, repository) = (Arc::clone(&self.forge), repository.clone());
                    taken.push(Call { forge, allowance: allowance.clone(), repository, row });
                }
            }
        }
        if let Some((most_final, trouble)) = room.shortage(allowance) {
            for repository in &self.repositories {
                tx.say_why(repository.id, now, most_final, &trouble).await?;
            }
        }
        Ok(taken)
    }

    /// The account's reports that are due, most important first.
    async fn rows(&self, tx: &mut Tx, now: Time, limit: i64) -> Result<Vec<(&RepositoryRow, ReportRow)>, StoreError> {
        let mut rows = Vec::new();
        for repository in &self.repositories {
            let due = match self.allowance.at_once {
                AtOnce::Many => tx.untold_reports(repository.id, now, limit.max(1)).await?,
                AtOnce::One => tx.untold_commits(repository.id, now, limit.max(1)).await?,
            };
            rows.extend(due.into_iter().map(|row| (repository, row)));
        }
        rows.sort_by_key(|(_, row)| (!row.wanted.progress.is_final(), row.rank, row.wanted_at, row.id));
        Ok(rows)
    }
}
