//! The namespaces that we make: whose each is, and what stands in it. Pure.
//!
//! A namespace of trusted code has a LimitRange, so that no container is without limits, a NetworkPolicy that lets
//! nothing in, and a ResourceQuota; one of untrusted code has what `deploy/kubernetes/untrusted.yaml` has, read from
//! that very file. Where the organisation or the repository has a quota of its own, the ResourceQuota is twice as wide:
//! what has just ended counts on the cluster until its pod is gone, and which action is let in we decide ourselves.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{KubernetesSettings, NamespacePer, label};
use crate::{
    executor::{Isolation, Placement},
    model::{Quota, QuotaScope, Resources, cpu_text, memory_text},
};

/// What a namespace of untrusted code has.
const UNTRUSTED: &str = include_str!("../../../deploy/kubernetes/untrusted.yaml");
/// Of the manifest's objects those that are about its pods, and not about us.
const KINDS: [&str; 3] = ["ResourceQuota", "LimitRange", "NetworkPolicy"];
/// The name of each object in a namespace of ours.
const NAME: &str = "containerops";
/// On a namespace of jobs, by which the policy of our own namespace knows it.
const JOBS: &str = "containerops.io/jobs";
/// Whose the namespace is, in full.
const TENANT: &str = "containerops.io/tenant";
/// A namespace's name is a label: 63 bytes, of which the last eleven are ours.
const NAME_MAX: usize = 63;
/// Hexadecimal digits that keep names apart which look alike.
const DIGITS: usize = 10;

/// A namespace, and what it is to have.
#[derive(Debug, Clone, PartialEq)]
pub struct Home {
    /// Its name.
    pub name: String,
    /// The namespace itself, and then all that stands in it: as a server-side apply takes them.
    pub objects: Vec<Value>,
}

/// Where an attempt goes. `None`: into the namespace that is there for all of its kind.
pub fn home(placement: &Placement, settings: &KubernetesSettings) -> Option<Home> {
    let scope = tenant(placement, settings.per)?;
    let untrusted = settings.untrusted.as_ref().map(|untrusted| untrusted.namespace.as_str());
    let prefix = match placement.isolation {
        Isolation::Usual => settings.namespace.as_str(),
        Isolation::Strict => untrusted?,
    };
    let name = name(prefix, &scope);
    let quota = narrowest(placement, &scope);
    let inside = match placement.isolation {
        Isolation::Usual => trusted(&quota, &settings.resources),
        Isolation::Strict => of_manifest(&quota),
    };
    let inside = inside.into_iter().map(|object| placed(object, &name));
    let objects = std::iter::once(namespace(&name, &scope, placement.isolation, settings)).chain(inside).collect();
    Some(Home { name, objects })
}

/// Whether a namespace is one of ours, by its labels.
pub(super) fn is_ours(labels: &BTreeMap<String, String>) -> bool {
    labels.get(label::MANAGED_BY).is_some_and(|by| by == label::OURS) && labels.contains_key(JOBS)
}

/// Which namespaces are ours.
pub(super) fn selector() -> String {
    format!("{},{JOBS}", label::selector())
}

/// Whose namespace it is: of GitLab's nested groups the outermost is the organisation.
fn tenant(placement: &Placement, per: NamespacePer) -> Option<QuotaScope> {
    let around = placement.tenant.around();
    match per {
        NamespacePer::Server => None,
        // a repository without an owner is its own
        NamespacePer::Organisation => around.into_iter().nth(1),
        NamespacePer::Repository => around.into_iter().last(),
    }
}

/// The least that this scope and all around it may use.
fn narrowest(placement: &Placement, scope: &QuotaScope) -> Quota {
    let around = placement.tenant.around();
    let wider = around.iter().take_while(|other| *other != scope).chain([scope]);
    wider.filter_map(|scope| placement.tenant.quotas.get(scope)).fold(Quota::default(), |sum, quota| Quota {
        actions: least(sum.actions, quota.actions),
        cpu: least(sum.cpu, quota.cpu),
        memory: least(sum.memory, quota.memory),
        ..sum
    })
}

fn least(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}

/// `containerops-acme-1f0c2a9be4`: for people by what stands first, and unique by what stands last.
fn name(prefix: &str, scope: &QuotaScope) -> String {
    let forge = scope.forge().map_or("", crate::model::ForgeKind::as_str);
    let whole = format!("{prefix}\n{}\n{forge}\n{}", scope.level(), scope.short());
    let digest = &hex::encode(Sha256::digest(whole))[..DIGITS];
    let legal = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let shown: String = format!("{prefix}-{}", scope.short()).chars().map(legal).take(NAME_MAX - DIGITS - 1).collect();
    format!("{}-{digest}", shown.trim_end_matches('-'))
}

fn namespace(name: &str, scope: &QuotaScope, isolation: Isolation, settings: &KubernetesSettings) -> Value {
    let level = match isolation {
        Isolation::Usual if settings.privileged => "privileged",
        Isolation::Usual | Isolation::Strict => "baseline",
    };
    let mut labels = json!({
        (label::MANAGED_BY): label::OURS,
        (label::SERVER): label::value(&settings.server),
        (JOBS): "true",
        "pod-security.kubernetes.io/enforce": level,
    });
    if isolation == Isolation::Strict {
        labels[label::TRUST] = json!("untrusted");
    }
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": name, "labels": labels, "annotations": { (TENANT): scope.to_string() } },
    })
}

/// What stands in a namespace of trusted code.
fn trusted(quota: &Quota, defaults: &Resources) -> Vec<Value> {
    // jobs have no right to make any of these; should one find a way, this stands in it
    let mut hard = json!({ "services": "0", "persistentvolumeclaims": "0" });
    limit(&mut hard, quota);
    let amounts = |cpu: &Option<String>, memory: &Option<String>| json!({ "cpu": cpu, "memory": memory });
    vec![
        json!({ "apiVersion": "v1", "kind": "ResourceQuota", "spec": { "hard": hard } }),
        json!({ "apiVersion": "v1", "kind": "LimitRange", "spec": { "limits": [{
            "type": "Container",
            "default": amounts(&defaults.cpu_limit, &defaults.memory_limit),
            "defaultRequest": amounts(&defaults.cpu, &defaults.memory),
        }] } }),
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "spec": { "podSelector": {}, "policyTypes": ["Ingress"] },
        }),
    ]
}

/// What stands in a namespace of untrusted code.
fn of_manifest(quota: &Quota) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(UNTRUSTED);
    let all = documents.filter_map(|document| <Value as serde::Deserialize>::deserialize(document).ok());
    let mut found: Vec<Value> = all.filter(|object| KINDS.iter().any(|kind| object["kind"] == **kind)).collect();
    for object in found.iter_mut().filter(|object| object["kind"] == "ResourceQuota") {
        limit(&mut object["spec"]["hard"], quota);
    }
    found
}

/// Writes into a ResourceQuota what a quota of ours says.
fn limit(hard: &mut Value, quota: &Quota) {
    let twice = |limit: Option<i64>| limit.map(|limit| limit.saturating_mul(2));
    let of = [
        ("pods", twice(quota.actions).map(|count| count.to_string())),
        ("requests.cpu", twice(quota.cpu).map(cpu_text)),
        ("requests.memory", twice(quota.memory).map(memory_text)),
    ];
    for (name, limit) in of {
        if let Some(limit) = limit {
            hard[name] = json!(limit);
        }
    }
}

/// The object as it stands in a namespace of this name.
fn placed(mut object: Value, namespace: &str) -> Value {
    object["metadata"] =
        json!({ "name": NAME, "namespace": namespace, "labels": { (label::MANAGED_BY): label::OURS } });
    object
}
