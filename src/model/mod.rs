//! The nouns of a CI service: their ids, names and states. No input, no output, no opinion about databases or HTTP.
//!
//! A *flow* has *stages*, a stage has *actions*, an action has *jobs*; a *run* is one execution of a flow for one
//! [`Event`] at one commit. What a run will do is its [`Plan`], fixed when the run is made.

mod access;
mod address;
mod amount;
mod approval;
mod checkout;
mod closing;
mod comment;
mod concurrency;
mod deed;
mod event;
mod finding;
mod fold;
mod header;
mod hook;
mod id;
mod infrastructure;
mod input;
mod kubectl;
mod late;
mod listed;
mod moments;
mod name;
mod number;
mod order;
mod phase;
mod plan;
mod privileged;
mod problem;
mod quota;
mod receiver;
mod report;
mod rerun;
mod retention;
mod retry;
mod secret;
mod service;
mod start;
mod state;
mod tested;
mod time;
mod trigger;
mod trust;
mod untrusted;
mod verdict;

pub use access::{GitReaders, Login, Right, Scope, Scopes, Visibility};
pub use address::is_public;
pub use amount::{amount, compare};
pub use approval::{Answer, Approval, Approver, Proof, Question, Via};
pub use checkout::{Checkout, CheckoutOptions, Reference, Submodules};
pub use closing::{Audience, Closing, PullEnd};
pub use comment::{Comment, CommentForm, CommentPlace, Order, Role, Thread, Verb};
pub use concurrency::{Concurrency, Policy, QueuePlace, Waiting};
pub use deed::Deed;
pub use event::{ChangedFiles, Event, EventKind, PullRequest, Repository};
pub use finding::{Finding, Health};
pub use fold::Fold;
pub use header::{HIDDEN, is_secret_header};
pub use hook::{HookFault, HookFaultKind, HookState};
pub use id::{
    ActionId, ArtifactId, AttemptId, AuditId, BundleId, CacheId, DeliveryId, IdError, JobId, PersonId, ReportId,
    RepositoryId, RunId, TokenId,
};
pub use infrastructure::Infrastructure;
pub use input::{Input, Source};
pub use kubectl::{AllowedNamespace, Kubectl, Manifest};
pub use late::Late;
pub use listed::{EVENTS, Listed, PAUSED, StateFilter};
pub use moments::{Moments, Pull, Ran};
pub use name::{ForgeKind, JobPath, NameError, RepositoryName, Sha};
pub use number::{Counted, Grouped, Size};
pub use order::orders;
pub use phase::{Phase, PhaseKind, fitted, partition};
pub use plan::{
    ActionPlan, Artifact, Cache, CacheHit, Cell, Diagnostic, Download, JobPlan, KeepOn, Output, Plan, PlanDigest,
    Program, Reports, Resources, Sequencing, Severity, StageKind, StagePlan, Subscription, When,
};
pub use privileged::PrivilegedImage;
pub use problem::{Level, Problem};
pub use quota::{LIMITS, Month, Need, Quota, QuotaScope, QuotaValue, cpu_text, memory_text};
pub use receiver::{Good, News, Receiver, Way};
pub use report::{Annotation, Conclusion, Context, Headline, Progress, Rank, Report};
pub use rerun::{ActionPath, Button, ExternalId, FlowChoice, FlowSource, Repeats, Rerun, What, Wish};
pub use retention::{Aged, Limits, Over, RetentionRule};
pub use retry::{Retry, RetryOn};
pub use secret::{Grants, SecretLevel, SecretLimits, SecretName, SecretScope, Wanted as WantedSecrets, Wants};
pub use service::{Check, Ready, Service};
pub use start::{ManualInput, Schedule, Start, Starter, Wanted};
pub use state::{ActionState, AttemptState, DeliveryPhase, DeliveryState, JobState, RunState};
pub use tested::{FailedTest, Outcome, Tests};
pub use time::{Clock, SharedClock, Time, backoff};
pub use trigger::{AllowedTrigger, Trigger, Wait};
pub use trust::{Granted, Trust, TrustedEvent, UntrustedReason};
pub use untrusted::{Admission, Author, Behind, FlowFrom, RunUntrusted, UntrustedPolicy, UntrustedRule, Vouched};
pub use verdict::{RUN_TIME_LIMIT, Span, Verdict};
