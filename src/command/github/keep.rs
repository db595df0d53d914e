//! Where an App's key and settings are kept. What is there already stays, unless it is to be replaced.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

/// The settings of an App.
const OURS: [&str; 4] = ["github_app_id", "github_private_key_file", "github_webhook_secret", "github_token"];

/// The file of settings.
#[derive(Debug)]
pub(super) struct Keeper {
    path: PathBuf,
    text: String,
    table: toml::Table,
}

impl Keeper {
    /// Reads it; it need not be there.
    pub(super) fn read(path: PathBuf) -> Result<Self> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        let table = text.parse::<toml::Table>().with_context(|| format!("{} is no TOML", path.display()))?;
        Ok(Self { path, text, table })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A setting as the file has it.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.table.get(name)?.as_str().map(str::to_owned)
    }

    /// The settings of another App, or of a token, that are there.
    pub(super) fn others(&self) -> Vec<&'static str> {
        OURS.into_iter().filter(|name| self.table.contains_key(*name)).collect()
    }

    /// Finds out now what would be found out when it is too late.
    pub(super) fn is_writable(&self) -> Result<()> {
        let folder = folder(&self.path);
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("writing to {}", folder.display()))?;
        Ok(())
    }

    /// Adds these settings, in place of any of an App or a token; everything else stays as it stands.
    pub(super) fn write(&self, settings: &[(&str, String)]) -> Result<()> {
        let text = self.with(settings)?;
        let mode = fs::metadata(&self.path).map_or(0o600, |known| known.permissions().mode() & 0o777);
        let failed = || format!("writing {}", self.path.display());
        let mut file = tempfile::NamedTempFile::new_in(folder(&self.path)).with_context(failed)?;
        file.write_all(text.as_bytes()).with_context(failed)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode)).with_context(failed)?;
        file.as_file().sync_all().with_context(failed)?;
        file.persist(&self.path).with_context(failed)?;
        Ok(())
    }

    fn with(&self, settings: &[(&str, String)]) -> Result<String> {
        let is_ours = |line: &&str| {
            let name = line.split('=').next().unwrap_or_default().trim();
            OURS.contains(&name.trim_matches('"'))
        };
        let kept: Vec<&str> = self.text.lines().filter(|line| !is_ours(line)).collect();
        // settings are names at the top: below a table's head they would be that one's
        let head = kept.iter().position(|line| line.trim_start().starts_with('[')).unwrap_or(kept.len());
        let new = settings.iter().map(|(name, value)| format!("{name} = {}", toml::Value::String(value.clone())));
        let mut lines: Vec<String> = kept[..head].iter().map(|line| (*line).to_owned()).collect();
        lines.extend(new);
        lines.extend(kept[head..].iter().map(|line| (*line).to_owned()));
        let text = lines.join("\n") + "\n";
        let read = text.parse::<toml::Table>().ok();
        let is_there =
            |(name, value): &(&str, String)| read.as_ref().and_then(|table| table.get(*name)?.as_str()) == Some(value);
        if !settings.iter().all(is_there) {
            bail!("{} is written in a way that cannot be added to: add the settings by hand", self.path.display());
        }
        Ok(text)
    }
}

/// Writes an App's private key, for its owner alone; never over another one.
pub(super) fn key(path: &Path, pem: &str) -> Result<()> {
    let failed = || format!("writing {}", path.display());
    fs::create_dir_all(folder(path)).with_context(failed)?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(failed)?;
    file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).with_context(failed)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_added_above_the_first_table_and_everything_else_stays() {
        let text = "# ours\nlisten = \"0.0.0.0:80\"\ngithub_token = \"old\"\n\n[other]\na = 1\n";
        let table = text.parse().expect("TOML");
        let keeper = Keeper { path: "x".into(), text: text.to_owned(), table };
        assert_eq!(keeper.others(), ["github_token"]);
        let new = keeper.with(&[("github_app_id", "7".to_owned()), ("github_webhook_secret", "a\"b".to_owned())]);
        assert_eq!(
            new.expect("it can be added"),
            "# ours\nlisten = \"0.0.0.0:80\"\n\ngithub_app_id = \"7\"\ngithub_webhook_secret = 'a\"b'\n[other]\na = 1\n"
        );
    }
}
