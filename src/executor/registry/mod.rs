//! What an image is at this moment: its digest, so that a re-run uses the same bytes, and the program it starts.
//!
//! Registries are asked anonymously. What they answer is checked against its digest and bounded in size and time; no
//! layer is ever fetched.

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
use crate::client::LateClient;

/// The most time for all questions about one image.
const PIN_MAX: Duration = Duration::from_secs(10);

/// Asks registries about images.
#[derive(Debug, Clone)]
pub struct Registry {
    http: Arc<LateClient>,
    insecure: Vec<String>,
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
    /// A client for all registries. Those in `insecure_registries` (`host` or `host:port`) are spoken to without TLS.
    pub fn new(insecure_registries: Vec<String>) -> Self {
        let agent = concat!("containerops/", env!("CARGO_PKG_VERSION"));
        let make = move || reqwest::Client::builder().user_agent(agent).connect_timeout(PIN_MAX / 2);
        Self { http: Arc::new(LateClient::new(make)), insecure: insecure_registries }
    }

    /// What `image` is now. Short names are Docker Hub's, as everywhere; no tag means `latest`; a digest stays.
    ///
    /// # Errors
    /// [`RegistryError`], after ten seconds at most.
    pub async fn pin(&self, image: &str) -> Result<Pin, RegistryError> {
        let wrong = |message: String| RegistryError::Invalid { image: image.to_owned(), message };
        let name: Reference = image.parse().map_err(|error: ParseError| wrong(error.to_string()))?;
        if name.repository().contains(|c: char| c.is_ascii_uppercase()) {
            return Err(wrong("a repository's name is in lower case".to_owned()));
        }
        let http = self.http.get().map_err(|error| Fault::Away(format!("setting up TLS: {error}")).about(image))?;
        let session = Session::new(http, self.scheme(name.resolve_registry()), &name);
        match tokio::time::timeout(PIN_MAX, ask(session, &name)).await {
            Ok(answer) => answer.map_err(|fault| fault.about(image)),
            Err(_) => Err(Fault::Away(format!("no answer within {} s", PIN_MAX.as_secs())).about(image)),
        }
    }

    fn scheme(&self, registry: &str) -> &'static str {
        if self.insecure.iter().any(|insecure| insecure == registry) { "http" } else { "https" }
    }
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
        image: format!("{}/{}@{}", name.registry(), name.repository(), top.digest),
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
