//! A store that speaks S3, on this machine, and a wire to it that can be cut.

use std::{
    net::{SocketAddr, TcpListener as Port},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use containerops::blob::{Blobs, Digest, Keys, S3};
use object_store::{ObjectStoreExt as _, aws::AmazonS3Builder};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
};

use super::{required, say_skipped};

/// The bucket that is there.
const BUCKET: &str = "co-blobs";
/// The longest that a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// What becomes of what is said to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Whole,
    Cut,
    Refusing,
}

/// A server that speaks S3, with an empty bucket.
pub(crate) struct Bucket {
    address: SocketAddr,
    wire: watch::Sender<Wire>,
    hung_up: Arc<Notify>,
    child: Child,
}

impl Bucket {
    /// `None` where there is no such server, which is said.
    pub(crate) async fn start() -> Option<Self> {
        let in_path = || {
            let asked = Command::new("moto_server").arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
            asked.is_ok_and(|found| found.success()).then(|| "moto_server".to_owned())
        };
        let named = std::env::var("CONTAINEROPS_TEST_S3").ok();
        let program = named.or_else(in_path).or_else(|| required("s3", "CONTAINEROPS_TEST_S3"))?;
        let port = Port::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).env("MOTO_S3_DEFAULT_MAX_KEYS", "3");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.inspect_err(|error| say_skipped("s3", &error.to_string())).ok()?;
        let behind = SocketAddr::from(([127, 0, 0, 1], port));
        let (wire, state) = watch::channel(Wire::Whole);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let hung_up = Arc::new(Notify::new());
        tokio::spawn(carry(listener, behind, state, Arc::clone(&hung_up)));
        let bucket = Self { address, wire, hung_up, child };
        bucket.make(behind).await;
        Some(bucket)
    }

    async fn make(&self, behind: SocketAddr) {
        let http = reqwest::Client::new();
        let made = async {
            while http.put(format!("http://{behind}/{BUCKET}")).send().await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, made).await.expect("it starts");
    }

    /// Where it answers.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What an operator writes to have his blobs there.
    pub(crate) fn settings(&self) -> String {
        let key = |name: &str| name.trim_start_matches("CONTAINEROPS_").to_lowercase();
        self.variables().iter().map(|(name, value)| format!("{} = \"{value}\"\n", key(name))).collect()
    }

    /// The same for one who sets variables.
    pub(crate) fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("CONTAINEROPS_BLOB_URL", format!("s3://{BUCKET}/some/where")),
            ("CONTAINEROPS_S3_ENDPOINT", format!("http://{}", self.address)),
            ("CONTAINEROPS_S3_ACCESS_KEY_ID", "id".to_owned()),
            ("CONTAINEROPS_S3_SECRET_ACCESS_KEY", "secret".to_owned()),
        ]
    }

    pub(crate) fn blobs(&self) -> Blobs {
        self.blobs_of(BUCKET)
    }

    pub(crate) fn blobs_of(&self, bucket: &str) -> Blobs {
        let keys = Some(Keys { id: "id".to_owned(), secret: "secret".into() });
        let s3 = S3 { endpoint: Some(format!("http://{}", self.address)), keys, ..S3::default() };
        Blobs::open_with(&format!("s3://{bucket}/some/where"), &s3).expect("a bucket")
    }

    /// Somebody else writes other bytes under a blob's name.
    pub(crate) async fn overwrites(&self, digest: Digest, text: &'static str) {
        let name = digest.to_string();
        let (first, rest) = name.split_at(2);
        let store = AmazonS3Builder::new()
            .with_endpoint(format!("http://{}", self.address))
            .with_allow_http(true)
            .with_bucket_name(BUCKET)
            .with_access_key_id("id")
            .with_secret_access_key("secret")
            .build()
            .expect("a store");
        store.put(&format!("some/where/sha256/{first}/{rest}").into(), text.into()).await.expect("it is written");
    }

    /// No byte goes to it or comes from it, and nobody answers.
    pub(crate) fn cut(&self) {
        self.wire.send_replace(Wire::Cut);
    }

    /// It serves nobody, and says so.
    pub(crate) fn refuse(&self) {
        self.wire.send_replace(Wire::Refusing);
    }

    pub(crate) fn mend(&self) {
        self.wire.send_replace(Wire::Whole);
    }

    /// Somebody was hung up on since the wire was cut.
    pub(crate) async fn was_missed(&self) {
        self.hung_up.notified().await;
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn carry(listener: TcpListener, behind: SocketAddr, wire: watch::Receiver<Wire>, hung_up: Arc<Notify>) {
    while let Ok((mut here, _)) = listener.accept().await {
        let (mut wire, hung_up) = (wire.clone(), Arc::clone(&hung_up));
        tokio::spawn(async move {
            let now = *wire.borrow();
            match now {
                Wire::Cut => return hung_up.notify_one(),
                Wire::Refusing => {
                    let _ = here.read(&mut [0; 16 << 10]).await;
                    let _ = here
                        .write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                        .await;
                    return;
                }
                Wire::Whole => {}
            }
            let Ok(mut there) = TcpStream::connect(behind).await else { return };
            tokio::select! {
                _ = copy_bidirectional(&mut here, &mut there) => {}
                _ = wire.wait_for(|wire| *wire != Wire::Whole) => {}
            }
        });
    }
}
