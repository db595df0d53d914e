//! Which places of a text are worth a closer look. Nearly none is, so that this is where the time goes: a place costs a few
//! instructions, and several are looked at before anything is decided.

/// Bytes of a pair, which is looked up as it is.
pub(super) const PAIR: usize = 2;
/// Bytes of a run, which is looked up by a hash.
pub(super) const RUN: usize = 4;
/// More is skipped at no gain.
pub(super) const STEP_MAX: usize = 16;

/// Places that are looked at together.
const LANES: usize = 8;
const PAIRS: usize = 1 << 16;
/// A filter of runs has so many words of 64 bits: few for few runs, and as many as a processor has at hand for more.
const FEW: usize = 1 << 8;
const MANY: usize = 1 << 12;
/// So many bits for each run keep others out.
const BITS_OF_RUN: usize = 64;

/// What knows the beginnings of places, and perhaps a few others.
pub(super) enum Filter {
    /// A byte for every pair that there can be.
    Pairs(Box<[u8; PAIRS]>),
    /// A bit for each run's hash.
    FewRuns(Box<[u64; FEW]>),
    /// The same for many of them.
    ManyRuns(Box<Twice>),
}

impl Filter {
    /// Of pairs.
    pub(super) fn of_pairs(pairs: impl Iterator<Item = u32>) -> Self {
        let mut table = Box::new([0; PAIRS]);
        pairs.for_each(|pair| table[pair as usize % PAIRS] = 1);
        Self::Pairs(table)
    }

    /// Of so many runs.
    pub(super) fn of_runs(count: usize, runs: impl Iterator<Item = u32>) -> Self {
        if count * BITS_OF_RUN <= FEW * 64 {
            Self::FewRuns(with_bits(runs))
        } else {
            Self::ManyRuns(Box::new(Twice::of(runs)))
        }
    }

    /// Calls `hit` with every place, of those that are `step` bytes apart, whose beginning is known.
    pub(super) fn scan(&self, step: usize, text: &[u8], hit: &mut dyn FnMut(usize)) {
        match self {
            Self::Pairs(table) => by_step(&**table, step, text, hit),
            Self::FewRuns(bits) => by_step(&**bits, step, text, hit),
            Self::ManyRuns(bits) => by_step(&**bits, step, text, hit),
        }
    }
}

/// What stands at a place.
pub(super) fn pair_at(text: &[u8], at: usize) -> Option<u32> {
    text.get(at..)?.first_chunk::<PAIR>().map(|pair| u16::from_le_bytes(*pair).into())
}

/// What stands at a place.
pub(super) fn run_at(text: &[u8], at: usize) -> Option<u32> {
    text.get(at..)?.first_chunk::<RUN>().map(|run| u32::from_le_bytes(*run))
}

/// Its upper bits are those that count.
pub(super) const fn hash(run: u32) -> u32 {
    run.wrapping_mul(0x9e37_79b1)
}

trait Look {
    /// Bytes that are looked at.
    const WIDTH: usize;
    /// Not 0: perhaps what begins there is known.
    fn sees(&self, text: &[u8], at: usize) -> u64;
    /// The same, of what was seen.
    fn sees_again(&self, _: &[u8], _: usize) -> bool {
        true
    }
}

impl Look for [u8; PAIRS] {
    const WIDTH: usize = PAIR;
    fn sees(&self, text: &[u8], at: usize) -> u64 {
        self[pair_at(text, at).unwrap_or(0) as usize % PAIRS].into()
    }
}

impl<const WORDS: usize> Look for [u64; WORDS] {
    const WIDTH: usize = RUN;
    fn sees(&self, text: &[u8], at: usize) -> u64 {
        let (word, bit) = word_and_bit::<WORDS>(hash(run_at(text, at).unwrap_or(0)));
        (self[word] >> bit) & 1
    }
}

/// Two filters. The second is asked for what passes the first, and is small: it saves the way to what it keeps away,
/// which lies far from the processor.
pub(super) struct Twice {
    first: [u64; MANY],
    second: [u64; FEW * 4],
}

impl Twice {
    fn of(runs: impl Iterator<Item = u32>) -> Self {
        let mut both = Self { first: [0; MANY], second: [0; FEW * 4] };
        for run in runs {
            set(&mut both.first, hash(run));
            set(&mut both.second, other_hash(run));
        }
        both
    }
}

impl Look for Twice {
    const WIDTH: usize = RUN;
    fn sees(&self, text: &[u8], at: usize) -> u64 {
        self.first.sees(text, at)
    }
    fn sees_again(&self, text: &[u8], at: usize) -> bool {
        let (word, bit) = word_and_bit::<{ FEW * 4 }>(other_hash(run_at(text, at).unwrap_or(0)));
        (self.second[word] >> bit) & 1 != 0
    }
}

const fn other_hash(run: u32) -> u32 {
    run.wrapping_mul(0x85eb_ca6b)
}

fn set<const WORDS: usize>(bits: &mut [u64; WORDS], hash: u32) {
    let (word, bit) = word_and_bit::<WORDS>(hash);
    bits[word] |= 1 << bit;
}

fn with_bits<const WORDS: usize>(runs: impl Iterator<Item = u32>) -> Box<[u64; WORDS]> {
    let mut bits = Box::new([0; WORDS]);
    runs.for_each(|run| set(&mut bits, hash(run)));
    bits
}

const fn word_and_bit<const WORDS: usize>(hash: u32) -> (usize, u32) {
    let bits = 32 - WORDS.trailing_zeros();
    ((hash >> bits) as usize % WORDS, hash >> (bits - 6) & 63)
}

/// The steps are constants to the compiler, which makes one read of each place.
fn by_step<L: Look>(look: &L, step: usize, text: &[u8], hit: &mut dyn FnMut(usize)) {
    match step {
        2 => scan::<L, 2>(look, text, hit),
        3 => scan::<L, 3>(look, text, hit),
        4 => scan::<L, 4>(look, text, hit),
        5 => scan::<L, 5>(look, text, hit),
        6 => scan::<L, 6>(look, text, hit),
        7 => scan::<L, 7>(look, text, hit),
        8 => scan::<L, 8>(look, text, hit),
        9 => scan::<L, 9>(look, text, hit),
        10 => scan::<L, 10>(look, text, hit),
        11 => scan::<L, 11>(look, text, hit),
        12 => scan::<L, 12>(look, text, hit),
        13 => scan::<L, 13>(look, text, hit),
        14 => scan::<L, 14>(look, text, hit),
        15 => scan::<L, 15>(look, text, hit),
        STEP_MAX => scan::<L, STEP_MAX>(look, text, hit),
        // every place is looked at, which finds as much
        _ => scan::<L, 1>(look, text, hit),
    }
}

fn scan<L: Look, const STEP: usize>(look: &L, text: &[u8], hit: &mut dyn FnMut(usize)) {
    let mut at = 0;
    while let Some(block) = text.get(at..at + STEP * (LANES - 1) + L::WIDTH) {
        let sees = |lane: usize| look.sees(block, lane * STEP);
        // written out: a compiler that makes small programs would not unroll it
        let seen = sees(0) | sees(1) | sees(2) | sees(3) | sees(4) | sees(5) | sees(6) | sees(7);
        if seen != 0 {
            let lanes = (0..LANES).filter(|lane| sees(*lane) != 0 && look.sees_again(block, lane * STEP));
            lanes.for_each(|lane| hit(at + lane * STEP));
        }
        at += STEP * LANES;
    }
    while at + L::WIDTH <= text.len() {
        if look.sees(text, at) != 0 {
            hit(at);
        }
        at += STEP;
    }
}
