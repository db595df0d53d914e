//! What becomes of code that nobody vouches for: the rule of a repository, and what follows from it. Pure.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{ForgeKind, RepositoryName, Role, Sha, Trust, UntrustedReason};

/// Whether untrusted code is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum RunUntrusted {
    /// It is not.
    Never,
    /// When somebody with write access has looked at it.
    #[default]
    Approval,
    /// At once, if the repository has commits of its author already; else as [`RunUntrusted::Approval`].
    Contributors,
    /// At once.
    Always,
}

/// Whose flow file untrusted code is run by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum FlowFrom {
    /// The base branch's: whoever opens a pull request does not choose what it does.
    #[default]
    Base,
    /// The pull request's own.
    Head,
}

/// The rule of a repository. Written `never`, `approval`, `contributors` or `always`, and `+head` behind it where the
/// flow file is the pull request's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UntrustedPolicy {
    /// Whether it is run.
    pub run: RunUntrusted,
    /// By whose flow file.
    pub flow: FlowFrom,
}

/// A rule for repositories, as the setting has it: `[[forge:]pattern=]rule`. In a pattern `*` stands for any text; none
/// means every repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UntrustedRule {
    /// At which forge; `None`: at any.
    pub forge: Option<ForgeKind>,
    /// Of `owner/repository`.
    pub pattern: String,
    /// The rule.
    pub policy: UntrustedPolicy,
}

/// What an untrusted event comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Nothing.
    Refused,
    /// A run that waits for somebody.
    Waits,
    /// A run.
    Runs,
}

/// Whether a repository has commits of an author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// It has.
    Contributor,
    /// It has not, or nobody can tell.
    Stranger,
}

/// What the forge says of whoever is behind a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// What its author may do.
    pub author: Option<Role>,
    /// What whoever caused the event may do.
    pub actor: Option<Role>,
    /// Whether it changes a flow file.
    pub changes_flow: bool,
}

impl UntrustedPolicy {
    /// What becomes of untrusted code of such an author.
    pub const fn admits(self, author: Author) -> Admission {
        match (self.run, author) {
            (RunUntrusted::Never, _) => Admission::Refused,
            (RunUntrusted::Approval, _) | (RunUntrusted::Contributors, Author::Stranger) => Admission::Waits,
            (RunUntrusted::Contributors, Author::Contributor) | (RunUntrusted::Always, _) => Admission::Runs,
        }
    }

    /// Whether these rules let no untrusted code run, in whatever repository.
    pub fn is_never_everywhere(rules: &[UntrustedRule]) -> bool {
        rules.iter().fold(false, |never, rule| match rule.policy.run {
            RunUntrusted::Never => never || (rule.forge.is_none() && rule.pattern == "*"),
            RunUntrusted::Approval | RunUntrusted::Contributors | RunUntrusted::Always => false,
        })
    }

    /// Whether a repository for which the server's owner has set this may have another rule by its own people: what is
    /// never run stays so.
    pub fn may_become(self, wanted: Self) -> bool {
        self.run != RunUntrusted::Never || wanted.run == RunUntrusted::Never
    }

    /// The last rule that is a repository's; without one, the default.
    pub fn of(rules: &[UntrustedRule], forge: ForgeKind, name: &RepositoryName) -> Self {
        let is_meant = |rule: &&UntrustedRule| {
            rule.forge.is_none_or(|only| only == forge) && matches(&rule.pattern, name.as_str())
        };
        rules.iter().rfind(is_meant).map(|rule| rule.policy).unwrap_or_default()
    }
}

impl Trust {
    /// What an event's trust is when the forge has been asked, where `self` is what its payload says.
    ///
    /// A fork is trusted if both who opened the pull request and who moved it now may write to the repository: the
    /// author of one need not be who pushes to it. A branch of the repository itself has been pushed by somebody who may
    /// write; only a flow file that it changes is not trusted for somebody who may not.
    pub fn judged(self, behind: Behind, author: &str) -> Self {
        let writes = |role: Option<Role>| role >= Some(Role::Writer);
        match self {
            Self::Trusted if behind.changes_flow && !writes(behind.author) => {
                Self::Untrusted(UntrustedReason::FlowFile(author.to_owned()))
            }
            Self::Untrusted(UntrustedReason::Fork(_)) if writes(behind.author) && writes(behind.actor) => Self::Trusted,
            unmoved @ (Self::Trusted | Self::Untrusted(_)) => unmoved,
        }
    }
}

/// What somebody with write access has put their name to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vouched {
    /// The commit.
    pub sha: Sha,
    /// The digest of the flow file.
    pub flow: String,
    /// The names of the secrets that the run gets.
    pub secrets: BTreeSet<String>,
}

impl fmt::Display for UntrustedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.run {
            RunUntrusted::Never => "never",
            RunUntrusted::Approval => "approval",
            RunUntrusted::Contributors => "contributors",
            RunUntrusted::Always => "always",
        })?;
        match self.flow {
            FlowFrom::Base => Ok(()),
            FlowFrom::Head => f.write_str("+head"),
        }
    }
}

impl FromStr for UntrustedPolicy {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is none of never, approval, contributors and always, with +head or without");
        let (rule, from) = text.split_once('+').unwrap_or((text, "base"));
        let flow = match from {
            "base" => FlowFrom::Base,
            "head" => FlowFrom::Head,
            _ => return Err(wrong()),
        };
        let run = match rule {
            "never" => RunUntrusted::Never,
            "approval" => RunUntrusted::Approval,
            "contributors" => RunUntrusted::Contributors,
            "always" => RunUntrusted::Always,
            _ => return Err(wrong()),
        };
        Ok(Self { run, flow })
    }
}

impl FromStr for UntrustedRule {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (whose, policy) = text.rsplit_once('=').unwrap_or(("*", text));
        let policy = policy.parse()?;
        let wrong = |_| format!("`{text}` is not `[[forge:]pattern=]rule`");
        let (forge, pattern) = ForgeKind::before(whose).map_err(wrong)?;
        if pattern.is_empty() {
            return Err(format!("`{text}` names no repository: `*={policy}` is for all of them"));
        }
        Ok(Self { forge, pattern: pattern.to_owned(), policy })
    }
}

/// Whether a text is as a pattern says, in which `*` stands for any text. Case means nothing to forges.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_admits_what_it_says() {
        use Admission::{Refused, Runs, Waits};
        for (rule, contributor, stranger) in [
            ("never", Refused, Refused),
            ("approval", Waits, Waits),
            ("contributors", Runs, Waits),
            ("always", Runs, Runs),
            ("always+head", Runs, Runs),
        ] {
            let policy: UntrustedPolicy = rule.parse().expect("a rule");
            assert_eq!(policy.admits(Author::Contributor), contributor, "{rule}");
            assert_eq!(policy.admits(Author::Stranger), stranger, "{rule}");
            assert_eq!(policy.to_string(), rule);
        }
        assert_eq!(UntrustedPolicy::default().to_string(), "approval");
        for wrong in ["", "sometimes", "+head", "always+tail", "Always", "always+head+head"] {
            assert!(wrong.parse::<UntrustedPolicy>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_last_rule_that_is_a_repositorys_counts() {
        let rules: Vec<UntrustedRule> =
            ["contributors", "acme/*=never", "github:acme/*-demo=always+head", "*/open=always"]
                .map(|text| text.parse().expect("a rule"))
                .to_vec();
        let of = |forge, name: &str| UntrustedPolicy::of(&rules, forge, &name.parse().expect("a name")).to_string();
        assert_eq!(of(ForgeKind::Github, "other/shop"), "contributors");
        assert_eq!(of(ForgeKind::Github, "Acme/shop"), "never");
        assert_eq!(of(ForgeKind::Github, "acme/shop-demo"), "always+head");
        assert_eq!(of(ForgeKind::Gitlab, "acme/shop-demo"), "never");
        assert_eq!(of(ForgeKind::Gitlab, "acme/deep/open"), "always");
        assert_eq!(UntrustedPolicy::of(&[], ForgeKind::Git, &"a/b".parse().expect("a name")).to_string(), "approval");
        let everywhere = |rules: &[&str]| {
            let rules: Vec<UntrustedRule> = rules.iter().map(|text| text.parse().expect("a rule")).collect();
            UntrustedPolicy::is_never_everywhere(&rules)
        };
        assert!(everywhere(&["never"]) && everywhere(&["always", "never", "a/b=never"]));
        for not in [&[][..], &["never", "a/b=approval"], &["github:*=never"], &["a/*=never"]] {
            assert!(!everywhere(not), "{not:?}");
        }
        for wrong in ["=never", "github:=never", "nowhere:a/b=never", "a/b=", "a/b"] {
            assert!(wrong.parse::<UntrustedRule>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn trust_follows_from_who_is_behind_the_code() {
        let fork = || Trust::Untrusted(UntrustedReason::Fork("eve/shop".to_owned()));
        let gone = || Trust::Untrusted(UntrustedReason::HeadRepositoryGone);
        let flow = || Trust::Untrusted(UntrustedReason::FlowFile("eve".to_owned()));
        let (writer, reader, nobody) = (Some(Role::Writer), Some(Role::Reader), None);
        for (by_payload, author, actor, changes_flow, expected) in [
            (Trust::Trusted, writer, writer, true, Trust::Trusted),
            (Trust::Trusted, writer, nobody, true, Trust::Trusted),
            (Trust::Trusted, reader, writer, false, Trust::Trusted),
            (Trust::Trusted, reader, writer, true, flow()),
            (Trust::Trusted, nobody, nobody, true, flow()),
            (fork(), writer, writer, true, Trust::Trusted),
            (fork(), Some(Role::Owner), Some(Role::Maintainer), false, Trust::Trusted),
            (fork(), reader, reader, false, fork()),
            // a maintainer's pull request, to whose branch somebody else pushes
            (fork(), writer, reader, false, fork()),
            (fork(), writer, nobody, false, fork()),
            (fork(), nobody, writer, false, fork()),
            (gone(), writer, writer, false, gone()),
        ] {
            let behind = Behind { author, actor, changes_flow };
            assert_eq!(by_payload.clone().judged(behind, "eve"), expected, "{by_payload:?} {behind:?}");
        }
    }

    #[test]
    fn a_pattern_stands_for_the_whole_name() {
        for (pattern, text, expected) in [
            ("*", "a/b", true),
            ("a/*", "a/b", true),
            ("a/*", "xa/b", false),
            ("*/b", "a/bb", false),
            ("a/*b", "a/b", true),
            ("a*a", "a", false),
            ("a/b", "a/b", true),
            ("a/b", "a/bc", false),
            ("*x*", "axb", true),
            ("*x*y", "axyb", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
