//! What organisations and repositories may use: at once, in a month, and on the disk.

use std::fmt;

use super::{ActionPlan, ForgeKind, JobPlan, NameError, RepositoryName, Resources, amount};

/// What a job asks for that says nothing of it, as on a cluster: CPU in thousandths, memory in bytes.
const DEFAULT: Need = Need { actions: 0, cpu: 100, memory: 128 << 20 };
/// The weight of those without a priority of their own, and the largest.
const PRIORITIES: (i64, i64) = (10, 1000);
/// The largest limit: sums of many stay far from overflowing.
const MOST: i64 = 1 << 52;

/// What a quota is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaScope {
    /// Everything that this server runs.
    Server,
    /// All repositories of an owner, an organisation, or a group and those below it.
    Owner(ForgeKind, RepositoryName),
    /// One repository.
    Repository(ForgeKind, RepositoryName),
}

impl QuotaScope {
    /// All that a repository's use counts for, the widest first.
    pub fn around(forge: ForgeKind, repository: &RepositoryName) -> Vec<Self> {
        let parts: Vec<&str> = repository.as_str().split('/').collect();
        let owners = (1..parts.len()).filter_map(|count| parts[..count].join("/").parse().ok());
        let owners = owners.map(|name| Self::Owner(forge, name));
        std::iter::once(Self::Server).chain(owners).chain([Self::Repository(forge, repository.clone())]).collect()
    }

    /// For columns and JSON.
    pub const fn level(&self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Owner(..) => "owner",
            Self::Repository(..) => "repository",
        }
    }

    /// Which forge's; `None`: all.
    pub const fn forge(&self) -> Option<ForgeKind> {
        match self {
            Self::Server => None,
            Self::Owner(forge, _) | Self::Repository(forge, _) => Some(*forge),
        }
    }

    /// The owner's or the repository's name.
    pub const fn name(&self) -> Option<&RepositoryName> {
        match self {
            Self::Server => None,
            Self::Owner(_, name) | Self::Repository(_, name) => Some(name),
        }
    }

    /// As columns have it.
    ///
    /// # Errors
    /// [`NameError`], if there is no such scope.
    pub fn of(level: &str, forge: &str, name: &str) -> Result<Self, NameError> {
        match level {
            "server" => Ok(Self::Server),
            "owner" => Ok(Self::Owner(forge.parse()?, name.parse()?)),
            "repository" => Ok(Self::Repository(forge.parse()?, name.parse()?)),
            _ => Err(NameError::new("quota's level", "server, owner or repository", level)),
        }
    }

    /// Its name in a sentence about what it uses: `acme`, `acme/shop`, `the server`.
    pub fn short(&self) -> &str {
        self.name().map_or("the server", RepositoryName::as_str)
    }
}

/// For people: `all repositories of acme on github`.
impl fmt::Display for QuotaScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("everything"),
            Self::Owner(forge, name) => write!(f, "all repositories of {name} on {forge}"),
            Self::Repository(forge, name) => write!(f, "{name} on {forge}"),
        }
    }
}

/// What may be used. What is `None` is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Actions that run at once.
    pub actions: Option<i64>,
    /// CPU that they ask for, in thousandths.
    pub cpu: Option<i64>,
    /// Memory that they ask for, in bytes.
    pub memory: Option<i64>,
    /// Bytes of artifacts, caches and logs.
    pub storage: Option<i64>,
    /// Minutes of jobs in a calendar month, UTC.
    pub minutes: Option<i64>,
    /// The weight among those beside it.
    pub priority: Option<i64>,
}

/// The names of what can be limited, as commands, forms and the API have them.
pub const LIMITS: [&str; 6] = ["actions", "cpu", "memory", "storage", "minutes", "priority"];

impl Quota {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Its share beside others.
    pub fn weight(&self) -> i64 {
        self.priority.unwrap_or(PRIORITIES.0).clamp(1, PRIORITIES.1)
    }

    /// The limit of this name.
    pub fn get(&self, name: &str) -> Option<i64> {
        let Self { actions, cpu, memory, storage, minutes, priority } = *self;
        let all = [actions, cpu, memory, storage, minutes, priority];
        LIMITS.iter().zip(all).find(|(known, _)| **known == name).and_then(|(_, value)| value)
    }

    /// The same with another value for the limit of this name.
    pub fn set(&mut self, name: &str, value: Option<i64>) {
        match name {
            "actions" => self.actions = value,
            "cpu" => self.cpu = value,
            "memory" => self.memory = value,
            "storage" => self.storage = value,
            "minutes" => self.minutes = value,
            "priority" => self.priority = value,
            _ => {}
        }
    }
}

/// For people: `actions 10, cpu 4, memory 8Gi`.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = LIMITS.iter().filter_map(|name| Some(format!("{name} {}", QuotaValue(name, self.get(name)?))));
        f.write_str(&said.collect::<Vec<_>>().join(", "))
    }
}

/// The value of a limit, as people write it: `4`, `500m`, `8Gi`.
#[derive(Debug, Clone, Copy)]
pub struct QuotaValue<'a>(pub &'a str, pub i64);

impl QuotaValue<'_> {
    /// What somebody has written for the limit of this name.
    ///
    /// # Errors
    /// [`NameError`], if it is none.
    pub fn read(name: &str, text: &str) -> Result<i64, NameError> {
        let (what, expected, value) = match name {
            "cpu" => ("amount of CPU", "`4`, `2.5` or `500m`", quantity(text, &["", "m"]).map(|cpu| cpu * 1000.0)),
            "memory" | "storage" => {
                let units = ["", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"];
                ("amount of bytes", "`8Gi`, `512Mi` or `4G`", quantity(text, &units))
            }
            "priority" => {
                let value = text.parse().ok().filter(|value| (1..=PRIORITIES.1).contains(value));
                ("priority", "a whole number from 1 to 1000", value.map(|value: i64| value as f64))
            }
            _ => ("number", "a whole number from 0", text.parse::<u32>().ok().map(f64::from)),
        };
        let fits = value.filter(|value| (0.0..=MOST as f64).contains(value));
        fits.map(|value| value.round() as i64).ok_or_else(|| NameError::new(what, expected, text))
    }
}

impl fmt::Display for QuotaValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "cpu" => f.write_str(&cpu_text(self.1)),
            "memory" | "storage" => f.write_str(&memory_text(self.1)),
            _ => write!(f, "{}", self.1),
        }
    }
}

/// A quantity that is not negative, with one of these units.
fn quantity(text: &str, units: &[&str]) -> Option<f64> {
    let end = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let is_one = text[..end].parse::<f64>().is_ok() && units.contains(&&text[end..]);
    is_one.then(|| amount(text))
}

/// Thousandths of a CPU, as flows write them: `4`, `500m`.
pub fn cpu_text(thousandths: i64) -> String {
    if thousandths % 1000 == 0 { (thousandths / 1000).to_string() } else { format!("{thousandths}m") }
}

/// Bytes, as flows write them: `8Gi`, `512Mi`, `4G`, or just the number.
pub fn memory_text(bytes: i64) -> String {
    const UNITS: [(&str, i64); 7] = [
        ("Ti", 1 << 40),
        ("Gi", 1 << 30),
        ("Mi", 1 << 20),
        ("T", 1_000_000_000_000),
        ("G", 1_000_000_000),
        ("M", 1_000_000),
        ("Ki", 1 << 10),
    ];
    let whole = UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes % unit == 0);
    whole.map_or_else(|| bytes.to_string(), |(name, unit)| format!("{}{name}", bytes / unit))
}

/// What an action uses while it runs, or what several do together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Need {
    /// 1 if it runs on the executor.
    pub actions: i64,
    /// CPU, in thousandths.
    pub cpu: i64,
    /// Memory, in bytes.
    pub memory: i64,
}

impl Need {
    /// What an action needs: its jobs run one after another, its services all the while. One whose work the server does
    /// itself needs nothing.
    pub fn of(plan: &ActionPlan) -> Self {
        let jobs: Vec<Self> = plan.jobs.iter().filter(|job| !job.is_podless()).map(of_job).collect();
        if jobs.is_empty() {
            return Self::default();
        }
        let most = |part: fn(&Self) -> i64| jobs.iter().map(part).max().unwrap_or(0);
        let own = Self { actions: 1, cpu: most(|need| need.cpu), memory: most(|need| need.memory) };
        plan.services.iter().map(|service| of_job(&service.job)).fold(own, Self::plus)
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            actions: self.actions.saturating_add(other.actions),
            cpu: self.cpu.saturating_add(other.cpu),
            memory: self.memory.saturating_add(other.memory),
        }
    }
}

fn of_job(job: &JobPlan) -> Need {
    let Resources { cpu, memory, cpu_limit, memory_limit } = &job.resources;
    let asked = |request: &Option<String>, limit: &Option<String>, default: i64, factor: f64| {
        let read = |text: &String| (amount(text) * factor).clamp(0.0, MOST as f64).round() as i64;
        let request = request.as_ref().map_or(default, read);
        limit.as_ref().map(read).map_or(request, |limit| request.min(limit))
    };
    Need {
        actions: 0,
        cpu: asked(cpu, cpu_limit, DEFAULT.cpu, 1000.0),
        memory: asked(memory, memory_limit, DEFAULT.memory, 1.0),
    }
}

/// A calendar month, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    /// The year.
    pub year: i64,
    /// From 1.
    pub month: i64,
}

const NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Month {
    /// As a column has it.
    pub const fn number(self) -> i64 {
        self.year * 100 + self.month
    }

    /// The one that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.month {
            12 => Self { year: self.year + 1, month: 1 },
            month => Self { month: month + 1, ..self },
        }
    }

    /// Its name, without the year.
    pub fn name(self) -> &'static str {
        usize::try_from(self.month - 1).ok().and_then(|at| NAMES.get(at)).copied().unwrap_or("this month")
    }
}

/// `November 2026`.
impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.year)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_counts_for_all_that_is_above_it() {
        let around = |text: &str| {
            let scopes = QuotaScope::around(ForgeKind::Gitlab, &text.parse().expect("a name"));
            scopes.iter().map(|scope| format!("{} {}", scope.level(), scope.short())).collect::<Vec<_>>()
        };
        assert_eq!(
            around("acme/web/shop"),
            ["server the server", "owner acme", "owner acme/web", "repository acme/web/shop"]
        );
        assert_eq!(around("shop"), ["server the server", "repository shop"]);
    }

    #[test]
    fn values_are_read_as_they_are_shown() {
        let cases = [
            ("cpu", "4", 4000, "4"),
            ("cpu", "500m", 500, "500m"),
            ("cpu", "1.5", 1500, "1500m"),
            ("memory", "8Gi", 8 << 30, "8Gi"),
            ("storage", "1536Mi", 3 << 29, "1536Mi"),
            ("actions", "10", 10, "10"),
            ("minutes", "0", 0, "0"),
            ("priority", "1000", 1000, "1000"),
        ];
        for (name, text, value, shown) in cases {
            assert_eq!(QuotaValue::read(name, text), Ok(value), "{name} {text}");
            assert_eq!(QuotaValue(name, value).to_string(), shown);
        }
        let bad = [
            ("cpu", ""),
            ("cpu", "4 cores"),
            ("cpu", "-1"),
            ("cpu", "1Gi"),
            ("memory", "8GB"),
            ("memory", "999999999Ti"),
            ("actions", "1.5"),
            ("actions", "-1"),
            ("priority", "0"),
            ("priority", "1001"),
            ("minutes", "many"),
        ];
        for (name, text) in bad {
            assert!(QuotaValue::read(name, text).is_err(), "{name} {text}");
        }
    }

    #[test]
    fn months_follow_each_other() {
        let december = Month { year: 2026, month: 12 };
        assert_eq!((december.to_string().as_str(), december.next().number()), ("December 2026", 202_701));
    }
}
