//! What keeps untrusted code from the cluster: the manifests as they are, and as a cluster takes them.

use std::net::IpAddr;

use containerops::executor::kubernetes::lets_reach;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, PostParams};
use serde_json::Value;

use crate::harness::cluster::Cluster;

/// What deploy/kubernetes has of this kind.
fn manifests(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(format!("deploy/kubernetes/{file}")).expect("the manifest");
    let documents = serde_yaml::Deserializer::from_str(&text);
    documents.map(|document| serde::Deserialize::deserialize(document).expect("YAML")).collect()
}

fn one(file: &str, kind: &str) -> Value {
    manifests(file).into_iter().find(|manifest| manifest["kind"] == kind).expect("one of this kind")
}

/// The policy, for a namespace.
pub(crate) fn policy(namespace: &str) -> NetworkPolicy {
    let mut policy: NetworkPolicy =
        serde_json::from_value(one("untrusted.yaml", "NetworkPolicy")).expect("a NetworkPolicy");
    policy.metadata.namespace = Some(namespace.to_owned());
    policy
}

/// Whom a policy lets its pods ask for besides addresses: labels of the namespace, labels of the pod, ports.
fn pods(policy: &NetworkPolicy) -> Vec<String> {
    let value = serde_json::to_value(policy).expect("JSON");
    let mut found = Vec::new();
    for rule in value["spec"]["egress"].as_array().into_iter().flatten() {
        for peer in rule["to"].as_array().into_iter().flatten().filter(|peer| peer["ipBlock"].is_null()) {
            let (of, pod) = (&peer["namespaceSelector"]["matchLabels"], &peer["podSelector"]["matchLabels"]);
            let ports = rule["ports"].as_array().into_iter().flatten();
            let ports: Vec<String> = ports.map(|port| format!("{} {}", port["protocol"], port["port"])).collect();
            found.push(format!("{of} {pod} {}", ports.join(", ")).replace('"', ""));
        }
    }
    found
}

/// What must hold of the policy, wherever it was read.
pub(crate) fn keeps_apart(policy: &NetworkPolicy) {
    let reach = |to: &str| lets_reach(std::slice::from_ref(policy), to.parse::<IpAddr>().expect(to));
    for (what, addresses) in [
        ("clouds' metadata", "169.254.169.254 169.254.170.2 fd00:ec2::254 100.100.100.200 192.0.0.192"),
        ("the cluster's pods and services", "10.244.0.17 10.96.0.1 10.42.1.1 10.43.0.10 172.17.0.1 fd00:10:96::1"),
        ("the networks around it", "192.168.1.1 172.31.255.254 10.0.0.1 100.64.0.1 fe80::1 fc00::1"),
        ("this machine and everybody at once", "127.0.0.1 0.0.0.0 ::1 224.0.0.1 255.255.255.255 ff02::1"),
        ("the same behind another notation", "::ffff:10.0.0.1 2002:a00:1::1 64:ff9b::a00:1 2001:0:a00:1::1"),
    ] {
        for address in addresses.split_whitespace() {
            assert!(!reach(address), "{what}: {address}");
        }
    }
    for address in ["1.1.1.1", "140.82.121.4", "2606:4700::1111"] {
        assert!(reach(address), "the internet: {address}");
    }
    let spec = policy.spec.as_ref().expect("a spec");
    assert_eq!(spec.policy_types.as_deref(), Some(&["Ingress".to_owned(), "Egress".to_owned()][..]));
    assert!(spec.ingress.as_ref().is_none_or(Vec::is_empty), "nothing reaches them");
    let selector = spec.pod_selector.clone().unwrap_or_default();
    assert!(selector.match_labels.is_none_or(|labels| labels.is_empty()), "it is for every pod there");
    // of the cluster: the server's pods at the agents' port, and names
    let server = "{containerops.io/server:true} {app.kubernetes.io/name:containerops} TCP 8081";
    assert_eq!(pods(policy), [server, "null {k8s-app:kube-dns} UDP 53, TCP 53"]);
}

#[test]
fn the_policy_keeps_untrusted_code_from_all_but_the_agents_port_names_and_the_internet() {
    keeps_apart(&policy("any"));
}

#[test]
fn the_manifests_give_agents_a_port_of_their_own_and_the_policy_names_it() {
    let deployment = one("deployment.yaml", "Deployment");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let value = |name: &str| {
        let all = container["env"].as_array().expect("variables");
        all.iter().find(|variable| variable["name"] == name).map(|variable| variable["value"].clone()).expect(name)
    };
    let port = |text: &Value| text.as_str().and_then(|text| text.rsplit(':').next()?.parse::<u64>().ok());
    let (people, agents) = (port(&value("CONTAINEROPS_LISTEN")), port(&value("CONTAINEROPS_AGENT_LISTEN")));
    assert_ne!(people, agents);
    let named = |name: &str| {
        let ports = container["ports"].as_array().expect("ports");
        ports.iter().find(|port| port["name"] == name).and_then(|port| port["containerPort"].as_u64())
    };
    assert_eq!((named("http"), named("agents")), (people, agents));
    let service = one("service.yaml", "Service");
    let of_service = service["spec"]["ports"].as_array().expect("ports").iter();
    let of_agents = of_service.filter(|port| port["targetPort"] == "agents").count();
    assert_eq!(of_agents, 1);
    assert!(value("CONTAINEROPS_AGENT_URL").as_str().is_some_and(|url| url.ends_with("_PORT_AGENTS)")));
    // the policy is for the pod, whose port is the container's
    let policy = one("untrusted.yaml", "NetworkPolicy");
    let server = policy["spec"]["egress"].as_array().expect("rules").iter().find(|rule| {
        rule["to"][0]["podSelector"]["matchLabels"] == deployment["spec"]["template"]["metadata"]["labels"]
    });
    let allowed: Vec<Option<u64>> = server.expect("the server's")["ports"]
        .as_array()
        .expect("ports")
        .iter()
        .map(|port| port["port"].as_u64())
        .collect();
    assert_eq!(allowed, [agents]);
    let namespace = one("namespace.yaml", "Namespace");
    assert_eq!(namespace["metadata"]["labels"]["containerops.io/server"], "true", "the policy finds it by that");
}

#[tokio::test]
async fn a_cluster_takes_the_policy_as_it_is_and_the_doctor_says_what_is_missing_of_it() {
    let Some(cluster) = Cluster::get("doctor-trusted").await else { return };
    let Some(other) = Cluster::get("doctor-strangers").await else { return };
    let said = async || {
        let settings = containerops::executor::kubernetes::KubernetesSettings {
            kubeconfig: Some(cluster.kubeconfig.clone()),
            untrusted: Some(Box::new(containerops::executor::kubernetes::Untrusted::new(&other.namespace))),
            ..containerops::executor::kubernetes::KubernetesSettings::new(&cluster.namespace, "agent")
        };
        let (findings, _) = containerops::executor::kubernetes::examine(&settings).await;
        let of_policy = findings.into_iter().filter(|finding| finding.message.contains("NetworkPolic"));
        of_policy.map(|finding| format!("{:?} {}", finding.health, finding.message)).collect::<Vec<_>>().join("; ")
    };
    let name = &other.namespace;
    let none = format!("Warning {name} has no NetworkPolicy for what leaves it: untrusted code reaches the cluster");
    assert_eq!(said().await, none);
    let policies = other.api::<NetworkPolicy>();
    // one that lets everything through is as good as none
    let mut open = policy(name);
    open.metadata.name = Some("open".to_owned());
    open.spec.as_mut().expect("a spec").egress = Some(vec![Default::default()]);
    policies.create(&PostParams::default(), &open).await.expect("the cluster takes it");
    let leaks = said().await;
    assert!(leaks.starts_with("Warning ") && leaks.contains("let untrusted code reach a cloud's metadata"), "{leaks}");
    assert!(leaks.contains("the cluster's API server ("), "{leaks}");
    policies.delete("open", &DeleteParams::default()).await.expect("it goes");
    policies.create(&PostParams::default(), &policy(name)).await.expect("the cluster takes it");
    let kept = policies.get("containerops-untrusted").await.expect("it is there");
    keeps_apart(&kept);
    assert_eq!(said().await, format!("Ok {name} has a NetworkPolicy, which the cluster's network must enforce"));
}
