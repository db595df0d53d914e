//! `containerops git init`: a bare repository with the hook in place.

use std::{
    ffi::OsStr,
    fmt, fs, io,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    forge::{
        GitCommand, GitCommandError,
        git::{SecretError, secret, secret_file},
    },
    model::{NameError, RepositoryName},
};

/// What a repository's hook needs to know.
#[derive(Debug, Clone)]
pub struct HookSettings {
    /// The program that the hook runs as `<program> git hook`.
    pub program: PathBuf,
    /// Where ContainerOps answers: `http://127.0.0.1:8080`.
    pub url: String,
    /// The directory of all bare repositories.
    pub root: PathBuf,
    /// With which secret the hook signs.
    pub authority: Authority,
}

/// Where a hook's secret comes from.
#[derive(Debug, Clone)]
pub enum Authority {
    /// The secret of this data directory, which is made if there is none.
    OfData(PathBuf),
    /// This one, or the first of several separated by blanks. It is kept in a file of the repository that only its
    /// owner can read.
    Given(SecretString),
}

/// A repository that is ready for pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its name.
    pub name: RepositoryName,
    /// Where it lies, and so what to clone.
    pub path: PathBuf,
}

/// A repository could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The path is not under the root.
    #[error("{} is not below the Git root {}; try: containerops git init {}", path.display(), root.display(),
        root.join(path.file_name().unwrap_or_default()).display())]
    Outside {
        /// As given.
        path: PathBuf,
        /// The root.
        root: PathBuf,
    },
    /// The path makes no good name.
    #[error("the path under the Git root is the repository's name, but {0}")]
    Name(#[from] NameError),
    /// Something else is there.
    #[error("{} is there already and is no bare Git repository: choose another path, or move it away", .0.display())]
    NotBare(PathBuf),
    /// A repository of the same name is there, with or without `.git`.
    #[error("{} is there already and has the same name: use that one, or choose another path", .0.display())]
    SameName(PathBuf),
    /// The path lies within another repository.
    #[error("{} is a repository, and no other can lie in it: choose another path", .0.display())]
    Within(PathBuf),
    /// There is a hook that is not ours.
    #[error(
        "{} is another program's hook, which stays as it is. To have both, let it pass what it reads also to \
         `{} git hook`, say so by a line `{MARK}` in it, and run this command again",
        .0.display(), .1.display()
    )]
    ForeignHook(PathBuf, PathBuf),
    /// The secret cannot be read or made.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitCommandError),
    /// The disk.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// By this line in someone's own hook we know that it calls us.
const MARK: &str = "# containerops git hook";
/// By this beginning of a hook we know that it is ours to replace.
const OURS: &str = "#!/bin/sh\n# Made by `containerops git init`, which also refreshes it.";

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        writeln!(f, "{} is ready at {path}", self.name)?;
        write!(f, "git clone {path}   # or, in a repository that you have: git remote add ci {path}")
    }
}

/// Makes a bare repository at `path`, with `main` as its first branch, or refreshes the hook of one that is there.
///
/// # Errors
/// Each of [`InitError`]. The call may be repeated.
pub async fn init(path: &Path, settings: &HookSettings) -> Result<Made, InitError> {
    let root = made(&settings.root)?;
    let (path, name) = place(path, &root)?;
    if path.exists() && fs::read_dir(&path).map_err(disk(&path))?.next().is_some() {
        is_bare(&path).await?;
    } else {
        let new = GitCommand::new("init").args(["--quiet", "--bare", "--initial-branch=main", "--template=", "--"]);
        new.arg(&path).run(0).await?;
    }
    let hook = checked_hook(&path, &settings.program)?;
    configure(&path, &name, settings).await?;
    if let Some(hook) = hook {
        install(&hook, &settings.program)?;
    }
    Ok(Made { name, path })
}

/// A directory that is there after the call, by its real path.
fn made(directory: &Path) -> Result<PathBuf, InitError> {
    fs::create_dir_all(directory).and_then(|()| directory.canonicalize()).map_err(disk(directory))
}

/// The real path of a repository, and its name by that path.
fn place(path: &Path, root: &Path) -> Result<(PathBuf, RepositoryName), InitError> {
    let outside = || InitError::Outside { path: path.to_owned(), root: root.to_owned() };
    let path = real(path).map_err(disk(path))?;
    let below = path.strip_prefix(root).map_err(|_| outside())?.to_str().ok_or_else(outside)?;
    if below.is_empty() {
        return Err(outside());
    }
    let mut around = path.ancestors().skip(1).take_while(|around| around.starts_with(root));
    if let Some(around) = around.find(|around| around.join("HEAD").is_file()) {
        return Err(InitError::Within(around.to_owned()));
    }
    let name: RepositoryName = below.strip_suffix(".git").unwrap_or(below).parse()?;
    let twin = if below.ends_with(".git") { root.join(name.as_str()) } else { root.join(format!("{name}.git")) };
    if twin.exists() { Err(InitError::SameName(twin)) } else { Ok((path, name)) }
}

/// The path without links, `.` and `..`, of which only the beginning need be there.
fn real(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let there = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
    if rest.components().any(|part| part == Component::ParentDir) {
        return Err(io::Error::other("`..` leads through a directory that is not there"));
    }
    Ok(there.canonicalize()?.components().chain(rest.components()).collect())
}

async fn is_bare(path: &Path) -> Result<(), InitError> {
    let asked = GitCommand::new("rev-parse").git_dir(path).arg("--is-bare-repository").run(100).await;
    match asked {
        Ok(answer) if answer.trim_ascii() == b"true" => Ok(()),
        Ok(_) | Err(GitCommandError::Failed { .. }) => Err(InitError::NotBare(path.to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// Where the hook is to be written; none if there is someone's own that calls us.
fn checked_hook(path: &Path, program: &Path) -> Result<Option<PathBuf>, InitError> {
    let hook = path.join("hooks/post-receive");
    match fs::read(&hook).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) {
        Ok(text) if text.starts_with(OURS) => Ok(Some(hook)),
        Ok(text) if text.contains(MARK) => Ok(None),
        Ok(_) => Err(InitError::ForeignHook(hook, program.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(hook)),
        Err(error) => Err(disk(&hook)(error)),
    }
}

/// Writes what the hook needs to the repository's configuration.
async fn configure(path: &Path, name: &RepositoryName, settings: &HookSettings) -> Result<(), InitError> {
    let secret_file = match &settings.authority {
        Authority::OfData(data) => {
            secret(data)?;
            let file = secret_file(data);
            file.canonicalize().map_err(disk(&file))?
        }
        Authority::Given(secret) => keep(path, secret)?,
    };
    let url = settings.url.trim_end_matches('/');
    let entries =
        [("url", url.as_ref()), ("secretFile", secret_file.as_os_str()), ("repository", OsStr::new(name.as_str()))];
    for (key, value) in entries {
        let set = GitCommand::new("config").arg("--file").arg(path.join("config")).arg("--replace-all");
        set.arg(format!("containerops.{key}")).arg(value).run(0).await?;
    }
    Ok(())
}

/// Writes a secret to a file of the repository.
fn keep(path: &Path, secret: &SecretString) -> Result<PathBuf, InitError> {
    let file = path.join("containerops-secret");
    let first = secret.expose_secret().split_whitespace().next().unwrap_or_default();
    write(&file, first, 0o600).map_err(disk(&file))?;
    Ok(file)
}

/// Writes the hook: so short that nothing in it needs to change when ContainerOps does.
fn install(hook: &Path, program: &Path) -> Result<(), InitError> {
    let quoted = format!("'{}'", program.display().to_string().replace('\'', r"'\''"));
    let script = format!(
        "{OURS}\n\
         # Its settings: git config --get-regexp containerops\n\
         program={quoted}\n\
         [ -x \"$program\" ] && exec \"$program\" git hook\n\
         echo \"ContainerOps: not told of this push: $program is gone; run containerops git init again\" >&2\n"
    );
    write(hook, &script, 0o755).map_err(disk(hook))
}

/// Writes a file in one step, so that a push never meets half of it.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> InitError {
    let path = path.to_owned();
    |source| InitError::Disk { path, source }
}
