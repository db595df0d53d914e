//! Until when the logs and artifacts of runs are kept: the rules of repositories, and what follows from them. Pure.

use std::{fmt, str::FromStr, time::Duration};

use super::{Counted, EVENTS, ForgeKind, RepositoryName, Size, Time, untrusted::matches};

const DAY: u64 = 24 * 3600;
/// The longest that anything is kept but for ever.
const DAYS_MAX: u64 = 36_500;

/// How long, how many and how much is kept. What is over any of them goes; none: everything is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// From a run's end.
    pub age: Option<Duration>,
    /// So many runs of a repository and a kind of events, the newest.
    pub runs: Option<u64>,
    /// So many bytes of a repository's runs of a kind of events, the newest runs'.
    pub bytes: Option<u64>,
}

/// A rule, as the setting has it: `[[forge:]pattern[@event]=]limits`. In a pattern `*` stands for any text; none means
/// every repository, and no event means every event. Limits are `90d`, `200runs`, `20GB`, or several with `+` between
/// them; `forever` is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionRule {
    /// At which forge; `None`: at any.
    pub forge: Option<ForgeKind>,
    /// Of `owner/repository`.
    pub pattern: String,
    /// For which kind of events; `None`: for any.
    pub event: Option<String>,
    /// What is kept.
    pub limits: Limits,
}

/// A run that may go, as far as its limits are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aged {
    /// When it ended.
    pub ended: Time,
    /// Bytes of its logs and artifacts.
    pub bytes: u64,
}

/// Which limit a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// It ended so long ago.
    Age(Duration),
    /// There are so many newer ones.
    Runs(u64),
    /// The newer ones have so many bytes.
    Bytes(u64),
}

impl Limits {
    /// The limits for a repository's events of a kind: of the rules that are meant the last.
    pub fn of(rules: &[RetentionRule], forge: ForgeKind, repository: &RepositoryName, event: &str) -> Self {
        let is_meant = |rule: &&RetentionRule| {
            rule.forge.is_none_or(|of| of == forge)
                && matches(&rule.pattern, repository.as_str())
                && rule.event.as_deref().is_none_or(|of| of == event)
        };
        rules.iter().rev().find(is_meant).map(|rule| rule.limits).unwrap_or_default()
    }

    /// Whether everything is kept.
    pub fn is_forever(self) -> bool {
        self == Self::default()
    }

    /// Which limit each of these runs is over, the newest run first.
    pub fn over(self, runs: &[Aged], now: Time) -> Vec<Option<Over>> {
        let mut bytes = 0_u64;
        let one = |(place, run): (usize, &Aged)| {
            let before = place as u64;
            bytes = bytes.saturating_add(run.bytes);
            let age = self.age.filter(|age| now.since(run.ended) >= *age).map(Over::Age);
            let count = self.runs.filter(|most| before >= *most).map(Over::Runs);
            // the newest run is kept however large it is: a limit is no reason to have nothing
            let size = self.bytes.filter(|most| bytes > *most && place > 0).map(Over::Bytes);
            age.or(count).or(size)
        };
        runs.iter().enumerate().map(one).collect()
    }

    /// Until when a run that ended then is kept, if it is a matter of age.
    pub fn until(self, ended: Time) -> Option<Time> {
        self.age.map(|age| ended.after(age))
    }
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age(age) => write!(f, "it ended more than {} ago", Counted(age.as_secs() / DAY, "day")),
            Self::Runs(runs) => write!(f, "only the newest {} of their kind are kept", Counted(*runs, "run")),
            Self::Bytes(bytes) => write!(f, "only the newest {} of their kind are kept", Size(*bytes)),
        }
    }
}

/// As a person reads it after "kept".
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let age = self.age.map(|age| format!("for {}", Counted(age.as_secs() / DAY, "day")));
        let runs = self.runs.map(|runs| format!("of the newest {}", Counted(runs, "run")));
        let bytes = self.bytes.map(|bytes| format!("up to {}", Size(bytes)));
        let all: Vec<String> = [age, runs, bytes].into_iter().flatten().collect();
        if all.is_empty() { f.write_str("for ever") } else { f.write_str(&all.join(", ")) }
    }
}

impl FromStr for Limits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::default());
        }
        let mut limits = Self::default();
        for part in text.split('+') {
            let wrong = || format!("`{part}` is none of `90d`, `200runs`, `20GB` and `forever`");
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let (number, unit) = part.split_at(digits);
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let twice = match unit {
                "d" if (1..=DAYS_MAX).contains(&number) => {
                    limits.age.replace(Duration::from_secs(number * DAY)).is_some()
                }
                "runs" | "run" if number > 0 => limits.runs.replace(number).is_some(),
                _ => limits.bytes.replace(bytes(number, unit).ok_or_else(wrong)?).is_some(),
            };
            if twice {
                return Err(format!("`{text}` has two limits of a kind"));
            }
        }
        Ok(limits)
    }
}

fn bytes(number: u64, unit: &str) -> Option<u64> {
    let unit = match unit {
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit).filter(|bytes| *bytes > 0)
}

impl FromStr for RetentionRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (whose, limits) = text.rsplit_once('=').unwrap_or(("*", text));
        let limits = limits.parse()?;
        let (whose, event) = whose.split_once('@').map_or((whose, None), |(whose, event)| (whose, Some(event)));
        if let Some(event) = event.filter(|event| !EVENTS.contains(event)) {
            return Err(format!("there is no event `{event}`: {} are events", EVENTS.join(", ")));
        }
        let (forge, pattern) = match whose.split_once(':') {
            Some((forge, pattern)) => {
                (Some(forge.parse().map_err(|_| format!("there is no forge `{forge}`"))?), pattern)
            }
            None => (None, whose),
        };
        if pattern.is_empty() {
            return Err(format!("`{text}` names no repository: `*` is for all of them"));
        }
        Ok(Self { forge, pattern: pattern.to_owned(), event: event.map(str::to_owned), limits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> Limits {
        text.parse().expect("limits")
    }

    #[test]
    fn the_last_rule_that_is_meant_counts() {
        let rules: Vec<RetentionRule> = ["90d", "*@pull_request=14d+200runs", "github:acme/*=1TB", "*@tag=forever"]
            .map(|text| text.parse().expect("a rule"))
            .to_vec();
        let of =
            |forge, name: &str, event| Limits::of(&rules, forge, &name.parse().expect("a name"), event).to_string();
        assert_eq!(of(ForgeKind::Gitea, "acme/shop", "push"), "for 90 days");
        assert_eq!(of(ForgeKind::Gitea, "acme/shop", "pull_request"), "for 14 days, of the newest 200 runs");
        assert_eq!(of(ForgeKind::Github, "Acme/shop", "pull_request"), "up to 1,000 GB");
        assert_eq!(of(ForgeKind::Github, "acme/shop", "tag"), "for ever");
        assert!(Limits::of(&[], ForgeKind::Git, &"a/b".parse().expect("a name"), "push").is_forever());
        for wrong in ["", "d", "0d", "90", "90x", "1d+2d", "a/b@deploy=1d", "=1d", "nowhere:a/b=1d", "36501d", "0runs"]
        {
            assert!(wrong.parse::<RetentionRule>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_over_any_limit_goes() {
        let now = Time::from_millis(1_000_000_000_000);
        let days = |n: u64| now.before(Duration::from_secs(n * DAY));
        let runs: Vec<Aged> = (0..5).map(|n| Aged { ended: days(n * 10), bytes: 40_000_000 }).collect();
        let kept = |text: &str| limits(text).over(&runs, now).iter().filter(|over| over.is_none()).count();
        for (text, expected) in [("forever", 5), ("15d", 2), ("10d", 1), ("3runs", 3), ("90MB", 2), ("15d+1runs", 1)] {
            assert_eq!(kept(text), expected, "{text}");
        }
        assert_eq!(kept("1MB"), 1, "the newest stays, however large it is");
        let words: Vec<String> =
            limits("15d+1run").over(&runs, now).iter().flatten().map(ToString::to_string).collect();
        assert_eq!(words[0], "only the newest 1 run of their kind are kept");
        assert_eq!(words[3], "it ended more than 15 days ago");
    }
}
