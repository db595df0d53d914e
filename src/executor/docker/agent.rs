//! Where the agent's program comes from: it must run in images with nothing in them, so it is linked statically.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use bollard::{models::ContainerCreateBody, query_parameters as query};
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::{
    DockerSettings, away,
    connection::{Connection, Fault},
};
use crate::executor::ExecutorError;

/// Its name beside our own program.
const PROGRAM: &str = "containerops-agent";
/// Where the release's image has it.
const IN_ITS_IMAGE: &str = "/containerops-agent";
/// The most bytes that an agent has.
const SIZE_MAX: usize = 256 << 20;

/// The agent, read once.
pub(super) struct Agent {
    from: Origin,
    program: OnceCell<Bytes>,
}

enum Origin {
    File(PathBuf),
    Image(String),
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            Origin::File(path) => path.display().fmt(f),
            Origin::Image(image) => write!(f, "{IN_ITS_IMAGE} of the image {image}"),
        }
    }
}

impl Agent {
    /// The one that the settings name; else the one beside our own program, or that itself; else the image's.
    pub(super) fn find(settings: &DockerSettings) -> Result<Self, String> {
        if let Some(path) = &settings.agent {
            return match is_static(path) {
                Ok(true) => Ok(Self::of(Origin::File(path.clone()))),
                Ok(false) => {
                    Err(format!("{} is not linked statically: it would not start in most images", path.display()))
                }
                Err(error) => Err(format!("{}: {error}", path.display())),
            };
        }
        let own = std::env::current_exe().ok();
        let beside = own.as_ref().and_then(|own| Some(own.parent()?.join(PROGRAM)));
        let candidates = [Some(PathBuf::from(IN_ITS_IMAGE)), beside, own];
        let found = candidates.into_iter().flatten().find(|path| is_static(path).unwrap_or(false));
        let image = || Origin::Image(settings.agent_image.clone());
        Ok(Self::of(found.map_or_else(image, Origin::File)))
    }

    const fn of(from: Origin) -> Self {
        Self { from, program: OnceCell::const_new() }
    }

    /// Whether it can be had.
    pub(super) async fn look(&self, connection: &Connection) -> Result<(), String> {
        match &self.from {
            Origin::File(_) => Ok(()),
            Origin::Image(image) => {
                let asked = connection.call(async |docker| docker.inspect_image(image).await).await;
                asked.map(drop).map_err(|fault| missing(image, fault).to_string())
            }
        }
    }

    /// Its bytes.
    pub(super) async fn program(&self, connection: &Connection) -> Result<Bytes, ExecutorError> {
        let read = async || match &self.from {
            Origin::File(path) => {
                let read = tokio::fs::read(path).await;
                read.map(Bytes::from).map_err(|error| away(format!("the agent {}: {error}", path.display())))
            }
            Origin::Image(image) => of_image(connection, image).await,
        };
        self.program.get_or_try_init(read).await.cloned()
    }
}

/// Copies the agent out of its image, by way of a container that never runs.
async fn of_image(connection: &Connection, image: &str) -> Result<Bytes, ExecutorError> {
    let body = ContainerCreateBody { image: Some(image.to_owned()), ..Default::default() };
    let made = connection
        .call(async |docker| docker.create_container(None::<query::CreateContainerOptions>, body.clone()).await)
        .await;
    let id = made.map_err(|fault| missing(image, fault))?.id;
    let program = connection.file_within(&id, IN_ITS_IMAGE, SIZE_MAX).await;
    let options = query::RemoveContainerOptionsBuilder::default().force(true).build();
    let removed = connection.call(async |docker| docker.remove_container(&id, Some(options.clone())).await).await;
    if let Err(fault) = removed {
        tracing::warn!(container = id, message = fault.message(), "a container is left");
    }
    program.map(Bytes::from).map_err(|fault| missing(image, fault))
}

fn missing(image: &str, fault: Fault) -> ExecutorError {
    let message = fault.message();
    away(format!(
        "the agent cannot be had from the image {image} ({message}): pull or build it, or name a static \
         `containerops-agent` by CONTAINEROPS_DOCKER_AGENT"
    ))
}

/// Whether a file is a program of Linux that needs no loader.
fn is_static(path: &Path) -> io::Result<bool> {
    const LOADER: u32 = 3;
    let mut head = Vec::new();
    File::open(path)?.take(4096).read_to_end(&mut head)?;
    let word = |at: usize, length: usize| {
        let bytes = head.get(at..at + length)?;
        Some(bytes.iter().rev().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte)))
    };
    // the headers of a 64-bit little-endian ELF: where its program headers are, how long each is, and how many
    let headers = || {
        let at = usize::try_from(word(0x20, 8)?).ok()?;
        let (length, count) = (usize::try_from(word(0x36, 2)?).ok()?, usize::try_from(word(0x38, 2)?).ok()?);
        (0..count).map(|place| word(at + place * length, 4)).collect::<Option<Vec<u64>>>()
    };
    let is_elf = head.starts_with(b"\x7fELF\x02\x01");
    Ok(is_elf && headers().is_some_and(|kinds| !kinds.contains(&u64::from(LOADER))))
}
