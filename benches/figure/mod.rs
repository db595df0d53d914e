//! What the figures share: a real server in a process of its own, and the table that each of them prints.

pub(crate) mod crew;
pub(crate) mod database;
pub(crate) mod forge;
pub(crate) mod paper;

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// As the program has it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long the server may take until it listens.
const START: Duration = Duration::from_secs(30);
/// Between two looks at something that changes.
const LOOK: Duration = Duration::from_millis(5);

/// One line of the table: what was measured in each round.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) target: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) values: Vec<f64>,
}

/// `containerops serve`, killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    data: tempfile::TempDir,
    address: SocketAddr,
}

impl Server {
    /// Starts it on this machine alone; see [`Self::start_at`].
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), settings)
    }

    /// Starts it on a free port of `host`, with an empty data directory and these settings, and waits until it listens.
    pub(crate) fn start_at(host: IpAddr, settings: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let address = free_address(host);
        let child = Command::new(program())
            .arg("serve")
            .current_dir(data.path())
            .env("CONTAINEROPS_DATA", data.path())
            .env("CONTAINEROPS_LISTEN", address.to_string())
            .env("RUST_LOG", "error")
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        wait_until(START, "the server listens", || TcpStream::connect(address).is_ok());
        Self { child, data, address }
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Its memory now, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most memory that it ever had, in bytes.
    pub(crate) fn memory_peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would, as far as a process can tell, and gives back what it has left on the disk.
    pub(crate) fn kill(mut self) -> tempfile::TempDir {
        self.end();
        let elsewhere = tempfile::tempdir().expect("a directory");
        std::mem::replace(&mut self.data, elsewhere)
    }

    fn status(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the server runs");
        let value = status.lines().find_map(|line| line.strip_prefix(field)).expect("Linux tells it");
        let kilobytes: u64 = value.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes * 1024
    }

    fn end(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("a child can be killed");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// The program that is measured.
pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_containerops").into()
}

/// A port that was free just now.
fn free_address(host: IpAddr) -> SocketAddr {
    let listener = TcpListener::bind((host, 0)).expect("a port");
    listener.local_addr().expect("an address")
}

/// Looks until `there`, and fails after `limit`.
fn wait_until(limit: Duration, what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < limit, "after {limit:?} it is still not true that {what}");
        std::thread::sleep(LOOK);
    }
}

/// The value that as many are below as above.
pub(crate) fn median<T: PartialOrd + Copy>(values: &[T]) -> T {
    percentile(values, 50)
}

/// The smallest value that `percent` of all are not above.
pub(crate) fn percentile<T: PartialOrd + Copy>(values: &[T], percent: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank - 1]
}

/// The processor time that a process has used so far.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // the program's name comes first and may hold anything; user and system time are the 12th and 13th after it
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    // Linux counts in hundredths of a second, whatever its own tick is
    Duration::from_millis(ticks * 10)
}

/// Milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Prints the table, as Markdown, and under it how it was measured.
#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
pub(crate) fn print(figures: &[Figure], method: &str) {
    println!("\n| figure | target | median | all rounds |\n| --- | --- | --- | --- |");
    for Figure { name, target, unit, values } in figures {
        let all: Vec<String> = values.iter().map(|value| short(*value)).collect();
        println!("| {name} | {target} | {} {unit} | {} |", short(median(values)), all.join(", "));
    }
    println!("\n{}\n", method.trim());
}

/// At least so many bytes of lines as a test runner writes them, no two alike.
pub(crate) fn lines(bytes: usize) -> Vec<u8> {
    let mut text = String::with_capacity(bytes + 200);
    for n in 0_u64.. {
        let hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let _ = writeln!(text, "test shop::basket::tests::case_{n} ... ok ({hash:016x}, {} ms)", hash % 977);
        if text.len() >= bytes {
            break;
        }
    }
    text.into_bytes()
}

/// Three digits tell enough.
fn short(value: f64) -> String {
    match value.abs() {
        small if small < 1.0 => format!("{value:.3}"),
        medium if medium < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
