//! Where everything of a picture stands, in whole pixels. Nothing lies on anything else, and every line between two stages
//! goes from left to right.

use std::collections::BTreeMap;

use super::{
    Scene, Stage,
    text::{clean, fit},
    units::{Unit, units},
};
use crate::model::{Sequencing, StageKind};

/// A node's size.
pub const NODE: (i32, i32) = (180, 40);
/// The size of a stage that does nothing.
pub const PILL: (i32, i32) = (104, 28);
/// Between two nodes, one below the other.
const GAP: i32 = 14;
/// Around the nodes of a stage.
const PAD: i32 = 10;
/// Above them, for its name.
const HEAD: i32 = 28;
/// Between two columns.
const GUTTER: i32 = 44;
/// Between two stages, one below the other.
const BELOW: i32 = 18;
/// Around the cells of a matrix.
const MATRIX_PAD: i32 = 5;
/// Around everything.
const EDGE: i32 = 6;
/// Between two lines that go below everything.
const LANE: i32 = 9;
/// Whatever goes below everything shares so many of these.
const LANES: usize = 8;
/// How far values go below the line of what waits for what.
const ASIDE: i32 = 10;
/// Letters that fit into a node, and into the line below its name.
const NAME_ROOM: f32 = 15.5;
const SUB_ROOM: f32 = 20.0;
const PILL_ROOM: f32 = 7.0;
const STAGE_ROOM: f32 = 18.0;

/// A picture's parts, each with its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// How large it is.
    pub size: (i32, i32),
    /// Stages, and matrices in them.
    pub frames: Vec<Frame>,
    /// In the order in which they are read.
    pub nodes: Vec<Node>,
    /// From where to where.
    pub lines: Vec<Line>,
}

/// What is around nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Where, and how large.
    pub area: Area,
    /// Its name; `None`: a matrix, whose cells have names.
    pub name: Option<Label>,
    /// Where that leads.
    pub href: String,
    /// How many nodes are read before it.
    pub before: usize,
}

/// A text as far as it fits, and the whole of it if that is more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// What fits.
    pub text: String,
    /// All of it.
    pub whole: Option<String>,
}

/// Where something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Its left edge.
    pub x: i32,
    /// Its upper edge.
    pub y: i32,
    /// From left to right.
    pub width: i32,
    /// From top to bottom.
    pub height: i32,
}

/// The kinds of node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An action.
    Action,
    /// Several: cells of a matrix, or the rest of a stage.
    Several,
    /// A stage that waits for a person.
    Pause,
    /// A stage that does nothing.
    Pill,
}

/// An action, several of them, or a stage without any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where.
    pub area: Area,
    /// What it is.
    pub shape: Shape,
    /// The label of its state.
    pub state: &'static str,
    /// Its name.
    pub name: String,
    /// Its state in words, and how long it took.
    pub sub: String,
    /// If it runs: since when, and for how long so far, which follows its state.
    pub since: Option<(String, String)>,
    /// All of both if they do not fit.
    pub whole: Option<String>,
    /// Where it leads.
    pub href: String,
}

/// The kinds of line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// A stage waits for another.
    Need,
    /// An action waits for the one before it.
    Order,
    /// A value goes from one action to another.
    Value,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it says.
    pub tie: Tie,
    /// Its points, from its begin to its end: each next one is reached by a curve that leaves and arrives horizontally, or
    /// straight if both are on one height.
    pub points: Vec<(i32, i32)>,
    /// Whether it goes down, within a stage.
    pub down: bool,
    /// What goes along it.
    pub words: String,
}

impl Area {
    const fn right(&self) -> i32 {
        self.x + self.width
    }

    const fn bottom(&self) -> i32 {
        self.y + self.height
    }
}

/// A stage before it has its place.
struct Block<'s> {
    stage: &'s Stage,
    units: Vec<Unit<'s>>,
    column: usize,
    /// Whether a frame with its name is around its nodes.
    framed: bool,
}

impl<'s> Block<'s> {
    fn new(stage: &'s Stage, units: Vec<Unit<'s>>, column: usize) -> Self {
        let alone = matches!(units.as_slice(), [unit] if unit.actions.len() == 1 && unit.actions[0].name == stage.name);
        Self { stage, framed: !units.is_empty() && !alone, units, column }
    }

    fn node_size(&self) -> (i32, i32) {
        match self.stage.kind {
            StageKind::Start | StageKind::End => PILL,
            StageKind::Normal | StageKind::Pause => NODE,
        }
    }

    fn width(&self) -> i32 {
        self.node_size().0 + 2 * PAD
    }

    fn height(&self) -> i32 {
        let nodes = i32::try_from(self.units.len().max(1)).unwrap_or(i32::MAX);
        HEAD + nodes * (NODE.1 + GAP) - GAP + PAD
    }
}

/// Lays out a scene.
pub fn layout(scene: &Scene) -> Layout {
    let columns = columns(&scene.stages);
    let blocks = scene.stages.iter().zip(units(&scene.stages)).zip(&columns);
    let blocks: Vec<Block<'_>> = blocks.map(|((stage, units), column)| Block::new(stage, units, *column)).collect();
    let mut placing = Placing::new(&blocks);
    for (at, block) in blocks.iter().enumerate() {
        placing.block(at, block);
    }
    placing.needs(&scene.stages);
    placing.values(scene);
    placing.end()
}

/// A stage stands right of all that it needs.
fn columns(stages: &[Stage]) -> Vec<usize> {
    let mut columns: Vec<usize> = Vec::with_capacity(stages.len());
    for stage in stages {
        let before = stage.needs.iter().filter_map(|need| columns.get(*need)).max();
        columns.push(before.map_or(0, |column| column + 1));
    }
    columns
}

/// Where a line of a stage begins and ends.
#[derive(Clone, Copy)]
struct Port {
    column: usize,
    left: i32,
    right: i32,
    y: i32,
}

struct Placing {
    /// Left edges and widths.
    columns: Vec<(i32, i32)>,
    /// How far down each column is full.
    filled: Vec<i32>,
    ports: Vec<Port>,
    /// The nodes of actions by their places.
    nodes: BTreeMap<(usize, usize), usize>,
    /// Lines that have to go below everything: their ends, and the columns between.
    long: Vec<(Line, usize, usize)>,
    out: Layout,
}

impl Placing {
    fn new(blocks: &[Block<'_>]) -> Self {
        let count = blocks.iter().map(|block| block.column + 1).max().unwrap_or(0);
        let mut widths = vec![0; count];
        for block in blocks {
            widths[block.column] = block.width().max(widths[block.column]);
        }
        let mut x = EDGE;
        let columns = widths.into_iter().map(|width| {
            let at = x;
            x += width + GUTTER;
            (at, width)
        });
        Self {
            columns: columns.collect(),
            filled: vec![EDGE; count],
            ports: Vec::with_capacity(blocks.len()),
            nodes: BTreeMap::new(),
            long: Vec::new(),
            out: Layout::default(),
        }
    }

    fn block(&mut self, at: usize, block: &Block<'_>) {
        let (x, y) = (self.columns[block.column].0, self.filled[block.column]);
        let area = Area { x, y, width: block.width(), height: block.height() };
        self.filled[block.column] = area.bottom() + BELOW;
        if block.framed {
            let (text, whole) = fit(&block.stage.name, STAGE_ROOM);
            let (name, href, before) = (Some(Label { text, whole }), block.stage.href.clone(), self.out.nodes.len());
            self.out.frames.push(Frame { area, name, href, before });
        }
        let (left, right) = if block.framed { (x, area.right()) } else { (x + PAD, area.right() - PAD) };
        self.ports.push(Port { column: block.column, left, right, y: y + HEAD + NODE.1 / 2 });
        if block.units.is_empty() {
            self.bare(block, (x + PAD, y + HEAD));
        }
        let mut above: Option<&Unit<'_>> = None;
        for (row, unit) in block.units.iter().enumerate() {
            let y = y + HEAD + i32::try_from(row).unwrap_or(0) * (NODE.1 + GAP);
            let area = Area { x: x + PAD, y, width: NODE.0, height: NODE.1 };
            self.unit(at, block.stage, unit, area);
            let together = above.is_some_and(|above| above.matrix().is_some() && above.matrix() == unit.matrix());
            if together {
                self.grow_matrix(area);
            } else {
                self.begin_matrix(unit, area);
                self.order(block.stage, above, area);
            }
            above = Some(unit);
        }
        self.out.frames.retain(|frame| frame.name.is_some() || frame.area.height > NODE.1 + 2 * MATRIX_PAD);
    }

    /// A stage without actions.
    fn bare(&mut self, block: &Block<'_>, (x, y): (i32, i32)) {
        let stage = block.stage;
        let (width, height) = block.node_size();
        let area = Area { x, y: y + (NODE.1 - height) / 2, width, height };
        let (shape, room) = match stage.kind {
            StageKind::Start | StageKind::End => (Shape::Pill, PILL_ROOM),
            StageKind::Pause => (Shape::Pause, NAME_ROOM),
            StageKind::Normal => (Shape::Action, NAME_ROOM),
        };
        let (name, whole) = fit(&stage.name, room);
        let (sub, whole_sub) = fit(&stage.mark.word, SUB_ROOM);
        // a pill has no room for its state in words
        let is_whole = whole.is_none() && whole_sub.is_none() && shape != Shape::Pill;
        let whole = (!is_whole).then(|| clean(&format!("{}: {}", stage.name, stage.mark.word)));
        let sub = if shape == Shape::Pill { String::new() } else { sub };
        let (state, href) = (stage.mark.label, stage.href.clone());
        self.out.nodes.push(Node { area, shape, state, name, sub, since: None, whole, href });
    }

    fn unit(&mut self, at: usize, stage: &Stage, unit: &Unit<'_>, area: Area) {
        for action in &unit.actions {
            self.nodes.insert((at, action.place), self.out.nodes.len());
        }
        let [first, ..] = unit.actions.as_slice() else { return };
        let count = unit.actions.len();
        let running = first.took.as_ref().filter(|_| count == 1 && !unit.is_rest);
        let since = running.and_then(|took| Some((took.since.clone()?, took.text.clone())));
        let (shape, name, sub, href) = match (unit.is_rest, count, unit.matrix()) {
            (true, ..) => (Shape::Several, format!("{count} more"), unit.counts(), stage.href.clone()),
            (false, 1, _) | (false, _, None) => {
                let took = first.took.as_ref().map_or_else(String::new, |took| format!(" · {}", took.text));
                (Shape::Action, first.name.clone(), format!("{}{took}", first.mark.word), first.href.clone())
            }
            (false, _, Some(of)) => (Shape::Several, format!("{of} × {count}"), unit.counts(), stage.href.clone()),
        };
        let (short, cut) = fit(&name, NAME_ROOM);
        let (short_sub, cut_sub) = fit(&sub, SUB_ROOM);
        let whole = (cut.is_some() || cut_sub.is_some()).then(|| clean(&format!("{name}: {sub}")));
        // a time that goes on stands by itself
        let since = since.filter(|_| cut_sub.is_none());
        let short_sub =
            since.as_ref().and_then(|(_, text)| short_sub.strip_suffix(text)).map_or(short_sub.clone(), str::to_owned);
        let state = unit.label();
        self.out.nodes.push(Node { area, shape, state, name: short, sub: short_sub, since, whole, href });
    }

    /// Cells of one matrix that stand one below the other have a frame.
    fn begin_matrix(&mut self, unit: &Unit<'_>, area: Area) {
        if unit.matrix().is_some() && unit.actions.len() == 1 {
            let area = Area {
                x: area.x - MATRIX_PAD,
                y: area.y - MATRIX_PAD,
                width: area.width + 2 * MATRIX_PAD,
                height: area.height + 2 * MATRIX_PAD,
            };
            let before = self.out.nodes.len().saturating_sub(1);
            self.out.frames.push(Frame { area, name: None, href: String::new(), before });
        }
    }

    fn grow_matrix(&mut self, area: Area) {
        if let Some(frame) = self.out.frames.last_mut().filter(|frame| frame.name.is_none()) {
            frame.area.height = area.bottom() + MATRIX_PAD - frame.area.y;
        }
    }

    fn order(&mut self, stage: &Stage, above: Option<&Unit<'_>>, area: Area) {
        if above.is_some() && stage.order == Sequencing::Sequence {
            let x = area.x + 16;
            let points = vec![(x, area.y - GAP), (x, area.y)];
            self.out.lines.push(Line { tie: Tie::Order, points, down: true, words: String::new() });
        }
    }

    fn needs(&mut self, stages: &[Stage]) {
        for (at, stage) in stages.iter().enumerate() {
            let to = self.ports[at];
            let needs: Vec<Port> = stage.needs.iter().filter_map(|need| self.ports.get(*need).copied()).collect();
            for from in needs {
                self.tie(Tie::Need, (from.right, from.y, from.column), (to.left, to.y, to.column), String::new());
            }
        }
    }

    fn values(&mut self, scene: &Scene) {
        let mut all: BTreeMap<(usize, usize), (usize, usize, Vec<&str>)> = BTreeMap::new();
        for link in &scene.links {
            let (Some(&from), Some(&to)) = (self.nodes.get(&link.from), self.nodes.get(&link.to)) else { continue };
            if from != to {
                let entry = all.entry((from, to)).or_insert((link.from.0, link.to.0, Vec::new()));
                entry.2.push(&link.words);
            }
        }
        for ((from, to), (from_stage, to_stage, words)) in all {
            let (from, to) = (self.out.nodes[from].area, self.out.nodes[to].area);
            let words = clean(&words.join(", "));
            if from_stage == to_stage {
                let (from, to) = ((from.x, from.y + NODE.1 / 2), (to.x, to.y + NODE.1 / 2));
                self.out.lines.push(Line { tie: Tie::Value, points: vec![from, to], down: true, words });
                continue;
            }
            let y = |area: Area| area.y + area.height / 2 + ASIDE;
            let (begin, end) = (self.ports[from_stage].column, self.ports[to_stage].column);
            self.tie(Tie::Value, (from.right(), y(from), begin), (to.x, y(to), end), words);
        }
    }

    fn tie(&mut self, tie: Tie, from: (i32, i32, usize), to: (i32, i32, usize), words: String) {
        let line = Line { tie, points: vec![(from.0, from.1), (to.0, to.1)], down: false, words };
        match to.2.checked_sub(from.2) {
            // no plan says so
            None | Some(0) => {}
            Some(1) => self.out.lines.push(line),
            Some(_) => self.long.push((line, from.2, to.2)),
        }
    }

    fn end(mut self) -> Layout {
        let bottom = self.filled.iter().max().map_or(0, |filled| filled - BELOW);
        let mut lanes: Vec<usize> = Vec::new();
        let mut long = std::mem::take(&mut self.long);
        long.sort_by_key(|(line, from, to)| (*from, *to, line.tie == Tie::Value));
        for (mut line, from, to) in long {
            let free = lanes.iter().position(|end| *end <= from);
            let lane = free.unwrap_or(lanes.len()).min(LANES - 1);
            match lanes.get_mut(lane) {
                Some(end) => *end = to.max(*end),
                None => lanes.push(to),
            }
            let y = bottom + LANE * i32::try_from(lane + 1).unwrap_or(1);
            let (left, width) = self.columns[from];
            line.points.insert(1, (left + width + GUTTER, y));
            line.points.insert(2, (self.columns[to].0 - GUTTER, y));
            self.out.lines.push(line);
        }
        let right = self.columns.last().map_or(0, |(left, width)| left + width);
        let lanes = LANE * i32::try_from(lanes.len()).unwrap_or(0);
        self.out.size = (right + EDGE, bottom + lanes + EDGE);
        self.out
    }
}
