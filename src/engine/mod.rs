//! The engine makes runs of deliveries and drives them to their end.
//!
//! Every loop of it asks the database what is true now and does what follows; a [`Change`](crate::store::Change) only
//! wakes it early. What is decided is decided by pure functions ([`advance()`], [`verdict()`]), and written in one
//! transaction with all that follows from it ([`settle`]).
//!
//! - [`intake`]: a delivery becomes events, an event runs; [`draft`] (pure) says which;
//! - `trust`: whose code an event brings; [`vetting`]: runs of untrusted code wait for somebody;
//! - [`recover`]: what webhooks did not bring becomes deliveries, late;
//! - [`drive`]: a queued action becomes an attempt on the executor, and is watched to its end;
//! - [`share`]: whose turn it is to use what quotas grant; pure; `admit` lets them start;
//! - [`queue`]: which runs of a group may go, which wait, and which are superseded;
//! - `quota`: what may be used, and is; `storage`: what may be kept;
//! - [`problem`]: what a log says of lines of files; pure;
//! - `pin`: what its images are, by digest;
//! - [`mod@log`], [`scan`]: logs, read part by part, and looked through as a whole; [`fault`]: which line people look for; [`fold`]: what of them has a title;
//! - [`kubectl`]: jobs without a container, whose work the engine does itself;
//! - [`service`]: what runs beside jobs, and when they may start;
//! - [`turn`]: what agents ask and tell; `claim`: how they ask for their turn;
//! - `contact`: what it means that an agent is silent;
//! - `bundle`: the artifacts that agents put and fetch; [`cache`]: the caches; [`shelf`]: how people read them;
//! - `keep`: secrets are set and removed; `secret`: which of them a job gets; `vault`: how they are kept; `hide`: how nobody sees them;
//! - [`source`]: snapshots of commits, which pods stream;
//! - [`control`]: what people ask: cancel;
//! - [`rerun`]: once more, wholly or in part;
//! - [`start`]: what starts flows besides what happens on a forge;
//! - `trigger`: jobs that start other flows;
//! - [`trace`]: what runs did and when, for whoever collects such things;
//! - `replay`, [`dry_run`]: a recorded delivery once more, for real and only in thought;
//! - `lot`: what many ask for at once is done in one transaction;
//! - [`janitor`]: what nobody needs any more is removed;
//! - [`tell`]: what forges are to show, as rows; [`report`](crate::report) sends them.

mod absent;
mod admit;
mod advance;
mod append;
mod bundle;
pub mod cache;
mod checkout;
mod circumstances;
mod claim;
pub mod closing;
pub mod collect;
mod comment;
mod contact;
pub mod control;
mod counted;
pub mod draft;
pub mod drive;
pub mod dry_run;
pub mod event;
pub mod fault;
pub mod fold;
mod hide;
mod inputs;
pub mod intake;
pub mod janitor;
pub mod junit;
pub mod keep;
mod keys;
pub mod kubectl;
mod lease;
pub mod log;
mod lot;
mod matrix;
mod noted;
mod notice;
mod outcome;
mod patience;
pub mod pause;
mod pin;
mod placement;
pub mod problem;
pub mod queue;
mod quota;
pub mod recover;
mod remains;
mod remarks;
mod replay;
pub mod rerun;
mod retry;
pub mod rule;
pub mod scan;
mod seal;
mod secret;
pub mod service;
mod settle;
pub mod share;
pub mod shelf;
pub mod source;
pub mod start;
mod storage;
mod tail;
mod tally;
pub mod tell;
pub mod tested;
pub mod timeline;
pub mod title;
mod token;
pub mod trace;
mod trigger;
mod trust;
pub mod turn;
mod turns;
mod vault;
mod verdict;
pub mod vetting;
mod watch;
pub mod whole;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use crate::{
    blob::Blobs,
    executor::{Executor, registry::Registry},
    flow::Given,
    forge::{Forge, mirror::Mirrors},
    model::{AllowedTrigger, Clock, Deed, ForgeKind, PrivilegedImage, RetentionRule, Time, UntrustedRule},
    store::{Store, StoreError, Tx},
};

use contact::Contact;
use hide::Hidden;
use lease::Leases;
use lot::Lots;

pub use admit::month_of;
pub use advance::{Move, Pause, Seat, Seen, Standing, Stop, advance, worst};
pub use keep::{Kept, SECRET_EVENTS, SECRET_LENGTHS, Unkept, check_branches, check_images, check_limits};
pub use keys::REGISTRY_SECRET;
pub use patience::Patience;
pub use quota::QuotaUse;
pub use retry::{After, Again, again};
pub use secret::{Asked, Withheld, choose};
pub use token::{Key, hash};
pub use turns::waiting;
pub use vault::{
    KeyFileError, UnfitValue, Vault, VaultError, add_key, check_secret, check_value, forget_old_keys, keys_in,
};
pub use verdict::{Evidence, verdict};

/// All that the engine works with. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Parts>,
    contact: Arc<Contact>,
    hidden: Arc<Hidden>,
    /// What is to be done together.
    lots: Arc<Lots>,
    waiting: Arc<claim::Waiting>,
    leases: Arc<Leases>,
    /// Who may read reports of tests.
    reports_at_once: Arc<Semaphore>,
    /// On whose wish, for the audit log.
    deed: Option<Arc<Deed>>,
}

/// What an [`Engine`] is made of.
pub struct Parts {
    /// The truth.
    pub store: Store,
    /// Logs and snapshots.
    pub blobs: Blobs,
    /// Where events come from.
    pub forges: BTreeMap<ForgeKind, Arc<dyn Forge>>,
    /// Where containers run.
    pub executor: Arc<dyn Executor>,
    /// What kubectl jobs change, and may.
    pub deploys: kubectl::Deploys,
    /// The repositories, as fetched.
    pub mirrors: Mirrors,
    /// Where images are asked for.
    pub registry: Registry,
    /// The present.
    pub clock: Clock,
    /// The server's own secret.
    pub key: Key,
    /// What keeps the secrets of others.
    pub vault: Vault,
    /// Where traces go, if they do.
    pub tracer: Option<trace::Tracer>,
    /// What is allowed, and where things are.
    pub settings: Settings,
}

/// What is allowed, and where things are.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What links show, without a slash at the end.
    pub public_url: String,
    /// What pods can reach, without a slash at the end.
    pub agent_url: String,
    /// Where snapshots are made before they are blobs.
    pub scratch: PathBuf,
    /// The most time a job may take, and one that asks for none.
    pub job_timeout: Duration,
    /// The most time a run may take, and one that asks for none.
    pub run_timeout: Duration,
    /// How long after a look for what webhooks did not bring the next one follows; zero: there is none.
    pub sweep_interval: Duration,
    /// The most bytes of a log.
    pub log_limit: u64,
    /// The most bytes of an artifact, as a tar.
    pub artifact_limit: u64,
    /// The most bytes of a cache, as a tar.
    pub cache_limit: u64,
    /// How long an artifact is kept that does not say it itself.
    pub artifact_keep: Duration,
    /// Until when logs and artifacts of runs are kept.
    pub retention: Vec<RetentionRule>,
    /// Which repositories' jobs may start flows of which others.
    pub triggers: Vec<AllowedTrigger>,
    /// What becomes of untrusted code, in which repositories.
    pub untrusted: Vec<UntrustedRule>,
    /// Which images are privileged, in which repositories.
    pub privileged: Vec<PrivilegedImage>,
    /// Which receivers can be told.
    pub tells: Tells,
    /// How many runs of one repository may wait and run.
    pub queue_limit: u32,
    /// How long an agent may be silent while its pod runs, before the attempt is given up.
    pub contact_timeout: Duration,
    /// How long we wait for what else may not come.
    pub patience: Patience,
    /// What flows are given besides their files: nothing, but where somebody runs one by hand.
    pub given: Given,
}

/// Which receivers of a flow a server can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    /// By mail and by webhooks.
    All,
    /// By webhooks: there is no mail server.
    Webhooks,
    /// Nobody: somebody runs a flow on a machine of their own.
    Nobody,
}

/// Something went wrong that is not the author's doing: the loop logs it and tries again.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A blob.
    #[error(transparent)]
    Blob(#[from] crate::blob::BlobError),
    /// Rows that do not fit each other: a bug of ours.
    #[error("{0}")]
    Broken(String),
    /// A file of ours.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// What the engine's functions return.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

impl Engine {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        let contact = Arc::new(Contact::new(parts.clock.now()));
        let reports_at_once = Arc::new(Semaphore::new(tested::AT_ONCE));
        Self {
            inner: Arc::new(parts),
            contact,
            hidden: Arc::default(),
            lots: Arc::default(),
            waiting: Arc::default(),
            leases: Arc::default(),
            reports_at_once,
            deed: None,
        }
    }

    /// The same on somebody's wish: what changes by it is written down together with the change.
    pub fn doing(&self, deed: Deed) -> Self {
        Self { deed: Some(Arc::new(deed)), ..self.clone() }
    }

    /// Writes down what came of the wish that this engine acts on, as part of the change.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn note(&self, tx: &mut Tx, outcome: &str) -> Result<()> {
        match &self.deed {
            Some(deed) => Ok(tx.note(deed, outcome, self.now()).await?),
            None => Ok(()),
        }
    }

    fn now(&self) -> Time {
        self.clock.now()
    }
}

impl std::ops::Deref for Engine {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.inner
    }
}
