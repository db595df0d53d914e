//! Where a link begins: `stage.action.job[KEY]`, and behind it a path into what the output holds.
//!
//! An action that is a matrix has an output for each of its cells: from outside one says which, `action(1.95, linux)`;
//! within the matrix the name alone is the cell that asks. As in the original, an empty job part means the action's only
//! job.

use crate::model::{ActionPlan, JobPath, JobPlan, Output, Plan, Sequencing, StagePlan};

use super::{
    findings::{Findings, quoted},
    names,
};

/// Places of a job: stage, action, job.
pub(super) type Places = (usize, usize, usize);
/// A message and a hint.
pub(super) type Wrong = (String, Option<String>);

/// A hint with more cells is no help.
const MAX_HINTED: usize = 12;

/// A source as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written<'t> {
    stage: &'t str,
    action: &'t str,
    /// What stands in brackets behind the action.
    cell: Option<&'t str>,
    job: &'t str,
    key: &'t str,
    /// What stands behind the key, with its first dot.
    pub(super) path: &'t str,
}

/// The parts of a source.
pub(super) fn split(text: &str) -> Option<Written<'_>> {
    let (stage, rest) = text.split_once('.')?;
    let (action, rest) = rest.split_at(rest.find(['.', '('])?);
    let (cell, rest) = match rest.strip_prefix('(') {
        Some(rest) => rest.split_once(").").map(|(cell, rest)| (Some(cell), rest))?,
        None => (None, rest.strip_prefix('.')?),
    };
    let (job, rest) = rest.split_once('[')?;
    let (key, path) = rest.split_once(']')?;
    let is_good = !stage.is_empty() && !action.is_empty() && !job.contains('.') && !key.is_empty();
    is_good.then_some(Written { stage, action, cell, job, key, path })
}

/// A flow's jobs, for links between them.
pub(super) struct Map<'p> {
    plan: &'p Plan,
    before: Vec<Vec<bool>>,
}

impl<'p> Map<'p> {
    pub(super) fn of(plan: &'p Plan) -> Self {
        Self { plan, before: reachable(&plan.stages) }
    }

    /// The output that the job at `to` means by a source.
    pub(super) fn output(&self, written: Written<'_>, to: Places, findings: &Findings<'_>) -> Result<Output, Wrong> {
        self.output_if(written, to, findings, |from| self.check_direction(from, to))
    }

    /// The output that what stands at `to` means by a source, if `reaches` has nothing against it.
    pub(super) fn output_if(
        &self,
        written: Written<'_>,
        to: Places,
        findings: &Findings<'_>,
        reaches: impl Fn(Places) -> Result<(), Wrong>,
    ) -> Result<Output, Wrong> {
        let from = self.job_named(written, to, findings)?;
        reaches(from)?;
        let job = &self.plan.stages[from.0].actions[from.1].jobs[from.2];
        let key = written.key;
        if !job.outputs.iter().any(|output| output == key) {
            let message = format!("job {} has no output {}", quoted(&job.name), quoted(key));
            let hint = findings
                .did_you_mean(key, job.outputs.iter().map(String::as_str))
                .unwrap_or_else(|| "add it to the `outputs` of that job".to_owned());
            return Err((message, Some(hint)));
        }
        Ok(self.output_at(from, key))
    }

    /// The same by the original's own names. Jobs without one shared an empty name, and the last that wrote a key counted.
    pub(super) fn output_of_the_original(
        &self,
        written: Written<'_>,
        to: Places,
        findings: &Findings<'_>,
    ) -> Result<Output, Wrong> {
        let plain = |name: &str| if name.is_empty() { String::new() } else { names::plain(name) };
        let (stage, action, job) = (plain(written.stage), plain(written.action), plain(written.job));
        let nameless = || {
            let s = self.plan.stages.iter().position(|other| other.name == stage)?;
            let a = self.plan.stages[s].actions.iter().position(|other| other.name == action)?;
            let has_key = |job: &JobPlan| job.outputs.iter().any(|output| output == written.key);
            Some((s, a, self.plan.stages[s].actions[a].jobs.iter().rposition(has_key)?))
        };
        match job.is_empty().then(nameless).flatten() {
            Some(from) => self.check_direction(from, to).map(|()| self.output_at(from, written.key)),
            None => self.output(Written { stage: &stage, action: &action, job: &job, ..written }, to, findings),
        }
    }

    /// The job that the one at `to` means by these names.
    pub(super) fn job(&self, names: [&str; 3], to: Places, findings: &Findings<'_>) -> Result<Places, Wrong> {
        let [stage, action, job] = names;
        let from = self.job_named(Written { stage, action, cell: None, job, key: "", path: "" }, to, findings)?;
        self.check_direction(from, to).map(|()| from)
    }

    /// The outputs of all jobs that have certainly ended when the one at `to` starts.
    pub(super) fn outputs_before(&self, to: Places) -> impl Iterator<Item = (Places, &'p str)> {
        let stages = self.plan.stages.iter().enumerate();
        let actions =
            stages.flat_map(|(s, stage)| stage.actions.iter().enumerate().map(move |(a, action)| (s, a, action)));
        let jobs =
            actions.flat_map(|(s, a, action)| action.jobs.iter().enumerate().map(move |(j, job)| ((s, a, j), job)));
        let jobs = jobs.filter(move |(from, job)| !job.outputs.is_empty() && self.check_direction(*from, to).is_ok());
        jobs.flat_map(|(from, job)| job.outputs.iter().map(move |key| (from, key.as_str())))
    }

    pub(super) fn output_at(&self, (s, a, j): Places, key: &str) -> Output {
        let stage = &self.plan.stages[s];
        let (action, job) = (&stage.actions[a], &stage.actions[a].jobs[j]);
        let job = JobPath { stage: stage.name.clone(), action: action.name.clone(), job: job.name.clone() };
        Output { job, key: key.to_owned() }
    }

    fn job_named(&self, written: Written<'_>, to: Places, findings: &Findings<'_>) -> Result<Places, Wrong> {
        let stages = &self.plan.stages;
        let s = place("stage", written.stage, stages.iter().map(|stage| stage.name.as_str()), findings)?;
        let a = self.action_named(s, written, to, findings)?;
        let jobs = &stages[s].actions[a].jobs;
        let j = if written.job.is_empty() && jobs.len() == 1 {
            0
        } else {
            place("job", written.job, jobs.iter().map(|job| job.name.as_str()), findings)?
        };
        Ok((s, a, j))
    }

    fn action_named(
        &self,
        s: usize,
        written: Written<'_>,
        to: Places,
        findings: &Findings<'_>,
    ) -> Result<usize, Wrong> {
        let actions = &self.plan.stages[s].actions;
        let name = written.action;
        let cells: Vec<usize> = places(actions, |action| action.matrix_name() == Some(name));
        let exact = actions.iter().position(|action| action.name == name);
        match (written.cell, cells.as_slice(), exact) {
            (None, _, Some(exact)) => Ok(exact),
            (None, [only], None) => Ok(*only),
            (None, [], None) | (Some(_), [], None) => place(
                "action",
                name,
                actions.iter().map(|action| action.matrix_name().unwrap_or(&action.name)),
                findings,
            ),
            (None, cells, None) if to.0 == s && cells.contains(&to.1) => Ok(to.1),
            (None, cells, None) => {
                Err((format!("action {} is a matrix, of which one cell is meant", quoted(name)), hint(actions, cells)))
            }
            (Some(_), [], Some(_)) => Err((format!("action {} is no matrix", quoted(name)), None)),
            (Some(cell), cells, _) => {
                let wanted: Vec<&str> = cell.split(',').map(str::trim).collect();
                let is_it = |place: &&usize| {
                    let label = actions[**place].cell.as_ref().map_or("", |cell| &cell.label);
                    label.split(',').map(str::trim).eq(wanted.iter().copied())
                };
                cells.iter().find(is_it).copied().ok_or_else(|| {
                    (format!("matrix {} has no cell {}", quoted(name), quoted(cell)), hint(actions, cells))
                })
            }
        }
    }

    /// A link points only to what has certainly ended when its job starts.
    pub(super) fn check_direction(&self, from: Places, to: Places) -> Result<(), Wrong> {
        let (from_stage, to_stage) = (&self.plan.stages[from.0], &self.plan.stages[to.0]);
        if from.0 != to.0 {
            return if self.before[to.0][from.0] { Ok(()) } else { Err(not_needed(from_stage, to_stage)) };
        }
        if from.1 == to.1 {
            return if from.2 < to.2 { Ok(()) } else { Err(("a link points to an earlier job".to_owned(), None)) };
        }
        match to_stage.sequencing {
            Sequencing::Sequence if to_stage.step_of(from.1) == to_stage.step_of(to.1) => {
                Err(("the cells of a matrix run at once".to_owned(), Some("use two stages".to_owned())))
            }
            Sequencing::Sequence if from.1 < to.1 => Ok(()),
            Sequencing::Sequence => Err(("a link points to an earlier action".to_owned(), None)),
            Sequencing::Parallel => {
                let message = format!("the actions of stage {} run in parallel", quoted(&to_stage.name));
                Err((message, Some("write `sequencing: sequence`, or use two stages".to_owned())))
            }
        }
    }
}

fn not_needed(from: &StagePlan, to: &StagePlan) -> Wrong {
    let message = format!("stage {} need not have ended before this one", quoted(&from.name));
    (message, Some(format!("add it to the `needs` of stage {}, below it", quoted(&to.name))))
}

/// "write one of `unit(1.95)`, `unit(beta)`".
fn hint(actions: &[ActionPlan], cells: &[usize]) -> Option<String> {
    let cells = cells.iter().filter_map(|&place| actions[place].cell.as_ref());
    let all: Vec<String> = cells.map(|cell| quoted(&format!("{}({})", cell.of, cell.label))).collect();
    let more = if all.len() > MAX_HINTED { ", …" } else { "" };
    Some(format!("write one of {}{more}", all[..all.len().min(MAX_HINTED)].join(", ")))
}

fn places(actions: &[ActionPlan], is_it: impl Fn(&ActionPlan) -> bool) -> Vec<usize> {
    actions.iter().enumerate().filter(|(_, action)| is_it(action)).map(|(place, _)| place).collect()
}

fn place<'n>(
    what: &str,
    name: &str,
    names: impl Iterator<Item = &'n str> + Clone,
    findings: &Findings<'_>,
) -> Result<usize, Wrong> {
    names.clone().position(|other| other == name).ok_or_else(|| {
        let only: Vec<&str> = names.clone().take(2).collect();
        let hint = findings.did_you_mean(name, names).or(match only.as_slice() {
            [only] => Some(format!("the only {what} there is {}", quoted(only))),
            _ => None,
        });
        (format!("no {what} is named {}", quoted(name)), hint)
    })
}

/// For every stage, which stages have certainly ended when it starts.
fn reachable(stages: &[StagePlan]) -> Vec<Vec<bool>> {
    let mut before: Vec<Vec<bool>> = Vec::with_capacity(stages.len());
    for stage in stages {
        let mut row = vec![false; stages.len()];
        for &need in stage.needs.iter().filter(|&&need| need < before.len()) {
            row[need] = true;
            row.iter_mut().zip(&before[need]).for_each(|(mine, theirs)| *mine |= theirs);
        }
        before.push(row);
    }
    before
}

/// Where a job stands.
pub(super) fn find(plan: &Plan, path: &JobPath) -> Option<Places> {
    let s = plan.stages.iter().position(|stage| stage.name == path.stage)?;
    let a = plan.stages[s].actions.iter().position(|action| action.name == path.action)?;
    let j = plan.stages[s].actions[a].jobs.iter().position(|job| job.name == path.job)?;
    Some((s, a, j))
}

#[cfg(test)]
mod tests {
    use super::{Written, split};

    #[test]
    fn a_source_has_its_parts() {
        let parts = |text| {
            split(text).map(|Written { stage, action, cell, job, key, path }| (stage, action, cell, job, key, path))
        };
        assert_eq!(parts("a.b.c[K]"), Some(("a", "b", None, "c", "K", "")));
        assert_eq!(parts("a.b.[K E Y].x.0"), Some(("a", "b", None, "", "K E Y", ".x.0")));
        assert_eq!(parts("a.b(1.95, x).c[K]"), Some(("a", "b", Some("1.95, x"), "c", "K", "")));
        for wrong in ["", "a.b[K]", "a.b.c", "a.b.c[]", ".b.c[K]", "a..c[K]", "a.b.c.d[K]", "a.b(1.c[K]", "a.b.c]K["] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
