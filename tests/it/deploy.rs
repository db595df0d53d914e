//! `deploy/kubernetes` as an operator applies it, with an image made from this build, and a push through it.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{cluster::shared, kubeconfig, required};

const NAMESPACE: &str = "containerops";
/// The longest that a run may take, with the first start of everything.
const PATIENCE: Duration = Duration::from_secs(90);

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

/// A disk for the volume claim: this cluster has no provisioner.
const VOLUME: &str = "
apiVersion: v1
kind: PersistentVolume
metadata: {name: containerops-test}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 20Gi}
  claimRef: {namespace: containerops, name: containerops}
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: FOLDER}
";

/// The deployment; it goes when this is dropped.
struct Deployment {
    kubeconfig: PathBuf,
    directory: TempDir,
    /// Nobody stops parts of the cluster meanwhile.
    _use: std::fs::File,
}

#[test]
fn what_is_in_deploy_takes_a_push_to_a_green_run() {
    let Some(deployment) = Deployment::apply() else { return };
    deployment.kubectl(&["-n", NAMESPACE, "rollout", "status", "deployment/containerops", "--timeout=120s"]);
    deployment.exec(PUSH);
    let run = deployment.ended_run();
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

impl Deployment {
    /// Applies it, as deploy/kubernetes/kustomization.yaml says.
    fn apply() -> Option<Self> {
        let kubeconfig = kubeconfig()?;
        let image = required("kubernetes", "CONTAINEROPS_TEST_SERVER_IMAGE")?;
        let new =
            Self { kubeconfig, directory: TempDir::new().expect("a directory for tests can be made"), _use: shared() };
        new.remove();
        let manifests = new.manifests(&image);
        let manifests = manifests.to_str().expect("a path that is text");
        new.kubectl(&["apply", "-f", &format!("{manifests}/namespace.yaml")]);
        new.kubectl(&[
            "-n",
            NAMESPACE,
            "create",
            "secret",
            "generic",
            "containerops-settings",
            "--from-literal=CONTAINEROPS_PUBLIC_URL=https://ci.example",
            // nobody signs in
            "--from-literal=CONTAINEROPS_GIT_READERS=everyone",
        ]);
        new.kubectl(&["apply", "-k", manifests]);
        Some(new)
    }

    /// A copy with the image named, and with a disk.
    fn manifests(&self, image: &str) -> PathBuf {
        let copy = self.directory.path().join("kubernetes");
        std::fs::create_dir(&copy).expect("ours");
        for file in Path::new("deploy/kubernetes").read_dir().expect("the manifests") {
            let file = file.expect("a manifest");
            std::fs::copy(file.path(), copy.join(file.file_name())).expect("ours");
        }
        let (name, tag) = image.rsplit_once(':').expect("name:tag");
        let kustomization = copy.join("kustomization.yaml");
        let text = std::fs::read_to_string(&kustomization).expect("ours");
        let text =
            text.replace("registry.example/containerops", name).replace("newTag: 0.1.0", &format!("newTag: {tag}"));
        assert!(text.contains(&format!("newName: {name}")) && text.contains(&format!("newTag: {tag}")), "{text}");
        std::fs::write(&kustomization, text.replace("  - volume.yaml", "  - volume.yaml\n  - disk.yaml"))
            .expect("ours");
        let disk = self.directory.path().join("disk");
        std::fs::create_dir(&disk).expect("ours");
        std::fs::set_permissions(&disk, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("ours");
        std::fs::set_permissions(self.directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("ours");
        let volume = VOLUME.replace("FOLDER", disk.to_str().expect("a path that is text"));
        std::fs::write(copy.join("disk.yaml"), volume).expect("ours");
        copy
    }

    /// The only run, once it has ended.
    fn ended_run(&self) -> Value {
        let begun = Instant::now();
        loop {
            let runs: Value = serde_json::from_str(&self.get("/api/v1/runs")).expect("JSON");
            let run = &runs["runs"][0];
            if run["status"]["state"] == "ended" {
                return run.clone();
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{runs:#}\n{}",
                self.kubectl(&["-n", NAMESPACE, "get", "pods", "-o", "yaml"])
            );
        }
    }

    /// A page, asked for through the Service.
    fn get(&self, path: &str) -> String {
        self.exec(&format!(
            "curl --silent --show-error --fail http://$CONTAINEROPS_SERVICE_HOST:$CONTAINEROPS_SERVICE_PORT{path}"
        ))
    }

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

    /// Probes and numbers are answered at the address for those who watch it, and at no other.
    fn is_seen_from_outside(&self) {
        let ready = self.exec("curl --silent --show-error --fail http://127.0.0.1:9090/readyz");
        assert_eq!(ready, "ready\ndatabase: ok\nblobs: ok\nloops: ok\nexecutor: ok\n");
        // where its time went is counted when nothing is left of the attempt
        let (begun, phase) =
            (Instant::now(), "containerops_attempt_phase_seconds_count{executor=\"kubernetes\",phase=\"run\"} 1");
        let numbers = loop {
            let numbers = self.exec("curl --silent --show-error --fail http://127.0.0.1:9090/metrics");
            if numbers.contains(phase) {
                break numbers;
            }
            assert!(begun.elapsed() < PATIENCE, "{numbers}");
        };
        assert!(numbers.contains("containerops_run_ends_total{conclusion=\"success\"} 1"), "{numbers}");
        for port in [8080, 8081] {
            let status = self.exec(&format!(
                "curl --silent --output /dev/null --write-out '%{{http_code}}' http://127.0.0.1:{port}/metrics"
            ));
            assert_eq!(status, "404", "port {port}");
        }
        let denied = self.exec("touch /nothing 2>&1 || id -u");
        assert!(denied.contains("Read-only file system") && denied.contains("10001"), "{denied}");
    }

    /// Tries what the service account must not do, as that account.
    fn is_denied_what_it_does_not_need(&self) {
        let account = format!("--as=system:serviceaccount:{NAMESPACE}:containerops");
        let pod =
            self.kubectl(&["-n", NAMESPACE, "get", "pods", "-l", "app.kubernetes.io/name=containerops", "-o", "name"]);
        let pod = pod.lines().next().expect("a pod");
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
            assert!(!tried.status.success() && said.contains("Forbidden"), "{words:?}: {said}");
        }
    }

    /// Runs a script in the service's pod.
    fn exec(&self, script: &str) -> String {
        let mut command = self.command(&["-n", NAMESPACE, "exec", "-i", "deployment/containerops", "--", "sh", "-s"]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().expect("kubectl is installed");
        running.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("it reads");
        printed(script, &running.wait_with_output().expect("it ends"))
    }

    fn kubectl(&self, words: &[&str]) -> String {
        printed(&words.join(" "), &self.command(words).output().expect("kubectl is installed"))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("--kubeconfig").arg(&self.kubeconfig).args(words);
        kubectl
    }

    /// Takes away all of it. The service goes first, so that it does not make new pods; our finalizer would hold those
    /// that it has made.
    fn remove(&self) {
        let tries: [&[&str]; 5] = [
            &["delete", "namespace", "containerops-untrusted", "--ignore-not-found", "--wait=false"],
            &["-n", NAMESPACE, "delete", "deployment", "--all", "--ignore-not-found"],
            &["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"],
            &[
                "-n",
                NAMESPACE,
                "wait",
                "--for=delete",
                "pod",
                "-l",
                "app.kubernetes.io/name=containerops",
                "--timeout=60s",
            ],
            &["delete", "pv", "containerops-test", "--ignore-not-found", "--wait=false"],
        ];
        for words in tries {
            let _ = self.command(words).output();
        }
        let names =
            self.command(&["-n", NAMESPACE, "get", "pods", "-o", "name"]).output().expect("kubectl is installed");
        for pod in String::from_utf8_lossy(&names.stdout).lines() {
            let release = r#"{"metadata":{"finalizers":null}}"#;
            let _ = self.command(&["-n", NAMESPACE, "patch", pod, "--type=merge", "-p", release]).output();
        }
        let _ = self.command(&["wait", "--for=delete", "namespace", NAMESPACE, "--timeout=60s"]).output();
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.command(&["-n", NAMESPACE, "logs", "deployment/containerops", "--tail=50"]).output();
            eprintln!("{}", logs.map(|logs| String::from_utf8_lossy(&logs.stdout).into_owned()).unwrap_or_default());
        }
        self.remove();
    }
}

fn printed(what: &str, output: &std::process::Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
