//! Puts the files of a bundle where they belong, and nowhere else.
//!
//! Names are relative and have no `..`; nothing is written through a symbolic link; there are files, directories and
//! symbolic links, and no other kind. Permissions and times are kept, but for bits that lend a user's rights.

use std::{
    borrow::Cow,
    collections::HashSet,
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read},
    os::unix::{
        ffi::OsStringExt,
        fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use tar::{Archive, EntryType};

use super::{ENTRIES_MAX, find::at};

/// Which symbolic links are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// All: where they come from is where they go. A virtual environment of Python, say, points to `/usr/bin/python3`.
    Any,
    /// Those that lead to no place outside of the bundle's own.
    Inside,
}

/// A bundle is not unpacked, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// An entry that does not belong there.
    #[error("it has an entry that does not belong there: {0}")]
    Hostile(String),
    /// The tar is broken, or the disk refuses.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// How much there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unpacked {
    /// Files, directories and links.
    pub entries: u64,
    /// Bytes of files.
    pub bytes: u64,
}

/// Unpacks `tar`. `root` says where entries go whose name begins with this part, if anywhere, and how many parts of the
/// name that place stands for.
///
/// # Errors
/// [`UnpackError`]; what came before is there then.
pub fn unpack(
    tar: impl Read,
    links: Links,
    root: impl Fn(&Path) -> Option<(PathBuf, usize)>,
) -> Result<Unpacked, UnpackError> {
    unpack_at_most(ENTRIES_MAX, tar, links, root)
}

/// The same, of a tar that has no more than so many entries.
///
/// # Errors
/// [`UnpackError`]; what came before is there then.
pub fn unpack_at_most(
    most: u64,
    tar: impl Read,
    links: Links,
    root: impl Fn(&Path) -> Option<(PathBuf, usize)>,
) -> Result<Unpacked, UnpackError> {
    let mut place = Place { links, safe: HashSet::new(), late: Vec::new() };
    let mut unpacked = Unpacked::default();
    let mut archive = Archive::new(tar);
    let mut long = Long::default();
    // raw: of a name that is too long for its header the library would keep as much as it claims to have
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        if long.takes(&mut entry)? {
            continue;
        }
        unpacked.entries += 1;
        if unpacked.entries > most {
            return Err(UnpackError::Hostile(format!("more than {most} files")));
        }
        let Long { name, link } = std::mem::take(&mut long);
        let name = name.map_or_else(|| entry.path().map(Cow::into_owned), Ok)?;
        check(&name)?;
        let Some((root, skip)) = root(&name) else { continue };
        unpacked.bytes += place.put(entry, link, (&root, skip), &name)?;
    }
    place.finish()?;
    Ok(unpacked)
}

/// A path on Linux has no more bytes.
const PATH_MAX: u64 = 4096;

/// The name and the link of the next entry, if they are too long for its header: entries of their own, before it.
#[derive(Debug, Default)]
struct Long {
    name: Option<PathBuf>,
    link: Option<PathBuf>,
}

impl Long {
    /// Whether this is such an entry.
    fn takes(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> Result<bool, UnpackError> {
        let kind = entry.header().entry_type();
        let text = if kind == EntryType::GNULongName {
            &mut self.name
        } else if kind == EntryType::GNULongLink {
            &mut self.link
        } else {
            return Ok(false);
        };
        let mut bytes = Vec::new();
        entry.take(PATH_MAX + 1).read_to_end(&mut bytes)?;
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        if bytes.len() as u64 > PATH_MAX {
            return Err(UnpackError::Hostile("a name that is longer than any path".to_owned()));
        }
        *text = Some(PathBuf::from(OsString::from_vec(bytes)));
        Ok(true)
    }
}

fn check(name: &Path) -> Result<(), UnpackError> {
    let is_plain = name.components().all(|part| matches!(part, Component::Normal(_)));
    if is_plain && name.components().next().is_some() { Ok(()) } else { Err(hostile(name)) }
}

fn hostile(name: &Path) -> UnpackError {
    UnpackError::Hostile(name.display().to_string())
}

struct Place {
    links: Links,
    /// Directories that are none of anybody's links.
    safe: HashSet<PathBuf>,
    /// Permissions and times of directories, for when nothing more is written in them.
    late: Vec<(PathBuf, u32, SystemTime)>,
}

impl Place {
    fn put<R: Read>(
        &mut self,
        mut entry: tar::Entry<'_, R>,
        long_link: Option<PathBuf>,
        (root, skip): (&Path, usize),
        name: &Path,
    ) -> Result<u64, UnpackError> {
        let inner: PathBuf = name.components().skip(skip).collect();
        let path = if inner.as_os_str().is_empty() { root.to_owned() } else { root.join(&inner) };
        let (mode, time) = (entry.header().mode()? & 0o777, mtime(entry.header().mtime()?));
        let kind = entry.header().entry_type();
        if kind == EntryType::Directory {
            self.directory(root, &inner)?;
            self.late.push((path, mode, time));
            Ok(0)
        } else if kind == EntryType::Regular {
            self.parent(root, &inner, name)?;
            write(&mut entry, &path, mode, time).map_err(|error| at(&path, &error).into())
        } else if kind == EntryType::Symlink {
            self.parent(root, &inner, name)?;
            let to = match long_link {
                Some(to) => to,
                None => entry.link_name()?.ok_or_else(|| hostile(name))?.into_owned(),
            };
            if self.links == Links::Inside && !stays(&inner, &to) {
                return Err(UnpackError::Hostile(format!("{}, a link to {}", name.display(), to.display())));
            }
            link(&to, &path).map_err(|error| at(&path, &error))?;
            Ok(0)
        } else {
            Err(hostile(name))
        }
    }

    /// The directory that a file or link is in. A root may be a file itself.
    fn parent(&mut self, root: &Path, inner: &Path, name: &Path) -> Result<(), UnpackError> {
        match inner.parent() {
            Some(parent) => self.directory(root, parent),
            None => {
                let parent = root.parent().ok_or_else(|| hostile(name))?;
                Ok(fs::create_dir_all(parent).map_err(|error| at(parent, &error))?)
            }
        }
    }

    fn directory(&mut self, root: &Path, inner: &Path) -> Result<(), UnpackError> {
        let whole = root.join(inner);
        if self.safe.contains(&whole) {
            return Ok(());
        }
        if !self.safe.contains(root) {
            fs::create_dir_all(root).map_err(|error| at(root, &error))?;
            self.safe.insert(root.to_owned());
        }
        let mut path = root.to_owned();
        for part in inner.components() {
            path.push(part);
            if self.safe.insert(path.clone()) {
                make_directory(&path)?;
            }
        }
        Ok(())
    }

    /// Children first: a directory that nobody may write is left so only when all in it is done.
    fn finish(mut self) -> Result<(), UnpackError> {
        while let Some((path, mode, time)) = self.late.pop() {
            let directory = File::open(&path).map_err(|error| at(&path, &error))?;
            // somebody else's, which was there before, stays as it is
            let _ = directory.set_permissions(Permissions::from_mode(mode));
            let _ = directory.set_modified(time);
        }
        Ok(())
    }
}

/// Writable for us as long as we write in it.
fn make_directory(path: &Path) -> Result<(), UnpackError> {
    match DirBuilder::new().mode(0o755).create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let there = fs::symlink_metadata(path).map_err(|error| at(path, &error))?;
            if !there.is_dir() {
                return Err(UnpackError::Hostile(format!("{}, where something else is", path.display())));
            }
            Ok(())
        }
        Err(error) => Err(at(path, &error).into()),
    }
}

/// A file of its own, whatever was there.
fn write(entry: &mut impl Read, path: &Path, mode: u32, time: SystemTime) -> io::Result<u64> {
    let create = || OpenOptions::new().write(true).create_new(true).mode(mode | 0o200).open(path);
    let mut file = match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create()?
        }
        file => file?,
    };
    let bytes = io::copy(entry, &mut file)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.set_modified(time)?;
    Ok(bytes)
}

fn link(to: &Path, path: &Path) -> io::Result<()> {
    match std::os::unix::fs::symlink(to, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            std::os::unix::fs::symlink(to, path)
        }
        made => made,
    }
}

/// Whether a link at `inner` leads to no place outside of the root. `..` stands only in front: behind a name that is
/// itself a link it would lead nobody knows where.
fn stays(inner: &Path, to: &Path) -> bool {
    let depth = inner.components().count().saturating_sub(1);
    let up = to.components().take_while(|part| matches!(part, Component::ParentDir | Component::CurDir));
    let (up, skip) = up.fold((0, 0), |(up, all), part| (up + usize::from(part == Component::ParentDir), all + 1));
    let mut rest = to.components().skip(skip);
    up <= depth && rest.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

fn mtime(seconds: u64) -> SystemTime {
    // far in the future is as good as any other lie
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(u64::from(u32::MAX)))
}
