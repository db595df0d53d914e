//! Kubernetes' quantities: `2`, `500m`, `1.5`, `4G`, `512Mi`, `1e3`.

/// A quantity's worth, for comparing; its text is what the cluster gets.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Quantity(pub(super) f64);

const SUFFIXES: [(&str, f64); 16] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("", 1.0),
];
/// No quantity that makes sense is longer.
const MAX_LENGTH: usize = 32;

/// What a text is worth, if it is a quantity and not negative.
pub(super) fn parse(text: &str) -> Option<Quantity> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let number: f64 = text[..end].parse().ok()?;
    factor(&text[end..]).map(|factor| Quantity(number * factor)).filter(|quantity| quantity.0.is_finite())
}

/// What a text that is no quantity may have meant: `512MB` is `512M`.
pub(super) fn suggestion(text: &str) -> Option<String> {
    let end = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let unit = text[end..].trim().trim_end_matches(['b', 'B']);
    let unit = match unit.to_ascii_lowercase().as_str() {
        "k" => "k",
        "ki" => "Ki",
        "m" => "M",
        "mi" => "Mi",
        "g" => "G",
        "gi" => "Gi",
        "t" => "T",
        "ti" => "Ti",
        _ => return None,
    };
    let suggestion = format!("{}{unit}", &text[..end]);
    parse(&suggestion).map(|_| suggestion)
}

fn factor(suffix: &str) -> Option<f64> {
    if let Some((_, factor)) = SUFFIXES.iter().find(|(name, _)| *name == suffix) {
        return Some(*factor);
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    (-9..=18).contains(&exponent).then(|| 10f64.powi(exponent))
}

#[cfg(test)]
mod tests {
    use super::{Quantity, parse, suggestion};

    #[test]
    fn quantities_are_those_of_kubernetes() {
        for (text, worth) in [("2", 2.0), ("500m", 0.5), ("1.5", 1.5), ("4G", 4e9), ("1Ki", 1024.0), ("1e3", 1000.0)] {
            assert_eq!(parse(text), Some(Quantity(worth)), "{text}");
        }
        for bad in ["", "-1", "1K", "4g", "1 G", "512MB", "G", ".", "1.2.3", "1e99", "0x10", "NaN", "inf", "1ä"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn slips_are_recognized() {
        assert_eq!(suggestion("512MB").as_deref(), Some("512M"));
        assert_eq!(suggestion("4gb").as_deref(), Some("4G"));
        assert_eq!(suggestion("1 gi").as_deref(), Some("1Gi"));
        assert_eq!(suggestion("plenty"), None);
    }
}
