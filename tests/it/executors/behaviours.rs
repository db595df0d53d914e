//! What every executor does, or refuses.

use containerops::{
    engine::timeline::RunTimeline,
    model::{ActionState, Clock, Conclusion, Phase, PhaseKind},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::harness::{
    image::Image,
    place::Place,
    server::{REPOSITORY, Server},
    story::Story,
};

pub(super) async fn a_job_sees_its_environment_and_no_other<P: Place>(server: Server<P>) {
    let flow = r#"
environments: {GREETING: hello, PLACE: nowhere}
stages:
  - name: look
    image: busybox
    environments: {PLACE: "here, 'quoted' $HOME"}
    run: |
      echo "$GREETING $PLACE"
      echo "$CI $CO_EVENT $CO_BRANCH $CO_STAGE/$CO_ACTION/$CO_JOB $CO_ATTEMPT"
      test "$PWD" = "$CO_WORKSPACE" && cat README
      env | grep -c -e '^CONTAINEROPS_.*=.' -e '^GITHUB' -e '^CARGO' -e TOKEN || true
"#;
    let story = server.end(server.push(flow).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
    let text = server.text(&story, "look/look/look").await;
    let (told, leaked) = text.trim_end().rsplit_once('\n').expect("lines");
    insta::allow_duplicates! {
        insta::assert_snapshot!(told, @r"
        hello here, 'quoted' $HOME
        true push main look/look/look 1
        a file of the repository
        ");
    }
    // the process executor marks what it starts, and the event URLs hold the job's own token
    let most = if told.is_empty() { 0 } else { 6 };
    assert!(leaked.parse::<u32>().is_ok_and(|count| count <= most), "{leaked} suspicious variables");
}

pub(super) async fn jobs_share_files_and_what_follows_a_failure_is_skipped<P: Place>(server: Server<P>) {
    let flow = r#"
stages:
  - name: check
    jobs:
      - {name: one, image: busybox, run: "mkdir out; echo from one > out/list; echo '[COUT] VERSION = 1.2=3'", outputs: [VERSION]}
      - {name: two, image: busybox, run: "cat out/list README; echo $V; exit 3", subscriptions: [{"check.check.one[VERSION]": V}]}
      - {name: three, image: busybox, run: "echo never"}
  - {name: ship, image: busybox, run: "echo never"}
"#;
    let story = server.end(server.push(flow).await).await;
    let two = server.text(&story, "check/check/two").await;
    insta::allow_duplicates! {
        insta::assert_snapshot!(story.told(), @r"
        run: failure
        check/check: failure (job `two`: exit code 3)
          one: success
          two: exit code 3
          three: skipped: job `two`: exit code 3
        ship/ship: skipped (stage `check` ended: failure)
        ");
        insta::assert_snapshot!(two, @r"
        from one
        a file of the repository
        1.2=3
        ");
    }
    server.until_no_attempt_is_left().await;
    its_time_adds_up(&server, &story).await;
}

/// Also when nothing is left of an attempt, it is known when each of its containers began, and its phases are all of its
/// time.
async fn its_time_adds_up<P: Place>(server: &Server<P>, story: &Story) {
    let mut tx = server.app().engine.store.read().await.expect("the database");
    let times = RunTimeline::read(&mut tx, &story.run, Clock::System.now()).await.expect("the database");
    let [attempt] = times.attempts.as_slice() else { panic!("one attempt: {times:?}") };
    assert_eq!(attempt.row.moments.containers.iter().filter(|ran| ran.job.is_some()).count(), 3, "{attempt:?}");
    let took = attempt.row.ended.zip(attempt.row.queued).map(|(ended, queued)| ended.since(queued));
    let phases = &attempt.times.phases;
    assert_eq!(Some(phases.iter().map(Phase::span).sum()), took, "{phases:?}");
    assert!(phases.iter().any(|phase| phase.kind == PhaseKind::Run), "{phases:?}");
}

pub(super) async fn every_byte_of_a_log_arrives<P: Place>(server: Server<P>) {
    let flow = r"
stages:
  - name: odd
    image: busybox
    run: |
      printf 'a\r\nb\0c\377\n\n'
      printf 'bare, and on the other stream' >&2
      printf '\n\033[31mred\033[0m\ttab\n'
      printf 'no newline at the end'
";
    let story = server.end(server.push(flow).await).await;
    let log = server.log(&story, "odd/odd/odd").await;
    let out = b"a\r\nb\0c\xff\n\n\n\x1b[31mred\x1b[0m\ttab\nno newline at the end".as_slice();
    let err = b"bare, and on the other stream".as_slice();
    // two streams have no order between them, but each has its own
    let mut rest = log.clone();
    let at = rest.windows(err.len()).position(|window| window == err).expect("what was said on the other stream");
    rest.drain(at..at + err.len());
    let without_newlines = |bytes: &[u8]| bytes.iter().copied().filter(|byte| *byte != b'\n').collect::<Vec<_>>();
    assert_eq!(without_newlines(&rest), without_newlines(out), "{:?}", String::from_utf8_lossy(&log));
}

pub(super) async fn much_output_arrives_as_it_was<P: Place>(server: Server<P>) {
    let flow = "stages:\n  - {name: many, image: busybox, run: \"seq 1 300000\"}\n";
    let story = server.end(server.push(flow).await).await;
    let log = server.log(&story, "many/many/many").await;
    let expected: String = (1..=300_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(hex::encode(Sha256::digest(&log)), hex::encode(Sha256::digest(expected.as_bytes())));
}

pub(super) async fn a_job_over_its_time_is_ended_and_its_log_is_kept<P: Place>(server: Server<P>) {
    let flow = "stages:\n  - {name: slow, image: busybox, timeout: 2s, run: \"echo begun; exec sleep 600\"}\n";
    let story = server.end(server.push(flow).await).await;
    insta::allow_duplicates! {
        insta::assert_snapshot!(story.told(), @r"
        run: timed_out
        slow/slow: timed_out (timed out after 2 s)
          slow: timed out after 2 s
        ");
    }
    assert!(server.text(&story, "slow/slow/slow").await.starts_with("begun\n"));
    server.until_no_attempt_is_left().await;
}

pub(super) async fn a_cancelled_job_may_clean_up<P: Place>(server: Server<P>) {
    let flow = "stages:\n  - {name: long, image: busybox, run: \"trap 'echo cleaned; exit 1' TERM; echo ready; sleep 600 & wait\"}\n";
    let run = server.push(flow).await;
    let runs = |story: &Story| story.action("long/long").row.state.0 == ActionState::Running;
    let story = server.until("the job runs", run, runs).await;
    let ready =
        server.found(async |_| server.text_so_far(&story, "long/long/long").await.contains("ready").then_some(()));
    ready.await.expect("it is ready");
    server.app().engine.cancel(run, "ada").await.expect("it can be cancelled");
    let story = server.end(run).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Cancelled), "{}", story.told());
    let text = server.text(&story, "long/long/long").await;
    assert!(text.contains("cleaned\n") && text.contains("cancelled by ada"), "{text}");
    server.until_no_attempt_is_left().await;
}

pub(super) async fn what_a_job_leaves_behind_goes_with_it<P: Place>(server: Server<P>) {
    let flow = r#"
stages:
  - name: leave
    jobs:
      - {name: one, image: busybox, run: "setsid sleep 600 > /dev/null 2>&1 & mkdir -p a/b; chmod 500 a/b a; echo left"}
      - {name: two, image: busybox, run: "ls"}
"#;
    let story = server.end(server.push(flow).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
    server.until_no_attempt_is_left().await;
}

pub(super) async fn a_job_that_takes_too_much_memory_is_told_so<P: Place>(server: Server<P>) {
    let flow = r#"
stages:
  - name: greedy
    image: busybox
    run: tail /dev/zero
    resources: {memory: 16Mi, limits: {memory: 48Mi}}
"#;
    let story = server.end(server.push(flow).await).await;
    let told = story.told();
    assert!(told.contains("greedy: out of memory (peak ") && told.contains(" of 48 MiB)"), "{told}");
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Failure));
}

pub(super) async fn images_start_by_their_own_entrypoint_and_user<P: Place>(server: Server<P>) {
    let script =
        "#!/bin/sh\necho \"in $(pwd) with $1 as $(id -u), from the image: $FROM_IMAGE\"\ncat /workspace/mine\n";
    let image = Image::with_shell()
        .file("opt/start", 0o755, script.as_bytes())
        .set("Entrypoint", json!(["/opt/start"]))
        .set("Cmd", json!(["an-argument"]))
        .set("WorkingDir", json!("/opt"))
        .set("User", json!("1234:1234"))
        .set("Env", json!(["PATH=/bin", "FROM_IMAGE=yes"]));
    let (image, _) = image.push_to(&server.cluster.registry(), "test/suite-entrypoint").await;
    let flow = r#"
stages:
  - name: go
    jobs:
      - {name: write, image: "IMAGE", run: "echo by $(id -u) > mine"}
      - {name: start, image: "IMAGE"}
"#;
    let story = server.end(server.push(&flow.replace("IMAGE", &image)).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
    let text = server.text(&story, "go/go/start").await;
    insta::allow_duplicates! {
        insta::assert_snapshot!(text, @r"
        in /opt with an-argument as 1234, from the image: yes
        by 1234
        ");
    }
}

pub(super) async fn an_image_that_does_not_exist_is_the_authors_mistake<P: Place>(server: Server<P>) {
    let image = format!("{}/no/such:tag", server.cluster.registry());
    let flow = format!("stages:\n  - {{name: run, image: \"{image}\", run: \"true\"}}\n");
    let story = server.end(server.push(&flow).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Failure), "{}", story.told());
    let reason = &story.action("run/run").row.reason;
    assert!(reason.starts_with(&format!("image {image} not found: ")), "{reason}");
    server.until_no_attempt_is_left().await;
}

pub(super) async fn artifacts_and_caches_outlive_their_actions<P: Place>(server: Server<P>) {
    let flow = r#"
stages:
  - name: make
    image: busybox
    cache: [{name: here, paths: [kept]}, {name: home, key-files: [README], paths: [/tmp/containerops-suite/home]}]
    artifacts: [{name: bin, paths: [out]}]
    run: |
      cat kept/lines /tmp/containerops-suite/home/lines 2>/dev/null || true
      mkdir -p kept out/deep /tmp/containerops-suite/home
      echo here >> kept/lines; echo home > /tmp/containerops-suite/home/lines
      head -c 5000000 /dev/urandom > out/deep/large; chmod 750 out/deep/large; ln -s deep/large out/link
      sha256sum out/deep/large > out/sum
  - name: take
    image: busybox
    run: "test ! -e out; cd got; sha256sum -c out/sum; stat -c %a out/deep/large; readlink out/link; rm -rf /tmp/containerops-suite"
    artifacts: {from: make, to: got}
"#;
    let story = server.end(server.push(flow).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
    let took = server.text(&story, "take/take/take").await;
    assert!(took.ends_with("out/deep/large: OK\n750\ndeep/large\n"), "{took}");
    let made = server.text(&story, "make/make/make").await;
    assert!(made.contains("cache here: missed") && made.contains("cache home: missed"), "{made}");
    assert!(made.contains("artifact bin: 3 files, 5 MB"), "{made}");
    let again = server.end(server.push(flow).await).await;
    assert_eq!(again.run.state.0.conclusion(), Some(Conclusion::Success), "{}", again.told());
    let made = server.text(&again, "make/make/make").await;
    for words in
        ["cache here: hit by its key of branch main", "cache home: hit by its key of branch main", "here\nhome\n"]
    {
        assert!(made.contains(words), "{words} in {made}");
    }
    assert!(made.contains("cache home: it is the one of this key already"), "{made}");
    what_its_agents_did_is_told(&server, &again).await;
}

/// What came before the script and what after it, in order, on the timeline and for programs.
async fn what_its_agents_did_is_told<P: Place>(server: &Server<P>, story: &Story) {
    let url = format!("{}/api/v1/runs/{}", server.url(), story.run.id);
    let told: serde_json::Value = reqwest::get(url).await.expect("an answer").json().await.expect("JSON");
    let kinds = |stage: usize| {
        let phases = &told["stages"][stage]["actions"][0]["attempts"][0]["times"]["jobs"][0]["phases"];
        let names = phases.as_array().into_iter().flatten().filter_map(|phase| phase["phase"].as_str());
        let chores = ["source", "restore", "download", "run", "upload", "save"];
        names.filter(|name| chores.contains(name)).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(kinds(0), ["source", "restore", "run", "upload", "save"], "{told}");
    assert_eq!(kinds(1), ["source", "download", "run"], "{told}");
    let url = format!("{}/git/{REPOSITORY}/runs/{}/timeline", server.url(), story.run.number);
    let page = reqwest::get(url).await.expect("an answer").text().await.expect("text");
    for words in ["get source", "restore caches", "download artifacts", "upload artifacts", "save caches"] {
        let (column, drawn) = (format!("<th scope=\"col\">{words}</th>"), format!("<title>{words} "));
        assert!(page.contains(&column) && page.contains(&drawn), "{words}: {page}");
    }
}

pub(super) async fn reports_of_tests_are_read_however_their_job_ends<P: Place>(server: Server<P>) {
    let flow = r#"
stages:
  - name: test
    image: busybox
    reports: {junit: ["out/*.xml", none.xml]}
    run: |
      mkdir out
      echo '<testsuite name="s"><testcase name="good"/><testcase name="bad"><failure message="1 is not 2"/></testcase></testsuite>' > out/one.xml
      echo '<testsuite name="s"><testcase name="cut off"><error message="lost"/>' > out/two.xml
      mkfifo out/pipe.xml; ln -s /etc/hostname out/host.xml
      exit 3
"#;
    let story = server.end(server.push(flow).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Failure), "{}", story.told());
    let log = server.text(&story, "test/test/test").await;
    for words in [
        "reports: 2 files: 3 tests, 2 failed",
        "reports: out/two.xml: it ends within <testcase>; what stands before it counts",
        "reports: out/pipe.xml was not read: it is no file",
        "reports: out/host.xml was not read: it is a link out of the workspace",
    ] {
        assert!(log.contains(words), "{words} in {log}");
    }
}

/// A component as the original's were written: it takes `CO_DATA` apart, tells by HTTP what it does, and says in its
/// output how it went.
const COMPONENT: &str = r#"#!/bin/sh
set -e
tell() {
  body="{\"EVENT\": \"$1\", \"EVENT_ID\": 1, \"RUN_ID\": \"1-2-3\", \"INFO\": {\"status\": $2, \"result\": \"$3\", \"output\": \"$4\"}}"
  eval "url=\$$1"
  wget -q -O /dev/null --header 'Content-Type: application/json' --post-data "$body" "$url"
}
tell CO_COMPONENT_START true started ""
for pair in $CO_DATA; do
  case $pair in
    mode=*) mode=${pair#mode=} ;;
    *) echo "[COUT] unknown option $pair" ;;
  esac
done
tell CO_TASK_START true "mode $mode" ""
echo "[COUT] CO_JSON_CONTENT {\"version\": \"1.7\", \"mode\": \"$mode\"}"
echo "[COUT] TAG = v1=7"
if [ "$mode" = bad ]; then
  tell CO_TASK_STATUS false "2 findings" ""
else
  echo "[COUT] CO_RESULT = true"
  tell CO_TASK_STATUS true done ""
fi
tell CO_COMPONENT_STOP true stopped ""
"#;

/// A file with the original's shape, its bare dashes and its pairs as maps.
const ORIGINAL: &str = r#"
uri: containerops/suite/component-test
name: component-test
title: Test a component
number: 3
timeout: 300
receivers:
stages:
  - type: start
    name: start
  - type: normal
    name: analysis
    sequencing: sequence
    actions:
      -
      - name: check
        jobs:
          - type: component
            name: look
            endpoint: IMAGE
            kubectl:
            resources: {cpu: 0, memory: 0}
            timeout: 120
            outputs: [TAG]
            environments:
              - CO_DATA: "mode=good extra=1"
              -
          - type: component
            name: use
            endpoint: IMAGE
            environments:
              - CO_DATA: "mode=bad"
            subscriptions:
              - analysis.check.look[TAG]: SEEN_TAG
  - type: end
    name: end
"#;

pub(super) async fn a_file_and_components_of_the_original_run_unchanged<P: Place>(server: Server<P>) {
    let image = Image::with_shell()
        .link("wget")
        .file("opt/component", 0o755, COMPONENT.as_bytes())
        .set("Entrypoint", json!(["/opt/component"]))
        .set("Env", json!(["PATH=/bin"]));
    let (image, _) = image.push_to(&server.cluster.registry(), "test/suite-component").await;
    let story = server.end(server.push(&ORIGINAL.replace("IMAGE", &image)).await).await;
    let look = server.text(&story, "analysis/check/look").await;
    insta::allow_duplicates! {
        insta::assert_snapshot!(story.told(), @r"
        run: failure
        analysis/check: failure (job `use`: CO_TASK_STATUS = false: 2 findings)
          look: success
          use: CO_TASK_STATUS = false: 2 findings
        ");
        insta::assert_snapshot!(look, @r#"
        [COUT] unknown option extra=1
        [COUT] CO_JSON_CONTENT {"version": "1.7", "mode": "good"}
        [COUT] TAG = v1=7
        [COUT] CO_RESULT = true
        "#);
    }
}

/// All names and ports are this test's own: on an engine without a network of its own they are the machine's.
pub(super) async fn services_run_beside_jobs_until_the_last_has_ended<P: Place>(server: Server<P>) {
    let flow = r#"
environments: {WORD: hello}
stages:
  - name: talk
    services:
      - {name: greeter, image: busybox, run: "mkdir /tmp/www; echo $WORD from $CO_JOB > /tmp/www/index.html; sleep 1; exec httpd -f -p 18231 -h /tmp/www", ready: {tcp: 18231, within: 30s}}
    jobs:
      - {name: first, image: busybox, run: "wget -qO- http://greeter:18231/; cp README built"}
      - {name: second, type: service, image: busybox, run: "cat built; exec nc -ll -p 18232 -e echo hi", ready: {command: "nc localhost 18232 < /dev/null | grep hi"}}
      - {name: last, image: busybox, run: "wget -qO- http://127.0.0.1:18231/; nc second 18232 < /dev/null; ls /containerops/token; exit 3"}
"#;
    let story = server.end(server.push(flow).await).await;
    let mut logs = String::new();
    for job in ["first", "last", "greeter", "second"] {
        let text = server.text(&story, &format!("talk/talk/{job}")).await;
        let lines = text.lines().filter(|line| !line.starts_with("ready after"));
        logs += &lines.map(|line| format!("{job}: {line}\n")).collect::<String>();
    }
    insta::allow_duplicates! {
        insta::assert_snapshot!(story.told(), @r"
        run: failure
        talk/talk: failure (job `last`: exit code 3)
          first: success
          last: exit code 3
          greeter: success
          second: success
        ");
        insta::assert_snapshot!(logs, @r"
        first: hello from greeter
        last: hello from greeter
        last: hi
        last: token
        greeter: stopped: all jobs of its action have ended
        second: a file of the repository
        second: stopped: all jobs of its action have ended
        ");
    }
    server.until_no_attempt_is_left().await;
}

pub(super) async fn services_that_are_not_ready_fail_their_action<P: Place>(server: Server<P>) {
    let flow = r#"
stages:
  - name: check
    sequencing: parallel
    fail-fast: false
    actions:
      - name: dies
        services: [{name: db, image: busybox, run: "echo no room; exit 7", ready: {tcp: 18241}}]
        jobs: [{name: test, image: busybox, run: echo never}]
      - name: never
        services: [{name: db, image: busybox, run: exec sleep 600, ready: {tcp: 18242, within: 1s}}]
        jobs: [{name: test, image: busybox, run: echo never}]
      - name: early
        services: [{name: db, image: busybox, run: "sleep 0.5; exit 5"}]
        jobs: [{name: test, image: busybox, run: "sleep 1; exit 4"}]
"#;
    let story = server.end(server.push(flow).await).await;
    let words = story.told();
    let told: String = words
        .lines()
        .map(|line| match line.split_once(" after ") {
            Some((begin, end)) => format!("{begin} after …{}\n", end.split_once(", ").map_or("", |(_, rest)| rest)),
            None => format!("{line}\n"),
        })
        .collect();
    insta::allow_duplicates! {
        insta::assert_snapshot!(told, @r"
        run: failure
        check/dies: failure (service `db`: not ready: exit code 7 after …while TCP port 18241 was waited for)
          test: skipped: service `db`: not ready: exit code 7 after …while TCP port 18241 was waited for
          db: not ready: exit code 7 after …while TCP port 18241 was waited for
        check/never: failure (service `db`: not ready: TCP port 18242 has not answered within 1 s: Connection refused)
          test: skipped: service `db`: not ready: TCP port 18242 has not answered within 1 s: Connection refused
          db: not ready: TCP port 18242 has not answered within 1 s: Connection refused
        check/early: failure (exit code 4; service `db` ended while jobs ran: exit code 5)
          test: exit code 4
          db: exit code 5
        ");
    }
    server.until_no_attempt_is_left().await;
}
