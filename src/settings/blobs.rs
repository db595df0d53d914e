//! How a bucket for blobs is reached.

use secrecy::{ExposeSecret as _, SecretString};

use super::{SettingsError, Values};

/// How a bucket is reached.
#[derive(Debug)]
pub struct S3Choice {
    /// Where a store is that is not Amazon's.
    pub endpoint: Option<String>,
    /// Where the bucket is.
    pub region: Option<String>,
    /// Whether its name is in the path.
    pub path_style: Option<bool>,
    /// The id of our key, and the key.
    pub keys: Option<(String, SecretString)>,
}

/// The longest file that holds a key.
const KEY_MAX: u64 = 4096;

impl Values {
    pub(super) fn s3(&self) -> Result<S3Choice, SettingsError> {
        let path_style = match self.get("s3_path_style") {
            None => None,
            Some("yes") => Some(true),
            Some("no") => Some(false),
            Some(other) => {
                let message = format!("`{other}` is neither `yes` nor `no`");
                return Err(SettingsError::Value { name: "s3_path_style", message });
            }
        };
        let endpoint = self.url("s3_endpoint")?;
        let region = self.get("s3_region").map(str::to_owned);
        Ok(S3Choice { endpoint, region, path_style, keys: self.s3_keys()? })
    }

    /// Both or none: half a key would be the machine's own role, which nobody meant.
    fn s3_keys(&self) -> Result<Option<(String, SecretString)>, SettingsError> {
        let secret = match (self.get("s3_secret_access_key"), self.get("s3_secret_access_key_file")) {
            (Some(_), Some(_)) => {
                let message = "it is given twice: s3_secret_access_key is set, too".to_owned();
                return Err(SettingsError::Value { name: "s3_secret_access_key_file", message });
            }
            (Some(secret), None) => Some(SecretString::from(secret)),
            (None, Some(file)) => Some(secret_in(file)?),
            (None, None) => None,
        };
        match (self.get("s3_access_key_id"), secret) {
            (Some(id), Some(secret)) => Ok(Some((id.to_owned(), secret))),
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => {
                let message = "a key is both s3_access_key_id and s3_secret_access_key (or …_file)".to_owned();
                Err(SettingsError::Value { name: "s3_access_key_id", message })
            }
        }
    }
}

fn secret_in(file: &str) -> Result<SecretString, SettingsError> {
    let wrong = |message: String| SettingsError::Value { name: "s3_secret_access_key_file", message };
    let about = std::fs::metadata(file).map_err(|error| wrong(format!("{file}: {error}")))?;
    if about.len() > KEY_MAX {
        return Err(wrong(format!("{file} is too long for a key")));
    }
    let text = std::fs::read_to_string(file).map(SecretString::from);
    let text = text.map_err(|error| wrong(format!("{file}: {error}")))?;
    match text.expose_secret().trim() {
        "" => Err(wrong(format!("{file} is empty"))),
        key => Ok(SecretString::from(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, SettingsError};

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(
            variables.iter().map(|(name, value)| (format!("CONTAINEROPS_{name}"), (*value).to_owned())),
            None,
        )
    }

    #[test]
    fn a_key_is_whole_and_its_secret_is_never_shown() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "swordfish\n").expect("written");
        let path = file.path().display().to_string();
        let good = [("S3_ACCESS_KEY_ID", "AKIA"), ("S3_SECRET_ACCESS_KEY_FILE", path.as_str())];
        let settings = read(&good).expect("good");
        assert!(settings.s3.keys.is_some());
        assert!(!format!("{settings:?}").contains("swordfish"));
        for wrong in [
            &[("S3_ACCESS_KEY_ID", "AKIA")][..],
            &[("S3_SECRET_ACCESS_KEY", "swordfish")],
            &[("S3_ACCESS_KEY_ID", "AKIA"), ("S3_SECRET_ACCESS_KEY_FILE", "/nowhere/at/all")],
            &[("S3_PATH_STYLE", "perhaps")],
            &[("S3_ENDPOINT", "ftp://store")],
            &[("RETENTION", "90")],
            &[("RETENTION", "a/b@deploy=90d")],
        ] {
            let error = read(wrong).expect_err("not good").to_string();
            assert!(!error.contains("swordfish"), "{error}");
        }
    }
}
