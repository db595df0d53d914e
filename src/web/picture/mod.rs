//! A run's flow as a picture: what it shows ([`Scene`]), where everything stands ([`layout`]), and how that is drawn
//! ([`draw`]). Pure.
//!
//! Stages go from left to right as they need each other, their actions stand below one another. Lines are what makes a
//! stage or an action wait: `needs`, and the order of a sequence; dashed ones are values that go from one action to
//! another. However large a flow is, its picture has no more than some hundred nodes: many cells of a matrix are one,
//! and of a stage with many actions those are shown that people look for, and a node for the rest.

pub mod draw;
pub mod layout;
mod text;
mod units;

use super::pages::{Mark, Took};
use crate::model::{Sequencing, StageKind};

/// What a picture shows.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// In the plan's order: what a stage needs stands before it.
    pub stages: Vec<Stage>,
    /// What goes from one action to another.
    pub links: Vec<Link>,
}

/// A stage.
#[derive(Debug, Clone)]
pub struct Stage {
    /// What people call it.
    pub name: String,
    /// Where it is on the page.
    pub href: String,
    /// What it does.
    pub kind: StageKind,
    /// How its actions run.
    pub order: Sequencing,
    /// How it stands.
    pub mark: Mark,
    /// Places of stages, all before its own.
    pub needs: Vec<usize>,
    /// In the plan's order.
    pub actions: Vec<Action>,
}

/// An action.
#[derive(Debug, Clone)]
pub struct Action {
    /// Its place in the plan's stage.
    pub place: usize,
    /// What people call it.
    pub name: String,
    /// The matrix that it is a cell of.
    pub matrix: Option<String>,
    /// Where it is on the page, or its log.
    pub href: String,
    /// How it stands.
    pub mark: Mark,
    /// For how long.
    pub took: Option<Took>,
}

/// Values that go from one action to another, each by its place in the plan: its stage's, and its own there.
#[derive(Debug, Clone)]
pub struct Link {
    /// Whose values.
    pub from: (usize, usize),
    /// To whom.
    pub to: (usize, usize),
    /// What, in words.
    pub words: String,
}
