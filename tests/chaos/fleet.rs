//! Several servers on one PostgreSQL, behind something that shares connections out among them as a Kubernetes service
//! does. At a steady pace one of them is killed or stands still for a while; the others go on. In the middle the database
//! itself may be started anew.

use std::{
    net::SocketAddr,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{Notify, watch},
    task::JoinSet,
};

use super::{
    dice::Dice,
    failover::Held,
    service::{Service, Setup},
};

/// How long somebody is away who was killed.
const AWAY: Duration = Duration::from_millis(1500);
/// A server that stands still is not asked any more after this long: that is how a service notices.
const NOTICED: Duration = Duration::from_secs(1);

/// What happened to the servers.
#[derive(Debug, Default, Clone)]
pub(crate) struct Blows {
    pub(crate) kills: usize,
    pub(crate) pauses: usize,
    pub(crate) restarts_of_the_database: usize,
    /// From each kill until others had what the server held.
    pub(crate) taken_over: Vec<Duration>,
}

/// What one server is to the service before it.
#[derive(Debug)]
struct Backend {
    address: SocketAddr,
    answers: AtomicBool,
    /// Rung when it is not to be asked any more.
    cut: Notify,
}

/// Where everybody asks.
#[derive(Debug)]
pub(crate) struct Balancer {
    backends: Vec<Backend>,
    next: AtomicUsize,
}

impl Balancer {
    /// Listens at `address` for these.
    pub(crate) async fn start(address: SocketAddr, backends: &[SocketAddr]) -> Arc<Self> {
        let backend =
            |address: &SocketAddr| Backend { address: *address, answers: AtomicBool::new(true), cut: Notify::new() };
        let new = Arc::new(Self { backends: backends.iter().map(backend).collect(), next: AtomicUsize::new(0) });
        let (listener, balancer) = (TcpListener::bind(address).await.expect("a port"), Arc::clone(&new));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&balancer).carry(client));
            }
        });
        new
    }

    /// To the first that can be reached, beginning with another one each time.
    async fn carry(self: Arc<Self>, mut client: TcpStream) {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for n in 0..self.backends.len() {
            let backend = &self.backends[(first + n) % self.backends.len()];
            if !backend.answers.load(Ordering::Relaxed) {
                continue;
            }
            let Ok(mut server) = TcpStream::connect(backend.address).await else { continue };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                () = backend.cut.notified() => {}
            }
            return;
        }
    }

    fn answers(&self, at: usize, answers: bool) {
        let backend = &self.backends[at];
        backend.answers.store(answers, Ordering::Relaxed);
        if !answers {
            backend.cut.notify_waiters();
        }
    }
}

/// Servers that live, some of the time.
pub(crate) struct Fleet {
    services: Vec<Option<Service>>,
    balancer: Arc<Balancer>,
    /// As often of a hundred times somebody is killed; else he stands still.
    killed: u64,
    /// For how many milliseconds.
    stills: Range<u64>,
    database: String,
    /// A command that starts the database anew.
    restart: Option<String>,
}

impl Fleet {
    /// All of them.
    pub(crate) async fn start(
        setups: Vec<Setup>,
        at: SocketAddr,
        (killed, stills): (u64, Range<u64>),
        (database, restart): (String, Option<String>),
    ) -> Self {
        let addresses: Vec<_> = setups.iter().map(|setup| setup.address).collect();
        let balancer = Balancer::start(at, &addresses).await;
        let mut setups = setups.into_iter();
        // it makes the keys that all of them have
        let first = Service::start(setups.next().expect("one at least")).await;
        let others = futures::future::join_all(setups.map(Service::start)).await;
        let services = std::iter::once(first).chain(others).map(Some).collect();
        Self { services, balancer, killed, stills, database, restart }
    }

    /// One blow every `pace`, until `calm` says true; then all are well again.
    pub(crate) async fn battered_until(
        mut self,
        mut calm: watch::Receiver<bool>,
        (pace, lasts): (Range<u64>, Duration),
        mut dice: Dice,
    ) -> (Self, Blows) {
        let (mut blows, mut recovering) = (Blows::default(), JoinSet::<(usize, Recovered)>::new());
        let (began, mut restart) = (Instant::now(), self.restart.take());
        while !*calm.borrow() {
            let pause = Duration::from_millis(dice.between(pace.start, pace.end));
            if tokio::time::timeout(pause, calm.changed()).await.is_ok() {
                break;
            }
            while let Some(recovered) = recovering.try_join_next() {
                self.has_recovered(recovered.expect("nobody panics"), &mut blows);
            }
            if began.elapsed() > lasts / 2
                && let Some(command) = restart.take()
            {
                start_anew(&command).await;
                blows.restarts_of_the_database += 1;
            }
            // one at least goes on
            let well: Vec<usize> = (0..self.services.len()).filter(|at| self.services[*at].is_some()).collect();
            if well.len() < 2 {
                continue;
            }
            let at = well[dice.between(0, well.len() as u64) as usize];
            let service = self.services[at].take().expect("it is well");
            let balancer = Arc::clone(&self.balancer);
            if dice.happens(self.killed) {
                blows.kills += 1;
                let database = self.database.clone();
                recovering.spawn(async move { (at, killed(service, &balancer, at, &database).await) });
            } else {
                blows.pauses += 1;
                let still = Duration::from_millis(dice.between(self.stills.start, self.stills.end));
                recovering.spawn(async move { (at, (paused(service, &balancer, at, still).await, None)) });
            }
        }
        while let Some(recovered) = recovering.join_next().await {
            self.has_recovered(recovered.expect("nobody panics"), &mut blows);
        }
        (self, blows)
    }

    fn has_recovered(&mut self, (at, (service, taken_over)): (usize, Recovered), blows: &mut Blows) {
        self.services[at] = Some(service);
        blows.taken_over.extend(taken_over);
    }
}

/// A server that is well again, and how long it took others to go on with what it had.
type Recovered = (Service, Option<Duration>);

async fn killed(service: Service, balancer: &Balancer, at: usize, database: &str) -> Recovered {
    let id = service.id();
    let setup = service.end().await;
    balancer.answers(at, false);
    let taken_over = async {
        match Held::by(database, id).await {
            Some(held) => held.until_others_have_it().await,
            None => None,
        }
    };
    let ((), taken_over) = tokio::join!(tokio::time::sleep(AWAY), taken_over);
    let service = Service::start(setup).await;
    balancer.answers(at, true);
    (service, taken_over)
}

async fn paused(service: Service, balancer: &Balancer, at: usize, still: Duration) -> Service {
    service.signal("STOP").await;
    tokio::time::sleep(still.min(NOTICED)).await;
    balancer.answers(at, false);
    tokio::time::sleep(still.saturating_sub(NOTICED)).await;
    service.signal("CONT").await;
    balancer.answers(at, true);
    service
}

async fn start_anew(command: &str) {
    let done = Command::new("bash").args(["-c", command]).status().await.expect("bash");
    assert!(done.success(), "the database could not be started anew");
}
