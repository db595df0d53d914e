//! How people and other programs are told.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{SecretSlice, SecretString};

use super::{SettingsError, Values};

/// How mail is sent.
#[derive(Debug)]
pub struct SmtpChoice {
    /// `smtp://…` or `smtps://…`, with user and password.
    pub url: SecretString,
    /// Whom it is from.
    pub from: String,
    /// The domains that it may go to; empty: any.
    pub domains: Vec<String>,
}

impl Values {
    pub(super) fn smtp(&self) -> Result<Option<SmtpChoice>, SettingsError> {
        let domains = self.words("smtp_domains");
        match (self.get("smtp_url"), self.get("smtp_from")) {
            (Some(url), Some(from)) => Ok(Some(SmtpChoice { url: url.into(), from: from.to_owned(), domains })),
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => {
                let message = "mail needs both smtp_url and smtp_from".to_owned();
                Err(SettingsError::Value { name: "smtp_url", message })
            }
        }
    }

    /// As <https://www.standardwebhooks.com> has them: `whsec_` and base64 of 24 to 64 bytes.
    pub(super) fn signing_keys(&self, name: &'static str) -> Result<Vec<SecretSlice<u8>>, SettingsError> {
        let message = "`whsec_` and base64 of 24 to 64 bytes is expected: `openssl rand -base64 32` makes one";
        let wrong = || SettingsError::Value { name, message: message.to_owned() };
        let read = |text: &str| {
            let key = BASE64_STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok()?;
            (24..=64).contains(&key.len()).then(|| SecretSlice::from(key))
        };
        let all = self.get(name).unwrap_or_default();
        all.split_whitespace().map(|text| read(text).ok_or_else(wrong)).collect()
    }
}
