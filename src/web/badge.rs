//! Badges: a picture of two words that stands in other people's pages. It needs no style sheet, no script and no font of
//! ours; how wide its words are is known beforehand.

use askama::Template;

use crate::model::Conclusion;

/// The longest word on the left.
const LONGEST: usize = 40;
/// Left and right of each word.
const PAD: u32 = 6;

/// What a badge says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Says {
    /// How the newest runs that have ended did, as one.
    Ended(Conclusion),
    /// Nothing has run there.
    NoRuns,
    /// There is no such repository, or whoever asks may not see it.
    Unknown,
}

impl Says {
    /// What several flows say together: the worst of it.
    pub(in crate::web) fn of(ends: impl Iterator<Item = Conclusion>) -> Self {
        ends.max_by_key(|end| rank(*end)).map_or(Self::NoRuns, Self::Ended)
    }

    /// The word on the right.
    pub(in crate::web) const fn words(self) -> &'static str {
        match self {
            Self::Ended(Conclusion::Success) => "passing",
            Self::Ended(Conclusion::Warning) => "passing, with warnings",
            Self::Ended(Conclusion::Failure) => "failing",
            Self::Ended(Conclusion::TimedOut) => "timed out",
            Self::Ended(Conclusion::Error) => "infrastructure error",
            Self::Ended(Conclusion::Cancelled) => "cancelled",
            Self::Ended(Conclusion::Skipped) => "skipped",
            Self::NoRuns => "no runs",
            Self::Unknown => "unknown",
        }
    }

    /// White words are read on each of these.
    const fn colour(self) -> &'static str {
        match self {
            Self::Ended(Conclusion::Success) => "#1b7a3c",
            Self::Ended(Conclusion::Warning | Conclusion::TimedOut | Conclusion::Error) => "#8f5d00",
            Self::Ended(Conclusion::Failure) => "#bf2c2c",
            Self::Ended(Conclusion::Cancelled | Conclusion::Skipped) | Self::NoRuns | Self::Unknown => "#5f6670",
        }
    }
}

const fn rank(end: Conclusion) -> u8 {
    match end {
        Conclusion::Skipped => 0,
        Conclusion::Cancelled => 1,
        Conclusion::Success => 2,
        Conclusion::Warning => 3,
        Conclusion::Error => 4,
        Conclusion::TimedOut => 5,
        Conclusion::Failure => 6,
    }
}

/// The picture.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "badge.svg", escape = "html")]
pub(in crate::web) struct Badge {
    label: String,
    words: &'static str,
    colour: &'static str,
    left: u32,
    right: u32,
}

impl Badge {
    /// One with this word on the left.
    pub(in crate::web) fn new(label: &str, says: Says) -> Self {
        let label: String = label.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
        let (left, right) = (width(&label) + 2 * PAD, width(says.words()) + 2 * PAD);
        Self { label, words: says.words(), colour: says.colour(), left, right }
    }

    fn whole(&self) -> u32 {
        self.left + self.right
    }

    fn middle(&self) -> u32 {
        self.left + self.right / 2
    }

    /// As long as a word is laid out to be, whatever font draws it.
    fn length(&self, side: u32) -> u32 {
        side.saturating_sub(2 * PAD)
    }
}

/// The width of a text in Verdana of 11 pixels, rounded up. A character that we do not know is a wide one.
pub(in crate::web) fn width(text: &str) -> u32 {
    text.chars().map(tenths).sum::<u32>().div_ceil(10)
}

/// Tenths of a pixel.
const fn tenths(c: char) -> u32 {
    match c {
        'i' | 'j' | 'l' | '\'' => 30,
        '|' | ' ' | ',' | '.' | 'f' | 'I' => 42,
        't' => 43,
        '!' | 'r' | '/' | '\\' | '(' | ')' | '[' | ']' | ':' | ';' | '-' | 'J' => 50,
        's' | 'c' | 'z' | '"' => 58,
        'k' | 'v' | 'x' | 'y' | '?' | 'L' | 'F' => 65,
        'a' | 'e' => 66,
        'b' | 'd' | 'g' | 'h' | 'n' | 'o' | 'p' | 'q' | 'u' | 'E' | 'P' | 'T' | 'Y' | '_' | '*' | '$' | '0'..='9' => 70,
        'A' | 'B' | 'C' | 'K' | 'S' | 'R' | 'V' | 'X' | 'Z' => 77,
        'D' | 'G' | 'H' | 'N' | 'O' | 'Q' | 'U' => 86,
        'w' | '#' | '+' | '<' | '=' | '>' | '~' => 90,
        'm' | 'M' | 'W' | '@' | '%' => 110,
        c if c.is_ascii() => 80,
        // Latin, Greek and Cyrillic letters are as wide as others; those of the East are as wide as high
        '\u{80}'..='\u{1fff}' => 80,
        _ => 110,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_flows_is_said() {
        use Conclusion::{Error, Failure, Success, TimedOut, Warning};
        for (ends, words) in [
            (&[][..], "no runs"),
            (&[Success], "passing"),
            (&[Success, Warning], "passing, with warnings"),
            (&[Error, Success], "infrastructure error"),
            (&[TimedOut, Error], "timed out"),
            (&[Success, Failure, TimedOut], "failing"),
        ] {
            assert_eq!(Says::of(ends.iter().copied()).words(), words);
        }
    }

    #[test]
    fn every_badge_has_one_shape_and_tells_its_words() {
        for says in [Says::NoRuns, Says::Unknown, Says::Ended(Conclusion::Success), Says::Ended(Conclusion::Failure)] {
            let svg = Badge::new("build", says).render().expect("it is drawn");
            let words = says.words();
            assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""), "{svg}");
            assert!(svg.contains("role=\"img\"") && svg.contains(&format!("<title>build: {words}</title>")), "{svg}");
            assert!(!svg.contains("style") && !svg.contains("script"), "{svg}");
        }
    }

    #[test]
    fn no_name_of_a_flow_breaks_out_or_grows_without_end() {
        let svg = Badge::new("</text><script>\u{0}", Says::NoRuns).render().expect("it is drawn");
        assert!(!svg.contains("<script") && !svg.contains('\u{0}'), "{svg}");
        assert!(Badge::new(&"m".repeat(1000), Says::NoRuns).whole() < 600);
        assert_eq!(width(""), 0);
        assert!(width("passing") > 40 && width("passing") < 50, "{}", width("passing"));
        assert!(width("日本") >= 22);
    }
}
