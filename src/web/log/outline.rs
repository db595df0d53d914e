//! Which lines of a log a page shows when parts of it are folded. A folded part is one row, however many lines it has.

use std::ops::Range;

use crate::model::Fold;

/// What stands on a page, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// These lines.
    Lines(Range<u64>),
    /// A folded part.
    Folded(Fold),
}

/// A log's folded parts: all that hold none of the lines that people came for. They do not overlap.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    folded: Vec<Fold>,
    lines: u64,
}

impl Outline {
    /// Of a log of so many lines. `folds` are in the order of their first lines.
    pub fn new(folds: &[Fold], open: &[u64], lines: u64) -> Self {
        let mut folded: Vec<Fold> = Vec::new();
        for fold in folds.iter().filter(|fold| fold.last <= lines) {
            let within = folded.last().is_some_and(|outer| outer.holds(fold.first));
            if !within && !open.iter().any(|line| fold.holds(*line)) {
                folded.push(fold.clone());
            }
        }
        Self { folded, lines }
    }

    /// The same for a page that begins with `line`: in the midst of a part there is nothing else to show than it.
    pub fn beginning_with(self, line: u64) -> Self {
        let folded = self.folded.into_iter().filter(|fold| !(fold.holds(line) && fold.first < line));
        Self { folded: folded.collect(), ..self }
    }

    /// Whether the log has such a line.
    pub const fn has(&self, line: u64) -> bool {
        line <= self.lines
    }

    /// The first line of a page that has `rows` rows before the row of `line`, which may be the one behind the last.
    pub fn back(&self, line: u64, rows: u64) -> u64 {
        let (mut at, mut rows) = (line.clamp(1, self.lines + 1), rows);
        for fold in self.folded.iter().rev().filter(|fold| fold.first < line) {
            if fold.holds(at) {
                at = fold.first;
                continue;
            }
            let gap = at - (fold.last + 1);
            if rows <= gap {
                return at - rows;
            }
            (at, rows) = (fold.first, rows - gap - 1);
        }
        at.saturating_sub(rows).max(1)
    }

    /// What a page of so many rows shows that begins with `line`, and the line after it.
    pub fn from(&self, line: u64, rows: u64) -> (Vec<Shown>, u64) {
        let (mut at, mut rows, mut shown) = (line.max(1), rows, Vec::new());
        for fold in self.folded.iter().filter(|fold| fold.last >= line) {
            let before = at..fold.first.max(at).min(at + rows);
            rows -= before.end - before.start;
            at = before.end;
            if !before.is_empty() {
                shown.push(Shown::Lines(before));
            }
            if rows == 0 || at < fold.first {
                return (shown, at);
            }
            shown.push(Shown::Folded(fold.clone()));
            (at, rows) = (fold.last + 1, rows - 1);
        }
        let rest = at..(at + rows).min(self.lines + 1).max(at);
        at = rest.end;
        if !rest.is_empty() {
            shown.push(Shown::Lines(rest));
        }
        (shown, at)
    }
}
