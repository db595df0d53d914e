//! Settings: `CONTAINEROPS_*` variables, and under them `containerops.toml` with the same names in lower case
//! (`listen`, `github_app_id`, …). A name that we do not know is an error, so that a typing mistake is not a default.

use std::{collections::BTreeMap, net::SocketAddr, ops::RangeInclusive, path::PathBuf};

use secrecy::{SecretSlice, SecretString};

use crate::model::{AllowedNamespace, AllowedTrigger, PrivilegedImage, RetentionRule};

mod access;
mod blobs;
mod database;
mod forges;
mod limits;
mod people;
mod place;
mod untrusted;
mod values;

pub use access::{AccessChoice, ModeChoice, OauthChoice};
pub use blobs::S3Choice;
pub use forges::{GiteaChoice, GithubChoice, GitlabChoice};
pub use limits::{LimitChoice, LogFormat, TraceChoice};
pub use people::SmtpChoice;
pub use place::{ExecutorChoice, PerChoice};
pub use untrusted::{Isolation, UntrustedChoice};
use values::Values;

/// Every name that is known.
const NAMES: &[&str] = &[
    "listen",
    "public_url",
    "agent_url",
    "agent_listen",
    "metrics_listen",
    "metrics_token",
    "data",
    "database_url",
    "database_connections",
    "blob_url",
    "s3_endpoint",
    "s3_region",
    "s3_path_style",
    "s3_access_key_id",
    "s3_secret_access_key",
    "s3_secret_access_key_file",
    "retention",
    "executor",
    "kubernetes_namespace",
    "kubernetes_namespace_per",
    "kubernetes_untrusted_namespace",
    "kubernetes_agent_image",
    "kubernetes_insecure_registries",
    "kubernetes_kubeconfig",
    "kubectl_namespaces",
    "kubectl_private_urls",
    "docker_host",
    "docker_network",
    "docker_agent",
    "secret_key_file",
    "github_webhook_secret",
    "github_app_id",
    "github_private_key_file",
    "github_token",
    "github_api_url",
    "github_url",
    "github_submodules",
    "gitlab_webhook_secret",
    "gitlab_signing_token",
    "gitlab_token",
    "gitlab_url",
    "gitlab_submodules",
    "github_oauth_id",
    "github_oauth_secret",
    "gitlab_oauth_id",
    "gitlab_oauth_secret",
    "gitea_oauth_id",
    "gitea_oauth_secret",
    "access",
    "admins",
    "git_readers",
    "gitea_webhook_secret",
    "gitea_token",
    "gitea_url",
    "gitea_submodules",
    "git_root",
    "git_webhook_secret",
    "privileged_images",
    "trigger_repositories",
    "untrusted",
    "untrusted_runtime",
    "untrusted_isolation",
    "untrusted_user_namespaces",
    "smtp_url",
    "smtp_from",
    "smtp_domains",
    "webhook_secret",
    "webhook_private_urls",
    "job_timeout",
    "run_timeout",
    "log_limit",
    "artifact_limit",
    "artifact_keep",
    "cache_limit",
    "contact_timeout",
    "sweep_interval",
    "log_format",
    "otlp_url",
    "otlp_headers",
    "drain",
    "connections",
    "source_connections",
    "source_rate",
    "token_rate",
    "watchers",
    "source_watchers",
    "queue_limit",
    "trusted_proxies",
    "config",
];
const PREFIX: &str = "CONTAINEROPS_";
/// Variables of our prefix that are no settings: they speak to tests, or Kubernetes makes them for our own service.
const NOT_OURS: [&str; 6] = ["TEST_", "SERVICE_", "PORT", "ATTEMPT", "TOKEN", "SERVER"];

/// How this server is set up.
#[derive(Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What links show, without a slash at the end; `None`: made from the address that is listened on.
    pub public_url: Option<String>,
    /// What pods can reach; `None`: the public URL.
    pub agent_url: Option<String>,
    /// Where it listens for agents alone; `None`: nowhere else.
    pub agent_listen: Option<SocketAddr>,
    /// Where it listens for whoever watches it; `None`: nowhere else.
    pub metrics_listen: Option<SocketAddr>,
    /// What whoever watches it shows elsewhere.
    pub metrics_tokens: Vec<SecretString>,
    /// The data directory.
    pub data: PathBuf,
    /// `sqlite:PATH` or `postgres://…`.
    pub database_url: String,
    /// How many connections to a PostgreSQL this process may hold.
    pub database_connections: u32,
    /// `file:PATH` or `s3://BUCKET/PREFIX`.
    pub blob_url: String,
    /// How a bucket is reached.
    pub s3: S3Choice,
    /// Until when logs and artifacts of runs are kept; the last rule that is meant counts.
    pub retention: Vec<RetentionRule>,
    /// Where containers run; `None`: what is found.
    pub executor: Option<ExecutorChoice>,
    /// The namespace of pods, or how the names of those begin that tenants have.
    pub kubernetes_namespace: String,
    /// For whom there is a namespace.
    pub kubernetes_namespace_per: PerChoice,
    /// The image that holds the agent.
    pub kubernetes_agent_image: String,
    /// Registries that are spoken to without TLS.
    pub insecure_registries: Vec<String>,
    /// A kubeconfig that is used instead of the usual places.
    pub kubeconfig: Option<PathBuf>,
    /// Which repositories' kubectl jobs may change which namespaces, and as whom.
    pub kubectl_namespaces: Vec<AllowedNamespace>,
    /// What the URLs of manifests may begin with though they are not encrypted or lead to private addresses.
    pub kubectl_private_urls: Vec<String>,
    /// An engine with Docker's API; `None`: `DOCKER_HOST`, or where engines usually are.
    pub docker_host: Option<String>,
    /// The network of containers; `None`: `bridge`, or `host` where only this machine reaches the server.
    pub docker_network: Option<String>,
    /// The agent's static program, for containers.
    pub docker_agent: Option<PathBuf>,
    /// The server's own key.
    pub secret_key_file: PathBuf,
    /// GitHub, if it is set up.
    pub github: Option<GithubChoice>,
    /// GitLab, if it is set up.
    pub gitlab: Option<GitlabChoice>,
    /// Who may see and change what.
    pub access: AccessChoice,
    /// Gitea or Forgejo, if it is set up.
    pub gitea: Option<GiteaChoice>,
    /// Where bare repositories are.
    pub git_root: PathBuf,
    /// What proves a plain repository's deliveries; empty: the one in the data directory.
    pub git_webhook_secrets: Vec<SecretString>,
    /// What becomes of untrusted code.
    pub untrusted: UntrustedChoice,
    /// Which images are privileged, in which repositories.
    pub privileged_images: Vec<PrivilegedImage>,
    /// Which repositories' jobs may start flows of which others.
    pub trigger_repositories: Vec<AllowedTrigger>,
    /// By what server mail is sent, if it is.
    pub smtp: Option<SmtpChoice>,
    /// What webhooks of receivers are signed with, each; none: they are not.
    pub webhook_secrets: Vec<SecretSlice<u8>>,
    /// What their URLs may begin with though they are not encrypted or lead to private addresses.
    pub webhook_private_urls: Vec<String>,
    /// The most time a job may take.
    pub job_timeout: std::time::Duration,
    /// The most time a run may take.
    pub run_timeout: std::time::Duration,
    /// The most bytes of a job's log; of a longer one the first and the last half are kept.
    pub log_limit: u64,
    /// The most bytes of an artifact, as a tar.
    pub artifact_limit: u64,
    /// The most bytes of a cache, as a tar.
    pub cache_limit: u64,
    /// How long an artifact is kept that does not say it itself.
    pub artifact_keep: std::time::Duration,
    /// How long an agent may be silent while its pod runs, before the attempt is given up.
    pub contact_timeout: std::time::Duration,
    /// How long after a look for what webhooks did not bring the next one follows; zero: there is none.
    pub sweep_interval: std::time::Duration,
    /// How much may come at once, and from whom.
    pub limits: LimitChoice,
    /// Where traces go; `None`: nowhere.
    pub traces: Option<TraceChoice>,
    /// What log lines look like; `None`: what fits whoever reads them.
    pub log_format: Option<LogFormat>,
}

/// Settings that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A name that we do not know.
    #[error("`{name}` is no setting{}", nearest.map_or_else(String::new, |near| format!("; did you mean `{near}`?")))]
    Unknown {
        /// As it was written.
        name: String,
        /// The known name that is most like it.
        nearest: Option<&'static str>,
    },
    /// A value that its setting does not take.
    #[error("the setting `{name}`: {message}")]
    Value {
        /// Which.
        name: &'static str,
        /// What is wrong, and what is expected.
        message: String,
    },
    /// A file that is no TOML.
    #[error("containerops.toml: {0}")]
    Toml(String),
}

impl Settings {
    /// Reads settings. `variables` are the environment's, `file` the text of `containerops.toml`.
    ///
    /// # Errors
    /// [`SettingsError`]: the first mistake.
    pub fn read(
        variables: impl IntoIterator<Item = (String, String)>,
        file: Option<&str>,
    ) -> Result<Self, SettingsError> {
        let mut values = file.map_or_else(|| Ok(BTreeMap::new()), from_toml)?;
        for (name, value) in variables {
            let Some(name) = name.strip_prefix(PREFIX) else { continue };
            if NOT_OURS.iter().any(|not_ours| name.starts_with(not_ours)) {
                continue;
            }
            values.insert(known(&name.to_ascii_lowercase())?, value);
        }
        Values(values).settings()
    }
}

/// The known name, or an error with the one that is most like it. The agent's image and the registries may be named
/// without their group.
fn known(name: &str) -> Result<&'static str, SettingsError> {
    let whole = match name {
        "agent_image" => "kubernetes_agent_image",
        "insecure_registries" => "kubernetes_insecure_registries",
        other => other,
    };
    if let Some(known) = NAMES.iter().copied().find(|known| *known == whole) {
        return Ok(known);
    }
    let nearest = NAMES
        .iter()
        .copied()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .min()
        .filter(|(far, _)| *far <= 3);
    Err(SettingsError::Unknown { name: name.chars().take(60).collect(), nearest: nearest.map(|(_, known)| known) })
}

fn from_toml(text: &str) -> Result<BTreeMap<&'static str, String>, SettingsError> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| SettingsError::Toml(error.to_string()))?;
    table
        .into_iter()
        .map(|(name, value)| {
            let name = known(&name)?;
            match value {
                toml::Value::String(text) => Ok((name, text)),
                toml::Value::Integer(number) => Ok((name, number.to_string())),
                toml::Value::Float(_)
                | toml::Value::Boolean(_)
                | toml::Value::Datetime(_)
                | toml::Value::Array(_)
                | toml::Value::Table(_) => {
                    Err(SettingsError::Value { name, message: "a text or a number is expected".to_owned() })
                }
            }
        })
        .collect()
}

impl Values {
    fn log_limit(&self) -> Result<u64, SettingsError> {
        self.size("log_limit", LOG_LIMIT, "from 1 kB to 1 GB", LOG_LIMITS)
    }

    fn settings(&self) -> Result<Settings, SettingsError> {
        let data = PathBuf::from(self.get("data").unwrap_or("./containerops-data"));
        let path = |name: &'static str, default: &str| self.get(name).map_or_else(|| data.join(default), PathBuf::from);
        let in_data = |scheme: &str, name: &str| format!("{scheme}:{}", data.join(name).display());
        Ok(Settings {
            listen: self.parse("listen")?.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            public_url: self.url("public_url")?,
            agent_url: self.url("agent_url")?,
            agent_listen: self.parse("agent_listen")?,
            metrics_listen: self.parse("metrics_listen")?,
            metrics_tokens: self.secrets("metrics_token"),
            database_url: self.get("database_url").map_or_else(|| in_data("sqlite", "containerops.db"), str::to_owned),
            database_connections: self.database_connections()?,
            blob_url: self.get("blob_url").map_or_else(|| in_data("file", "blobs"), str::to_owned),
            s3: self.s3()?,
            retention: self.list("retention")?,
            executor: self.executor()?,
            kubernetes_namespace: self.get("kubernetes_namespace").unwrap_or("containerops").to_owned(),
            kubernetes_namespace_per: self.namespace_per()?,
            kubernetes_agent_image: self.get("kubernetes_agent_image").unwrap_or(AGENT_IMAGE).to_owned(),
            insecure_registries: self
                .get("kubernetes_insecure_registries")
                .map(|all| all.split([' ', ',']).filter(|one| !one.is_empty()).map(str::to_owned).collect())
                .unwrap_or_default(),
            kubeconfig: self.get("kubernetes_kubeconfig").map(PathBuf::from),
            kubectl_namespaces: self.list("kubectl_namespaces")?,
            kubectl_private_urls: self.words("kubectl_private_urls"),
            docker_host: self.docker_host()?,
            docker_network: self.get("docker_network").map(str::to_owned),
            docker_agent: self.get("docker_agent").map(PathBuf::from),
            secret_key_file: path("secret_key_file", "secret-key"),
            github: self.github()?,
            gitlab: self.gitlab()?,
            access: self.access()?,
            gitea: self.gitea()?,
            git_root: path("git_root", "git"),
            git_webhook_secrets: self.secrets("git_webhook_secret"),
            untrusted: self.untrusted()?,
            privileged_images: self.list("privileged_images")?,
            trigger_repositories: self.list("trigger_repositories")?,
            smtp: self.smtp()?,
            webhook_secrets: self.signing_keys("webhook_secret")?,
            webhook_private_urls: self.words("webhook_private_urls"),
            job_timeout: self.hours("job_timeout", 24)?,
            run_timeout: self.hours("run_timeout", 24 * 7)?,
            log_limit: self.log_limit()?,
            artifact_limit: self.size("artifact_limit", ARTIFACT_LIMIT, "from 1 MB to 1 TB", SIZES)?,
            cache_limit: self.size("cache_limit", CACHE_LIMIT, "from 1 MB to 1 TB", SIZES)?,
            artifact_keep: self.hours("artifact_keep", ARTIFACT_KEEP_HOURS)?,
            contact_timeout: self.minutes("contact_timeout", 15)?,
            sweep_interval: self.minutes("sweep_interval", 5)?,
            limits: self.limits()?,
            log_format: self.log_format()?,
            traces: self.traces()?,
            data,
        })
    }
}

/// Bytes of a log that are kept, if nobody says otherwise.
const LOG_LIMIT: u64 = 200_000_000;
/// What a log may be limited to: agents keep it on the disks of their pods, which are limited, too.
const LOG_LIMITS: RangeInclusive<u64> = 1_000..=1_000_000_000;
/// What an artifact may have if nobody says otherwise.
const ARTIFACT_LIMIT: u64 = 5_000_000_000;
/// What a cache may have if nobody says otherwise.
const CACHE_LIMIT: u64 = 2_000_000_000;
/// What it, and other bundles, may be limited to.
const SIZES: RangeInclusive<u64> = 1_000_000..=1_000_000_000_000;
/// 30 days.
const ARTIFACT_KEEP_HOURS: u64 = 30 * 24;
/// The image of this very release, by the name under which `deploy/` builds it.
const AGENT_IMAGE: &str = concat!("containerops:", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], file: Option<&str>) -> Result<Settings, SettingsError> {
        Settings::read(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())), file)
    }

    #[test]
    fn variables_stand_over_the_file_and_the_file_over_defaults() {
        let file = "listen = \"127.0.0.1:1\"\ndata = \"/var/lib/co\"\n";
        let settings = read(&[("CONTAINEROPS_LISTEN", "127.0.0.1:2"), ("HOME", "/")], Some(file)).expect("good");
        assert_eq!(settings.listen.port(), 2);
        assert_eq!(settings.database_url, "sqlite:/var/lib/co/containerops.db");
        assert_eq!(settings.kubernetes_namespace, "containerops");
    }

    #[test]
    fn a_typing_mistake_is_an_error_that_names_the_nearest() {
        let error = read(&[("CONTAINEROPS_LISTN", "127.0.0.1:2")], None).expect_err("unknown");
        assert_eq!(error.to_string(), "`listn` is no setting; did you mean `listen`?");
        let error = read(&[], Some("executor = \"dokker\"")).expect_err("there is none");
        assert!(error.to_string().contains("kubernetes"), "{error}");
    }

    #[test]
    fn an_engine_is_a_socket_or_an_address() {
        let host = |text: &str| read(&[("CONTAINEROPS_DOCKER_HOST", text)], None).map(|settings| settings.docker_host);
        assert_eq!(host("/run/docker.sock"), Ok(Some("unix:///run/docker.sock".to_owned())));
        assert_eq!(host("tcp://127.0.0.1:2375"), Ok(Some("tcp://127.0.0.1:2375".to_owned())));
        assert!(host("ssh://builder").is_err_and(|error| error.to_string().contains("unix:///path")));
    }

    #[test]
    fn half_an_app_is_refused_and_several_secrets_are_valid() {
        let half = [("CONTAINEROPS_GITHUB_WEBHOOK_SECRET", "a b"), ("CONTAINEROPS_GITHUB_APP_ID", "7")];
        assert!(read(&half, None).is_err());
        let settings = read(&half[..1], None).expect("good");
        assert_eq!(settings.github.map(|github| github.webhook_secrets.len()), Some(2));
    }

    #[test]
    fn a_logs_limit_is_a_size_that_fits_into_a_pod() {
        let limit = |text: &str| read(&[("CONTAINEROPS_LOG_LIMIT", text)], None).map(|settings| settings.log_limit);
        assert_eq!(limit(""), Ok(200_000_000));
        for (text, bytes) in [("5000", 5_000), ("2MB", 2_000_000), ("1 GB", 1_000_000_000), ("64 KiB", 65_536)] {
            assert_eq!(limit(text), Ok(bytes), "{text}");
        }
        for text in ["0", "-1", "2 GB", "much", "1.5 MB", "99999999999999999999", "9999999999999 GB"] {
            assert!(limit(text).is_err_and(|error| error.to_string().contains("200 MB")), "{text}");
        }
    }

    #[test]
    fn what_kubernetes_makes_for_our_own_service_is_no_setting() {
        let made = [("CONTAINEROPS_SERVICE_HOST", "10.0.0.1"), ("CONTAINEROPS_PORT_8080_TCP", "tcp://…")];
        assert!(read(&made, None).is_ok());
    }
}
