//! What receivers hear of a run's end: written in the transaction of the end itself, so that none is forgotten and none
//! is written twice.

use std::fmt::Write as _;

use serde_json::json;

use super::{
    Result,
    tell::{self, Story, took},
};
use crate::{
    agent::mask::Masks,
    model::{Conclusion, Diagnostic, JobState, News, Plan, Receiver, RunState, Severity, Time, Trust, Way},
    store::{NewNotice, Tx},
};

/// How far back it is looked for an end that said something.
const BEFORE: i64 = 50;
/// The most lines of a failed job's log in a mail.
const TAIL: usize = 30;

/// Writes what the receivers of a run that has just ended are to be told.
pub(super) async fn want(tx: &mut Tx, story: &Story, masks: &Masks, now: Time) -> Result<()> {
    let (RunState::Ended(end), Some(plan)) = (&story.run.state.0, &story.run.plan.0) else { return Ok(()) };
    // whoever opens a pull request from a fork does not choose whom this server writes to
    if plan.receivers.is_empty() || story.run.event.trust != Trust::Trusted {
        return Ok(());
    }
    let before = before(tx, story).await?;
    for (place, receiver) in plan.receivers.iter().enumerate() {
        let Some(news) = receiver.hears(*end, before) else { continue };
        let (subject, body) = letter(story, receiver, news, *end, now);
        let new = NewNotice {
            run: story.run.id,
            place,
            way: receiver.way.as_str(),
            address: &receiver.address,
            news: news.as_str(),
            subject: &masks.hide_str(&subject),
            body: &masks.hide_str(&body),
            now,
        };
        tx.insert_notice(&new).await?;
    }
    Ok(())
}

/// What is said of a plan whose mails nobody will get.
pub(super) fn unmailed(plan: &Plan) -> Option<Diagnostic> {
    plan.receivers.iter().any(|receiver| receiver.way == Way::Mail).then(|| Diagnostic {
        severity: Severity::Warning,
        message: "`receivers`: this server sends no mail, so that nobody will be told by one".to_owned(),
        line: 1,
        column: 1,
        length: 0,
        source: String::new(),
        hint: Some("its administrator can set CONTAINEROPS_SMTP_URL and CONTAINEROPS_SMTP_FROM".to_owned()),
    })
}

/// How the newest run before it ended that says whether the code was good.
async fn before(tx: &mut Tx, story: &Story) -> Result<Option<Conclusion>> {
    let run = &story.run;
    let ends = tx.ends_before(run.id, run.repository_id, &run.flow, &run.event.line(), BEFORE).await?;
    Ok(ends.iter().filter_map(RunState::conclusion).find(|end| end.is_good().is_some()))
}

fn letter(story: &Story, receiver: &Receiver, news: News, end: Conclusion, now: Time) -> (String, String) {
    match receiver.way {
        Way::Mail => (subject(story, news, end), text(story)),
        Way::Webhook => (String::new(), payload(story, news, end, now).to_string()),
    }
}

/// One line, whatever a branch or a flow is called.
fn subject(story: &Story, news: News, end: Conclusion) -> String {
    let run = &story.run;
    let word = if news == News::Fixed { "fixed".to_owned() } else { end.to_string() };
    let place = run.event.pull_request().map(|pull| format!("#{}", pull.number));
    let place = place.or_else(|| run.event.branch().map(str::to_owned)).unwrap_or_else(|| run.event.name().to_owned());
    let line =
        format!("[{}] {word}: {} #{} ({place}, {})", story.repository.name, run.flow, run.number, run.sha.short());
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

fn text(story: &Story) -> String {
    let run = &story.run;
    let title = tell::reports(story).into_iter().next().map(|(_, report)| report.title).unwrap_or_default();
    let mut out = format!("{title}\n\n{}\n\n", story.url);
    let _ = writeln!(out, "Commit  {} {}", run.sha.short(), first_line(&run.event.title));
    let _ = writeln!(out, "Event   {} by {}", run.event.name(), first_line(&run.event.actor));
    if let Some(span) = took(run.started, run.ended) {
        let _ = writeln!(out, "Took    {span}");
    }
    out.push('\n');
    for chapter in &story.actions {
        let state = chapter.action.state.conclusion().map_or_else(String::new, |end| end.to_string());
        let reason = match chapter.action.reason.as_str() {
            "" => String::new(),
            reason => format!(" ({reason})"),
        };
        let _ = writeln!(out, "{state:>14}  {}/{}{reason}", chapter.stage, chapter.name);
    }
    out + &tails(story)
}

/// The last lines of what failed.
fn tails(story: &Story) -> String {
    let mut out = String::new();
    for chapter in &story.actions {
        let jobs = chapter.attempt.as_ref().map_or(&[][..], |(_, jobs)| jobs);
        for (name, job) in chapter.names.iter().zip(jobs) {
            let lines = &job.tail.lines[job.tail.lines.len().saturating_sub(TAIL)..];
            if let (JobState::Ended(verdict), false) = (&job.state.0, lines.is_empty()) {
                let _ = writeln!(out, "\n--- {}/{}/{name}: {verdict}", chapter.stage, chapter.name);
                out.extend(lines.iter().map(|line| format!("{line}\n")));
            }
        }
    }
    out
}

fn payload(story: &Story, news: News, end: Conclusion, now: Time) -> serde_json::Value {
    let run = &story.run;
    let action = |chapter: &tell::Chapter| {
        json!({"stage": chapter.stage, "action": chapter.name, "status": chapter.action.state.0,
               "reason": chapter.action.reason})
    };
    json!({
        "type": "run.ended", "timestamp": iso(now),
        "data": {
            "news": news, "conclusion": end, "reason": run.reason,
            "id": run.id, "number": run.number, "flow": run.flow, "url": story.url,
            "forge": story.repository.forge, "repository": story.repository.name,
            "sha": run.sha, "event": run.event.name(), "branch": run.event.branch(),
            "pull_request": run.event.pull_request().map(|pull| pull.number), "actor": run.event.actor,
            "title": first_line(&run.event.title),
            "created": iso(run.created), "started": run.started.map(iso), "ended": run.ended.map(iso),
            "actions": story.actions.iter().map(action).collect::<Vec<_>>(),
        }
    })
}

fn iso(time: Time) -> String {
    let moment = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect()
}
