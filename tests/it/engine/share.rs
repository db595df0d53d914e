//! Any organisations with any quotas, and whatever is queued and ends in them, in any order.

use std::collections::{BTreeMap, BTreeSet};

use containerops::{
    engine::share::{Candidate, Fate, Lack, Seen, Short, Tenant, share},
    model::{ActionId, ForgeKind, Month, Need, Quota, QuotaScope, RepositoryId, Time},
};
use insta::assert_snapshot;
use proptest::{collection::vec, option, prelude::*, sample::Index};

const NAMES: [&str; 5] = ["acme/shop", "acme/site", "beta/app", "group/web/x", "group/y"];
const MONTH: Month = Month { year: 2026, month: 11 };
const SECOND: i64 = 1000;

fn scope(text: &str) -> QuotaScope {
    let name = || text.parse().expect("a name");
    match text {
        "" => QuotaScope::Server,
        _ if NAMES.contains(&text) => QuotaScope::Repository(ForgeKind::Gitlab, name()),
        _ => QuotaScope::Owner(ForgeKind::Gitlab, name()),
    }
}

/// Repositories as they are played.
#[derive(Debug, Clone, Default)]
struct World {
    quotas: BTreeMap<QuotaScope, Quota>,
    recent: BTreeMap<usize, i64>,
    millis: BTreeMap<usize, i64>,
    waiting: Vec<(usize, Candidate)>,
    running: Vec<(usize, Candidate)>,
    never: BTreeSet<ActionId>,
    now: i64,
    made: i64,
}

impl World {
    fn with(quotas: &[(&str, Quota)]) -> Self {
        let quotas = quotas.iter().map(|(text, quota)| (scope(text), *quota)).collect();
        Self { quotas, ..Self::default() }
    }

    fn queue(&mut self, repository: usize, cpu: i64) -> ActionId {
        self.made += 1;
        let id = ActionId::from_i64(self.made);
        let need = Need { actions: 1, cpu, memory: cpu };
        let since = Time::from_millis(self.now);
        self.waiting.push((repository, Candidate { id, repository: repository_id(repository), need, since }));
        id
    }

    fn seen(&self) -> Seen {
        let tenants = NAMES.iter().enumerate().map(|(at, name)| {
            let own = self.running.iter().filter(|(of, _)| *of == at).map(|(_, one)| one.need);
            Tenant {
                id: repository_id(at),
                forge: ForgeKind::Gitlab,
                name: name.parse().expect("a name"),
                uses: own.fold(Need::default(), Need::plus),
                recent: self.recent.get(&at).copied().unwrap_or(0),
                millis: self.millis.get(&at).copied().unwrap_or(0),
            }
        });
        let waiting = self.waiting.iter().map(|(_, one)| *one).collect();
        Seen { quotas: self.quotas.clone(), tenants: tenants.collect(), waiting }
    }

    fn fates(&self) -> Vec<(ActionId, Fate)> {
        share(&self.seen(), MONTH, Time::from_millis(self.now))
    }

    /// Makes what is decided come true; who starts, in order.
    fn settle(&mut self) -> Vec<ActionId> {
        let fates = self.fates();
        assert_eq!(fates.len(), self.waiting.len(), "each has one fate");
        let mut started = Vec::new();
        for (id, fate) in &fates {
            let at = self.waiting.iter().position(|(_, one)| one.id == *id);
            match fate {
                Fate::Waits(_) => {}
                Fate::Never(_) => {
                    self.waiting.remove(at.expect("it waits"));
                    self.never.insert(*id);
                }
                Fate::Starts => {
                    let one = self.waiting.remove(at.expect("it waits"));
                    *self.recent.entry(one.0).or_default() += 60 * SECOND;
                    self.running.push(one);
                    started.push(*id);
                }
            }
        }
        self.is_orderly(&fates);
        started
    }

    fn ends(&mut self, which: usize) {
        if !self.running.is_empty() {
            self.running.remove(which % self.running.len());
        }
    }

    fn uses(&self, scope: &QuotaScope) -> Need {
        let within = self.running.iter().filter(|(at, _)| around(*at).contains(scope));
        within.map(|(_, one)| one.need).fold(Need::default(), Need::plus)
    }

    fn fits(&self, quota: &Quota, need: Need) -> bool {
        let fits = |limit: Option<i64>, uses: i64| limit.is_none_or(|limit| uses <= limit);
        fits(quota.actions, need.actions) && fits(quota.cpu, need.cpu) && fits(quota.memory, need.memory)
    }

    /// No quota is exceeded, whoever waits has no room where it says so, and nothing stands still.
    fn is_orderly(&self, fates: &[(ActionId, Fate)]) {
        for (scope, quota) in &self.quotas {
            let uses = self.uses(scope);
            assert!(self.fits(quota, uses), "{scope}: {uses:?} of {quota}");
        }
        let waits = fates.iter().filter_map(|(id, fate)| match fate {
            Fate::Waits(lack) => Some((id, lack)),
            Fate::Starts | Fate::Never(_) => None,
        });
        for (id, Lack { scope, of }) in waits {
            let (at, one) = self.waiting.iter().find(|(_, one)| one.id == *id).expect("it waits");
            assert!(around(*at).contains(scope), "it waits for what is its own");
            let quota = self.quotas.get(scope).copied().unwrap_or_default();
            let is_kept = *of == Short::Kept;
            assert!(is_kept || !self.fits(&quota, self.uses(scope).plus(one.need)), "{id} waits and would fit");
        }
        let nothing_may = self.quotas.values().any(|quota| quota.actions == Some(0));
        assert!(nothing_may || self.waiting.is_empty() || !self.running.is_empty(), "all stands still: {self:?}");
    }
}

fn repository_id(at: usize) -> RepositoryId {
    RepositoryId::from_i64(i64::try_from(at).expect("few") + 1)
}

fn around(at: usize) -> Vec<QuotaScope> {
    QuotaScope::around(ForgeKind::Gitlab, &NAMES[at].parse().expect("a name"))
}

fn actions(limit: i64) -> Quota {
    Quota { actions: Some(limit), ..Quota::default() }
}

fn weighs(priority: i64) -> Quota {
    Quota { priority: Some(priority), ..Quota::default() }
}

#[test]
fn one_action_of_another_organisation_does_not_wait_behind_five_hundred() {
    let mut world = World::with(&[("", actions(10))]);
    for _ in 0..500 {
        world.queue(0, 100);
    }
    assert_eq!(world.settle().len(), 10);
    let other = world.queue(2, 100);
    assert!(world.settle().is_empty(), "there is no room");
    world.ends(0);
    assert_eq!(world.settle(), [other], "it is next");
}

#[test]
fn organisations_share_by_priority_then_repositories_and_within_them_the_oldest_comes_first() {
    let mut world = World::with(&[("", actions(9)), ("beta", weighs(20))]);
    let queued: Vec<Vec<ActionId>> =
        [0, 1, 2].into_iter().map(|at| (0..20).map(|_| world.queue(at, 100)).collect()).collect();
    let started = world.settle();
    let of = |at: usize| started.iter().filter(|id| queued[at].contains(id)).copied().collect::<Vec<_>>();
    // twice as many of who weighs twice as much; the others divide what they get
    assert_eq!([of(0).len() + of(1).len(), of(2).len()], [3, 6]);
    assert!(of(0).len().abs_diff(of(1).len()) == 1);
    for at in 0..3 {
        assert_eq!(of(at), queued[at][..of(at).len()], "the oldest");
    }
}

#[test]
fn where_there_is_one_place_they_take_turns() {
    let mut world = World::with(&[("", actions(1)), ("beta", weighs(20))]);
    let acme: BTreeSet<ActionId> = (0..20).map(|_| world.queue(0, 100)).collect();
    for _ in 0..20 {
        world.queue(2, 100);
    }
    let mut order = String::new();
    for _ in 0..12 {
        order.push(if acme.contains(&world.settle()[0]) { 'a' } else { 'b' });
        world.ends(0);
    }
    assert_eq!(order, "abbabbabbabb");
}

#[test]
fn what_needs_much_is_passed_by_for_a_while_and_then_has_its_room_kept() {
    let mut world = World::with(&[("", Quota { cpu: Some(1000), ..Quota::default() })]);
    for _ in 0..10 {
        world.queue(2, 100);
    }
    world.settle();
    let large = world.queue(0, 1000);
    let mut steps = 0;
    while world.waiting.iter().any(|(_, one)| one.id == large) {
        world.queue(2, 100);
        world.ends(0);
        world.now += 20 * SECOND;
        let started = world.settle();
        steps += 1;
        assert!(steps < 100, "it starves");
        assert!(steps > 14 || !started.is_empty(), "what is free is used");
    }
    assert!(world.running.iter().any(|(_, one)| one.id == large));
}

#[test]
fn words_are_short_and_say_whose_quota_it_is() {
    let of = |name: &str, short| Lack { scope: scope(name), of: short };
    let gi = 1 << 30;
    let lacks = [
        of("acme", Short::Actions(10, 10)),
        of("", Short::Actions(1, 1)),
        of("acme/shop", Short::Cpu(500, 4000)),
        of("group/web", Short::Memory(gi, 8 * gi)),
        of("acme", Short::Minutes(2000, Month { year: 2026, month: 12 })),
        of("", Short::Kept),
    ];
    assert_snapshot!(lacks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), @r"
    acme runs 10 of 10 actions
    the server runs 1 of 1 action
    acme/shop has less than 500m CPU left of its 4
    group/web has less than 1Gi memory left of its 8Gi
    acme has used its 2000 minutes of December; there are new ones on 1 January (UTC)
    what the server has left is kept for an older action that needs more
    ");
    assert_snapshot!(lacks[2..4].iter().map(Lack::never).collect::<Vec<_>>().join("\n"), @r"
    it needs 500m CPU, and acme/shop may use 4 at once
    it needs 1Gi memory, and group/web may use 8Gi at once
    ");
}

#[test]
fn what_never_fits_and_a_month_that_is_used_up_are_told_at_once() {
    let minutes = Quota { minutes: Some(10), ..Quota::default() };
    let mut world = World::with(&[("acme", minutes), ("beta/app", Quota { cpu: Some(1000), ..Quota::default() })]);
    world.millis.insert(1, 10 * 60 * SECOND);
    let used_up = world.queue(0, 100);
    let large = world.queue(2, 1001);
    let fits = world.queue(2, 1000);
    assert_eq!(world.settle(), [fits]);
    assert_eq!(world.never, [used_up, large].into());
}

fn quota() -> impl Strategy<Value = Quota> {
    let cpu = || option::weighted(0.4, 1_i64..6);
    (option::of(1_i64..4), cpu(), cpu(), option::weighted(0.3, 1_i64..50))
        .prop_map(|(actions, cpu, memory, priority)| Quota { actions, cpu, memory, priority, ..Quota::default() })
}

fn quotas() -> impl Strategy<Value = BTreeMap<QuotaScope, Quota>> {
    let names = ["", "acme", "beta", "group", "group/web", "acme/shop", "group/y"];
    vec(option::weighted(0.5, quota()), names.len())
        .prop_map(move |all| names.iter().zip(all).filter_map(|(name, quota)| Some((scope(name), quota?))).collect())
}

#[derive(Debug, Clone)]
enum Happening {
    Queued(usize, i64),
    Ended(usize),
    Passes(i64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0..NAMES.len(), 1_i64..5).prop_map(|(at, cpu)| Happening::Queued(at, cpu)),
        2 => (0..50_usize).prop_map(Happening::Ended),
        1 => (1_i64..400).prop_map(Happening::Passes),
    ]
}

proptest! {
    #[test]
    fn quotas_hold_room_is_used_and_nobody_starves(
        quotas in quotas(),
        happenings in vec(happening(), 0..60),
        others in vec((0..NAMES.len(), 1_i64..3, 0..50_usize), 40),
        order in vec(any::<Index>(), 60),
    ) {
        let mut world = World { quotas, ..World::default() };
        for happening in happenings {
            match happening {
                Happening::Queued(at, cpu) => drop(world.queue(at, cpu)),
                Happening::Ended(which) => world.ends(which),
                Happening::Passes(seconds) => world.now += seconds * SECOND,
            }
            // in whatever order it is seen, the same is decided
            let mut other = world.clone();
            for (at, index) in order.iter().enumerate().take(other.waiting.len()) {
                let with = index.index(other.waiting.len());
                other.waiting.swap(at, with);
            }
            prop_assert_eq!(other.fates(), world.fates());
            world.settle();
        }
        // whatever else comes, and however long it goes on: each of them starts
        let mut left: BTreeSet<ActionId> = world.waiting.iter().map(|(_, one)| one.id).collect();
        for (at, cpu, which) in others.iter().cycle().take(400) {
            world.queue(*at, *cpu);
            world.ends(*which);
            world.ends(*which);
            world.now += 30 * SECOND;
            world.settle();
            left.retain(|id| world.waiting.iter().any(|(_, one)| one.id == *id));
            if left.is_empty() {
                break;
            }
        }
        prop_assert!(left.is_empty(), "{left:?} starve");
    }
}
