//! How long a large flow takes to be planned, and a good file to be checked.
//!
//! The flow has 500 jobs, most of them in the cells of a matrix, with links and variables. It is planned in this process,
//! from its bytes to the plan's digest, as for every delivery; and `containerops plan` and `containerops lint` are started
//! as processes, from the start to the end.

#[expect(dead_code, reason = "each figure needs a part of it")]
mod figure;

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use containerops::{
    flow::{self, Decision},
    model::{Event, EventKind, ForgeKind, Plan, Repository, RepositoryName, Trust},
};
use figure::{Figure, ms};

const ROUNDS: usize = 50;
const JOBS: usize = 500;
const GOOD: &str = "fixtures/flows/good/whole.yml";

fn main() {
    let text = flow_of_500_jobs();
    let jobs = |plan: &Plan| {
        plan.stages.iter().flat_map(|stage| &stage.actions).map(|action| action.jobs.len()).sum::<usize>()
    };
    let mut plans = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let plan = plan(&text);
        std::hint::black_box(plan.digest());
        plans.push(ms(start.elapsed()));
        assert_eq!(jobs(&plan), JOBS);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("large.yml");
    fs::write(&file, &text).expect("a file");
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOOD);
    let figure = |name: &str, target, values| Figure { name: name.to_owned(), target, unit: "ms", values };
    let figures = [
        figure("a flow of 500 jobs with a matrix, from its bytes to the plan's digest", "< 20 ms", plans),
        figure("`containerops plan` of it, as a process", "–", rounds("plan", &file)),
        figure("`containerops lint` of a good file, as a process", "< 10 ms", rounds("lint", &good)),
        figure("`containerops lint` of the 500 jobs", "–", rounds("lint", &file)),
    ];
    figure::print(&figures, &format!("Medians of {ROUNDS} rounds; {} bytes of YAML for the 500 jobs.", text.len()));
}

/// A matrix of 120 cells with four jobs each, and a stage of twenty actions that take what cells have written.
fn flow_of_500_jobs() -> String {
    let mut text =
        String::from("uri: acme/shop/large\nvariables: {REGISTRY: registry.example}\nstages:\n  - name: check\n");
    text.push_str("    actions:\n      - name: unit\n        matrix:\n");
    let axis = |count: usize| (0..count).map(|value| format!("\"1.{value}\"")).collect::<Vec<_>>().join(", ");
    let _ = writeln!(text, "          rust: [{}]\n          os: [{}]\n        jobs:", axis(12), axis(10));
    for job in ["build", "unit", "docs", "lint"] {
        let _ = writeln!(text, "          - name: {job}\n            image: \"@REGISTRY@/rust:@rust@-@os@\"");
        let _ = writeln!(
            text,
            "            run: cargo {job} --all-features\n            environments: {{RUST: \"@rust@\"}}"
        );
        let _ = writeln!(text, "            timeout: 20m\n            outputs: [RESULT, CO_JSON_CONTENT]");
        if job != "build" {
            let _ = writeln!(text, "            subscriptions: {{\"check.unit.build[RESULT]\": BUILT}}");
        }
    }
    text.push_str("  - name: after\n    sequencing: parallel\n    actions:\n");
    for place in 0..20 {
        let _ = writeln!(text, "      - name: take-{place}\n        image: alpine:3\n        run: ./take.sh");
        let from = format!("check.unit(1.{}, 1.{}).unit[CO_JSON_CONTENT].report", place % 12, place % 10);
        let _ = writeln!(text, "        inputs: [{{from: \"{from}\", to: report, optional: true}}]");
    }
    text
}

fn plan(text: &str) -> Plan {
    let name: RepositoryName = "acme/shop".parse().expect("a name");
    let flow = flow::read("large.yml", &name, text.as_bytes());
    let flow = flow.unwrap_or_else(|wrong| panic!("{}", flow::render("large.yml", &wrong)));
    let repository = Repository {
        forge: ForgeKind::Git,
        name,
        default_branch: "main".to_owned(),
        clone_url: String::new(),
        web_url: String::new(),
        installation: None,
        visibility: containerops::model::Visibility::default(),
    };
    let kind = EventKind::Push { branch: "main".to_owned() };
    let sha = "0".repeat(40).parse().expect("a sha");
    let (actor, title) = (String::new(), String::new());
    let event = Event { repository, kind, sha, base_sha: None, actor, title, trust: Trust::Trusted, message: None };
    match flow.plan(&event) {
        Decision::Run(plan) => plan,
        Decision::Broken(diagnostic) => panic!("{}", diagnostic.message),
        Decision::LeftOut { reason } | Decision::Unasked { reason } => panic!("{reason}"),
    }
}

fn rounds(command: &str, file: &Path) -> Vec<f64> {
    let round = |_| {
        let start = Instant::now();
        let program = env!("CARGO_BIN_EXE_containerops");
        let done = Command::new(program).arg(command).arg(file).stdout(Stdio::null()).status().expect("it starts");
        assert!(done.success(), "{command} {}", file.display());
        ms(start.elapsed())
    };
    (0..ROUNDS).map(round).collect()
}
