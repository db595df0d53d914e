//! Values by their names, and how the kinds of them are read.

use std::{collections::BTreeMap, ops::RangeInclusive};

use secrecy::SecretString;

use super::SettingsError;

/// What was given, by known names.
pub(super) struct Values(pub(super) BTreeMap<&'static str, String>);

impl Values {
    pub(super) fn get(&self, name: &'static str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, SettingsError> {
        let wrong = |error: T::Err| SettingsError::Value { name, message: error.to_string() };
        self.get(name).map(|value| value.parse().map_err(wrong)).transpose()
    }

    pub(super) fn url(&self, name: &'static str) -> Result<Option<String>, SettingsError> {
        let Some(url) = self.parse::<url::Url>(name)? else { return Ok(None) };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(SettingsError::Value { name, message: "an http or https URL is expected".to_owned() });
        }
        Ok(Some(url.as_str().trim_end_matches('/').to_owned()))
    }

    pub(super) fn secrets(&self, name: &'static str) -> Vec<SecretString> {
        self.get(name).map(|all| all.split_whitespace().map(SecretString::from).collect()).unwrap_or_default()
    }

    /// Between blanks, commas or lines.
    pub(super) fn words(&self, name: &'static str) -> Vec<String> {
        let all = self.get(name).unwrap_or_default();
        all.split([' ', ',', '\n', '\t']).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// Words that are each something.
    pub(super) fn list<T: std::str::FromStr<Err = String>>(&self, name: &'static str) -> Result<Vec<T>, SettingsError> {
        let read = |word: String| word.parse().map_err(|message| SettingsError::Value { name, message });
        self.words(name).into_iter().map(read).collect()
    }

    pub(super) fn hours(&self, name: &'static str, default: u64) -> Result<std::time::Duration, SettingsError> {
        Ok(std::time::Duration::from_secs(self.parse::<u32>(name)?.map_or(default, u64::from) * 3600))
    }

    pub(super) fn size(
        &self,
        name: &'static str,
        default: u64,
        within: &str,
        range: RangeInclusive<u64>,
    ) -> Result<u64, SettingsError> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let wrong = || SettingsError::Value {
            name,
            message: format!("a size {within} is expected, such as `200 MB` or `200000000`, and not `{text}`"),
        };
        bytes(text).filter(|size| range.contains(size)).ok_or_else(wrong)
    }

    pub(super) fn minutes(&self, name: &'static str, default: u64) -> Result<std::time::Duration, SettingsError> {
        Ok(std::time::Duration::from_secs(self.parse::<u32>(name)?.map_or(default, u64::from) * 60))
    }
}

/// A size: bytes, or a number with a unit.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "" | "B" => 1,
        "k" | "kB" | "KB" => 1_000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        "Ki" | "KiB" => 1 << 10,
        "Mi" | "MiB" => 1 << 20,
        "Gi" | "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}
