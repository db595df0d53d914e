//! Who starts next: pure, so that it can be asked again after any crash, by any server, and says the same.
//!
//! Whoever waits is asked in a fair order. On each level, from everything over owners to repositories, whoever uses least
//! of what there is comes first, by its priority's weight; among equals whoever has used least lately; and within a
//! repository the oldest. Whoever fits into the quotas of all that is above it starts, whoever does not is passed by, so
//! that room is used. But what has long been passed by because it needs much keeps its room: nobody behind it may start
//! there until it has.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::Duration,
};

use crate::model::{
    ActionId, ForgeKind, Month, Need, Quota, QuotaScope, RepositoryId, RepositoryName, Time, cpu_text, memory_text,
};

/// What has waited for so long, and needs much, is passed by no longer.
const PASSED_BY: Duration = Duration::from_secs(300);
/// What a start counts for, in milliseconds, before it is known how long it takes.
pub const BEGUN: i64 = 60_000;
/// In what use is measured: millionths of all there is.
const WHOLE: i128 = 1_000_000;

/// A repository, and what it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Ours.
    pub id: RepositoryId,
    /// Its forge.
    pub forge: ForgeKind,
    /// Its name there.
    pub name: RepositoryName,
    /// What it uses now.
    pub uses: Need,
    /// What it has used lately, in milliseconds of actions.
    pub recent: i64,
    /// The milliseconds of its jobs in this month.
    pub millis: i64,
}

/// An action that waits for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Ours.
    pub id: ActionId,
    /// Whose.
    pub repository: RepositoryId,
    /// What it will use.
    pub need: Need,
    /// Since when it waits.
    pub since: Time,
}

/// All that is looked at.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// What may be used.
    pub quotas: BTreeMap<QuotaScope, Quota>,
    /// Who uses something, or wants to.
    pub tenants: Vec<Tenant>,
    /// Who wants to.
    pub waiting: Vec<Candidate>,
}

/// What becomes of an action that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It starts now.
    Starts,
    /// It waits on, for this.
    Waits(Lack),
    /// It never can, because of this.
    Never(Lack),
}

/// What there is not enough of, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// Whose quota it is.
    pub scope: QuotaScope,
    /// What is lacking.
    pub of: Short,
}

/// What is lacking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Short {
    /// So many actions run, and no more may than so many.
    Actions(i64, i64),
    /// So much CPU is needed, of so much.
    Cpu(i64, i64),
    /// So much memory is needed, of so much.
    Memory(i64, i64),
    /// The minutes of this month are used up.
    Minutes(i64, Month),
    /// What is free is kept for an older action that needs more.
    Kept,
}

/// Short, and the same as long as what it says holds: a forge is told of every change.
impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = self.scope.short();
        match self.of {
            Short::Actions(_, 0) => write!(f, "{whose} may start no action for now"),
            Short::Actions(runs, limit) => {
                write!(f, "{whose} runs {runs} of {limit} action{}", if limit == 1 { "" } else { "s" })
            }
            Short::Cpu(need, limit) => {
                write!(f, "{whose} has less than {} CPU left of its {}", cpu_text(need), cpu_text(limit))
            }
            Short::Memory(need, limit) => {
                write!(f, "{whose} has less than {} memory left of its {}", memory_text(need), memory_text(limit))
            }
            Short::Minutes(limit, month) => {
                let (name, next) = (month.name(), month.next());
                write!(
                    f,
                    "{whose} has used its {limit} minutes of {name}; there are new ones on 1 {} (UTC)",
                    next.name()
                )
            }
            Short::Kept => write!(f, "what {whose} has left is kept for an older action that needs more"),
        }
    }
}

impl Lack {
    /// The words for an action that never fits.
    pub fn never(&self) -> String {
        let whose = self.scope.short();
        let (what, need, limit) = match self.of {
            Short::Cpu(need, limit) => ("CPU", cpu_text(need), cpu_text(limit)),
            Short::Memory(need, limit) => ("memory", memory_text(need), memory_text(limit)),
            Short::Actions(..) | Short::Minutes(..) | Short::Kept => return self.to_string(),
        };
        format!("it needs {need} {what}, and {whose} may use {limit} at once")
    }
}

/// What becomes of each that waits, in the order in which they were asked.
pub fn share(seen: &Seen, month: Month, now: Time) -> Vec<(ActionId, Fate)> {
    let mut board = Board::of(seen, month, now);
    let mut fates = Vec::with_capacity(seen.waiting.len());
    while let Some((path, next)) = board.next() {
        let fate = board.fate(&path, next);
        if fate == Fate::Starts {
            board.start(&path, next.need);
        }
        fates.push((next.id, fate));
    }
    fates
}

/// What of a plan's needs no quota around its repository will ever have; `None`: it fits.
pub fn never_fits(quotas: &BTreeMap<QuotaScope, Quota>, scopes: &[QuotaScope], need: Need) -> Option<Lack> {
    let limited = scopes.iter().rev().filter_map(|scope| Some((scope, quotas.get(scope)?)));
    limited
        .filter_map(|(scope, quota)| Some(Lack { scope: scope.clone(), of: exceeds(quota, Need::default(), need)? }))
        .find(
            // that nothing may run just now is no mistake of a plan's
            |lack| !matches!(lack.of, Short::Actions(..)),
        )
}

/// What of a quota would be exceeded by this need beside what is used.
fn exceeds(quota: &Quota, uses: Need, need: Need) -> Option<Short> {
    let over = |limit: Option<i64>, uses: i64, need: i64| limit.filter(|limit| need > 0 && uses + need > *limit);
    over(quota.actions, uses.actions, need.actions)
        .map(|limit| Short::Actions(uses.actions, limit))
        .or_else(|| over(quota.cpu, uses.cpu, need.cpu).map(|limit| Short::Cpu(need.cpu, limit)))
        .or_else(|| over(quota.memory, uses.memory, need.memory).map(|limit| Short::Memory(need.memory, limit)))
}

/// A scope with what it uses, and who waits below it.
#[derive(Debug)]
struct Node {
    scope: QuotaScope,
    quota: Quota,
    uses: Need,
    recent: i64,
    millis: i64,
    below: Vec<usize>,
    /// Of a repository: who waits, the oldest first.
    queue: VecDeque<Candidate>,
    /// How many wait here and below.
    waiting: usize,
    /// Since when the oldest of them does.
    oldest: Time,
    /// Whether its room is kept for who was passed by.
    kept: bool,
}

struct Board {
    nodes: Vec<Node>,
    month: Month,
    now: Time,
}

impl Board {
    fn of(seen: &Seen, month: Month, now: Time) -> Self {
        let mut board = Self { nodes: Vec::new(), month, now };
        let mut known = BTreeMap::new();
        board.node(&mut known, &seen.quotas, QuotaScope::Server);
        let mut paths = BTreeMap::new();
        for tenant in &seen.tenants {
            let path = board.path(&mut known, &seen.quotas, tenant);
            for &at in &path {
                let node = &mut board.nodes[at];
                node.uses = node.uses.plus(tenant.uses);
                node.recent = node.recent.saturating_add(tenant.recent);
                node.millis = node.millis.saturating_add(tenant.millis);
            }
            paths.insert(tenant.id, path);
        }
        let mut waiting = seen.waiting.clone();
        waiting.sort_by_key(|one| (one.since, one.id));
        for one in waiting {
            let Some(path) = paths.get(&one.repository) else { continue };
            for &at in path {
                let node = &mut board.nodes[at];
                node.waiting += 1;
                node.oldest = node.oldest.min(one.since);
            }
            if let Some(&own) = path.last() {
                board.nodes[own].queue.push_back(one);
            }
        }
        board
    }

    /// The places of a repository's scopes, the widest first.
    fn path(
        &mut self,
        known: &mut BTreeMap<QuotaScope, usize>,
        quotas: &BTreeMap<QuotaScope, Quota>,
        tenant: &Tenant,
    ) -> Vec<usize> {
        let mut path: Vec<usize> = Vec::new();
        for scope in QuotaScope::around(tenant.forge, &tenant.name) {
            let is_new = !known.contains_key(&scope);
            let at = self.node(known, quotas, scope);
            if let (true, Some(&above)) = (is_new, path.last()) {
                self.nodes[above].below.push(at);
            }
            path.push(at);
        }
        path
    }

    fn node(
        &mut self,
        known: &mut BTreeMap<QuotaScope, usize>,
        quotas: &BTreeMap<QuotaScope, Quota>,
        scope: QuotaScope,
    ) -> usize {
        *known.entry(scope.clone()).or_insert_with(|| {
            let quota = quotas.get(&scope).copied().unwrap_or_default();
            self.nodes.push(Node {
                scope,
                quota,
                uses: Need::default(),
                recent: 0,
                millis: 0,
                below: Vec::new(),
                queue: VecDeque::new(),
                waiting: 0,
                oldest: Time::from_millis(i64::MAX),
                kept: false,
            });
            self.nodes.len() - 1
        })
    }

    /// Takes whoever is asked next out of the line, with the places of its scopes.
    fn next(&mut self) -> Option<(Vec<usize>, Candidate)> {
        let mut path = vec![0];
        let mut at = 0;
        let mut whole = self.nodes[0].quota;
        while let Some(next) = self.first_below(at, &whole) {
            path.push(next);
            at = next;
            let own = self.nodes[at].quota;
            if own.actions.or(own.cpu).or(own.memory).is_some() {
                whole = own;
            }
        }
        let one = self.nodes[at].queue.pop_front()?;
        path.iter().for_each(|&at| self.nodes[at].waiting -= 1);
        Some((path, one))
    }

    /// Whoever of those below is asked first; `whole` is what they share.
    fn first_below(&self, at: usize, whole: &Quota) -> Option<usize> {
        let node = &self.nodes[at];
        let mut waiting = node.below.iter().copied().filter(|&below| self.nodes[below].waiting > 0);
        let is_full = node.quota.actions.is_some_and(|limit| node.uses.actions >= limit);
        if is_full {
            // where nobody can start, no order matters
            return waiting.next();
        }
        waiting.min_by(|&one, &other| {
            let (one, other) = (&self.nodes[one], &self.nodes[other]);
            one.rank(whole).cmp(&other.rank(whole)).then_with(|| one.scope.cmp(&other.scope))
        })
    }

    fn fate(&mut self, path: &[usize], one: Candidate) -> Fate {
        let lack = |at: usize, of| Lack { scope: self.nodes[at].scope.clone(), of };
        for &at in path.iter().rev() {
            let Node { quota, millis, .. } = &self.nodes[at];
            if let Some(limit) =
                quota.minutes.filter(|limit| one.need.actions > 0 && *millis >= limit.saturating_mul(60_000))
            {
                return Fate::Never(lack(at, Short::Minutes(limit, self.month)));
            }
            let alone = exceeds(&Quota { actions: None, ..*quota }, Need::default(), one.need);
            if let Some(short) = alone {
                return Fate::Never(lack(at, short));
            }
        }
        let short: Vec<(usize, Short)> =
            path.iter().rev().filter_map(|&at| Some((at, self.short(at, one.need)?))).collect();
        let Some(&(at, of)) = short.first() else { return Fate::Starts };
        let fate = Fate::Waits(lack(at, of));
        // its own room, up to where it waits; what is free farther out is of no use to it yet
        let needs_much = matches!(of, Short::Cpu(..) | Short::Memory(..));
        if needs_much && self.now.since(one.since) >= PASSED_BY {
            path.iter().skip_while(|&&own| own != at).for_each(|&own| self.nodes[own].kept = true);
        }
        fate
    }

    fn short(&self, at: usize, need: Need) -> Option<Short> {
        let node = &self.nodes[at];
        exceeds(&node.quota, node.uses, need).or_else(|| (node.kept && need.actions > 0).then_some(Short::Kept))
    }

    fn start(&mut self, path: &[usize], need: Need) {
        for &at in path {
            let node = &mut self.nodes[at];
            node.uses = node.uses.plus(need);
            node.recent = node.recent.saturating_add(BEGUN);
        }
    }
}

impl Node {
    /// Whoever has the smallest is asked first.
    fn rank(&self, whole: &Quota) -> (i128, i128, Time) {
        let weight = i128::from(self.quota.weight());
        let part = |uses: i64, of: Option<i64>| of.map(|of| i128::from(uses) * WHOLE / i128::from(of.max(1)));
        let parts = [
            part(self.uses.actions, whole.actions),
            part(self.uses.cpu, whole.cpu),
            part(self.uses.memory, whole.memory),
        ];
        let largest = parts.into_iter().flatten().max().unwrap_or_else(|| i128::from(self.uses.actions) * WHOLE);
        (largest * WHOLE / weight, i128::from(self.recent) * WHOLE / weight, self.oldest)
    }
}
