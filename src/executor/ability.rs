//! What an executor cannot do, said by name when a run is planned, and not when one of its jobs dies of it.

use crate::model::{ActionPlan, JobPlan, Plan, Program};

/// One thing of a plan that an executor cannot do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unable {
    /// Which job, and what of it.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

/// Whether an executor runs code that it cannot keep apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UntrustedCode {
    /// It does not.
    #[default]
    Refused,
    /// Somebody has allowed it.
    Taken,
}

impl UntrustedCode {
    pub(super) fn unable(self, message: &str) -> Option<Unable> {
        (self == Self::Refused).then(|| Unable {
            message: message.to_owned(),
            hint: "use the executor kubernetes; CONTAINEROPS_UNTRUSTED_ISOLATION=none runs it all the same",
        })
    }
}

/// What processes of a machine cannot do: they are in no image, and nothing limits them.
pub(super) fn of_processes(plan: &Plan) -> Vec<Unable> {
    actions(plan).flat_map(|(path, action)| of_action(&path, action)).collect()
}

/// What Docker and Podman cannot do: their containers run where they are.
pub(super) fn of_engines(plan: &Plan) -> Vec<Unable> {
    actions(plan).filter_map(|(path, action)| node(&path, action)).collect()
}

fn actions(plan: &Plan) -> impl Iterator<Item = (String, &ActionPlan)> {
    let of_stage = |stage: &crate::model::StagePlan, action: &ActionPlan| format!("{}.{}", stage.name, action.name);
    plan.stages.iter().flat_map(move |stage| stage.actions.iter().map(move |action| (of_stage(stage, action), action)))
}

fn of_action(path: &str, action: &ActionPlan) -> Vec<Unable> {
    let services = action.services.iter().map(|service| Unable {
        message: format!("action {path}: processes share one machine, so the service {} cannot run", service.job.name),
        hint: "use the executor docker or kubernetes",
    });
    let runtime = action.runtime.as_ref().map(|runtime| Unable {
        message: format!("action {path}: processes are not isolated at all, and not by the runtime {runtime}"),
        hint: "remove `runtime`, or use the executor docker or kubernetes",
    });
    // a job without a container is none of the executor's
    let jobs = action.jobs.iter().filter(|job| !job.is_podless());
    let jobs = jobs.flat_map(|job| of_job(&format!("{path}.{}", job.name), job));
    services.chain(runtime).chain(node(path, action)).chain(jobs).collect()
}

fn node(path: &str, action: &ActionPlan) -> Option<Unable> {
    let labels: Vec<String> = action.node.iter().map(|(name, value)| format!("{name}={value}")).collect();
    (!labels.is_empty()).then(|| Unable {
        message: format!("action {path}: there is one machine, and no node to choose by {}", labels.join(", ")),
        hint: "remove `node`, or use the executor kubernetes",
    })
}

fn of_job(path: &str, job: &JobPlan) -> Vec<Unable> {
    let entrypoint = (job.program == Program::Entrypoint).then(|| Unable {
        message: format!("job {path}: processes are in no image, so the entrypoint of {} cannot be started", job.image),
        hint: "give the job `run:` or `command:`, or use the executor docker or kubernetes",
    });
    let memory = job.resources.memory_limit.as_ref().map(|limit| Unable {
        message: format!("job {path}: processes have no limits of their own, so not the memory limit {limit} either"),
        hint: "remove `limits: {memory: …}`, or use the executor docker or kubernetes",
    });
    entrypoint.into_iter().chain(memory).collect()
}
