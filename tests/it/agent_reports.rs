//! Which files an agent takes for reports of its job's tests, and which it does not.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, SystemTime},
};

use containerops::agent::{
    mask::Masks,
    protocol::{REPORT_FILES_MAX, REPORT_MAX, REPORTS_MAX},
    reports::{Copied, copy},
};
use insta::assert_snapshot;

/// Copies from a workspace that this prepares: what is taken, and what is said.
fn copied(patterns: &[&str], prepare: impl FnOnce(&Path)) -> (Copied, tempfile::TempDir) {
    let (dir, begun) = (tempfile::tempdir().expect("a directory"), SystemTime::now());
    let (root, copies) = (dir.path().join("workspace"), dir.path().join("copies"));
    fs::create_dir_all(&root).expect("a directory");
    prepare(&root);
    let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    (copy(&root, &patterns, &copies, &Masks::new(["hunter2"]), Some(begun)), dir)
}

fn told(copied: &Copied) -> String {
    let files = copied.files.iter().map(|found| {
        let text = fs::read_to_string(&found.path).expect("a copy");
        format!("{}: {}\n", found.name.display(), text.trim())
    });
    files.chain(copied.notes.iter().map(|note| format!("note: {note}\n"))).collect()
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, text).expect("a file");
}

#[test]
fn files_in_the_workspace_are_taken_and_nothing_else() {
    let (found, dir) = copied(&["reports", "*.junit", "**/TEST-*.xml", "link.xml", "out.xml", "deep/a.xml"], |root| {
        write(root, "reports/a.xml", "<a token='hunter2'/>");
        write(root, "reports/notes.txt", "of a directory only XML is meant");
        write(root, "by.junit", "named");
        write(root, "m1/target/TEST-x.xml", "<m1/>");
        write(root, "../outside.xml", "outside");
        write(root, "../folder/a.xml", "outside");
        symlink(root.join("reports/a.xml"), root.join("link.xml")).expect("a link");
        symlink("../outside.xml", root.join("out.xml")).expect("a link");
        symlink("../folder", root.join("deep")).expect("a link");
        symlink("/dev/zero", root.join("reports/zero.xml")).expect("a link");
    });
    assert_snapshot!(told(&found), @"
    by.junit: named
    link.xml: <a token='***'/>
    m1/target/TEST-x.xml: <m1/>
    reports/a.xml: <a token='***'/>
    note: deep/a.xml was not read: it is a link out of the workspace
    note: out.xml was not read: it is a link out of the workspace
    note: reports/zero.xml was not read: it is a link out of the workspace
    ");
    drop(dir);
    let (found, _) = copied(&["*.xml"], |_| {});
    assert_eq!(told(&found), "");
}

#[test]
fn too_much_is_left_out_and_said() {
    let sized = |root: &Path, name: &str, size: u64| {
        let file = File::create(root.join(name)).expect("a file");
        file.set_len(size).expect("a size");
    };
    let (found, dir) = copied(&["*.xml"], |root| {
        sized(root, "a.xml", REPORT_MAX + 1);
        (0..5).for_each(|n| sized(root, &format!("b{n}.xml"), REPORT_MAX));
        sized(root, "c.xml", 1);
    });
    let bytes: u64 = found.files.iter().map(|found| found.metadata.len()).sum();
    assert_eq!((found.files.len(), bytes), (4, REPORTS_MAX));
    assert_snapshot!(found.notes.join("\n"), @"
    a.xml was not read: it has more than 16 MiB, which is the most
    2 more files were left out: 1000 files with 64 MiB are the most
    ");
    drop(dir);
    let (found, _dir) =
        copied(&["*.xml"], |root| (0..REPORT_FILES_MAX + 7).for_each(|n| sized(root, &format!("{n}.xml"), 1)));
    assert_eq!(found.files.len(), REPORT_FILES_MAX);
    assert!(found.notes[0].starts_with("7 more files were left out"), "{:?}", found.notes);
}

#[test]
fn what_was_there_before_the_job_counts_and_is_said() {
    let (found, _dir) = copied(&["*.xml"], |root| {
        write(root, "new.xml", "<new/>");
        let old = File::create(root.join("old.xml")).expect("a file");
        old.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("a time");
    });
    assert_snapshot!(told(&found), @r"
    new.xml: <new/>
    old.xml: 
    note: 1 of 2 files are older than the job, which may not have written them
    ");
}
