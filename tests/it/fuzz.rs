//! What fuzzing begins with, and what it has found: every input once more, without the fuzzer.

#[path = "../../fuzz/src/agent_output.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's crate needs it public")]
mod agent_output;
#[path = "../../fuzz/src/flow_text.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's crate needs it public")]
mod flow_text;
#[path = "../../fuzz/src/junit.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's crate needs it public")]
mod junit;
#[path = "../../fuzz/src/masker.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's crate needs it public")]
mod masker;
#[path = "../../fuzz/src/webhook.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's crate needs it public")]
mod webhook;

use std::{fs, path::Path};

/// Every file of a folder of the package.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files.map(|file| fs::read(file.expect("a file").path()).expect("it can be read")).collect()
}

#[test]
fn every_flow_text_is_answered_and_means_the_same_written_out() {
    let folders = ["fuzz/seeds/flow_text", "fixtures/flows/good", "fixtures/flows/bad", "fixtures/flows/original"];
    let texts: Vec<_> = folders.into_iter().flat_map(files).collect();
    assert!(texts.len() > 50, "the fixtures are there");
    texts.iter().for_each(|text| flow_text::read(text));
}

#[test]
fn nothing_of_a_secret_comes_through() {
    let outputs: Vec<_> = ["fuzz/seeds/masker", "fuzz/seeds/agent_output"].into_iter().flat_map(files).collect();
    assert!(outputs.len() > 3, "the seeds are there");
    outputs.iter().for_each(|output| masker::hide(output));
}

#[test]
fn every_output_is_answered() {
    let outputs = files("fuzz/seeds/agent_output");
    assert!(outputs.len() > 1, "the seeds are there");
    for output in outputs {
        agent_output::read_output(&output);
        agent_output::show(&output);
        agent_output::read_chunk(&output);
    }
}

#[test]
fn every_report_of_tests_is_answered() {
    let reports: Vec<_> = ["fuzz/seeds/junit", "fixtures/junit"].into_iter().flat_map(files).collect();
    assert!(reports.len() > 10, "the fixtures are there");
    for report in reports {
        junit::read(&report);
        // and whatever of it was written in time
        (0..report.len()).step_by(97).for_each(|length| junit::read(&report[..length]));
    }
}

#[test]
fn every_webhook_is_answered() {
    let folders =
        ["fuzz/seeds/webhook", "fixtures/webhooks/github", "fixtures/webhooks/gitea", "fixtures/webhooks/gitlab"];
    let bodies: Vec<_> = folders.into_iter().flat_map(files).collect();
    assert!(bodies.len() > 40, "the fixtures are there");
    let read = |body: &[u8]| {
        let forges = [webhook::read_github, webhook::read_git, webhook::read_gitea, webhook::read_gitlab];
        forges.into_iter().for_each(|as_of| as_of(body));
    };
    for body in bodies {
        read(&body);
        // and whatever of it arrives
        (0..body.len()).step_by(97).for_each(|length| read(&body[..length]));
    }
}
