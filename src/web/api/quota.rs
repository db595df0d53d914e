//! `/quotas`: what organisations and repositories may use, and do.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Answer, Problem,
    asked::{Asked, Cursor, Limit, List, Page, Sent, part},
    schema::At,
};
use crate::{
    engine::QuotaUse,
    model::{ForgeKind, Quota, QuotaScope, QuotaValue, RepositoryName, Right, cpu_text, memory_text},
    web::{
        Web,
        access::Known,
        mistake::Mistake,
        pages::{Place, Route},
    },
};

/// Which quotas, and which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// All that one repository counts for, for who may see it: its forge, with `repository`.
    forge: Option<ForgeKind>,
    /// Its name there, with `forge`.
    repository: Option<RepositoryName>,
    /// The `next` of an earlier answer: what follows it.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<String>>,
    /// At most as many.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 100)]
    limit: Limit,
}

/// Whose quota: one of `repository` and `owner`, with `forge`; without them everything that the server runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// The forge.
    forge: Option<ForgeKind>,
    /// A repository.
    repository: Option<RepositoryName>,
    /// An owner, an organisation, or a group and those below it.
    owner: Option<RepositoryName>,
}

/// What may be used, and is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuotaPage)]
pub(super) struct Quotas {
    /// The month that minutes are of, UTC.
    #[schema(example = "November 2026")]
    month: String,
    quotas: Vec<Line>,
    /// The `cursor` of what follows; `null`: nothing does.
    #[schema(required = true)]
    next: Option<String>,
}

/// What somebody may use, and does.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quota)]
pub(super) struct Line {
    /// `server` (everything), `owner` or `repository`.
    #[schema(example = "owner")]
    level: &'static str,
    #[schema(required = true)]
    forge: Option<ForgeKind>,
    /// The owner's or the repository's name.
    #[schema(required = true)]
    name: Option<RepositoryName>,
    limits: Limits,
    uses: Uses,
    /// Actions that wait for their turn.
    waiting: i64,
    /// When the limits were set last.
    #[schema(required = true)]
    changed: Option<At>,
    /// By whom.
    #[schema(required = true)]
    changed_by: Option<String>,
}

/// What may be used; what is `null` is not limited.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = QuotaLimits)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"actions": 20, "cpu": "16", "memory": "32Gi", "minutes": 10000}))]
pub(super) struct Limits {
    /// Actions that run at once.
    #[schema(minimum = 0, maximum = 4_294_967_295_i64)]
    actions: Option<i64>,
    /// CPU that running actions ask for together.
    #[schema(example = "2500m")]
    cpu: Option<String>,
    /// Memory that running actions ask for together.
    #[schema(example = "8Gi")]
    memory: Option<String>,
    /// Artifacts, caches and logs that are kept.
    #[schema(example = "100Gi")]
    storage: Option<String>,
    /// Minutes of jobs in a calendar month, UTC.
    #[schema(minimum = 0, maximum = 4_294_967_295_i64)]
    minutes: Option<i64>,
    /// The weight among those beside it; 10 if it is not set.
    #[schema(minimum = 1, maximum = 1000)]
    priority: Option<i64>,
}

/// What is used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuotaUses)]
struct Uses {
    /// Actions that run now.
    actions: i64,
    /// CPU that they ask for.
    #[schema(example = "2500m")]
    cpu: String,
    /// Memory that they ask for.
    #[schema(example = "8Gi")]
    memory: String,
    /// Artifacts, caches and logs that are kept, in bytes; logs are counted every ten minutes. `null`: nobody's are limited.
    #[schema(required = true)]
    storage_bytes: Option<i64>,
    /// Minutes of jobs in this month.
    minutes: i64,
}

impl List for Quotas {
    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// What organisations and repositories may use, and do.
///
/// All of it is for administrators; what one repository counts for is for who may see it.
#[utoipa::path(get, path = "/quotas", tag = "server", operation_id = "listQuotas", params(ListQuery), responses((status = 200, description = "A page of quotas", body = Quotas)))]
pub(super) async fn list(
    Known(visitor): Known,
    State(web): State<Web>,
    Asked(query): Asked<ListQuery>,
) -> Result<Page<Quotas>, Problem> {
    let ListQuery { forge, repository, cursor, limit } = query;
    let scopes = match (forge, repository) {
        (Some(forge), Some(repository)) => {
            let route = Route { forge, repository: repository.clone(), place: Place::Runs };
            visitor.at(&web, &route, Right::See).await?;
            Some(QuotaScope::around(forge, &repository))
        }
        (Some(_), None) => return Err(Mistake::of_query("repository", "goes with `forge`").into()),
        (None, Some(_)) => return Err(Mistake::of_query("forge", "goes with `repository`").into()),
        (None, None) => {
            visitor.administers(&web)?;
            None
        }
    };
    let (month, mut all) = web.engine.quota_uses(&mut web.engine.store.read().await?).await?;
    all.retain(|known| scopes.as_ref().is_none_or(|scopes| scopes.contains(&known.scope)));
    let (all, next) = part(all, cursor.map(|cursor| cursor.0).as_ref(), limit, |known| key(&known.scope));
    Ok(Page(Quotas { month: month.to_string(), quotas: all.into_iter().map(Line::of).collect(), next }))
}

/// Sets what somebody may use: all limits anew.
///
/// Those who wait are asked again at once. Without any limit the quota is taken away.
#[utoipa::path(put, path = "/quotas", tag = "server", operation_id = "setQuota", params(Whose), request_body(content = Limits), responses((status = 200, description = "What may be used now", body = Limits)))]
pub(super) async fn set(
    Known(visitor): Known,
    State(web): State<Web>,
    Asked(whose): Asked<Whose>,
    sent: Sent,
) -> Answer<Limits> {
    visitor.administers(&web)?;
    let scope = whose.scope()?;
    let limits: Limits = sent.json(r#"`{"actions": 20, "cpu": "16", "memory": "32Gi", …}`"#)?;
    let quota = limits.quota()?;
    let acting = visitor.does(&web, "set a quota", scope.to_string());
    acting.came_to(acting.engine.set_quota(&scope, &quota, &visitor.name()).await).await?;
    Ok(Json(Limits::of(&quota)))
}

/// Takes a quota away.
#[utoipa::path(delete, path = "/quotas", tag = "server", operation_id = "removeQuota", params(Whose), responses((status = 200, description = "Nothing is limited any more", body = Limits)))]
pub(super) async fn remove(
    Known(visitor): Known,
    State(web): State<Web>,
    Asked(whose): Asked<Whose>,
) -> Answer<Limits> {
    visitor.administers(&web)?;
    let scope = whose.scope()?;
    let acting = visitor.does(&web, "remove a quota", scope.to_string());
    acting.came_to(acting.engine.set_quota(&scope, &Quota::default(), &visitor.name()).await).await?;
    Ok(Json(Limits::default()))
}

impl Whose {
    fn scope(self) -> Result<QuotaScope, Mistake> {
        match (self.forge, self.owner, self.repository) {
            (None, None, None) => Ok(QuotaScope::Server),
            (Some(forge), Some(owner), None) => Ok(QuotaScope::Owner(forge, owner)),
            (Some(forge), None, Some(name)) => Ok(QuotaScope::Repository(forge, name)),
            (None, _, _) => Err(Mistake::of_query("forge", "goes with `owner` and with `repository`")),
            (Some(_), _, _) => {
                Err(Mistake::of_query("owner", "with `forge` one of `owner` and `repository` is expected"))
            }
        }
    }
}

fn key(scope: &QuotaScope) -> String {
    let forge = scope.forge().map_or("", ForgeKind::as_str);
    format!("{forge}/{}/{}", scope.name().map_or("", RepositoryName::as_str), scope.level())
}

impl Limits {
    fn of(quota: &Quota) -> Self {
        Self {
            actions: quota.actions,
            cpu: quota.cpu.map(cpu_text),
            memory: quota.memory.map(memory_text),
            storage: quota.storage.map(memory_text),
            minutes: quota.minutes,
            priority: quota.priority,
        }
    }

    fn quota(&self) -> Result<Quota, Mistake> {
        let Self { actions, cpu, memory, storage, minutes, priority } = self;
        let number = |value: &Option<i64>| value.map(|value| value.to_string());
        let texts = [
            ("actions", number(actions)),
            ("cpu", cpu.clone()),
            ("memory", memory.clone()),
            ("storage", storage.clone()),
            ("minutes", number(minutes)),
            ("priority", number(priority)),
        ];
        let mut quota = Quota::default();
        for (name, text) in texts.into_iter().filter_map(|(name, text)| Some((name, text?))) {
            let wrong = |error: crate::model::NameError| Mistake::of_body(name.to_owned(), error.to_string());
            quota.set(name, Some(QuotaValue::read(name, &text).map_err(wrong)?));
        }
        Ok(quota)
    }
}

impl Line {
    fn of(known: QuotaUse) -> Self {
        let QuotaUse { scope, quota, set, uses, minutes, stored, waiting } = known;
        let (changed, changed_by) = set.map_or((None, None), |(at, by)| (Some(At(at)), Some(by)));
        Self {
            level: scope.level(),
            forge: scope.forge(),
            name: scope.name().cloned(),
            limits: Limits::of(&quota),
            uses: Uses {
                actions: uses.actions,
                cpu: cpu_text(uses.cpu),
                memory: memory_text(uses.memory),
                storage_bytes: stored,
                minutes,
            },
            waiting,
            changed,
            changed_by,
        }
    }
}
