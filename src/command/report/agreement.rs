//! What is wanted, what was acknowledged and what is shown, side by side.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    forge::{Forge, Shown, Wanted},
    model::{Context, Headline, Sha, Time},
    store::{ReportRow, RepositoryRow},
};

/// Contexts that begin so are ours; a commit may have others, from other services.
const OURS: &str = "containerops/";

/// What the forge shows, or why nobody knows.
pub(super) enum Seen {
    /// All of it.
    Shown(Vec<Shown>),
    /// It could not be read, for this reason.
    Unknown(String),
}

/// All contexts of a commit.
pub(super) struct Agreement {
    title: String,
    lines: Vec<Line>,
    /// Why nobody knows what the forge shows.
    unknown: Option<String>,
}

struct Line {
    context: Context,
    wanted: Option<Headline>,
    acknowledged: Option<Headline>,
    shown: Option<Shown>,
    agrees: bool,
    /// What was in the way, and when it is tried again.
    trouble: String,
}

impl Agreement {
    /// Compares. Pure.
    pub(super) fn of(
        forge: &dyn Forge,
        repository: &RepositoryRow,
        sha: &Sha,
        rows: &[ReportRow],
        seen: Seen,
        now: Time,
    ) -> Self {
        let (mut shown, unknown) = match seen {
            Seen::Shown(shown) => (shown, None),
            Seen::Unknown(why) => (Vec::new(), Some(why)),
        };
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            let report = &row.wanted.0;
            let wanted = Wanted { repository: &repository.facts, sha, event: None, context: &row.context, report };
            let found = shown.iter().position(|shown| shown.context == row.context).map(|at| shown.remove(at));
            let is_shown = found.as_ref().is_some_and(|found| found.is(&forge.expected(&wanted)));
            lines.push(Line {
                context: row.context.clone(),
                wanted: Some(report.headline()),
                acknowledged: row.told.as_ref().map(|told| told.0.clone()).filter(|_| !row.acknowledged.is_empty()),
                shown: found,
                agrees: row.is_acknowledged() && is_shown,
                trouble: trouble(row, now),
            });
        }
        lines.extend(shown.into_iter().filter(|shown| shown.context.0.starts_with(OURS)).map(Line::unwanted));
        Self { title: format!("{}/{} {sha}", repository.forge, repository.name), lines, unknown }
    }

    /// Whether all three agree everywhere.
    pub(super) fn is_whole(&self) -> bool {
        self.unknown.is_none() && self.lines.iter().all(|line| line.agrees)
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut rows = vec![["context", "wanted", "acknowledged", "the forge has", ""].map(str::to_owned)];
        rows.extend(self.lines.iter().map(|line| line.columns(self.unknown.is_some())));
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2), width(3)];
        let mut text = format!("{}\n\n", self.title);
        for (at, [context, wanted, acknowledged, shown, mark]) in rows.into_iter().enumerate() {
            let [a, b, c, d] = widths;
            let line = format!("{context:a$}  {wanted:b$}  {acknowledged:c$}  {shown:d$}  {mark}");
            let _ = writeln!(text, "{}", line.trim_end());
            at.checked_sub(1).into_iter().for_each(|at| self.lines[at].say_why(&mut text));
        }
        if let Some(why) = &self.unknown {
            let _ = write!(text, "\nnobody knows what the forge has: {why}\n");
        }
        text
    }

    /// For programs.
    pub(super) fn json(&self) -> String {
        let reports: Vec<Value> = self.lines.iter().map(Line::json).collect();
        format!("{:#}", json!({"agree": self.is_whole(), "unknown": self.unknown, "reports": reports}))
    }
}

impl Line {
    /// What the forge has under a name of ours, and nobody wants.
    fn unwanted(shown: Shown) -> Self {
        let context = shown.context.clone();
        let trouble = "no run of this database has reported this".to_owned();
        Self { context, wanted: None, acknowledged: None, shown: Some(shown), agrees: false, trouble }
    }

    fn columns(&self, is_unknown: bool) -> [String; 5] {
        let state =
            |headline: &Option<Headline>| headline.as_ref().map_or("–".to_owned(), |it| it.progress.to_string());
        let shown = match &self.shown {
            Some(shown) => shown.state.clone(),
            None if is_unknown => "?".to_owned(),
            None => "–".to_owned(),
        };
        let mark = if self.agrees { "agrees" } else { "differs" };
        [self.context.0.clone(), state(&self.wanted), state(&self.acknowledged), shown, mark.to_owned()]
    }

    fn say_why(&self, text: &mut String) {
        if self.agrees {
            return;
        }
        let title = |headline: &Option<Headline>| headline.as_ref().map(|headline| headline.title.clone());
        let shown = self.shown.as_ref().map(|shown| shown.title.clone());
        for (name, title) in
            [("wanted", title(&self.wanted)), ("acknowledged", title(&self.acknowledged)), ("the forge has", shown)]
        {
            let _ = title.into_iter().try_for_each(|title| writeln!(text, "    {name}: {title}"));
        }
        if !self.trouble.is_empty() {
            let _ = writeln!(text, "    {}", self.trouble);
        }
    }

    fn json(&self) -> Value {
        let shown = self.shown.as_ref().map(|shown| {
            json!({"id": shown.known, "state": shown.state, "title": shown.title, "url": shown.url,
                   "external_id": shown.external_id, "annotations": shown.annotations})
        });
        json!({"context": self.context, "wanted": self.wanted, "acknowledged": self.acknowledged, "forge": shown,
               "agrees": self.agrees, "trouble": self.trouble})
    }
}

fn trouble(row: &ReportRow, now: Time) -> String {
    if row.is_acknowledged() {
        return row.trouble.clone();
    }
    let next = match row.due {
        _ if row.called_at.is_some() => "it is being told now".to_owned(),
        _ if row.is_in_doubt() => "the forge is asked what became of the last call".to_owned(),
        due if due.as_millis() == i64::MAX => "it is not tried again".to_owned(),
        due => format!("next try in {} s", due.since(now).as_secs()),
    };
    if row.trouble.is_empty() { next } else { format!("{}; {next}", row.trouble) }
}
