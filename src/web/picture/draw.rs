//! A laid out picture as SVG.

use std::{collections::BTreeMap, fmt::Write as _};

use askama::Template;

use super::layout::{Frame, Layout, Line, Node, Shape, Tie};
use crate::web::pages::Mark;

/// What a picture looks like by itself: as a page's style sheet has it, with the same colours.
const COLOURS: &str = include_str!("../../../static/picture-colours.css");
const STYLE: &str = include_str!("../../../static/picture.css");

/// A picture in a page, or by itself.
#[derive(Template)]
#[template(path = "picture.svg", whitespace = "minimize")]
struct Picture<'l> {
    layout: &'l Layout,
    /// What it shows, in words.
    title: &'l str,
    /// Empty: whatever it stands in has one.
    style: String,
    /// By their states.
    icons: Vec<Mark>,
    /// Each with the stage that begins with it.
    nodes: Vec<(&'l Node, Option<&'l Frame>)>,
    needs: String,
    order: String,
    values: Vec<(String, &'l str)>,
}

/// Within a page.
///
/// # Errors
/// None: a template that is compiled in does not fail.
pub fn in_page(layout: &Layout, title: &str) -> askama::Result<String> {
    Picture::new(layout, title, String::new()).render()
}

/// By itself, with its colours in it.
///
/// # Errors
/// None: a template that is compiled in does not fail.
pub fn alone(layout: &Layout, title: &str) -> askama::Result<String> {
    Picture::new(layout, title, style()).render()
}

/// The style of a picture by itself.
pub fn style() -> String {
    format!("{COLOURS}{STYLE}")
}

impl<'l> Picture<'l> {
    fn new(layout: &'l Layout, title: &'l str, style: String) -> Self {
        let mut icons: Vec<Mark> = Vec::new();
        for node in &layout.nodes {
            if icons.iter().all(|icon| icon.label != node.state) {
                icons.push(Mark { label: node.state, word: String::new() });
            }
        }
        let stages = layout.frames.iter().filter(|frame| frame.name.is_some());
        let stages: BTreeMap<usize, &Frame> = stages.map(|frame| (frame.before, frame)).collect();
        let all = |tie: Tie| layout.lines.iter().filter(move |line| line.tie == tie);
        Self {
            layout,
            title,
            style,
            icons,
            nodes: layout.nodes.iter().enumerate().map(|(at, node)| (node, stages.get(&at).copied())).collect(),
            needs: all(Tie::Need).map(path).collect(),
            order: all(Tie::Order).map(path).collect(),
            values: all(Tie::Value).map(|line| (path(line), line.words.as_str())).collect(),
        }
    }
}

impl Node {
    /// The name of its box' shape, and the classes of its own.
    fn shape_id(&self) -> &'static str {
        if self.shape == Shape::Pill { "pic-p" } else { "pic-n" }
    }

    fn class(&self) -> String {
        let of = match self.shape {
            Shape::Action => "",
            Shape::Several => " several",
            Shape::Pause => " pause",
            Shape::Pill => " pill",
        };
        format!("{}{of}", self.state)
    }

    /// Where its icon is.
    fn icon_y(&self) -> i32 {
        (self.area.height - 16) / 2
    }
}

/// A line as SVG writes it.
fn path(line: &Line) -> String {
    let mut points = line.points.iter();
    let mut out = String::new();
    let Some(&(mut x, mut y)) = points.next() else { return out };
    // writing to a String cannot fail
    let _ = write!(out, "M{x} {y}");
    for &(to_x, to_y) in points {
        let _ = match (line.down, to_x == x, to_y == y) {
            (true, true, _) if line.tie == Tie::Order => write!(out, "V{to_y}"),
            (true, ..) => write!(out, "C{0} {y} {0} {to_y} {to_x} {to_y}", x.min(to_x) - 9),
            (false, _, true) => write!(out, "H{to_x}"),
            (false, ..) => write!(out, "C{0} {y} {0} {to_y} {to_x} {to_y}", x.midpoint(to_x)),
        };
        (x, y) = (to_x, to_y);
    }
    out
}
