//! Who of a group of runs may go: pure, so that it can be asked again after any crash and says the same.
//!
//! First the newer runs of policy `cancel` end the older ones of that policy for which there is no room. Then whoever
//! is left goes in the order of the group, as long as there is room; behind one that must wait, all wait. How much room
//! there is is said by the strictest of those that would be under way together, so that a run whose file says `limit:
//! 1` is alone, whatever the files of others say.

use std::num::NonZeroU32;

use crate::model::{Concurrency, Policy, QueuePlace};

/// An open run of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What people call it.
    pub number: i64,
    /// How it stands to the others.
    pub concurrency: Concurrency,
    /// How far it is.
    pub standing: Standing,
    /// Why it is there.
    pub origin: Origin,
}

/// How far a run of a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing of it may start yet.
    Held,
    /// It was let go.
    Live,
    /// It was let go, and is being stopped.
    Leaving,
}

/// Why a run is there, as far as its group cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// There is new code.
    Event,
    /// Somebody wants code once more that has run before: no reason to end anything newer.
    Repeat,
}

/// What becomes of a run of a group now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It was let go earlier.
    Gone,
    /// It may go now.
    Go,
    /// It waits here.
    Wait(QueuePlace),
    /// The run of this number takes its place.
    Superseded(i64),
}

/// What becomes of each member; they come in the order of the group.
pub fn line_up(members: &[Member]) -> Vec<Turn> {
    let mut line = Line::behind(members.iter().filter(|member| member.standing != Standing::Held));
    let mut turns: Vec<Turn> =
        members.iter().zip(superseded(members)).map(|(member, by)| line.turn(member, by)).collect();
    for turn in &mut turns {
        if let Turn::Wait(place) = turn {
            place.length = line.waiting;
        }
    }
    turns
}

/// The line as it forms.
#[derive(Debug, Default)]
struct Line {
    room: Room,
    ahead: Vec<i64>,
    waiting: usize,
}

impl Line {
    /// What is being stopped still needs its place, so that at no time more than the limit are under way.
    fn behind<'m>(live: impl Iterator<Item = &'m Member>) -> Self {
        let mut line = Self::default();
        live.for_each(|member| line.go(member));
        line
    }

    fn turn(&mut self, member: &Member, superseded_by: Option<i64>) -> Turn {
        match (superseded_by, member.standing) {
            (Some(number), _) => Turn::Superseded(number),
            (None, Standing::Live | Standing::Leaving) => Turn::Gone,
            (None, Standing::Held) if self.waiting == 0 && self.room.fits(member) => {
                self.go(member);
                Turn::Go
            }
            (None, Standing::Held) => Turn::Wait(self.wait(member)),
        }
    }

    fn go(&mut self, member: &Member) {
        self.room.take(member);
        self.ahead.push(member.number);
    }

    fn wait(&mut self, member: &Member) -> QueuePlace {
        self.waiting += 1;
        let Concurrency { group, limit, .. } = &member.concurrency;
        let (position, ahead) = (self.waiting, self.ahead.clone());
        self.ahead.push(member.number);
        // how long the line is, is known when all have come
        QueuePlace { group: group.clone(), limit: *limit, position, length: position, ahead }
    }
}

/// What is under way, and the strictest of its limits.
#[derive(Debug, Default)]
struct Room {
    taken: u32,
    limit: Option<NonZeroU32>,
}

impl Room {
    fn fits(&self, member: &Member) -> bool {
        stricter(self.limit, member.concurrency.limit).is_none_or(|limit| self.taken < limit.get())
    }

    fn take(&mut self, member: &Member) {
        self.taken += 1;
        self.limit = stricter(self.limit, member.concurrency.limit);
    }
}

fn stricter(a: Option<NonZeroU32>, b: Option<NonZeroU32>) -> Option<NonZeroU32> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (limit, None) | (None, limit) => limit,
    }
}

/// For each member the newest run that takes its place.
fn superseded(members: &[Member]) -> Vec<Option<i64>> {
    let cancels =
        |member: &&Member| member.concurrency.policy == Policy::Cancel && member.standing != Standing::Leaving;
    let mut all = vec![None; members.len()];
    let mut newer: u32 = 0;
    let mut newest: Option<&Member> = None;
    for (place, member) in members.iter().enumerate().rev().filter(|(_, member)| cancels(member)) {
        if let Some(newest) = newest
            && newest.concurrency.limit.is_some_and(|limit| newer >= limit.get())
        {
            all[place] = Some(newest.number);
        }
        if member.origin == Origin::Event {
            newer += 1;
            newest = newest.or(Some(member));
        }
    }
    all
}
