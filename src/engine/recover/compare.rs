//! Which heads were missed: what the forge lists, held against what was seen there last and what deliveries told.
//!
//! A head that is not where the sweep saw it last has moved since then. If a delivery told that it is there, and came
//! no earlier than that, it is that movement's, in whatever order deliveries came. If none did for long enough, the
//! movement was missed. So a branch that goes from A to B and back to A is noticed although A is known.

use std::{collections::HashMap, time::Duration};

use crate::{
    forge::{Head, Heads},
    model::{Sha, Time},
    store::HeadRow,
};

/// A webhook may be under way, or wait in our own queue, for so long.
pub(super) const GRACE: Duration = Duration::from_secs(120);
/// A forge's list may be older than its webhooks: a delivery that came this much before the list counts as later.
pub(super) const SLACK: Duration = Duration::from_secs(15 * 60);
/// More new tags than this at once were copied from somewhere, and are no releases of today.
const NEW_TAGS_MOST: usize = 20;

/// What is known of a repository's heads.
#[derive(Debug)]
pub(super) struct Known {
    /// As the sweep saw them last.
    pub(super) seen: Vec<HeadRow>,
    /// What deliveries told: a head, where it was, and when that came.
    pub(super) told: Vec<(String, Sha, Time)>,
    /// When the heads were listed last; `None`: never.
    pub(super) listed: Option<Time>,
}

/// What follows from a list of heads.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    /// Rows that are new, or no longer as they were.
    pub(super) changed: Vec<HeadRow>,
    /// Heads that are no longer there.
    pub(super) gone: Vec<String>,
    /// Heads that nothing has told of for long enough.
    pub(super) missed: Vec<(Head, HeadRow)>,
    /// How many are missed for less than that.
    pub(super) waiting: usize,
    /// How many new tags came at once and are taken as seen.
    pub(super) copied: usize,
}

/// Compares. Of a repository that is listed for the first time all is taken as seen: it is not known what of it was
/// built by somebody else. So is what is new in a list that was cut: it may have been behind the cut before.
pub(super) fn compare(listed: Heads, known: &Known, now: Time) -> Compared {
    let mut seen: HashMap<&str, &HeadRow> = known.seen.iter().map(|row| (row.name.as_str(), row)).collect();
    let told: HashMap<(&str, &Sha), Time> =
        known.told.iter().map(|(name, sha, at)| ((name.as_str(), sha), *at)).collect();
    let new_tags = listed.heads.iter().filter(|head| is_tag(head) && !seen.contains_key(head.name.as_str())).count();
    let is_cut = |name: &str| listed.cut.iter().any(|kind| name.starts_with(kind));
    let copied = known.listed.is_some() && !is_cut("refs/tags/") && new_tags > NEW_TAGS_MOST;
    let mut compared = Compared { copied: if copied { new_tags } else { 0 }, ..Compared::default() };
    for head in listed.heads {
        let old = seen.remove(head.name.as_str());
        let mut row = row(&head, old, known.listed.unwrap_or(now), now);
        let as_seen = known.listed.is_none() || (old.is_none() && (is_cut(&head.name) || copied && is_tag(&head)));
        let is_told = || told.get(&(head.name.as_str(), &head.sha)).is_some_and(|at| at.after(SLACK) >= row.after);
        if row.settled.is_none() && (as_seen || is_told()) {
            row.settled = Some(now);
        }
        compared.add(head, old, row, now);
    }
    compared.gone = seen.into_keys().filter(|name| !is_cut(name)).map(str::to_owned).collect();
    compared.gone.sort_unstable();
    compared
}

impl Compared {
    fn add(&mut self, head: Head, old: Option<&HeadRow>, row: HeadRow, now: Time) {
        if old != Some(&row) {
            self.changed.push(row.clone());
        }
        match row.settled {
            Some(_) => {}
            None if now.since(row.noticed) >= GRACE => self.missed.push((head, row)),
            None => self.waiting += 1,
        }
    }
}

/// A head's row: as it was, or that it came to be there since the heads were listed last.
fn row(head: &Head, old: Option<&HeadRow>, last: Time, now: Time) -> HeadRow {
    let before = match old {
        Some(old) if old.sha == head.sha => return old.clone(),
        // what was missed and is overtaken was never built: the next is compared with what was
        Some(old) if old.settled.is_none() => old.before.clone(),
        Some(old) => old.sha.clone(),
        None => zeros(&head.sha),
    };
    HeadRow { name: head.name.clone(), sha: head.sha.clone(), before, after: last, noticed: now, settled: None }
}

fn is_tag(head: &Head) -> bool {
    head.name.starts_with("refs/tags/")
}

/// As many zeros as a sha of the repository has digits.
fn zeros(sha: &Sha) -> Sha {
    "0".repeat(sha.as_str().len()).parse().unwrap_or_else(|_| sha.clone())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minute: i64) -> Time {
        Time::from_millis(1_772_366_400_000 + minute * 60_000)
    }

    fn sha(digit: u8) -> Sha {
        char::from(b'a' + digit).to_string().repeat(40).parse().expect("a sha")
    }

    fn listed(heads: &[(&str, u8)]) -> Heads {
        let head = |&(name, digit): &(&str, u8)| Head {
            name: name.to_owned(),
            sha: sha(digit),
            told: serde_json::Value::Null,
        };
        Heads { heads: heads.iter().map(head).collect(), cut: Vec::new() }
    }

    /// What the sweep knows after a first look.
    fn known(heads: &[(&str, u8)]) -> Known {
        let first = compare(listed(heads), &Known { seen: Vec::new(), told: Vec::new(), listed: None }, at(0));
        assert_eq!((first.waiting, first.missed.len()), (0, 0), "all is taken as seen");
        Known { seen: first.changed, told: Vec::new(), listed: Some(at(0)) }
    }

    /// Applies a look, as the engine does.
    fn look(known: &mut Known, heads: Heads, now: Time) -> Compared {
        let compared = compare(heads, known, now);
        let missed = compared.missed.iter().map(|(_, row)| HeadRow { settled: Some(now), ..row.clone() });
        for row in compared.changed.iter().cloned().chain(missed) {
            known.seen.retain(|old| old.name != row.name);
            known.seen.push(row);
        }
        known.seen.retain(|row| !compared.gone.contains(&row.name));
        known.listed = Some(now);
        compared
    }

    #[test]
    fn what_moves_untold_is_missed_after_the_grace() {
        let mut known = known(&[("refs/heads/main", 0)]);
        assert_eq!(look(&mut known, listed(&[("refs/heads/main", 1)]), at(5)).waiting, 1);
        assert_eq!(look(&mut known, listed(&[("refs/heads/main", 1)]), at(6)).missed, []);
        let missed = look(&mut known, listed(&[("refs/heads/main", 1)]), at(7)).missed;
        let [(_, row)] = missed.as_slice() else { panic!("{missed:?}") };
        assert_eq!((&row.before, row.after, row.noticed), (&sha(0), at(0), at(5)));
        assert_eq!(look(&mut known, listed(&[("refs/heads/main", 1)]), at(12)), Compared::default());
    }

    #[test]
    fn what_is_missed_and_overtaken_is_compared_with_what_was_built() {
        let mut known = known(&[("refs/heads/main", 0)]);
        look(&mut known, listed(&[("refs/heads/main", 1)]), at(5));
        look(&mut known, listed(&[("refs/heads/main", 2)]), at(6));
        let missed = look(&mut known, listed(&[("refs/heads/main", 2)]), at(8)).missed;
        assert_eq!((missed.len(), &missed[0].1.before, &missed[0].1.sha), (1, &sha(0), &sha(2)));
    }

    #[test]
    fn what_was_told_before_the_head_was_elsewhere_does_not_count() {
        let mut known = known(&[("refs/heads/main", 1)]);
        known.told.push(("refs/heads/main".to_owned(), sha(0), at(-60)));
        look(&mut known, listed(&[("refs/heads/main", 0)]), at(5));
        assert_eq!(look(&mut known, listed(&[("refs/heads/main", 0)]), at(7)).missed.len(), 1);
    }

    #[test]
    fn what_is_new_in_a_list_that_is_cut_was_there_before() {
        let mut known = known(&[("refs/heads/a", 0), ("refs/heads/z", 0)]);
        let mut cut = listed(&[("refs/heads/a", 1), ("refs/heads/b", 1), ("refs/pull/1", 1)]);
        cut.cut.push("refs/heads/");
        look(&mut known, cut.clone(), at(5));
        let compared = look(&mut known, cut, at(8));
        let names: Vec<_> = compared.missed.iter().map(|(head, _)| head.name.as_str()).collect();
        assert_eq!(names, ["refs/heads/a", "refs/pull/1"]);
        assert!(known.seen.iter().any(|row| row.name == "refs/heads/z"), "it may be behind the cut");
    }

    #[test]
    fn a_head_that_is_gone_is_new_when_it_comes_back() {
        let mut known = known(&[("refs/heads/main", 0), ("refs/heads/idea", 0)]);
        assert_eq!(look(&mut known, listed(&[("refs/heads/main", 0)]), at(5)).gone, ["refs/heads/idea"]);
        look(&mut known, listed(&[("refs/heads/main", 0), ("refs/heads/idea", 0)]), at(10));
        let missed = look(&mut known, listed(&[("refs/heads/main", 0), ("refs/heads/idea", 0)]), at(12)).missed;
        assert!(missed[0].1.before.is_zero());
    }

    /// A movement of the branch: how long after the one before, and after how many minutes its webhook comes, if ever.
    fn movement() -> impl Strategy<Value = (i64, Option<i64>)> {
        (1_i64..30, prop_oneof![3 => Just(Some(0)), 1 => (0_i64..2).prop_map(Some), 2 => Just(None)])
    }

    proptest! {
        /// A branch goes from commit to commit; a look every few minutes. Each movement is told of or missed, never
        /// both, unless the next one came before anybody could notice; and the last one is never left out.
        #[test]
        fn a_movement_is_told_of_or_missed_and_never_both(moves in vec(movement(), 1..12), pause in 1_i64..8) {
            let mut known = known(&[("refs/heads/main", 0)]);
            let (mut now, mut schedule) = (0, Vec::new());
            for (n, (after, told)) in moves.iter().enumerate() {
                now += after;
                schedule.push((now, told.map(|delay| now + delay), u8::try_from(n % 5 + 1).expect("small")));
            }
            // a commit that is visited again within the slack counts as told of
            let told_lately = |minute: i64, digit: u8| schedule.iter().any(|(_, told, d)| {
                *d == digit && told.is_some_and(|told| told <= minute && at(told).after(SLACK + 10 * MINUTE) >= at(minute))
            });
            let end = now + 30;
            let mut missed = Vec::new();
            for minute in 1..=end {
                for (_, told, digit) in schedule.iter().filter(|(_, told, _)| *told == Some(minute)) {
                    known.told.retain(|(_, old, _)| *old != sha(*digit));
                    known.told.push(("refs/heads/main".to_owned(), sha(*digit), at(told.expect("it is"))));
                }
                if minute % pause == 0 {
                    let here = schedule.iter().rev().find(|(moved, _, _)| *moved <= minute).map_or(0, |(_, _, d)| *d);
                    let compared = look(&mut known, listed(&[("refs/heads/main", here)]), at(minute));
                    missed.extend(compared.missed.into_iter().map(|(_, row)| (minute, row)));
                }
            }
            for (minute, row) in &missed {
                let movement = schedule.iter().rev().find(|(moved, _, _)| at(*moved) <= row.noticed).expect("it moved");
                prop_assert!(movement.1.is_none_or(|told| told > *minute), "told of, and missed: {row:?}");
            }
            let mut once: Vec<_> = missed.iter().map(|(_, row)| row.noticed).collect();
            once.dedup();
            prop_assert_eq!(once.len(), missed.len(), "missed once");
            let (_, told, digit) = *schedule.last().expect("it moved");
            let found = missed.last().is_some_and(|(_, row)| row.sha == sha(digit));
            prop_assert!(told.is_some() || found || told_lately(end, digit), "the last movement is left out");
        }
    }
}
