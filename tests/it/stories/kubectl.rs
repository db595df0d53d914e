//! Jobs that the server does itself, where there is no cluster to do them on: they end in words, and never green.

use super::super::harness::app::Tester;

const FLOW: &str = "stages: [{name: ship, kubectl: app.yaml, namespace: shop}]";

#[tokio::test]
async fn nobody_changes_a_namespace_that_the_administrator_has_not_allowed() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    let checks = t.checks(&sha);
    let words =
        "failure in ship/ship: not deployed: acme/widget may not change namespace `shop`: the server's administrator";
    assert!(checks.contains(words), "{checks}");
}

#[tokio::test]
async fn an_executor_without_a_cluster_refuses_by_name() {
    let t = Tester::start().await;
    t.set_up("executor = \"process\"\nkubectl_namespaces = \"github:acme/widget=shop\"\n").await;
    let sha = t.push("main", FLOW).await;
    let checks = t.checks(&sha);
    assert!(checks.contains("not deployed: kubectl jobs need the Kubernetes executor"), "{checks}");
}

#[tokio::test]
async fn what_a_manifest_url_may_not_lead_to_is_not_asked() {
    let t = Tester::start().await;
    let kubeconfig = t.data().join("kubeconfig");
    std::fs::write(&kubeconfig, KUBECONFIG).expect("it can be written");
    let settings = format!(
        "executor = \"process\"\nkubectl_namespaces = \"acme/widget=shop\"\nkubernetes_kubeconfig = \"{}\"\n",
        kubeconfig.display()
    );
    t.set_up(&settings).await;
    for (url, why) in [
        ("https://127.0.0.1/app.yaml", "it leads to a private address"),
        ("https://[::ffff:169.254.169.254]/", "it leads to a private address"),
        ("http://manifests.example/app.yaml", "it is not encrypted"),
    ] {
        let sha = t.push("main", &FLOW.replace("app.yaml", &format!("\"{url}\""))).await;
        let checks = t.checks(&sha);
        assert!(checks.contains("not deployed") && checks.contains(why), "{url}: {checks}");
    }
}

/// A cluster that nobody can reach: it is not asked before the manifest is read.
pub(super) const KUBECONFIG: &str = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "c",
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}], "users": [{"name": "u", "user": {}}],
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}"#;
