//! Images made by tests, in the cluster's own registry.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::cluster::variable;

/// A static busybox; a machine with a test cluster has it.
const BUSYBOX: &str = "/bin/busybox";

/// An image of one layer.
pub(crate) struct Image {
    layer: tar::Builder<Vec<u8>>,
    config: serde_json::Map<String, Value>,
}

impl Image {
    /// An image with nothing in it.
    pub(crate) fn empty() -> Self {
        Self { layer: tar::Builder::new(Vec::new()), config: serde_json::Map::new() }
    }

    /// An image with a shell and the commands that scripts need.
    pub(crate) fn with_shell() -> Self {
        let busybox = std::fs::read(BUSYBOX).expect("a static busybox");
        let mut image = Self::empty().file("bin/busybox", 0o755, &busybox);
        for name in ["sh", "cat", "echo", "id", "sleep", "test", "touch", "ls", "pwd", "env"] {
            image = image.link(name);
        }
        image
    }

    /// One more of the shell's commands.
    pub(crate) fn link(mut self, name: &str) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Link);
        header.set_size(0);
        // a hard link sets the mode of the file itself
        header.set_mode(0o755);
        self.layer.append_link(&mut header, format!("bin/{name}"), "bin/busybox").expect("memory takes all");
        self
    }

    /// One more file.
    pub(crate) fn file(mut self, path: &str, mode: u32, content: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        self.layer.append_data(&mut header, path, content).expect("memory takes all");
        self
    }

    /// A key of the image's configuration: `Entrypoint`, `Cmd`, `User`, `Env`, `WorkingDir`.
    pub(crate) fn set(mut self, key: &str, value: Value) -> Self {
        self.config.insert(key.to_owned(), value);
        self
    }

    /// Pushes it under this name; returns the image as flows name it, and its digest.
    pub(crate) async fn push(self, name: &str) -> (String, String) {
        self.push_to(&registry(), name).await
    }

    /// The same for another registry.
    pub(crate) async fn push_to(self, registry: &str, name: &str) -> (String, String) {
        let to = format!("http://{registry}/v2/{name}");
        let layer = self.layer.into_inner().expect("memory takes all");
        let digest = digest(&layer);
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": [digest] },
        });
        let config = push_blob(&to, "application/vnd.oci.image.config.v1+json", config.to_string().into_bytes()).await;
        let layer = push_blob(&to, "application/vnd.oci.image.layer.v1.tar", layer).await;
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer] });
        let manifest = manifest.to_string();
        let digest = self::digest(manifest.as_bytes());
        let put = reqwest::Client::new().put(format!("{to}/manifests/latest")).header("content-type", kind);
        let answer = put.body(manifest).send().await.expect("the registry answers");
        assert!(answer.status().is_success(), "{answer:?}");
        (format!("{registry}/{name}:latest"), digest)
    }
}

/// The cluster's own registry: `host:port`, without TLS.
pub(crate) fn registry() -> String {
    variable("CONTAINEROPS_TEST_REGISTRY", "CLUSTER_REGISTRY")
}

/// Uploads one blob; returns its descriptor.
async fn push_blob(to: &str, kind: &str, bytes: Vec<u8>) -> Value {
    let (digest, size) = (digest(&bytes), bytes.len());
    let http = reqwest::Client::new();
    let begun = http.post(format!("{to}/blobs/uploads/")).send().await.expect("the registry answers");
    let place = begun.headers()["location"].to_str().expect("a URL").to_owned();
    let url = format!("{place}{}digest={digest}", if place.contains('?') { '&' } else { '?' });
    let put = http.put(url).header("content-type", "application/octet-stream").body(bytes);
    let answer = put.send().await.expect("the registry answers");
    assert!(answer.status().is_success(), "{answer:?}");
    json!({ "mediaType": kind, "digest": digest, "size": size })
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
