//! Attempts as containers of an engine with Docker's API: Docker and Podman alike.
//!
//! An attempt is one container for each job and one volume, the workspace, all named by the attempt's id; so every call
//! can be repeated, by any process, and what is left over can be found by its labels alone. The agent and each job's
//! token are copied into the job's own container before it is started; nothing else of a flow is in its configuration.
//!
//! The containers of an attempt share one network, that of the last job: it is the last to end. Where there are services,
//! one container more has it.
//!
//! An engine that must fetch an image first is not waited for: the start says so, and is asked again when it is there.

mod agent;
mod connection;
mod container;
mod examine;
mod observation;
mod pull;
mod pulled;
mod watch;

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

use async_trait::async_trait;
use bollard::{
    models::{ContainerCreateBody, ContainerInspectResponse},
    query_parameters as query,
};
use futures::future::{join_all, try_join_all};

use self::{
    agent::Agent,
    connection::{Connection, Fault},
    container::Machine,
    observation::{Seen, moments, observation},
    pull::Pulls,
    pulled::Pulled,
    watch::Watch,
};
pub use self::{connection::hosts, examine::examine};
use super::{
    Changed, Container, Executor, ExecutorError, ExecutorKind, Hopeless, News, Observation, Placement, Sight, Unable,
    UntrustedCode, ability, label,
};
use crate::model::{AttemptId, Moments, Plan, Resources};

/// Between SIGTERM and SIGKILL when we end a container: whoever asks for it has told the agent before.
const REMOVE_GRACE_SECONDS: i32 = 5;

/// Which engine, and what is the same for all containers.
#[derive(Debug, Clone)]
pub struct DockerSettings {
    /// `unix:///path` or `tcp://host:port`.
    pub host: String,
    /// Which server's containers these are: others on the engine are left alone.
    pub server: String,
    /// The network of containers: `bridge`, `host`, or the name of one.
    pub network: String,
    /// The agent's program, linked statically. `None`: the one beside our own program, else the image's.
    pub agent: Option<PathBuf>,
    /// An image with the agent at `/containerops-agent`.
    pub agent_image: String,
    /// What a job may have that does not say.
    pub resources: Resources,
    /// Whether it runs code that nobody vouches for.
    pub untrusted: UntrustedCode,
}

impl DockerSettings {
    /// Settings for this engine, of a server without a name.
    pub fn new(host: impl Into<String>, agent_image: impl Into<String>) -> Self {
        let some = |quantity: &str| Some(quantity.to_owned());
        Self {
            host: host.into(),
            server: "unnamed".to_owned(),
            network: "bridge".to_owned(),
            agent: None,
            agent_image: agent_image.into(),
            resources: Resources { cpu_limit: some("4"), memory_limit: some("4Gi"), ..Resources::default() },
            untrusted: UntrustedCode::default(),
        }
    }
}

/// An engine.
pub struct Docker {
    settings: DockerSettings,
    connection: Connection,
    agent: Agent,
    pulls: Pulls,
    pulled: Pulled,
    news: Arc<News>,
    _watch: Watch,
}

impl Docker {
    /// Prepares the connection and begins to watch. The engine need not answer yet.
    ///
    /// # Errors
    /// [`ExecutorError::Refused`] if the settings make no sense.
    pub fn connect(settings: DockerSettings) -> Result<Self, ExecutorError> {
        let connection = Connection::new(&settings.host).map_err(|message| refused(&message))?;
        let agent = Agent::find(&settings).map_err(|message| refused(&message))?;
        tracing::info!(host = settings.host, network = settings.network, agent = %agent, "attempts become containers");
        let news = Arc::<News>::default();
        let watch = Watch::begin(connection.clone(), Arc::clone(&news));
        let pulls = Pulls::new(connection.clone());
        Ok(Self { settings, connection, agent, pulls, pulled: Pulled::default(), news, _watch: watch })
    }

    /// Whether something answers there as an engine does.
    pub async fn answers(host: &str) -> bool {
        match Connection::new(host) {
            Ok(connection) => connection.answers().await,
            Err(_) => false,
        }
    }

    /// All images are there, or the reason why not.
    async fn images(&self, placement: &Placement) -> Result<Option<Hopeless>, ExecutorError> {
        let tell = || {
            let (news, attempt) = (Arc::clone(&self.news), placement.attempt);
            move || news.tell(attempt)
        };
        let looked =
            placement.containers.iter().map(|container| self.pulls.ensure(&container.image, &placement.keys, tell()));
        let mut waiting = None;
        for (container, looked) in placement.containers.iter().zip(join_all(looked).await) {
            self.pulled.note(placement.attempt, container, &looked);
            match looked {
                Ok(pull::Fetched::Here) => {}
                Ok(pull::Fetched::Never(why)) => return Ok(Some(Hopeless { job: Some(container.job), why })),
                Ok(pull::Fetched::Soon(message)) => waiting = waiting.or(Some(message)),
                Err(fault) => return Err(away(fault.message())),
            }
        }
        waiting.map_or(Ok(None), |message| Err(away(message)))
    }

    async fn make(&self, placement: &Placement) -> Result<(), ExecutorError> {
        self.volume(placement, None).await?;
        let machine = self.machine().await?;
        let last = placement.containers.last().ok_or_else(|| refused("an attempt without jobs"))?;
        if container::needs_holder(placement, &self.settings) {
            self.hold_network(placement, last).await?;
        }
        let named = |one: &Container| container::name(placement.attempt, one);
        let made = placement.containers.iter().map(|one| {
            let wanted = container::body(placement, one, &self.settings, &machine);
            self.make_one(named(one), wanted, one)
        });
        try_join_all(made).await?;
        self.start_one(&named(last)).await?;
        let others = placement.containers.iter().filter(|one| one.job != last.job).map(named).collect::<Vec<_>>();
        try_join_all(others.iter().map(|name| self.start_one(name))).await?;
        Ok(())
    }

    /// Places what has the network: all others join it, so it runs before they are started.
    async fn hold_network(&self, placement: &Placement, beside: &Container) -> Result<(), ExecutorError> {
        let name = container::holder_name(placement);
        self.make_one(name.clone(), container::holder(placement, &beside.image, &self.settings), beside).await?;
        self.start_one(&name).await
    }

    async fn machine(&self) -> Result<Machine, ExecutorError> {
        let info = self.connection.call(async |docker| docker.info().await).await.map_err(Fault::away)?;
        Ok(Machine { cpus: info.ncpu.unwrap_or(0) })
    }

    /// The workspace; or, where nothing can ever run, what says so to whoever asks, also after a restart.
    async fn volume(&self, placement: &Placement, hopeless: Option<&Hopeless>) -> Result<(), ExecutorError> {
        let wanted = container::volume(placement, &self.settings, hopeless);
        let made = self.connection.call(async |docker| docker.create_volume(wanted.clone()).await).await;
        made.map(drop).map_err(Fault::of_creation)
    }

    async fn make_one(
        &self,
        name: String,
        wanted: ContainerCreateBody,
        container: &Container,
    ) -> Result<(), ExecutorError> {
        let options = query::CreateContainerOptionsBuilder::default().name(&name).build();
        let made = self
            .connection
            .call(async |docker| docker.create_container(Some(options.clone()), wanted.clone()).await)
            .await;
        match made {
            Ok(_) | Err(Fault::Exists) => {}
            Err(fault) => return Err(fault.of_creation()),
        }
        if !self.is_new(&name).await? {
            return Ok(());
        }
        let agent = self.agent.program(&self.connection).await?;
        let tar = container::files(container, &agent).map_err(|error| away(error.to_string()))?;
        let options = query::UploadToContainerOptionsBuilder::default().path("/").build();
        let copied = self.connection.call(async |docker| {
            docker.upload_to_container(&name, Some(options.clone()), bollard::body_full(tar.clone())).await
        });
        copied.await.map_err(Fault::of_creation)
    }

    /// Starts a container that has never been: one that has ended is not started again.
    async fn start_one(&self, name: &str) -> Result<(), ExecutorError> {
        if !self.is_new(name).await? {
            return Ok(());
        }
        let options = query::StartContainerOptions::default();
        let started = self.connection.call(async |docker| docker.start_container(name, Some(options.clone())).await);
        match started.await {
            Ok(()) => Ok(()),
            // what the engine says of it is kept with the container, and is seen there
            Err(Fault::Refused(message) | Fault::Failed(message)) => match self.inspect(name).await? {
                Some(seen) if observation::trouble(&seen).is_some() => Ok(()),
                Some(_) | None => Err(away(message)),
            },
            Err(fault) => Err(away(fault.message())),
        }
    }

    async fn is_new(&self, name: &str) -> Result<bool, ExecutorError> {
        let seen = self.inspect(name).await?;
        seen.map(|seen| observation::is_new(&seen))
            .ok_or_else(|| away(format!("the container {name} went away just now")))
    }

    async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>, ExecutorError> {
        let asked = self.connection.look(async move |docker| docker.inspect_container(name, None).await).await;
        match asked {
            Ok(seen) => Ok(Some(seen)),
            Err(Fault::Missing(_)) => Ok(None),
            Err(fault) => Err(away(fault.message())),
        }
    }

    /// The names of what is left with this label, running or not.
    async fn containers(&self, label: &str) -> Result<Vec<bollard::models::ContainerSummary>, ExecutorError> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = query::ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listed = self.connection.look(async |docker| docker.list_containers(Some(options.clone())).await);
        listed.await.map_err(Fault::away)
    }

    async fn seen(&self, attempt: AttemptId) -> Result<Vec<Seen>, ExecutorError> {
        let found = self.containers(&format!("{}={attempt}", label::ATTEMPT)).await?;
        let looks = found.iter().filter_map(|one| one.id.as_deref()).map(async |id| {
            let Some(container) = self.inspect(id).await? else { return Ok(None) };
            let record = if observation::has_ended(&container) { self.record(id).await } else { None };
            Ok::<_, ExecutorError>(Some(Seen { container, record }))
        });
        Ok(try_join_all(looks).await?.into_iter().flatten().collect())
    }

    /// The end record that an agent has left in its container. What cannot be had is no evidence.
    async fn record(&self, id: &str) -> Option<String> {
        let bytes = self.connection.file(id, container::END).await.ok()?;
        String::from_utf8(bytes).ok().filter(|text| !text.trim().is_empty())
    }

    /// What a volume without containers says.
    async fn mark(&self, attempt: AttemptId) -> Result<Observation, ExecutorError> {
        let name = label::object_name(attempt);
        match self.connection.call(async |docker| docker.inspect_volume(&name).await).await {
            Ok(volume) => Ok(container::hopeless(&volume.labels).map_or(Observation::Absent, |hopeless| {
                Observation::Waiting { message: String::new(), hopeless: Some(hopeless) }
            })),
            Err(Fault::Missing(_)) => Ok(Observation::Absent),
            Err(fault) => Err(fault.away()),
        }
    }

    async fn remove_one(&self, id: &str, running: bool) -> Result<(), ExecutorError> {
        if running {
            let options = query::StopContainerOptionsBuilder::default().t(REMOVE_GRACE_SECONDS).build();
            let stopped = self.connection.call(async |docker| docker.stop_container(id, Some(options.clone())).await);
            gone_is_fine(stopped.await)?;
        }
        let options = query::RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let removed = self.connection.call(async |docker| docker.remove_container(id, Some(options.clone())).await);
        gone_is_fine(removed.await)
    }
}

#[async_trait]
impl Executor for Docker {
    fn kind(&self) -> ExecutorKind {
        ExecutorKind::Docker
    }

    fn unable(&self, plan: &Plan) -> Vec<Unable> {
        ability::of_engines(plan)
    }

    fn unable_to_isolate(&self) -> Option<Unable> {
        let network = "untrusted code would share this machine's kernel, and a network that nothing of this machine or its \
                       neighbours is kept out of";
        self.settings.untrusted.unable(network)
    }

    async fn start(&self, placement: &Placement) -> Result<(), ExecutorError> {
        match self.images(placement).await? {
            Some(hopeless) => self.volume(placement, Some(&hopeless)).await,
            None => self.make(placement).await,
        }
    }

    async fn look(&self, attempt: AttemptId) -> Result<Sight, ExecutorError> {
        let seen = self.seen(attempt).await?;
        let observation = if seen.is_empty() { self.mark(attempt).await? } else { observation(&seen) };
        let moments = Moments { pulls: self.pulled.of(attempt), ..moments(&seen) };
        Ok(Sight { observation, moments })
    }

    async fn remove(&self, attempt: AttemptId) -> Result<(), ExecutorError> {
        let left = self.containers(&format!("{}={attempt}", label::ATTEMPT)).await?;
        let removed = left.iter().filter_map(|one| {
            let running = one.state.is_some_and(|state| state == bollard::models::ContainerSummaryStateEnum::RUNNING);
            Some(self.remove_one(one.id.as_deref()?, running))
        });
        try_join_all(removed).await?;
        let name = label::object_name(attempt);
        let removed =
            self.connection.call(async |docker| docker.remove_volume(&name, None::<query::RemoveVolumeOptions>).await);
        gone_is_fine(removed.await)?;
        self.pulled.forget(attempt);
        self.news.tell(attempt);
        Ok(())
    }

    async fn attempts(&self) -> Result<Vec<AttemptId>, ExecutorError> {
        let ours = format!("{}={}", label::SERVER, label::value(&self.settings.server));
        let containers = self.containers(&ours).await?;
        let filters = HashMap::from([("label", vec![ours.as_str()])]);
        let options = query::ListVolumesOptionsBuilder::default().filters(&filters).build();
        let volumes = self.connection.call(async |docker| docker.list_volumes(Some(options.clone())).await);
        let volumes = volumes.await.map_err(Fault::away)?.volumes.unwrap_or_default();
        let labels =
            containers.into_iter().filter_map(|one| one.labels).chain(volumes.into_iter().map(|one| one.labels));
        let found: BTreeSet<AttemptId> = labels.filter_map(|labels| labels.get(label::ATTEMPT)?.parse().ok()).collect();
        Ok(found.into_iter().collect())
    }

    async fn changed(&self) -> Changed {
        self.news.next().await
    }
}

fn gone_is_fine(answer: Result<(), Fault>) -> Result<(), ExecutorError> {
    match answer {
        Ok(()) | Err(Fault::Missing(_)) => Ok(()),
        Err(fault) => Err(fault.away()),
    }
}

fn away(message: String) -> ExecutorError {
    ExecutorError::Away { kind: ExecutorKind::Docker, message }
}

fn refused(message: &str) -> ExecutorError {
    ExecutorError::Refused { kind: ExecutorKind::Docker, message: message.to_owned() }
}
