//! The Kubernetes executor on a real cluster, with the real agent: what it places, sees and leaves.

use std::time::Duration;

use containerops::{
    executor::{
        Container, Executor, Hopeless, Isolation, Observation, Outside, Placement, Why, kubernetes::Kubernetes,
        registry::RegistryKeys,
    },
    model::{AttemptId, Clock, Infrastructure, JobId, Resources, RunId},
};
use k8s_openapi::api::{core::v1::Pod, networking::v1::NetworkPolicy};
use kube::api::{DeleteParams, ListParams, PostParams};

use crate::{harness::cluster::Cluster, isolation::policy};

/// The longest that anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
const BUSYBOX: &str = "docker.io/library/busybox:latest";

/// An attempt whose jobs run these scripts in these images.
fn attempt(cluster: &Cluster, jobs: &[(&str, &str)]) -> Placement {
    let now = Clock::System.now();
    let container = |(place, (image, script)): (usize, &(&str, &str))| {
        let (job, token) = (JobId::mint(now), format!("token-{}", JobId::mint(now)));
        cluster.agents.give(&token, job, script);
        let name = format!("job-{place}");
        Container {
            service: None,
            job,
            name,
            image: (*image).to_owned(),
            resources: Resources::default(),
            privileged: false,
            token: token.into(),
        }
    };
    Placement {
        isolation: Isolation::Usual,
        runtime: None,
        node: Default::default(),
        attempt: AttemptId::mint(now),
        run: RunId::mint(now),
        tenant: crate::pod::tenant("acme/shop"),
        keys: RegistryKeys::default(),
        flow: "build & test".to_owned(),
        action: "check.unit".to_owned(),
        containers: jobs.iter().enumerate().map(container).collect(),
        deadline: Duration::from_secs(300),
        agent_url: cluster.agents.url(),
    }
}

/// Observes until it is as expected, as the engine does: woken by changes, with a timer.
async fn until(executor: &Kubernetes, attempt: AttemptId, expected: impl Fn(&Observation) -> bool) -> Observation {
    let mut last = None;
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            let seen = executor.observe(attempt).await.expect("the cluster answers");
            if expected(&seen) {
                return seen;
            }
            last = Some(seen);
            let _ = tokio::time::timeout(Duration::from_secs(1), executor.changed()).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("not seen in {PATIENCE:?}; last: {last:?}"))
}

fn ended(seen: &Observation) -> bool {
    matches!(seen, Observation::Ended { .. })
}

/// Waits until nothing of any attempt is left.
async fn until_nothing_is_left(cluster: &Cluster, executor: &Kubernetes) {
    let gone = tokio::time::timeout(PATIENCE, async {
        while !cluster.left().await.is_empty() {
            let _ = tokio::time::timeout(Duration::from_millis(200), executor.changed()).await;
        }
    });
    gone.await.expect("nothing is left");
}

async fn only_pod(cluster: &Cluster) -> Pod {
    let pods = cluster.pods().list(&ListParams::default()).await.expect("a list of pods");
    assert_eq!(pods.items.len(), 1, "one pod for one attempt");
    pods.items.into_iter().next().expect("one pod")
}

#[tokio::test]
async fn an_attempt_runs_and_ends_with_its_jobs_exit_code() {
    let Some(cluster) = Cluster::get("exit").await else { return };
    let executor = cluster.executor().await;
    let placement =
        attempt(&cluster, &[(BUSYBOX, "while ! test -e go; do sleep 0.1; done; exit 3"), (BUSYBOX, "touch go")]);
    executor.start(&placement).await.expect("it is placed");
    let seen = until(&executor, placement.attempt, ended).await;
    let Observation::Ended { containers, outside } = seen else { unreachable!() };
    assert_eq!(outside, None);
    assert_eq!(containers.iter().map(|end| end.exit_code).collect::<Vec<_>>(), [Some(3), Some(0)]);
    for (container, end) in placement.containers.iter().zip(&containers) {
        let told = cluster.agents.end(container.job).expect("the agent told its end");
        let record = end.end_record.as_deref().expect("the termination message has the end record");
        assert_eq!(serde_json::from_str::<containerops::agent::protocol::EndRecord>(record).expect("a record"), told);
    }
}

#[tokio::test]
async fn what_is_started_twice_is_one_pod_and_another_process_sees_it() {
    let Some(cluster) = Cluster::get("twice").await else { return };
    let (executor, other) = (cluster.executor().await, cluster.executor().await);
    let placement = attempt(&cluster, &[(BUSYBOX, "sleep 600")]);
    executor.start(&placement).await.expect("it is placed");
    other.start(&placement).await.expect("it is placed already");
    until(&other, placement.attempt, |seen| *seen == Observation::Running).await;
    only_pod(&cluster).await;
    assert_eq!(other.attempts().await.expect("the attempts"), [placement.attempt]);
    other.remove(placement.attempt).await.expect("it is removed");
    until_nothing_is_left(&cluster, &executor).await;
    executor.remove(placement.attempt).await.expect("removing nothing is a success");
    until(&executor, placement.attempt, |seen| *seen == Observation::Absent).await;
    assert_eq!(executor.attempts().await.expect("the attempts"), []);
}

#[tokio::test]
async fn a_pod_holds_no_text_of_the_flow_and_its_tokens_go_with_it() {
    let Some(cluster) = Cluster::get("text").await else { return };
    let executor = cluster.executor().await;
    let placement = attempt(&cluster, &[(BUSYBOX, "echo unmistakable"), (BUSYBOX, "echo unmistakable")]);
    executor.start(&placement).await.expect("it is placed");
    let pod = only_pod(&cluster).await;
    let text = serde_json::to_string(&pod).expect("a pod is JSON");
    for word in ["unmistakable", "token-0", "\"env\"", "\"envFrom\""] {
        assert!(!text.contains(word), "{word} is in the pod: {text}");
    }
    let spec = pod.spec.expect("a spec");
    let volumes = spec.volumes.expect("volumes");
    assert!(volumes.iter().all(|volume| volume.projected.is_none()), "no service account's token is mounted");
    let secrets =
        cluster.secrets().list(&ListParams::default().labels("containerops.io/attempt")).await.expect("Secrets");
    let owners: Vec<_> =
        secrets.iter().flat_map(|secret| secret.metadata.owner_references.clone().unwrap_or_default()).collect();
    assert_eq!(owners.iter().map(|owner| Some(&owner.uid)).collect::<Vec<_>>(), [pod.metadata.uid.as_ref()]);
    until(&executor, placement.attempt, ended).await;
}

#[tokio::test]
async fn an_image_that_does_not_exist_is_hopeless() {
    let Some(cluster) = Cluster::get("image").await else { return };
    let executor = cluster.executor().await;
    let image = "127.0.0.1:5000/no/such:image";
    let placement = attempt(&cluster, &[(image, "true")]);
    executor.start(&placement).await.expect("it is placed");
    let seen =
        until(&executor, placement.attempt, |seen| matches!(seen, Observation::Waiting { hopeless: Some(_), .. }))
            .await;
    let Observation::Waiting { hopeless: Some(Hopeless { job, why }), .. } = seen else { panic!("{seen:?}") };
    assert_eq!(job, Some(placement.containers[0].job));
    let Why::ImageNotFound { image: named, message } = why else { panic!("{why:?}") };
    assert_eq!(named, image);
    assert!(message.contains("not found"), "{message}");
}

#[tokio::test]
async fn a_pod_that_fits_nowhere_waits_with_the_schedulers_words() {
    let Some(cluster) = Cluster::get("large").await else { return };
    let executor = cluster.executor().await;
    let mut placement = attempt(&cluster, &[(BUSYBOX, "true")]);
    placement.containers[0].resources.cpu = Some("1000".to_owned());
    executor.start(&placement).await.expect("it is placed");
    let said = |seen: &Observation| matches!(seen, Observation::Waiting { message, .. } if !message.is_empty());
    let seen = until(&executor, placement.attempt, said).await;
    let Observation::Waiting { message, hopeless: None } = seen else { panic!("{seen:?}") };
    assert!(message.contains("Insufficient cpu"), "{message}");
    executor.remove(placement.attempt).await.expect("it is removed");
    until_nothing_is_left(&cluster, &executor).await;
}

#[tokio::test]
async fn a_pod_that_someone_deletes_is_seen_as_deleted() {
    let Some(cluster) = Cluster::get("deleted").await else { return };
    let executor = cluster.executor().await;
    let placement = attempt(&cluster, &[(BUSYBOX, "sleep 600")]);
    executor.start(&placement).await.expect("it is placed");
    until(&executor, placement.attempt, |seen| *seen == Observation::Running).await;
    let name = only_pod(&cluster).await.metadata.name.expect("a name");
    cluster.pods().delete(&name, &DeleteParams::default()).await.expect("someone deletes it");
    let seen = until(&executor, placement.attempt, ended).await;
    let Observation::Ended { outside: Some(Outside::Infrastructure(Infrastructure::Deleted, _)), .. } = seen else {
        panic!("{seen:?}")
    };
    executor.remove(placement.attempt).await.expect("it is removed");
    until_nothing_is_left(&cluster, &executor).await;
}

#[tokio::test]
async fn a_missing_namespace_is_waited_for_and_the_message_says_what_to_do() {
    let Some(cluster) = Cluster::get("nowhere").await else { return };
    let executor = cluster.executor_in("co-test-no-such-namespace").await;
    let error = executor.start(&attempt(&cluster, &[(BUSYBOX, "true")])).await.expect_err("there is no namespace");
    let error = error.to_string();
    assert!(error.contains("away") && error.contains("kubectl create namespace co-test-no-such-namespace"), "{error}");
}

#[tokio::test]
async fn a_pod_that_the_cluster_finds_invalid_is_refused() {
    let Some(cluster) = Cluster::get("invalid").await else { return };
    let executor = cluster.executor().await;
    let mut placement = attempt(&cluster, &[(BUSYBOX, "true")]);
    placement.containers[0].name = "No Such Name".to_owned();
    let error = executor.start(&placement).await.expect_err("a container's name is lower-case").to_string();
    assert!(error.contains("refused") && error.contains("No Such Name"), "{error}");
    until_nothing_is_left(&cluster, &executor).await;
}

#[tokio::test]
async fn untrusted_code_runs_in_a_namespace_of_its_own_without_any_capability() {
    let Some(cluster) = Cluster::get("trusted").await else { return };
    let Some(other) = Cluster::get("strangers").await else { return };
    let policies = other.api::<NetworkPolicy>();
    let policy = policy(&other.namespace);
    let kept = policies.create(&PostParams::default(), &policy).await.expect("the cluster takes the policy");
    let rules = |policy: NetworkPolicy| policy.spec.map(|spec| (spec.egress, spec.policy_types));
    assert_eq!(rules(kept), rules(policy), "all of it");
    let executor = cluster.executor_beside(&other.namespace).await;

    let script = "grep -q 'CapBnd:.0000000000000000' /proc/self/status && touch /workspace/x && \
                  test ! -e /var/run/secrets/kubernetes.io && exit 3";
    let strict = Placement { isolation: Isolation::Strict, ..attempt(&cluster, &[(BUSYBOX, script)]) };
    let usual = attempt(&cluster, &[(BUSYBOX, "exit 4")]);
    for placement in [&strict, &usual] {
        executor.start(placement).await.expect("it is placed");
        executor.start(placement).await.expect("it is placed already");
    }
    for (placement, place, code) in [(&strict, &other, 3), (&usual, &cluster, 4)] {
        assert!(only_pod(place).await.metadata.name.is_some_and(|name| name.ends_with(&placement.attempt.to_string())));
        let Observation::Ended { containers, .. } = until(&executor, placement.attempt, ended).await else {
            unreachable!()
        };
        assert_eq!(containers[0].exit_code, Some(code));
    }
    let both: std::collections::BTreeSet<AttemptId> = executor.attempts().await.expect("both").into_iter().collect();
    assert_eq!(both, [strict.attempt, usual.attempt].into());
    for placement in [&strict, &usual] {
        executor.remove(placement.attempt).await.expect("it goes");
    }
    until_nothing_is_left(&cluster, &executor).await;
    until_nothing_is_left(&other, &executor).await;

    // where the namespace is not there, nothing but untrusted code suffers
    let lonely = cluster.executor_beside("co-test-nowhere").await;
    let usual = attempt(&cluster, &[(BUSYBOX, "exit 5")]);
    lonely.start(&usual).await.expect("it is placed");
    let Observation::Ended { .. } = until(&lonely, usual.attempt, ended).await else { unreachable!() };
    assert_eq!(lonely.attempts().await.expect("they are known"), [usual.attempt]);
    let refused = lonely.start(&strict).await.expect_err("there is no such namespace");
    assert!(refused.to_string().contains("kubectl create namespace co-test-nowhere"), "{refused}");
    lonely.remove(usual.attempt).await.expect("it goes");
}
