//! What stands above a list: what it can be narrowed by, by what it is, and how one gets out of that again.

use super::{Failure, Place, Route};
use crate::{
    model::{EVENTS, StateFilter},
    store::{RepositoryRow, Tx},
    web::filter::Filter,
};

/// So many names of flows are offered.
const FLOWS: usize = 50;
/// The states that are one press away.
const QUICK: [(&str, StateFilter); 4] = [
    ("Running", StateFilter::Running),
    ("Waiting", StateFilter::Waiting),
    ("Failed", StateFilter::Failure),
    ("Succeeded", StateFilter::Success),
];

pub(super) struct FilterView {
    /// The states as links: words, address, whether it is that one.
    pub(super) quick: Vec<(&'static str, String, bool)>,
    /// What is looked for: words, and the address without it.
    pub(super) chosen: Vec<(String, String)>,
    /// The same in one sentence; empty: nothing.
    pub(super) words: String,
    /// The list of all.
    pub(super) all: String,
    pub(super) fields: Vec<Field>,
    pub(super) states: Vec<Choice>,
    pub(super) events: Vec<Choice>,
    /// The flows that the repository has runs of.
    pub(super) flows: Vec<String>,
    /// Repositories of the name that was looked for: name and address.
    pub(super) several: Vec<(String, String)>,
    /// Whether it is the newest part of the list.
    pub(super) is_newest: bool,
}

/// A field of the form.
pub(super) struct Field {
    pub(super) label: &'static str,
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) hint: &'static str,
}

/// An option of a field: value, words, whether it is chosen.
pub(super) struct Choice {
    pub(super) value: &'static str,
    pub(super) words: String,
    pub(super) is_chosen: bool,
}

impl FilterView {
    pub(super) async fn new(
        tx: &mut Tx,
        filter: &Filter,
        repository: Option<&RepositoryRow>,
        path: &str,
    ) -> Result<Self, Failure> {
        let flows = match repository {
            Some(row) => tx.flows_run(row.id, FLOWS).await?,
            None => Vec::new(),
        };
        Ok(Self { flows, ..Self::at(filter, path, repository.is_some()) })
    }

    /// Of a list of all repositories where the one that is looked for is none, or several.
    pub(super) fn of_several(filter: &Filter, found: &[RepositoryRow]) -> Self {
        let link = |row: &RepositoryRow| {
            let route = Route { forge: row.forge, repository: row.name.clone(), place: Place::Runs };
            (format!("{} on {}", row.name, row.forge.title()), filter.within().address(&route.to_string()))
        };
        Self { several: found.iter().map(link).collect(), ..Self::at(filter, "/", false) }
    }

    fn at(filter: &Filter, path: &str, of_repository: bool) -> Self {
        let state = |state: Option<StateFilter>| filter.address_with(path, "state", state.map(StateFilter::as_str));
        let mut quick = vec![("All", state(None), filter.state.is_none())];
        quick.extend(QUICK.map(|(words, of)| (words, state(Some(of)), filter.state == Some(of))));
        let chosen: Vec<(String, String)> = filter
            .fields()
            .into_iter()
            .map(|(name, value)| (in_words(name, &value), filter.address_with(path, name, None)))
            .collect();
        let all = |state: StateFilter| Choice {
            value: state.as_str(),
            words: state.words().to_owned(),
            is_chosen: filter.state == Some(state),
        };
        Self {
            quick,
            words: chosen.iter().map(|(words, _)| words.as_str()).collect::<Vec<_>>().join(", "),
            chosen,
            all: path.to_owned(),
            fields: fields(filter, of_repository),
            states: StateFilter::ALL.into_iter().map(all).collect(),
            events: EVENTS.into_iter().map(|event| choice(event, filter.event)).collect(),
            flows: Vec::new(),
            several: Vec::new(),
            is_newest: filter.is_newest(),
        }
    }
}

fn choice(event: &'static str, chosen: Option<&str>) -> Choice {
    Choice { value: event, words: event.replace('_', " "), is_chosen: chosen == Some(event) }
}

fn fields(filter: &Filter, of_repository: bool) -> Vec<Field> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let repository = filter.repository.as_ref().map(ToString::to_string).unwrap_or_default();
    let pull = filter.pull.map(|pull| pull.to_string()).unwrap_or_default();
    let mut fields = vec![
        Field { label: "Repository", name: "repository", value: repository, hint: "owner/name" },
        Field { label: "Branch", name: "branch", value: text(&filter.branch), hint: "main, or owner:branch of a fork" },
        Field { label: "Pull request", name: "pull", value: pull, hint: "12" },
        Field { label: "Author", name: "author", value: text(&filter.author), hint: "who did it, or opened it" },
        Field { label: "Flow", name: "flow", value: text(&filter.flow), hint: "its name" },
        Field { label: "Tag", name: "tag", value: text(&filter.tag), hint: "v1.0" },
    ];
    if of_repository {
        fields.remove(0);
    }
    fields
}

fn in_words(name: &str, value: &str) -> String {
    match name {
        "state" => value.parse::<StateFilter>().map_or_else(|_| value.to_owned(), |state| state.words().to_owned()),
        "pull" => format!("pull request #{value}"),
        "author" => format!("by {value}"),
        "event" => format!("event {}", value.replace('_', " ")),
        _ => format!("{name} {value}"),
    }
}
