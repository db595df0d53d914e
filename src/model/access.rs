//! Who may see and change what: people by their names on forges, what they may do, and what their tokens may.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{ForgeKind, Role};

/// No forge has longer names.
const LONGEST_LOGIN: usize = 255;

/// Who may see a repository, as far as its forge has told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody, without signing in.
    Public,
    /// Whom its forge lets see it. What a forge shows to all who sign in there counts as private, too.
    Private,
    /// Nobody has told yet: as if it were private.
    #[default]
    Unknown,
}

impl Visibility {
    /// Whether nobody has told yet.
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// What is known after an event has told `told`. It may be old, or come twice: that a repository has become public is
    /// believed only if its forge says so when it is asked.
    pub const fn after_hearing(self, told: Self) -> Self {
        match (self, told) {
            (Self::Unknown, told) => told,
            (known, Self::Unknown) => known,
            (Self::Public, told) => told,
            (Self::Private, Self::Public | Self::Private) => Self::Private,
        }
    }
}

/// Who may see plain repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitReaders {
    /// Everybody.
    Everyone,
    /// Whoever has signed in.
    SignedIn,
    /// Administrators.
    Admins,
}

/// Someone by their name on a forge: `github/alice`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Where they have signed in.
    pub forge: ForgeKind,
    /// What they are called there. Forges do not tell names apart by case.
    pub name: String,
}

impl Login {
    /// Whether both mean the same person.
    pub fn is(&self, other: &Self) -> bool {
        self.forge == other.forge && self.name.eq_ignore_ascii_case(&other.name)
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.forge, self.name)
    }
}

impl FromStr for Login {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let shown: String = text.chars().take(60).collect();
            format!("`{shown}` is nobody: a forge and a name there are expected, such as `github/alice`")
        };
        let (forge, name) = text.split_once('/').ok_or_else(wrong)?;
        let forge = forge.parse().map_err(|_| wrong())?;
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '[' | ']');
        if name.is_empty() || name.len() > LONGEST_LOGIN || !name.chars().all(is_name) || forge == ForgeKind::Git {
            return Err(wrong());
        }
        Ok(Self { forge, name: name.to_owned() })
    }
}

/// What somebody wants to do with a repository and what is of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Look at its runs, logs and artifacts.
    See,
    /// Start, repeat and stop runs.
    Run,
    /// Answer a question that waits for people. Whose answer counts, the question says.
    Approve,
    /// See and repeat its deliveries, read its audit log, keep its secrets and settings.
    Maintain,
}

impl Right {
    /// What its forge must let somebody do there.
    pub const fn least(self) -> Role {
        match self {
            Self::See | Self::Approve => Role::Reader,
            Self::Run => Role::Writer,
            Self::Maintain => Role::Maintainer,
        }
    }

    /// What a token must have for it.
    pub const fn scope(self) -> Scope {
        match self {
            Self::See => Scope::Read,
            Self::Run => Scope::Run,
            Self::Approve => Scope::Approve,
            Self::Maintain => Scope::Admin,
        }
    }

    /// What whoever may not is told.
    pub const fn refusal(self) -> &'static str {
        match self {
            Self::See => "you may not see this repository",
            Self::Run => "only who may write to the repository may start, repeat or stop its runs",
            Self::Approve => "only who has signed in may answer",
            Self::Maintain => "only maintainers of the repository may do this",
        }
    }
}

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Look at what its owner may see. Every token has it.
    Read,
    /// Start, repeat and stop runs.
    Run,
    /// Answer what waits for people.
    Approve,
    /// All that maintainers and administrators do.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Run, Self::Approve, Self::Admin];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Approve => "approve",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            format!("`{shown}` is no scope; `read`, `run`, `approve` and `admin` are")
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a token may be used for, all together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// These, and looking.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let mut all: Vec<Scope> = scopes.into_iter().chain([Scope::Read]).collect();
        all.sort();
        all.dedup();
        Self(all)
    }

    /// Whether it is among them.
    pub fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|scope| scope.as_str()).collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_what_it_is_written_as() {
        for text in ["github/alice", "gitlab/bob.b", "gitea/c_c", "github/dependabot[bot]"] {
            assert_eq!(text.parse::<Login>().map(|login| login.to_string()).as_deref(), Ok(text));
        }
        for text in ["alice", "github/", "git/alice", "svn/alice", "github/a/b", "github/a b", ""] {
            assert!(text.parse::<Login>().is_err(), "{text}");
        }
        let is = |a: &str, b: &str| a.parse::<Login>().is_ok_and(|a| b.parse::<Login>().is_ok_and(|b| a.is(&b)));
        assert!(is("github/Alice", "github/alice") && !is("github/alice", "gitlab/alice"));
    }

    #[test]
    fn an_old_event_makes_nothing_public() {
        use Visibility::{Private, Public, Unknown};
        let table = [
            (Unknown, Public, Public),
            (Unknown, Private, Private),
            (Public, Private, Private),
            (Public, Unknown, Public),
            (Private, Public, Private),
            (Private, Unknown, Private),
        ];
        for (known, told, after) in table {
            assert_eq!(known.after_hearing(told), after, "{known:?} {told:?}");
        }
    }
}
