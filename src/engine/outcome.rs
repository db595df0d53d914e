//! What an action's end is, and the words for it, by how its jobs and services ended. Pure.

use super::{
    retry::{After, Again},
    service, worst,
};
use crate::{
    model::{ActionPlan, Conclusion, Verdict},
    store::JobRow,
};

/// What failed before the job at this place, and bars it: a job, or a service that it needs.
pub(super) fn failure_before(plan: &ActionPlan, rows: &[JobRow], at: usize) -> Option<String> {
    let of_job = |place: usize| {
        let (job, end) = (plan.jobs.get(place)?, rows.get(place)?.state.verdict()?);
        let bars = !end.conclusion().lets_go_on() && !lenient(job.allow_failure, end);
        bars.then(|| format!("job `{}`: {end}", job.name))
    };
    let of_services = |place: usize| {
        let mut services = rows.iter().filter(|row| row.service_after.is_some_and(|after| after as usize == place));
        services.find_map(|row| service::failure_of(plan, row))
    };
    (0..=at).find_map(|place| of_services(place).or_else(|| (place < at).then(|| of_job(place)).flatten()))
}

/// What the ends of an action's jobs and services come to.
pub(super) fn conclusion_of(plan: &ActionPlan, ends: &[Verdict]) -> Conclusion {
    let whole = worst(conclusions(plan, ends));
    let failed = matches!(whole, Conclusion::Failure | Conclusion::TimedOut);
    if failed && plan.allow_failure { Conclusion::Warning } else { whole }
}

/// The words for an action's end: its first job that made it what it is.
pub(super) fn reason_of(plan: &ActionPlan, ends: &[Verdict]) -> String {
    let worst = worst(conclusions(plan, ends));
    let culprit = conclusions(plan, ends).position(|conclusion| conclusion == worst);
    let Some(place) = culprit else { return String::new() };
    let (Some(job), Some(end)) = (plan.member(place), ends.get(place)) else { return String::new() };
    let gone = gone_services(plan, ends);
    match (end, plan.service(place)) {
        (Verdict::Success { warning: None }, _) => String::new(),
        (Verdict::Success { .. }, Some(_)) => gone,
        (Verdict::Cancelled { .. } | Verdict::RunTimedOut, Some(_)) => end.to_string(),
        (_, Some(_)) => format!("service `{}`: {end}", job.name),
        (_, None) => {
            let gone = if gone.is_empty() { gone } else { format!("; {gone}") };
            let name = if plan.jobs.len() == 1 { String::new() } else { format!("job `{}`: ", job.name) };
            format!("{name}{end}{gone}")
        }
    }
}

/// The words for what another attempt follows.
pub(super) fn cause_of(plan: &ActionPlan, ends: &[Verdict], again: Again) -> String {
    match again.after {
        After::Infrastructure => {
            let unlucky = ends.iter().find(|end| matches!(end, Verdict::Infrastructure { .. }));
            unlucky.map(ToString::to_string).unwrap_or_default()
        }
        After::Job(at) => match (plan.jobs.get(at), ends.get(at)) {
            (Some(job), Some(end)) if plan.jobs.len() > 1 => format!("job `{}`: {end}", job.name),
            (_, end) => end.map(ToString::to_string).unwrap_or_default(),
        },
    }
}

/// The words for an action whose attempts all died by nobody's fault: the last one's, and that there is no other.
pub(super) fn given_up(tries: i64, last: &str) -> String {
    let name = Conclusion::Error.to_string();
    let last = last.strip_prefix(&format!("{name}: ")).unwrap_or(last);
    format!("{name}: all {tries} attempts failed: {last}")
}

/// Failure may be allowed; being cancelled or losing the pod is no failure of the author's.
fn lenient(allow_failure: bool, verdict: &Verdict) -> bool {
    allow_failure && matches!(verdict.conclusion(), Conclusion::Failure | Conclusion::TimedOut)
}

/// What each job's end means to its action.
pub(super) fn conclusions<'a>(plan: &'a ActionPlan, ends: &'a [Verdict]) -> impl Iterator<Item = Conclusion> + 'a {
    plan.members().zip(ends).map(|(job, verdict)| {
        let warned = matches!(verdict, Verdict::Success { warning: Some(_) });
        if warned || lenient(job.allow_failure, verdict) { Conclusion::Warning } else { verdict.conclusion() }
    })
}

/// The words for services that did not last as long as the jobs.
fn gone_services(plan: &ActionPlan, ends: &[Verdict]) -> String {
    let services = plan.services.iter().zip(ends.iter().skip(plan.jobs.len()));
    let gone = services.filter_map(|(service, end)| {
        let Verdict::Success { warning: Some(words) } = end else { return None };
        Some(format!("service `{}` {words}", service.job.name))
    });
    gone.collect::<Vec<_>>().join("; ")
}
