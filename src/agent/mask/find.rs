//! Finds any of many texts in a longer one, by looking at few of its bytes.

use std::ops::Range;

/// Bytes of a run: what is looked at together.
const RUN: usize = 4;
/// From each of these lengths on texts are searched by themselves: the longer they are, the more bytes can be skipped.
const TIERS: [usize; 2] = [8, 12];
/// More is skipped at no gain.
const STEP_MAX: usize = 16;
/// The filter has so many bits for each run that it knows, within limits that fit into a processor's nearest memory.
const BITS_OF_RUN: usize = 64;
const BITS_MIN: u32 = 12;
const BITS_MAX: u32 = 19;

/// Several texts of some length.
#[derive(Clone)]
pub(super) struct Finder {
    texts: Vec<Vec<u8>>,
    /// A run of the text is looked at, and then the one so many bytes after it: every text has one of its runs there,
    /// wherever it stands.
    step: usize,
    /// A bit is set for every run that a text has in its first `step` places; some others have it, too.
    filter: Vec<u64>,
    shift: u32,
    /// Those runs, sorted, each with the text and the place that it has in it.
    runs: Vec<(u32, u32, u32)>,
}

impl Finder {
    /// Searches for texts of at least four bytes, one for each tier of lengths.
    pub(super) fn several(texts: Vec<Vec<u8>>) -> Vec<Self> {
        let mut tiers = vec![Vec::new(); TIERS.len() + 1];
        for text in texts {
            let tier = TIERS.iter().filter(|from| text.len() >= **from).count();
            tiers[tier].push(text);
        }
        tiers.into_iter().filter(|texts| !texts.is_empty()).map(Self::of).collect()
    }

    fn of(texts: Vec<Vec<u8>>) -> Self {
        let shortest = texts.iter().map(Vec::len).min().unwrap_or(RUN).max(RUN);
        let step = (shortest - RUN + 1).min(STEP_MAX);
        let mut runs = Vec::with_capacity(texts.len() * step);
        for (number, text) in texts.iter().enumerate() {
            for place in 0..step {
                if let Some(run) = run_at(text, place) {
                    runs.push((run, u32::try_from(number).unwrap_or(u32::MAX), u32::try_from(place).unwrap_or(0)));
                }
            }
        }
        runs.sort_unstable();
        let bits = (runs.len() * BITS_OF_RUN).next_power_of_two().trailing_zeros().clamp(BITS_MIN, BITS_MAX);
        let mut finder = Self { texts, step, filter: vec![0; 1 << (bits - 6)], shift: 32 - bits, runs };
        for at in 0..finder.runs.len() {
            let bit = finder.bit(finder.runs[at].0);
            finder.filter[bit / 64] |= 1 << (bit % 64);
        }
        finder
    }

    /// Adds where the texts are.
    pub(super) fn find(&self, text: &[u8], found: &mut Vec<Range<usize>>) {
        let mut at = 0;
        while let Some(run) = run_at(text, at) {
            let bit = self.bit(run);
            if self.filter[bit / 64] & (1 << (bit % 64)) != 0 {
                self.compare(text, at, run, found);
            }
            at += self.step;
        }
    }

    /// Adds the texts that are there and have this run where it is.
    fn compare(&self, text: &[u8], at: usize, run: u32, found: &mut Vec<Range<usize>>) {
        let first = self.runs.partition_point(|known| known.0 < run);
        for (_, number, place) in self.runs[first..].iter().take_while(|known| known.0 == run) {
            let Some(begin) = at.checked_sub(*place as usize) else { continue };
            let wanted = &self.texts[*number as usize];
            if text[begin..].starts_with(wanted) {
                found.push(begin..begin + wanted.len());
            }
        }
    }

    const fn bit(&self, run: u32) -> usize {
        (run.wrapping_mul(0x9e37_79b1) >> self.shift) as usize
    }
}

fn run_at(text: &[u8], at: usize) -> Option<u32> {
    text.get(at..)?.first_chunk::<RUN>().map(|run| u32::from_le_bytes(*run))
}
