//! What an executor tells of when things happened to an attempt, by the clocks of its own machines. It is learnt bit by
//! bit, may be told again, and is kept when nothing is left that could tell it.

use serde::{Deserialize, Serialize};

use super::{JobId, Time};

/// More containers than any action has.
const MOST: usize = 512;
/// The longest name of a node, of a container or of an image that is kept, in characters.
const NAME_MAX: usize = 300;

/// The moments of an attempt, as far as its executor tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Moments {
    /// The machine that runs it, where machines have names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// When the executor wrote it down, by the clock that all other moments are told by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<Time>,
    /// When it had a machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Time>,
    /// Images that were not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pulls: Vec<Pull>,
    /// Containers that were started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<Ran>,
}

/// How an image came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// The container that needed it.
    pub container: String,
    /// Its job; `None`: it brings the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The image.
    pub image: String,
    /// When it was asked for first.
    pub started: Time,
    /// When it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
    /// How large it is, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// When a container ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Its name.
    pub container: String,
    /// Its job; `None`: it brings the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// When it was started.
    pub started: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
}

impl Moments {
    /// Takes in what is told now. What was told first stays: an executor may forget, but the past does not change.
    /// Whether there was anything new.
    pub fn learn(&mut self, told: &Self) -> bool {
        let before = self.clone();
        let name = |node: &String| node.chars().take(NAME_MAX).collect();
        self.node = self.node.take().or_else(|| told.node.as_ref().map(name));
        self.made = self.made.or(told.made);
        self.scheduled = self.scheduled.or(told.scheduled);
        told.pulls.iter().for_each(|pull| self.learn_pull(pull));
        told.containers.iter().for_each(|ran| self.learn_ran(ran));
        *self != before
    }

    /// The pull of a container's image, if there was one.
    pub fn pull(&self, container: &str) -> Option<&Pull> {
        self.pulls.iter().find(|pull| pull.container == container)
    }

    /// The pull that goes on.
    pub fn pulling(&self) -> Option<&Pull> {
        self.pulls.iter().find(|pull| pull.ended.is_none())
    }

    /// The container of a job, if it was started.
    pub fn container(&self, job: JobId) -> Option<&Ran> {
        self.containers.iter().find(|ran| ran.job == Some(job))
    }

    fn learn_pull(&mut self, told: &Pull) {
        let has_room = self.pulls.len() < MOST;
        match self.pulls.iter_mut().find(|pull| pull.container == told.container) {
            Some(known) => {
                known.ended = known.ended.or(told.ended);
                known.bytes = known.bytes.or(told.bytes);
            }
            None if has_room => {
                let image = told.image.chars().take(NAME_MAX).collect();
                self.pulls.push(Pull { image, ..told.clone() });
            }
            None => {}
        }
    }

    fn learn_ran(&mut self, told: &Ran) {
        let has_room = self.containers.len() < MOST;
        match self.containers.iter_mut().find(|ran| ran.container == told.container) {
            Some(known) => known.ended = known.ended.or(told.ended),
            None if has_room => self.containers.push(told.clone()),
            None => {}
        }
    }
}
