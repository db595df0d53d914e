//! The one line that a forge shows of a run, and of each of its actions. Pure.

use super::{
    counted, quota,
    tell::{Chapter, Story, first_bad, is_error, took},
};
use crate::model::{ActionState, Conclusion, Late, RunState};

/// The most characters of a title: a commit status's description has 140.
const TITLE: usize = 140;

/// Of a run.
pub(super) fn of_run(story: &Story) -> String {
    cut(&with_lateness(run_title(story), story.late))
}

/// Of an action.
pub(super) fn of_action(story: &Story, chapter: &Chapter) -> String {
    cut(&action_title(story, chapter))
}

/// A commit status has no room for more than its title.
fn with_lateness(title: String, late: Option<Late>) -> String {
    late.map_or_else(|| title.clone(), |late| format!("{title}; {late}"))
}

fn run_title(story: &Story) -> String {
    let run = &story.run;
    match run.state.0 {
        RunState::Queued if story.asks() => capital(&run.reason),
        RunState::Queued if run.reason.is_empty() => "Waiting to start".to_owned(),
        RunState::Queued => format!("Waiting: {}", run.reason),
        RunState::Running if story.questions.len() == 1 => format!("Waiting {}", story.questions[0]),
        RunState::Running => {
            let ended = story.actions.iter().filter(|c| c.action.state.conclusion().is_some()).count();
            let odd = odd_of_running(story).unwrap_or_default();
            format!("Running: {ended} of {} actions have ended{odd}", story.actions.len())
        }
        RunState::Ended(conclusion) => ended_title(story, conclusion),
    }
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

/// What people should know of an action that is under way.
fn odd_of_running(story: &Story) -> Option<String> {
    let odd = |chapter: &Chapter| Some(format!("; {}/{}: {}", chapter.stage, chapter.shown, odd_of(chapter)?));
    story.actions.iter().find_map(odd)
}

fn odd_of(chapter: &Chapter) -> Option<String> {
    let action = &chapter.action;
    let is_running = action.state.0 == ActionState::Running;
    let reason = Some(action.reason.clone()).filter(|reason| is_running && !reason.is_empty());
    let odd: Vec<String> = tried_again(chapter).into_iter().chain(reason).collect();
    (!odd.is_empty()).then(|| odd.join(": "))
}

fn ended_title(story: &Story, conclusion: Conclusion) -> String {
    let errors = story.run.diagnostics.iter().filter(|diagnostic| is_error(diagnostic)).count();
    if errors > 0 && story.run.reason.contains(quota::NEVER) {
        return story.run.reason.clone();
    }
    if errors > 0 {
        return format!("{} has {errors} error{}", story.run.path, if errors == 1 { "" } else { "s" });
    }
    if let Some(bad) = first_bad(story) {
        let (place, reason) = (format!("{}/{}", bad.stage, bad.shown), without(conclusion, &bad.action.reason));
        // nobody's failure begins with its name, so that no author takes it for theirs
        let whose = if conclusion == Conclusion::Error { ":" } else { " in" };
        let tests = counted::before_reason(story, std::slice::from_ref(bad));
        return format!("{conclusion}{whose} {place}: {tests}{reason}");
    }
    let carried = story.actions.iter().filter(|chapter| chapter.carried.is_some()).count();
    let is_skipped = |chapter: &&Chapter| chapter.action.state.0 == ActionState::Ended(Conclusion::Skipped);
    let skipped = story.actions.iter().filter(|chapter| chapter.carried.is_none()).filter(is_skipped).count();
    let ran = story.actions.len() - carried - skipped;
    let part = |count: usize, what: &str| if count > 0 { format!(", {count} {what}") } else { String::new() };
    let more = part(carried, "carried over") + &part(if ran > 0 { skipped } else { 0 }, "skipped");
    let tests = counted::after_success(story, &story.actions);
    let words = match (story.run.reason.as_str(), took(story.run.started, story.run.ended), ran) {
        ("", Some(span), 1) => format!("1 action in {span}{more}"),
        ("", Some(span), ran) => format!("{ran} actions in {span}{more}"),
        ("", None, _) => format!("{conclusion}{more}"),
        (reason, ..) => reason.to_owned(),
    };
    words + &tests
}

fn action_title(story: &Story, chapter: &Chapter) -> String {
    match chapter.carried {
        Some(number) => format!("{}, {}", carried_words(number), own_title(story, chapter)),
        None => own_title(story, chapter),
    }
}

/// Where an end is from that was carried over.
pub fn carried_words(number: i64) -> String {
    format!("carried over from run #{number}")
}

/// The same for what ran in this run.
pub(super) fn own_title(story: &Story, chapter: &Chapter) -> String {
    let (action, only) = (&chapter.action, std::slice::from_ref(chapter));
    match (&action.state.0, action.reason.as_str()) {
        (ActionState::Waiting, _) => "Waiting for what comes before".to_owned(),
        (ActionState::Queued, reason) => waiting_title(tried_again(chapter).as_deref(), reason),
        (ActionState::Running, _) => match odd_of(chapter) {
            Some(odd) => format!("Running: {odd}"),
            None => "Running".to_owned(),
        },
        (ActionState::Ended(conclusion), "") => {
            let span = took(action.started, action.ended).map_or_else(String::new, |span| format!(" in {span}"));
            format!("{conclusion}{span}{}", counted::after_success(story, only))
        }
        (ActionState::Ended(conclusion), reason) => {
            let tests = counted::before_reason(story, only);
            let is_said = tests.is_empty() && reason.starts_with(&conclusion.to_string());
            if is_said { reason.to_owned() } else { format!("{conclusion}: {tests}{}", without(*conclusion, reason)) }
        }
    }
}

fn waiting_title(again: Option<&str>, reason: &str) -> String {
    match (again, reason) {
        (None, "") => "Waiting to start".to_owned(),
        (None, why) | (Some(why), "") => format!("Waiting: {why}"),
        // what is about to be tried again says so itself
        (Some(_), why) if why.ends_with(" follows") => format!("Waiting: {why}"),
        (Some(again), why) => format!("Waiting: {again}: {why}"),
    }
}

/// "infrastructure, attempt 2 of 3", from the end of one attempt that another follows to the action's end.
fn tried_again(chapter: &Chapter) -> Option<String> {
    let is_open = chapter.action.state.conclusion().is_none();
    chapter.again.filter(|_| is_open).map(|again| again.to_string())
}

/// A reason without the conclusion's own words, for a title that has said them already.
pub(super) fn without(conclusion: Conclusion, reason: &str) -> &str {
    let rest = reason.strip_prefix(&conclusion.to_string()).map(|rest| rest.trim_start_matches([':', ' ']));
    rest.filter(|rest| !rest.is_empty()).unwrap_or(reason)
}

/// Its first line, as far as there is room.
pub(super) fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= TITLE {
        return line.to_owned();
    }
    line.chars().take(TITLE - 1).chain(['…']).collect()
}
