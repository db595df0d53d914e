//! What an operator applies out of `deploy/`, with an image made from this build.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{cluster::shared, kubeconfig, required};

pub(super) const NAMESPACE: &str = "containerops";
/// The longest that anything may take, with the first start of everything.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// All have the same namespace.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

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
pub(super) struct Deployment {
    kubeconfig: PathBuf,
    directory: TempDir,
    /// Nobody stops parts of the cluster meanwhile.
    _use: std::fs::File,
    _alone: MutexGuard<'static, ()>,
}

impl Deployment {
    /// Applies this part of `deploy/` as its kustomization.yaml says, with these values in the Secrets of these names.
    pub(super) fn apply(part: &str, secrets: &[(&str, &[(&str, String)])]) -> Option<Self> {
        Self::apply_with(part, &[], secrets)
    }

    /// The same with components.
    pub(super) fn apply_with(part: &str, components: &[&str], secrets: &[(&str, &[(&str, String)])]) -> Option<Self> {
        let kubeconfig = kubeconfig()?;
        let image = required("kubernetes", "CONTAINEROPS_TEST_SERVER_IMAGE")?;
        let directory = TempDir::new().expect("a directory for tests can be made");
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let new = Self { kubeconfig, directory, _use: shared(), _alone };
        new.remove();
        let deploy = new.manifests(&image);
        let file = |name: &str| deploy.join(name).to_str().expect("a path that is text").to_owned();
        new.kubectl(&["apply", "-f", &file("kubernetes/namespace.yaml")]);
        for (name, values) in secrets {
            let values = values.iter().map(|(key, value)| format!("--from-literal={key}={value}"));
            let words = ["-n", NAMESPACE, "create", "secret", "generic", name].map(ToOwned::to_owned);
            let words: Vec<String> = words.into_iter().chain(values).collect();
            new.kubectl(&words.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let whole = deploy.join("overlays/tried");
        std::fs::create_dir_all(&whole).expect("ours");
        let components: Vec<String> = components.iter().map(|name| format!("../../{name}")).collect();
        let text = format!("resources: [../../{part}]\ncomponents: [{}]\n", components.join(", "));
        std::fs::write(whole.join("kustomization.yaml"), text).expect("ours");
        new.kubectl(&["apply", "-k", &file("overlays/tried")]);
        Some(new)
    }

    /// A copy with the image named, and with a disk.
    fn manifests(&self, image: &str) -> PathBuf {
        let copy = self.directory.path().join("deploy");
        copy_folder(Path::new("deploy"), &copy);
        let (name, tag) = image.rsplit_once(':').expect("name:tag");
        let kustomization = copy.join("kubernetes/kustomization.yaml");
        let text = std::fs::read_to_string(&kustomization).expect("ours");
        let text =
            text.replace("registry.example/containerops", name).replace("newTag: 0.1.0", &format!("newTag: {tag}"));
        assert!(text.contains(&format!("newName: {name}")) && text.contains(&format!("newTag: {tag}")), "{text}");
        let text = text.replace("  - volume.yaml", "  - volume.yaml\n  - disk.yaml");
        std::fs::write(&kustomization, text).expect("ours");
        let disk = self.directory.path().join("disk");
        std::fs::create_dir(&disk).expect("ours");
        let mode = std::os::unix::fs::PermissionsExt::from_mode;
        std::fs::set_permissions(&disk, mode(0o777)).expect("ours");
        std::fs::set_permissions(self.directory.path(), mode(0o755)).expect("ours");
        let volume = VOLUME.replace("FOLDER", disk.to_str().expect("a path that is text"));
        std::fs::write(copy.join("kubernetes/disk.yaml"), volume).expect("ours");
        // this cluster may be older than those that the manifests are for
        if !self.may_have("policy/v1") {
            let budget = copy.join("overlays/replicated/disruption.yaml");
            let text = std::fs::read_to_string(&budget).expect("ours");
            std::fs::write(&budget, text.replace("policy/v1", "policy/v1beta1")).expect("ours");
        }
        copy
    }

    /// Whether the cluster knows this version of an API.
    pub(super) fn may_have(&self, version: &str) -> bool {
        self.kubectl(&["api-versions"]).lines().any(|known| known == version)
    }

    /// Waits until it is as it was asked to be.
    pub(super) fn rolls_out(&self) {
        let limit = format!("--timeout={}s", PATIENCE.as_secs());
        self.kubectl(&["-n", NAMESPACE, "rollout", "status", "deployment/containerops", &limit]);
    }

    /// The service's own pods.
    pub(super) fn pods(&self) -> Vec<String> {
        let ours = ["-l", "app.kubernetes.io/name=containerops", "-o", "name"];
        let names = self.kubectl(&[&["-n", NAMESPACE, "get", "pods"], ours.as_slice()].concat());
        names.lines().filter_map(|name| name.strip_prefix("pod/")).map(ToOwned::to_owned).collect()
    }

    /// A page, asked for through the Service.
    pub(super) fn get(&self, path: &str) -> String {
        self.kubectl(&["get", "--raw", &format!("{}{path}", at("services", "containerops", "http"))])
    }

    /// What is said at a port of the service's first pod, or why nothing is.
    pub(super) fn ask(&self, port: u16, path: &str) -> Result<String, String> {
        let pod = at("pods", &self.pods()[0], &port.to_string());
        let asked = self.command(&["get", "--raw", &format!("{pod}{path}")]).output().expect("kubectl is installed");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if asked.status.success() { Ok(text(&asked.stdout)) } else { Err(text(&asked.stderr)) }
    }

    /// The only run, once it is like this.
    pub(super) fn run(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        let begun = std::time::Instant::now();
        loop {
            let runs: Value = serde_json::from_str(&self.get("/api/v1/runs")).expect("JSON");
            let run = &runs["runs"][0];
            if is_so(run) {
                return run.clone();
            }
            let pods = || self.kubectl(&["-n", NAMESPACE, "get", "pods", "-o", "yaml"]);
            assert!(begun.elapsed() < PATIENCE, "{runs:#}\n{}", pods());
        }
    }

    /// Runs a script in the service's pod, where there is nothing but a shell and git.
    pub(super) fn exec(&self, script: &str) -> String {
        self.fed(&["-n", NAMESPACE, "exec", "-i", "deployment/containerops", "--", "sh", "-s"], script)
            .expect("it runs")
    }

    /// Runs `kubectl`, which reads this. What it says, or why it failed.
    pub(super) fn fed(&self, words: &[&str], input: &str) -> Result<String, String> {
        let mut command = self.command(words);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().expect("kubectl is installed");
        running.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
        let output = running.wait_with_output().expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    pub(super) fn kubectl(&self, words: &[&str]) -> String {
        printed(&words.join(" "), &self.command(words).output().expect("kubectl is installed"))
    }

    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("--kubeconfig").arg(&self.kubeconfig).args(words);
        kubectl
    }

    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
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

pub(super) fn printed(what: &str, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The path by which the cluster passes on requests to a port of one of its own.
pub(super) fn at(kind: &str, name: &str, port: &str) -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/{kind}/{name}:{port}/proxy")
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("ours");
    for entry in from.read_dir().expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("ours");
        }
    }
}
