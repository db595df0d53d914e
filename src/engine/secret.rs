//! Which secrets a job gets, when it asks for its turn. They are looked up and decrypted then and nowhere else, stand in
//! that one answer, and are looked up anew at each re-run.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::{Engine, Result, settle::Place};
use crate::{
    flow,
    model::{Event, EventKind, JobPath, JobPlan, SecretLimits, SecretName, SecretScope, Trust},
    store::{Pin, SecretRow, Tx},
};

/// What a job gets.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// By the variables that hold them.
    pub(super) variables: BTreeMap<String, SecretString>,
    /// As they are kept.
    pub(super) rows: Vec<SecretRow>,
    /// What its log says of those that it does not get, though it may start.
    pub(super) notes: Vec<String>,
}

/// For what a secret is asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What happened.
    pub event: &'a Event,
    /// The job's image as the flow names it.
    pub image: &'a str,
    /// The same by its digest, if that is known.
    pub pinned: Option<&'a str>,
}

/// Why a job does not get a secret, though it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withheld {
    /// There is none of that name.
    Unknown,
    /// There is one, for other events.
    Event,
    /// There is one, for other branches.
    Branch,
    /// There is one, for other images.
    Image,
}

impl Engine {
    /// The secrets of a job whose turn has come, or why it cannot start.
    pub(super) async fn secrets_of(&self, tx: &mut Tx, place: &Place, job: &JobPlan) -> Result<Result<Given, String>> {
        let (Some(wants), mut given) = (&place.run.wants, Given::default()) else { return Ok(Ok(Given::default())) };
        let path = path_of(place, job)?;
        let grants = place.run.grants.as_deref().cloned().unwrap_or_default();
        let granted: BTreeMap<&str, &SecretName> = grants.to(&path).collect();
        let repository = &place.run.event.repository;
        let known = match granted.is_empty() {
            true => Vec::new(),
            false => around(tx, &SecretScope::around(repository.forge, &repository.name)).await?,
        };
        let pinned = place.run.pins.get(&job.image).map(|pin: &Pin| pin.image.as_str());
        let asked = Asked { event: &place.run.event.0, image: &job.image, pinned };
        for (variable, name) in wants.of(&path) {
            if granted.get(variable) != Some(&name) {
                given.notes.push(ungranted(name, variable, &asked.event.trust));
                continue;
            }
            match choose(&known, name, asked) {
                Ok(row) => match self.vault.reveal(row) {
                    Ok(value) => {
                        given.variables.insert(variable.to_owned(), value);
                        given.rows.push(row.clone());
                    }
                    Err(error) => {
                        tracing::error!(secret = %name, scope = %row.scope(), %error, "a secret cannot be opened");
                        return Ok(Err(format!("secret {name} of {} cannot be opened: {error}", row.scope())));
                    }
                },
                Err((withheld, row)) => return Ok(Err(refusal(withheld, row, name, asked))),
            }
        }
        Ok(Ok(given))
    }
}

/// All that a repository's jobs may have, the nearest first.
pub(super) async fn around(tx: &mut Tx, scopes: &[SecretScope]) -> Result<Vec<SecretRow>> {
    let mut all = Vec::new();
    for scope in scopes {
        all.extend(tx.secrets(scope).await?);
    }
    Ok(all)
}

/// Where a job stands, by names.
pub(super) fn path_of(place: &Place, job: &JobPlan) -> Result<JobPath> {
    let (stage, _) = super::settle::places(&place.action);
    let stage = place.flow()?.stages.get(stage).map(|stage| stage.name.clone()).unwrap_or_default();
    Ok(JobPath { stage, action: place.plan()?.name.clone(), job: job.name.clone() })
}

/// The secret of this name, if it is for what asks. The nearest of its name decides, also if it is for others: whoever
/// limits a repository's own secret does not want the owner's in its place. Pure.
///
/// # Errors
/// Why not, with the one that there is.
pub fn choose<'s>(
    nearest_first: &'s [SecretRow],
    name: &SecretName,
    asked: Asked<'_>,
) -> Result<&'s SecretRow, (Withheld, Option<&'s SecretRow>)> {
    let row = nearest_first.iter().find(|row| row.name == *name).ok_or((Withheld::Unknown, None))?;
    match withheld(&row.limits, asked) {
        None => Ok(row),
        Some(why) => Err((why, Some(row))),
    }
}

fn withheld(limits: &SecretLimits, asked: Asked<'_>) -> Option<Withheld> {
    let SecretLimits { events, branches, images } = limits;
    if !events.is_empty() && !events.iter().any(|event| event == asked.event.name()) {
        return Some(Withheld::Event);
    }
    let is_on = |branch: &str| branches.iter().any(|pattern| flow::is_match(pattern, branch));
    if !branches.is_empty() && !own_branch(asked.event).is_some_and(is_on) {
        return Some(Withheld::Branch);
    }
    if !images.is_empty() && !images.iter().any(|pattern| is_image(pattern, asked)) {
        return Some(Withheld::Image);
    }
    None
}

/// The branch of this very repository whose code it is. A fork may call its branch whatever it likes.
fn own_branch(event: &Event) -> Option<&str> {
    match &event.kind {
        EventKind::PullRequest(pull) => {
            (pull.head_repository.as_ref() == Some(&event.repository.name)).then_some(pull.branch.as_str())
        }
        EventKind::Push { .. }
        | EventKind::Tag { .. }
        | EventKind::MergeGroup { .. }
        | EventKind::Schedule { .. }
        | EventKind::Manual { .. }
        | EventKind::Flow { .. } => event.branch(),
    }
}

/// Whether a pattern means a job's image. One without a tag means every tag; one with a digest means the bytes that will
/// run, so the registry must have told their digest.
pub(super) fn is_image(pattern: &str, asked: Asked<'_>) -> bool {
    if let Some((name, digest)) = pattern.split_once('@') {
        let pinned = asked.pinned.or(Some(asked.image)).and_then(|image| image.split_once('@'));
        return pinned.is_some_and(|(_, is)| is == digest) && flow::is_match(untagged(name), untagged(asked.image));
    }
    flow::is_match(pattern, asked.image) || flow::is_match(pattern, untagged(asked.image))
}

/// An image without tag and digest; a colon before a slash is a port's.
fn untagged(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        Some(_) | None => image,
    }
}

/// What the log of a job says that runs without.
fn ungranted(name: &SecretName, variable: &str, trust: &Trust) -> String {
    let why = match trust {
        Trust::Untrusted(_) => "the code of this run is not trusted, and nobody has granted it",
        Trust::Trusted => "this run was not granted it",
    };
    format!("secret {name} is not given, so {variable} is not set: {why}")
}

/// Why a job cannot start, and what to do.
fn refusal(withheld: Withheld, row: Option<&SecretRow>, name: &SecretName, asked: Asked<'_>) -> String {
    let repository = &asked.event.repository;
    let (forge, of) = (repository.forge, &repository.name);
    let only = |what: &str| {
        let scope = row.map_or_else(String::new, |row| format!(" of {}", row.scope()));
        format!("secret {name}{scope} is only for {what}")
    };
    let limits = row.map(|row| row.limits.0.clone()).unwrap_or_default();
    match withheld {
        Withheld::Unknown => format!(
            "there is no secret {name} for {of}: `containerops secret set {name} --forge {forge} --repo {of}` sets it \
             on the server"
        ),
        Withheld::Event => format!(
            "{}, and this is {}: a `when` keeps the job from other events",
            only(&format!("events {}", limits.events.join(", "))),
            asked.event.name()
        ),
        Withheld::Branch => {
            let on = own_branch(asked.event).map_or_else(|| "on none of them".to_owned(), |on| format!("on {on}"));
            format!(
                "{}, and this is {on}: a `when` keeps the job from other branches",
                only(&format!("branches {}", limits.branches.join(", ")))
            )
        }
        Withheld::Image => format!(
            "{}, and the job's is {}",
            only(&format!("images {}", limits.images.join(", "))),
            asked.pinned.unwrap_or(asked.image)
        ),
    }
}
