//! The few calls to the kernel for which there is no safe interface. Linux alone has some of them, as pods do.

use std::fs;

/// How a process ended, as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

/// Keeps other processes of the same user, the job above all, from reading our memory, where the session's secret is.
#[expect(unsafe_code, reason = "prctl has no safe interface")]
pub(super) fn hide_memory() {
    // SAFETY: a flag of this process is set; no memory is handed over.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
}

/// Makes the orphans of the job our children, so that none outlives it.
#[expect(unsafe_code, reason = "prctl has no safe interface")]
pub(super) fn adopt_orphans() {
    // SAFETY: a flag of this process is set; no memory is handed over.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
}

/// The next child that has ended, our own or adopted; none if all others still run.
#[expect(unsafe_code, reason = "the standard library waits for one process at a time")]
pub(super) fn reap() -> Option<(u32, End)> {
    let mut status = 0;
    // SAFETY: `status` lives longer than the call.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    let pid = u32::try_from(pid).ok().filter(|&pid| pid > 0)?;
    let end = if libc::WIFSIGNALED(status) {
        End::Signal(libc::WTERMSIG(status))
    } else {
        End::Exit(libc::WEXITSTATUS(status))
    };
    Some((pid, end))
}

/// Sends a signal to a process group. That it is gone already is as good.
pub(super) fn signal_group(leader: u32, signal: i32) {
    if let Ok(leader) = i32::try_from(leader) {
        kill(-leader, signal);
    }
}

/// Kills our children. Their own children become ours, so whoever repeats this until it finds none has killed all.
/// Says how many there were.
pub(super) fn kill_children() -> usize {
    if std::process::id() == 1 {
        // all but ourselves, and no need for /proc
        return usize::from(kill(-1, libc::SIGKILL));
    }
    let children = children();
    for &child in &children {
        kill(child, libc::SIGKILL);
    }
    children.len()
}

/// Whether there was someone to get it.
#[expect(unsafe_code, reason = "the standard library kills only what it started")]
fn kill(whom: i32, signal: i32) -> bool {
    // SAFETY: a signal is sent; no memory is handed over.
    unsafe { libc::kill(whom, signal) == 0 }
}

fn children() -> Vec<i32> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| parent(pid) == Some(std::process::id())).collect()
}

/// The fourth field of `/proc/PID/stat`; the second is a name in parentheses that may hold anything.
fn parent(pid: i32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}
