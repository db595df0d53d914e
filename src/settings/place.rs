//! Where containers run.

use super::{SettingsError, Values};

/// An executor by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutorChoice {
    /// Pods.
    Kubernetes,
    /// Containers of Docker or Podman.
    Docker,
    /// Processes of this machine.
    Process,
}

impl Values {
    pub(super) fn executor(&self) -> Result<Option<ExecutorChoice>, SettingsError> {
        match self.get("executor") {
            None => Ok(None),
            Some("kubernetes") => Ok(Some(ExecutorChoice::Kubernetes)),
            Some("docker") => Ok(Some(ExecutorChoice::Docker)),
            Some("process") => Ok(Some(ExecutorChoice::Process)),
            Some(other) => Err(SettingsError::Value {
                name: "executor",
                message: format!("`{other}` is none that there is; `kubernetes`, `docker` and `process` are"),
            }),
        }
    }

    /// A path is a socket's.
    pub(super) fn docker_host(&self) -> Result<Option<String>, SettingsError> {
        let Some(host) = self.get("docker_host") else { return Ok(None) };
        match host.split_once("://") {
            None if host.starts_with('/') => Ok(Some(format!("unix://{host}"))),
            Some(("unix" | "tcp" | "http", _)) => Ok(Some(host.to_owned())),
            Some(_) | None => Err(SettingsError::Value {
                name: "docker_host",
                message: format!("`unix:///path` or `tcp://host:port` is expected, and not `{host}`"),
            }),
        }
    }
}
