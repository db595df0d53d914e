//! A plan as a picture: Mermaid for pages and comments, DOT for Graphviz.
//!
//! Stages are boxes of actions, the cells of a matrix a box of their own. Lines are `needs` and the order of a sequence;
//! dotted ones are links, with what goes along them. Whatever a file's author wrote is escaped: in a picture it is text.

use std::fmt::Write as _;

use crate::model::{ActionPlan, JobPath, JobPlan, Plan, Sequencing, Source, StagePlan};

use super::{findings, source};

/// How a picture is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphFormat {
    /// As GitHub, GitLab and Gitea show it in Markdown.
    Mermaid,
    /// As `dot -Tsvg` reads it.
    Dot,
}

/// The picture of a plan.
pub fn graph(plan: &Plan, format: GraphFormat) -> String {
    let mut picture = Picture { format, out: String::new(), depth: 0 };
    picture.begin(plan);
    for (index, stage) in plan.stages.iter().enumerate() {
        picture.stage(index, stage);
    }
    for (index, stage) in plan.stages.iter().enumerate() {
        for &need in &stage.needs {
            picture.line(&Box::of(plan, need), &Box::of(plan, index), None);
        }
    }
    for link in links(plan) {
        picture.link(&link);
    }
    picture.end();
    picture.out
}

/// Something that a line may begin or end at.
struct Box {
    id: String,
    /// A node in it: DOT has no lines between boxes.
    node: String,
    is_node: bool,
}

impl Box {
    fn of(plan: &Plan, stage: usize) -> Self {
        let id = format!("s{stage}");
        if plan.stages.get(stage).is_some_and(|stage| !stage.actions.is_empty()) {
            Self { node: format!("a{stage}_0"), id, is_node: false }
        } else {
            Self { node: id.clone(), id, is_node: true }
        }
    }

    /// A step of a sequence: an action, or a matrix.
    fn step(stage: usize, place: usize, action: &ActionPlan) -> Self {
        let node = format!("a{stage}_{place}");
        match action.cell {
            Some(_) => Self { id: format!("m{stage}_{place}"), node, is_node: false },
            None => Self { id: node.clone(), node, is_node: true },
        }
    }
}

/// All that goes from one action to another.
struct Link {
    from: Option<(usize, usize)>,
    to: (usize, usize),
    labels: Vec<String>,
}

fn links(plan: &Plan) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for (s, stage) in plan.stages.iter().enumerate() {
        for (a, action) in stage.actions.iter().enumerate() {
            for (from, label) in action.jobs.iter().flat_map(of_job) {
                let from = match from.map(|path| source::find(plan, path)) {
                    Some(None) => continue,
                    Some(Some((stage, place, _))) if (stage, place) == (s, a) => continue,
                    Some(Some((stage, place, _))) => Some((stage, place)),
                    None => None,
                };
                match links.iter_mut().find(|link| link.from == from && link.to == (s, a)) {
                    Some(link) => link.labels.push(label),
                    None => links.push(Link { from, to: (s, a), labels: vec![label] }),
                }
            }
        }
    }
    links
}

/// What goes into a job: from where (`None`: the event), and what it is called there and here.
fn of_job(job: &JobPlan) -> Vec<(Option<&JobPath>, String)> {
    let subscriptions = job.subscriptions.iter().map(|link| {
        let (key, name) = (&link.from.key, &link.variable);
        (Some(&link.from.job), if key == name { key.clone() } else { format!("{key} → {name}") })
    });
    let inputs = job.inputs.iter().map(|input| {
        let to = input.to.join(".");
        match &input.from {
            Source::Output { output, path } => {
                let from = std::iter::once(output.key.as_str()).chain(path.iter().map(String::as_str));
                (Some(&output.job), format!("{} → {to}", from.collect::<Vec<_>>().join(".")))
            }
            Source::Event { path } => (None, format!("{} → {to}", path.join("."))),
        }
    });
    let auto = job.auto_inputs.iter().map(|output| (Some(&output.job), format!("{} → auto", output.key)));
    subscriptions.chain(inputs).chain(auto).collect()
}

struct Picture {
    format: GraphFormat,
    out: String,
    depth: usize,
}

impl Picture {
    fn begin(&mut self, plan: &Plan) {
        match self.format {
            GraphFormat::Mermaid => self.text("flowchart LR"),
            GraphFormat::Dot => {
                self.text(&format!("digraph {} {{", self.quote(&plan.flow)));
                self.text("  rankdir=LR; compound=true; node [shape=box];");
            }
        }
        self.depth = 1;
        if links(plan).iter().any(|link| link.from.is_none()) {
            self.node("event", "event", true);
        }
    }

    fn end(&mut self) {
        self.depth = 0;
        if self.format == GraphFormat::Dot {
            self.text("}");
        }
    }

    fn stage(&mut self, index: usize, stage: &StagePlan) {
        let title =
            if stage.title.is_empty() { stage.name.clone() } else { format!("{}: {}", stage.name, stage.title) };
        if stage.actions.is_empty() {
            return self.node(&format!("s{index}"), &title, true);
        }
        self.open(&format!("s{index}"), &title);
        let mut steps: Vec<Box> = Vec::new();
        for (place, action) in stage.actions.iter().enumerate() {
            let beside = |other: usize| {
                stage.actions.get(other).is_some_and(|o| o.cell.is_some() && o.matrix_name() == action.matrix_name())
            };
            let begins = !place.checked_sub(1).is_some_and(beside);
            if let (Some(matrix), true) = (action.matrix_name(), begins) {
                self.open(&format!("m{index}_{place}"), matrix);
            }
            self.node(&format!("a{index}_{place}"), &label(action), false);
            if action.cell.is_some() && !beside(place + 1) {
                self.close();
            }
            if begins {
                steps.push(Box::step(index, place, action));
            }
        }
        if stage.sequencing == Sequencing::Sequence {
            steps.windows(2).for_each(|pair| self.line(&pair[0], &pair[1], None));
        }
        self.close();
    }

    fn link(&mut self, link: &Link) {
        let node = |(stage, place): (usize, usize)| {
            let id = format!("a{stage}_{place}");
            Box { node: id.clone(), id, is_node: true }
        };
        let event = || Box { id: "event".to_owned(), node: "event".to_owned(), is_node: true };
        self.line(&link.from.map_or_else(event, node), &node(link.to), Some(&link.labels.join(", ")));
    }

    fn line(&mut self, from: &Box, to: &Box, label: Option<&str>) {
        match (self.format, label) {
            (GraphFormat::Mermaid, None) => self.text(&format!("{} --> {}", from.id, to.id)),
            (GraphFormat::Mermaid, Some(label)) => {
                self.text(&format!("{} -. {} .-> {}", from.id, self.quote(label), to.id));
            }
            (GraphFormat::Dot, _) => {
                let tail = if from.is_node { String::new() } else { format!("ltail=cluster_{} ", from.id) };
                let head = if to.is_node { String::new() } else { format!("lhead=cluster_{} ", to.id) };
                let label = label.map_or_else(String::new, |label| format!("style=dotted label={}", self.quote(label)));
                let attributes = format!("{tail}{head}{label}");
                self.text(&format!("{} -> {} [{}];", from.node, to.node, attributes.trim_end()));
            }
        }
    }

    fn node(&mut self, id: &str, label: &str, is_round: bool) {
        let label = self.quote(label);
        match (self.format, is_round) {
            (GraphFormat::Mermaid, true) => self.text(&format!("{id}([{label}])")),
            (GraphFormat::Mermaid, false) => self.text(&format!("{id}[{label}]")),
            (GraphFormat::Dot, true) => self.text(&format!("{id} [label={label} shape=ellipse];")),
            (GraphFormat::Dot, false) => self.text(&format!("{id} [label={label}];")),
        }
    }

    fn open(&mut self, id: &str, label: &str) {
        let label = self.quote(label);
        match self.format {
            GraphFormat::Mermaid => self.text(&format!("subgraph {id}[{label}]")),
            GraphFormat::Dot => self.text(&format!("subgraph cluster_{id} {{ label={label};")),
        }
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.text(match self.format {
            GraphFormat::Mermaid => "end",
            GraphFormat::Dot => "}",
        });
    }

    /// A text in quotes that nothing in it can end.
    fn quote(&self, text: &str) -> String {
        let mut out = String::from("\"");
        for c in findings::printable(text).chars() {
            match (self.format, c) {
                (GraphFormat::Dot, '"' | '\\') => out.extend(['\\', c]),
                (GraphFormat::Mermaid, c) if !is_plain(c) => {
                    // writing to a String cannot fail
                    let _ = write!(out, "#{};", u32::from(c));
                }
                (GraphFormat::Dot | GraphFormat::Mermaid, c) => out.push(c),
            }
        }
        out.push('"');
        out
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(&"  ".repeat(self.depth));
        self.out.push_str(text);
        self.out.push('\n');
    }
}

/// An action, and what runs beside its jobs.
fn label(action: &ActionPlan) -> String {
    let services: Vec<&str> = action.services.iter().map(|service| service.job.name.as_str()).collect();
    let beside = if services.is_empty() { String::new() } else { format!(" + {}", services.join(" + ")) };
    format!("{}{beside}", action.shown())
}

/// What Mermaid takes for nothing but itself, also where it reads Markdown or HTML in a label.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(c, ' ' | '.' | ',' | ':' | '/' | '-' | '(' | ')' | '→' | '=' | '+' | '\'' | '?' | '!')
}
