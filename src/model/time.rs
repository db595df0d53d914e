//! Moments, and where they come from.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A moment in UTC, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Time(i64);

impl Time {
    /// From Unix milliseconds.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Unix milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The moment `span` later.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The moment `span` earlier.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long it is since `earlier`; nothing if `earlier` is later, as clocks may be set back.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// How long to wait before the next of several tries: doubling from a second to a minute.
pub fn backoff(tries: i64) -> Duration {
    let doublings = u32::try_from(tries.clamp(0, 6)).unwrap_or(6);
    Duration::from_secs(1 << doublings).min(Duration::from_secs(60))
}

/// Where `now` comes from: the machine, or a test's hand.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's own.
    #[default]
    System,
    /// Stands still until it is set.
    Set(Arc<AtomicI64>),
    /// That of a database which several servers share.
    Shared(Arc<SharedClock>),
}

/// A clock that several machines have in common: the last word of whoever keeps it, and from then on the time that has
/// passed here. So a machine whose own clock is wrong, or is set while it runs, is of one mind with the others.
#[derive(Debug)]
pub struct SharedClock {
    /// This machine's steady clock begins here.
    since: Instant,
    /// What is to be added to it, in milliseconds.
    ahead: AtomicI64,
}

/// Within this many milliseconds two clocks are the same: what an answer takes on its way is not to make time go back.
const SAME_MS: i64 = 100;

impl SharedClock {
    /// One that shows `now`.
    pub fn showing(now: Time) -> Self {
        Self { since: Instant::now(), ahead: AtomicI64::new(now.0) }
    }

    /// The present moment.
    pub fn now(&self) -> Time {
        Time(self.steady().saturating_add(self.ahead.load(Ordering::SeqCst)))
    }

    /// Whoever keeps the clock has said that it was `said` just now.
    pub fn hears(&self, said: Time) {
        if self.now().0.abs_diff(said.0) > SAME_MS.unsigned_abs() {
            self.ahead.store(said.0.saturating_sub(self.steady()), Ordering::SeqCst);
        }
    }

    fn steady(&self) -> i64 {
        i64::try_from(self.since.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

impl Clock {
    /// A clock that stands at `time`.
    pub fn standing_at(time: Time) -> Self {
        Self::Set(Arc::new(AtomicI64::new(time.as_millis())))
    }

    /// The present moment.
    pub fn now(&self) -> Time {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Set(ms) => Time(ms.load(Ordering::SeqCst)),
            Self::Shared(clock) => clock.now(),
        }
    }

    /// Moves a standing clock; the machine's own cannot be moved.
    pub fn advance(&self, span: Duration) {
        if let Self::Set(ms) = self {
            ms.store(self.now().after(span).as_millis(), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_clock_goes_by_what_it_hears_and_not_by_the_machine() {
        let (hour, said) = (Duration::from_secs(3600), Time::from_millis(1_772_366_400_000));
        let clock = SharedClock::showing(said);
        let near = |one: Time, other: Time| one.since(other) + other.since(one) < Duration::from_secs(30);
        assert!(near(clock.now(), said));
        for told in [said.after(hour), said.before(hour)] {
            clock.hears(told);
            assert!(near(clock.now(), told), "{:?} after it heard {told:?}", clock.now());
        }
        let before = clock.now();
        // an answer that was long on its way
        clock.hears(before.before(Duration::from_millis(50)));
        assert!(clock.now() >= before, "time does not go back for so little");
    }
}
