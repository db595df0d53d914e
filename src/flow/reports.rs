//! `reports` of a job: which files its tests write (`{junit: report.xml}`).

use crate::model::Reports;

use super::{Reading, fields::Fields, findings::quoted, keys, node::Entry, paths};

/// What the job's tests write.
pub(super) fn read(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Reports {
    let Some(node) = fields.claim("reports") else { return Reports::default() };
    let Some(mut fields) = Fields::of(node, &keys::REPORTS, reading) else { return Reports::default() };
    let junit = paths::patterns(&mut fields, "junit", reading).unwrap_or_default();
    refuse_other_kinds(&mut fields, reading);
    Reports { junit }
}

/// There is one kind, so whoever means another is told which.
fn refuse_other_kinds(fields: &mut Fields<'_>, reading: &mut Reading<'_>) {
    let others: Vec<&Entry> = fields.rest().collect();
    for Entry { key, .. } in others {
        let hint = reading.findings.did_you_mean(&key.text, keys::REPORTS.keys.iter().copied());
        let hint = hint.unwrap_or_else(|| "`junit` is the one kind; nearly every test runner can write it".to_owned());
        reading.mistake(key.at, format!("{} is no kind of report", quoted(&key.text))).hint(hint);
    }
}
