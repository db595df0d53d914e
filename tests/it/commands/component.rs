//! `containerops component run`: one component alone. As a process, for no test here may need a cluster.

use super::{call, code, err, folder, out};

const SCRIPT: &str = "echo \"$CO_DATA @HOME@ $LEVEL\"; ls; echo '[COUT] ANSWER = 42'; echo '[COUT] CO_RESULT = true'";

fn words<'a>(script: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let fixed = ["component", "run", "acme/Tool_x:1", "--executor", "process", "--run", script];
    [&fixed, more].concat()
}

#[test]
fn a_component_shows_its_log_its_outputs_and_its_end() {
    let folder = folder(&[("unrelated", "")]);
    let run = call(&folder, &words(SCRIPT, &["--data", "a=1", "--data", "b=2", "--env", "LEVEL=debug"]));
    assert_eq!(code(&run), Some(0), "{}{}", out(&run), err(&run));
    let text = out(&run);
    for line in [
        "Tool-x ▶ | started\n",
        "Tool-x | a=1 b=2 @HOME@ debug\n",
        "✔ Tool-x: success in ",
        "output  ANSWER = 42\n",
        "output  CO_RESULT = true\n",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(!text.contains("unrelated"), "its workspace is empty: {text}");
}

#[test]
fn a_program_gets_all_of_it_as_one_object() {
    let script = "printf '{\"INFO\":{\"status\":false,\"result\":\"no\"}}' > body; echo hello; exit 3";
    let run = call(&folder(&[]), &words(script, &["--json"]));
    assert_eq!(code(&run), Some(1), "{}", err(&run));
    let told: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON and nothing else");
    assert_eq!(told["image"], "acme/Tool_x:1");
    assert_eq!((&told["conclusion"], &told["verdict"]["code"]), (&"failure".into(), &3.into()));
    assert_eq!((&told["words"], &told["log"]), (&"exit code 3".into(), &"hello\n".into()));
    assert_eq!((&told["outputs"], &told["events"]), (&serde_json::json!({}), &serde_json::json!([])));
    assert!(told["seconds"].is_f64(), "{told}");
}

#[test]
fn what_cannot_be_run_is_said_before_anything_starts() {
    let run = call(&folder(&[]), &["component", "run", "no image", "--executor", "process"]);
    assert_eq!((code(&run), err(&run).as_str()), (Some(1), "containerops: `no image` is no image\n"));
    let variable = call(&folder(&[]), &words("env", &["--env", "CO_SHA=x"]));
    assert!(err(&variable).contains("`CO_SHA` is set by ContainerOps"), "{}", err(&variable));
}
