//! What a job's tests came to, by the reports that they have written.

use std::{fmt, ops::AddAssign, time::Duration};

use serde::{Deserialize, Serialize};

/// How many tests there were, and how they ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tests {
    /// All of them.
    pub tests: u64,
    /// What they expected was not so.
    pub failures: u64,
    /// Something else went wrong.
    pub errors: u64,
    /// Not run.
    pub skipped: u64,
    /// Failed first, and passed when they were tried again: they count as passed.
    pub flaky: u64,
    /// How long all took together, in milliseconds.
    pub millis: u64,
}

/// How a test ended that did not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// What it expected was not so.
    Failure,
    /// Something else went wrong.
    Error,
}

/// A test that failed. No text of it is long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedTest {
    /// What it was written in; empty: nothing.
    pub suite: String,
    /// Its class, module or package; empty if it has none.
    pub class: String,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// What it says, in short.
    pub message: String,
    /// All that it says.
    pub details: String,
    /// The file that it is in, or failed in: its path in the repository; empty if nobody says.
    pub file: String,
    /// The line there, from 1; 0 if nobody says.
    pub line: u64,
}

impl Tests {
    /// Those that failed, for whatever reason.
    pub const fn failed(&self) -> u64 {
        self.failures.saturating_add(self.errors)
    }

    /// How long all took together.
    pub const fn took(&self) -> Duration {
        Duration::from_millis(self.millis)
    }

    /// "2 of 120 tests failed"; `None` if none did.
    pub fn trouble(&self) -> Option<String> {
        let tests = if self.tests == 1 { "test" } else { "tests" };
        (self.failed() > 0).then(|| format!("{} of {} {tests} failed", self.failed(), self.tests))
    }
}

impl AddAssign for Tests {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.tests, other.tests),
            (&mut self.failures, other.failures),
            (&mut self.errors, other.errors),
            (&mut self.skipped, other.skipped),
            (&mut self.flaky, other.flaky),
            (&mut self.millis, other.millis),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// "120 tests, 2 failed, 3 skipped".
impl fmt::Display for Tests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.tests, if self.tests == 1 { "test" } else { "tests" })?;
        for (count, what) in [(self.failed(), "failed"), (self.skipped, "skipped"), (self.flaky, "flaky")] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

impl Outcome {
    /// As columns and JSON have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

impl FailedTest {
    /// Its class and its name, as people look for it; either may hold the other already.
    pub fn title(&self) -> String {
        match (self.class.as_str(), self.name.as_str()) {
            ("", name) => name.to_owned(),
            (class, "") => class.to_owned(),
            (class, name) if name.contains(class) => name.to_owned(),
            (class, name) => format!("{class} › {name}"),
        }
    }

    /// The first line that says something. Go's tools say "Failed" of everything, and begin with what every test has;
    /// PHPUnit begins with the test's name, and GoogleTest with a place.
    pub fn first_line(&self) -> &str {
        let is_place = |line: &str| {
            let number = line.rsplit_once(':').map(|(_, number)| number).filter(|number| !number.is_empty());
            !line.contains(' ') && number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let is_name = |line: &str| line.rsplit("::").next() == Some(self.name.as_str());
        let is_frame = |line: &str| line == "Failed" || line.starts_with("=== ") || line.starts_with("--- ");
        let mut lines = self.message.lines().chain(self.details.lines()).map(str::trim);
        let found = lines.find(|line| !(line.is_empty() || is_frame(line) || is_name(line) || is_place(line)));
        found.unwrap_or(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_words() {
        let all = Tests { tests: 120, failures: 1, errors: 1, skipped: 3, flaky: 0, millis: 5 };
        assert_eq!(all.to_string(), "120 tests, 2 failed, 3 skipped");
        assert_eq!(all.trouble().as_deref(), Some("2 of 120 tests failed"));
        let mut one = Tests { tests: 1, flaky: 1, ..Tests::default() };
        assert_eq!((one.to_string(), one.trouble()), ("1 test, 1 flaky".to_owned(), None));
        one += Tests { tests: u64::MAX, ..all };
        assert_eq!(one.tests, u64::MAX, "no count of a report's is believed to fit");
    }
}
