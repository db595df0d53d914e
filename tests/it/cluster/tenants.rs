//! Organisations that share a cluster: their namespaces, and what bounds these.

use std::collections::BTreeMap;

use containerops::{
    executor::{
        Executor as _,
        kubernetes::{Kubernetes, KubernetesSettings, NamespacePer, examine, home},
    },
    model::{ActionState, AttemptId, Clock, Conclusion, ForgeKind, Quota, QuotaScope},
};
use k8s_openapi::api::{
    core::v1::{LimitRange, Namespace, Pod, ResourceQuota, Secret},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::harness::{cluster::Cluster, server::Server, story::Story};

#[tokio::test]
async fn the_doctor_says_what_is_missing_of_the_rights_to_make_namespaces() {
    let Some(cluster) = Cluster::get("rights").await else { return };
    let said = async |kubeconfig: std::path::PathBuf| {
        let settings = KubernetesSettings {
            per: NamespacePer::Organisation,
            kubeconfig: Some(kubeconfig),
            ..KubernetesSettings::new(&cluster.namespace, "registry.example/agent:1")
        };
        let (findings, _) = examine(&settings).await;
        findings
            .into_iter()
            .map(|finding| format!("{:?} {}: {}", finding.health, finding.message, finding.advice))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let all = said(cluster.kubeconfig.clone()).await;
    assert!(all.contains("Ok we may do all that we do in every namespace"), "{all}");
    assert!(all.contains("namespaces, which we make as they are needed"), "{all}");
    // the same as somebody who may do nothing
    let folder = tempfile::tempdir().expect("a folder");
    let text = std::fs::read_to_string(&cluster.kubeconfig).expect("a kubeconfig");
    let mut nobody: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
    nobody["users"][0]["user"]["as"] = json!("system:serviceaccount:default:nobody");
    let file = folder.path().join("nobody");
    std::fs::write(&file, nobody.to_string()).expect("ours");
    let none = said(file).await;
    assert!(none.contains("in every namespace we may not create pods"), "{none}");
    assert!(
        none.contains("patch networkpolicies.networking.k8s.io") && none.contains("deploy/components/tenants"),
        "{none}"
    );
}

/// The namespaces that a test's server has made.
struct Homes {
    client: Client,
    prefix: String,
}

impl Homes {
    /// Has the server make namespaces, whose names begin with that of the test's own.
    async fn of(server: &mut Server<Cluster>, per: &str, more: &str) -> Self {
        server.set_up(&format!("kubernetes_namespace_per = \"{per}\"\n{more}")).await;
        Self { client: server.cluster.client(), prefix: server.cluster.namespace.clone() }
    }

    async fn names(&self) -> Vec<String> {
        let ours = ListParams::default().labels("containerops.io/jobs");
        let all = Api::<Namespace>::all(self.client.clone()).list(&ours).await.expect("a list");
        all.iter().map(ResourceExt::name_any).filter(|name| name.starts_with(&self.prefix)).collect()
    }

    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The names of our pods and Secrets in a namespace.
    async fn left(&self, namespace: &str) -> Vec<String> {
        let ours = ListParams::default().labels("containerops.io/attempt");
        let pods = self.api::<Pod>(namespace).list(&ours).await.expect("a list");
        let secrets = self.api::<Secret>(namespace).list(&ours).await.expect("a list");
        pods.iter().map(ResourceExt::name_any).chain(secrets.iter().map(ResourceExt::name_any)).collect()
    }

    async fn go(&self) {
        for name in self.names().await {
            let gone = Api::<Namespace>::all(self.client.clone()).delete(&name, &DeleteParams::default()).await;
            gone.expect("it can be deleted");
        }
    }
}

async fn limit(server: &Server<Cluster>, actions: i64) {
    let quota = Quota { actions: Some(actions), cpu: Some(2_000), memory: Some(1 << 30), ..Quota::default() };
    let acme = QuotaScope::Owner(ForgeKind::Git, "acme".parse().expect("a name"));
    server.app().engine.set_quota(&acme, &quota, "root").await.expect("the database is there");
}

fn runs(story: &Story) -> bool {
    story.actions.iter().all(|action| action.row.state.0 == ActionState::Running)
}

// what the test itself changes in the database must be over while git blocks its thread
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organisations_pods_are_in_a_namespace_that_was_made_for_it_and_its_quota_bounds_it() {
    let Some(mut server) = Server::start("homes").await else { return };
    let homes = Homes::of(&mut server, "organisation", "").await;
    limit(&server, 3).await;
    let run = server.push("stages: [{name: go, image: busybox, run: \"echo begun; exec sleep 600\"}]\n").await;
    server.until("it runs", run, |story| runs(story) && story.has_lines("go/go/go", 1)).await;
    let names = homes.names().await;
    let [home] = &names[..] else { panic!("one namespace: {names:?}") };
    assert!(home.starts_with(&format!("{}-acme-", homes.prefix)), "{home}");
    assert_eq!(homes.left(home).await.len(), 2, "its pod and the pod's Secret");
    assert_eq!(server.cluster.left().await, [""; 0], "nothing is where all was before");
    let quota = homes.api::<ResourceQuota>(home).get("containerops").await.expect("it is there");
    let hard: BTreeMap<_, _> = quota.spec.and_then(|spec| spec.hard).expect("limits").into_iter().collect();
    let of = |name: &str| hard.get(name).map(|quantity| quantity.0.clone());
    assert_eq!(
        (of("pods"), of("requests.cpu"), of("requests.memory")),
        (Some("6".into()), Some("4".into()), Some("2Gi".into()))
    );
    homes.api::<LimitRange>(home).get("containerops").await.expect("it is there");
    homes.api::<NetworkPolicy>(home).get("containerops").await.expect("it is there");

    // whoever comes after us finds the pod, and what was changed by others is as it was again
    server.kill().await;
    let loose = json!({"spec": {"hard": {"pods": "1000"}}});
    let quotas = homes.api::<ResourceQuota>(home);
    quotas.patch("containerops", &PatchParams::default(), &Patch::Merge(&loose)).await.expect("it can be changed");
    server.resume().await;
    server.app().engine.cancel(run, "ada").await.expect("it can be cancelled");
    let story = server.end(run).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Cancelled), "{}", story.told());
    assert_eq!(server.text(&story, "go/go/go").await, "begun\ncancelled by ada\n");
    server.until_no_attempt_is_left().await;
    limit(&server, 4).await;
    let story = server.end(server.push("stages: [{name: go, image: busybox, run: echo again}]\n").await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
    let pods = quotas.get("containerops").await.expect("it is there").spec.and_then(|spec| spec.hard).expect("limits");
    assert_eq!(pods["pods"].0, "8");
    server.until_no_attempt_is_left().await;
    assert_eq!(homes.left(home).await, [""; 0]);
    homes.go().await;
}

#[tokio::test]
async fn where_images_are_privileged_the_cluster_is_told_that_pods_of_trusted_code_may_be() {
    let Some(mut server) = Server::start("priv").await else { return };
    let homes =
        Homes::of(&mut server, "repository", "privileged_images = \"acme/shop=docker.io/library/busybox\"\n").await;
    let flow = "stages: [{name: go, image: docker.io/library/busybox, run: \"mkdir -p /m; mount -t tmpfs none /m\"}]\n";
    let story = server.end(server.push(flow).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
    let home = &homes.names().await[0];
    let namespace = Api::<Namespace>::all(homes.client.clone()).get(home).await.expect("it is there");
    assert_eq!(namespace.labels()["pod-security.kubernetes.io/enforce"], "privileged");
    homes.go().await;
}

#[tokio::test]
async fn runs_that_are_under_way_when_namespaces_are_made_are_found_where_they_are() {
    let Some(mut server) = Server::start("moved").await else { return };
    let run = server.push("stages: [{name: go, image: busybox, run: \"sleep 3; echo done\"}]\n").await;
    server.until("it runs", run, runs).await;
    let homes = Homes::of(&mut server, "repository", "").await;
    let story = server.end(run).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
    server.until_nothing_is_left().await;
    assert_eq!(homes.names().await, [""; 0], "it needed none");
}

#[tokio::test]
async fn an_attempt_that_was_placed_before_there_were_namespaces_is_not_placed_again() {
    let Some(cluster) = Cluster::get("twice").await else { return };
    let mut placement = crate::pod::placement();
    placement.attempt = AttemptId::mint(Clock::System.now());
    let before = cluster.executor().await;
    before.start(&placement).await.expect("it is placed");
    let settings = KubernetesSettings {
        per: NamespacePer::Repository,
        kubeconfig: Some(cluster.kubeconfig.clone()),
        ..KubernetesSettings::new(&cluster.namespace, &cluster.agent_image)
    };
    let home = home(&placement, &settings).expect("a namespace").name;
    let after = Kubernetes::connect(settings).await.expect("the kubeconfig can be read");
    after.start(&placement).await.expect("it is placed already");
    let everywhere = Api::<Pod>::all(cluster.client());
    let ours = ListParams::default().labels(&format!("containerops.io/attempt={}", placement.attempt));
    let found = everywhere.list(&ours).await.expect("a list").items;
    let places: Vec<_> = found.iter().filter_map(ResourceExt::namespace).collect();
    assert_eq!(places, std::slice::from_ref(&cluster.namespace));
    after.remove(placement.attempt).await.expect("it is removed");
    let _ = Api::<Namespace>::all(cluster.client()).delete(&home, &DeleteParams::default()).await;
}

#[tokio::test]
async fn a_namespace_of_somebody_elses_is_left_alone() {
    let Some(mut server) = Server::start("taken").await else { return };
    let homes = Homes::of(&mut server, "repository", "").await;
    let story = server.end(server.push("stages: [{name: go, image: busybox, run: \"true\"}]\n").await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
    let names = homes.names().await;
    let namespaces = Api::<Namespace>::all(homes.client.clone());
    let theirs = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "somebody"}}});
    namespaces.patch(&names[0], &PatchParams::default(), &Patch::Merge(&theirs)).await.expect("it can be changed");
    // who starts anew does not know that it was ours
    server.kill().await;
    server.resume().await;
    let story = server.end(server.push("# again\nstages: [{name: go, image: busybox, run: \"true\"}]\n").await).await;
    let reason = format!("refused: a namespace {} is there already, and ContainerOps has not made it", names[0]);
    assert_eq!(story.action("go/go").row.reason, reason);
    namespaces.delete(&names[0], &DeleteParams::default()).await.expect("it can be deleted");
}
