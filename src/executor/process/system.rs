//! What the standard library does not do with processes, and removing directories that jobs made read-only.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use tokio::process::Command;

use crate::model::AttemptId;

/// In a session of its own, no terminal's Ctrl-C and no end of ours reaches the agent.
#[expect(unsafe_code, reason = "the standard library has no setsid")]
pub(super) fn detach(command: &mut Command) {
    // SAFETY: between fork and exec only `setsid` is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| match libc::setsid() {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}

#[expect(unsafe_code, reason = "the standard library kills only what it started")]
pub(super) fn kill(pid: i32, signal: i32) {
    if pid > 0 {
        // SAFETY: a signal is sent; no memory is handed over.
        unsafe {
            libc::kill(pid, signal);
        }
    }
}

/// Every process that has the attempt's mark in its environment and is not a zombie, whose environment is empty.
pub(super) fn marked(variable: &str, attempt: AttemptId) -> Vec<i32> {
    let mark = format!("{variable}={attempt}");
    let has_mark = |environment: &[u8]| environment.split(|&byte| byte == 0).any(|other| other == mark.as_bytes());
    environments().filter(|(_, environment)| has_mark(environment)).map(|(pid, _)| pid).collect()
}

/// The attempts of which processes live whose home is below this directory: another server's have another.
pub(super) fn strays(variable: &str, below: &Path) -> Vec<AttemptId> {
    let of = |(_, environment): (i32, Vec<u8>)| {
        let text = String::from_utf8_lossy(&environment).into_owned();
        let value = |name: &str| text.split('\0').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let id: AttemptId = value(variable)?.parse().ok()?;
        (Path::new(value("HOME")?) == below.join(id.to_string())).then_some(id)
    };
    environments().filter_map(of).collect()
}

/// The environments of all processes that we may look at.
fn environments() -> impl Iterator<Item = (i32, Vec<u8>)> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.map(|pid| (pid, fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()))
}

/// Removes a directory, also what was made read-only in it.
pub(super) fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unlock(dir)?;
            fs::remove_dir_all(dir)
        }
        // an agent's exit was noted meanwhile
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => fs::remove_dir_all(dir),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn unlock(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)?.flatten() {
        if entry.file_type()?.is_dir() {
            unlock(&entry.path())?;
        }
    }
    Ok(())
}
