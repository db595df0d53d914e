//! How much may be told now. Pure.

use crate::{
    forge::{Allowance, Writes},
    store::{ReportRow, Spent},
};

/// Of a context's states so many are kept for last words: one in ten.
const KEPT_OF_STATES: i64 = 10;
/// Of a minute's calls so many are kept for last words: one in four.
const KEPT_OF_MINUTE: i64 = 4;

/// What is left of an account's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Calls for last words.
    last_words: i64,
    /// Calls for anything else.
    others: i64,
}

/// Whether a report may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Now.
    Now,
    /// When the budget is renewed.
    Later,
    /// Never, for this reason, which is for people.
    Never(String),
}

impl Room {
    /// What `spent` leaves. Every context that is still open keeps its place in the hour, up to most of it.
    pub(super) fn of(writes: Option<Writes>, spent: Spent, open: i64) -> Self {
        let Some(Writes { per_minute, per_hour }) = writes else {
            return Self { last_words: i64::MAX, others: i64::MAX };
        };
        let (minute, hour) = (per_minute - spent.minute, per_hour - spent.hour);
        let kept = open.min(per_hour * 7 / 10);
        Self { last_words: minute.min(hour), others: (minute - per_minute / KEPT_OF_MINUTE).min(hour - kept) }
    }

    /// Whether the report may be told, and its place taken if so.
    pub(super) fn decide(&mut self, row: &ReportRow, allowance: &Allowance) -> Decision {
        let is_final = row.wanted.progress.is_final();
        if let Some(reason) = allowance.states.and_then(|states| full(row.calls, states, is_final)) {
            return Decision::Never(reason);
        }
        if (if is_final { self.last_words } else { self.others }) <= 0 {
            return Decision::Later;
        }
        self.last_words -= 1;
        self.others -= 1;
        Decision::Now
    }

    /// Why what waits does so, and whether last words wait, too; `None` if nothing has to.
    pub(super) fn shortage(&self, allowance: &Allowance) -> Option<(i64, String)> {
        let Writes { per_minute, per_hour } = allowance.writes?;
        let budget = format!("{per_minute} calls a minute and {per_hour} an hour are what {} takes", allowance.account);
        if self.last_words <= 0 {
            return Some((1, format!("waits for its turn: {budget}")));
        }
        (self.others <= 0).then(|| (0, format!("waits: {budget}, and the rest of them is kept for final states")))
    }
}

fn full(calls: i64, states: i64, is_final: bool) -> Option<String> {
    if calls >= states {
        return Some(format!(
            "the forge takes {states} states of one context on one commit, and has them; it shows an old one"
        ));
    }
    let kept = states / KEPT_OF_STATES;
    (!is_final && calls >= states - kept).then(|| {
        format!(
            "the forge takes {states} states of one context on one commit: the last {kept} are kept for final states"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GITHUB: Option<Writes> = Some(Writes { per_minute: 80, per_hour: 500 });

    #[test]
    fn room_is_what_the_shorter_period_leaves_and_last_words_have_more() {
        for (minute, hour, open, last_words, others) in [
            (0, 0, 0, 80, 60),
            (60, 60, 0, 20, 0),
            (80, 80, 0, 0, -20),
            (0, 450, 10, 50, 40),
            // 301 contexts of a run with 300 actions: 199 calls for states on the way, 301 for last words
            (0, 198, 301, 80, 1),
            (0, 199, 301, 80, 0),
            // thousands of open contexts do not silence everything
            (0, 0, 9000, 80, 60),
            (0, 149, 9000, 80, 1),
        ] {
            let room = Room::of(GITHUB, Spent { minute, hour }, open);
            assert_eq!(room, Room { last_words, others }, "{minute} {hour} {open}");
        }
        assert_eq!(Room::of(None, Spent { minute: 9999, hour: 9999 }, 5).others, i64::MAX);
    }

    #[test]
    fn a_contexts_last_states_are_final_ones() {
        let said = |calls, is_final| full(calls, 1000, is_final).map(|reason| reason.len() > 20);
        assert_eq!([said(899, false), said(900, false), said(999, false)], [None, Some(true), Some(true)]);
        assert_eq!([said(899, true), said(999, true), said(1000, true)], [None, None, Some(true)]);
    }
}
