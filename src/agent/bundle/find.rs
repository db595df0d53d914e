//! What patterns of paths mean in a directory.
//!
//! `*` and `?` match within one name, `**` any number of directories, `[ab]` one of these characters, `{a,b}` one of these
//! texts. A pattern that matches a directory means all that is in it. Symbolic links are found, and never followed.
//! `.git` at the top is found by its name alone.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

/// Something on the disk, and how it is called in a bundle.
#[derive(Debug)]
pub struct Found {
    /// In the bundle; never empty, relative, without `..`.
    pub name: PathBuf,
    /// On the disk.
    pub path: PathBuf,
    /// Of itself, not of what it links to.
    pub metadata: Metadata,
}

/// How deep directories may be nested.
const DEPTH_MAX: usize = 100;

/// All that the patterns match below `root`, by its path from there, in order.
///
/// # Errors
/// If a directory cannot be read, or there is more than `most`.
pub fn matching(root: &Path, patterns: &[String], most: u64) -> io::Result<Vec<Found>> {
    let mut all = BTreeMap::new();
    for pattern in patterns {
        let pattern = tidy(pattern);
        let (base, depth) = literal(&pattern);
        let mut walk = Walk { root, pattern: &pattern, depth, most, all: &mut all };
        walk.visit(&base, Belongs::IfItMatches)?;
    }
    Ok(all.into_values().collect())
}

/// `root` itself and all below it, where `root` is called `name`; each directory before what is in it. Nothing, if
/// there is no `root`.
///
/// # Errors
/// If a directory cannot be read.
pub fn below(name: &Path, root: &Path, with: &mut impl FnMut(Found) -> io::Result<()>) -> io::Result<()> {
    match fs::symlink_metadata(root) {
        Ok(metadata) => descend(Found { name: name.to_owned(), path: root.to_owned(), metadata }, 0, with),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at(root, &error)),
    }
}

fn descend(found: Found, depth: usize, with: &mut impl FnMut(Found) -> io::Result<()>) -> io::Result<()> {
    let (name, path, is_dir) = (found.name.clone(), found.path.clone(), found.metadata.is_dir());
    with(found)?;
    if !is_dir {
        return Ok(());
    }
    if depth == DEPTH_MAX {
        return Err(io::Error::other(format!("{} is more than {DEPTH_MAX} directories deep", path.display())));
    }
    for child in children(&path)? {
        let path = path.join(&child);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            // gone meanwhile
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at(&path, &error)),
        };
        descend(Found { name: name.join(&child), path, metadata }, depth + 1, with)?;
    }
    Ok(())
}

/// Whether what is visited is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Belongs {
    /// It is in a directory that was matched.
    Surely,
    /// Not known yet.
    IfItMatches,
}

struct Walk<'a> {
    root: &'a Path,
    pattern: &'a str,
    /// Nothing deeper than this can match by itself.
    depth: usize,
    most: u64,
    all: &'a mut BTreeMap<PathBuf, Found>,
}

impl Walk<'_> {
    fn visit(&mut self, name: &Path, belongs: Belongs) -> io::Result<()> {
        let path = self.root.join(name);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            Err(error) => return Err(at(&path, &error)),
        };
        let is_dir = metadata.is_dir();
        let deep = name.components().count();
        let matched = belongs == Belongs::Surely || self.matches(name);
        if matched && deep > 0 {
            self.take(Found { name: name.to_owned(), path: path.clone(), metadata })?;
        }
        if !is_dir || deep > DEPTH_MAX || (!matched && deep >= self.depth) {
            return Ok(());
        }
        let belongs = if matched { Belongs::Surely } else { Belongs::IfItMatches };
        for child in children(&path)? {
            if deep == 0 && child == ".git" {
                continue;
            }
            self.visit(&name.join(child), belongs)?;
        }
        Ok(())
    }

    fn matches(&self, name: &Path) -> bool {
        name_matches(self.pattern, name)
    }

    fn take(&mut self, found: Found) -> io::Result<()> {
        self.all.insert(found.name.clone(), found);
        match self.all.len() as u64 > self.most {
            true => Err(io::Error::other(format!("there are more than {} files", self.most))),
            false => Ok(()),
        }
    }
}

/// Whether a pattern means this itself, and not just a directory that it is in.
pub fn is_meant(pattern: &str, name: &Path) -> bool {
    name_matches(&tidy(pattern), name)
}

fn name_matches(pattern: &str, name: &Path) -> bool {
    let name = name.as_os_str().as_bytes();
    (name.is_empty() && pattern.is_empty()) || fast_glob::glob_match(pattern.as_bytes(), name)
}

/// Without `./` in front and `/` at the end. The pattern `.` means everything, and becomes an empty one.
fn tidy(pattern: &str) -> String {
    let plain = Path::new(pattern).components().filter(|part| matches!(part, Component::Normal(_)));
    let parts: Vec<_> = plain.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    parts.join("/")
}

/// The directory that a pattern names without any doubt, and how deep its matches may be.
fn literal(pattern: &str) -> (PathBuf, usize) {
    let is_plain = |part: &&str| !part.contains(['*', '?', '[', '{', '\\', '!']);
    let parts: Vec<&str> = pattern.split('/').collect();
    let plain: PathBuf = parts.iter().copied().take_while(is_plain).collect();
    // braces may hold slashes
    let is_bounded = !pattern.contains("**") && !pattern.contains('{');
    (plain, if is_bounded { parts.len() } else { DEPTH_MAX })
}

fn children(directory: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let entries = fs::read_dir(directory).map_err(|error| at(directory, &error))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(|error| at(directory, &error))?.file_name());
    }
    names.sort();
    Ok(names)
}

/// The error, with the path that it is about.
pub(super) fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
