//! The secret that proves a hook's deliveries, for machines where nobody has set one.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use secrecy::SecretString;

/// The secret's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the webhook secret in {} cannot be used: {source}", path.display())]
pub struct SecretError {
    path: PathBuf,
    source: io::Error,
}

/// Where the data directory holds the secret.
pub fn secret_file(data: &Path) -> PathBuf {
    data.join("git-webhook-secret")
}

/// The data directory's secret, made at the first call: 32 random bytes as hexadecimal digits, in a file that only
/// its owner can read. Processes that make it at the same time get the same.
///
/// # Errors
/// If the directory or the file cannot be read or made, or if the file is empty.
pub fn secret(data: &Path) -> Result<SecretString, SecretError> {
    let path = secret_file(data);
    let made = if path.exists() { Ok(()) } else { make(data, &path) };
    made.and_then(|()| read(&path)).map_err(|source| SecretError { path, source })
}

/// The secret in a file.
///
/// # Errors
/// If it cannot be read or is empty.
pub(crate) fn read(path: &Path) -> io::Result<SecretString> {
    let text = fs::read_to_string(path)?;
    if text.trim().is_empty() {
        return Err(io::Error::other("it is empty: remove it, and a new one is made"));
    }
    Ok(text.trim().into())
}

/// Writes a secret elsewhere and links it to its place, which fails if another process was faster.
fn make(data: &Path, path: &Path) -> io::Result<()> {
    fs::create_dir_all(data)?;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    let mut file = tempfile::NamedTempFile::new_in(data)?;
    writeln!(file, "{}", hex::encode(bytes))?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => fs::File::open(data)?.sync_all(),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}
