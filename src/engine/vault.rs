//! How secrets are kept: AES-256-GCM, each for its own row. Its scope, name and limits are sealed with it, so that no
//! row can take another's place or be made wider by whoever can write to the database.
//!
//! Keys are lines of the server's key file. The first one encrypts, and every one decrypts, so that a key is changed by
//! putting a new line before it. Each has an id that is made of it and says nothing about it. The file is read again
//! when a secret names a key that is not known: another process may have put it there.

use std::{
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sha2::Sha256;

use crate::{
    executor::registry::{KeysError, RegistryKeys},
    model::{SecretLimits, SecretName, SecretScope, Time},
    store::{Json, SecretRow},
};

/// The fewest bytes of a key.
const KEY_MIN: usize = 32;
/// The fewest characters of a secret: what is shorter cannot be hidden without hiding half of every log.
pub(super) const VALUE_MIN: usize = 4;
/// The most bytes of a secret: Linux starts no program with a variable of more than 128 KiB.
pub(super) const VALUE_MAX: usize = 64 << 10;

/// The server's keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The disk's.
    #[error("the server's key file {}: {error}", file.display())]
    Io {
        /// Which.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A line that is no key.
    #[error("the server's key file {}: line {line} is no key: 64 or more hexadecimal digits are expected", file.display())]
    NoKey {
        /// Which.
        file: PathBuf,
        /// From 1.
        line: usize,
    },
    /// There is no key.
    #[error("the server's key file {} is empty", .0.display())]
    Empty(PathBuf),
}

/// A secret cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Its key is gone.
    #[error("it is encrypted by the key {0}, which is not in the server's key file (any more)")]
    UnknownKey(String),
    /// Its row is not what was written.
    #[error("it was not encrypted for this place: its row in the database was changed by something else")]
    Changed,
    /// The file is no key file any more.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
}

/// Why a text cannot be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnfitValue {
    /// Too short to be hidden.
    #[error(
        "a secret has at least {VALUE_MIN} characters, in a line of its own: a shorter one could not be hidden in logs"
    )]
    Short,
    /// Too long for a variable.
    #[error("a secret has at most {VALUE_MAX} bytes")]
    Long,
    /// No program can have such a variable.
    #[error("a secret has no NUL byte in it, for no variable can")]
    Nul,
    /// Its name says that it is the keys of registries, and it is something else.
    #[error("a secret named `DOCKER_AUTH_CONFIG` is the keys of registries, and of this nobody can read any: {0}")]
    Registries(#[from] KeysError),
}

/// Encrypts and decrypts secrets.
pub struct Vault {
    file: PathBuf,
    keys: RwLock<Vec<Arc<SealingKey>>>,
}

struct SealingKey {
    id: String,
    key: RandomizedNonceKey,
}

impl Vault {
    /// With the keys of this file.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn open(file: &Path) -> Result<Self, KeyFileError> {
        let vault = Self { file: file.to_owned(), keys: RwLock::default() };
        vault.read_keys()?;
        Ok(vault)
    }

    /// A secret, encrypted by the first key.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn seal(
        &self,
        (scope, name): (&SecretScope, &SecretName),
        limits: SecretLimits,
        value: &SecretString,
        (now, by): (Time, &str),
    ) -> Result<SecretRow, VaultError> {
        let mut row = SecretRow {
            forge: scope.forge,
            level: scope.level,
            scope: scope.name.clone(),
            name: name.clone(),
            limits: Json(limits),
            key_id: String::new(),
            sealed: Vec::new(),
            created: now,
            changed: now,
            used: None,
            changed_by: by.chars().filter(|c| !c.is_control()).take(100).collect(),
        };
        (row.key_id, row.sealed) = self.sealed(&row, value)?;
        Ok(row)
    }

    /// The value of a secret.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn reveal(&self, row: &SecretRow) -> Result<SecretString, VaultError> {
        let key = self.key(&row.key_id)?;
        let (nonce, sealed) = row.sealed.split_at_checked(NONCE_LEN).ok_or(VaultError::Changed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Changed)?;
        let mut text = sealed.to_vec();
        let opened = key.key.open_in_place(nonce, Aad::from(place(row)), &mut text);
        let length = opened.map_err(|_| VaultError::Changed)?.len();
        text.truncate(length);
        String::from_utf8(text).map(SecretString::from).map_err(|_| VaultError::Changed)
    }

    /// Whether the file has the key of this id.
    pub fn has_key(&self, id: &str) -> bool {
        self.key(id).is_ok()
    }

    /// The same secret by the first key; `None`: it is encrypted by that one already.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn seal_again(&self, row: &SecretRow) -> Result<Option<(String, Vec<u8>)>, VaultError> {
        if self.first()?.id == row.key_id {
            return Ok(None);
        }
        let value = self.reveal(row)?;
        self.sealed(row, &value).map(Some)
    }

    fn sealed(&self, row: &SecretRow, value: &SecretString) -> Result<(String, Vec<u8>), VaultError> {
        let key = self.first()?;
        let mut text = value.expose_secret().as_bytes().to_vec();
        let nonce = key.key.seal_in_place_append_tag(Aad::from(place(row)), &mut text);
        let nonce = nonce.map_err(|_| VaultError::Changed)?;
        Ok((key.id.clone(), [nonce.as_ref().as_slice(), &text].concat()))
    }

    /// The key that encrypts: what the file says now.
    fn first(&self) -> Result<Arc<SealingKey>, VaultError> {
        self.read_keys()?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.first().cloned().ok_or_else(|| KeyFileError::Empty(self.file.clone()).into())
    }

    fn key(&self, id: &str) -> Result<Arc<SealingKey>, VaultError> {
        if let Some(known) = self.known(id) {
            return Ok(known);
        }
        self.read_keys()?;
        self.known(id).ok_or_else(|| VaultError::UnknownKey(id.chars().take(40).collect()))
    }

    fn known(&self, id: &str) -> Option<Arc<SealingKey>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|key| key.id == id).cloned()
    }

    fn read_keys(&self) -> Result<(), KeyFileError> {
        let keys = keys_in(&self.file)?.iter().map(SealingKey::of).map(Arc::new).collect();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }
}

/// Nothing of it can be printed.
impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl SealingKey {
    /// The file's keys are for more than one purpose, so this one's is derived, and so is its id.
    fn of(key: &SecretSlice<u8>) -> Self {
        let id = hex::encode(&derived(key, b"containerops secrets: key id\0")[..8]);
        let derived = derived(key, b"containerops secrets: encryption\0");
        let Ok(key) = RandomizedNonceKey::new(&AES_256_GCM, &derived) else {
            unreachable!("a SHA-256 is as long as a key of AES-256")
        };
        Self { id, key }
    }
}

fn derived(key: &SecretSlice<u8>, purpose: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose_secret()) else {
        unreachable!("HMAC takes keys of any length")
    };
    mac.update(purpose);
    mac.finalize().into_bytes().into()
}

/// What a secret is sealed with: where it belongs, and whom it is for. No part can hold a NUL.
fn place(row: &SecretRow) -> Vec<u8> {
    let limits = serde_json::to_string(&row.limits.0).unwrap_or_default();
    let parts =
        ["containerops secret 1", row.forge.as_str(), row.level.as_str(), row.scope.as_str(), row.name.as_str()];
    format!("{}\0{limits}", parts.join("\0")).into_bytes()
}

/// Why a text cannot be the value of the secret of this name.
///
/// # Errors
/// [`UnfitValue`].
pub fn check_secret(name: &SecretName, value: &SecretString) -> Result<(), UnfitValue> {
    check_value(value)?;
    if name.as_str() == super::REGISTRY_SECRET {
        RegistryKeys::read(value.expose_secret())?;
    }
    Ok(())
}

/// Why a text cannot be a secret's value.
///
/// # Errors
/// [`UnfitValue`].
pub fn check_value(value: &SecretString) -> Result<(), UnfitValue> {
    let text = value.expose_secret();
    if text.len() > VALUE_MAX {
        return Err(UnfitValue::Long);
    }
    if text.contains('\0') {
        return Err(UnfitValue::Nul);
    }
    let can_be_hidden = text.lines().any(|line| line.trim().chars().count() >= VALUE_MIN);
    if can_be_hidden { Ok(()) } else { Err(UnfitValue::Short) }
}

/// The keys in a file, the newest first.
///
/// # Errors
/// [`KeyFileError`].
pub fn keys_in(file: &Path) -> Result<Vec<SecretSlice<u8>>, KeyFileError> {
    let read = std::fs::read_to_string(file).map(SecretString::from);
    let text = read.map_err(|error| KeyFileError::Io { file: file.to_owned(), error })?;
    let lines = text.expose_secret().lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    let keys = lines.map(|(at, line)| {
        let key = hex::decode(line).ok().filter(|bytes| bytes.len() >= KEY_MIN);
        key.map(SecretSlice::from).ok_or_else(|| KeyFileError::NoKey { file: file.to_owned(), line: at + 1 })
    });
    let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(KeyFileError::Empty(file.to_owned())) } else { Ok(keys) }
}

/// Puts a new key before those of a file, or makes the file with one.
///
/// # Errors
/// [`KeyFileError`].
pub fn add_key(file: &Path) -> Result<(), KeyFileError> {
    let failed = |error| KeyFileError::Io { file: file.to_owned(), error };
    let before = match file.exists() {
        // what is no key file is not written over
        true => keys_in(file).and_then(|_| std::fs::read_to_string(file).map_err(failed))?,
        false => String::new(),
    };
    let mut bytes = [0; KEY_MIN];
    getrandom::fill(&mut bytes).map_err(|error| failed(io::Error::other(error)))?;
    replace(file, &SecretString::from(format!("{}\n{before}", hex::encode(bytes))))
}

/// Leaves only the first key of a file. Whatever is encrypted by another one cannot be read any more.
///
/// # Errors
/// [`KeyFileError`].
pub fn forget_old_keys(file: &Path) -> Result<(), KeyFileError> {
    let keys = keys_in(file)?;
    let first = keys.first().ok_or_else(|| KeyFileError::Empty(file.to_owned()))?;
    replace(file, &SecretString::from(format!("{}\n", hex::encode(first.expose_secret()))))
}

/// By a file of its own first, so that a crash leaves no half a key.
fn replace(file: &Path, text: &SecretString) -> Result<(), KeyFileError> {
    let failed = |error| KeyFileError::Io { file: file.to_owned(), error };
    let half = file.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&half);
    let written = opened.and_then(|mut new| {
        new.write_all(text.expose_secret().as_bytes())?;
        new.sync_all()
    });
    written.and_then(|()| std::fs::rename(&half, file)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ForgeKind, SecretLevel};

    fn scope(name: &str) -> SecretScope {
        SecretScope { forge: ForgeKind::Github, level: SecretLevel::Repository, name: name.parse().expect("a name") }
    }

    fn sealed(vault: &Vault, value: &str) -> SecretRow {
        let limits = SecretLimits { branches: vec!["main".to_owned()], ..SecretLimits::default() };
        let name = "TOKEN".parse().expect("a name");
        let (value, now) = (SecretString::from(value), Time::from_millis(1));
        vault.seal((&scope("acme/shop"), &name), limits, &value, (now, "ada")).expect("it is sealed")
    }

    fn opened(vault: &Vault, row: &SecretRow) -> Option<String> {
        vault.reveal(row).ok().map(|value| value.expose_secret().to_owned())
    }

    #[test]
    fn a_secret_opens_in_its_own_row_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("key");
        add_key(&file).expect("a key");
        let vault = Vault::open(&file).expect("a vault");
        let row = sealed(&vault, "hunter22");
        assert_eq!(opened(&vault, &row).as_deref(), Some("hunter22"));
        assert!(!row.sealed.windows(8).any(|window| window == b"hunter22"));
        let others = [
            SecretRow { scope: "acme/other".parse().expect("a name"), ..row.clone() },
            SecretRow { level: SecretLevel::Owner, ..row.clone() },
            SecretRow { forge: ForgeKind::Gitea, ..row.clone() },
            SecretRow { name: "OTHER".parse().expect("a name"), ..row.clone() },
            SecretRow { limits: Json(SecretLimits::default()), ..row.clone() },
            SecretRow { sealed: row.sealed[1..].to_vec(), ..row.clone() },
            SecretRow { sealed: Vec::new(), ..row.clone() },
        ];
        for other in others {
            assert_eq!(opened(&vault, &other), None, "{other:?}");
        }
        assert_ne!(sealed(&vault, "hunter22").sealed, row.sealed, "each has chance of its own");
        assert_eq!(format!("{vault:?}"), "Vault(…)");
    }

    #[test]
    fn the_first_key_encrypts_and_all_decrypt_also_one_that_came_since() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("key");
        add_key(&file).expect("a key");
        let server = Vault::open(&file).expect("a vault");
        let old = sealed(&server, "hunter22");
        assert!(server.seal_again(&old).expect("it is known").is_none());

        add_key(&file).expect("a second one");
        let command = Vault::open(&file).expect("a vault");
        let (key_id, again) = command.seal_again(&old).expect("it is known").expect("it is old");
        let new = SecretRow { key_id, sealed: again, ..old.clone() };
        assert_ne!(new.key_id, old.key_id);
        assert_eq!(opened(&server, &new).as_deref(), Some("hunter22"), "the server reads the file again");
        assert_eq!(opened(&server, &old).as_deref(), Some("hunter22"));

        let text = std::fs::read_to_string(&file).expect("keys");
        std::fs::write(&file, text.lines().next().expect("the new one")).expect("written");
        let later = Vault::open(&file).expect("a vault");
        let error = later.reveal(&old).expect_err("its key is gone").to_string();
        assert!(error.contains(&old.key_id) && error.contains("key file"), "{error}");
        assert_eq!(opened(&later, &new).as_deref(), Some("hunter22"));
    }

    #[test]
    fn what_is_no_key_file_is_refused_and_never_written_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("key");
        for (text, says) in [("", "empty"), ("\n\n", "empty"), ("abcd", "line 1"), ("zz", "line 1")] {
            std::fs::write(&file, text).expect("written");
            let error = Vault::open(&file).expect_err("no key").to_string();
            assert!(error.contains(says) && !error.contains("abcd"), "{error}");
            assert!(add_key(&file).is_err());
            assert_eq!(std::fs::read_to_string(&file).expect("there"), text);
        }
    }

    #[test]
    fn what_could_not_be_hidden_is_no_secret() {
        let check = |text: &str| check_value(&SecretString::from(text));
        for good in ["abcd", "äöüß", "a\nlong line\n", &"x".repeat(VALUE_MAX)] {
            assert_eq!(check(good), Ok(()));
        }
        for short in ["", "abc", "ab\ncd\n", "   a   ", "\n\n\n\n\n"] {
            assert_eq!(check(short), Err(UnfitValue::Short), "{short:?}");
        }
        assert_eq!(check("ab\0cd"), Err(UnfitValue::Nul));
        assert_eq!(check(&"x".repeat(VALUE_MAX + 1)), Err(UnfitValue::Long));
    }
}
