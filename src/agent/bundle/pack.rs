//! Makes a bundle of files, a part at a time.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::FileTypeExt,
    path::Path,
};

use tar::{Builder, EntryType, Header, HeaderMode};

use super::{
    Bundle, ENTRIES_MAX, Entry, EntryKind, PART_LENGTH, Part,
    find::{Found, at},
};

/// As `zstd` itself does it: more takes longer than it saves on the way.
const LEVEL: i32 = 3;
/// How tar rounds.
const BLOCK: u64 = 512;

/// A bundle is not made.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It would be larger than it may be.
    #[error("it has more than {0} bytes, which is the most")]
    TooLarge(u64),
    /// A file cannot be read, or changed while it was.
    #[error("{0}")]
    Read(io::Error),
    /// Whoever takes the parts wants no more.
    #[error("nobody takes it any more")]
    Unwanted,
}

/// Takes a part and its compressed bytes; false: it wants no more.
pub trait Take: FnMut(Part, Vec<u8>) -> bool {}
impl<F: FnMut(Part, Vec<u8>) -> bool> Take for F {}

/// A bundle that is being made.
pub struct Packer<T: Take> {
    tar: Builder<Cutter<T>>,
    entries: u64,
}

impl<T: Take> Packer<T> {
    /// One whose tar has at most `limit` bytes; `take` gets its parts in order.
    pub fn new(limit: u64, take: T) -> Self {
        let cutter = Cutter { limit, take, buffer: Vec::new(), bundle: Bundle::default(), written: 0, trouble: None };
        Self { tar: Builder::new(cutter), entries: 0 }
    }

    /// Puts one thing into it. `None`: it is a socket or a device, and is left out.
    ///
    /// # Errors
    /// [`PackError`].
    pub fn add(&mut self, found: &Found) -> Result<Option<Entry>, PackError> {
        self.entries += 1;
        if self.entries > ENTRIES_MAX {
            return Err(PackError::Read(io::Error::other(format!("there are more than {ENTRIES_MAX} files"))));
        }
        let added = self.append(found);
        added.map_err(|error| self.tar.get_mut().trouble.take().unwrap_or(PackError::Read(error)))
    }

    fn append(&mut self, found: &Found) -> io::Result<Option<Entry>> {
        let kind = found.metadata.file_type();
        if kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device() {
            return Ok(None);
        }
        let mut header = Header::new_gnu();
        header.set_metadata_in_mode(&found.metadata, HeaderMode::Complete);
        header.set_uid(0);
        header.set_gid(0);
        let kind = if kind.is_dir() {
            header.set_size(0);
            self.tar.append_data(&mut header, &found.name, io::empty())?;
            EntryKind::Directory
        } else if kind.is_symlink() {
            let to = std::fs::read_link(&found.path).map_err(|error| at(&found.path, &error))?;
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            self.tar.append_link(&mut header, &found.name, &to)?;
            EntryKind::Link { to: to.to_string_lossy().into_owned() }
        } else {
            self.append_file(found, &mut header)?
        };
        Ok(Some(Entry { path: found.name.to_string_lossy().into_owned(), kind }))
    }

    fn append_file(&mut self, found: &Found, header: &mut Header) -> io::Result<EntryKind> {
        let file = File::open(&found.path).map_err(|error| at(&found.path, &error))?;
        let (size, mode) = (found.metadata.len(), header.mode()?);
        let mut read = Counted { from: file.take(size), count: 0 };
        header.set_size(size);
        self.tar.append_data(header, &found.name, &mut read)?;
        if read.count != size {
            return Err(changed(&found.path));
        }
        let end = self.tar.get_ref().written;
        Ok(EntryKind::File { size, mode: mode & 0o7777, at: end - size.div_ceil(BLOCK) * BLOCK })
    }

    /// Ends the tar.
    ///
    /// # Errors
    /// [`PackError`].
    pub fn finish(mut self) -> Result<Bundle, PackError> {
        let finished = self.tar.finish().and_then(|()| self.tar.get_mut().cut_rest());
        if let Err(error) = finished {
            return Err(self.tar.get_mut().trouble.take().unwrap_or(PackError::Read(error)));
        }
        Ok(std::mem::take(&mut self.tar.get_mut().bundle))
    }
}

fn changed(path: &Path) -> io::Error {
    io::Error::other(format!("{} became shorter while it was read", path.display()))
}

struct Counted<R> {
    from: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

/// Cuts what is written to it into parts.
struct Cutter<T> {
    limit: u64,
    take: T,
    buffer: Vec<u8>,
    bundle: Bundle,
    written: u64,
    /// What an error of ours was; [`io::Error`] cannot say it.
    trouble: Option<PackError>,
}

impl<T: Take> Cutter<T> {
    fn fail(&mut self, trouble: PackError) -> io::Error {
        let error = io::Error::other(trouble.to_string());
        self.trouble = Some(trouble);
        error
    }

    fn cut(&mut self) -> io::Result<()> {
        let data = zstd::bulk::compress(&self.buffer, LEVEL)?;
        let part = Part::of(&data);
        self.bundle.length += self.buffer.len() as u64;
        self.bundle.parts.push(part.clone());
        self.buffer.clear();
        if (self.take)(part, data) { Ok(()) } else { Err(self.fail(PackError::Unwanted)) }
    }

    fn cut_rest(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() { Ok(()) } else { self.cut() }
    }
}

impl<T: Take> Write for Cutter<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PART_LENGTH as usize - self.buffer.len();
        let some = &bytes[..bytes.len().min(room)];
        if self.written + some.len() as u64 > self.limit {
            let limit = self.limit;
            return Err(self.fail(PackError::TooLarge(limit)));
        }
        self.buffer.extend_from_slice(some);
        self.written += some.len() as u64;
        if self.buffer.len() as u64 == PART_LENGTH {
            self.cut()?;
        }
        Ok(some.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
