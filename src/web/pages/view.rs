//! How a log's lines are shown. A script lets people choose it once for all pages; without one, the address says it.

use std::fmt;

/// What is chosen. The default is: times since the job's start, and long lines wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct View {
    /// Times of day stand before lines.
    pub(super) of_day: bool,
    /// A long line goes on to the right.
    pub(super) unwrapped: bool,
}

impl View {
    /// With the other kind of times.
    pub(super) const fn other_times(self) -> Self {
        Self { of_day: !self.of_day, ..self }
    }

    /// With long lines the other way.
    pub(super) const fn other_wrap(self) -> Self {
        Self { unwrapped: !self.unwrapped, ..self }
    }

    /// For forms, which have to keep it.
    pub(super) fn fields(self) -> String {
        let field = |name: &str, value: &str| format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
        let times = if self.of_day { field("times", "day") } else { String::new() };
        let wrap = if self.unwrapped { field("wrap", "no") } else { String::new() };
        times + &wrap
    }
}

/// As an address has it: `times=day&wrap=no&`.
impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.of_day { "times=day&" } else { "" })?;
        f.write_str(if self.unwrapped { "wrap=no&" } else { "" })
    }
}
