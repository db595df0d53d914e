//! What there is at the end, as people see it: runs, logs and checks, each held against what was pushed.

use std::{collections::BTreeMap, path::Path};

use containerops::model::Sha;
use serde_json::Value;

use super::{
    harness::github::{How, Write},
    storm::Expected,
};

/// The contexts that each push must have a last word in.
const CONTEXTS: [&str; 2] = ["containerops/ci/push", "containerops/ci/push/test/test"];

/// Everything that is not as it must be, one sentence each.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) faults: Vec<String>,
    pub(crate) runs: usize,
    /// Lines that arrived, in logs that are exact.
    pub(crate) log_lines: u64,
    /// Bytes that are missing in logs, which say just that at their place.
    pub(crate) said_missing: usize,
    /// Whether a disk was full, so that they may.
    disk_was_full: bool,
}

/// A run, as the API lists it.
struct Run {
    sha: Sha,
    page: String,
    conclusion: Option<String>,
}

/// What GitHub shows: for each commit and context how often a check was made for it, and its state.
#[derive(Debug, Default)]
pub(crate) struct Shown(BTreeMap<(String, String), (usize, String)>);

impl Shown {
    /// More was written.
    pub(crate) fn add(&mut self, writes: Vec<Write>) {
        for write in writes {
            let seen = self.0.entry((write.sha, write.context)).or_default();
            seen.0 += usize::from(write.how == How::Created);
            seen.1 = write.state;
        }
    }

    /// How many of these pushes have no last word yet.
    pub(crate) fn open(&self, expected: &BTreeMap<Sha, Expected>) -> usize {
        let concluded = |sha: &Sha, context: &str| {
            let seen = self.0.get(&(sha.to_string(), context.to_owned()));
            seen.is_some_and(|(_, state)| !matches!(state.as_str(), "queued" | "in_progress"))
        };
        expected.keys().filter(|sha| !CONTEXTS.iter().all(|context| concluded(sha, context))).count()
    }
}

impl Account {
    /// Asks the service at `url`, looks into the folder where jobs noted that they began, and at what GitHub shows.
    pub(crate) async fn of(
        expected: &BTreeMap<Sha, Expected>,
        (url, began_dir): (&str, &Path),
        shown: &Shown,
        disk_was_full: bool,
    ) -> Self {
        let mut account = Self { disk_was_full, ..Self::default() };
        let runs = all_runs(url).await;
        account.runs = runs.len();
        for (sha, push) in expected {
            let own: Vec<&Run> = runs.iter().filter(|run| run.sha == *sha).collect();
            match own.as_slice() {
                [run] => account.check_run(push, run, url).await,
                none_or_many => account.fault(push, &format!("has {} runs", none_or_many.len())),
            }
            account.check_beginnings(push, &began_dir.join(sha.as_str()));
            account.check_shown(push, sha, shown);
        }
        let strangers = runs.iter().filter(|run| !expected.contains_key(&run.sha)).count();
        if strangers > 0 {
            account.faults.push(format!("{strangers} runs belong to no push"));
        }
        account
    }

    async fn check_run(&mut self, push: &Expected, run: &Run, url: &str) {
        if run.conclusion.as_deref() != Some(push.conclusion()) {
            self.fault(push, &format!("ended {:?}, and not {}: {url}{}", run.conclusion, push.conclusion(), run.page));
        }
        let log = format!("{url}{}/test/test/test/log.txt", run.page);
        let log = reqwest::get(log).await.expect("an answer").text().await.expect("a text");
        if log == push.log() {
            self.log_lines += push.lines;
        } else if let Some(missing) = missing(&log, &push.log()).filter(|_| self.disk_was_full) {
            self.said_missing += missing;
        } else {
            let (has, must) = (log.lines().count(), push.lines);
            self.fault(push, &format!("has a log of {has} lines that is not the {must} it wrote: {url}{}", run.page));
        }
    }

    fn check_beginnings(&mut self, push: &Expected, note: &Path) {
        let began = std::fs::read_to_string(note).unwrap_or_default().lines().count();
        if began != 1 {
            self.fault(push, &format!("was begun {began} times"));
        }
    }

    fn check_shown(&mut self, push: &Expected, sha: &Sha, shown: &Shown) {
        for context in CONTEXTS {
            match shown.0.get(&(sha.to_string(), context.to_owned())) {
                Some((1, state)) if state == push.conclusion() => {}
                seen => self.fault(push, &format!("is shown as {seen:?} in {context}")),
            }
        }
    }

    fn fault(&mut self, push: &Expected, what: &str) {
        self.faults.push(format!("push {} of {} {what}", push.number, push.repository));
    }
}

/// How many bytes of what was written are missing in a log that says so where they are; `None`: it does not.
fn missing(log: &str, written: &str) -> Option<usize> {
    let (mut rest, mut missing) = (written, 0);
    for line in log.split_inclusive('\n') {
        rest = match line.strip_prefix("… ").filter(|words| words.contains(" missing here: the disk had no room")) {
            Some(words) => {
                let bytes: usize = words.split_once(' ')?.0.replace(',', "").parse().ok()?;
                missing += bytes;
                rest.get(bytes..)?
            }
            None => rest.strip_prefix(line)?,
        };
    }
    rest.is_empty().then_some(missing)
}

async fn all_runs(url: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut before = String::new();
    loop {
        let answer = reqwest::get(format!("{url}/api/v1/runs?limit=100{before}")).await.expect("an answer");
        let page: Value = answer.json().await.expect("JSON");
        let page = page["runs"].as_array().expect("runs");
        let Some(last) = page.last() else { return runs };
        before = format!("&before={}", last["id"].to_string().trim_matches('"'));
        runs.extend(page.iter().map(run));
    }
}

fn run(json: &Value) -> Run {
    let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("{name} in {json}")).to_owned();
    Run {
        sha: text("sha").parse().expect("a sha"),
        page: text("url"),
        conclusion: json["status"]["conclusion"].as_str().map(str::to_owned),
    }
}
