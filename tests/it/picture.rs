//! The picture of a flow: whatever the flow, nothing lies on anything else, and lines between stages go from left to right.

use containerops::{
    model::{Sequencing, StageKind},
    web::{
        pages::{Mark, Took},
        picture::{
            Action, Link, Scene, Stage, draw,
            layout::{Area, Layout, Shape, Tie, layout},
        },
    },
};
use insta::assert_snapshot;
use proptest::prelude::*;

fn mark(label: &'static str) -> Mark {
    Mark { label, word: label.replace('_', " ") }
}

fn action(place: usize, name: &str, label: &'static str) -> Action {
    let took =
        Some(Took { text: "12 s".to_owned(), since: (label == "running").then(|| "2026-03-01T12:00:00Z".to_owned()) });
    Action { place, name: name.to_owned(), matrix: None, href: "#place".to_owned(), mark: mark(label), took }
}

fn stage(name: &str, needs: &[usize], actions: Vec<Action>) -> Stage {
    Stage {
        name: name.to_owned(),
        href: "#place".to_owned(),
        kind: StageKind::Normal,
        order: Sequencing::Sequence,
        mark: mark("success"),
        needs: needs.to_vec(),
        actions,
    }
}

fn cells(matrix: &str, count: usize, label: impl Fn(usize) -> &'static str) -> Vec<Action> {
    let cell = |place| Action {
        matrix: Some(matrix.to_owned()),
        ..action(place, &format!("{matrix} ({place})"), label(place))
    };
    (0..count).map(cell).collect()
}

/// Each node with its place, and each line.
fn told(layout: &Layout) -> String {
    let at = |area: &Area| format!("{},{}", area.x, area.y);
    let frames = layout.frames.iter().map(|frame| {
        let name = frame.name.as_ref().map_or("cells", |name| &name.text);
        format!("[{name}] {} {}x{}", at(&frame.area), frame.area.width, frame.area.height)
    });
    let nodes = layout.nodes.iter().map(|node| {
        let whole = node.whole.as_ref().map_or_else(String::new, |whole| format!(" ({whole})"));
        let since = node.since.as_ref().map_or("", |(_, took)| took);
        format!("{:?} {} {} | {}{since}{whole}", node.shape, at(&node.area), node.name, node.sub)
    });
    let lines = layout
        .lines
        .iter()
        .map(|line| format!("{:?} {:?} {}", line.tie, line.points, line.words).trim_end().to_owned());
    frames.chain(nodes).chain(lines).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_flow_is_laid_out_as_it_runs() {
    let mut check = vec![action(0, "lint", "failure")];
    check.extend(cells("unit", 3, |_| "success").into_iter().map(|cell| Action { place: cell.place + 1, ..cell }));
    let scene = Scene {
        stages: vec![
            Stage { kind: StageKind::Start, ..stage("start", &[], vec![]) },
            stage("build", &[0], vec![action(0, "build", "success")]),
            stage("check", &[1], check),
            Stage {
                kind: StageKind::Pause,
                mark: Mark { label: "queued", word: "waits for approval".to_owned() },
                ..stage("approve", &[2], vec![])
            },
            stage("ship", &[2, 3], vec![action(0, "roll-out-to-everyone-at-once", "running")]),
        ],
        links: vec![
            Link { from: (1, 0), to: (2, 1), words: "VERSION".to_owned() },
            Link { from: (1, 0), to: (4, 0), words: "VERSION".to_owned() },
            Link { from: (2, 0), to: (2, 1), words: "REPORT → LINTED".to_owned() },
        ],
    };
    assert_snapshot!(told(&layout(&scene)), @r"
    [check] 418,6 200x240
    [cells] 423,83 190x158
    [ship] 906,6 200x78
    Pill 16,40 start |  (start: success)
    Action 184,34 build | success · 12 s
    Action 428,34 lint | failure · 12 s
    Action 428,88 unit (0) | success · 12 s
    Action 428,142 unit (1) | success · 12 s
    Action 428,196 unit (2) | success · 12 s
    Pause 672,34 approve | waits for approval
    Action 916,34 roll-out-to-ever… | running · 12 s (roll-out-to-everyone-at-once: running · 12 s)
    Order [(444, 74), (444, 88)]
    Need [(120, 54), (184, 54)]
    Need [(364, 54), (418, 54)]
    Need [(618, 54), (672, 54)]
    Need [(852, 54), (906, 54)]
    Value [(364, 64), (428, 118)] VERSION
    Value [(428, 54), (428, 108)] REPORT → LINTED
    Value [(364, 64), (418, 255), (862, 255), (916, 64)] VERSION
    Need [(618, 54), (662, 264), (862, 264), (906, 54)]
    ");
    let svg = draw::alone(&layout(&scene), "ci #1: running <b>").expect("a picture");
    assert!(
        svg.contains("aria-label=\"ci #1: running &#60;b&#62;\"") && svg.contains("prefers-color-scheme: dark"),
        "{svg}"
    );
    assert!(svg.contains("<tspan data-since=\"2026-03-01T12:00:00Z\">12 s</tspan>"), "{svg}");
    assert!(!draw::in_page(&layout(&scene), "ci").expect("a picture").contains("<style>"), "a page has one");
}

#[test]
fn of_many_cells_there_is_one_node_and_of_many_actions_those_that_people_look_for() {
    let red = |place| if place % 50 == 3 { "failure" } else { "success" };
    let many =
        (0..30).map(|place| action(place, &format!("part-{place}"), if place == 20 { "failure" } else { "success" }));
    let scene = Scene {
        stages: vec![stage("unit", &[], cells("unit", 100, red)), stage("many", &[0], many.collect())],
        links: vec![],
    };
    let shown = layout(&scene);
    let names: Vec<_> = shown.nodes.iter().map(|node| format!("{} | {}", node.name, node.sub)).collect();
    assert_eq!(names[0], "unit × 100 | 2 failure · 98 success");
    assert_eq!(
        (names.len(), names[11].as_str(), names[12].as_str()),
        (13, "part-20 | failure · 12 s", "19 more | 19 success")
    );
    assert_eq!(shown.nodes[12].shape, Shape::Several);
}

fn overlaps(one: &Area, other: &Area) -> bool {
    one.x < other.x + other.width
        && other.x < one.x + one.width
        && one.y < other.y + other.height
        && other.y < one.y + one.height
}

fn any_stage(at: usize) -> impl Strategy<Value = Stage> {
    let kind = prop_oneof![8 => Just(StageKind::Normal), 1 => Just(StageKind::Pause), 1 => Just(StageKind::Start)];
    let parts = proptest::collection::vec((any::<bool>(), 1..40_usize, 0..10_usize), 0..5);
    let needs = proptest::collection::vec(0..at.max(1), 0..3);
    ("[ a-zA-ZäW本\u{1}<&\"]{1,40}", kind, parts, needs, any::<bool>()).prop_map(
        move |(name, kind, parts, mut needs, parallel)| {
            needs.retain(|need| *need < at);
            needs.sort_unstable();
            needs.dedup();
            let mut actions: Vec<Action> = Vec::new();
            for (part, (is_matrix, count, state)) in parts.into_iter().enumerate() {
                let label = [
                    "success",
                    "failure",
                    "running",
                    "waiting",
                    "skipped",
                    "timed_out",
                    "queued",
                    "error",
                    "warning",
                    "cancelled",
                ][state];
                for _ in 0..count {
                    let matrix = is_matrix.then(|| format!("m{part}"));
                    actions.push(Action { matrix, ..action(actions.len(), &name, label) });
                }
            }
            if kind != StageKind::Normal {
                actions.clear();
            }
            let order = if parallel { Sequencing::Parallel } else { Sequencing::Sequence };
            Stage { kind, order, ..stage(&name, &needs, actions) }
        },
    )
}

fn any_scene() -> impl Strategy<Value = Scene> {
    let stages = (1..40_usize).prop_flat_map(|count| (0..count).map(any_stage).collect::<Vec<_>>());
    let links = proptest::collection::vec(((0..40_usize, 0..60_usize), (0..40_usize, 0..60_usize)), 0..30);
    (stages, links).prop_map(|(stages, links)| {
        let links = links.into_iter().map(|(from, to)| Link {
            from: from.min(to),
            to: from.max(to),
            words: "A → B".to_owned(),
        });
        Scene { stages, links: links.collect() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_lies_on_anything_else_and_lines_go_from_left_to_right(scene in any_scene()) {
        let laid = layout(&scene);
        let stages: Vec<_> = laid.frames.iter().filter(|frame| frame.name.is_some()).map(|frame| frame.area).collect();
        let nodes: Vec<_> = laid.nodes.iter().map(|node| node.area).collect();
        for all in [&stages, &nodes] {
            for (at, one) in all.iter().enumerate() {
                prop_assert!(one.x >= 0 && one.y >= 0 && one.x + one.width <= laid.size.0 && one.y + one.height <= laid.size.1);
                prop_assert!(all[at + 1..].iter().all(|other| !overlaps(one, other)), "{}", told(&laid));
            }
        }
        prop_assert!(nodes.len() <= 60 + scene.stages.len(), "{} nodes", nodes.len());
        for line in &laid.lines {
            let pairs = line.points.windows(2);
            let wanted = |pair: &[(i32, i32)]| if line.down { pair[0].1 != pair[1].1 } else { pair[0].0 < pair[1].0 };
            prop_assert!(line.down == (line.tie == Tie::Order) || line.tie == Tie::Value);
            for pair in pairs {
                prop_assert!(wanted(pair), "{:?}", line);
                prop_assert!(pair.iter().all(|point| point.0 <= laid.size.0 && point.1 <= laid.size.1), "{:?}", line);
            }
        }
        // what XML does not know is not in it
        let svg = draw::alone(&laid, "any").expect("a picture");
        let clean = !svg.chars().any(|c| c.is_control() && c != '\n');
        prop_assert!(clean);
    }
}
