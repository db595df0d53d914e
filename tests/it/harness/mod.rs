//! The outside world, modelled: small, strict, and able to fail.

pub(crate) mod github;

/// The variable's value, if the real thing that a test needs is there. If not, it is said aloud that the test skips,
/// unless `CONTAINEROPS_TEST_REQUIRE` names the thing: then the test fails.
pub(crate) fn required(thing: &str, variable: &str) -> Option<String> {
    if let Ok(value) = std::env::var(variable) {
        return Some(value);
    }
    let must = std::env::var("CONTAINEROPS_TEST_REQUIRE").unwrap_or_default();
    assert!(!must.split([',', ' ']).any(|name| name == thing), "{thing} is required, but {variable} is not set");
    eprintln!("SKIPPED: {thing} is not there; set {variable}");
    None
}
