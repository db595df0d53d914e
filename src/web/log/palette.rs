//! The 256 colours of terminals as style rules. Programs choose colours for a black screen; here each is moved towards
//! black or white until it can be read on the page's own background, light or dark.

use std::fmt::Write as _;

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// The log's background in the light and in the dark theme, as in `app.css`: of a line, of one that is pointed at, and of
/// one that an address names.
const PAPER: [[Rgb; 3]; 2] = [
    [[0xfb, 0xfb, 0xfa], [0xf0, 0xf1, 0xf3], [0xff, 0xf4, 0xcf]],
    [[0x12, 0x14, 0x18], [0x1b, 0x1f, 0x25], [0x38, 0x30, 0x16]],
];
/// What WCAG asks of text.
const CONTRAST: f64 = 4.5;
const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
/// The first sixteen are for a terminal to choose; these are calm and told apart by most eyes.
const BASIC: [Rgb; 16] = [
    [0x3b, 0x40, 0x48],
    [0xd1, 0x3b, 0x3b],
    [0x2f, 0x9e, 0x52],
    [0xb5, 0x83, 0x0c],
    [0x3b, 0x76, 0xd6],
    [0xa6, 0x4f, 0xc4],
    [0x17, 0x96, 0xa3],
    [0xa9, 0xaf, 0xb8],
    [0x74, 0x7c, 0x87],
    [0xf0, 0x63, 0x5c],
    [0x56, 0xc2, 0x71],
    [0xdd, 0xab, 0x32],
    [0x6c, 0xa3, 0xf5],
    [0xc9, 0x82, 0xe0],
    [0x45, 0xbf, 0xc9],
    [0xe6, 0xe9, 0xed],
];

/// Colour `n` as terminals have it.
pub fn rgb(n: u8) -> Rgb {
    match n {
        0..16 => BASIC[usize::from(n)],
        16..232 => {
            let n = usize::from(n - 16);
            [STEPS[n / 36], STEPS[n / 6 % 6], STEPS[n % 6]]
        }
        232..=255 => [8 + 10 * (n - 232); 3],
    }
}

/// All rules: `.f0` to `.f255` for text, `.b0` to `.b255` for what is behind it.
pub fn css() -> String {
    let mut css = String::with_capacity(40_000);
    for n in 0..=255 {
        let [light, dark] = PAPER.map(|paper| hex(readable(rgb(n), paper)));
        // writing to a String cannot fail
        let _ = writeln!(css, ".f{n}{{color:light-dark({light},{dark})}}");
    }
    for n in 0..=255 {
        let behind = rgb(n);
        let text = if luminance(behind) > 0.18 { "#000" } else { "#fff" };
        let _ = writeln!(css, ".b{n}{{background:{};color:{text}}}", hex(behind));
    }
    css
}

fn readable(colour: Rgb, paper: [Rgb; 3]) -> Rgb {
    let towards = if luminance(paper[0]) > 0.5 { 0 } else { 255 };
    let is_readable = |colour: Rgb| paper.iter().all(|&paper| contrast(colour, paper) >= CONTRAST);
    let mix = |share: u32| colour.map(|c| ((u32::from(c) * (20 - share) + towards * share) / 20).min(255) as u8);
    (0..=20).map(mix).find(|&c| is_readable(c)).unwrap_or(colour)
}

fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(colour: Rgb) -> f64 {
    let linear = |c: u8| {
        let c = f64::from(c) / 255.0;
        if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    let [r, g, b] = colour.map(linear);
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn hex([r, g, b]: Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_can_be_read_on_both_papers() {
        for n in 0..=255 {
            for paper in PAPER {
                for ground in paper {
                    let found = contrast(readable(rgb(n), paper), ground);
                    assert!(found >= CONTRAST, "colour {n} on {ground:?}: {found}");
                }
            }
        }
    }
}
