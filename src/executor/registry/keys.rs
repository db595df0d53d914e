//! What registries want to know of who asks for an image that not everybody may have.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

/// As a Docker configuration names Docker Hub, and as images do.
const HUB: (&str, &str) = ("https://index.docker.io/v1/", "docker.io");
/// The names of Docker Hub in configurations.
const HUBS: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// Keys by what they are for: a registry's host, or a host and the beginning of a repository's name.
#[derive(Debug, Clone, Default)]
pub struct RegistryKeys(BTreeMap<String, RegistryKey>);

/// By what one registry knows us.
#[derive(Debug, Clone)]
pub struct RegistryKey {
    /// The user.
    pub user: String,
    /// The user's password, or a token.
    pub password: SecretString,
}

/// A text is no Docker configuration that we can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no Docker configuration with `auths`: {0}")]
pub struct KeysError(String);

#[derive(Deserialize)]
struct Configuration {
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl RegistryKeys {
    /// Reads a Docker configuration, as `docker login` writes it: `{"auths": {"registry.example": {"auth": "…"}}}`.
    ///
    /// # Errors
    /// [`KeysError`], which tells nothing of what stands in it but the names of registries.
    pub fn read(text: &str) -> Result<Self, KeysError> {
        let configuration: Configuration = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            KeysError(format!("line {line}, column {column} is not as expected"))
        })?;
        let read = |(name, entry): (String, Entry)| {
            let key = entry.key().ok_or_else(|| {
                KeysError(format!("`{name}` has neither an `auth` of user and password nor `username` and `password`"))
            })?;
            Ok((place(&name), key))
        };
        configuration.auths.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key for an image, by its full name (`registry.example/team/tool`): of several the one that says most.
    pub fn of(&self, image: &str) -> Option<&RegistryKey> {
        let meant = self.0.iter().filter(|(place, _)| means(place, image));
        meant.max_by_key(|(place, _)| place.len()).map(|(_, key)| key)
    }

    /// Those that are for one of these images and for none of those.
    #[must_use]
    pub fn only(&self, images: &[String], without: &[String]) -> Self {
        let is_for = |place: &str, images: &[String]| images.iter().any(|image| means(place, image));
        let kept = self.0.iter().filter(|(place, _)| is_for(place, images) && !is_for(place, without));
        Self(kept.map(|(place, key)| (place.clone(), key.clone())).collect())
    }

    /// As a Docker configuration; `None`: there is none.
    pub fn config(&self) -> Option<SecretString> {
        let auths: BTreeMap<_, _> = self
            .0
            .iter()
            .map(|(place, key)| {
                let name = if place == HUB.1 { HUB.0 } else { place };
                (name, json!({ "auth": BASE64.encode(key.pair()) }))
            })
            .collect();
        (!auths.is_empty()).then(|| json!({ "auths": auths }).to_string().into())
    }
}

impl RegistryKey {
    fn pair(&self) -> String {
        format!("{}:{}", self.user, self.password.expose_secret())
    }
}

impl Entry {
    fn key(self) -> Option<RegistryKey> {
        let pair = |auth: String| {
            let text = String::from_utf8(BASE64.decode(auth.trim()).ok()?).ok()?;
            let (user, password) = text.split_once(':')?;
            Some(RegistryKey { user: user.to_owned(), password: password.into() })
        };
        match (self.auth, self.username, self.password) {
            (Some(auth), _, _) => pair(auth),
            (None, Some(user), Some(password)) => Some(RegistryKey { user, password: password.into() }),
            (None, _, _) => None,
        }
    }
}

/// `https://index.docker.io/v1/` → `docker.io`, `https://ghcr.io/acme/` → `ghcr.io/acme`.
fn place(name: &str) -> String {
    let bare = name.trim().trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let (host, path) = bare.split_once('/').map_or((bare, ""), |(host, path)| (host, path));
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    let host = if HUBS.contains(&host) { Cow::Borrowed(HUB.1) } else { Cow::Owned(host.to_ascii_lowercase()) };
    if path.is_empty() { host.into_owned() } else { format!("{host}/{path}") }
}

/// Whether a place means an image, at the end of a part of its name.
fn means(place: &str, image: &str) -> bool {
    image.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Result<RegistryKeys, String> {
        RegistryKeys::read(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_is_for_its_registry_or_a_part_of_it() {
        // ada:sesame
        let text = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "YWRhOnNlc2FtZQ=="},
            "registry.example:5000": {"username": "bob", "password": "a:b"},
            "https://ghcr.io/acme/": {"username": "eve", "password": "e"},
            "ghcr.io/acme/tools": {"username": "tom", "password": "t"}
        }, "credsStore": "desktop"}"#;
        let keys = keys(text).expect("a configuration");
        let user = |image: &str| keys.of(image).map(|key| key.pair());
        for (image, expected) in [
            ("docker.io/library/busybox", Some("ada:sesame")),
            ("registry.example:5000/team/tool", Some("bob:a:b")),
            ("registry.example/team/tool", None),
            ("ghcr.io/acme/shop", Some("eve:e")),
            ("ghcr.io/acme/tools/lint", Some("tom:t")),
            ("ghcr.io/acmer/shop", None),
            ("docker.io.evil.example/library/busybox", None),
        ] {
            assert_eq!(user(image).as_deref(), expected, "{image}");
        }
        let images = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let some =
            keys.only(&images(&["docker.io/library/busybox", "ghcr.io/acme/shop"]), &images(&["ghcr.io/acme/x"]));
        let config = some.config().expect("one");
        assert_eq!(config.expose_secret(), r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YWRhOnNlc2FtZQ=="}}}"#);
        assert!(RegistryKeys::default().config().is_none());
    }

    #[test]
    fn what_is_no_configuration_is_told_without_its_text() {
        let two_lines = "{\"auths\": {\n\"r\": \"hunter2\"}}";
        assert_eq!(
            keys(two_lines).expect_err("no object"),
            "it is no Docker configuration with `auths`: line 2, column 14 is not as expected"
        );
        for (text, named) in [
            (r#"{"auths": {"r.example": {"auth": "aHVudGVyMg=="}}}"#, "r.example"),
            (r#"{"auths": {"r.example": {"identitytoken": "hunter2"}}}"#, "r.example"),
            ("hunter2", "line 1"),
            ("{}", "line 1"),
        ] {
            let message = keys(text).expect_err(text);
            assert!(message.contains(named) && !message.contains("hunter2"), "{message}");
        }
    }
}
