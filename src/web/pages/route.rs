//! The paths under a forge's name. `FromStr` and `Display` are each other's inverse.
//!
//! A repository's name may have any number of parts, and on GitLab even parts that read `runs/5`. So the first
//! `runs` that is followed by a number ends the name, and where a name itself has such a part, we write it as `%72uns`.
//! In the same way a last `badge.svg`, `search` or `statistics` behind a whole name is none of it.

use std::{fmt, str::FromStr};

use crate::model::{ForgeKind, JobPath, RepositoryName};

/// One path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Which forge.
    pub forge: ForgeKind,
    /// Which repository.
    pub repository: RepositoryName,
    /// What of it.
    pub place: Place,
}

/// What a [`Route`] leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The repository's runs.
    Runs,
    /// How they went.
    Statistics,
    /// What is looked for in all of its logs.
    Search,
    /// A picture of how it stands.
    Badge,
    /// One run, or what can be done with it.
    Run(u64, RunPlace),
    /// A job of a run.
    Job(u64, JobPath, JobPlace),
    /// An artifact of a job, by its name.
    Artifact(u64, JobPath, String),
}

/// What of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunPlace {
    /// Its page.
    Page,
    /// What its time went into.
    Timeline,
    /// Its picture.
    Picture,
    /// `POST`: stop it.
    Cancel,
    /// `POST`: once more.
    Rerun,
    /// `POST`: what waits for approval may go on.
    Approve,
    /// `POST`: it may not.
    Reject,
}

/// What of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobPlace {
    /// Its log's page.
    Page,
    /// Its log as it is.
    Raw,
    /// Its log as it comes.
    Stream,
}

impl Place {
    /// What all paths that lead to such a place have in common, for whoever counts them.
    pub(in crate::web) const fn pattern(&self) -> &'static str {
        match self {
            Self::Runs => "/{repository}",
            Self::Statistics => "/{repository}/statistics",
            Self::Search => "/{repository}/search",
            Self::Badge => "/{repository}/badge.svg",
            Self::Run(_, RunPlace::Page) => "/{repository}/runs/{run}",
            Self::Run(_, RunPlace::Timeline) => "/{repository}/runs/{run}/timeline",
            Self::Run(_, RunPlace::Picture) => "/{repository}/runs/{run}/picture.svg",
            Self::Run(_, RunPlace::Cancel) => "/{repository}/runs/{run}/cancel",
            Self::Run(_, RunPlace::Rerun) => "/{repository}/runs/{run}/rerun",
            Self::Run(_, RunPlace::Approve) => "/{repository}/runs/{run}/approve",
            Self::Run(_, RunPlace::Reject) => "/{repository}/runs/{run}/reject",
            Self::Job(_, _, JobPlace::Page) => "/{repository}/runs/{run}/{job}",
            Self::Job(_, _, JobPlace::Raw) => "/{repository}/runs/{run}/{job}/log.txt",
            Self::Job(_, _, JobPlace::Stream) => "/{repository}/runs/{run}/{job}/log/stream",
            Self::Artifact(..) => "/{repository}/runs/{run}/{job}/artifacts/{name}",
        }
    }
}

/// A path that leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is nothing at this path")]
pub struct NoRoute;

impl FromStr for Route {
    type Err = NoRoute;
    fn from_str(path: &str) -> Result<Self, NoRoute> {
        let mut parts = path.strip_prefix('/').ok_or(NoRoute)?.split('/');
        let forge = parts.next().and_then(|forge| forge.parse().ok()).ok_or(NoRoute)?;
        let parts: Vec<&str> = parts.collect();
        let split = parts.windows(2).skip(1).position(|pair| pair[0] == "runs" && number(pair[1]).is_some());
        let (mut name, rest) = parts.split_at(split.map_or(parts.len(), |at| at + 1));
        let mut place = place(rest)?;
        if let (None, Some((last, before))) = (split, name.split_last())
            && let Some(below) = below(forge, before.len(), last)
        {
            (name, place) = (before, below);
        }
        let name = name.iter().map(|part| decode(part)).collect::<Option<Vec<_>>>().ok_or(NoRoute)?;
        let repository = name.join("/").parse().map_err(|_| NoRoute)?;
        Ok(Self { forge, repository, place })
    }
}

/// What a path's last part leads to, behind a name of so many parts; `None`: it is of the name.
fn below(forge: ForgeKind, parts: usize, last: &str) -> Option<Place> {
    let least = match forge {
        ForgeKind::Git => 1,
        ForgeKind::Github | ForgeKind::Gitlab | ForgeKind::Gitea => 2,
    };
    match last {
        "statistics" if parts >= least => Some(Place::Statistics),
        "search" if parts >= least => Some(Place::Search),
        "badge.svg" if parts >= least => Some(Place::Badge),
        _ => None,
    }
}

fn place(parts: &[&str]) -> Result<Place, NoRoute> {
    let [_, run, rest @ ..] = parts else { return Ok(Place::Runs) };
    let run = number(run).ok_or(NoRoute)?;
    match rest {
        [] => Ok(Place::Run(run, RunPlace::Page)),
        ["timeline"] => Ok(Place::Run(run, RunPlace::Timeline)),
        ["picture.svg"] => Ok(Place::Run(run, RunPlace::Picture)),
        ["cancel"] => Ok(Place::Run(run, RunPlace::Cancel)),
        ["rerun"] => Ok(Place::Run(run, RunPlace::Rerun)),
        ["approve"] => Ok(Place::Run(run, RunPlace::Approve)),
        ["reject"] => Ok(Place::Run(run, RunPlace::Reject)),
        [stage, action, job, rest @ ..] => {
            let text = |part| decode(part).ok_or(NoRoute);
            let path = JobPath { stage: text(stage)?, action: text(action)?, job: text(job)? };
            let place = match rest {
                [] => JobPlace::Page,
                ["log.txt"] => JobPlace::Raw,
                ["log", "stream"] => JobPlace::Stream,
                ["artifacts", name] => return Ok(Place::Artifact(run, path, text(name)?)),
                _ => return Err(NoRoute),
            };
            Ok(Place::Job(run, path, place))
        }
        _ => Err(NoRoute),
    }
}

/// A run's number as we write it: no sign, no zero in front.
fn number(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|n| n.to_string() == text)
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.forge)?;
        let parts: Vec<&str> = self.repository.as_str().split('/').collect();
        for (at, part) in parts.iter().enumerate() {
            let misread = *part == "runs" && parts.get(at + 1).is_some_and(|next| number(next).is_some());
            let below = at + 1 == parts.len() && below(self.forge, at, part).is_some();
            match (misread, below) {
                (true, _) => f.write_str("/%72uns")?,
                // its first letter's code
                (false, true) => write!(f, "/%{:02X}{}", part.as_bytes()[0], &part[1..])?,
                (false, false) => write!(f, "/{part}")?,
            }
        }
        match &self.place {
            Place::Runs => Ok(()),
            Place::Statistics => f.write_str("/statistics"),
            Place::Search => f.write_str("/search"),
            Place::Badge => f.write_str("/badge.svg"),
            Place::Run(run, RunPlace::Page) => write!(f, "/runs/{run}"),
            Place::Run(run, RunPlace::Timeline) => write!(f, "/runs/{run}/timeline"),
            Place::Run(run, RunPlace::Picture) => write!(f, "/runs/{run}/picture.svg"),
            Place::Run(run, RunPlace::Cancel) => write!(f, "/runs/{run}/cancel"),
            Place::Run(run, RunPlace::Rerun) => write!(f, "/runs/{run}/rerun"),
            Place::Run(run, RunPlace::Approve) => write!(f, "/runs/{run}/approve"),
            Place::Run(run, RunPlace::Reject) => write!(f, "/runs/{run}/reject"),
            Place::Artifact(run, path, name) => {
                write_job(f, *run, path)?;
                write!(f, "/artifacts/{}", encode(name))
            }
            Place::Job(run, path, place) => {
                write_job(f, *run, path)?;
                f.write_str(match place {
                    JobPlace::Page => "",
                    JobPlace::Raw => "/log.txt",
                    JobPlace::Stream => "/log/stream",
                })
            }
        }
    }
}

fn write_job(f: &mut fmt::Formatter<'_>, run: u64, path: &JobPath) -> fmt::Result {
    let [stage, action, job] = [&path.stage, &path.action, &path.job].map(|name| encode(name));
    write!(f, "/runs/{run}/{stage}/{action}/{job}")
}

/// All but the unreserved characters of RFC 3986 as `%XX`.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // writing to a String cannot fail
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `None` if an escape is broken or the bytes are not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            out.extend(hex::decode(digits).ok()?);
            rest = after;
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_name_is_none_of_it_and_a_name_that_reads_so_is_written_otherwise() {
        for (path, repository, place) in [
            ("/github/acme/shop/statistics", "acme/shop", Place::Statistics),
            ("/github/acme/shop/badge.svg", "acme/shop", Place::Badge),
            ("/github/acme/statistics", "acme/statistics", Place::Runs),
            ("/github/acme/statistics/statistics", "acme/statistics", Place::Statistics),
            ("/gitlab/a/b/c/badge.svg", "a/b/c", Place::Badge),
            ("/gitlab/a/b/%73tatistics", "a/b/statistics", Place::Runs),
            ("/gitlab/a/b/%62adge.svg/statistics", "a/b/badge.svg", Place::Statistics),
            ("/git/tool/statistics", "tool", Place::Statistics),
            ("/git/statistics", "statistics", Place::Runs),
            ("/gitlab/a/%72uns/5/%73tatistics", "a/runs/5/statistics", Place::Runs),
            ("/github/acme/statistics/runs/5", "acme/statistics", Place::Run(5, RunPlace::Page)),
        ] {
            let route: Route = path.parse().expect(path);
            assert_eq!((route.repository.as_str(), &route.place), (repository, &place), "{path}");
            let again: Route = route.to_string().parse().expect(path);
            assert_eq!(again, route, "{path} is written {route}");
        }
        assert!("/github/acme/shop/badge.svg/x".parse::<Route>().is_ok_and(|route| route.place == Place::Runs));
    }
}
