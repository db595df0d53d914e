//! Whether an action is tried again, by how its attempts ended so far. Pure.
//!
//! Two reasons, counted apart: what is nobody's code's fault, twice for every action; and ends of a job's own for which
//! its `retry` asks. So bad luck uses up nobody's retries, and each attempt has all limits of its own.

use std::fmt;

use crate::model::{ActionPlan, Conclusion, Verdict};

/// How often an action is tried again after a death that is nobody's code's fault.
const INFRASTRUCTURE_RETRIES: i64 = 2;

/// The attempt that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// From 2.
    pub number: i64,
    /// How many there are at most, if all goes on to end like this.
    pub of: i64,
    /// How many followed for the same reason before.
    pub used: i64,
    /// Why it follows.
    pub after: After,
}

/// What an attempt follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// A death that is nobody's code's fault.
    Infrastructure,
    /// The end of the job at this place, which its `retry` names.
    Job(usize),
}

/// The attempt that follows those that ended so, first to last, each with the ends of its jobs; `None`: none does.
pub fn again(plan: &ActionPlan, attempts: &[Vec<Verdict>]) -> Option<Again> {
    let (last, before) = attempts.split_last()?;
    let after = after(plan, last)?;
    let used = count(before.iter().filter(|ends| self::after(plan, ends) == Some(after)).count());
    let may = match after {
        After::Infrastructure => INFRASTRUCTURE_RETRIES,
        After::Job(place) => plan.jobs.get(place)?.retry.as_ref().map_or(0, |retry| i64::from(retry.max)),
    };
    let tried = count(attempts.len());
    (used < may).then(|| Again { number: tried + 1, of: tried + may - used, used, after })
}

fn after(plan: &ActionPlan, ends: &[Verdict]) -> Option<After> {
    if ends.iter().any(|end| matches!(end, Verdict::Infrastructure { .. })) {
        return Some(After::Infrastructure);
    }
    let wants = |(job, end): (&crate::model::JobPlan, &Verdict)| job.retry.as_ref().is_some_and(|r| r.heeds(end));
    // of an end for which nobody asked, another job's wish makes nothing better
    let stops = |(job, end): (&crate::model::JobPlan, &Verdict)| !end.conclusion().lets_go_on() && !job.allow_failure;
    let wish = plan.jobs.iter().zip(ends).position(wants)?;
    let stop = plan.jobs.iter().zip(ends).position(stops);
    stop.is_none_or(|stop| wish == stop).then_some(After::Job(wish))
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// "attempt 2 of 3".
impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after {
            After::Infrastructure => write!(f, "{}, attempt {} of {}", Conclusion::Error, self.number, self.of),
            After::Job(_) => write!(f, "attempt {} of {}", self.number, self.of),
        }
    }
}
