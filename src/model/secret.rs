//! Secrets by their names: who asks for which, and who gets it. No value is ever here.
//!
//! A flow file names the secrets that its jobs want: [`Wants`], which anybody may write and which are worth nothing.
//! Which of them a run's jobs get is [`Grants`], and those can only be made of a [`TrustedEvent`], or of the names that
//! somebody has granted who may. A [`Plan`](super::Plan) has no place for either.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::{ForgeKind, Granted, JobPath, NameError, RepositoryName, TrustedEvent};

/// A secret's name is a column on a page.
const MAX_NAME_BYTES: usize = 100;

/// The name of a secret: letters, digits, `_` and `-`; it begins with a letter or `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SecretName(String);

impl SecretName {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0
    }
}

impl TryFrom<String> for SecretName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl FromStr for SecretName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if begins && text.len() <= MAX_NAME_BYTES && text.bytes().all(is_good) {
            Ok(Self(text.to_owned()))
        } else {
            let expected = "at most 100 letters, digits, `_` and `-`, beginning with a letter or `_`";
            Err(NameError::new("secret's name", expected, text))
        }
    }
}

/// A job's variables, and the secrets that they are to hold.
pub type Wanted = BTreeMap<String, SecretName>;

/// What the jobs of a flow ask for, as its file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wants(BTreeMap<String, Wanted>);

impl Wants {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what a job asks for.
    pub fn add(&mut self, job: &JobPath, wanted: Wanted) {
        if !wanted.is_empty() {
            self.0.insert(job.to_string(), wanted);
        }
    }

    /// What a job asks for.
    pub fn of(&self, job: &JobPath) -> impl Iterator<Item = (&str, &SecretName)> {
        self.0.get(&job.to_string()).into_iter().flatten().map(|(variable, name)| (variable.as_str(), name))
    }

    /// The names of all, each once.
    pub fn names(&self) -> BTreeSet<&SecretName> {
        self.0.values().flat_map(BTreeMap::values).collect()
    }
}

/// What of their [`Wants`] a run's jobs get, if there is such a secret and it is for them. It is read back from where a
/// run keeps it, and else made by nothing but [`Grants::of`] and [`Grants::approved`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(Wants);

impl Grants {
    /// Nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// All that is wanted.
    pub fn of(_: TrustedEvent<'_>, wants: &Wants) -> Self {
        Self(wants.clone())
    }

    /// What somebody has granted by name who may, though the event is not trusted.
    pub fn approved(wants: &Wants, granted: &Granted) -> Self {
        Self::named(wants, granted.secrets())
    }

    fn named(wants: &Wants, granted: &BTreeSet<String>) -> Self {
        let some = |wanted: &Wanted| -> Wanted {
            let granted = wanted.iter().filter(|(_, name)| granted.contains(name.as_str()));
            granted.map(|(variable, name)| (variable.clone(), name.clone())).collect()
        };
        let jobs = wants.0.iter().map(|(job, wanted)| (job.clone(), some(wanted)));
        Self(Wants(jobs.filter(|(_, wanted)| !wanted.is_empty()).collect()))
    }

    /// Whether nobody gets anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a job gets.
    pub fn to(&self, job: &JobPath) -> impl Iterator<Item = (&str, &SecretName)> {
        self.0.of(job)
    }

    /// The names of all that somebody gets, each once.
    pub fn names(&self) -> BTreeSet<&SecretName> {
        self.0.names()
    }
}

/// Whose a secret is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretScope {
    /// Of which forge.
    pub forge: ForgeKind,
    /// How wide.
    pub level: SecretLevel,
    /// The owner's or the repository's name.
    pub name: RepositoryName,
}

/// How wide a scope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretLevel {
    /// All repositories of an owner, an organisation, or a group and those below it.
    Owner,
    /// One repository.
    Repository,
}

impl SecretLevel {
    /// For columns and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Repository => "repository",
        }
    }
}

impl FromStr for SecretLevel {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "owner" => Ok(Self::Owner),
            "repository" => Ok(Self::Repository),
            _ => Err(NameError::new("secret's level", "owner or repository", text)),
        }
    }
}

impl SecretScope {
    /// The scopes whose secrets a repository's jobs may have, the nearest first: it, and its owner; on GitLab every group
    /// above it.
    pub fn around(forge: ForgeKind, repository: &RepositoryName) -> Vec<Self> {
        let mut scopes = vec![Self { forge, level: SecretLevel::Repository, name: repository.clone() }];
        let mut owner = repository.owner();
        while let Ok(name) = owner.parse::<RepositoryName>() {
            scopes.push(Self { forge, level: SecretLevel::Owner, name });
            owner = owner.rsplit_once('/').map_or("", |(above, _)| above);
        }
        scopes
    }
}

impl fmt::Display for SecretScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            SecretLevel::Owner => write!(f, "all repositories of {} on {}", self.name, self.forge),
            SecretLevel::Repository => write!(f, "{} on {}", self.name, self.forge),
        }
    }
}

/// Which of the jobs that want it a secret is for. What is empty limits nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct SecretLimits {
    /// The names of events, as `CO_EVENT` has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Patterns of branches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<String>,
    /// Patterns of images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

impl SecretLimits {
    /// Whether it is for whoever asks.
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty() && self.branches.is_empty() && self.images.is_empty()
    }
}

/// For people: `push and tag events, branches main`; empty if it limits nothing.
impl fmt::Display for SecretLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |what: &str, of: &[String]| (!of.is_empty()).then(|| format!("{what} {}", of.join(", ")));
        let parts = [part("events", &self.events), part("branches", &self.branches), part("images", &self.images)];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        text.parse().expect("a name")
    }

    #[test]
    fn names_are_plain() {
        for good in ["A", "_a", "DEPLOY_TOKEN", "npm-token", "a9"] {
            assert_eq!(name(good).to_string(), good);
        }
        for bad in ["", "9a", "-a", "a b", "a.b", "ä", "a\n", &"a".repeat(101)] {
            assert!(bad.parse::<SecretName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_approval_grants_what_it_names_and_nothing_by_default() {
        let job = JobPath { stage: "s".to_owned(), action: "a".to_owned(), job: "j".to_owned() };
        let mut wants = Wants::default();
        wants.add(&job, [("X".to_owned(), name("ONE")), ("Y".to_owned(), name("TWO"))].into());
        assert!(Grants::named(&wants, &BTreeSet::new()).is_empty());
        let granted = Grants::named(&wants, &["TWO".to_owned(), "NEVER_WANTED".to_owned()].into());
        assert_eq!(granted.to(&job).collect::<Vec<_>>(), [("Y", &name("TWO"))]);
    }

    #[test]
    fn scopes_are_the_repository_and_all_that_is_above_it() {
        let around = |text: &str| {
            let scopes = SecretScope::around(ForgeKind::Gitlab, &text.parse().expect("a name"));
            scopes.iter().map(|scope| format!("{} {}", scope.level.as_str(), scope.name)).collect::<Vec<_>>()
        };
        assert_eq!(around("acme/web/shop"), ["repository acme/web/shop", "owner acme/web", "owner acme"]);
        assert_eq!(around("shop"), ["repository shop"]);
    }
}
