//! Finds any of many texts in a longer one, by looking at few of its bytes.
//!
//! Of each text's beginning all runs of some bytes are known. One such run of the longer text is looked at, and then the
//! one so many bytes after it that none of the texts can stand between them. Short texts let little be skipped, so they
//! are looked for by pairs of bytes, which say less but lie closer to their ends.

use std::ops::Range;

use super::{
    filter::{Filter, PAIR, RUN, STEP_MAX, hash, pair_at, run_at},
    forms::Piece,
};

/// From which lengths on texts may have a search of their own.
const SPLITS: std::ops::RangeInclusive<usize> = 5..=16;
/// What it costs to look at a pair, to look at a run, and to look closer in vain, beside each other.
const COST_OF_PAIR: f64 = 0.2;
const COST_OF_RUN: f64 = 0.42;
const COST_OF_HIT: f64 = 5.0;
/// So many pairs are usual in texts; those of secrets are mostly among them.
const USUAL_PAIRS: f64 = 4096.0;

/// Several texts of some length.
pub(super) struct Finder {
    texts: Vec<Piece>,
    /// So many bytes lie between two places that are looked at: every text has one of its runs there, wherever it stands.
    step: usize,
    kind: Kind,
    filter: Filter,
    /// What the texts have in their first `step` places, by its hash.
    runs: Vec<Known>,
    /// Where those begin whose hash begins so.
    heads: Vec<u32>,
    shift: u32,
}

/// A run of a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    run: u32,
    /// How the text begins, so that most others need not be fetched.
    begins: u32,
    number: u32,
    place: u32,
}

/// By what a search finds its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pairs,
    Runs,
}

impl Finder {
    /// Searches for texts of at least four bytes: one, or one for the short and one for the long, whatever is faster.
    pub(super) fn several(mut texts: Vec<Piece>) -> Vec<Self> {
        texts.sort_by_key(|piece| piece.text.len());
        let lengths: Vec<usize> = texts.iter().map(|piece| piece.text.len()).collect();
        let splits = SPLITS.map(|from| lengths.partition_point(|length| *length < from));
        let costs = |at: &usize| cost(Kind::Pairs, &lengths[..*at]) + cost(Kind::Runs, &lengths[*at..]);
        let split = [0].into_iter().chain(splits).min_by(|one, other| costs(one).total_cmp(&costs(other)));
        let long = texts.split_off(split.unwrap_or(0));
        let both = [(Kind::Pairs, texts), (Kind::Runs, long)];
        both.into_iter().filter(|(_, texts)| !texts.is_empty()).map(|(kind, texts)| Self::of(kind, texts)).collect()
    }

    /// The texts are sorted by their lengths.
    fn of(kind: Kind, texts: Vec<Piece>) -> Self {
        let step = kind.step(texts.first().map_or(RUN, |piece| piece.text.len()));
        let mut runs = Vec::with_capacity(texts.len() * step);
        for (number, piece) in (0..).zip(&texts) {
            let begins = run_at(&piece.text, 0).unwrap_or(0);
            let known = |(place, at)| Some(Known { run: kind.at(&piece.text, at)?, begins, number, place });
            runs.extend((0..).zip(0..step).filter_map(known));
        }
        let bits = (runs.len() * 2).next_power_of_two().trailing_zeros().clamp(4, 20);
        let shift = 32 - bits;
        let head = |run: u32| (hash(run) >> shift) as usize;
        runs.sort_unstable_by_key(|known| (head(known.run), *known));
        let mut heads = vec![0; (1 << bits) + 1];
        runs.iter().for_each(|known| heads[head(known.run) + 1] += 1);
        (1..heads.len()).for_each(|at| heads[at] += heads[at - 1]);
        let known = runs.iter().map(|known| known.run);
        let filter = match kind {
            Kind::Pairs => Filter::of_pairs(known),
            Kind::Runs => Filter::of_runs(runs.len(), known),
        };
        Self { texts, step, kind, filter, runs, heads, shift }
    }

    /// Adds where the texts are.
    pub(super) fn find(&self, text: &[u8], found: &mut Vec<Range<usize>>) {
        self.filter.scan(self.step, text, &mut |at| self.compare(text, at, found));
    }

    /// Adds the texts that are there and have in this place what stands in it.
    fn compare(&self, text: &[u8], at: usize, found: &mut Vec<Range<usize>>) {
        let Some(run) = self.kind.at(text, at) else { return };
        let head = (hash(run) >> self.shift) as usize;
        let alike = self.heads[head] as usize..self.heads[head + 1] as usize;
        for known in self.runs[alike].iter().filter(|known| known.run == run) {
            let Some(begin) = at.checked_sub(known.place as usize) else { continue };
            if run_at(text, begin) == Some(known.begins) {
                found.extend(self.texts[known.number as usize].at(text, begin));
            }
        }
    }
}

impl Kind {
    /// How far apart places may lie for texts of at least this length.
    fn step(self, shortest: usize) -> usize {
        let width = match self {
            Self::Pairs => PAIR,
            Self::Runs => RUN,
        };
        (shortest.max(width) - width + 1).min(STEP_MAX)
    }

    fn at(self, text: &[u8], at: usize) -> Option<u32> {
        match self {
            Self::Pairs => pair_at(text, at),
            Self::Runs => run_at(text, at),
        }
    }
}

/// About what it costs to look for texts of these lengths, shortest first, in a byte of another text.
fn cost(kind: Kind, lengths: &[usize]) -> f64 {
    let Some(shortest) = lengths.first() else { return 0.0 };
    let step = kind.step(*shortest) as f64;
    match kind {
        Kind::Pairs => COST_OF_PAIR / step + COST_OF_HIT * lengths.len() as f64 / USUAL_PAIRS,
        Kind::Runs => COST_OF_RUN / step,
    }
}
