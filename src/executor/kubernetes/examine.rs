//! Looks at a cluster as whoever we are there: whether it answers, and whether we may do what we do.

use std::net::{IpAddr, Ipv4Addr};

use futures::future::join_all;
use http::{Request, header};
use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    core::v1::{Namespace, Pod, ResourceQuota},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
    client::Body,
};

use super::{CALL_MAX, KubernetesSettings, NamespacePer, access, home, label, policy::lets_reach};
use crate::model::{Finding, Health};

const ABOUT: &str = "cluster";
/// All that we do: what the manifests' role allows.
const NEEDED: [(&str, &str); 8] = [
    ("pods", "create"),
    ("pods", "get"),
    ("pods", "list"),
    ("pods", "watch"),
    ("pods", "patch"),
    ("pods", "delete"),
    ("secrets", "create"),
    ("secrets", "delete"),
];

/// What we do besides, in all namespaces, where each tenant has one.
const NEEDED_FOR_HOMES: [(&str, &str); 12] = [
    ("events", "list"),
    ("events", "watch"),
    ("namespaces", "get"),
    ("namespaces", "list"),
    ("namespaces", "create"),
    ("namespaces", "patch"),
    ("resourcequotas", "create"),
    ("resourcequotas", "patch"),
    ("limitranges", "create"),
    ("limitranges", "patch"),
    ("networkpolicies.networking.k8s.io", "create"),
    ("networkpolicies.networking.k8s.io", "patch"),
];

/// What untrusted code is to be kept from, each by one address of it.
const PROBES: [(&str, IpAddr); 4] = [
    ("a cloud's metadata", IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254))),
    ("private addresses", IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))),
    ("private addresses", IpAddr::V4(Ipv4Addr::new(172, 16, 0, 1))),
    ("private addresses", IpAddr::V4(Ipv4Addr::new(192, 168, 0, 1))),
];

/// What is to be said of the cluster. The other is what its clock showed, in seconds since 1970, if it answered.
pub async fn examine(settings: &KubernetesSettings) -> (Vec<Finding>, Option<i64>) {
    let config = access(settings).await;
    let server = config.as_ref().ok().and_then(|config| config.cluster_url.host()?.parse().ok());
    let client = match config.map(Client::try_from) {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return (vec![away(&error.to_string())], None),
        Err(message) => return (vec![away(&message)], None),
    };
    let (version, time) = match within(version(&client)).await {
        Ok(answer) => answer,
        Err(message) => return (vec![away(&message)], None),
    };
    let mut findings = vec![Finding::ok(ABOUT, format!("it answers, and is Kubernetes {version}"))];
    findings.extend(match settings.per {
        NamespacePer::Server => of_namespaces(&client, settings, server).await,
        NamespacePer::Organisation | NamespacePer::Repository => of_homes(&client).await,
    });
    findings.push(image(settings));
    (findings, time)
}

/// Of the namespaces that others have made for us.
async fn of_namespaces(client: &Client, settings: &KubernetesSettings, server: Option<IpAddr>) -> Vec<Finding> {
    let (namespace, rights, quota, strangers) = futures::join!(
        namespace(client, &settings.namespace),
        rights(client, Some(&settings.namespace), &NEEDED),
        quota(client, settings),
        unlabelled(client, settings)
    );
    let mut findings: Vec<_> = namespace.into_iter().chain([rights]).chain(quota).chain(strangers).collect();
    if let Some(untrusted) = &settings.untrusted {
        findings.extend(strict(client, &untrusted.namespace, server).await);
    }
    findings
}

/// Of the namespaces that we make.
async fn of_homes(client: &Client) -> Vec<Finding> {
    let all: Vec<_> = NEEDED.iter().chain(&NEEDED_FOR_HOMES).copied().collect();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let ours = ListParams::default().labels(&home::selector());
    let (rights, found) = futures::join!(rights(client, None, &all), within(namespaces.list_metadata(&ours)));
    let counted = found.map(|found| {
        Finding::ok(ABOUT, format!("tenants have {} namespaces, which we make as they are needed", found.items.len()))
    });
    std::iter::once(rights).chain(counted).collect()
}

async fn within<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    match tokio::time::timeout(CALL_MAX, call).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it has not answered within {} s", CALL_MAX.as_secs())),
    }
}

fn away(message: &str) -> Finding {
    let advice = "check CONTAINEROPS_KUBERNETES_KUBECONFIG or the pod's service account, and the way to the API server";
    Finding::error(ABOUT, message, advice)
}

async fn version(client: &Client) -> Result<(String, Option<i64>), kube::Error> {
    let request = Request::get("/version").body(Body::empty()).map_err(kube::Error::HttpError)?;
    let response = client.send(request).await?;
    let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
    let time = date.and_then(|date| Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_second()));
    Ok((client.apiserver_version().await?.git_version, time))
}

/// Of the namespace of untrusted code. Without it such code waits, and all other runs.
async fn strict(client: &Client, name: &str, server: Option<IpAddr>) -> Vec<Finding> {
    let advice = "apply deploy/kubernetes/untrusted.yaml, or set CONTAINEROPS_KUBERNETES_UNTRUSTED_NAMESPACE";
    let soften = |finding: Finding| match finding.health {
        Health::Error => Finding::warning(ABOUT, format!("{}: untrusted code cannot run", finding.message), advice),
        Health::Ok | Health::Warning => finding,
    };
    let (namespace, rights, policies) =
        futures::join!(namespace(client, name), rights(client, Some(name), &NEEDED), policies(client, name, server));
    namespace.into_iter().chain([rights]).map(soften).chain(policies).collect()
}

/// Whether something keeps the namespace's pods from the cluster. Whether its network heeds that, nobody can ask.
async fn policies(client: &Client, name: &str, server: Option<IpAddr>) -> Option<Finding> {
    let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), name);
    let found = within(policies.list(&ListParams::default().limit(100))).await.ok()?.items;
    let of_server = server.map(|address| ("the cluster's API server", address));
    let reached = PROBES.into_iter().chain(of_server).filter(|(_, address)| lets_reach(&found, *address));
    let reached: Vec<String> = reached.map(|(what, address)| format!("{what} ({address})")).collect();
    let advice = "apply deploy/kubernetes/untrusted.yaml";
    Some(match (found.is_empty(), reached.is_empty()) {
        (true, _) => {
            let message = format!("{name} has no NetworkPolicy for what leaves it: untrusted code reaches the cluster");
            Finding::warning(ABOUT, message, advice)
        }
        (false, true) => {
            Finding::ok(ABOUT, format!("{name} has a NetworkPolicy, which the cluster's network must enforce"))
        }
        (false, false) => {
            let message = format!("{name}'s NetworkPolicies let untrusted code reach {}", reached.join(", "));
            Finding::warning(ABOUT, message, advice)
        }
    })
}

async fn namespace(client: &Client, name: &str) -> Option<Finding> {
    let found = within(Api::<Namespace>::all(client.clone()).get_opt(name)).await;
    match found {
        Ok(Some(_)) => Some(Finding::ok(ABOUT, format!("the namespace {name} is there"))),
        Ok(None) => {
            let advice = format!("`kubectl create namespace {name}`, or set CONTAINEROPS_KUBERNETES_NAMESPACE");
            Some(Finding::error(ABOUT, format!("there is no namespace {name}"), advice))
        }
        // we need not be allowed to look at namespaces, and what we may do in it is asked, too
        Err(_) => None,
    }
}

/// Whether we may do all that is needed, in this namespace or in every one.
async fn rights(client: &Client, namespace: Option<&str>, needed: &[(&str, &str)]) -> Finding {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let ask = async |&(resource, verb): &(&str, &str)| {
        let (kind, group) = resource.split_once('.').unwrap_or((resource, ""));
        let wanted = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    namespace: namespace.map(str::to_owned),
                    group: Some(group.to_owned()),
                    resource: Some(kind.to_owned()),
                    verb: Some(verb.to_owned()),
                    ..Default::default()
                }),
                ..Default::default()
            },
            ..Default::default()
        };
        let answer = within(reviews.create(&PostParams::default(), &wanted)).await?;
        let allowed = answer.status.is_some_and(|status| status.allowed);
        Ok::<_, String>((!allowed).then(|| format!("{verb} {resource}")))
    };
    let (place, role) = match namespace {
        Some(name) => (name, "kubernetes/rbac.yaml"),
        None => ("every namespace", "components/tenants"),
    };
    let answers: Result<Vec<_>, String> = join_all(needed.iter().map(ask)).await.into_iter().collect();
    match answers.map(|answers| answers.into_iter().flatten().collect::<Vec<_>>()) {
        Err(message) => away(&message),
        Ok(missing) if missing.is_empty() => Finding::ok(ABOUT, format!("we may do all that we do in {place}")),
        Ok(missing) => {
            let message = format!("in {place} we may not {}", missing.join(", "));
            Finding::error(ABOUT, message, format!("apply the role of deploy/{role}"))
        }
    }
}

/// What of the namespace's quotas is used up; nothing where we may not look.
async fn quota(client: &Client, settings: &KubernetesSettings) -> Vec<Finding> {
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), &settings.namespace);
    let found = within(quotas.list(&ListParams::default().limit(20))).await;
    let full = found.into_iter().flatten().flat_map(|quota| {
        let status = quota.status.unwrap_or_default();
        let (hard, used) = (status.hard.unwrap_or_default(), status.used.unwrap_or_default());
        let full = hard.into_iter().filter(move |(name, limit)| used.get(name) == Some(limit));
        full.map(|(name, limit)| format!("{name} ({})", limit.0)).collect::<Vec<_>>()
    });
    let warning = |what: String| {
        Finding::warning(
            ABOUT,
            format!("the quota of {what} is used up"),
            "actions wait until it is not, or it is raised",
        )
    };
    full.map(warning).collect()
}

/// Pods of earlier releases say whose they are by their rows alone.
async fn unlabelled(client: &Client, settings: &KubernetesSettings) -> Option<Finding> {
    let select = format!("{},!{}", label::selector(), label::SERVER);
    let pods: Api<Pod> = Api::namespaced(client.clone(), &settings.namespace);
    let found = within(pods.list_metadata(&ListParams::default().labels(&select).limit(100))).await.ok()?;
    let count = found.items.len();
    (count > 0).then(|| {
        let message = format!("{count} pods are of a release that did not label them with their server");
        let advice = format!(
            "those of running jobs go by themselves; see `kubectl -n {} get pods -l '{select}'`",
            settings.namespace
        );
        Finding::warning(ABOUT, message, advice)
    })
}

fn image(settings: &KubernetesSettings) -> Finding {
    let image = &settings.agent_image;
    if image.contains('/') {
        return Finding::ok(ABOUT, format!("pods get their agent from {image}"));
    }
    let advice = "set CONTAINEROPS_KUBERNETES_AGENT_IMAGE to an image of a registry that the nodes reach";
    Finding::warning(ABOUT, format!("the agent's image {image} has no registry: every node must have it"), advice)
}
