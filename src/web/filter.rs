//! Which runs somebody wants to see: the same words in a page's address and in the API's.

use serde::Deserialize;

use super::pages::Failure;
use crate::{
    model::{EVENTS, ForgeKind, RepositoryId, RepositoryName, RunId, StateFilter},
    store::RunFilter,
};

/// The longest word that anything is looked for by.
const LONGEST: usize = 300;

/// `?repository=acme/shop&branch=main&state=failure&pull=12&author=alice&event=push&flow=ci&tag=v1`. What is empty is
/// as good as left out, for a form sends all of its fields.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct RunsQuery {
    /// `github`, `gitlab`, `gitea` or `git`.
    forge: Option<String>,
    /// `owner/name`.
    repository: Option<String>,
    /// The branch whose code it is; a fork's is `owner:branch`.
    branch: Option<String>,
    /// The tag.
    tag: Option<String>,
    /// The pull request's number.
    pull: Option<String>,
    /// Who did it, or opened the pull request.
    author: Option<String>,
    /// What happened: `push`, `pull_request`, …
    event: Option<String>,
    /// The flow's name.
    flow: Option<String>,
    /// `success`, `failure`, `running`, `waiting`, …
    state: Option<String>,
    /// Only runs made before this one.
    before: Option<String>,
    /// Only runs made after this one.
    after: Option<String>,
}

/// The same, understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) forge: Option<ForgeKind>,
    pub(super) repository: Option<RepositoryName>,
    pub(super) branch: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) pull: Option<u32>,
    pub(super) author: Option<String>,
    pub(super) event: Option<&'static str>,
    pub(super) flow: Option<String>,
    pub(super) state: Option<StateFilter>,
    pub(super) before: Option<RunId>,
    pub(super) after: Option<RunId>,
}

impl TryFrom<RunsQuery> for Filter {
    type Error = Failure;
    fn try_from(asked: RunsQuery) -> Result<Self, Failure> {
        let event = |text: String| {
            let wrong = || format!("there is no event `{}`: one of {} is", short(&text), EVENTS.join(", "));
            EVENTS.into_iter().find(|event| *event == text).ok_or_else(wrong)
        };
        let pull = |text: String| {
            let number = text.trim_start_matches(['#', '!']).parse::<u32>();
            number.map_err(|_| format!("`{}` is no number of a pull request", short(&text)))
        };
        let filter = Self {
            forge: parsed(asked.forge, parse)?,
            repository: parsed(asked.repository, parse)?,
            branch: parsed(asked.branch, Ok)?,
            tag: parsed(asked.tag, Ok)?,
            pull: parsed(asked.pull, pull)?,
            author: parsed(asked.author, |text| Ok(text.trim_start_matches('@').to_owned()))?,
            event: parsed(asked.event, event)?,
            flow: parsed(asked.flow, Ok)?,
            state: parsed(asked.state, parse)?,
            before: parsed(asked.before, parse)?,
            after: parsed(asked.after, parse)?,
        };
        match (filter.forge, &filter.repository) {
            (Some(_), None) => Err(Failure::Words("`forge` says where `repository` is, which is not named".to_owned())),
            (Some(_) | None, _) => Ok(filter),
        }
    }
}

/// A word that somebody has typed, if it is one.
pub(super) fn word(text: Option<String>) -> Result<Option<String>, Failure> {
    parsed(text, Ok)
}

fn parsed<T>(text: Option<String>, read: impl FnOnce(String) -> Result<T, String>) -> Result<Option<T>, Failure> {
    // counted before anything is cut off, as the API's description counts
    let is_long = text.as_ref().is_some_and(|text| text.chars().count() > LONGEST);
    let Some(text) = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty() || is_long) else {
        return Ok(None);
    };
    if is_long || text.chars().any(char::is_control) {
        return Err(Failure::Words(format!("`{}` is nothing that a run could have", short(&text))));
    }
    read(text).map(Some).map_err(Failure::Words)
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: String) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// What somebody has typed, as far as a message needs it.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

impl Filter {
    /// For the store.
    pub(super) fn rows(&self, repository: Option<RepositoryId>, limit: i64) -> RunFilter {
        RunFilter {
            repository,
            branch: self.branch.clone(),
            tag: self.tag.clone(),
            pull: self.pull.map(i64::from),
            author: self.author.as_ref().map(|author| author.to_lowercase()),
            kind: self.event.map(ToOwned::to_owned),
            flow: self.flow.clone(),
            state: self.state,
            before: self.before,
            after: self.after,
            limit,
        }
    }

    /// What is looked for, in the order of the form; without the place in the list.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let text = |value: &Option<String>| value.clone();
        let all = [
            ("forge", self.forge.map(|forge| forge.to_string())),
            ("repository", self.repository.as_ref().map(ToString::to_string)),
            ("state", self.state.map(|state| state.to_string())),
            ("flow", text(&self.flow)),
            ("branch", text(&self.branch)),
            ("tag", text(&self.tag)),
            ("pull", self.pull.map(|pull| pull.to_string())),
            ("author", text(&self.author)),
            ("event", self.event.map(ToOwned::to_owned)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// The address of this list at `path`.
    pub(super) fn address(&self, path: &str) -> String {
        address(path, self.fields())
    }

    /// The address with one field otherwise, or without it.
    pub(super) fn address_with(&self, path: &str, name: &'static str, value: Option<&str>) -> String {
        let others = self.fields().into_iter().filter(|(other, _)| *other != name);
        address(path, others.chain(value.map(|value| (name, value.to_owned()))).collect())
    }

    /// Without the repository, which the path then names.
    pub(super) fn within(&self) -> Self {
        Self { forge: None, repository: None, ..self.clone() }
    }

    /// Whether it is the newest part of the list of everything.
    pub(super) fn is_everything(&self) -> bool {
        self.is_newest() && self.fields().is_empty()
    }

    /// Whether it is the newest part of the list.
    pub(super) const fn is_newest(&self) -> bool {
        self.before.is_none() && self.after.is_none()
    }
}

/// A path with a query.
pub(super) fn address(path: &str, fields: Vec<(&'static str, String)>) -> String {
    if fields.is_empty() {
        return path.to_owned();
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    format!("{path}?{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Filter, String> {
        let asked: RunsQuery =
            axum::extract::Query::try_from_uri(&format!("/?{query}").parse().expect("a URI")).expect("pairs").0;
        Filter::try_from(asked).map_err(|failure| failure.to_string())
    }

    #[test]
    fn an_address_is_its_filter_and_the_filter_its_address() {
        for query in [
            "",
            "state=failure&branch=main&pull=12&author=alice",
            "forge=gitlab&repository=a%2Fb%2Fc&state=timed_out",
            "flow=a+flow&branch=feature%2F%26x%3D1&tag=v1.0&event=pull_request",
        ] {
            let filter = read(query).expect("a filter");
            let path = if query.is_empty() { "/".to_owned() } else { format!("/?{query}") };
            assert_eq!(filter.address("/"), path);
        }
        let filter = read("state=&branch=+main+&pull=%2312&author=%40Alice&tag=").expect("a filter");
        assert_eq!(filter.address("/x"), "/x?branch=main&pull=12&author=Alice");
        assert_eq!(filter.rows(None, 5).author.as_deref(), Some("alice"));
        assert_eq!(filter.address_with("/x", "branch", None), "/x?pull=12&author=Alice");
        assert_eq!(filter.address_with("/x", "pull", Some("7")), "/x?branch=main&author=Alice&pull=7");
    }

    #[test]
    fn what_nothing_could_have_is_refused_in_words() {
        for (query, words) in [
            ("state=green", "`green` is no state of a run"),
            ("event=pushed", "there is no event `pushed`"),
            ("pull=twelve", "`twelve` is no number of a pull request"),
            ("pull=-1", "is no number"),
            ("pull=99999999999", "is no number"),
            ("forge=svn", "is no forge"),
            ("forge=github&state=failure", "`repository` is"),
            ("repository=..%2F..", "repository"),
            ("before=zzz", "is not an id"),
            ("branch=a%00b", "is nothing that a run could have"),
        ] {
            let wrong = read(query).expect_err(query);
            assert!(wrong.contains(words), "{query}: {wrong}");
        }
        assert!(read(&format!("flow={}", "x".repeat(301))).is_err());
    }
}
