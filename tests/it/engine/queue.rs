//! Groups of any members, with anything that may happen to them, in any order.

use std::{collections::BTreeSet, num::NonZeroU32};

use containerops::{
    engine::queue::{Member, Origin, Standing, Turn, line_up},
    model::{Concurrency, Policy},
};
use proptest::{collection::vec, option, prelude::*, sample::Index};

/// Something that happens to a group.
#[derive(Debug, Clone)]
enum Happening {
    /// A run is made; a late one stands before others.
    Made { policy: Policy, limit: Option<u32>, origin: Origin, late: Option<Index> },
    /// A run that was let go ends.
    Ended(Index),
    /// Somebody cancels a run.
    Cancelled(Index),
}

/// A group as it is played: its open runs in their order, and what became of the others.
#[derive(Debug, Default)]
struct Group {
    open: Vec<Member>,
    made: i64,
    went: BTreeSet<i64>,
    superseded: BTreeSet<i64>,
}

impl Group {
    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Made { policy, limit, origin, late } => {
                self.made += 1;
                let concurrency = concurrency(policy, limit);
                let member = Member { number: self.made, concurrency, standing: Standing::Held, origin };
                let place = late.map_or(self.open.len(), |late| late.index(self.open.len() + 1));
                self.open.insert(place, member);
            }
            Happening::Ended(which) => {
                let live: Vec<i64> = self.live().map(|member| member.number).collect();
                if !live.is_empty() {
                    self.leaves(*which.get(&live));
                }
            }
            Happening::Cancelled(which) if !self.open.is_empty() => {
                let place = which.index(self.open.len());
                match self.open[place].standing {
                    Standing::Held => drop(self.open.remove(place)),
                    Standing::Live | Standing::Leaving => self.open[place].standing = Standing::Leaving,
                }
            }
            Happening::Cancelled(_) => {}
        }
        self.settle();
    }

    /// Makes what is decided come true, as the engine does, until nothing is left to do.
    fn settle(&mut self) {
        loop {
            let turns = line_up(&self.open);
            assert_eq!(turns, line_up(&self.open), "what is seen alone decides");
            self.assert_orderly(&turns);
            let numbers: Vec<i64> = self.open.iter().map(|member| member.number).collect();
            let mut moved = false;
            for (number, turn) in numbers.into_iter().zip(turns) {
                match turn {
                    Turn::Gone | Turn::Wait(_) => continue,
                    Turn::Go => self.goes(number),
                    Turn::Superseded(by) => self.is_superseded(number, by),
                }
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }

    fn goes(&mut self, number: i64) {
        assert!(self.went.insert(number), "#{number} goes once");
        self.member(number).standing = Standing::Live;
        let strictest = self.live().filter_map(|member| member.concurrency.limit).min();
        let live = u32::try_from(self.live().count()).expect("few");
        assert!(strictest.is_none_or(|limit| live <= limit.get()), "{live} are live, {strictest:?} may be");
    }

    fn is_superseded(&mut self, number: i64, by: i64) {
        assert!(self.superseded.insert(number), "#{number} is superseded once");
        let place = |number| self.open.iter().position(|member| member.number == number).expect("open");
        assert!(place(by) > place(number), "the newer one takes the place of the older one");
        let by = self.member(by).clone();
        assert_eq!((by.concurrency.policy, by.origin), (Policy::Cancel, Origin::Event));
        assert_eq!(self.member(number).concurrency.policy, Policy::Cancel, "who waits in line is ended by nobody");
        match self.member(number).standing {
            Standing::Held => self.leaves(number),
            Standing::Live => self.member(number).standing = Standing::Leaving,
            Standing::Leaving => panic!("#{number} is being stopped already"),
        }
    }

    /// Those that wait are counted from 1, and know everybody that is before them.
    fn assert_orderly(&self, turns: &[Turn]) {
        let (mut ahead, mut waiting): (Vec<i64>, Vec<i64>) =
            (self.live().map(|member| member.number).collect(), Vec::new());
        let length = turns.iter().filter(|turn| matches!(turn, Turn::Wait(_))).count();
        for (member, turn) in self.open.iter().zip(turns) {
            match turn {
                Turn::Gone | Turn::Superseded(_) => {}
                Turn::Go => {
                    assert!(waiting.is_empty(), "#{} does not pass {waiting:?}", member.number);
                    ahead.push(member.number);
                }
                Turn::Wait(place) => {
                    let before: Vec<i64> = ahead.iter().chain(&waiting).copied().collect();
                    assert_eq!((place.position, place.length, &place.ahead), (waiting.len() + 1, length, &before));
                    assert!(!before.is_empty(), "nobody waits for nothing");
                    waiting.push(member.number);
                }
            }
        }
    }

    fn live(&self) -> impl Iterator<Item = &Member> {
        self.open.iter().filter(|member| member.standing != Standing::Held)
    }

    fn member(&mut self, number: i64) -> &mut Member {
        self.open.iter_mut().find(|member| member.number == number).expect("an open run")
    }

    fn leaves(&mut self, number: i64) {
        self.open.retain(|member| member.number != number);
    }
}

fn concurrency(policy: Policy, limit: Option<u32>) -> Concurrency {
    let limit = match policy {
        Policy::Cancel | Policy::Queue => limit.or(Some(1)),
        Policy::Parallel => limit,
    };
    Concurrency { group: "deploy".to_owned(), policy, limit: limit.and_then(NonZeroU32::new) }
}

fn happening() -> impl Strategy<Value = Happening> {
    let policy = prop_oneof![Just(Policy::Cancel), Just(Policy::Queue), Just(Policy::Parallel)];
    let origin = prop_oneof![4 => Just(Origin::Event), 1 => Just(Origin::Repeat)];
    let late = option::weighted(0.1, any::<Index>());
    prop_oneof![
        4 => (policy, option::of(1..4_u32), origin, late)
            .prop_map(|(policy, limit, origin, late)| Happening::Made { policy, limit, origin, late }),
        3 => any::<Index>().prop_map(Happening::Ended),
        1 => any::<Index>().prop_map(Happening::Cancelled),
    ]
}

proptest! {
    #[test]
    fn limits_hold_nobody_passes_and_nobody_starves(happenings in vec(happening(), 0..60), first in any::<Index>()) {
        let mut group = Group::default();
        for happening in happenings {
            group.happens(happening);
        }
        while group.live().next().is_some() {
            group.happens(Happening::Ended(first));
        }
        prop_assert!(group.open.is_empty(), "whoever is left could go: {:?}", group.open);
    }
}
