//! Bundles: what is packed comes out the same, and what is hostile stays out.

use std::{
    fs::{self, Permissions},
    io::{Cursor, Read},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use containerops::agent::bundle::{
    Bundle, Entry, EntryKind, PART_LENGTH,
    find::{below, matching},
    pack::{PackError, Packer},
    unpack::{Links, UnpackError, unpack, unpack_at_most},
};
use tar::{Builder, EntryType, Header};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a directory");
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    folder
}

fn names(folder: &Path, patterns: &[&str]) -> Vec<String> {
    let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    let found = matching(folder, &patterns, 1000).expect("it can be read");
    found.iter().map(|found| found.name.display().to_string()).collect()
}

/// Everything in a directory, packed: the bundle, its entries, and its tar.
fn packed(folder: &Path, limit: u64) -> Result<(Bundle, Vec<Entry>, Vec<u8>), PackError> {
    let mut tar = Vec::new();
    let mut packer = Packer::new(limit, |part, data| {
        tar.extend(part.open(&data).expect("a part opens"));
        true
    });
    let mut entries = Vec::new();
    let mut wrong = None;
    let walked = below(Path::new("0"), folder, &mut |found| {
        match packer.add(&found) {
            Ok(entry) => entries.extend(entry),
            Err(error) => wrong = Some(error),
        }
        if wrong.is_some() { Err(std::io::Error::other("stop")) } else { Ok(()) }
    });
    if let Some(error) = wrong {
        return Err(error);
    }
    walked.expect("it can be read");
    let bundle = packer.finish()?;
    Ok((bundle, entries, tar))
}

fn into(folder: &Path) -> impl Fn(&Path) -> Option<(PathBuf, usize)> {
    let folder = folder.to_owned();
    move |_| Some((folder.clone(), 1))
}

#[test]
fn patterns_name_files_and_whole_directories() {
    let files =
        ["a.log", "target/x.log", "target/deep/y.log", "target/z.txt", ".git/HEAD", "dist/js/app.js", "dist/.env"];
    let all = folder(&files.map(|file| (file, "")));
    symlink("/etc", all.path().join("target/etc")).expect("a link");
    assert_eq!(names(all.path(), &["*.log"]), ["a.log"]);
    assert_eq!(names(all.path(), &["target/*.log", "a.log"]), ["a.log", "target/x.log"]);
    assert_eq!(names(all.path(), &["**/*.log"]), ["a.log", "target/deep/y.log", "target/x.log"]);
    assert_eq!(names(all.path(), &["./dist/"]), ["dist", "dist/.env", "dist/js", "dist/js/app.js"]);
    assert_eq!(names(all.path(), &["{dist/js,target}/[az]*"]), ["dist/js/app.js", "target/z.txt"]);
    assert_eq!(names(all.path(), &["target/et?"]), ["target/etc"], "a link is found, and not followed");
    assert_eq!(names(all.path(), &["nothing", "a.log/below"]), Vec::<String>::new());
    let everything = names(all.path(), &["."]);
    assert!(everything.len() > 6 && !everything.iter().any(|name| name.starts_with(".git")), "{everything:?}");
    assert!(matching(all.path(), &["**".to_owned()], 3).is_err(), "there is a most");
}

#[test]
fn what_is_packed_comes_out_with_its_mode_and_time() {
    let from = folder(&[("bin/tool", "#!/bin/sh\n"), ("read-only/file", "x"), ("empty", "")]);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let mode =
        |path: &str, mode| fs::set_permissions(from.path().join(path), Permissions::from_mode(mode)).expect("a mode");
    let large: Vec<u8> = (0..PART_LENGTH as u32 / 2).flat_map(u32::to_le_bytes).collect();
    fs::write(from.path().join("large"), &large).expect("a file");
    fs::File::open(from.path().join("bin/tool")).and_then(|file| file.set_modified(long_ago)).expect("a time");
    symlink("bin/tool", from.path().join("link")).expect("a link");
    mode("bin/tool", 0o750);
    mode("read-only", 0o555);
    let (bundle, entries, tar) = packed(from.path(), u64::MAX).expect("a bundle");
    assert_eq!((bundle.parts.len() as u64, bundle.length), (Bundle::parts_of(tar.len() as u64), tar.len() as u64));
    let place = entries.iter().find(|entry| entry.path == "0/large").expect("it is listed");
    let EntryKind::File { size, at, .. } = place.kind else { panic!("{place:?}") };
    assert!(tar[at as usize..(at + size) as usize] == large, "its bytes are where the list says");

    let to = tempfile::tempdir().expect("a directory");
    // a second time over the first: what is there is replaced
    for _ in 0..2 {
        unpack(Cursor::new(&tar), Links::Inside, into(to.path())).expect("it is unpacked");
        fs::set_permissions(to.path().join("read-only"), Permissions::from_mode(0o755)).expect("a mode");
    }
    assert!(fs::read(to.path().join("large")).expect("a file") == large);
    let tool = fs::metadata(to.path().join("bin/tool")).expect("a file");
    assert_eq!((tool.mode() & 0o7777, tool.mtime()), (0o750, 1_000_000_000));
    assert_eq!(fs::read_link(to.path().join("link")).expect("a link"), Path::new("bin/tool"));
    mode("read-only", 0o755);
}

#[test]
fn a_bundle_over_its_limit_is_not_made() {
    let from = folder(&[("file", &"x".repeat(100_000))]);
    assert!(matches!(packed(from.path(), 50_000), Err(PackError::TooLarge(50_000))));
}

fn tar_of(kind: EntryType, name: &str, link: &str) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(0o644);
    // as no honest program writes them: the library refuses such names
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name.as_bytes());
    old.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    let mut tar = Builder::new(Vec::new());
    tar.append(&header, std::io::empty()).expect("an entry");
    tar.into_inner().expect("a tar")
}

#[test]
fn nothing_hostile_is_unpacked() {
    let hostile = [
        (EntryType::Regular, "0/../../escaped", ""),
        (EntryType::Regular, "/tmp/escaped", ""),
        (EntryType::Regular, "..", ""),
        (EntryType::Link, "0/hard", "/etc/passwd"),
        (EntryType::Char, "0/null", ""),
        (EntryType::Block, "0/disk", ""),
        (EntryType::Fifo, "0/pipe", ""),
        (EntryType::Symlink, "0/out", "/etc"),
        (EntryType::Symlink, "0/out", "../x"),
        (EntryType::Symlink, "0/a/out", "b/../../.."),
    ];
    for (kind, name, link) in hostile {
        let to = tempfile::tempdir().expect("a directory");
        let unpacked = unpack(Cursor::new(tar_of(kind, name, link)), Links::Inside, into(&to.path().join("in")));
        assert!(matches!(unpacked, Err(UnpackError::Hostile(_))), "{name} {link}: {unpacked:?}");
        assert!(!to.path().join("escaped").exists());
    }
    let broken = unpack(Cursor::new(b"no tar at all, but long enough".repeat(100)), Links::Any, |_| None);
    assert!(matches!(broken, Err(UnpackError::Io(_))));
}

#[test]
fn nothing_is_written_through_a_link() {
    let outside = tempfile::tempdir().expect("a directory");
    let to = tempfile::tempdir().expect("a directory");
    let link = outside.path().display().to_string();
    let first = tar_of(EntryType::Symlink, "0/out", &link);
    unpack(Cursor::new(first), Links::Any, into(to.path())).expect("a cache may have such a link");
    let second = unpack(Cursor::new(tar_of(EntryType::Regular, "0/out/file", "")), Links::Any, into(to.path()));
    assert!(matches!(second, Err(UnpackError::Hostile(_))), "{second:?}");
    // over the link itself it is a file of its own
    unpack(Cursor::new(tar_of(EntryType::Regular, "0/out", "")), Links::Any, into(to.path())).expect("a file");
    assert!(fs::symlink_metadata(to.path().join("out")).expect("a file").is_file());
    assert_eq!(fs::read_dir(outside.path()).expect("a directory").count(), 0);
}

#[test]
fn a_part_that_is_another_or_a_bomb_does_not_open() {
    let bomb = zstd::bulk::compress(&vec![0; PART_LENGTH as usize + 1], 3).expect("compressed");
    let part = containerops::agent::bundle::Part::of(&bomb);
    assert!(part.open(&bomb).is_err(), "it has more than a part may");
    assert!(part.open(&bomb[1..]).is_err(), "it is another");
}

#[test]
fn names_and_links_may_be_as_long_as_paths_and_no_longer() {
    let deep = format!("{}name", "directory/".repeat(40));
    let from = folder(&[(deep.as_str(), "deep")]);
    symlink(&deep, from.path().join("link")).expect("a link");
    let (_, _, tar) = packed(from.path(), 1 << 30).expect("it is packed");
    let to = tempfile::tempdir().expect("a directory");
    unpack(Cursor::new(&tar), Links::Inside, into(to.path())).expect("it is unpacked");
    assert_eq!(fs::read(to.path().join("link")).expect("a file"), b"deep");
    // a name of a gigabyte, which packs to nothing
    for kind in [EntryType::GNULongName, EntryType::GNULongLink] {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(1 << 30);
        header.set_path("././@LongLink").expect("a name");
        header.set_cksum();
        let endless = Cursor::new(header.as_bytes().to_vec()).chain(std::io::repeat(b'x'));
        let unpacked = unpack(endless, Links::Any, into(to.path()));
        assert!(matches!(unpacked, Err(UnpackError::Hostile(_))), "{unpacked:?}");
    }
    let pax = unpack(Cursor::new(tar_of(EntryType::XHeader, "0/x", "")), Links::Any, into(to.path()));
    assert!(matches!(pax, Err(UnpackError::Hostile(_))), "{pax:?}");
}

#[test]
fn a_bundle_has_no_more_entries_than_it_may() {
    let entry = tar_of(EntryType::Directory, "0/same", "");
    let header = Cursor::new(entry[..512].to_vec());
    /// The same header again and again.
    struct Again(Cursor<Vec<u8>>);
    impl Read for Again {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.position() == 512 {
                self.0.set_position(0);
            }
            self.0.read(buffer)
        }
    }
    let unpacked = unpack_at_most(1000, Again(header), Links::Any, |_| None);
    assert!(matches!(&unpacked, Err(UnpackError::Hostile(words)) if words == "more than 1000 files"), "{unpacked:?}");
}
