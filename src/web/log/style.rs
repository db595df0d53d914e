//! What `ESC [ … m` says about the characters that follow, and the classes that stand for it in HTML.
//! Classes and not `style=`, because the pages' policy forbids inline styles: a log must never be able to bring one.

use anstyle_parse::Params;

/// How a character looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// One of the 256 colours; `None`: the page's own.
    pub foreground: Option<u8>,
    /// One of the 256 colours; `None`: the page's own.
    pub background: Option<u8>,
    marks: u8,
    /// What somebody looks for is here.
    pub found: bool,
}

const BOLD: u8 = 1;
const DIM: u8 = 1 << 1;
const ITALIC: u8 = 1 << 2;
const UNDERLINE: u8 = 1 << 3;
const INVERSE: u8 = 1 << 4;
const STRIKE: u8 = 1 << 5;

/// Each mark and its class.
const MARKS: [(u8, &str); 6] =
    [(BOLD, "sb"), (DIM, "sd"), (ITALIC, "si"), (UNDERLINE, "su"), (INVERSE, "sv"), (STRIKE, "ss")];

impl Style {
    /// The page's own.
    pub const PLAIN: Self = Self { foreground: None, background: None, marks: 0, found: false };

    /// Takes a whole `SGR` sequence; what it does not know it leaves alone.
    pub fn select(&mut self, params: &Params) {
        let groups: Vec<&[u16]> = params.iter().collect();
        let mut rest = groups.as_slice();
        while let Some((group, after)) = rest.split_first() {
            rest = after;
            match group {
                [38, colour @ ..] => rest = Self::extended(&mut self.foreground, colour, rest),
                [48, colour @ ..] => rest = Self::extended(&mut self.background, colour, rest),
                [58, colour @ ..] => rest = Self::extended(&mut None, colour, rest),
                // `4:0` is "no underline", `4:3` a curly one
                [4, 0] => self.marks &= !UNDERLINE,
                [code, ..] => self.simple(*code),
                [] => {}
            }
        }
    }

    fn simple(&mut self, code: u16) {
        match code {
            0 => *self = Self::default(),
            1 => self.marks |= BOLD,
            2 => self.marks |= DIM,
            3 => self.marks |= ITALIC,
            4 | 21 => self.marks |= UNDERLINE,
            7 => self.marks |= INVERSE,
            9 => self.marks |= STRIKE,
            22 => self.marks &= !(BOLD | DIM),
            23 => self.marks &= !ITALIC,
            24 => self.marks &= !UNDERLINE,
            27 => self.marks &= !INVERSE,
            29 => self.marks &= !STRIKE,
            39 => self.foreground = None,
            49 => self.background = None,
            30..=37 => self.foreground = low(code, 30),
            40..=47 => self.background = low(code, 40),
            90..=97 => self.foreground = low(code, 82),
            100..=107 => self.background = low(code, 92),
            _ => {}
        }
    }

    /// `38;5;n`, `38;2;r;g;b`, and the same with colons, where `colour` holds what follows the first colon.
    fn extended<'a, 'b>(place: &mut Option<u8>, colour: &[u16], rest: &'a [&'b [u16]]) -> &'a [&'b [u16]] {
        if !colour.is_empty() {
            match colour {
                [5, n] => *place = u8::try_from(*n).ok(),
                [2, r, g, b] | [2, _, r, g, b, ..] => *place = Some(nearest([*r, *g, *b])),
                _ => {}
            }
            return rest;
        }
        match rest {
            [[5], [n], rest @ ..] => {
                *place = u8::try_from(*n).ok();
                rest
            }
            [[2], [r], [g], [b], rest @ ..] => {
                *place = Some(nearest([*r, *g, *b]));
                rest
            }
            _ => &[],
        }
    }

    /// The classes of it; empty for a plain character.
    pub fn classes(&self) -> String {
        let colours = [('f', self.foreground), ('b', self.background)];
        let colours = colours.iter().filter_map(|(kind, n)| n.map(|n| format!("{kind}{n}")));
        let marks = MARKS.iter().filter(|(mark, _)| self.marks & mark != 0).map(|(_, class)| (*class).to_owned());
        colours.chain(marks).collect::<Vec<_>>().join(" ")
    }
}

fn low(code: u16, base: u16) -> Option<u8> {
    u8::try_from(code - base).ok()
}

/// The nearest of the colours 16 to 255: a cube of six steps a side, and 24 greys.
fn nearest(rgb: [u16; 3]) -> u8 {
    let wanted = rgb.map(|c| i32::from(c.min(255)));
    let distance =
        |n: &u8| -> i32 { super::palette::rgb(*n).iter().zip(wanted).map(|(&a, b)| (i32::from(a) - b).pow(2)).sum() };
    (16..=255).min_by_key(distance).unwrap_or(16)
}
