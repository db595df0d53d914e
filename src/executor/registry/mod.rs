//! What an image is at this moment: its digest, so that a re-run uses the same bytes, and the program it starts.
//!
//! Registries are asked anonymously, or by the keys that somebody has given for them. What they answer is checked against its digest and bounded in size and time; no
//! layer is ever fetched. Nobody but the operator has us ask without TLS, whoever leads there; and untrusted code has us
//! ask nothing in our own network.

mod keys;
mod transport;

use std::{sync::Arc, time::Duration};

use oci_client::{
    ParseError, Reference,
    client::current_platform_resolver,
    manifest::{
        IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE, ImageIndexEntry, OciImageManifest, OciManifest,
    },
};
use serde::{Deserialize, Serialize};

use self::transport::{Body, Fault, Session};
use reqwest::{ClientBuilder, Url, redirect};

use crate::{client::LateClient, model::is_public};

pub use keys::{KeysError, RegistryKey, RegistryKeys};

/// The most time for all questions about one image.
const PIN_MAX: Duration = Duration::from_secs(10);

/// How often a registry may lead elsewhere.
const REDIRECTS: usize = 5;
/// What is said of a registry that untrusted code names.
const PRIVATE: &str = "it is at a private address, which untrusted code does not have us ask";

/// Asks registries about images.
#[derive(Debug, Clone)]
pub struct Registry {
    http: Arc<LateClient>,
    /// For who may have us ask only what everybody can reach.
    public: Arc<LateClient>,
    insecure: Arc<[String]>,
}

/// Which registries somebody may have us ask, besides those that the operator has named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those of our own network, too.
    Everywhere,
    /// What everybody can reach.
    Public,
}

/// An image at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// `registry/repository@sha256:…`, as the kubelet can pull it.
    pub image: String,
    /// The image's `Entrypoint` and `Cmd`, one after the other; empty if it has neither.
    pub entrypoint: Vec<String>,
    /// Where the entrypoint starts; `None`: `/`.
    pub working_dir: Option<String>,
}

/// An image could not be pinned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The author's mistake: what the file names is no image name, or no image for containers.
    #[error("`{image}` is not an image: {message}")]
    Invalid {
        /// As the flow names it.
        image: String,
        /// What is wrong with it.
        message: String,
    },
    /// The author's mistake: the registry answers, and has no such image.
    #[error("image {image} not found: {message}")]
    NotFound {
        /// As the flow names it.
        image: String,
        /// What the registry said.
        message: String,
    },
    /// The registry answers, but not to everybody.
    #[error("image {image} denied: {message}")]
    Denied {
        /// As the flow names it.
        image: String,
        /// What the registry said.
        message: String,
    },
    /// The registry does not answer, or with nonsense: try again, or do without.
    #[error("the registry of {image} cannot be asked: {message}")]
    Away {
        /// As the flow names it.
        image: String,
        /// What happened.
        message: String,
    },
}

/// The part of an image's configuration that says what it starts.
#[derive(Debug, Default, Deserialize)]
struct Configuration {
    #[serde(default)]
    config: Option<Start>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Start {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
}

impl Registry {
    /// A client for all registries. Those in `insecure_registries` (`host` or `host:port`) are spoken to without TLS,
    /// and may be in our own network, whoever asks. `bound` lets a client connect to nothing private.
    pub fn new(insecure_registries: Vec<String>, bound: fn(ClientBuilder) -> ClientBuilder) -> Self {
        let insecure: Arc<[String]> = insecure_registries.into();
        let listed = Arc::clone(&insecure);
        let make = move || builder(&listed, Reach::Everywhere);
        let listed = Arc::clone(&insecure);
        let bounded = move || bound(builder(&listed, Reach::Public));
        Self { http: Arc::new(LateClient::new(make)), public: Arc::new(LateClient::new(bounded)), insecure }
    }

    /// What `image` is now, for somebody with this reach and these keys. Short names are Docker Hub's, as everywhere; no
    /// tag means `latest`; a digest stays.
    ///
    /// # Errors
    /// [`RegistryError`], after ten seconds at most.
    pub async fn pin(&self, image: &str, reach: Reach, keys: &RegistryKeys) -> Result<Pin, RegistryError> {
        let wrong = |message: String| RegistryError::Invalid { image: image.to_owned(), message };
        let name = read(image).map_err(|error| wrong(error.to_string()))?;
        if name.repository().contains(|c: char| c.is_ascii_uppercase()) {
            return Err(wrong("a repository's name is in lower case".to_owned()));
        }
        let host = name.resolve_registry();
        let is_listed = is_listed(&self.insecure, host);
        let client = match reach {
            Reach::Public if !is_listed && is_private(host) => return Err(Fault::Away(PRIVATE.to_owned()).about(image)),
            Reach::Public if !is_listed => &self.public,
            Reach::Public | Reach::Everywhere => &self.http,
        };
        let http = client.get().map_err(|error| Fault::Away(format!("setting up TLS: {error}")).about(image))?;
        let scheme = if is_listed { "http" } else { "https" };
        let session = Session::new(http, scheme, &name, keys.of(&whole_name(&name))).within(&self.insecure, reach);
        match tokio::time::timeout(PIN_MAX, ask(session, &name)).await {
            Ok(answer) => answer.map_err(|fault| fault.about(image)),
            Err(_) => Err(Fault::Away(format!("no answer within {} s", PIN_MAX.as_secs())).about(image)),
        }
    }
}

/// An image's name in full, without tag and digest: `docker.io/library/busybox`. `None`: it is no image's name.
pub fn full_name(image: &str) -> Option<String> {
    read(image).ok().map(|name| whole_name(&name))
}

fn read(image: &str) -> Result<Reference, ParseError> {
    image.parse()
}

fn whole_name(name: &Reference) -> String {
    format!("{}/{}", name.registry(), name.repository())
}

fn builder(listed: &Arc<[String]>, reach: Reach) -> ClientBuilder {
    let agent = concat!("containerops/", env!("CARGO_PKG_VERSION"));
    let listed = Arc::clone(listed);
    let redirects = redirect::Policy::custom(move |attempt| match attempt.previous().len() {
        REDIRECTS.. => attempt.error("it leads from one address to the next"),
        _ if may_be_asked(attempt.url(), &listed, reach) => attempt.follow(),
        _ => attempt.stop(),
    });
    reqwest::Client::builder().user_agent(agent).connect_timeout(PIN_MAX / 2).redirect(redirects)
}

/// Whether an address that a registry leads to is asked.
fn may_be_asked(url: &Url, listed: &[String], reach: Reach) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    is_listed(listed, &host) || (url.scheme() == "https" && (reach == Reach::Everywhere || !is_private(&host)))
}

fn is_listed(listed: &[String], registry: &str) -> bool {
    listed.iter().any(|listed| listed == registry)
}

/// Whether a registry is named by an address that not everybody can reach. Of names nobody knows before they are looked up.
fn is_private(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let address = |text: &str| text.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    // addresses have more than one notation
    let url = Url::parse(&format!("https://{registry}/")).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or(host);
    host == "localhost" || address(host).is_ok_and(|ip| !is_public(ip))
}

impl Fault {
    fn about(self, image: &str) -> RegistryError {
        let image = image.to_owned();
        match self {
            Self::Invalid(message) => RegistryError::Invalid { image, message },
            Self::NotFound(message) => RegistryError::NotFound { image, message },
            Self::Denied(message) => RegistryError::Denied { image, message },
            Self::Away(message) => RegistryError::Away { image, message },
        }
    }
}

async fn ask(mut session: Session<'_>, name: &Reference) -> Result<Pin, Fault> {
    let top = session.manifest(name).await?;
    let manifest = match parse(&top)? {
        OciManifest::Image(manifest) => manifest,
        OciManifest::ImageIndex(index) => one_of(&mut session, &index.manifests).await?,
    };
    let start = start(&mut session, &manifest).await?;
    Ok(Pin {
        image: format!("{}@{}", whole_name(name), top.digest),
        entrypoint: [start.entrypoint, start.cmd].into_iter().flatten().flatten().collect(),
        working_dir: start.working_dir.filter(|dir| !dir.is_empty()),
    })
}

/// The image for machines like this one. Its index is what gets pinned: a node may be of another kind.
async fn one_of(session: &mut Session<'_>, entries: &[ImageIndexEntry]) -> Result<OciImageManifest, Fault> {
    let digest = current_platform_resolver(entries)
        .ok_or_else(|| Fault::NotFound(format!("it has no variant for linux on {}", std::env::consts::ARCH)))?;
    match parse(&session.manifest_of(&digest).await?)? {
        OciManifest::Image(manifest) => Ok(manifest),
        OciManifest::ImageIndex(_) => Err(Fault::Invalid("it is an index of indexes".to_owned())),
    }
}

async fn start(session: &mut Session<'_>, manifest: &OciImageManifest) -> Result<Start, Fault> {
    let kind = manifest.config.media_type.as_str();
    if ![IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE].contains(&kind) {
        return Err(Fault::Invalid(format!("it holds {kind:?}, and no container")));
    }
    let config = session.blob(&manifest.config.digest).await?;
    let configuration: Configuration = serde_json::from_slice(&config.bytes).map_err(damaged)?;
    Ok(configuration.config.unwrap_or_default())
}

fn parse(body: &Body) -> Result<OciManifest, Fault> {
    serde_json::from_slice(&body.bytes).map_err(damaged)
}

fn damaged(error: serde_json::Error) -> Fault {
    Fault::Away(format!("it answered with something else than an image's description: {error}"))
}
