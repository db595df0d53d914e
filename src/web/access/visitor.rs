//! Whoever asks: what is known of them, and what they may do.

use axum::{
    extract::OriginalUri,
    http::{HeaderMap, Method, header, request::Parts},
};

use super::{Mode, cookie_value, roles::Away, session_cookie, source::source};
use crate::{
    engine::{Engine, hash},
    model::{Deed, ForgeKind, GitReaders, Login, PersonId, Proof, Right, Role, Scope, Scopes},
    store::RepositoryRow,
    web::{
        Web,
        pages::{Failure, Route, same_site},
    },
};

/// A token's use is written down as often as this.
const USE_NOTED: std::time::Duration = std::time::Duration::from_secs(60);

tokio::task_local! {
    /// Who looks at the page that is being made: its head shows them, whatever page it is.
    pub(in crate::web) static FACE: Face;
}

/// What the head of a page shows of whoever looks at it.
#[derive(Debug, Clone, Default)]
pub(in crate::web) struct Face {
    /// Who has signed in.
    pub(in crate::web) name: Option<String>,
    /// Whether there is where to sign in.
    pub(in crate::web) sign_in: bool,
    /// Whether deliveries and audit log may have something for them.
    pub(in crate::web) keeps: bool,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(in crate::web) enum Who {
    /// Nobody has said.
    Nobody,
    /// This server asks nobody.
    Anyone,
    /// Someone who has signed in.
    Person { id: PersonId, login: Login },
    /// A program with a token; of somebody, or of the server itself.
    Token { name: String, scopes: Scopes, owner: Option<Login> },
}

/// Whoever asks, and from where.
#[derive(Debug, Clone)]
pub(in crate::web) struct Visitor {
    pub(in crate::web) who: Who,
    /// The address, in words.
    pub(in crate::web) from: String,
    /// `page` or `API`.
    way: &'static str,
}

/// A repository, for someone who may do with it what they want to.
#[derive(Debug, Clone)]
pub(in crate::web) struct Granted {
    pub(in crate::web) visitor: Visitor,
    pub(in crate::web) repository: RepositoryRow,
    /// What else they may do; `Err`: nobody can say just now.
    role: Result<Option<Role>, Away>,
}

/// Someone who is about to change something: the engine that writes it down with the change, and the deed.
pub(in crate::web) struct Acting {
    pub(in crate::web) engine: Engine,
    deed: Deed,
}

impl Visitor {
    /// Whoever sent this request.
    pub(in crate::web) async fn of(web: &Web, parts: &Parts) -> Result<Self, Failure> {
        let way = if is_api(parts) { "API" } else { "page" };
        let from =
            source(parts, &web.access.settings.limits.proxies).map_or_else(String::new, |source| source.to_string());
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        if !reads {
            same_site(&parts.headers, &web.engine.settings.public_url)?;
        }
        let who = who(web, &parts.headers, &from, reads).await?;
        Ok(Self { who, from, way })
    }

    /// Who has signed in, or whose token it is.
    pub(in crate::web) fn login(&self) -> Option<&Login> {
        match &self.who {
            Who::Person { login, .. } => Some(login),
            Who::Token { owner, .. } => owner.as_ref(),
            Who::Nobody | Who::Anyone => None,
        }
    }

    /// Whether all repositories and the server are theirs.
    pub(in crate::web) fn is_admin(&self, web: &Web) -> bool {
        match &self.who {
            Who::Nobody => false,
            Who::Anyone => true,
            Who::Person { login, .. } => is_admin(web, login),
            Who::Token { owner, .. } => owner.as_ref().is_none_or(|login| is_admin(web, login)),
        }
    }

    /// Lets administrators of the server pass.
    pub(in crate::web) fn administers(&self, web: &Web) -> Result<(), Failure> {
        if !self.is_admin(web) {
            return Err(Failure::Missing);
        }
        self.has(Scope::Admin)
    }

    /// What the head of a page shows of them.
    pub(in crate::web) fn face(&self, web: &Web) -> Face {
        let name = self.login().map(|login| login.name.clone());
        let sign_in = name.is_none() && !web.access.settings.forges.is_empty();
        Face { sign_in, keeps: name.is_some() || self.is_admin(web), name }
    }

    /// The repository at a route, if they may do this with it.
    pub(in crate::web) async fn at(&self, web: &Web, route: &Route, right: Right) -> Result<Granted, Failure> {
        let found = web.engine.store.read().await?.repository_named(route.forge, &route.repository).await?;
        self.with(web, found.ok_or(Failure::Missing)?, right).await
    }

    /// A repository, if they may do this with it. What they may not see is not there.
    pub(in crate::web) async fn with(
        &self,
        web: &Web,
        repository: RepositoryRow,
        right: Right,
    ) -> Result<Granted, Failure> {
        let role = self.role(web, &repository).await;
        if !self.sees(web, &repository, role) {
            return Err(Failure::Missing);
        }
        let granted = Granted { visitor: self.clone(), repository, role };
        granted.allows(right)?;
        Ok(granted)
    }

    /// Whether they may do this with a repository, for lists.
    pub(in crate::web) async fn may(&self, web: &Web, repository: &RepositoryRow, right: Right) -> bool {
        self.with(web, repository.clone(), right).await.is_ok()
    }

    async fn role(&self, web: &Web, repository: &RepositoryRow) -> Result<Option<Role>, Away> {
        if self.is_admin(web) {
            return Ok(Some(Role::Owner));
        }
        match self.login() {
            Some(login) if login.forge == repository.forge => {
                web.access.roles.role(&web.engine, repository, login).await
            }
            Some(_) | None => Ok(None),
        }
    }

    fn sees(&self, web: &Web, repository: &RepositoryRow, role: Result<Option<Role>, Away>) -> bool {
        let is_public = match (repository.forge, web.access.settings.git_readers) {
            (ForgeKind::Git, GitReaders::Everyone) => true,
            (ForgeKind::Git, GitReaders::SignedIn) => self.login().is_some(),
            (ForgeKind::Git, GitReaders::Admins) => false,
            (ForgeKind::Github | ForgeKind::Gitlab | ForgeKind::Gitea, _) => {
                repository.facts.visibility == crate::model::Visibility::Public
            }
        };
        is_public || role.is_ok_and(|role| role.is_some())
    }

    /// Refuses a token that was not made for this.
    fn has(&self, scope: Scope) -> Result<(), Failure> {
        match &self.who {
            Who::Token { scopes, name, .. } if !scopes.has(scope) => {
                Err(Failure::Forbidden(format!("the token `{name}` was made for `{scopes}`, and this needs `{scope}`")))
            }
            Who::Token { .. } | Who::Nobody | Who::Anyone | Who::Person { .. } => Ok(()),
        }
    }

    /// Who they are, for the audit log.
    pub(in crate::web) fn name(&self) -> String {
        match (&self.who, self.login()) {
            (_, Some(login)) => login.to_string(),
            (Who::Nobody | Who::Anyone | Who::Person { .. }, None) => "someone".to_owned(),
            (Who::Token { .. }, None) => "the server".to_owned(),
        }
    }

    /// What they are about to do with the server.
    pub(in crate::web) fn does(&self, web: &Web, what: &'static str, target: String) -> Acting {
        let way = match &self.who {
            Who::Token { name, .. } => format!("token `{name}`"),
            Who::Nobody | Who::Anyone | Who::Person { .. } => self.way.to_owned(),
        };
        let deed = Deed { who: self.name(), way, from: self.from.clone(), what, repository: None, target };
        Acting { engine: web.engine.doing(deed.clone()), deed }
    }
}

impl Granted {
    /// Whether they may do this as well.
    pub(in crate::web) fn may(&self, right: Right) -> bool {
        self.allows(right).is_ok()
    }

    /// Whether they may do this as well; if not, in words.
    pub(in crate::web) fn allows(&self, right: Right) -> Result<(), Failure> {
        if right == Right::See {
            return Ok(());
        }
        if matches!(self.visitor.who, Who::Nobody) {
            return Err(Failure::Forbidden("only who has signed in may do this".to_owned()));
        }
        self.visitor.has(right.scope())?;
        // whoever sees it may answer if the question is theirs
        if right == Right::Approve { Ok(()) } else { self.ranks(right) }
    }

    /// Whether their forge lets them do this, whatever their token was made for; if not, in words.
    pub(in crate::web) fn ranks(&self, right: Right) -> Result<(), Failure> {
        match self.role {
            Ok(role) if role >= Some(right.least()) => Ok(()),
            Ok(_) => Err(Failure::Forbidden(right.refusal().to_owned())),
            Err(Away(forge)) => Err(Failure::Unknown(forge)),
        }
    }

    /// Who they are, as a run keeps and shows it.
    pub(in crate::web) fn by(&self) -> String {
        let name = match (&self.visitor.who, self.visitor.login()) {
            (Who::Anyone | Who::Nobody, _) if self.visitor.way == "API" => return "a call of the API".to_owned(),
            (Who::Anyone | Who::Nobody, _) => return "someone on the run's page".to_owned(),
            (_, login) => login.map(|login| self.called(login)),
        };
        match (&self.visitor.who, name) {
            (Who::Token { name: token, .. }, Some(name)) => format!("{name} (by the token `{token}`)"),
            (Who::Token { name: token, .. }, None) => format!("the token `{token}`"),
            (_, name) => name.unwrap_or_default(),
        }
    }

    /// Their name, if their forge vouches for it, and what it lets them do; `None`: this server asks nobody.
    pub(in crate::web) fn proof(&self) -> Option<(String, Proof)> {
        match (&self.visitor.who, self.visitor.login()) {
            (Who::Anyone | Who::Nobody, _) => None,
            (_, Some(login)) => Some((self.called(login), Proof::Forge(self.role.unwrap_or(None)))),
            (Who::Token { name, .. }, None) => Some((format!("the token `{name}`"), Proof::Forge(Some(Role::Owner)))),
            (Who::Person { .. }, None) => None,
        }
    }

    /// Someone's name among the people of this repository: those of another forge have its name before theirs, so that
    /// nobody is taken for somebody else.
    fn called(&self, login: &Login) -> String {
        if login.forge == self.repository.forge { login.name.clone() } else { login.to_string() }
    }

    /// What they are about to do.
    pub(in crate::web) fn does(&self, web: &Web, what: &'static str, target: String) -> Acting {
        let Acting { deed, .. } = self.visitor.does(web, what, target);
        let deed = Deed { repository: Some(self.repository.id), ..deed };
        Acting { engine: web.engine.doing(deed.clone()), deed }
    }
}

impl Acting {
    /// Says who it is, where the request itself has proved that.
    pub(in crate::web) fn is(&mut self, who: String) {
        self.deed.who = who;
        self.engine = self.engine.doing(self.deed.clone());
    }

    /// What came of it. That it was refused is written down, too.
    pub(in crate::web) async fn came_to<T, E: Into<Failure>>(&self, result: Result<T, E>) -> Result<T, Failure> {
        let failure = match result {
            Ok(value) => return Ok(value),
            Err(error) => error.into(),
        };
        if !matches!(failure, Failure::Ours(_)) {
            let mut tx = self.engine.store.write().await?;
            tx.note(&self.deed, &format!("refused: {failure}"), self.engine.clock.now()).await?;
            tx.commit().await?;
        }
        Err(failure)
    }
}

/// Whether a program asks; its path may have lost its beginning where it is routed.
pub(super) fn is_api(parts: &Parts) -> bool {
    let whole = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri);
    whole.path().starts_with("/api/")
}

fn is_admin(web: &Web, login: &Login) -> bool {
    web.access.settings.admins.iter().any(|admin| admin.is(login))
}

async fn who(web: &Web, headers: &HeaderMap, from: &str, reads: bool) -> Result<Who, Failure> {
    if web.access.settings.mode == Mode::Open {
        return if is_ours(web, headers) { Ok(Who::Anyone) } else { Err(Failure::CrossSite) };
    }
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let text =
            value.to_str().ok().and_then(|value| value.strip_prefix("Bearer ").or(value.strip_prefix("bearer ")));
        return by_token(web, text.map(str::trim), from).await;
    }
    let secure = web.is_secure();
    let Some(session) = cookie_value(headers, session_cookie(secure)) else { return Ok(Who::Nobody) };
    // browsers say where a form comes from; who does not is none
    if !reads && !headers.contains_key(header::ORIGIN) && !headers.contains_key("sec-fetch-site") {
        return Err(Failure::CrossSite);
    }
    let person = web.engine.store.read().await?.session(&hash(session), web.engine.clock.now()).await?;
    Ok(person.map_or(Who::Nobody, |person| Who::Person { id: person.id, login: person.login() }))
}

async fn by_token(web: &Web, token: Option<&str>, from: &str) -> Result<Who, Failure> {
    let (now, failures) = (web.engine.clock.now(), &web.access.failures);
    if failures.is_over(from, now) {
        return Err(Failure::TooMany);
    }
    let found = match token {
        Some(token) => web.engine.store.read().await?.token(&hash(token), now).await?,
        None => None,
    };
    let Some(row) = found else {
        failures.counts(from, now);
        return Err(Failure::Token);
    };
    if row.used.is_none_or(|used| now.since(used) >= USE_NOTED) {
        let mut tx = web.engine.store.write().await?;
        tx.token_used(row.id, from, now).await?;
        tx.commit().await?;
    }
    let owner = row.owner();
    Ok(Who::Token { name: row.name, scopes: row.scopes.0, owner })
}

/// Whether a request to a server that asks nobody is meant for it: a name that somebody else has given to this machine's
/// address would let their pages read ours.
fn is_ours(web: &Web, headers: &HeaderMap) -> bool {
    if !web.access.settings.alone {
        return true;
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let ip = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    name == "localhost" || ip.is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}
