//! What an executor cannot do, said by name when a run is planned, and not when one of its jobs dies of it.

use crate::model::{JobPlan, Plan, Program};

/// One thing of a plan that an executor cannot do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unable {
    /// Which job, and what of it.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

/// What processes of a machine cannot do: they are in no image, and nothing limits them.
pub(super) fn of_processes(plan: &Plan) -> Vec<Unable> {
    let actions = plan.stages.iter().flat_map(|stage| stage.actions.iter().map(move |action| (stage, action)));
    let jobs = actions.flat_map(|(stage, action)| {
        action.jobs.iter().map(move |job| (format!("{}.{}.{}", stage.name, action.name, job.name), job))
    });
    // a job without a container is none of the executor's
    jobs.filter(|(_, job)| !job.is_podless()).flat_map(|(path, job)| of_job(&path, job)).collect()
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
