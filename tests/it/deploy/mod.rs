//! `deploy/` as an operator applies it, with an image made from this build, and pushes through it.

mod deployment;
mod replicated;
mod settings;

use std::{path::Path, process::Command, time::Instant};

use serde_json::Value;
use tempfile::TempDir;

use self::deployment::{Deployment, NAMESPACE, PATIENCE, copy_folder, printed};
use crate::harness::kubeconfig;

/// What pushes, inside of the service's pod: the way that deploy/ offers for trying it out.
const PUSH: &str = r#"
set -e
containerops git init /data/git/acme/shop.git --url http://127.0.0.1:8080 --root /data/git
git init --quiet --initial-branch=main /tmp/ada
cd /tmp/ada
printf 'stages:\n  - {name: test, image: busybox, run: echo from the cluster}\n' > .containerops.yml
git add --all
git -c user.name=Ada -c user.email=ada@example.org commit --quiet --message=Begin
git push --quiet /data/git/acme/shop.git main
"#;

#[test]
fn what_is_in_deploy_takes_a_push_to_a_green_run() {
    let settings = [
        ("CONTAINEROPS_PUBLIC_URL", "https://ci.example".to_owned()),
        // nobody signs in
        ("CONTAINEROPS_GIT_READERS", "everyone".to_owned()),
    ];
    let Some(deployment) = Deployment::apply("kubernetes", &[("containerops-settings", &settings)]) else { return };
    deployment.rolls_out();
    deployment.exec(PUSH);
    let run = deployment.run(|run| run["status"]["state"] == "ended");
    assert_eq!(run["status"]["conclusion"], "success", "{run:#}");
    let log = deployment.get(&format!("{}/test/test/test/log.txt", run["url"].as_str().expect("a URL")));
    assert_eq!(log, "from the cluster\n");
    let notes = deployment.exec("cd /data/git/acme/shop.git; git log --notes=containerops main");
    assert!(notes.contains("success  containerops/ci/push"), "{notes}");
    deployment.is_seen_from_outside();
    deployment.has_no_right_too_many();
    deployment.is_denied_what_it_does_not_need();
}

/// The objects that an overlay makes.
fn objects(of: &str) -> Vec<Value> {
    let made = Command::new("kubectl").args(["kustomize", of]).output().expect("kubectl is installed");
    let text = printed(of, &made);
    let documents = serde_yaml::Deserializer::from_str(&text);
    documents.map(|document| serde::Deserialize::deserialize(document).expect("YAML")).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

#[test]
fn every_overlay_is_as_strict_as_the_other_and_the_replicated_one_goes_on_while_it_changes() {
    if kubeconfig().is_none() {
        return;
    }
    for of in ["deploy/kubernetes", "deploy/overlays/single", "deploy/overlays/replicated"] {
        let objects = objects(of);
        for kind in ["ClusterRole", "ClusterRoleBinding", "Secret"] {
            assert!(of_kind(&objects, kind).is_empty(), "{of} has a {kind}");
        }
        let [deployment] = of_kind(&objects, "Deployment")[..] else { panic!("{of}: one deployment") };
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{of}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{of}");
        for container in pod["containers"].as_array().expect("containers") {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true, "{of}");
            assert_eq!(context["allowPrivilegeEscalation"], false, "{of}");
            assert_eq!(context["capabilities"]["drop"][0], "ALL", "{of}");
            for (probe, path) in
                [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
            {
                assert_eq!(container[probe]["httpGet"]["path"], path, "{of}: {probe}");
            }
        }
        assert!(of_kind(&objects, "NetworkPolicy").len() >= 3, "{of}");
        let (claims, budgets) = (of_kind(&objects, "PersistentVolumeClaim"), of_kind(&objects, "PodDisruptionBudget"));
        let spec = &deployment["spec"];
        if of.ends_with("replicated") {
            assert!(claims.is_empty(), "no process has another's data");
            assert!(spec["replicas"].as_u64() > budgets[0]["spec"]["minAvailable"].as_u64(), "one may go at a time");
            assert_eq!(budgets[0]["spec"]["selector"], spec["selector"]);
            assert_eq!(spec["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
        } else {
            assert_eq!((claims.len(), budgets.len(), &spec["replicas"]), (1, 0, &1.into()), "{of}");
            assert_eq!(spec["strategy"]["type"], "Recreate", "{of}");
        }
    }
}

#[test]
fn namespaces_of_tenants_take_rights_that_nothing_else_takes() {
    if kubeconfig().is_none() {
        return;
    }
    let folder = TempDir::new().expect("a directory for tests can be made");
    let deploy = folder.path().join("deploy");
    copy_folder(Path::new("deploy"), &deploy);
    let with = |components: &str| {
        let overlay = deploy.join("overlays/tried");
        std::fs::create_dir_all(&overlay).expect("ours");
        let text = format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../replicated]\n\
             components: [{components}]\n"
        );
        std::fs::write(overlay.join("kustomization.yaml"), text).expect("ours");
        objects(&overlay.display().to_string())
    };
    let objects = with("../../components/tenants");
    let [role] = of_kind(&objects, "ClusterRole")[..] else { panic!("one role") };
    let rules = role["rules"].as_array().expect("rules");
    let may = |kind: &str| {
        let rule = rules.iter().find(|rule| rule["resources"].as_array().is_some_and(|of| of.contains(&kind.into())));
        rule.map_or_else(String::new, |rule| rule["verbs"].to_string())
    };
    assert_eq!(may("namespaces"), r#"["get","list","create","patch"]"#);
    assert_eq!(may("secrets"), r#"["create","delete"]"#, "it reads none");
    for kind in ["pods/exec", "roles", "rolebindings", "serviceaccounts", "nodes", "configmaps", "*"] {
        assert_eq!(may(kind), "", "{kind}");
    }
    let policies = of_kind(&objects, "NetworkPolicy");
    let of_service = policies.iter().find(|policy| policy["metadata"]["name"] == "containerops").expect("ours");
    let spec = of_service["spec"].to_string();
    assert!(spec.contains(r#""containerops.io/jobs":"true""#) && spec.contains("9090"), "{spec}");
    let level = |components: &str| {
        let all = with(components);
        let namespaces = of_kind(&all, "Namespace");
        let of = |name: &str| namespaces.iter().find(|one| one["metadata"]["name"] == name).copied().expect("there");
        let label = |name: &str| of(name)["metadata"]["labels"]["pod-security.kubernetes.io/enforce"].clone();
        (label("containerops"), label("containerops-untrusted"))
    };
    assert_eq!(level("../../components/privileged"), ("privileged".into(), "baseline".into()));
    assert_eq!(level("../../components/tenants"), ("baseline".into(), "baseline".into()));
}

#[test]
fn a_service_that_makes_its_tenants_namespaces_takes_a_push_to_a_green_run() {
    let settings = [
        ("CONTAINEROPS_PUBLIC_URL", "https://ci.example".to_owned()),
        ("CONTAINEROPS_GIT_READERS", "everyone".to_owned()),
    ];
    let secrets: [(&str, &[_]); 1] = [("containerops-settings", &settings)];
    let Some(deployment) = Deployment::apply_with("overlays/single", &["components/tenants"], &secrets) else { return };
    deployment.rolls_out();
    deployment.exec(PUSH);
    let run = deployment.run(|run| run["status"]["state"] == "ended");
    assert_eq!(run["status"]["conclusion"], "success", "{run:#}");
    let ours = ["get", "namespaces", "-l", "containerops.io/jobs", "-o", "name"];
    let names = deployment.kubectl(&ours);
    let home = names.lines().find_map(|name| name.strip_prefix("namespace/containerops-acme-")).expect("one was made");
    let home = format!("containerops-acme-{home}");
    let bounds = deployment.kubectl(&["-n", &home, "get", "resourcequota,limitrange,networkpolicy", "-o", "name"]);
    assert_eq!(bounds.lines().count(), 3, "{bounds}");
    // what it may not, wherever it is tried
    let account = format!("--as=system:serviceaccount:{NAMESPACE}:containerops");
    let tries: [&[&str]; 6] = [
        &["delete", "namespace", &home],
        &["-n", &home, "get", "secrets"],
        &["-n", &home, "create", "rolebinding", "more", "--clusterrole=cluster-admin", "--user=somebody"],
        &["-n", &home, "create", "serviceaccount", "more"],
        &["-n", "kube-system", "get", "configmaps"],
        &["get", "nodes"],
    ];
    for words in tries {
        let tried = deployment.command(&[&[account.as_str()], words].concat()).output().expect("kubectl is installed");
        let said = String::from_utf8_lossy(&tried.stderr);
        assert!(!tried.status.success() && said.to_lowercase().contains("forbidden"), "{words:?}: {said}");
    }
    deployment.kubectl(&["delete", "namespace", &home, "--wait=false"]);
    for kind in ["clusterrole", "clusterrolebinding"] {
        deployment.kubectl(&["delete", kind, "containerops-tenants"]);
    }
}

impl Deployment {
    /// What the service account may do besides what it has just done.
    fn has_no_right_too_many(&self) {
        let account = format!("--as=system:serviceaccount:{NAMESPACE}:containerops");
        let may = |words: &[&str]| {
            let words = [&["auth", "can-i", "--quiet", &account], words].concat();
            self.command(&words).status().expect("kubectl is installed").success()
        };
        assert!(may(&["create", "pods", "-n", NAMESPACE]), "the question is asked well");
        let secrets: [&[&str]; 3] = [&["get", "secrets"], &["list", "secrets"], &["watch", "secrets"]];
        let pods: [&[&str]; 3] =
            [&["create", "pods", "--subresource=exec"], &["update", "pods"], &["deletecollection", "pods"]];
        for words in secrets.into_iter().chain(pods) {
            assert!(!may(&[words, &["-n", NAMESPACE]].concat()), "{words:?}");
        }
        for words in [["list", "pods"], ["create", "pods"], ["watch", "pods"], ["create", "secrets"]] {
            assert!(!may(&[words.as_slice(), &["-n", "default"]].concat()), "{words:?} elsewhere");
        }
    }

    /// Probes and numbers are answered at the address for those who watch it, and at no other; the image has nothing that
    /// is not needed, and nothing of it can be changed.
    fn is_seen_from_outside(&self) {
        let ready = self.ask(9090, "/readyz").expect("it is ready");
        assert_eq!(ready, "ready\ndatabase: ok\nblobs: ok\nloops: ok\nexecutor: ok\n");
        // where its time went is counted when nothing is left of the attempt
        let (begun, phase) =
            (Instant::now(), "containerops_attempt_phase_seconds_count{executor=\"kubernetes\",phase=\"run\"} 1");
        let numbers = loop {
            let numbers = self.ask(9090, "/metrics").expect("numbers");
            if numbers.contains(phase) {
                break numbers;
            }
            assert!(begun.elapsed() < PATIENCE, "{numbers}");
        };
        assert!(numbers.contains("containerops_run_ends_total{conclusion=\"success\"} 1"), "{numbers}");
        for port in [8080, 8081] {
            let refused = self.ask(port, "/metrics").expect_err("it is for nobody");
            assert!(refused.contains("NotFound"), "port {port}: {refused}");
        }
        let denied = self.exec("(: > /nothing) 2>&1; cat /etc/passwd 2>&1; apt-get --version 2>&1; true");
        assert!(denied.contains("Read-only file system"), "{denied}");
        assert!(denied.contains("cat: not found") && denied.contains("apt-get: not found"), "{denied}");
        let user = self.exec("while read -r what user _; do [ $what != Uid: ] || echo $user; done < /proc/self/status");
        assert_eq!(user, "10001\n");
    }

    /// Tries what the service account must not do, as that account.
    fn is_denied_what_it_does_not_need(&self) {
        let account = format!("--as=system:serviceaccount:{NAMESPACE}:containerops");
        let pods = self.pods();
        let pod = pods[0].as_str();
        let tries: [&[&str]; 10] = [
            &["-n", NAMESPACE, "get", "secret", "containerops-settings"],
            &["-n", NAMESPACE, "get", "configmaps"],
            &["-n", NAMESPACE, "exec", pod, "--", "true"],
            &["-n", NAMESPACE, "create", "token", "default"],
            &["-n", NAMESPACE, "scale", "deployment/containerops", "--replicas=2"],
            &["-n", NAMESPACE, "create", "role", "more", "--verb=get", "--resource=secrets"],
            &["-n", NAMESPACE, "create", "rolebinding", "more", "--clusterrole=cluster-admin", "--user=somebody"],
            &["-n", "kube-system", "get", "pods"],
            &["get", "nodes"],
            &["get", "namespaces"],
        ];
        for words in tries {
            let tried = self.command(&[&[account.as_str()], words].concat()).output().expect("kubectl is installed");
            let said = String::from_utf8_lossy(&tried.stderr);
            assert!(!tried.status.success() && said.to_lowercase().contains("forbidden"), "{words:?}: {said}");
        }
    }
}
