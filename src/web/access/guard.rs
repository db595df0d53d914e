//! Guards: what a handler works on, for whom that may be. A handler that has one need check nothing.

use std::{marker::PhantomData, str::FromStr};

use axum::{
    extract::{FromRequestParts, Query, RawPathParams},
    http::request::Parts,
    response::{IntoResponse, Response},
};

use super::{
    routes::Need,
    visitor::{Granted, Visitor, Who, is_api},
};
use crate::{
    engine::{rerun, start},
    model::{DeliveryId, ForgeKind, Login, PersonId, RepositoryName, Right, RunId},
    store::{JobRow, RunRow},
    web::{
        Web,
        api::Problem,
        mistake::Mistake,
        pages::{Failure, Place, Route},
    },
};

/// What stands first among a handler's arguments.
pub(in crate::web) trait Guard: FromRequestParts<Web> {
    /// What it lets pass.
    const NEED: Need;
}

/// A right, as a type.
pub(in crate::web) trait Wanted: Send + Sync + 'static {
    /// Which.
    const RIGHT: Right;
}

macro_rules! wanted {
    ($($(#[$doc:meta])* $name:ident is $right:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(in crate::web) struct $name;
        impl Wanted for $name {
            const RIGHT: Right = Right::$right;
        }
    )*};
}
wanted! {
    /// Looks.
    See is See;
    /// Starts, repeats, stops.
    RunIt is Run;
    /// Answers.
    Approve is Approve;
    /// Keeps.
    Maintain is Maintain;
}

/// Why a guard lets nobody pass: a page for people, JSON for programs.
pub(in crate::web) struct Refused(Failure, bool);

impl Refused {
    pub(in crate::web) fn new(parts: &Parts) -> impl Fn(Failure) -> Self + use<> {
        let api = is_api(parts);
        move |failure| Self(failure, api)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self(failure, true) => Problem::from(failure).into_response(),
            Self(failure, false) => failure.into_response(),
        }
    }
}

/// Everybody may have it: it says nothing of any repository.
pub(in crate::web) struct Anybody;

impl Guard for Anybody {
    const NEED: Need = Need::Nothing;
}

impl FromRequestParts<Web> for Anybody {
    type Rejection = Refused;
    async fn from_request_parts(_: &mut Parts, _: &Web) -> Result<Self, Refused> {
        Ok(Self)
    }
}

impl Guard for Visitor {
    const NEED: Need = Need::Visitor;
}

/// The handler shows what its visitor may see, or asks for the repository that its request names.
impl FromRequestParts<Web> for Visitor {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Refused> {
        match parts.extensions.get::<Self>() {
            Some(known) => Ok(known.clone()),
            None => Self::of(web, parts).await.map_err(Refused::new(parts)),
        }
    }
}

/// Whoever has said who they are; or anybody, where the server asks nobody. A program that has not is told so, whatever
/// it asks for.
pub(in crate::web) struct Known(pub(in crate::web) Visitor);

impl Guard for Known {
    const NEED: Need = Need::Known;
}

impl FromRequestParts<Web> for Known {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Refused> {
        known(parts, web, Right::Maintain).await.map(Self)
    }
}

/// Whoever asks; programs may look at what is public, and for nothing else, without saying who they are. It is said
/// before anything is looked for, so that it says nothing of what there is.
async fn known(parts: &mut Parts, web: &Web, right: Right) -> Result<Visitor, Refused> {
    let visitor = Visitor::from_request_parts(parts, web).await?;
    let is_nobody = matches!(visitor.who, Who::Nobody) && is_api(parts);
    if is_nobody && right != Right::See { Err(Refused(Failure::NoToken, true)) } else { Ok(visitor) }
}

/// Somebody who has signed in, and no program.
pub(in crate::web) struct SignedIn {
    pub(in crate::web) visitor: Visitor,
    pub(in crate::web) id: PersonId,
    pub(in crate::web) login: Login,
}

impl Guard for SignedIn {
    const NEED: Need = Need::SignedIn;
}

impl FromRequestParts<Web> for SignedIn {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Refused> {
        let visitor = known(parts, web, Right::Maintain).await?;
        match visitor.who.clone() {
            Who::Person { id, login } => Ok(Self { visitor, id, login }),
            Who::Nobody | Who::Anyone | Who::Token { .. } => Err(Refused::new(parts)(Failure::Missing)),
        }
    }
}

/// The repository that the query names: `?forge=github&repository=acme/shop`.
pub(in crate::web) struct OfRepository<W> {
    pub(in crate::web) granted: Granted,
    wanted: PhantomData<W>,
}

#[derive(serde::Deserialize)]
struct NamedRepository {
    forge: ForgeKind,
    repository: RepositoryName,
}

impl<W: Wanted> Guard for OfRepository<W> {
    const NEED: Need = Need::Repository(W::RIGHT);
}

impl<W: Wanted> FromRequestParts<Web> for OfRepository<W> {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Refused> {
        let visitor = known(parts, web, W::RIGHT).await?;
        repository(web, &visitor, parts, W::RIGHT).await.map_err(Refused::new(parts))
    }
}

async fn repository<W>(web: &Web, visitor: &Visitor, parts: &Parts, right: Right) -> Result<OfRepository<W>, Failure> {
    let named = Query::<NamedRepository>::try_from_uri(&parts.uri).map_err(Mistake::in_query)?.0;
    let route = Route { forge: named.forge, repository: named.repository, place: Place::Runs };
    Ok(OfRepository { granted: visitor.at(web, &route, right).await?, wanted: PhantomData })
}

/// The run that the path names.
pub(in crate::web) struct OfRun<W> {
    pub(in crate::web) run: RunRow,
    pub(in crate::web) granted: Granted,
    wanted: PhantomData<W>,
}

impl<W: Wanted> Guard for OfRun<W> {
    const NEED: Need = Need::Run(W::RIGHT);
}

impl<W: Wanted> FromRequestParts<Web> for OfRun<W> {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Refused> {
        let visitor = known(parts, web, W::RIGHT).await?;
        let id = id(parts, web).await;
        run(web, &visitor, id, W::RIGHT).await.map_err(Refused::new(parts))
    }
}

async fn run<W>(web: &Web, visitor: &Visitor, id: Option<RunId>, right: Right) -> Result<OfRun<W>, Failure> {
    let mut tx = web.engine.store.read().await?;
    let run = tx.run(id.ok_or(Failure::Missing)?).await?.ok_or(Failure::Missing)?;
    let repository = tx.repository(run.repository_id).await?;
    drop(tx);
    let granted = visitor.with(web, repository, right).await?;
    Ok(OfRun { run, granted, wanted: PhantomData })
}

/// The job that the path names.
pub(in crate::web) struct OfJob<W> {
    pub(in crate::web) job: JobRow,
    wanted: PhantomData<W>,
}

impl<W: Wanted> Guard for OfJob<W> {
    const NEED: Need = Need::Job(W::RIGHT);
}

impl<W: Wanted> FromRequestParts<Web> for OfJob<W> {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Refused> {
        let visitor = known(parts, web, W::RIGHT).await?;
        let id = id(parts, web).await;
        job(web, &visitor, id, W::RIGHT).await.map_err(Refused::new(parts))
    }
}

async fn job<W>(
    web: &Web,
    visitor: &Visitor,
    id: Option<crate::model::JobId>,
    right: Right,
) -> Result<OfJob<W>, Failure> {
    let mut tx = web.engine.store.read().await?;
    let job = tx.job(id.ok_or(Failure::Missing)?).await?.ok_or(Failure::Missing)?;
    let attempt = tx.attempt(job.attempt_id).await?.ok_or(Failure::Missing)?;
    let of = tx.action(attempt.action_id).await?.run_id;
    drop(tx);
    run::<W>(web, visitor, Some(of), right).await?;
    Ok(OfJob { job, wanted: PhantomData })
}

/// The delivery that the path names: its repository's maintainers may have it, and of what somebody has wished for here,
/// whoever may wish so. One of no repository is the administrators'.
pub(in crate::web) struct OfDelivery<W> {
    pub(in crate::web) id: DeliveryId,
    pub(in crate::web) visitor: Visitor,
    pub(in crate::web) granted: Option<Granted>,
    wanted: PhantomData<W>,
}

impl<W: Wanted> Guard for OfDelivery<W> {
    const NEED: Need = Need::Delivery(W::RIGHT);
}

impl<W: Wanted> FromRequestParts<Web> for OfDelivery<W> {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Refused> {
        let visitor = known(parts, web, Right::Maintain).await?;
        let id = id(parts, web).await;
        delivery(web, visitor, id, W::RIGHT).await.map_err(Refused::new(parts))
    }
}

async fn delivery<W>(
    web: &Web,
    visitor: Visitor,
    id: Option<DeliveryId>,
    right: Right,
) -> Result<OfDelivery<W>, Failure> {
    let id = id.ok_or(Failure::Missing)?;
    let mut tx = web.engine.store.read().await?;
    let found = tx.delivery_shown(id, 0).await?.ok_or(Failure::Missing)?.summary;
    let repository = match &found.repository {
        Some(name) => tx.repository_named(found.forge, name).await?,
        None => None,
    };
    drop(tx);
    let Some(repository) = repository else {
        visitor.administers(web)?;
        return Ok(OfDelivery { id, visitor, granted: None, wanted: PhantomData });
    };
    let is_ours = found.event == rerun::EVENT || start::EVENTS.contains(&found.event.as_str());
    let needed = if is_ours && right == Right::See { Right::Run } else { Right::Maintain };
    match visitor.with(web, repository, needed).await {
        Ok(granted) => Ok(OfDelivery { id, visitor, granted: Some(granted), wanted: PhantomData }),
        // whoever may see the repository need not know what was delivered of it
        Err(Failure::Forbidden(_)) if matches!(visitor.who, Who::Nobody) => Err(Failure::Missing),
        Err(failure) => Err(failure),
    }
}

async fn id<T: FromStr>(parts: &mut Parts, web: &Web) -> Option<T> {
    let params = RawPathParams::from_request_parts(parts, web).await.ok()?;
    params.iter().find(|(name, _)| *name == "id").and_then(|(_, id)| id.parse().ok())
}
