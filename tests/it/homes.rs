//! The namespaces that tenants have on a cluster: whose, by what name, and with what in them.

use containerops::{
    executor::{
        Isolation, Placement, Tenant,
        kubernetes::{Home, KubernetesSettings, NamespacePer, Untrusted, home},
    },
    model::{ForgeKind, Quota, QuotaScope},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::pod;

fn settings(per: NamespacePer) -> KubernetesSettings {
    let untrusted = Some(Box::new(Untrusted::new("containerops-untrusted")));
    KubernetesSettings { per, untrusted, ..pod::settings() }
}

fn placement(forge: ForgeKind, repository: &str, isolation: Isolation) -> Placement {
    let tenant = Tenant { forge, ..pod::tenant(repository) };
    Placement { tenant, isolation, ..pod::placement() }
}

fn of(per: NamespacePer, forge: ForgeKind, repository: &str, isolation: Isolation) -> Home {
    home(&placement(forge, repository, isolation), &settings(per)).expect("a namespace of its own")
}

fn object<'a>(home: &'a Home, kind: &str) -> &'a Value {
    home.objects.iter().find(|object| object["kind"] == kind).unwrap_or_else(|| panic!("a {kind}"))
}

#[test]
fn each_organisation_or_repository_has_its_own_and_untrusted_code_another() {
    use ForgeKind::{Github, Gitlab};
    let name = |per, forge, repository, isolation| of(per, forge, repository, isolation).name;
    let (org, repo) = (NamespacePer::Organisation, NamespacePer::Repository);
    let acme = name(org, Github, "acme/shop", Isolation::Usual);
    assert!(acme.starts_with("containerops-acme-"), "{acme}");
    assert_eq!(acme, name(org, Github, "acme/other", Isolation::Usual));
    assert_ne!(acme, name(org, Gitlab, "acme/shop", Isolation::Usual), "another forge's");
    assert_eq!(
        name(org, Gitlab, "acme/web/shop", Isolation::Usual),
        name(org, Gitlab, "acme/tools", Isolation::Usual),
        "of nested groups the outermost"
    );
    let shop = name(repo, Github, "acme/shop", Isolation::Usual);
    assert!(shop.starts_with("containerops-acme-shop-"), "{shop}");
    assert_ne!(shop, name(repo, Github, "acme-shop/x", Isolation::Usual));
    // names that look alike for who has only letters, digits and dashes
    assert_ne!(name(org, Github, "a.b/x", Isolation::Usual), name(org, Github, "a-b/x", Isolation::Usual));
    let strangers = name(repo, Github, "acme/shop", Isolation::Strict);
    assert!(strangers.starts_with("containerops-untrusted-acme-shop-"), "{strangers}");
    let one = settings(NamespacePer::Server);
    assert_eq!(home(&placement(Github, "acme/shop", Isolation::Usual), &one), None);
}

proptest! {
    #[test]
    fn whatever_a_repository_is_called_its_namespace_has_a_legal_name(
        owner in "[A-Za-z0-9_.-]{1,100}", repository in "[A-Za-z0-9_.-]{1,100}",
    ) {
        let whole = format!("{owner}/{repository}");
        prop_assume!(whole.parse::<containerops::model::RepositoryName>().is_ok());
        for isolation in [Isolation::Usual, Isolation::Strict] {
            let name = of(NamespacePer::Repository, ForgeKind::Gitea, &whole, isolation).name;
            prop_assert!(name.len() <= 63, "{}", name);
            prop_assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{}", name);
            prop_assert!(name.starts_with("containerops-") && !name.ends_with('-'), "{}", name);
        }
    }
}

#[test]
fn what_stands_in_it_bounds_its_pods() {
    let shop = of(NamespacePer::Repository, ForgeKind::Github, "acme/shop", Isolation::Usual);
    let labels = &object(&shop, "Namespace")["metadata"]["labels"];
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "baseline");
    assert_eq!(
        (&labels["app.kubernetes.io/managed-by"], &labels["containerops.io/jobs"]),
        (&json!("containerops"), &json!("true"))
    );
    assert_eq!(object(&shop, "Namespace")["metadata"]["annotations"]["containerops.io/tenant"], "acme/shop on github");
    let hard = &object(&shop, "ResourceQuota")["spec"]["hard"];
    assert_eq!(*hard, json!({ "services": "0", "persistentvolumeclaims": "0" }), "nobody has limited it");
    let range = &object(&shop, "LimitRange")["spec"]["limits"][0];
    assert_eq!(range["default"], json!({ "cpu": "4", "memory": "4Gi" }));
    assert_eq!(range["defaultRequest"], json!({ "cpu": "100m", "memory": "128Mi" }));
    let policy = &object(&shop, "NetworkPolicy")["spec"];
    assert_eq!(*policy, json!({ "podSelector": {}, "policyTypes": ["Ingress"] }), "nothing comes in");
    for object in shop.objects.iter().filter(|object| object["kind"] != "Namespace") {
        assert_eq!(object["metadata"]["namespace"], json!(shop.name), "{object}");
    }
    let privileged = KubernetesSettings { privileged: true, ..settings(NamespacePer::Repository) };
    let level = |isolation| {
        let home = home(&placement(ForgeKind::Github, "acme/shop", isolation), &privileged).expect("a namespace");
        object(&home, "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"].clone()
    };
    assert_eq!((level(Isolation::Usual), level(Isolation::Strict)), (json!("privileged"), json!("baseline")));
}

#[test]
fn a_namespace_of_untrusted_code_has_what_the_manifest_has() {
    let strangers = of(NamespacePer::Organisation, ForgeKind::Github, "acme/shop", Isolation::Strict);
    assert_eq!(object(&strangers, "Namespace")["metadata"]["labels"]["containerops.io/trust"], "untrusted");
    let policy = serde_json::from_value(object(&strangers, "NetworkPolicy").clone()).expect("a NetworkPolicy");
    crate::isolation::keeps_apart(&policy);
    assert_eq!(object(&strangers, "ResourceQuota")["spec"]["hard"]["pods"], "20");
    assert_eq!(object(&strangers, "LimitRange")["spec"]["limits"][0]["max"]["memory"], "8Gi");
    let kinds: Vec<_> = strangers.objects.iter().filter_map(|object| object["kind"].as_str()).collect();
    assert_eq!(kinds, ["Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange"], "and no right of ours");
}

#[test]
fn the_narrowest_quota_bounds_it_twice_as_wide_for_pods_that_are_ending() {
    let name = |text: &str| text.parse().expect("a name");
    let limited = |actions, cpu, memory| Quota { actions, cpu, memory, ..Quota::default() };
    let quotas = [
        (QuotaScope::Server, limited(Some(50), Some(64_000), None)),
        (QuotaScope::Owner(ForgeKind::Github, name("acme")), limited(Some(10), None, Some(8 << 30))),
        (QuotaScope::Repository(ForgeKind::Github, name("acme/shop")), limited(None, Some(1_500), Some(16 << 30))),
    ];
    let hard = |per, isolation| {
        let mut placement = placement(ForgeKind::Github, "acme/shop", isolation);
        placement.tenant.quotas = quotas.iter().cloned().collect();
        let home = home(&placement, &settings(per)).expect("a namespace");
        let hard = object(&home, "ResourceQuota")["spec"]["hard"].clone();
        ["pods", "requests.cpu", "requests.memory"].map(|name| hard[name].as_str().unwrap_or("-").to_owned())
    };
    assert_eq!(hard(NamespacePer::Repository, Isolation::Usual), ["20", "3", "16Gi"]);
    assert_eq!(hard(NamespacePer::Organisation, Isolation::Usual), ["20", "128", "16Gi"], "without its repositories'");
    assert_eq!(hard(NamespacePer::Organisation, Isolation::Strict), ["20", "128", "16Gi"]);
}
