//! Where containers run.

use super::{SettingsError, Values};

/// A namespace's name has 63 characters, of which tenants get most.
const PREFIX_MAX: usize = 30;

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

/// For whom there is a namespace on a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerChoice {
    /// One for all.
    Server,
    /// One for each organisation.
    Organisation,
    /// One for each repository.
    Repository,
}

impl Values {
    pub(super) fn namespace_per(&self) -> Result<PerChoice, SettingsError> {
        let name = "kubernetes_namespace_per";
        let per = match self.get(name) {
            None | Some("server") => return Ok(PerChoice::Server),
            Some("organisation") => PerChoice::Organisation,
            Some("repository") => PerChoice::Repository,
            Some(other) => {
                let message = format!("`{other}` is none of `server`, `organisation` and `repository`");
                return Err(SettingsError::Value { name, message });
            }
        };
        // what begins the names of others must leave room for them
        let names = ["kubernetes_namespace", "kubernetes_untrusted_namespace"];
        match names.into_iter().find(|name| self.get(name).is_some_and(|text| text.len() > PREFIX_MAX)) {
            None => Ok(per),
            Some(name) => Err(SettingsError::Value {
                name,
                message: format!("it begins the names of tenants' namespaces: at most {PREFIX_MAX} characters"),
            }),
        }
    }

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

#[cfg(test)]
mod tests {
    use crate::settings::{PerChoice, Settings, SettingsError};

    fn read(variables: &[(&str, &str)]) -> Result<PerChoice, SettingsError> {
        let variables = variables.iter().map(|(name, value)| (format!("CONTAINEROPS_{name}"), (*value).to_owned()));
        Settings::read(variables, None).map(|settings| settings.kubernetes_namespace_per)
    }

    #[test]
    fn namespaces_are_one_or_one_for_each() {
        assert_eq!(read(&[]), Ok(PerChoice::Server));
        let cases = [("organisation", PerChoice::Organisation), ("repository", PerChoice::Repository)];
        for (text, per) in cases {
            assert_eq!(read(&[("KUBERNETES_NAMESPACE_PER", text)]), Ok(per));
        }
        let error = read(&[("KUBERNETES_NAMESPACE_PER", "team")]).expect_err("there is none").to_string();
        assert!(error.contains("`team` is none of `server`, `organisation` and `repository`"), "{error}");
        let long = "a-namespace-whose-name-is-rather-long";
        assert_eq!(read(&[("KUBERNETES_NAMESPACE", long)]), Ok(PerChoice::Server));
        let error = read(&[("KUBERNETES_NAMESPACE", long), ("KUBERNETES_NAMESPACE_PER", "repository")]);
        let error = error.expect_err("no room for names").to_string();
        assert!(error.contains("`kubernetes_namespace`") && error.contains("at most 30 characters"), "{error}");
    }

    #[test]
    fn an_image_that_is_privileged_is_named() {
        let read = |text: &str| Settings::read([("CONTAINEROPS_PRIVILEGED_IMAGES".to_owned(), text.to_owned())], None);
        let rules = read("acme/*=docker:27-dind, github:b/c=kaniko").expect("two rules").privileged_images;
        assert_eq!(
            rules.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["acme/*=docker:27-dind", "github:b/c=kaniko"]
        );
        let error = read("docker:27-dind").expect_err("nobody's").to_string();
        assert!(error.contains("`privileged_images`") && error.contains("acme/*=docker:27-dind"), "{error}");
    }
}
