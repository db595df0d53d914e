//! One life of the service: from its start to the moment somebody pulls the plug.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use containerops::{
    app::App,
    engine,
    forge::{Forge, github::Github},
    model::{Clock, ForgeKind},
    settings::Settings,
};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{Identity, Neighbour, OLD_SECRET, gallery};
use crate::harness::{database::Database, github::ModelGithub, pods::Pods};

/// The service, and the task that listens for it.
pub(super) struct Assembled {
    pub(super) app: App,
    pub(super) url: String,
    server: JoinHandle<()>,
}

impl Assembled {
    pub(super) async fn of(
        (data, database): (&Path, &Database),
        (github, identity): (&ModelGithub, Identity),
        neighbours: &[Neighbour],
        pods: &Pods,
        clock: &Clock,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let settings = settings(data, database);
        let limits = engine::Settings {
            public_url: "https://ci.example.com".to_owned(),
            agent_url: url.clone(),
            scratch: data.join("scratch"),
            privileged: settings.privileged_images.clone(),
            triggers: settings.trigger_repositories.clone(),
            untrusted: settings.untrusted.rules.clone(),
            tells: if settings.smtp.is_some() { engine::Tells::All } else { engine::Tells::Webhooks },
            sweep_interval: Duration::from_secs(300),
            job_timeout: settings.job_timeout,
            run_timeout: settings.run_timeout,
            log_limit: settings.log_limit,
            artifact_limit: settings.artifact_limit,
            artifact_keep: settings.artifact_keep,
            cache_limit: settings.cache_limit,
            retention: settings.retention.clone(),
            queue_limit: settings.limits.queue,
            contact_timeout: Duration::from_secs(15 * 60),
            patience: engine::Patience::default(),
            given: containerops::flow::Given::default(),
        };
        let mut github = match identity {
            Identity::App => github.settings(),
            Identity::Token => github.settings_with_token(),
        };
        github.webhook_secrets.push(OLD_SECRET.into());
        let forge: Arc<dyn Forge> = Arc::new(Github::new(github).expect("good settings"));
        let others = neighbours.iter().map(|neighbour| neighbour()).map(|forge| (forge.kind(), forge));
        let forges: BTreeMap<ForgeKind, _> = others.chain([(ForgeKind::Github, forge)]).collect();
        let app = App::of_parts(&settings, Arc::new(pods.clone()), forges, limits, clock.clone());
        let app = app.await.expect("the service can be assembled");
        let router = gallery::hung(app.router()).into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { app, url, server }
    }
}

impl Drop for Assembled {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// As an operator has written them.
fn settings(folder: &Path, database: &Database) -> Settings {
    let data = ("CONTAINEROPS_DATA".to_owned(), folder.display().to_string());
    let database = ("CONTAINEROPS_DATABASE_URL".to_owned(), database.url.clone());
    // every image that a story asks a registry for is on this machine
    let insecure = ("CONTAINEROPS_INSECURE_REGISTRIES".to_owned(), "127.0.0.1".to_owned());
    let file = std::fs::read_to_string(folder.join("containerops.toml")).unwrap_or_default();
    // stories are short, unless one says otherwise
    let short = if file.contains("timeout") { "" } else { "job_timeout = 1\nrun_timeout = 4\n" };
    // and nobody signs in
    let open = if file.contains("access") { "" } else { "access = \"open\"\n" };
    Settings::read([data, database, insecure], Some(&format!("{short}{open}{file}"))).expect("good settings")
}
