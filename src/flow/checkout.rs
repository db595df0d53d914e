//! `checkout` of an action: what is in its workspace at the beginning.

use crate::model::{Checkout, CheckoutOptions, Reference, Submodules};

use super::{
    Reading,
    fields::Fields,
    findings::quoted,
    keys,
    node::{Text, Value},
    scalar::{self, Toggle},
};

/// Whoever needs more of the history needs all of it.
const DEPTH_MAX: u32 = 100_000;
/// As many bytes as a file's name may have, which a ref can be.
const REF_MAX: usize = 255;

/// The commit; `false`: nothing; or what the keys of a map say.
pub(super) fn read(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Checkout {
    let Some(node) = fields.claim("checkout") else { return Checkout::Commit };
    match &node.value {
        Value::Scalar(text) if text == "false" => return Checkout::Nothing,
        Value::Scalar(text) if text == "true" => {}
        Value::Scalar(text) => {
            let message = format!("`checkout` is true, false or a map; {} is none of them", quoted(text));
            reading.findings.error(node.at, message).hint("for example `checkout: {depth: 0}`");
        }
        Value::Null | Value::List(_) | Value::Map(_) => {
            if let Some(mut fields) = Fields::of(node, &keys::CHECKOUT, reading) {
                let options = options(&mut fields, reading);
                fields.close(reading);
                if options != CheckoutOptions::default() {
                    return Checkout::Of(options);
                }
            }
        }
    }
    Checkout::Commit
}

fn options(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> CheckoutOptions {
    let reference = fields.claim("ref").and_then(|node| scalar::text(node, "`ref`", reading));
    let depth = fields.claim("depth").and_then(|node| scalar::text(node, "`depth`", reading));
    let choices =
        [("true", Submodules::Own), ("false", Submodules::None), ("recursive", Submodules::Recursive)].as_slice();
    CheckoutOptions {
        reference: reference.map_or(Reference::Event, |text| named(&text, reading)),
        depth: depth.map_or(1, |text| commits(&text, reading)),
        submodules: scalar::choice(fields, "submodules", choices, reading).unwrap_or_default(),
        lfs: scalar::boolean(fields, "lfs", Toggle::Off, reading),
    }
}

fn named(text: &Text, reading: &mut Reading<'_>) -> Reference {
    if text.text == "head" {
        return Reference::Head;
    }
    if !is_ref(&text.text) {
        let message = format!("{} is no branch, tag or commit", quoted(&text.text));
        reading
            .findings
            .error(text.at, message)
            .hint("`head` is a pull request's head; or name a branch, a tag or a whole sha");
    }
    Reference::Named(text.text.clone())
}

/// As `git check-ref-format` has it.
fn is_ref(name: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let is_bad = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    name.len() <= REF_MAX
        && name.split('/').all(is_part)
        && !name.contains(is_bad)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.starts_with('-')
        && !name.ends_with('.')
        && name != "@"
}

fn commits(text: &Text, reading: &mut Reading<'_>) -> u32 {
    let depth = text.text.parse::<u32>().ok().filter(|depth| *depth <= DEPTH_MAX);
    if depth.is_none() {
        let message = format!("{} is no depth: 0 to {DEPTH_MAX}", quoted(&text.text));
        reading.findings.error(text.at, message).hint("a number of commits; `0` means all of the history, with tags");
    }
    depth.unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::is_ref;

    #[test]
    fn refs_are_as_git_has_them() {
        for good in ["main", "feature/über", "v1.2", "refs/heads/head", &"a".repeat(40), "a@b"] {
            assert!(is_ref(good), "{good}");
        }
        let bad =
            ["", "-x", "a..b", "a b", "a:b", "a^", "a/.b", "a.lock", "a/", "/a", "@", "a@{1}", "a\\b", "a\u{7f}", "x."];
        for bad in bad {
            assert!(!is_ref(bad), "{bad}");
        }
    }
}
