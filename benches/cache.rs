//! How fast a warm cache comes back, and what memory a large artifact takes.
//!
//! A cache of 500 MB in 20,000 files is restored by the real agent from a real server, unpacking included, and in the same
//! rounds `tar -I zstd -x` unpacks the same files on the same disk: that is what the disk and the files themselves cost.
//! Then a job leaves an artifact of 2 GB, and another one takes it.

#[expect(dead_code, reason = "each figure needs a part of it")]
mod figure;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use figure::{Figure, Server, forge::Repository, ms};

const ROUNDS: usize = 5;
const FILES: usize = 20_000;
const FOLDERS: usize = 400;
const BYTES: usize = 500_000_000;
/// Of the artifact.
const LARGE: usize = 2_000_000_000;
/// Between two looks at the agents' memory.
const LOOK: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() {
    let mut figures = warm_cache().await;
    figures.extend(large_artifact().await);
    let method = format!(
        "Medians of {ROUNDS} rounds, in which tar and agent take turns. {FILES} files in {FOLDERS} folders, a third of the \
         bytes random, a third text, a third in between; process executor; job, agent and server share the machine, and \
         what is read is in the page cache for both. The agent's time runs from the job's claim to the log's line that \
         all is restored."
    );
    figure::print(&figures, &method);
}

async fn warm_cache() -> Vec<Figure> {
    let place = tempfile::tempdir().expect("a directory");
    let (files, archive) = (place.path().join("files"), place.path().join("files.tar.zst"));
    make_files(&files);
    run(Command::new("tar").args(["-I", "zstd", "-cf"]).arg(&archive).arg("-C").arg(&files).arg("."));
    let server = Server::start(&[("CONTAINEROPS_EXECUTOR", "process")]);
    let flow = format!(
        "title: Warm cache\nimage: busybox\ncache: [{{name: files, key-files: [lock], paths: [files]}}]\n\
         run: |\n  test -e files || cp -a {} files\n  find files -type f | wc -l\n",
        files.display()
    );
    let mut repository =
        Repository::make(&server, &[(".containerops.yml", flow.as_bytes()), ("lock", b"1".as_slice())]).await;
    repository.push().await;
    let (mut plain, mut restored) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(unpack(&archive, &place.path().join("unpacked")));
        run(&mut Command::new("sync"));
        let ended = repository.push().await;
        let started = ended.job.started.expect("a claim");
        restored.push(ms(ended.first_line.since(started)));
        run(&mut Command::new("sync"));
    }
    let ratios = plain.iter().zip(&restored).map(|(plain, restored)| plain / restored).collect();
    let figure = |name: &str, target, unit, values| Figure { name: name.to_owned(), target, unit, values };
    vec![
        figure("a warm cache of 500 MB in 20,000 files, restored", "–", "ms", restored),
        figure("`tar -I zstd -x` of the same files on the same disk", "–", "ms", plain),
        figure("the cache's speed as a part of tar's", "≥ 0.33", "", ratios),
        figure("the server's peak memory", "–", "MB", vec![mb(server.memory_peak())]),
    ]
}

async fn large_artifact() -> Vec<Figure> {
    let server = Server::start(&[("CONTAINEROPS_EXECUTOR", "process")]);
    let flow = format!(
        "stages:\n  - name: all\n    jobs:\n      - name: leave\n        image: busybox\n        \
         run: head -c {} /dev/urandom > large; head -c {} /dev/zero >> large\n        artifacts: {{paths: large}}\n      \
         - name: take\n        image: busybox\n        run: cmp large got/large\n        \
         artifacts: {{from: all.all.leave, to: got}}\n",
        LARGE / 2,
        LARGE / 2
    );
    let mut repository = Repository::make(&server, &[(".containerops.yml", flow.as_bytes())]).await;
    let idle = server.memory();
    let agents = Agents::watch();
    let ended = repository.push().await;
    let took = ended.job.started.expect("a claim").since(ended.attempt.created);
    let figure = |name: &str, unit, value| Figure { name: name.to_owned(), target: "–", unit, values: vec![value] };
    vec![
        figure("an artifact of 2 GB, from its attempt's beginning until it is kept", "s", took.as_secs_f64()),
        figure("the server's memory before", "MB", mb(idle)),
        figure("its peak", "MB", mb(server.memory_peak())),
        figure("the peak of the agent that leaves it, and of the one that takes it", "MB", mb(agents.peak())),
    ]
}

/// Files as a build leaves them: most are small, few are large, and not all can be compressed.
fn make_files(root: &Path) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mean = BYTES / FILES;
    for n in 0..FILES {
        let folder = root.join(format!("part-{}", n % FOLDERS)).join("deps");
        fs::create_dir_all(&folder).expect("a folder");
        // between nothing and twice the mean, so that all of them have about as much as they should
        let length = (random.next() % (2 * mean as u64)) as usize;
        let content = match n % 3 {
            0 => random.bytes(length),
            1 => random.text(length),
            _ => random.bytes(64).repeat(length / 64 / 4 + 1).into_iter().chain(random.bytes(length / 4)).collect(),
        };
        let mut file = fs::File::create(folder.join(format!("file-{n}.o"))).expect("a file");
        file.write_all(&content[..content.len().min(length)]).expect("its content");
    }
}

/// Numbers that are the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).take(length).collect()
    }

    fn text(&mut self, length: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(length + 80);
        while text.len() < length {
            let word = self.next();
            let _ = writeln!(text, "let value_{} = compute({:x}, \"{}\");", word % 977, word >> 40, word % 13);
        }
        text
    }
}

fn unpack(archive: &Path, into: &Path) -> f64 {
    let _ = fs::remove_dir_all(into);
    fs::create_dir(into).expect("a directory");
    run(&mut Command::new("sync"));
    let start = Instant::now();
    run(Command::new("tar").args(["-I", "zstd", "-xf"]).arg(archive).arg("-C").arg(into));
    ms(start.elapsed())
}

/// Looks at the memory of all agents until it is asked for.
struct Agents {
    peak: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Agents {
    fn watch() -> Self {
        let (peak, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (seen, done) = (Arc::clone(&peak), Arc::clone(&over));
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                seen.fetch_max(agents_memory(), Ordering::Relaxed);
                std::thread::sleep(LOOK);
            }
        });
        Self { peak, over }
    }

    fn peak(&self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.peak.load(Ordering::Relaxed)
    }
}

/// The most that any agent on this machine ever had.
fn agents_memory() -> u64 {
    let processes = fs::read_dir("/proc").expect("Linux").flatten();
    let peak = |entry: fs::DirEntry| {
        let words = fs::read(entry.path().join("cmdline")).ok()?;
        let is_agent = words.windows(13).any(|part| part == b"--token-file\0");
        let status = fs::read_to_string(entry.path().join("status")).ok().filter(|_| is_agent)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    processes.filter_map(peak).max().unwrap_or_default() * 1024
}

fn run(command: &mut Command) {
    let status = command.status().expect("the program is there");
    assert!(status.success(), "{command:?}: {status}");
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
