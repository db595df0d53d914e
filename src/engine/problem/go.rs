//! `go test`: a test names the files of its package alone, and the package is named last.

use std::collections::BTreeSet;

use super::{
    pattern::{Pattern, group, number},
    place::Place,
    remark::Remark,
};
use crate::model::Level;

static SAID: Pattern = Pattern::new(r"^\s{4,}([\w.-]+\.go):(\d{1,7}): ?(.*)$");
static ENDED: Pattern = Pattern::new(r"^\s*--- (FAIL|PASS|SKIP): (\S+)");
static PACKAGE: Pattern = Pattern::new(r"^(FAIL|ok  |\?   )\t(\S+)(?:\t|$| )");

/// So much is kept of what tests say.
const SAID_MOST: usize = 200;
const PACKAGES_MOST: usize = 1000;
/// So much of what follows a line that says nothing itself.
const LONGEST: usize = 1000;

/// Tests whose package is not known yet, and those of which it is.
#[derive(Debug, Default)]
pub(super) struct Go {
    /// What tests said of which it is not known whether they failed.
    said: Vec<Remark>,
    failed: Vec<Remark>,
    /// The tests that failed just now, with how far each stands in: what stands further in is the innermost's own.
    failing: Vec<(usize, String)>,
    packages: BTreeSet<String>,
    done: Vec<(String, Remark)>,
}

impl Go {
    /// Whether the next line may be a part of what was said, whatever it looks like.
    pub(super) fn is_open(&self) -> bool {
        self.newest().is_some_and(|last| last.message.is_empty() || last.message.starts_with('\n'))
    }

    /// Takes a line, if it is a test's.
    pub(super) fn take(&mut self, line: &str, at: u64) -> bool {
        if let Some(found) = SAID.read(line) {
            let remark = Remark::new(group(&found, 1), number(&found, 2), 0, Level::Error, group(&found, 3)).at(at);
            self.say(remark, indent(line));
        } else if let Some(found) = ENDED.read(line) {
            self.ended(group(&found, 1), group(&found, 2), indent(line));
        } else if let Some(found) = PACKAGE.read(line) {
            self.package(group(&found, 1), group(&found, 2));
        } else if self.is_open() && line.starts_with("        ") {
            self.add(line.trim());
        } else {
            return false;
        }
        true
    }

    /// All of them, by their places in the repository.
    pub(super) fn end(mut self, place: &Place) -> Vec<Remark> {
        // a log that is cut off
        let rest = std::mem::take(&mut self.failed);
        self.done.extend(rest.into_iter().map(|remark| (String::new(), remark)));
        let module = self.module();
        let of = |(package, mut remark): (String, Remark)| {
            remark.path = format!("{}/{}", folder(&package, &module, place.repository()), remark.path);
            remark.message = remark.message.trim().to_owned();
            remark
        };
        std::mem::take(&mut self.done).into_iter().map(of).collect()
    }

    fn newest(&self) -> Option<&Remark> {
        if self.failing.is_empty() { self.said.last() } else { self.failed.last() }
    }

    fn say(&mut self, remark: Remark, indent: usize) {
        let test = self.failing.iter().rev().find(|(further_out, _)| *further_out < indent).or(self.failing.first());
        match test {
            Some((_, test)) if self.failed.len() < SAID_MOST => {
                self.failed.push(remark.titled(&format!("{test} failed")));
            }
            None if self.said.len() < SAID_MOST => self.said.push(remark),
            Some(_) | None => {}
        }
    }

    /// testify begins with an empty line.
    fn add(&mut self, words: &str) {
        let last = if self.failing.is_empty() { self.said.last_mut() } else { self.failed.last_mut() };
        if let Some(last) = last.filter(|last| last.message.len() + words.len() < LONGEST) {
            last.message.push('\n');
            last.message.push_str(words);
        }
    }

    fn ended(&mut self, how: &str, test: &str, indent: usize) {
        let said = std::mem::take(&mut self.said);
        if how == "FAIL" {
            let own = said.into_iter().map(|remark| remark.titled(&format!("{test} failed")));
            self.failed.extend(own);
            self.failed.truncate(SAID_MOST);
            self.failing.retain(|(further_out, _)| *further_out < indent);
            self.failing.push((indent, test.to_owned()));
        } else {
            self.failing.clear();
        }
    }

    fn package(&mut self, how: &str, name: &str) {
        if self.packages.len() < PACKAGES_MOST {
            self.packages.insert(name.to_owned());
        }
        let failed = std::mem::take(&mut self.failed);
        if how == "FAIL" && self.done.len() < SAID_MOST {
            self.done.extend(failed.into_iter().map(|remark| (name.to_owned(), remark)));
        }
        self.said.clear();
        self.failing.clear();
    }

    /// What all packages that were tested begin with.
    fn module(&self) -> String {
        let mut packages = self.packages.iter();
        let mut common: Vec<&str> = packages.next().map(|first| first.split('/').collect()).unwrap_or_default();
        for package in packages {
            let same = common.iter().zip(package.split('/')).take_while(|(one, other)| *one == other).count();
            common.truncate(same);
        }
        common.join("/")
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Where a package is in its repository: behind that one's name in its path, or behind what all have in common.
fn folder(package: &str, module: &str, repository: &str) -> String {
    let parts: Vec<&str> = package.split('/').collect();
    if let Some(at) = parts.iter().position(|part| *part == repository) {
        let is_version = |part: &&&str| part.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok());
        let version = usize::from(parts.get(at + 1).filter(is_version).is_some());
        return parts[at + 1 + version..].join("/");
    }
    package.strip_prefix(module).unwrap_or(package).trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_a_folder() {
        for (package, module, path) in [
            ("github.com/acme/widget/store", "github.com/acme/widget/store", "store"),
            ("github.com/acme/widget/v2/a/b", "", "a/b"),
            ("github.com/acme/widget", "", ""),
            ("example.com/thing/store", "example.com/thing", "store"),
            ("example.com/thing", "example.com/thing", ""),
            ("", "", ""),
        ] {
            assert_eq!(folder(package, module, "widget"), path, "{package}");
        }
    }
}
